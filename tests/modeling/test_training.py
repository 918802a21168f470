"""Training: it learns, repeats itself, and goes on where it stopped; and the order of what a joint tagger sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import TrainerControl, TrainerState

from builders import VANISHING, make_source, row, toy_source
from esnera_hf.errors import ConfigurationError, EncoderError
from esnera_hf.modeling import training
from esnera_hf.modeling.batches import MixedBatches, even_cuts, quotas
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.training import EarlyStopping, epoch_history, fit_tagger

#: As the fixture ``trained`` was trained.
TOY = toy_source("toy", {"PERSON": "PER", "PLACE": "LOC"}, seed=1)
FAST = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 4, "window_length": 20}


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(weight, other[name]) for name, weight in one.items()
    )


def test_a_toy_task_is_learnt(trained: Tagger, tmp_path: Path) -> None:
    """The best epoch is taken, and its record survives a folder."""
    history, validation = trained.record["history"], trained.record["validation"]
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]
    assert all(set(entry) == {"epoch", "loss", "f1", "precision", "recall"} for entry in history)
    assert history[-1]["loss"] < history[0]["loss"]
    best = max(history, key=lambda entry: entry["f1"])
    for figure in ("f1", "precision", "recall"):
        assert validation["micro"][figure] == pytest.approx(best[figure], abs=1e-5)
    assert validation["micro"]["f1"] > 0.9
    assert set(validation["by_label"]) == {"PER", "LOC"}
    assert trained.evaluate(TOY.sentences("test")).micro.f1 > 0.9
    assert [trained.record["arguments"][name] for name in ("learning_rate", "seed")] == [1e-2, 42]
    trained.save_pretrained(tmp_path)
    loaded = Tagger.from_pretrained(tmp_path)
    assert loaded.record == trained.record
    assert same_weights(loaded.model.state_dict(), trained.model.state_dict())


def test_an_interrupted_training_goes_on_to_the_same_end(
    encoder_folder: Path, tmp_path: Path, trained: Tagger, monkeypatch: pytest.MonkeyPatch, interrupted: Any
) -> None:
    with interrupted("on_save"):
        fit_tagger(TOY, str(encoder_folder), tmp_path, FAST)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["checkpoint-16", "checkpoint-8"]
    steps: list[int] = []
    begin = "on_train_begin"
    monkeypatch.setattr(
        training.TrainingProgress, begin, lambda *given, **_: steps.append(given[2].global_step)
    )
    again = fit_tagger(TOY, str(encoder_folder), tmp_path, FAST)
    assert steps == [16]
    assert again.record == trained.record
    assert same_weights(again.model.state_dict(), trained.model.state_dict())


def test_a_training_that_was_stopped_early_has_come_to_its_end(
    encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: Any
) -> None:
    """Patience counts over interruptions, the best epoch is restored, and a longer training goes on."""
    scores = iter([0.9, 0.2, 0.1, 0.99])
    figures = {"precision": 0.5, "recall": 0.5}
    monkeypatch.setattr(training.TrainingData, "scores", lambda *_: {"f1": next(scores), **figures})
    settings = {**FAST, "early_stopping_patience": 2}
    for event in ("on_save", "on_train_end"):
        with interrupted(event):
            fit_tagger(TOY, str(encoder_folder), tmp_path, settings)
    best = load_file(tmp_path / "checkpoint-8" / "model.safetensors")
    last = load_file(tmp_path / "checkpoint-24" / "model.safetensors")
    result = fit_tagger(TOY, str(encoder_folder), tmp_path, settings)
    assert [entry["f1"] for entry in result.record["history"]] == [0.9, 0.2, 0.1]
    assert same_weights(result.model.state_dict(), best)
    assert not torch.equal(best["classifier.weight"], last["classifier.weight"])
    longer = fit_tagger(TOY, str(encoder_folder), tmp_path, {**settings, "early_stopping_patience": 9})
    assert [entry["f1"] for entry in longer.record["history"]] == [0.9, 0.2, 0.1, 0.99]


def test_nothing_found_does_not_count_against_patience() -> None:
    callback = EarlyStopping(1)
    names = {"metric_for_best_model": "f1", "greater_is_better": True, "load_best_model_at_end": True}
    arguments = SimpleNamespace(**names)
    state, control = TrainerState(best_metric=0.5), TrainerControl()
    for _ in range(3):
        callback.on_evaluate(arguments, state, control, metrics={"eval_f1": 0.0})
    assert control.should_training_stop is False
    callback.on_evaluate(arguments, state, control, metrics={"eval_f1": 0.4})
    assert control.should_training_stop is True


def test_what_cannot_be_trained_is_refused(encoder_folder: Path, tmp_path: Path) -> None:
    rows = {"train": [row("anna/B-PER left")], "validation": [row("anna/B-PER left")]}
    for split in rows:
        nothing = make_source("nothing", {**rows, split: [([VANISHING], ["B-PER"])] * 2})
        message = (
            f"nothing: the encoder's tokenizer turns all words of its {split} split, 2 sentences, into no"
        )
        with pytest.raises(ConfigurationError, match=message):
            fit_tagger(nothing, str(encoder_folder), tmp_path)
    with pytest.raises(EncoderError, match="cannot be loaded"):
        fit_tagger(TOY, str(tmp_path / "nothing"), tmp_path / "out")


def test_long_sentences_and_vanished_words_take_part(encoder_folder: Path, tmp_path: Path) -> None:
    """And another seed gives another tagger."""
    long_row = row("anna/B-PER met bruno/B-PER in the people of " * 12 + f"{VANISHING} paris/B-LOC")
    rows = [long_row, ([VANISHING], ["O"])]
    source = make_source("long", dict.fromkeys(("train", "validation", "test"), rows))
    settings = {**FAST, "num_train_epochs": 1, "window_length": 10}
    result = fit_tagger(source, str(encoder_folder), tmp_path, settings)
    assert result.model.config.window_length == 10
    assert result.record["validation"]["micro"]["support"] == 25
    other = fit_tagger(source, str(encoder_folder), tmp_path / "other", {**settings, "seed": 7})
    assert other.record["arguments"]["seed"] == 7
    assert other.record["history"][0]["loss"] != result.record["history"][0]["loss"]


def test_history_puts_loss_and_scores_of_an_epoch_together() -> None:
    scores = {f"eval_{f}{of}": 0.5 for f in ("f1", "precision", "recall") for of in ("", "/a")}
    log = [
        {"epoch": 1.0, "loss": 2.1234567, "step": 4},
        {"epoch": 1.0, **scores, "eval_f1/a": 0.25, "eval_loss": 3.0},
        {"epoch": 1.96, "loss": 1.0},
        {"epoch": 2.0, **scores, "eval_f1": 0.75},
        {"epoch": 2.0, "train_runtime": 1.0},
    ]
    own = {"f1": 0.5, "precision": 0.5, "recall": 0.5}
    first = {"epoch": 1, "loss": 2.12346, **own}
    assert epoch_history(log) == [first, {"epoch": 2, "loss": 1.0, **own, "f1": 0.75}]
    assert epoch_history(log[:2], ["a"]) == [{**first, "sources": {"a": {**own, "f1": 0.25}}}]


LENGTHS = [10 + i % 7 for i in range(90)] + [5] * 9 + [30, 3, 3]
SOURCES = [2] * 90 + [5] * 9 + [7] * 3


def batches(
    number: int, seed: int = 42, exponent: float = 0.7, process: tuple[int, int] = (0, 1)
) -> list[list[int]]:
    drawn = MixedBatches(LENGTHS, SOURCES, 8, exponent=exponent, seed=seed, process=process)
    drawn.set_epoch(number)
    found = list(drawn)
    assert len(drawn) == len(found)
    return found


def epoch(number: int, **settings: Any) -> list[int]:
    return [row for batch in batches(number, **settings) for row in batch]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.floats(0, 1))
def test_shares_add_up_and_follow_the_sizes(sizes: list[int], exponent: float) -> None:
    assert quotas([90, 9, 3], 0.0) == [34, 34, 34]
    assert quotas([400, 100], 0.5) == [333, 167]
    shares = quotas(sizes, exponent)
    assert sum(shares) == sum(sizes)
    assert min(shares) >= 1
    weights = [size**exponent for size in sizes]
    exact = [sum(sizes) * weight / sum(weights) for weight in weights]
    assert all(abs(one - other) <= 1 for one, other in zip(shares, exact, strict=True))
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    assert all(shares[small] <= shares[large] + 1 for small, large in pairwise(order))


def test_no_row_comes_again_before_all_others_came() -> None:
    seen: Counter[int] = Counter()
    parts = ((0, 90), (90, 99), (99, 102))
    for number in range(7):
        rows = epoch(number)
        assert [sum(start <= row < end for row in rows) for start, end in parts] == quotas([90, 9, 3], 0.7)
        seen.update(rows)
        for start, end in parts:
            counts = [seen[row] for row in range(start, end)]
            assert max(counts) - min(counts) <= 1
    assert sorted(epoch(1, exponent=1.0)) == list(range(102))
    shared = [batches(3, process=(process, 4)) for process in range(4)]
    assert [len(part) for part in shared] == [4] * 4
    assert sorted(row for part in shared for batch in part for row in batch) == sorted([*epoch(3)])


@given(st.lists(st.integers(1, 200), min_size=1, max_size=11), st.data())
def test_batches_cost_as_little_as_can_be(lengths: list[int], data: st.DataObject) -> None:
    """Against all ways to cut the rows."""
    lengths.sort(reverse=True)
    parts = data.draw(st.integers(1, len(lengths)))

    def cost(cuts: Sequence[int]) -> int:
        return max((end - start) * lengths[start] for start, end in pairwise([0, *cuts, len(lengths)]))

    cuts = even_cuts(lengths, parts)
    assert len(set(cuts)) == parts - 1
    assert cost(cuts) == min(cost(other) for other in combinations(range(1, len(lengths)), parts - 1))


def test_batches_of_long_rows_hold_few() -> None:
    lengths = [512, 20, 20, 20] * 40
    batches = list(MixedBatches(lengths, [0] * 160, 16, exponent=1.0, seed=1))
    assert len(batches) == 10
    # Sixteen rows of them, one of them long, would make 16 · 512.
    assert all(len(batch) * max(lengths[row] for row in batch) <= 9 * 512 for batch in batches)
