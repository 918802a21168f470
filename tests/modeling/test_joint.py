"""A joint tagger: its loss, what its heads learn, what it keeps, and that it goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from builders import make_source, row, toy_source
from esnera_hf.errors import ConfigurationError, EncoderError
from esnera_hf.modeling import training
from esnera_hf.modeling.arguments import choose_arguments
from esnera_hf.modeling.encoders import load_encoder
from esnera_hf.modeling.hub_code.crf import ConstrainedCRF
from esnera_hf.modeling.hub_code.windows import window_inputs
from esnera_hf.modeling.joint import JointModel, JointTagger, RowwiseCRF
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import TaggingCollator
from esnera_hf.modeling.training import (
    JointData,
    epoch_history,
    fit_joint_tagger,
    tagger_optimizer,
)
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.tagging import Entity, iob2_tag_set

FAST = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 5}
SHORT = {**FAST, "num_train_epochs": 4}


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


def scored(rows: Iterable[Sequence[Entity]]) -> list[list[tuple[Entity, float]]]:
    """Return entities with their scores, which are no part of their equality."""
    return [[(entity, entity.score) for entity in row] for row in rows]


def weights(tagger: JointTagger) -> dict[str, Tensor]:
    return dict(tagger.model.state_dict())


def unannotated(sentences: Sequence[Sequence[str]]) -> list[AnnotatedSentence]:
    return [AnnotatedSentence(str(number), list(words), []) for number, words in enumerate(sentences)]


def test_each_head_learns_the_labels_of_its_source(result: JointTagger, sources: list[NerSource]) -> None:
    assert result.names == ("alpha", "beta.b", "gamma")
    for source in sources:
        head = result.head(source.name)
        assert head.labels == source.labels
        scores = head.evaluate(source.sentences("test"))
        assert set(scores.by_label) == set(source.labels)
        assert scores.micro.f1 > 0.7
    assert result.record["arguments"]["sampling_exponent"] == 0.7
    assert {name: result.record["arguments"][name] for name in FAST} == FAST


def test_one_pass_finds_what_each_head_finds(
    result: JointTagger, sources: list[NerSource], sentences: list[list[str]]
) -> None:
    tokens = [*sentences, *(s.tokens for s in sources[1].sentences("test"))]
    found = result.read(unannotated(tokens))[0]
    assert len(found) == len(tokens)
    for name in result.names:
        expected = list(result.head(name).predict(tokens, scores=True))
        assert scored(by_name[name] for by_name in found) == scored(expected)
        assert any(entity.score < 1 for entities in expected for entity in entities)


def test_annotated_sentences_give_the_vectors_of_their_mentions_too(result: JointTagger) -> None:
    tagger = result
    long = row("the people met " * 60 + "anna/B-per bruno/I-per")
    rows = [row("xyz/B-per anna/I-per met lima/B-loc"), row("nothing here"), long]
    sentences = list(make_source("s", {"train": rows}).sentences("train"))
    found, vectors = tagger.read(sentences)
    assert scored(r["gamma"] for r in found) == scored(
        tagger.head("gamma").predict([s.tokens for s in sentences], scores=True)
    )
    by_label = {label: vector for labels, part in vectors for label, vector in zip(labels, part, strict=True)}
    assert sorted(label for labels, _ in vectors for label in labels) == ["loc", "per", "per"]

    def states(words: list[str]) -> Tensor:
        inputs = window_inputs(tagger.words.windows([words]), tagger.tokenizer.pad_token_id)
        with torch.no_grad():
            return tagger.model.word_states(**inputs)[0]

    alone = states(sentences[0].tokens)
    np.testing.assert_allclose(by_label["loc"], alone[3].numpy(), atol=1e-5)
    of_persons = [
        v for labels, part in vectors for label, v in zip(labels, part, strict=True) if label == "per"
    ]
    assert any(np.allclose(vector, alone[:2].mean(0).numpy(), atol=1e-5) for vector in of_persons)
    assert tagger.read([]) == ([], [])


def test_the_encoder_runs_once_for_all_heads(
    result: JointTagger, sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    encoder = result.model.encoder
    forward = encoder.forward
    monkeypatch.setattr(
        encoder,
        "forward",
        lambda **inputs: rows.append(len(inputs["input_ids"])) or forward(**inputs),  # type: ignore[func-returns-value]
    )
    result.read(unannotated(sentences))
    assert sum(rows) == len(result.words.windows(sentences)) > len(sentences) - 2


def test_the_scores_of_the_history_are_those_of_the_heads(result: JointTagger) -> None:
    best = max(result.record["history"], key=lambda entry: entry["f1"])
    assert set(best) == {"epoch", "loss", "f1", "precision", "recall", "sources"}
    micro = {name: scores["micro"] for name, scores in result.record["validation"].items()}
    for name, scores in micro.items():
        assert best["sources"][name]["f1"] == pytest.approx(scores["f1"], abs=1e-5)
        assert best["sources"][name]["recall"] == pytest.approx(scores["recall"], abs=1e-5)
    assert best["f1"] == pytest.approx(sum(scores["f1"] for scores in micro.values()) / 3, abs=1e-5)


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
        for head in {entry["heads"] for entry in batch}:
            own = TaggingCollator(0)([entry for entry in batch if entry["heads"] == head])
            assert own.pop("heads").tolist() == [head] * len(own["labels"])
            count = int((own["labels"] != -100).sum())
            total = total + model.head_model(head)(**own).loss * count
            words += count
        joint = model(**TaggingCollator(0)(batch))["loss"]
        assert joint.item() == pytest.approx(total.item() / words, rel=1e-5)
        parameters = [p for p in model.parameters() if p.requires_grad]
        expected = torch.autograd.grad(total / words, parameters, allow_unused=True)
        found = torch.autograd.grad(joint, parameters, allow_unused=True)
        assert any(gradient is None for gradient in found) == (len(chosen) == 3)
        for one, other in zip(expected, found, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_rows_of_several_crfs_are_scored_and_decoded_as_by_their_own() -> None:
    torch.manual_seed(1)
    crfs = [ConstrainedCRF(iob2_tag_set(labels)) for labels in (("a",), ("a", "b", "c"), ("x", "y"))]
    rows = torch.tensor([2, 0, 1, 0, 2, 1])
    mask = torch.arange(5) < torch.tensor([5, 1, 3, 4, 2, 5]).unsqueeze(1)
    emissions = torch.randn(6, 5, 7) * 3
    joined = RowwiseCRF(crfs, rows)
    paths, marginals = joined.viterbi(emissions, mask), joined.marginals(emissions, mask)
    tags = paths.clamp(min=0)
    likelihood = joined(emissions, tags, mask, reduction="none")
    for index, which in enumerate(rows.tolist()):
        size = crfs[which].num_tags
        own, own_mask = emissions[index : index + 1, :, :size], mask[index : index + 1]
        assert torch.equal(crfs[which].viterbi(own, own_mask)[0], paths[index])
        torch.testing.assert_close(crfs[which].marginals(own, own_mask)[0], marginals[index, :, :size])
        assert marginals[index, :, size:].eq(0).all()
        expected = crfs[which](own, tags[index : index + 1], own_mask, reduction="none")[0]
        torch.testing.assert_close(expected, likelihood[index])


def test_all_heads_learn_at_their_own_rate(model: JointModel, tmp_path: Path) -> None:
    arguments = choose_arguments(model.encoder, 100, str(tmp_path), FAST)
    *encoder, heads = tagger_optimizer(model, arguments).param_groups
    assert [group["lr"] for group in encoder] == [1e-2, 1e-2]
    assert heads["lr"] == 2e-2
    assert len(heads["params"]) == 3 * (2 + 3)
    assert sum(len(group["params"]) for group in (*encoder, heads)) == len(list(model.parameters()))


def test_taking_a_head_changes_nothing(model: JointModel) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    state = torch.get_rng_state()
    head = model.head_model(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert head.encoder is model.encoder
    assert head.classifier is model.classifiers[1]
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert not head.training


def test_an_unknown_head(result: JointTagger) -> None:
    with pytest.raises(ConfigurationError, match=r"head 'delta': expected one of alpha, beta\.b, gamma"):
        result.head("delta")


class TestSaved:
    def test_it_finds_the_same(self, saved: Path, result: JointTagger, sentences: Any) -> None:
        loaded = JointTagger.from_pretrained(saved)
        assert loaded.names == result.names
        found = loaded.read(unannotated(sentences))[0]
        expected = result.read(unannotated(sentences))[0]
        for name in loaded.names:
            assert scored(row[name] for row in found) == scored(row[name] for row in expected)

    def test_the_encoder_is_there_once(self, saved: Path, result: JointTagger) -> None:
        assert sorted(file.name for file in saved.iterdir()) == [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "training_history.json",
        ]
        numbers = sum(weight.numel() for weight in weights(result).values())
        assert 0 < (saved / "model.safetensors").stat().st_size - 4 * numbers < 6000

    def test_the_same_bytes(self, saved: Path, tmp_path: Path) -> None:
        JointTagger.from_pretrained(saved).save_pretrained(tmp_path)
        for file in saved.iterdir():
            assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name
        assert str(saved.parent) not in (saved / "config.json").read_text(encoding="utf-8")

    def test_a_head_knows_how_it_was_trained(self, saved: Path, result: JointTagger) -> None:
        record = JointTagger.from_pretrained(saved).head("gamma").record
        assert record["validation"] == result.record["validation"]["gamma"]
        assert record["arguments"] == result.record["arguments"]
        assert record["history"] == [
            {"epoch": entry["epoch"], "loss": entry["loss"], **entry["sources"]["gamma"]}
            for entry in result.record["history"]
        ]

    def test_a_head_is_a_tagger_like_any_other(
        self, saved: Path, sentences: list[list[str]], tmp_path: Path
    ) -> None:
        head = JointTagger.from_pretrained(saved).head("beta.b")
        head.save_pretrained(tmp_path)
        alone = Tagger.from_pretrained(tmp_path)
        assert scored(alone.predict(sentences, scores=True)) == scored(head.predict(sentences, scores=True))

    @pytest.mark.parametrize(
        ("file", "content", "message"),
        [
            ("config.json", b"{", "config.json"),
            ("config.json", b'{"model_type": "bert"}', "a model of type 'bert'"),
            ("config.json", b'{"model_type": "esnera-joint-tagger"}', "lacks encoder_config"),
            (
                "config.json",
                b'{"model_type": "esnera-joint-tagger", "encoder_config": {"model_type": "bert"}}',
                "lacks encoder_config or heads",
            ),
            (
                "config.json",
                b'{"model_type": "esnera-joint-tagger", "encoder_config": {"model_type": "bert"}, "heads": [["a", 1]]}',
                "holds no joint tagger that can be loaded",
            ),
            ("model.safetensors", b"", "delete it and run the same command again"),
            ("model.safetensors", None, "no file named model.safetensors"),
            ("tokenizer.json", None, r"there is no tokenizer\.json"),
            ("tokenizer.json", b"{", "holds no joint tagger that can be loaded"),
        ],
    )
    def test_damage_is_refused(
        self, saved: Path, tmp_path: Path, file: str, content: bytes | None, message: str
    ) -> None:
        for one in saved.iterdir():
            (tmp_path / one.name).write_bytes(one.read_bytes())
        if content is None:
            (tmp_path / file).unlink()
        else:
            (tmp_path / file).write_bytes(content)
        with pytest.raises(EncoderError, match=message):
            JointTagger.from_pretrained(tmp_path)

    def test_cut_or_foreign_weights_are_refused(self, saved: Path, tmp_path: Path) -> None:
        for one in saved.iterdir():
            (tmp_path / one.name).write_bytes(one.read_bytes())
        weights_file = tmp_path / "model.safetensors"
        whole = weights_file.read_bytes()
        weights_file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(EncoderError, match="holds no joint tagger"):
            JointTagger.from_pretrained(tmp_path)
        weights_file.write_bytes(whole)
        config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
        config["heads"].append(["delta", ["O", "B-x", "I-x"]])
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(EncoderError, match=r"its weights lack classifiers\.3\.bias"):
            JointTagger.from_pretrained(tmp_path)

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(EncoderError, match="there is no such folder"):
            JointTagger.from_pretrained(tmp_path / "nothing")


class Interrupt(training.TrainingProgress):
    """Raises KeyboardInterrupt once the checkpoint of the second epoch is written."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.epoch >= 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def undisturbed(
    sources: list[NerSource], encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> JointTagger:
    return fit_joint_tagger(sources, str(encoder_folder), tmp_path_factory.mktemp("short"), SHORT)


