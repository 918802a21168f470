"""Texts that are nearly the same: candidates by MinHash, then compared exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

#: Jaccard similarity of character 4-grams from which two sentences are nearly the same.
NEAR = 0.8
#: Shorter texts, spaces and punctuation apart, are the same or not: a greeting is not nearly another greeting.
SHORTEST = 12
BANDS, _ROWS = 10, 4
_GRAM = 4
#: Texts of one bucket and split that another text is compared with: bounds the work on texts made from templates.
_COMPARED = 50
#: Characters whose 4-grams are hashed at a time.
_AT_ONCE = 1 << 15

#: Which parts a text stands in.
PartSet = frozenset[int]


def band_hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return a hash of each band of the MinHash signatures of texts. shape: (texts, bands)

    Args:
        texts: each of at least ``SHORTEST`` characters.
    """
    hashes = np.empty((len(texts), BANDS), dtype=np.uint64)
    start = 0
    while start < len(texts):
        end, size = start, 0
        while end < len(texts) and (end == start or size + len(texts[end]) <= _AT_ONCE):
            size += len(texts[end])
            end += 1
        hashes[start:end] = _bands(_signatures(texts[start:end]))
        start = end
    return hashes


def _bands(signatures: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return one number for the rows of each band."""
    rows = signatures.reshape(len(signatures), BANDS, _ROWS)
    mixed = np.zeros(rows.shape[:2], dtype=np.uint64)
    for row in range(_ROWS):
        mixed = (mixed ^ rows[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _signatures(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return the MinHash signatures of texts. shape: (texts, bands * rows)"""
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
    found = np.empty((len(texts), size), dtype=np.uint64)
    for column, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
        found[:, column] = np.minimum.reduceat((grams * factor + offset) >> np.uint64(16), starts)
    return found


def candidate_pairs(hashes: NDArray[np.uint64], parts_of: Callable[[int], PartSet]) -> NDArray[np.int64]:
    """Return the pairs of texts that may be nearly the same and do not both lie in one part alone.

    Args:
        hashes: of each text, shape (texts, bands).
        parts_of: gives the parts of a text by its position.

    Returns:
        Positions of texts, ascending, without repetition. shape: (pairs, 2)
    """
    size = len(hashes)
    known = np.empty(0, dtype=np.int64)
    for band in range(BANDS):
        codes = [one * size + other for one, other in _band_pairs(hashes[:, band], parts_of)]
        known = np.union1d(known, np.array(codes, dtype=np.int64))
    return np.stack(np.divmod(known, max(size, 1)), axis=1)


def _band_pairs(hashes: NDArray[np.uint64], parts_of: Callable[[int], PartSet]) -> Iterator[tuple[int, int]]:
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    ends = np.append(starts[1:], len(order))
    shared = ends - starts > 1
    for start, end in zip(starts[shared].tolist(), ends[shared].tolist(), strict=True):
        yield from _candidates(order[start:end].tolist(), parts_of)


def _candidates(bucket: Sequence[int], parts_of: Callable[[int], PartSet]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of a bucket that lie in different parts, with a bounded number for each."""
    kept: dict[PartSet, list[int]] = defaultdict(list)
    for position in bucket:
        own = parts_of(position)
        for others, members in kept.items():
            if len(own | others) > 1:
                for member in members:
                    yield member, position
        if len(kept[own]) < _COMPARED:
            kept[own].append(position)


def jaccard(one: str, other: str) -> float:
    """Return the Jaccard similarity of the character 4-grams of two texts of at least four characters."""
    first, second = _grams(one), _grams(other)
    return len(first & second) / len(first | second)


def _grams(text: str) -> set[str]:
    return {text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1)}
