"""Windows to padded tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor

from esnera_hf.modeling.hub_code.windows import Window, encoder_inputs, pad
from esnera_hf.modeling.together import launch_state

T = TypeVar("T")

#: Sentences held at once when predicting: enough to sort by length, few enough to stay small.
CHUNK = 2048


def device() -> torch.device:
    """Return the device of this process: a GPU if there is one, unless ``ACCELERATE_USE_CPU`` is set."""
    return torch.device(launch_state().device)


def prediction_batch_size() -> int:
    """Return how many windows to predict at once on this machine."""
    return 32 if device().type == "cpu" else 128


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def batches_by_length(windows: Sequence[Window], size: int) -> Iterator[list[int]]:
    """Yield indices of windows of like length, the longest first."""
    order = sorted(range(len(windows)), key=lambda i: -len(windows[i].input_ids))
    yield from chunks(order, size)


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
