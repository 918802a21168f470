"""Sentences that are the same, or nearly, in two splits or sources, and those annotated in conflict.

Candidates are found by their MinHash signatures; every candidate pair is then
compared exactly. Sentences are read from Arrow in batches; of each stay a digest of its text and
one hash a band, about 100 bytes. The texts and annotations of candidates are
read again.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.text import counted, join_tokens, shorten
from esnera_hf.sources.levelled_texts import Numbers, Part, Place, Span, Texts
from esnera_hf.sources.load import SourceLike, load_each
from esnera_hf.sources.minhash import BANDS, PartSet, band_hashes, candidate_pairs, jaccard
from esnera_hf.sources.source import SPLITS, NerSource

#: Jaccard similarity of character 4-grams from which two sentences are nearly the same.
NEAR = 0.8
#: Shorter texts, spaces and punctuation apart, are the same or not: a greeting is not nearly another greeting.
SHORTEST = 12
#: Candidate pairs, and sentences whose annotation is looked at, at a time.
_AT_ONCE = 20_000
_EXAMPLES, _LONGEST_EXAMPLE = 3, 80
#: Pairs of splits that are shown: what stands around them fits on the same screen.
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two sentences with the same or nearly the same text.

    Attributes:
        first, second: the two, in the order of source, split and sentences.
        exact: equal after Unicode form, width, case, spaces and punctuation are
            levelled; letters, their marks, digits and symbols count.
        conflict: exact, and annotated in a way that cannot both be right: in
            one source any difference; between sources spans that overlap with
            other boundaries or another label (but for case), as what only one
            of them annotates may be beyond the other's labels.
        text: of the first, for people to read.
    """

    first: Place
    second: Place
    exact: bool
    conflict: bool = False
    text: str = ""

    @property
    def across_sources(self) -> bool:
        """Whether the two are of different sources."""
        return self.first.source != self.second.source


@dataclass(frozen=True)
class Duplicates:
    """All duplicates among some sources; ``str()`` gives a line for two splits, :meth:`details` examples.

    Attributes:
        pairs: in the order of the sources, their splits and sentences. Each
            sentence that is in another split, too, stands in a pair with the
            first such sentence there. Within a split only conflicts are listed.
    """

    pairs: tuple[Duplicate, ...]

    @property
    def leaks(self) -> int:
        """How many sentences of train or validation stand in a later split, too."""
        early = set()
        for pair in self.pairs:
            one, other = sorted((pair.first, pair.second), key=lambda place: SPLITS.index(place.split))
            if one.split != other.split:
                early.add(one)
        return len(early)

    def __str__(self) -> str:
        conflicts: dict[tuple[Place, Part], bool] = {}  # a sentence may stand in several pairs with a split
        for pair in self.pairs:
            key = pair.first, pair.second.part
            conflicts[key] = conflicts.get(key, False) or pair.conflict
        shared = Counter((place.part, other) for place, other in conflicts)
        lines = []
        for (one, other), count in shared.most_common(_SHOWN):
            otherwise = sum(conflicts[key] for key in conflicts if (key[0].part, key[1]) == (one, other))
            if one == other:
                verb = "repeats" if count == 1 else "repeat"
                said = f"{counted(count, 'sentence')} of {'/'.join(one)} {verb}"
                lines.append(f"{said} another one, annotated otherwise")
            else:
                verb = "stands" if count == 1 else "stand"
                lines.append(
                    f"{counted(count, 'sentence')} of {'/'.join(one)} {verb} in {'/'.join(other)}, too"
                )
                lines[-1] += f", {otherwise:,} annotated otherwise" if otherwise else ""
        if more := len(shared) - len(lines):
            lines.append(f"… and in {counted(more, 'more pair')} of splits")
        if leaks := self.leaks:
            verb = "is" if leaks == 1 else "are"
            lines.append(
                f"in all, {counted(leaks, 'sentence')} of train or validation {verb} in a later split, too"
            )
        return "\n".join(lines) or "no sentence stands in two splits or sources"

    def details(self) -> str:
        """Return counts and examples for every two splits that share sentences."""
        lines = []
        by_parts: dict[tuple[Part, Part], list[Duplicate]] = defaultdict(list)
        for pair in self.pairs:
            by_parts[pair.first.part, pair.second.part].append(pair)
        for (one, other), pairs in by_parts.items():
            a, b = "/".join(one), "/".join(other)
            conflicts = [pair for pair in pairs if pair.conflict]
            if one == other:
                lines.append(
                    f"{a}: {counted(len(conflicts), 'sentence', 'repeat')} another one with other annotation"
                )
            else:
                exact, there = sum(pair.exact for pair in pairs), len({pair.first for pair in pairs})
                lines.append(
                    f"{a} and {b}: {counted(there, 'sentence')} of {a} {'is' if there == 1 else 'are'} in {b}, "
                    f"{len({pair.second for pair in pairs}):,} of {b} in {a} (pairs: {exact:,} the same, "
                    f"{len(pairs) - exact:,} nearly, {len(conflicts):,} annotated in conflict)"
                )
            for pair in [*conflicts, *(pair for pair in pairs if not pair.conflict)][:_EXAMPLES]:
                remark = ", in conflict" if pair.conflict else "" if pair.exact else ", nearly"
                lines.append(f"  {pair.first.id} and {pair.second.id}{remark}: {pair.text}")
        return "\n".join(lines) or "no sentence stands in two splits or sources"

    __repr__ = __str__