def test_an_interrupted_training_goes_on(
    sources: list[NerSource],
    encoder_folder: Path,
    tmp_path: Path,
    undisturbed: JointTagger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, "TrainingProgress", Interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit_joint_tagger(sources, str(encoder_folder), tmp_path, SHORT)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["checkpoint-15", "checkpoint-30"]
    again = fit_joint_tagger(sources, str(encoder_folder), tmp_path, SHORT)
    assert again.record["history"] == undisturbed.record["history"]
    for name, weight in weights(undisturbed).items():
        assert torch.equal(weights(again)[name], weight), name


def test_the_mean_over_sources_chooses_the_epoch(
    sources: list[NerSource], encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: Iterator[float] = iter([0.9, 0.1, 0.2, 0.5, 0.5, 0.5, 0.3, 0.4, 0.5, 0.1, 0.1, 0.1])
    monkeypatch.setattr(
        "esnera_hf.modeling.training_data.TrainingData.scores",
        lambda self, prediction: {"f1": next(figures), "precision": 0.5, "recall": 0.25},
    )
    settings = {**SHORT, "early_stopping_patience": 2}
    result = fit_joint_tagger(sources, str(encoder_folder), tmp_path, settings)
    assert [entry["f1"] for entry in result.record["history"]] == [0.4, 0.5, 0.4, 0.1]
    assert result.record["history"][0]["sources"]["alpha"] == {"f1": 0.9, "precision": 0.5, "recall": 0.25}
    for name, weight in load_file(tmp_path / "checkpoint-30" / "model.safetensors").items():
        assert torch.equal(weights(result)[name], weight), name


def test_long_sentences_take_part_in_training(encoder_folder: Path, tmp_path: Path) -> None:
    long_row = row("anna/B-PER met bruno/B-PER in the people of " * 12 + "paris/B-LOC")
    splits = {split: [long_row] for split in ("train", "validation", "test")}
    sources = [make_source("long", splits), toy_source("toy", {"PERSON": "P"}, seed=1, train=10)]
    settings = {**FAST, "num_train_epochs": 1, "window_length": 10}
    result = fit_joint_tagger(sources, str(encoder_folder), tmp_path, settings)
    assert result.record["validation"]["long"]["micro"]["support"] == 25
    assert len(result.record["history"]) == 1


def test_history_puts_loss_and_scores_of_an_epoch_together() -> None:
    scores = {
        f"eval_{figure}{of}": 0.5 for figure in ("f1", "precision", "recall") for of in ("", "/a", "/b")
    }
    own = {"f1": 0.5, "precision": 0.5, "recall": 0.5}
    log = [{"epoch": 1.0, "loss": 2.1234567}, {"epoch": 1.0, **scores, "eval_f1/b": 0.25}, {"epoch": 1.0}]
    assert epoch_history(log, ["a", "b"]) == [
        {"epoch": 1, "loss": 2.12346, **own, "sources": {"a": own, "b": {**own, "f1": 0.25}}}
    ]


@pytest.mark.parametrize("exponent", [-0.1, 1.5])
def test_a_bad_exponent_is_refused(
    sources: list[NerSource], encoder_folder: Path, tmp_path: Path, exponent: float
) -> None:
    with pytest.raises(ConfigurationError, match=r"sampling_exponent=.*expected a number from 0 to 1"):
        fit_joint_tagger(sources, str(encoder_folder), tmp_path, {"sampling_exponent": exponent})
