"""The tagger as a transformers model: weights, loss, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification

from builders import WINDOW
from esnera_hf.modeling.encoders import load_encoder
from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.tokenization import TaggingCollator

TAGS = ["O", "B-a", "I-a", "B-b", "I-b"]
ROWS = [
    {"input_ids": [2, 5, 6, 7, 3], "word_positions": [1, 2], "labels": [1, 2]},
    {"input_ids": [2, 8, 3], "word_positions": [1], "labels": [3]},
    {"input_ids": [2, 9, 40, 41, 10, 11, 3], "word_positions": [1, 4, 5], "labels": [0, 1, 0]},
]


@pytest.fixture
def tagger(encoder_folder: Path) -> CrfTagger:
    torch.manual_seed(1)
    encoder, _ = load_encoder(str(encoder_folder))
    return CrfTagger.from_encoder(encoder, TAGS, window_length=WINDOW).eval()


def test_the_encoder_keeps_its_weights(tagger: CrfTagger, encoder_folder: Path) -> None:
    saved = load_file(encoder_folder / "model.safetensors")
    kept = {name: weight for name, weight in saved.items() if not name.startswith("pooler")}
    found = tagger.encoder.state_dict()
    assert set(kept) <= set(found)
    for name, weight in kept.items():
        assert torch.equal(found[name], weight), name


def test_no_weight_is_unused(tagger: CrfTagger) -> None:
    batch = TaggingCollator(0)(ROWS)
    tagger(**batch).loss.backward()
    assert [name for name, p in tagger.named_parameters() if p.grad is None] == []
    assert all(torch.isfinite(p.grad).all() for p in tagger.parameters())


def test_the_auto_class_loads_it_without_remote_code(tagger: CrfTagger, tmp_path: Path) -> None:
    tagger.save_pretrained(tmp_path)
    loaded = AutoModelForTokenClassification.from_pretrained(tmp_path, trust_remote_code=False)
    assert type(loaded) is CrfTagger
    batch = TaggingCollator(0)(ROWS)
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, tagger(**batch).logits)


def test_a_missing_head_is_initialised(tagger: CrfTagger, tmp_path: Path) -> None:
    tagger.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    encoder_only = {name: weight for name, weight in weights.items() if name.startswith("encoder.")}
    save_file(encoder_only, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded, info = CrfTagger.from_pretrained(tmp_path, output_loading_info=True)
    assert info["missing_keys"] == set(weights) - set(encoder_only)
    for parameter in loaded.crf.parameters():
        assert parameter.abs().max() <= 0.1
        assert parameter.unique().numel() == parameter.numel()
    assert loaded.classifier.weight.abs().max() < 0.2
    assert torch.equal(loaded.classifier.bias, torch.zeros(len(TAGS)))


def test_a_word_has_the_state_of_its_first_piece(tagger: CrfTagger) -> None:
    batch = TaggingCollator(0)(ROWS)
    with torch.no_grad():
        logits = tagger(**batch).logits
        assert logits.shape == (3, 3, len(TAGS))
        for index, row in enumerate(ROWS):
            ids = torch.tensor([row["input_ids"]])
            states = tagger.encoder(input_ids=ids).last_hidden_state[0]
            expected = tagger.classifier(states[row["word_positions"]])
            torch.testing.assert_close(logits[index, : len(expected)], expected, atol=1e-5, rtol=1e-4)


def test_every_piece_is_a_word_without_positions(tagger: CrfTagger) -> None:
    ids = torch.tensor([[2, 5, 6, 3]])
    with torch.no_grad():
        without = tagger(input_ids=ids, labels=torch.tensor([[0, 1, 2, 0]]))
        given = tagger(
            input_ids=ids, word_positions=torch.arange(4).unsqueeze(0), labels=torch.tensor([[0, 1, 2, 0]])
        )
    assert torch.equal(without.logits, given.logits)
    assert torch.equal(without.loss, given.loss)


def test_loss_is_the_negative_log_likelihood_a_word(tagger: CrfTagger) -> None:
    with torch.no_grad():
        single = [tagger(**TaggingCollator(0)([row])).loss.item() * len(row["labels"]) for row in ROWS]
        together = tagger(**TaggingCollator(0)(ROWS)).loss.item()
    assert together == pytest.approx(sum(single) / 6, abs=1e-5)
    assert together > 0
    assert CrfTagger.accepts_loss_kwargs is False  # else the Trainer would scale it


def test_tags_survive_the_configuration_file(tmp_path: Path) -> None:
    tags = ["O", "B-人名", "I-人名", "B-NO", "I-NO", "B-a: b", "I-a: b"]
    CrfTaggerConfig({"model_type": "bert"}, tags, window_length=7).save_pretrained(tmp_path)
    loaded = CrfTaggerConfig.from_pretrained(tmp_path)
    assert loaded.tags == tags
    assert loaded.label2id == {tag: index for index, tag in enumerate(tags)}
    assert loaded.window_length == 7
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "esnera-crf-tagger"
