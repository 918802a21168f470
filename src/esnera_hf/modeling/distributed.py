"""Several processes of one launch as one; that one of them has ended is a ConfigurationError in the others."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, parse_flag_from_env

from esnera_hf._internal.console import say
from esnera_hf._internal.processes import process_count
from esnera_hf.errors import ConfigurationError

Value = TypeVar("Value", bool, str | None)
#: How long one process waits for another that is alive, e.g. while that one waits for the lock of an artifact
#: which another launch makes. A process that dies is noticed at once.
_PATIENCE = timedelta(hours=3)


def launch_state() -> PartialState:
    """Return the state of this process, joined with those launched beside it.

    Raises:
        ConfigurationError: they do not find each other, and would do the same
            work each by itself; or there are more of them than GPUs.
    """
    count = process_count()
    if count > 1:
        state = _joined(count)
    else:
        state = PartialState()
        gpus = torch.cuda.device_count()
        if state.device.type == "cuda" and gpus > 1:
            _say_once(
                f"{gpus} GPUs are visible, and one process uses one. All of them: "
                f"`accelerate launch --multi_gpu --num_processes {gpus} …`"
            )
        elif "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ:
            # Accelerate starts a single process so, although it was asked for several.
            _say_once(
                "accelerate started one process. If more were wanted: "
                "`accelerate launch --multi_gpu --num_processes N …`, without a GPU, too."
            )
    if state.num_processes != count:
        raise _not_together(count, f"{state.num_processes} known to each")
    return state


def _joined(count: int) -> PartialState:
    cpu = not torch.cuda.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
    local, gpus = int(os.environ.get("LOCAL_WORLD_SIZE") or 1), torch.cuda.device_count()
    if not cpu and local > gpus:
        raise ConfigurationError(
            f"{local} processes were launched on a machine where {gpus} GPUs are visible. Expected at most one per "
            f"GPU: `accelerate launch --multi_gpu --num_processes {gpus} …`"
        )
    try:
        state = PartialState(cpu=cpu, timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        # Behind the first line stands a trace of C++.
        raise _not_together(count, str(error).strip().split("\n")[0]) from error
    _part_at_exit()
    return state


@cache
def _part_at_exit() -> None:
    """Close the connections before Python ends.

    One of their threads that outlives it aborts the process now and then
    (status -6), and a launcher then takes work well done for failed.
    """
    atexit.register(lambda: torch.distributed.is_initialized() and torch.distributed.destroy_process_group())


@cache
def _say_once(message: str) -> None:
    say(message)


def _not_together(count: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{count} processes were launched and do not work together ({why}). "
        f"Launch them with `accelerate launch --multi_gpu --num_processes {count} …` or "
        f"`torchrun --nproc_per_node {count} …`; without a GPU they talk over gloo."
    )


def broadcast(value: Value) -> Value:
    """Return the value of the main process, in every process."""
    if launch_state().num_processes == 1:
        return value
    values = [value]
    with _talking():
        broadcast_object_list(values)
    return values[0]


def wait_for_all() -> None:
    """Wait until every process has come here."""
    with _talking():
        launch_state().wait_for_everyone()


@contextmanager
def _talking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ConfigurationError(
            f"another of the {process_count()} processes launched together has ended or does not answer "
            f"({str(error).strip().splitlines()[0]}). If it could say why, it has. What was finished is kept, "
            "and the same command goes on from there."
        ) from error