def find_duplicates(sources: Sequence[SourceLike]) -> Duplicates:
    """Find duplicates between all splits of all sources, and conflicting ones within a split.

    Nearly the same are texts of at least 12 characters, spaces and punctuation
    apart, whose character 4-grams have a Jaccard similarity of at least 0.8.
    Sentences of punctuation alone are no duplicates of each other. Takes about
    0.05 ms per sentence.

    Args:
        sources: one or more, of different names, as for :func:`~esnera_hf.align`.

    Raises:
        SourceNotFoundError, SourceError: a source cannot be found or read.
        ConfigurationError: what is given is no list of sources.
    """
    texts, pairs = find_pairs(load_each(sources))
    places = texts.places_of(np.unique(pairs[:, :2]))
    shown = {
        number: shorten(join_tokens(sentence.tokens[: _LONGEST_EXAMPLE + 1]), _LONGEST_EXAMPLE)
        for number, sentence in texts.sentences_of(np.unique(pairs[:, 0]))
    }
    return Duplicates(
        tuple(
            Duplicate(places[first], places[second], bool(exact), bool(conflict), shown[first])
            for first, second, exact, conflict in pairs.tolist()
        )
    )


#: What :func:`find_pairs` gives.
Pairs = tuple[Texts, Numbers]


def find_pairs(sources: Sequence[NerSource]) -> Pairs:
    """Find the pairs of :func:`find_duplicates`.

    Returns:
        The sentences, and for each pair, in their order, the numbers of the two, the
        smaller first, and whether it is exact and in conflict. shape: (pairs, 4)
    """
    texts = Texts(sources)
    groups, long, hashes = _read(texts)
    near = _near_firsts(texts, groups, long, hashes)
    blocks = [np.array(block, dtype=np.int64).reshape(-1, 4) for block in _pairs(texts, groups, near)]
    return texts, np.unique(np.concatenate([np.empty((0, 4), dtype=np.int64), *blocks]), axis=0)


def _read(texts: Texts) -> tuple[_Groups, Numbers, NDArray[np.uint64]]:
    """Return the groups, the numbers of those whose text is long enough to be compared, and the hashes of its bands."""
    digests = np.zeros((len(texts), 2), dtype=np.uint64)
    hashes = np.zeros((len(texts), BANDS), dtype=np.uint64)
    start = 0
    for keys in texts.levelled():
        for number, key in enumerate(keys, start):
            if key:
                digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
                digests[number] = np.frombuffer(digest, np.uint64)
        enough = [index for index, key in enumerate(keys) if len(key) >= SHORTEST]
        hashes[[start + index for index in enough]] = band_hashes([keys[index] for index in enough])
        start += len(keys)
    groups = _Groups(texts, digests)
    # The hashes of all sentences, a hundred bytes each, are freed before they are compared.
    long = np.flatnonzero(np.asarray(hashes.any(axis=1))[groups.heads])
    return groups, long, hashes[groups.heads[long]]


