"""Windows to padded tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor

from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.hub_code.windows import Window, encoder_inputs, pad
from esnera_hf.modeling.together import launch_state

T = TypeVar("T")
# What the layers of an encoder compute for so many pieces still fits into the caches of a CPU.
_PIECES_ON_CPU = 1280
_PIECES_ON_GPU = 16384

#: Sentences held at once when predicting: enough to sort by length, few enough to stay small.
CHUNK = 2048


def device() -> torch.device:
    """Return the device of this process: a GPU if there is one, unless ``ACCELERATE_USE_CPU`` is set."""
    return torch.device(launch_state().device)


def mixed_precision() -> AbstractContextManager[Any]:
    """Return a context that computes in bfloat16 what bears it, on a GPU made for that; else nothing changes."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if has_bfloat16() else nullcontext()


def has_bfloat16() -> bool:
    """Tell whether this process computes on a GPU made for bfloat16."""
    return device().type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def batches_by_length(windows: Sequence[Window], size: int | None = None) -> Iterator[list[int]]:
    """Yield indices of windows of like length, the longest first.

    Args:
        windows: the windows.
        size: how many at once; as many as hold a number of pieces that suits
            this machine if not given.

    Raises:
        ConfigurationError: the size is below 1.
    """
    if size is not None and size < 1:
        raise ConfigurationError(f"batch_size={size}: expected a number of windows, at least 1, or None.")
    order = sorted(range(len(windows)), key=lambda i: -len(windows[i].input_ids))
    if size is not None:
        yield from chunks(order, size)
        return
    pieces = _PIECES_ON_CPU if device().type == "cpu" else _PIECES_ON_GPU
    start = 0
    while start < len(order):
        end = start + max(1, pieces // len(windows[order[start]].input_ids))
        yield order[start:end]
        start = end


class TaggingCollator:
    """Pads training rows: pieces, word positions (-1) and labels (-100).

    Args:
        pad_id: id of the padding piece.
    """

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        batch = encoder_inputs([row["input_ids"] for row in rows], self.pad_id)
        batch["word_positions"] = pad([row["word_positions"] for row in rows], -1)
        batch["labels"] = pad([row["labels"] for row in rows], -100)
        return batch
