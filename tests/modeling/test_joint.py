"""A joint tagger: its loss, what its heads learn, what it keeps, and that it goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from builders import make_source, row, toy_source
from esnera_hf.errors import ConfigurationError, EncoderError
from esnera_hf.modeling.arguments import choose_arguments
from esnera_hf.modeling.encoders import load_encoder
from esnera_hf.modeling.hub_code.windows import window_inputs
from esnera_hf.modeling.joint import JointModel, JointTagger
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import TaggingCollator
from esnera_hf.modeling.training import JointData, fit_joint_tagger, tagger_optimizer
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.tagging import Entity, iob2_tag_set

#: Windows so short that sentences are cut.
FAST = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 4, "window_length": 12}


@pytest.fixture(scope="module")
def sources() -> list[NerSource]:
    return [
        toy_source("alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1),
        toy_source("beta.b", {"PERSON": "name", "PLACE": "city", "FIRM": "firm"}, seed=2, train=60),
        toy_source("gamma", {"FIRM": "org"}, seed=3, train=60),
    ]


@pytest.fixture(scope="module")
def result(
    sources: list[NerSource], encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> JointTagger:
    return fit_joint_tagger(sources, str(encoder_folder), tmp_path_factory.mktemp("joint"), FAST)


@pytest.fixture(scope="module")
def saved(result: JointTagger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    result.save_pretrained(folder)
    return folder


@pytest.fixture
def model(sources: list[NerSource], encoder_folder: Path) -> JointModel:
    torch.manual_seed(0)
    encoder, _ = load_encoder(str(encoder_folder))
    joint = JointModel.from_encoder(encoder, {s.name: iob2_tag_set(s.labels) for s in sources})
    return joint.eval()  # type: ignore[no-any-return]


Scored = list[list[tuple[Entity, float]]]


def scored(rows: Iterable[Sequence[Entity]]) -> Scored:
    """Return entities with their scores, which are no part of their equality."""
    return [[(entity, entity.score) for entity in row] for row in rows]


def read(tagger: JointTagger, sentences: Sequence[Sequence[str]]) -> dict[str, Scored]:
    rows, _ = tagger.read([AnnotatedSentence(str(i), list(words), []) for i, words in enumerate(sentences)])
    return {name: scored(row[name] for row in rows) for name in tagger.names}


def test_each_head_learns_the_labels_of_its_source(result: JointTagger, sources: list[NerSource]) -> None:
    assert result.names == ("alpha", "beta.b", "gamma")
    for source in sources:
        head = result.head(source.name)
        assert head.labels == source.labels
        scores = head.evaluate(source.sentences("test"))
        assert set(scores.by_label) == set(source.labels)
        assert scores.micro.f1 > 0.7
    assert result.record["arguments"]["sampling_exponent"] == 0.7
    assert FAST.items() <= {**result.record["arguments"], "window_length": 12}.items()
    with pytest.raises(ConfigurationError, match=r"head 'delta': expected one of alpha, beta\.b, gamma"):
        result.head("delta")


def test_one_pass_finds_what_each_head_finds(
    result: JointTagger, sources: list[NerSource], sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = [*sentences, *(s.tokens for s in sources[0].sentences("test"))]
    expected = {name: scored(result.head(name).predict(tokens)) for name in result.names}
    assert any(score < 1 for rows in expected.values() for row in rows for _, score in row)
    rows: list[int] = []
    encoder = result.model.encoder
    forward = encoder.forward
    monkeypatch.setattr(
        encoder,
        "forward",
        lambda **inputs: rows.append(len(inputs["input_ids"])) or forward(**inputs),  # type: ignore[func-returns-value]
    )
    assert read(result, tokens) == expected
    assert sum(rows) == len(result.words.windows(tokens)) > len(tokens) - 2
    assert result.read([]) == ([], [])


def test_it_gives_the_vectors_of_annotated_mentions(result: JointTagger) -> None:
    long = row("the people met " * 60 + "anna/B-per bruno/I-per")
    rows = [row("xyz/B-per anna/I-per met lima/B-loc"), row("nothing here"), long]
    sentences = list(make_source("s", {"train": rows}).sentences("train"))
    _, batches = result.read(sentences)
    vectors = [pair for labels, part in batches for pair in zip(labels, part, strict=True)]
    assert sorted(label for label, _ in vectors) == ["loc", "per", "per"]
    inputs = window_inputs(result.words.windows([sentences[0].tokens]), result.tokenizer.pad_token_id)
    with torch.no_grad():
        states = result.model.word_states(**inputs)[0]
    for label, expected in (("loc", states[3]), ("per", states[:2].mean(0))):
        assert any(
            name == label and np.allclose(vector, expected.numpy(), atol=1e-5) for name, vector in vectors
        )


def test_the_record_of_a_training(result: JointTagger) -> None:
    """The mean of the scores of the heads chooses the epoch, and each head has its part."""
    best = max(result.record["history"], key=lambda entry: entry["f1"])
    assert set(best) == {"epoch", "loss", "f1", "precision", "recall", "sources"}
    micro = {name: scores["micro"] for name, scores in result.record["validation"].items()}
    for name, scores in micro.items():
        for figure in ("f1", "recall"):
            assert best["sources"][name][figure] == pytest.approx(scores[figure], abs=1e-5)
    assert best["f1"] == pytest.approx(sum(scores["f1"] for scores in micro.values()) / 3, abs=1e-5)
    own = result.head("gamma").record
    assert own["validation"] == result.record["validation"]["gamma"]
    assert own["arguments"] == result.record["arguments"]
    assert own["history"] == [
        {"epoch": entry["epoch"], "loss": entry["loss"], **entry["sources"]["gamma"]}
        for entry in result.record["history"]
    ]


def test_the_loss_is_that_of_each_tagger_on_its_own_rows(
    model: JointModel, sources: list[NerSource], encoder_folder: Path
) -> None:
    _, tokenizer = load_encoder(str(encoder_folder))
    rows = JointData(sources, tokenizer, model).train_rows
    # Heads in disorder, one of them absent from the second batch.
    for chosen in ([150, 3, 185, 130, 0, 239, 17], [121, 5, 160]):
        batch = [rows[index] for index in chosen]
        total = torch.zeros(())
        words = 0
        for head in {entry["sources"] for entry in batch}:
            own = TaggingCollator(0, sources=True)([entry for entry in batch if entry["sources"] == head])
            assert own.pop("sources").tolist() == [head] * len(own["labels"])
            count = int((own["labels"] != -100).sum())
            total = total + model.head_model(head)(**own).loss * count
            words += count
        joint = model(**TaggingCollator(0, sources=True)(batch))["loss"]
        assert joint.item() == pytest.approx(total.item() / words, rel=1e-5)
        parameters = [p for p in model.parameters() if p.requires_grad]
        expected, actual = (
            torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (total / words, joint)
        )
        assert any(gradient is None for gradient in actual) == (len(chosen) == 3)
        for one, other in zip(expected, actual, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_all_heads_learn_at_their_own_rate(model: JointModel, tmp_path: Path) -> None:
    given = {**FAST, "adam_beta1": 0.8, "adam_beta2": 0.5, "adam_epsilon": 1e-3}
    groups = tagger_optimizer(model, choose_arguments(model.encoder, 100, str(tmp_path), given)).param_groups
    assert [(g["lr"], g["betas"], g["eps"]) for g in groups] == [
        (rate, (0.8, 0.5), 1e-3) for rate in (1e-2, 1e-2, 2e-2)
    ]
    assert len(groups[2]["params"]) == 3 * (2 + 3)
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_taking_a_head_changes_nothing(model: JointModel) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    state = torch.get_rng_state()
    head = model.head_model(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert (head.encoder, head.classifier, head.training) == (model.encoder, model.classifiers[1], False)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_a_saved_one_is_the_same(
    saved: Path, result: JointTagger, sentences: list[list[str]], tmp_path: Path
) -> None:
    """The encoder lies there once, the same tagger gives the same bytes, and a head is a tagger like any other."""
    loaded = JointTagger.from_pretrained(saved)
    assert loaded.names == result.names
    before = read(result, sentences)
    assert read(loaded, sentences) == before
    loaded.save_pretrained(tmp_path / "again")
    assert {file.name for file in saved.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        "training_history.json",
    }
    for file in saved.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name
    assert str(saved.parent) not in (saved / "config.json").read_text(encoding="utf-8")
    numbers = sum(weight.numel() for weight in result.model.state_dict().values())
    assert 0 < (saved / "model.safetensors").stat().st_size - 4 * numbers < 6000
    result.save_encoder(tmp_path / "encoder")
    encoder, _ = load_encoder(str(tmp_path / "encoder"))
    for name, weight in result.model.encoder.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], weight), name
    loaded.head("beta.b").save_pretrained(tmp_path / "head")
    alone = Tagger.from_pretrained(tmp_path / "head")
    assert scored(alone.predict(sentences)) == before["beta.b"]


def test_damage_is_refused(saved: Path, tmp_path: Path) -> None:
    config = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    heads = [*config["heads"], ["delta", ["O", "B-x", "I-x"]]]
    for content, message in (
        ({"model_type": "esnera-joint-tagger"}, "lacks encoder_config or heads"),
        ({**config, "heads": []}, "lacks encoder_config or heads"),
        ({**config, "heads": [["a", 1]]}, "holds no joint tagger"),
        ({**config, "heads": heads, "temperatures": [1.0] * 4}, r"its weights lack classifiers\.3\.bias"),
    ):
        folder = Path(shutil.copytree(saved, tmp_path / "joint", dirs_exist_ok=True))
        (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(EncoderError, match=message):
            JointTagger.from_pretrained(folder)
    with pytest.raises(EncoderError, match="there is no such folder"):
        JointTagger.from_pretrained(tmp_path / "nothing")


def test_an_interrupted_training_goes_on(
    sources: list[NerSource], encoder_folder: Path, tmp_path: Path, result: JointTagger, interrupted: Any
) -> None:
    with interrupted("on_save"):
        fit_joint_tagger(sources, str(encoder_folder), tmp_path, FAST)
    assert len(list(tmp_path.iterdir())) == 2
    again = fit_joint_tagger(sources, str(encoder_folder), tmp_path, FAST)
    assert again.record == result.record
    for name, weight in result.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], weight), name
