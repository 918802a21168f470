"""Checkpoints of a training: which of them are whole, so that it can go on after whatever stopped it."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerCallback

from esnera_hf.console import say
from esnera_hf.manifest import Manifest
from esnera_hf.modeling.together import agreed, wait_for_all
from esnera_hf.processes import is_main_process

_MANIFEST_FILE = "manifest.json"
_PREFIX = "checkpoint-"


class CheckpointRecorder(TrainerCallback):  # type: ignore[misc]
    """Notes what each checkpoint holds once every process has written its part."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        wait_for_all()
        folder = Path(args.output_dir) / f"{_PREFIX}{state.global_step}"
        if not is_main_process() or not folder.is_dir():
            return
        new = folder / f"{_MANIFEST_FILE}.new"
        new.write_text(json.dumps(Manifest.of(folder).to_dict(), indent=1), encoding="utf-8")
        new.replace(folder / _MANIFEST_FILE)


def last_whole_checkpoint(output_dir: Path) -> str | None:
    """Return the latest checkpoint that a training can go on from, ``None`` if there is none.

    It is whole, and so is the one with the best weights so far, which are
    taken in the end. Those that are not are thrown away, which is said. The
    processes of a launch go by what the main one finds.
    """
    return agreed(_last_whole(output_dir) if is_main_process() else None)


def best_of_stopped(checkpoint: Path, planned: Mapping[str, int], patience: int) -> Path | None:
    """Return the checkpoint with the best weights of a training that had been stopped early, ``None`` of any other.

    Args:
        checkpoint: the last one of the training.
        planned: how much is to be trained at most: ``num_train_epochs`` or ``max_steps``.
        patience: epochs without a better score after which training stops.
    """
    state = _state(checkpoint)
    stopping = state.get("stateful_callbacks", {}).get("EarlyStopping", {}).get("attributes", {})
    best = state.get("best_model_checkpoint")
    stopped = stopping.get("early_stopping_patience_counter", 0) >= patience
    if best is None or not stopped or any(state.get(name) != value for name, value in planned.items()):
        return None
    return checkpoint.parent / Path(best).name


def _last_whole(output_dir: Path) -> str | None:
    folders = sorted(output_dir.glob(f"{_PREFIX}*"), key=_step, reverse=True)
    problems = {folder: _problem(folder) for folder in folders}
    for folder, problem in problems.items():
        if problem:
            _throw_away(folder, problem)
    for folder in folders:
        if problems[folder]:
            continue
        best = _state(folder).get("best_model_checkpoint")
        if best is None:
            return str(folder)
        place = Path(best)
        if problems.get(output_dir / place.name, "missing") or place.parent.resolve() != output_dir.resolve():
            _throw_away(folder, f"the best weights so far, {place.name}, are no longer there")
            continue
        return str(folder)
    return None


def _step(folder: Path) -> int:
    number = folder.name.removeprefix(_PREFIX)
    return int(number) if number.isdecimal() else -1


def _throw_away(folder: Path, problem: str) -> None:
    say(f"checkpoint {folder} is not used and thrown away: {problem}")
    shutil.rmtree(folder, ignore_errors=True)


def _state(folder: Path) -> dict[str, Any]:
    state = json.loads((folder / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    if not isinstance(state, dict):
        raise ValueError(f"{TRAINER_STATE_NAME} is no JSON object")
    return state


def _problem(folder: Path) -> str:
    """Say what is wrong with a checkpoint; ``""`` if nothing is.

    One that was written and not noted yet when the process was killed is looked
    at for files that end too early: its last file, the state, is written last.
    """
    try:
        _state(folder)
        noted = folder / _MANIFEST_FILE
        if noted.is_file():
            manifest = Manifest.from_dict(json.loads(noted.read_text(encoding="utf-8")))
            return manifest.damage(folder, whole=False)
        for file in folder.iterdir():
            if file.suffix == ".safetensors":
                _check_safetensors(file)
            elif file.suffix in (".pt", ".pth") and not zipfile.is_zipfile(file):
                return f"{file.name} ends too early"
    except FileNotFoundError as error:
        return f"it was not written to its end, {Path(error.filename).name} is missing"
    except (ValueError, struct.error) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _check_safetensors(file: Path) -> None:
    """Check that a file of weights is as long as it says.

    Raises:
        ValueError: it is not.
    """
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > file.stat().st_size:
            raise ValueError(f"{file.name} ends too early")
        header = json.loads(stream.read(length))
    end = max(
        (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0
    )
    if file.stat().st_size != 8 + length + end:
        raise ValueError(f"{file.name} ends too early")
