"""The batches of an epoch: rows of several sources mixed, and alike in what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

#: Batches whose rows are sorted by length together: few enough that each holds rows of several sources.
_SORTED_TOGETHER = 4


class MixedBatches(Sampler[list[int]]):
    """Draws the rows of an epoch from one or several sources, and shares them out to batches of like cost.

    The rows of a source are gone through in an order that is drawn anew each
    time all of them were used: none comes again before. Epoch, seed and sizes
    decide everything, so that a training that was interrupted goes on alike.

    A batch of long rows has few of them, so that all batches, padded, hold about as
    many pieces; their number depends on that of the rows alone.

    Args:
        lengths: of the rows.
        sources: the number of each row's source.
        batch_size: rows per batch, on average.
        exponent: see :func:`quotas`.
        process: number of this process, and of all of them, which take turns at the batches.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        sources: Sequence[int],
        batch_size: int,
        *,
        exponent: float,
        seed: int,
        process: tuple[int, int] = (0, 1),
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.sources = [np.flatnonzero(np.equal(sources, source)) for source in sorted(set(sources))]
        self.quotas = quotas([len(rows) for rows in self.sources], exponent)
        self.process, self.processes = process
        # As many for each process, since they wait for each other.
        self.count = -(-len(self.lengths) // (batch_size * self.processes)) * self.processes
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.count // self.processes

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that is drawn next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        rows = np.concatenate([part for source in range(len(self.sources)) for part in self._rows(source)])
        rows = np.resize(rows, max(len(rows), self.count))
        draw = np.random.default_rng([self.seed, self.epoch])
        draw.shuffle(rows)
        groups = -(-self.count // _SORTED_TOGETHER)
        batches: list[list[int]] = []
        for group, several in enumerate(np.array_split(rows, groups)):
            longest_first = several[np.argsort(-self.lengths[several], kind="stable")]
            share = self.count // groups + (group < self.count % groups)
            cuts = even_cuts(self.lengths[longest_first].tolist(), share)
            batches += [part.tolist() for part in np.split(longest_first, cuts)]
        draw.shuffle(batches)
        yield from batches[self.process :: self.processes]

    def _rows(self, source: int) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of a source in this epoch, lap by lap."""
        rows = self.sources[source]
        size = len(rows)
        start = self.epoch * self.quotas[source]
        end = start + self.quotas[source]
        # An order of its own seed per lap: an interrupted training need not draw the earlier ones again.
        for lap in range(start // size, -(-end // size)):
            order = np.random.default_rng([self.seed, source, lap]).permutation(rows)
            yield order[max(start - lap * size, 0) : end - lap * size]


def even_cuts(lengths: Sequence[int], parts: int) -> list[int]:
    """Return where to cut rows into parts so that the costliest, padded to its longest row, costs least.

    Args:
        lengths: of the rows, the longest first, at least as many as parts.
        parts: how many there are to be, none of them empty.

    Returns:
        Where each part but the first begins.
    """

    def cuts_within(limit: int) -> list[int]:
        starts = [0]
        for row in range(1, len(lengths)):
            begun = starts[-1]
            # The last rows are kept apart where the parts would else be too few.
            if (row + 1 - begun) * lengths[begun] > limit or len(lengths) - row == parts - len(starts):
                starts.append(row)
        return starts[1:]

    low, high = lengths[0], lengths[0] * len(lengths)
    while low < high:
        middle = (low + high) // 2
        if len(cuts_within(middle)) < parts:
            high = middle
        else:
            low = middle + 1
    return cuts_within(low)


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
    # An epoch is as long as one over all rows, so that its number of steps is known beforehand.
    for index in np.argsort(-remainders, kind="stable")[: total - whole.sum()]:
        whole[index] += 1
    return whole.tolist()  # type: ignore[no-any-return]
