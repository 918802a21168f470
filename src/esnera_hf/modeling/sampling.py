"""The order in which a joint tagger sees the sentences of its sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices


def quotas(sizes: Sequence[int], exponent: float) -> list[int]:
    """Return how many rows of each source make up an epoch: shares ∝ size^exponent of all rows.

    Args:
        sizes: rows of each source, each above 0.
        exponent: in [0, 1]: 1 leaves the sources as they are, 0 makes them equal.

    Returns:
        Numbers that add up to the sum of the sizes (largest remainders are rounded up).
    """
    total = sum(sizes)
    weights = np.array(sizes, dtype=np.float64) ** exponent
    shares = total * weights / weights.sum()
    whole = np.floor(shares).astype(int)
    remainders = shares - whole
    for index in np.argsort(-remainders, kind="stable")[: total - whole.sum()]:
        whole[index] += 1
    return whole.tolist()  # type: ignore[no-any-return]


class TemperatureSampler(Sampler[int]):
    """Draws the rows of an epoch from several sources, and groups those of like length.

    The rows of a source are gone through in an order that is drawn anew each
    time all of them were used: none comes again before. Epoch, seed and sizes
    decide everything, so that a training that was interrupted goes on alike.

    Args:
        lengths: of the rows of each source; rows are numbered source by source.
        batch_size: rows a batch.
        exponent: see :func:`quotas`.
        seed: of the order.
    """

    def __init__(self, lengths: Sequence[Sequence[int]], batch_size: int, exponent: float, seed: int) -> None:
        self.lengths = [list(own) for own in lengths]
        self.quotas = quotas([len(own) for own in self.lengths], exponent)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return sum(self.quotas)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that is drawn next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        drawn: list[int] = []
        lengths: list[int] = []
        offset = 0
        for source, own in enumerate(self.lengths):
            rows = list(self._rows(source))
            drawn.extend(offset + row for row in rows)
            lengths.extend(own[row] for row in rows)
            offset += len(own)
        generator = torch.Generator().manual_seed(_seed(self.seed, self.epoch))
        order = get_length_grouped_indices(lengths, self.batch_size, generator=generator)
        yield from (drawn[index] for index in order)

    def _rows(self, source: int) -> Iterator[int]:
        """Yield the rows of a source in this epoch."""
        size = len(self.lengths[source])
        start = self.epoch * self.quotas[source]
        end = start + self.quotas[source]
        for lap in range(start // size, -(-end // size)):
            generator = torch.Generator().manual_seed(_seed(self.seed, source, lap))
            order = torch.randperm(size, generator=generator).tolist()
            yield from order[max(start - lap * size, 0) : end - lap * size]


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence([part % 2**32 for part in parts]).generate_state(1)[0])
