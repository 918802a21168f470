"""The model of a tagger: weights, loss, files; and predictions of a trained one."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from builders import WINDOW
from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.encoders import load_encoder
from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig
from esnera_hf.modeling.hub_code.crf import FORBIDDEN
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.hub_code.words import word_spans
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import TaggingCollator

TAGS = ["O", "B-a", "I-a", "B-b", "I-b"]
ROWS = [
    {"input_ids": [2, 5, 6, 7, 3], "word_positions": [1, 2], "labels": [1, 2]},
    {"input_ids": [2, 8, 3], "word_positions": [1], "labels": [3]},
    {"input_ids": [2, 9, 40, 41, 10, 11, 3], "word_positions": [1, 4, 5], "labels": [0, 1, 0]},
]


@pytest.fixture
def model(encoder_folder: Path) -> CrfTagger:
    torch.manual_seed(1)
    encoder, _ = load_encoder(str(encoder_folder))
    return CrfTagger.from_encoder(encoder, TAGS, window_length=WINDOW).eval()


def test_the_encoder_keeps_its_weights_and_none_is_unused(model: CrfTagger, encoder_folder: Path) -> None:
    actual = model.encoder.state_dict()
    for name, weight in load_file(encoder_folder / "model.safetensors").items():
        assert name.startswith("pooler") or torch.equal(actual[name], weight), name
    model(**TaggingCollator(0)(ROWS)).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_word_has_the_state_of_its_first_piece(model: CrfTagger) -> None:
    batch = TaggingCollator(0)(ROWS)
    with torch.no_grad():
        logits = model(**batch).logits
        assert logits.shape == (3, 3, len(TAGS))
        for index, row in enumerate(ROWS):
            ids = torch.tensor([row["input_ids"]])
            states = model.encoder(input_ids=ids).last_hidden_state[0]
            expected = model.classifier(states[row["word_positions"]])
            torch.testing.assert_close(logits[index, : len(expected)], expected, atol=1e-5, rtol=1e-4)
        # Without positions, every piece is a word.
        labels, positions = torch.zeros_like(ids), torch.arange(ids.shape[1]).unsqueeze(0)
        one, other = (model(ids, word_positions=given, labels=labels) for given in (None, positions))
        assert torch.equal(one.logits, other.logits)
        assert torch.equal(one.loss, other.loss)


def test_loss_is_the_negative_log_likelihood_a_word(model: CrfTagger) -> None:
    with torch.no_grad():
        single = [model(**TaggingCollator(0)([row])).loss.item() * len(row["labels"]) for row in ROWS]
        together = model(**TaggingCollator(0)(ROWS)).loss.item()
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


def test_what_it_shows(tagger: Tagger) -> None:
    assert tagger.labels == ("LOC", "PER")
    assert repr(tagger) == "Tagger(labels=('LOC', 'PER'))"
    assert repr(tagger.with_record(encoder="me/bert")) == "Tagger(labels=('LOC', 'PER'), encoder='me/bert')"


def test_predictions_do_not_depend_on_batches_chunks_or_order(
    tagger: Tagger, sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(tagger.predict(sentences))
    assert sum(map(len, expected)) > 50
    assert [expected[i] for i in (31, 32)] == [[], []]
    for words, entities in zip(sentences, expected, strict=True):
        assert all(0 <= entity.start < entity.end <= len(words) for entity in entities)
        assert all(a.end <= b.start for a, b in pairwise(entities))
    for batch_size in (1, 3, 100):
        assert list(tagger.predict(sentences, batch_size=batch_size)) == expected
    order = list(range(len(sentences)))
    random.Random(3).shuffle(order)
    assert list(tagger.predict([sentences[i] for i in order])) == [expected[i] for i in order]
    assert [next(iter(tagger.predict([words]))) for words in sentences] == expected
    monkeypatch.setattr("esnera_hf.modeling.tagger.CHUNK", 7)
    assert list(tagger.predict(iter(sentences))) == expected
    assert list(tagger.predict([])) == []


def test_a_text_is_cut_into_words_and_its_entities_count_characters(
    tagger: Tagger, sentences: list[list[str]]
) -> None:
    words = max(sentences, key=len)
    text = "  ".join(words)
    spans = word_spans(text)
    (expected,) = tagger.predict([[text[start:end] for start, end in spans]])
    entities = tagger.predict(text)
    assert [(spans[e.start][0], spans[e.end - 1][1], e.label, e.score) for e in expected] == [
        (e.start, e.end, e.label, e.score) for e in entities
    ]
    assert tagger.predict(" \n") == tagger.predict("") == []


def test_what_it_cannot_read(tagger: Tagger) -> None:
    for sentences in (["Anna met Bruno"], [["Anna"], "met"]):
        with pytest.raises(ConfigurationError, match="expected lists of words, found a text: '"):
            list(tagger.predict(sentences))
    for size in (0, -1):
        message = f"batch_size={size}: expected a number of windows, at least 1"
        with pytest.raises(ConfigurationError, match=message):
            list(tagger.predict([["anna"]], batch_size=size))


def test_a_score_is_the_probability_of_exactly_that_mention(
    tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all tag sequences, those count that begin it, go on in it to its end, and no further."""
    monkeypatch.setattr(tagger.model.config, "confidence_temperature", 1.0)
    words = ["anna", "xyz", "met", "bruno", "clara", "in", "paris"]
    (entities,) = tagger.predict([words])
    assert len(entities) >= 2
    emissions, mask = tagger.emissions(tagger.words.windows([words]))
    tags = tagger.model.config.label2id
    for entity in entities:
        allowed = torch.zeros_like(emissions)
        allowed[0, entity.start : entity.end] = FORBIDDEN
        allowed[0, entity.start, tags[f"B-{entity.label}"]] = 0
        allowed[0, entity.start + 1 : entity.end, tags[f"I-{entity.label}"]] = 0
        allowed[0, entity.end : entity.end + 1, tags[f"I-{entity.label}"]] = FORBIDDEN
        expected = tagger.model.crf.partial_losses(emissions, allowed, mask).neg().exp().item()
        assert entity.score == pytest.approx(expected, abs=1e-5)
        assert 0 < entity.score < 1
    monkeypatch.setattr(tagger.model.config, "confidence_temperature", 3.0)
    (evened,) = tagger.predict([words])
    assert evened == entities
    assert all(after.score < before.score for after, before in zip(evened, entities, strict=True))


def test_the_crf_computes_in_single_precision_or_better_within_mixed_precision(
    tagger: Tagger, sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(tagger.predict(sentences))
    viterbi = tagger.model.crf.viterbi

    def spied(emissions: torch.Tensor, mask: torch.Tensor) -> Any:
        assert emissions.dtype == torch.float32
        assert not torch.is_autocast_enabled("cpu")
        return viterbi(emissions, mask)

    monkeypatch.setattr(tagger.model.crf, "viterbi", spied)
    mixed = torch.autocast("cpu", dtype=torch.bfloat16)
    monkeypatch.setattr("esnera_hf.modeling.tagger.mixed_precision", lambda: mixed)
    entities = list(tagger.predict(sentences))
    same = sum(len(set(a) & set(b)) for a, b in zip(entities, expected, strict=True))
    assert same > 0.9 * sum(map(len, expected)) > 0
