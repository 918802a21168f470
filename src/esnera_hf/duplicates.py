"""The same or nearly the same sentence in two splits or two sources.

Candidates come from MinHash signatures of character 4-grams (Broder 1997) in
bands; every candidate pair is then compared exactly.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esnera_hf.sources import AnnotatedSentence, NerSource

#: Jaccard similarity of character 4-grams from which two sentences are nearly the same.
NEAR = 0.8
#: Shorter texts are compared whole: a greeting is not a leak of another greeting.
SHORTEST = 12
_GRAM = 4
_BANDS, _ROWS = 10, 4


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One sentence of one source."""

    source: str
    split: str
    id: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two sentences with the same or nearly the same text.

    Attributes:
        first: the one, in the order of source, split and id.
        second: the other.
        exact: equal after Unicode, case, space and punctuation are levelled.
        conflict: an equal token sequence annotated with other spans or, within
            one source, other labels.
        text: of the first, for people to read.
    """

    first: Place
    second: Place
    exact: bool
    conflict: bool
    text: str


def normalise(text: str) -> str:
    """Level Unicode form, width, case, spaces and punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def find_duplicates(sources: Sequence[NerSource]) -> list[Duplicate]:
    """Find duplicates between the splits of all sources, and conflicting ones within a split.

    Args:
        sources: one or more sources.

    Returns:
        Pairs in a stable order; of many copies of one text each is paired with
        the first of its split and source.
    """
    entries = [
        _Entry(Place(source.name, split, sentence.id), sentence)
        for source in sources
        for split in source.dataset
        for sentence in source.sentences(split)
    ]
    pairs = {tuple(sorted(pair)): True for pair in _equal_pairs(entries)}
    for pair in _near_pairs(entries):
        pairs.setdefault(tuple(sorted(pair)), False)
    found = []
    for (i, j), exact in sorted(pairs.items()):
        first, second = sorted((entries[i], entries[j]), key=lambda entry: entry.place)
        conflict = first.conflicts_with(second)
        same_split = (first.place.source, first.place.split) == (second.place.source, second.place.split)
        if not same_split or conflict:
            found.append(Duplicate(first.place, second.place, exact, conflict, first.text))
    return sorted(found, key=lambda d: (d.first, d.second))


class _Entry:
    """A sentence with what comparisons need."""

    __slots__ = ("entities", "key", "place", "text", "tokens")

    def __init__(self, place: Place, sentence: AnnotatedSentence) -> None:
        self.place = place
        self.text = "".join(sentence.tokens) if len(sentence.tokens) < 400 else "".join(sentence.tokens[:400])
        self.tokens = tuple(sentence.tokens)
        self.entities = tuple((e.start, e.end, e.label) for e in sentence.entities)
        self.key = normalise("".join(sentence.tokens))

    def conflicts_with(self, other: _Entry) -> bool:
        if self.tokens != other.tokens:
            return False
        if self.place.source == other.place.source:
            return self.entities != other.entities
        return [e[:2] for e in self.entities] != [e[:2] for e in other.entities]


def _equal_pairs(entries: Sequence[_Entry]) -> Iterator[tuple[int, int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, entry in enumerate(entries):
        if entry.key:
            groups[entry.key].append(index)
    for members in groups.values():
        yield from _pairs_with_firsts(entries, members)


def _pairs_with_firsts(entries: Sequence[_Entry], members: list[int]) -> Iterator[tuple[int, int]]:
    """Pair each member with the first member of every source and split."""
    firsts: dict[tuple[str, str], int] = {}
    for index in members:
        place = entries[index].place
        for first in firsts.values():
            yield first, index
        firsts.setdefault((place.source, place.split), index)


def _near_pairs(entries: Sequence[_Entry]) -> Iterator[tuple[int, int]]:
    unique: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if len(entry.key) >= SHORTEST:
            unique.setdefault(entry.key, index)
    indices = list(unique.values())
    signatures = _signatures(entries[i].key for i in indices)
    seen: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for position, row in enumerate(signatures[:, band * _ROWS : (band + 1) * _ROWS]):
            buckets[row.tobytes()].append(position)
        for bucket in buckets.values():
            for position in bucket[1:]:
                pair = (indices[bucket[0]], indices[position])
                if pair not in seen:
                    seen.add(pair)
                    if _jaccard(entries[pair[0]].key, entries[pair[1]].key) >= NEAR:
                        yield pair


def _signatures(keys: Iterable[str]) -> NDArray[np.uint64]:
    generator = np.random.default_rng(20250809)
    size = _BANDS * _ROWS
    factor = generator.integers(1, 1 << 31, size=size, dtype=np.uint64) | np.uint64(1)
    offset = generator.integers(0, 1 << 31, size=size, dtype=np.uint64)
    rows = []
    for key in keys:
        codes = np.frombuffer(key.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
        grams = np.zeros(len(codes) - _GRAM + 1, dtype=np.uint64)
        for shift in range(_GRAM):
            grams = grams * np.uint64(1_000_003) + codes[shift : len(codes) - _GRAM + 1 + shift]
        grams ^= grams >> np.uint64(29)
        hashed = (grams[:, None] * factor + offset) >> np.uint64(16)
        rows.append(hashed.min(axis=0))
    return np.array(rows, dtype=np.uint64).reshape(len(rows), size)


def _jaccard(a: str, b: str) -> float:
    first = {a[i : i + _GRAM] for i in range(len(a) - _GRAM + 1)}
    second = {b[i : i + _GRAM] for i in range(len(b) - _GRAM + 1)}
    return len(first & second) / len(first | second)
