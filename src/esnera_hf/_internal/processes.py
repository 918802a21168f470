"""The processes of one launch: ``accelerate launch`` and ``torchrun`` start several of the same command."""

from __future__ import annotations

import os

# Of torchrun and accelerate; of MPI's launchers, which accelerate understands; of Slurm's srun, which it does not.
_COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
_INDICES = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID")


def process_count() -> int:
    """Return how many processes were launched together; 1 without a launcher."""
    return _first(_COUNTS, 1)


def process_index() -> int:
    """Return which of the processes launched together this one is, from 0."""
    # A stale RANK of a shell counts for nothing where one process was launched.
    return _first(_INDICES, 0) if process_count() > 1 else 0


def is_main_process() -> bool:
    """Tell whether this process is the one that writes, prints and publishes."""
    return process_index() == 0


def _first(names: tuple[str, ...], default: int) -> int:
    return next((int(value) for name in names if (value := os.environ.get(name))), default)
