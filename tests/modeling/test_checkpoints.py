"""The checkpoint that a training goes on from, after it was killed at whatever moment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from esnera_hf.modeling.checkpoints import CheckpointRecorder, best_of_stopped, last_whole_checkpoint

FILES = ("model.safetensors", "optimizer.pt")


def checkpoint(folder: Path, step: int, best: int | None = None, *, recorded: bool = True) -> Path:
    """Write a checkpoint as the Trainer does, the state last."""
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    for name in FILES:
        (place / name).write_bytes(b"x")
    state = {"global_step": step, "best_model_checkpoint": best and str(folder / f"checkpoint-{best}")}
    (place / "trainer_state.json").write_text(json.dumps(state))
    if recorded:
        arguments: Any = SimpleNamespace(output_dir=str(folder))
        CheckpointRecorder().on_save(arguments, SimpleNamespace(global_step=step), None)
    return place


def test_in_order_of_steps(tmp_path: Path) -> None:
    assert last_whole_checkpoint(tmp_path / "missing") is None
    assert last_whole_checkpoint(tmp_path) is None
    for step in (9, 100, 10):
        checkpoint(tmp_path, step)
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-100")


@pytest.mark.parametrize("lost", [None, *FILES, "trainer_state.json"])
def test_one_that_is_not_whole_gives_way_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: str | None
) -> None:
    """Killed before all processes had written their parts, or while the Trainer removed it."""
    first, second = checkpoint(tmp_path, 8), checkpoint(tmp_path, 16, best=8, recorded=lost is not None)
    if lost is not None:
        (second / lost).unlink()
    assert last_whole_checkpoint(tmp_path) == str(first)
    assert not second.exists()
    assert f"checkpoint {second} is not used and removed: it was not written" in capsys.readouterr().err


def test_without_the_best_weights_nothing_later_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Going on without them would end with other weights than an undisturbed training; a moved folder lacks them."""
    checkpoint(tmp_path / "old", 8)
    last = checkpoint(tmp_path / "old", 16, best=8)
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    assert last_whole_checkpoint(tmp_path / "new") == str(tmp_path / "new" / "checkpoint-8")
    (tmp_path / "old" / "checkpoint-8" / "model.safetensors").unlink()
    assert last_whole_checkpoint(tmp_path / "old") is None
    assert not last.exists()
    assert "the best weights so far, checkpoint-8, are no longer there" in capsys.readouterr().err


def test_a_training_that_was_stopped_early(tmp_path: Path) -> None:
    """It has come to its end if the same is planned and patience had run out."""
    last = checkpoint(tmp_path, 24, best=8)
    state = json.loads((last / "trainer_state.json").read_text())
    counter = {"EarlyStopping": {"attributes": {"early_stopping_patience_counter": 2}}}
    state |= {"num_train_epochs": 5, "max_steps": 60, "stateful_callbacks": counter}
    (last / "trainer_state.json").write_text(json.dumps(state))
    epochs, steps = {"num_train_epochs": 5}, {"max_steps": 60}
    for planned, patience in ((epochs, 2), (epochs, 1), (steps, 2)):
        assert best_of_stopped(last, planned, patience) == tmp_path / "checkpoint-8"
    for planned, patience in ((epochs, 3), ({"num_train_epochs": 6}, 2), ({"max_steps": 80}, 2)):
        assert best_of_stopped(last, planned, patience) is None