class _Groups:
    """Sentences of one text each, in the order of their first sentences; those of punctuation alone are in none."""

    def __init__(self, texts: Texts, digests: NDArray[np.uint64]) -> None:
        order = np.lexsort((digests[:, 1], digests[:, 0]))
        order = order[digests[order].any(axis=1)]
        ranked = digests[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
        starts = np.flatnonzero(new)
        by_first = np.argsort(order[starts], kind="stable")
        self.members, self.parts = order, texts.part_of(order).astype(np.int32)
        self.starts, self.ends = starts[by_first], np.append(starts[1:], len(order))[by_first]
        self.heads = order[self.starts]

    def of(self, group: int) -> list[tuple[int, int]]:
        """Return the sentences of a group, in their order, each with its part."""
        some = slice(self.starts[group], self.ends[group])
        return list(zip(self.members[some].tolist(), self.parts[some].tolist(), strict=True))

    def firsts(self, group: int) -> dict[int, int]:
        """Return the first sentence of a group in each part."""
        return {part: number for number, part in reversed(self.of(group))}


def _near_firsts(
    texts: Texts, groups: _Groups, long: Numbers, hashes: NDArray[np.uint64]
) -> dict[int, dict[int, int]]:
    """Return by group the first sentence of each part whose text is nearly the same, by part."""
    sets: dict[PartSet, PartSet] = {}

    def parts_of(position: int) -> PartSet:
        own = frozenset(part for _, part in groups.of(int(long[position])))
        return sets.setdefault(own, own)

    near: dict[int, dict[int, int]] = defaultdict(dict)
    pairs = long[candidate_pairs(hashes, parts_of)]
    for start in range(0, len(pairs), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        keys = texts.keys_of(np.unique(groups.heads[some]))
        for one, other in some.tolist():
            if jaccard(keys[int(groups.heads[one])], keys[int(groups.heads[other])]) >= NEAR:
                for group, twin in ((one, other), (other, one)):
                    for part, number in groups.firsts(twin).items():
                        near[group][part] = min(number, near[group].get(part, number))
    return near


def _pairs(
    texts: Texts, groups: _Groups, near: dict[int, dict[int, int]]
) -> Iterator[list[tuple[int, int, bool, bool]]]:
    """Yield blocks of pairs: first, second, exact, conflict; a pair of nearly the same texts comes twice."""
    sizes = groups.ends - groups.starts
    chosen = sizes > 1
    chosen[list(near)] = True
    remaining = np.flatnonzero(chosen)
    # A template may fill a split: the sentences of a block, not its groups, are bounded.
    for block in np.split(remaining, np.flatnonzero(np.diff(np.cumsum(sizes[remaining]) // _AT_ONCE)) + 1):
        several = [number for group in block[sizes[block] > 1] for number, _ in groups.of(group)]
        spans = {
            number: texts.spans(sentence)
            for number, sentence in texts.sentences_of(np.array(sorted(several), dtype=np.int64))
        }
        yield [
            pair for g in block.tolist() for pair in _group_pairs(texts, groups, g, near.get(g, {}), spans)
        ]


def _group_pairs(
    texts: Texts, groups: _Groups, group: int, near: dict[int, int], spans: dict[int, tuple[Span, ...]]
) -> Iterator[tuple[int, int, bool, bool]]:
    """Yield the pairs of the sentences of one text."""
    firsts = groups.firsts(group)
    for number, part in groups.of(group):
        for other_part, other in {**near, **firsts}.items():
            exact = other_part in firsts
            one_source = texts.parts[part][0] == texts.parts[other_part][0]
            conflict = exact and number != other and _in_conflict(spans[number], spans[other], one_source)
            # Within a split a repetition is no leak, and only one that contradicts itself is worth a line.
            if other_part != part or conflict:
                yield min(number, other), max(number, other), exact, conflict


def _in_conflict(one: tuple[Span, ...], other: tuple[Span, ...], one_source: bool) -> bool:
    if one == other:
        return False
    return one_source or any(_disagree(a, b) for a in one for b in other)


def _disagree(one: Span, other: Span) -> bool:
    overlap = one[0] < other[1] and other[0] < one[1]
    return overlap and (one[:2] != other[:2] or one[2].casefold() != other[2].casefold())
