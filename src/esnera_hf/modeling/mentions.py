"""Where mentions lie in windows, and their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esnera_hf.modeling.hub_code.windows import Window
from esnera_hf.modeling.tokenization import words_within
from esnera_hf.tagging import Entity


@dataclass(frozen=True, slots=True)
class Mention:
    """An annotated entity in a batch of windows.

    Attributes:
        row: index of its window in the batch.
        first: index of its first word in ``window.words``.
        beyond: index of the word after its last one.
        label: its label.
    """

    row: int
    first: int
    beyond: int
    label: str


def mentions_within(windows: Sequence[Window], annotated: Sequence[Sequence[Entity]]) -> list[Mention]:
    """Return the mentions of windows, but for those whose words the tokenizer turns into nothing.

    An entity that a cut parts is one in each of its windows.

    Args:
        windows: a batch.
        annotated: the entities of each sentence, by ``window.sentence``.
    """
    found = []
    for row, window in enumerate(windows):
        for entity in annotated[window.sentence]:
            first, beyond = words_within(window, entity)
            if first < beyond:
                found.append(Mention(row, first, beyond, entity.label))
    return found


def span_means(states: Tensor, spans: Sequence[tuple[int, int, int]]) -> NDArray[np.float32]:
    """Return the mean state of each span, shape (spans, width).

    Args:
        states: shape (rows, positions, width).
        spans: row, first position and the one after the last, never empty.
    """
    if not spans:
        return np.empty((0, states.shape[2]), dtype=np.float32)
    rows, starts, ends = np.array(spans).T
    lengths = ends - starts
    offsets = np.cumsum(lengths) - lengths
    positions = np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
    within = torch.from_numpy(np.repeat(rows, lengths)), torch.from_numpy(positions)
    flat = states[tuple(index.to(states.device) for index in within)].float().cpu().numpy()
    return np.asarray(np.add.reduceat(flat, offsets, axis=0) / lengths[:, None], dtype=np.float32)
