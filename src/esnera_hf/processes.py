"""The processes of one launch: ``accelerate launch`` and ``torchrun`` start several of the same command."""

from __future__ import annotations

import os


def process_count() -> int:
    """Return how many processes were launched together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def is_main_process() -> bool:
    """Tell whether this process is the one that writes, prints and publishes."""
    return int(os.environ.get("RANK") or 0) == 0
