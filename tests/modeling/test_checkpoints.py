"""Which checkpoints a training goes on from, after kills, cuts and flipped bits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from esnera_hf.modeling.checkpoints import CheckpointRecorder, last_whole_checkpoint


def checkpoint(folder: Path, step: int, best: int | None = None, *, noted: bool = True) -> Path:
    """Write a checkpoint as the Trainer does, the state last."""
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    save_file({"weight": torch.full((50,), float(step))}, place / "model.safetensors")
    torch.save({"step": step}, place / "optimizer.pt")
    state = {"global_step": step, "best_model_checkpoint": best and str(folder / f"checkpoint-{best}")}
    (place / "trainer_state.json").write_text(json.dumps(state))
    if noted:
        arguments: Any = SimpleNamespace(output_dir=str(folder))
        CheckpointRecorder().on_save(arguments, SimpleNamespace(global_step=step), None)
    return place


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    file.write_bytes(content)


def test_in_order_of_steps(tmp_path: Path) -> None:
    assert last_whole_checkpoint(tmp_path / "missing") is None
    assert last_whole_checkpoint(tmp_path) is None
    for step in (9, 100, 10):
        checkpoint(tmp_path, step)
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-100")


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("model.safetensors", cut, "model.safetensors"),
        ("optimizer.pt", cut, "optimizer.pt"),
        ("trainer_state.json", cut, "JSONDecodeError"),
        ("trainer_state.json", Path.unlink, "trainer_state.json is missing"),
    ],
)
def test_one_that_is_cut_gives_way_to_the_one_before(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    noted: bool,
    name: str,
    damage: Callable[[Path], None],
    said: str,
) -> None:
    first = checkpoint(tmp_path, 8)
    second = checkpoint(tmp_path, 16, best=8, noted=noted)
    damage(second / name)
    assert last_whole_checkpoint(tmp_path) == str(first)
    assert not second.exists()
    told = capsys.readouterr().err
    assert said in told
    assert str(second) in told


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "trainer_state.json"])
def test_a_flipped_bit_is_found(tmp_path: Path, name: str) -> None:
    first, second = checkpoint(tmp_path, 8), checkpoint(tmp_path, 16)
    flip(second / name)
    assert last_whole_checkpoint(tmp_path) == str(first)


def test_without_the_best_weights_nothing_later_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Going on without them would end with other weights than an undisturbed training."""
    best, last = checkpoint(tmp_path, 8), checkpoint(tmp_path, 24, best=8)
    flip(best / "model.safetensors")
    assert last_whole_checkpoint(tmp_path) is None
    assert not last.exists()
    assert "the best weights so far, checkpoint-8, are no longer there" in capsys.readouterr().err


def test_half_removed_ones_play_no_part(tmp_path: Path) -> None:
    """The Trainer removes older ones, and may be killed while it does."""
    half = checkpoint(tmp_path, 8)
    (half / "model.safetensors").unlink()
    checkpoint(tmp_path, 16)
    last = checkpoint(tmp_path, 24, best=16)
    assert last_whole_checkpoint(tmp_path) == str(last)
    assert not half.exists()


def test_a_folder_that_was_moved_begins_anew(tmp_path: Path) -> None:
    """The state names the best weights by their place, which the Trainer would not find."""
    checkpoint(tmp_path / "old", 8)
    checkpoint(tmp_path / "old", 16, best=8)
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert last_whole_checkpoint(tmp_path / "new") == str(tmp_path / "new" / "checkpoint-8")
