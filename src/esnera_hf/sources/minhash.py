"""Texts that may be nearly the same: MinHash signatures of character 4-grams in bands (Broder 1997).

Ten bands of four rows find a pair of Jaccard similarity 0.8 with a probability of 0.995, one of 0.9 with a
probability of 0.99998.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

BANDS, _ROWS, _GRAM = 10, 4, 4
#: Texts of one bucket and split that another text is compared with: bounds the work on texts made from templates.
_COMPARED = 50
#: Characters whose 4-grams are hashed at a time: their signatures fit the processor's cache.
_CHARACTERS = 1 << 15

#: The parts (source and split) that a text stands in.
PartSet = frozenset[int]


def band_hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return a hash of each band of the signatures of texts of at least four characters. shape: (texts, bands)"""
    hashes = np.zeros((len(texts), BANDS), dtype=np.uint64)
    blocks = np.cumsum([len(text) for text in texts], dtype=np.int64) // _CHARACTERS
    start = 0
    for size in np.unique(blocks, return_counts=True)[1].tolist():
        mixed = hashes[start : start + size]
        rows = _signatures(texts[start : start + size]).reshape(size, BANDS, _ROWS)
        # The four rows of a band in one number: multiplied by the golden ratio, folded, as splitmix64 does.
        for row in range(_ROWS):
            mixed[:] = (mixed ^ rows[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(31)
        start += size
    return hashes


def _signatures(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return the MinHash signatures of texts. shape: (texts, bands * rows)"""
    # Any seed will do, as long as it stays: the candidates, and so what is nearly the same, depend on it.
    generator = np.random.default_rng(20250809)
    size = BANDS * _ROWS
    factors = generator.integers(1, 1 << 63, size=size, dtype=np.uint64) | np.uint64(1)
    offsets = generator.integers(0, 1 << 63, size=size, dtype=np.uint64)
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(encoded, dtype=np.uint32).astype(np.uint64)
    grams = np.zeros(len(codes) - _GRAM + 1, dtype=np.uint64)
    for shift in range(_GRAM):
        grams = grams * np.uint64(1_000_003) + codes[shift : len(grams) + shift]
    lengths = np.array([len(text) for text in texts])
    ends = np.cumsum(lengths)
    inside = np.ones(len(codes), dtype=bool)
    for shift in range(1, _GRAM):
        inside[ends - shift] = False  # grams that reach into the next text
    grams = grams[inside[: len(grams)]]
    grams ^= grams >> np.uint64(29)
    starts = np.cumsum(lengths - _GRAM + 1) - (lengths - _GRAM + 1)
    signatures = np.empty((len(texts), size), dtype=np.uint64)
    for column, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
        signatures[:, column] = np.minimum.reduceat((grams * factor + offset) >> np.uint64(16), starts)
    return signatures


def candidate_pairs(hashes: NDArray[np.uint64], parts_of: Callable[[int], PartSet]) -> NDArray[np.int64]:
    """Return the pairs of texts that may be nearly the same and do not both lie in one part alone.

    Args:
        hashes: of the bands of each text. shape: (texts, bands)
        parts_of: gives the parts of a text by its position.

    Returns:
        Positions of texts, ascending, without repetition. shape: (pairs, 2)
    """
    size = len(hashes)
    codes = np.empty(0, dtype=np.int64)
    for band in hashes.T:
        order = np.argsort(band, kind="stable")
        ranked = band[order]
        starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        ends = np.append(starts[1:], size)
        shared = np.flatnonzero(ends - starts > 1)
        buckets = (order[starts[bucket] : ends[bucket]].tolist() for bucket in shared)
        new = [one * size + other for bucket in buckets for one, other in _bucket_pairs(bucket, parts_of)]
        codes = np.union1d(codes, np.array(new, dtype=np.int64))
    return np.stack(np.divmod(codes, max(size, 1)), axis=1)


def _bucket_pairs(bucket: Sequence[int], parts_of: Callable[[int], PartSet]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of a bucket that lie in different parts, with a bounded number for each."""
    by_parts: dict[PartSet, list[int]] = defaultdict(list)
    for position in bucket:
        own = parts_of(position)
        for others, members in by_parts.items():
            if len(own | others) > 1:
                for member in members:
                    yield member, position
        if len(by_parts[own]) < _COMPARED:
            by_parts[own].append(position)


def jaccard(one: str, other: str) -> float:
    """Return the Jaccard similarity of the character 4-grams of two texts of at least four characters."""
    first, second = ({text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1)} for text in (one, other))
    return len(first & second) / len(first | second)
