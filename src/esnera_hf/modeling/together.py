"""Several processes of one launch as one training."""

from __future__ import annotations

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from esnera_hf.errors import ConfigurationError
from esnera_hf.processes import process_count


def launch_state() -> PartialState:
    """Return the state of this process, joined with those launched beside it.

    Raises:
        ConfigurationError: they do not find each other, and would do the same
            work each by itself.
    """
    count = process_count()
    try:
        state = PartialState(cpu=True) if count > 1 and not torch.cuda.is_available() else PartialState()
    except (ValueError, RuntimeError) as error:
        raise _not_together(count, str(error).strip().split("\n")[0]) from error
    if state.num_processes != count:
        raise _not_together(count, f"{state.num_processes} known to each")
    return state


def _not_together(count: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{count} processes were launched and do not work together ({why}). "
        f"Launch them with `accelerate launch --multi_gpu --num_processes {count} …` or "
        f"`torchrun --nproc_per_node {count} …`; without a GPU they talk over gloo."
    )


def agreed(value: bool) -> bool:
    """Return what the main process thinks, in every process."""
    if launch_state().num_processes == 1:
        return value
    answers = [value]
    broadcast_object_list(answers)
    return answers[0]


def wait_for_all() -> None:
    """Wait until every process has come here."""
    launch_state().wait_for_everyone()
