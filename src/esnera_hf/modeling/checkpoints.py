"""Checkpoints of a training, from which it goes on after whatever stopped it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from esnera_hf._internal.console import say
from esnera_hf._internal.processes import is_main_process
from esnera_hf.modeling.distributed import broadcast, wait_for_all

#: Lists the files of a checkpoint. The Trainer writes and removes files one by one, loads a checkpoint
#: without an optimizer as if nothing were amiss, and would then train something else.
_FILES = "files.json"


class CheckpointRecorder(TrainerCallback):  # type: ignore[misc]
    """Lists the files of each checkpoint once every process has written its part."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        wait_for_all()
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if is_main_process() and folder.is_dir():
            names = sorted(file.name for file in folder.iterdir())
            new = folder / f"{_FILES}.new"
            new.write_text(json.dumps(names), encoding="utf-8")
            new.replace(folder / _FILES)


def last_whole_checkpoint(output_dir: Path) -> str | None:
    """Return the latest checkpoint that a training can go on from, ``None`` if there is none.

    It is whole, and so is the one with the best weights so far, which are
    taken in the end. Later ones are removed. The processes of a launch go by
    the choice of the main one.
    """
    return broadcast(_last_whole(output_dir) if is_main_process() else None)


def _last_whole(output_dir: Path) -> str | None:
    while output_dir.is_dir() and (name := get_last_checkpoint(output_dir)):
        problem = _problem(Path(name))
        if not problem:
            return str(Path(name))
        say(f"checkpoint {name} is not used and removed: {problem}")
        shutil.rmtree(name)
    return None


def _problem(checkpoint: Path) -> str:
    """Say why a training cannot go on from a checkpoint; ``""`` if it can."""
    if not _is_whole(checkpoint):
        return "it was not written to its end, or is partly removed"
    best = _state(checkpoint)["best_model_checkpoint"]
    if best is not None:
        # The Trainer looks for it at the place that the state names: a folder that was moved begins anew.
        here = Path(best).parent.resolve() == checkpoint.parent.resolve()
        if not here or not _is_whole(Path(best)):
            return f"the best weights so far, {Path(best).name}, are no longer there"
    return ""


def _is_whole(checkpoint: Path) -> bool:
    listed = checkpoint / _FILES
    if not listed.is_file():
        return False
    return all((checkpoint / name).is_file() for name in json.loads(listed.read_text(encoding="utf-8")))


def _state(checkpoint: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    return state


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
