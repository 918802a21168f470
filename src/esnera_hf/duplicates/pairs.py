"""Which sentences are the same or nearly the same, by their numbers."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from esnera_hf.duplicates.near import BANDS, NEAR, SHORTEST, PartSet, band_hashes, candidate_pairs, jaccard
from esnera_hf.duplicates.texts import Span, Texts
from esnera_hf.sources import NerSource

#: Candidate pairs, and sentences whose annotation is looked at, at a time.
_AT_ONCE = 20_000

_Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class DuplicatePairs:
    """Pairs of sentences with the same or nearly the same text, in the order of the sentences.

    Attributes:
        first: number of the one.
        second: number of the other, which is larger.
        exact: whether their levelled texts are equal.
        conflict: exact, and annotated in a way that cannot both be right.
        texts: the sentences.
    """

    first: _Numbers
    second: _Numbers
    exact: NDArray[np.bool_]
    conflict: NDArray[np.bool_]
    texts: Texts = field(repr=False)


class _Groups(NamedTuple):
    """Sentences of one text each, those of a group in their order; sentences of punctuation alone are in none."""

    members: _Numbers
    parts: NDArray[np.int32]
    starts: _Numbers
    ends: _Numbers

    def of(self, group: int) -> _Numbers:
        """Return the sentences of a group."""
        return self.members[self.starts[group] : self.ends[group]]

    def parts_of(self, group: int) -> list[int]:
        """Return the parts of the sentences of a group."""
        parts: list[int] = self.parts[self.starts[group] : self.ends[group]].tolist()
        return parts

    def firsts(self, group: int) -> dict[int, int]:
        """Return the first sentence of a group in each part."""
        firsts: dict[int, int] = {}
        for part, number in zip(self.parts_of(group), self.of(group).tolist(), strict=True):
            firsts.setdefault(part, number)
        return firsts


#: First, second, exact, conflict.
_Pair = tuple[int, int, bool, bool]


def find_pairs(sources: Sequence[NerSource]) -> DuplicatePairs:
    """Find duplicates between all splits of all sources, and conflicting ones within a split.

    See :func:`~esnera_hf.duplicates.find_duplicates`.

    Args:
        sources: one or more sources of different names.
    """
    texts = Texts(sources)
    digests, hashes = _read(texts)
    groups = _grouped(texts, digests)
    near = _near_firsts(texts, groups, hashes)
    blocks = [np.array(block, dtype=np.int64).reshape(-1, 4) for block in _pairs(texts, groups, near)]
    found = np.unique(np.concatenate(blocks), axis=0) if blocks else np.empty((0, 4), dtype=np.int64)
    return DuplicatePairs(found[:, 0], found[:, 1], found[:, 2] > 0, found[:, 3] > 0, texts)


def _read(texts: Texts) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the digest of each levelled text, 0 if it is empty, and the hashes of its bands, 0 if it is short."""
    digests = np.zeros((len(texts), 2), dtype=np.uint64)
    hashes = np.zeros((len(texts), BANDS), dtype=np.uint64)
    start = 0
    for keys in texts.levelled():
        found = np.frombuffer(b"".join(map(_digest, keys)), np.uint64)
        digests[start : start + len(keys)] = found.reshape(-1, 2)
        long = [index for index, key in enumerate(keys) if len(key) >= SHORTEST]
        hashes[[start + index for index in long]] = band_hashes([keys[index] for index in long])
        start += len(keys)
    return digests, hashes


def _digest(key: str) -> bytes:
    return (
        hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest() if key else bytes(16)
    )


def _grouped(texts: Texts, digests: NDArray[np.uint64]) -> _Groups:
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    order = order[digests[order].any(axis=1)]
    ranked = digests[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(order))
    # Groups in the order of their first sentences: what a bucket compares depends on it.
    by_first = np.argsort(order[starts], kind="stable")
    parts = texts.part_of(order).astype(np.int32)
    return _Groups(order, parts, starts[by_first], ends[by_first])


def _near_firsts(texts: Texts, groups: _Groups, hashes: NDArray[np.uint64]) -> dict[int, dict[int, int]]:
    """Return by group the first sentence of each part whose text is nearly the same, by part."""
    heads = groups.members[groups.starts]
    long = np.flatnonzero(hashes[heads].any(axis=1))
    known: dict[PartSet, PartSet] = {}

    def parts_of(position: int) -> PartSet:
        own = frozenset(groups.parts_of(int(long[position])))
        return known.setdefault(own, own)

    near: dict[int, dict[int, int]] = defaultdict(dict)
    pairs = long[candidate_pairs(hashes[heads[long]], parts_of)]
    for start in range(0, len(pairs), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        keys = texts.keys_of(np.unique(heads[some]))
        for one, other in some.tolist():
            if jaccard(keys[int(heads[one])], keys[int(heads[other])]) >= NEAR:
                for group, twin in ((one, other), (other, one)):
                    for part, number in groups.firsts(twin).items():
                        near[group][part] = min(number, near[group].get(part, number))
    return near


def _pairs(texts: Texts, groups: _Groups, near: dict[int, dict[int, int]]) -> Iterator[list[_Pair]]:
    """Yield blocks of pairs; a pair of nearly the same texts comes twice."""
    several = groups.ends - groups.starts > 1
    chosen = np.zeros(len(groups.starts), dtype=bool)
    chosen[several] = True
    chosen[list(near)] = True
    remaining = iter(np.flatnonzero(chosen).tolist())
    while block := list(_block(remaining, groups)):
        wanted = [groups.of(group) for group in block if several[group]]
        numbers = np.sort(np.concatenate(wanted)) if wanted else np.empty(0, dtype=np.int64)
        spans = {number: texts.spans(s) for number, s in texts.sentences_of(numbers)}
        yield [
            pair for group in block for pair in _group_pairs(texts, groups, group, near.get(group, {}), spans)
        ]


def _block(remaining: Iterator[int], groups: _Groups) -> Iterator[int]:
    """Yield some of the groups, of not too many sentences together."""
    size = 0
    for group in remaining:
        yield group
        size += int(groups.ends[group] - groups.starts[group])
        if size >= _AT_ONCE:
            return


def _group_pairs(
    texts: Texts, groups: _Groups, group: int, near: dict[int, int], spans: dict[int, tuple[Span, ...]]
) -> Iterator[_Pair]:
    """Yield the pairs of the sentences of one text."""
    firsts = groups.firsts(group)
    partners = {**near, **firsts}
    for number, part in zip(groups.of(group).tolist(), groups.parts_of(group), strict=True):
        for other_part, other in partners.items():
            exact = other_part in firsts
            one_source = texts.parts[part][0] == texts.parts[other_part][0]
            conflict = exact and number != other and _in_conflict(spans[number], spans[other], one_source)
            if other_part != part or conflict:
                yield min(number, other), max(number, other), exact, conflict


def _in_conflict(one: tuple[Span, ...], other: tuple[Span, ...], one_source: bool) -> bool:
    if one == other:
        return False
    return one_source or any(a[:2] != b[:2] and a[0] < b[1] and b[0] < a[1] for a in one for b in other)
