"""What computations run on, for reports: with another number of threads the last digits may differ."""

from __future__ import annotations

from typing import Any

import torch

from esnera_hf.modeling.batching import device
from esnera_hf.processes import process_count


def describe_machine() -> dict[str, Any]:
    """Return the device, the number of threads a process computes with, and the number of processes."""
    target = device()
    name = torch.cuda.get_device_name(target) if target.type == "cuda" else target.type
    return {"device": name, "threads": torch.get_num_threads(), "processes": process_count()}
