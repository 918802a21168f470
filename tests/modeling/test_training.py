"""Training: it learns, repeats itself, and goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerControl, TrainerState

from builders import VANISHING, make_source, row, toy_source
from esnera_hf.errors import ConfigurationError, EncoderError
from esnera_hf.modeling import training
from esnera_hf.modeling.arguments import choose_arguments
from esnera_hf.modeling.encoders import load_encoder
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.training import EarlyStopping, epoch_history, fit_tagger, tagger_optimizer
from esnera_hf.sources.source import NerSource

NAMES = {"PERSON": "PER", "PLACE": "LOC"}
FAST = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 8}
SHORT = {**FAST, "num_train_epochs": 4}


@pytest.fixture(scope="module")
def source() -> NerSource:
    return toy_source("toy", NAMES, seed=1)


@pytest.fixture(scope="module")
def short(source: NerSource, encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return fit_tagger(source, str(encoder_folder), tmp_path_factory.mktemp("short"), SHORT)


class Interrupt(training.TrainingProgress):
    """Raises KeyboardInterrupt once the checkpoint of the second epoch is written."""

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.epoch is not None and state.epoch >= 2:
            raise KeyboardInterrupt


class StartRecorder(training.TrainingProgress):
    """Records the step at which a training begins."""

    started_at: int

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        StartRecorder.started_at = state.global_step
        super().on_train_begin(args, state, control, **kwargs)


def weights(result: Tagger) -> dict[str, torch.Tensor]:
    return result.model.state_dict()


def test_a_toy_task_is_learnt(source: NerSource, encoder_folder: Path, tmp_path: Path) -> None:
    result = fit_tagger(source, str(encoder_folder), tmp_path, FAST)
    assert result.record["validation"]["micro"]["f1"] > 0.9
    assert set(result.record["validation"]["by_label"]) == {"PER", "LOC"}
    assert result.evaluate(source.sentences("test")).micro.f1 > 0.9
    assert [entry["epoch"] for entry in result.record["history"]] == list(
        range(1, len(result.record["history"]) + 1)
    )
    assert result.record["history"][-1]["loss"] < result.record["history"][0]["loss"]
    assert all(
        set(entry) == {"epoch", "loss", "f1", "precision", "recall"} for entry in result.record["history"]
    )
    assert {name: result.record["arguments"][name] for name in FAST} == FAST


def test_the_scores_of_the_history_are_those_of_the_tagger(short: Tagger) -> None:
    best = max(short.record["history"], key=lambda entry: entry["f1"])
    assert best["f1"] > 0
    assert short.record["validation"]["micro"]["f1"] == pytest.approx(best["f1"], abs=1e-5)
    assert short.record["validation"]["micro"]["precision"] == pytest.approx(best["precision"], abs=1e-5)
    assert short.record["validation"]["micro"]["recall"] == pytest.approx(best["recall"], abs=1e-5)


def test_the_same_seed_gives_the_same_training(
    source: NerSource, encoder_folder: Path, tmp_path: Path, short: Tagger
) -> None:
    again = fit_tagger(source, str(encoder_folder), tmp_path, SHORT)
    assert again.record["history"] == short.record["history"]
    for name, weight in weights(short).items():
        assert torch.equal(weights(again)[name], weight), name


def test_another_seed_gives_another_training(
    source: NerSource, encoder_folder: Path, tmp_path: Path, short: Tagger
) -> None:
    other = fit_tagger(source, str(encoder_folder), tmp_path, {**SHORT, "num_train_epochs": 1, "seed": 7})
    assert other.record["history"][0]["loss"] != short.record["history"][0]["loss"]
    assert other.record["arguments"]["seed"] == 7


@pytest.mark.parametrize("damaged", [False, True])
def test_an_interrupted_training_goes_on(
    source: NerSource,
    encoder_folder: Path,
    tmp_path: Path,
    short: Tagger,
    monkeypatch: pytest.MonkeyPatch,
    damaged: bool,
) -> None:
    monkeypatch.setattr(training, "TrainingProgress", Interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit_tagger(source, str(encoder_folder), tmp_path, SHORT)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["checkpoint-16", "checkpoint-8"]
    if damaged:
        (tmp_path / "checkpoint-16" / "trainer_state.json").unlink()
    monkeypatch.setattr(training, "TrainingProgress", StartRecorder)
    result = fit_tagger(source, str(encoder_folder), tmp_path, SHORT)
    assert StartRecorder.started_at == (8 if damaged else 16)
    assert result.record["history"] == short.record["history"]
    for name, weight in weights(short).items():
        assert torch.equal(weights(result)[name], weight), name


def test_the_best_epoch_is_restored_and_training_stops_early(
    source: NerSource, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.0, 0.9, 0.2, 0.1, 0.3, 0.4])
    monkeypatch.setattr(
        training.TrainingData,
        "scores",
        lambda self, prediction: {"f1": next(scores), "precision": 0.5, "recall": 0.5},
    )
    settings = {**FAST, "early_stopping_patience": 2}
    result = fit_tagger(source, str(encoder_folder), tmp_path, settings)
    assert [entry["f1"] for entry in result.record["history"]] == [0.0, 0.9, 0.2, 0.1]
    best, last = (load_file(tmp_path / f"checkpoint-{step}" / "model.safetensors") for step in (16, 32))
    for name, weight in best.items():
        assert torch.equal(weights(result)[name], weight), name
    assert not torch.equal(best["classifier.weight"], last["classifier.weight"])


def test_patience_outlasts_an_interruption(
    source: NerSource, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.9, 0.2, 0.1, 0.3, 0.4, 0.5])
    monkeypatch.setattr(
        training.TrainingData,
        "scores",
        lambda self, prediction: {"f1": next(scores), "precision": 0.5, "recall": 0.5},
    )
    settings = {**FAST, "early_stopping_patience": 2}
    with monkeypatch.context() as patch:
        patch.setattr(training, "TrainingProgress", Interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit_tagger(source, str(encoder_folder), tmp_path, settings)
    result = fit_tagger(source, str(encoder_folder), tmp_path, settings)
    assert [entry["f1"] for entry in result.record["history"]] == [0.9, 0.2, 0.1]


class InterruptAtTheEnd(training.TrainingProgress):
    """Raises KeyboardInterrupt when the training is done and nothing is made of it yet."""

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("patience", [2, 9])
def test_a_training_that_had_come_to_its_end_is_not_gone_on_with(
    source: NerSource, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    """Patience of 2 stops it early, with 9 it ends with the last epoch."""
    scores = iter([0.9, 0.2, 0.1, 0.3, 0.4, 0.99, 0.99])
    monkeypatch.setattr(
        training.TrainingData,
        "scores",
        lambda self, prediction: {"f1": next(scores), "precision": 0.5, "recall": 0.5},
    )
    settings = {**FAST, "num_train_epochs": 5, "early_stopping_patience": patience}
    with monkeypatch.context() as patch:
        patch.setattr(training, "TrainingProgress", InterruptAtTheEnd)
        with pytest.raises(KeyboardInterrupt):
            fit_tagger(source, str(encoder_folder), tmp_path, settings)
    best = load_file(tmp_path / "checkpoint-8" / "model.safetensors")
    result = fit_tagger(source, str(encoder_folder), tmp_path, settings)
    assert [entry["f1"] for entry in result.record["history"]] == [0.9, 0.2, 0.1, 0.3, 0.4][
        : 3 if patience == 2 else 5
    ]
    for name, weight in best.items():
        assert torch.equal(weights(result)[name], weight), name
    more = {**settings, "num_train_epochs": 6, "early_stopping_patience": 9}
    longer = fit_tagger(source, str(encoder_folder), tmp_path, more)
    assert len(longer.record["history"]) > len(result.record["history"])


def test_a_training_of_so_many_steps_that_was_stopped_is_not_gone_on_with(
    source: NerSource, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.9, 0.2, 0.1])
    monkeypatch.setattr(
        training.TrainingData,
        "scores",
        lambda self, prediction: {"f1": next(scores), "precision": 0.5, "recall": 0.5},
    )
    settings = {**FAST, "max_steps": 60, "early_stopping_patience": 2}
    with monkeypatch.context() as patch:
        patch.setattr(training, "TrainingProgress", InterruptAtTheEnd)
        with pytest.raises(KeyboardInterrupt):
            fit_tagger(source, str(encoder_folder), tmp_path, settings)
    result = fit_tagger(source, str(encoder_folder), tmp_path, settings)
    assert [entry["f1"] for entry in result.record["history"]] == [0.9, 0.2, 0.1]


@pytest.mark.parametrize("changed", [{"adam_epsilon": 1.0}, {"adam_beta1": 0.0}, {"adam_beta2": 0.5}])
def test_the_optimizer_has_the_settings_given(
    encoder_folder: Path, tmp_path: Path, changed: dict[str, float]
) -> None:
    encoder, _ = load_encoder(str(encoder_folder))
    arguments = choose_arguments(encoder, 100, str(tmp_path), {"adam_beta1": 0.8, **changed})
    optimizer = tagger_optimizer(CrfTagger.from_encoder(encoder, ["O", "B-x", "I-x"]), arguments)
    assert len(optimizer.param_groups) == 3
    for group in optimizer.param_groups:
        assert group["betas"] == (changed.get("adam_beta1", 0.8), changed.get("adam_beta2", 0.999))
        assert group["eps"] == changed.get("adam_epsilon", 1e-8)


def test_nothing_found_does_not_count_against_patience() -> None:
    callback = EarlyStopping(1)
    arguments = SimpleNamespace(
        metric_for_best_model="f1", greater_is_better=True, load_best_model_at_end=True
    )
    state, control = TrainerState(best_metric=0.5), TrainerControl()
    for _ in range(3):
        callback.on_evaluate(arguments, state, control, metrics={"eval_f1": 0.0})
    assert control.should_training_stop is False
    callback.on_evaluate(arguments, state, control, metrics={"eval_f1": 0.4})
    assert control.should_training_stop is True


@pytest.mark.parametrize("split", ["train", "validation"])
def test_words_that_all_vanish_are_refused(encoder_folder: Path, tmp_path: Path, split: str) -> None:
    rows = {"train": [row("anna/B-PER left")], "validation": [row("anna/B-PER left")]}
    nothing = make_source("nothing", {**rows, split: [([VANISHING], ["B-PER"])] * 2})
    message = (
        f"nothing: the encoder's tokenizer turns all words of its {split} split, 2 sentences, into nothing"
    )
    with pytest.raises(ConfigurationError, match=message):
        fit_tagger(nothing, str(encoder_folder), tmp_path)


def test_batches_that_are_all_dropped_are_refused(
    source: NerSource, encoder_folder: Path, tmp_path: Path
) -> None:
    settings = {"dataloader_drop_last": True, "per_device_train_batch_size": 500}
    with pytest.raises(
        ConfigurationError, match=r"expected at least a batch of 500 windows, found 120\. Leave"
    ):
        fit_tagger(source, str(encoder_folder), tmp_path, settings)


def test_an_encoder_that_is_not_there(source: NerSource, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be loaded"):
        fit_tagger(source, str(tmp_path / "nothing"), tmp_path / "out")


def test_history_puts_loss_and_scores_of_an_epoch_together() -> None:
    log = [
        {"epoch": 1.0, "loss": 2.1234567, "step": 4},
        {"epoch": 1.0, "eval_f1": 0.5, "eval_precision": 0.25, "eval_recall": 1.0, "eval_loss": 3.0},
        {"epoch": 1.96, "loss": 1.0},
        {"epoch": 2.0, "eval_f1": 0.75, "eval_precision": 0.75, "eval_recall": 0.75},
        {"epoch": 2.0, "train_runtime": 1.0},
    ]
    assert epoch_history(log) == [
        {"epoch": 1, "loss": 2.12346, "f1": 0.5, "precision": 0.25, "recall": 1.0},
        {"epoch": 2, "loss": 1.0, "f1": 0.75, "precision": 0.75, "recall": 0.75},
    ]


def test_a_result_survives_its_folder(short: Tagger, tmp_path: Path) -> None:
    short.save_pretrained(tmp_path)
    loaded = Tagger.from_pretrained(tmp_path)
    for name, weight in weights(short).items():
        assert torch.equal(weights(loaded)[name], weight), name
    assert loaded.record == short.record
    assert set(short.record) == {"validation", "history", "arguments"}


def test_long_sentences_and_vanished_words_take_part_in_training(
    encoder_folder: Path, tmp_path: Path
) -> None:
    long_row = row("anna/B-PER met bruno/B-PER in the people of " * 12 + f"{VANISHING} paris/B-LOC")
    empty_row = ([VANISHING], ["O"])
    source = make_source("long", {split: [long_row, empty_row] for split in ("train", "validation", "test")})
    settings = {**FAST, "num_train_epochs": 2, "window_length": 10}
    result = fit_tagger(source, str(encoder_folder), tmp_path, settings)
    assert result.model.config.window_length == 10
    assert result.record["validation"]["micro"]["support"] == 25
