"""Sentences that are the same, or nearly, in two splits or sources, and those annotated in conflict.

Candidates are found by their MinHash signatures; every candidate pair is then
compared exactly. Sentences are read from Arrow in batches; of each stay a digest of its text and
one hash a band, about 100 bytes. The texts and annotations of candidates are
read again.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from esnera_hf._internal.arrow import batches, list_offsets
from esnera_hf._internal.text import counted, join_tokens, shorten
from esnera_hf.sources.load import SourceLike, load_each
from esnera_hf.sources.minhash import BANDS, PartSet, band_hashes, candidate_pairs, jaccard
from esnera_hf.sources.source import SPLITS, AnnotatedSentence, NerSource

#: Jaccard similarity of character 4-grams from which two sentences are nearly the same.
NEAR = 0.8
#: Shorter texts, spaces and punctuation apart, are the same or not: a greeting is not nearly another greeting.
SHORTEST = 12
#: Candidate pairs, and sentences whose annotation is looked at, at a time.
_AT_ONCE = 20_000
_EXAMPLES, _LONGEST_EXAMPLE = 3, 80
#: Pairs of splits that are shown: what stands around them fits on the same screen.
_SHOWN = 8

#: Accents that stand alone, which are quotation marks in many a text, become a space and a mark under NFKC.
_IGNORED = "Sk"
#: What the Turkish capital I with a dot is folded to.
_DOTTED_I = "i\u0307"
#: They choose the picture of the character before them.
_VARIATIONS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))

#: A source and one of its splits.
Part = tuple[str, str]
Span = tuple[int, int, str]
_Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One sentence of one source."""

    source: str
    split: str
    id: str

    @property
    def part(self) -> Part:
        """Source and split."""
        return self.source, self.split


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


def normalize(text: str) -> str:
    """Level Unicode form, width, case, spaces and punctuation.

    Letters with their marks, digits and symbols stay: vowel signs tell words
    apart, ``+`` tells C++ from C.
    """
    words = "".join(char for char in text if unicodedata.category(char) != _IGNORED)
    folded = unicodedata.normalize("NFKC", words).casefold().replace(_DOTTED_I, "i")
    return "".join(
        char
        for char in unicodedata.normalize("NFKC", folded)
        if (char.isalnum() or unicodedata.category(char)[0] in "MS") and char not in _VARIATIONS
    )


#: Normalizes a token; most of them recur.
_level = lru_cache(maxsize=100_000)(normalize)


class Texts:
    """The sentences of all splits of some sources, numbered from 0 in their order, read when asked for.

    Attributes:
        parts: source and split, in order.
        ends: for each part the number after that of its last sentence.
    """

    def __init__(self, sources: Sequence[NerSource]) -> None:
        self._sources = [source for source in sources for _ in source.dataset]
        self._rows = [rows for source in sources for rows in source.dataset.values()]
        self.parts: list[Part] = [(source.name, split) for source in sources for split in source.dataset]
        self.ends = list(accumulate(map(len, self._rows)))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def part_of(self, numbers: _Numbers) -> _Numbers:
        """Return the index of the part of each sentence."""
        return np.searchsorted(self.ends, numbers, side="right").astype(np.int64)

    def levelled(self) -> Iterator[list[str]]:
        """Yield the levelled texts of all sentences, in batches."""
        for rows in self._rows:
            yield from self._keys(rows)

    def keys_of(self, numbers: _Numbers) -> dict[int, str]:
        """Return the levelled texts of some sentences; numbers ascend."""
        keys = (self._keys(self._rows[part].select(local)) for part, local in self._by_part(numbers))
        return dict(zip(numbers.tolist(), chain.from_iterable(chain.from_iterable(keys)), strict=True))

    def places_of(self, numbers: _Numbers) -> dict[int, Place]:
        """Return the places of some sentences, by number; numbers ascend."""
        ids = ((part, self._rows[part].select(local)["id"]) for part, local in self._by_part(numbers))
        places = (Place(*self.parts[part], row_id) for part, own in ids for row_id in own)
        return dict(zip(numbers.tolist(), places, strict=True))

    def sentences_of(self, numbers: _Numbers) -> Iterator[tuple[int, AnnotatedSentence]]:
        """Yield number and sentence of some sentences; numbers ascend."""
        sentences = (
            self._sources[part].sentences(self.parts[part][1], local)
            for part, local in self._by_part(numbers)
        )
        yield from zip(numbers.tolist(), chain.from_iterable(sentences), strict=True)

    def spans(self, sentence: AnnotatedSentence) -> tuple[Span, ...]:
        """Return the entities of a sentence as spans of characters of its levelled text."""
        if not sentence.entities:
            return ()
        ends = list(accumulate((len(_level(token)) for token in sentence.tokens), initial=0))
        return tuple((ends[e.start], ends[e.end], e.label) for e in sentence.entities)

    def level(self, sentence: AnnotatedSentence) -> str:
        """Return the levelled text of a sentence, which :meth:`spans` counts the characters of."""
        return "".join(map(_level, sentence.tokens))

    def _by_part(self, numbers: _Numbers) -> Iterator[tuple[int, _Numbers]]:
        parts = self.part_of(numbers)
        for part in np.unique(parts).tolist():
            yield part, numbers[parts == part] - (self.ends[part - 1] if part else 0)

    def _keys(self, rows: Dataset) -> Iterator[list[str]]:
        for (lists,) in batches(rows, "tokens"):
            tokens = pc.list_flatten(lists).dictionary_encode()
            levelled = pa.array([_level(t) for t in tokens.dictionary.to_pylist()], pa.string())
            offsets = pa.array(list_offsets(lists), pa.int32())
            joined = pc.binary_join(pa.ListArray.from_arrays(offsets, levelled.take(tokens.indices)), "")
            yield joined.to_pylist()


#: What :func:`find_pairs` gives.
Pairs = tuple[Texts, _Numbers]


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


def _read(texts: Texts) -> tuple[_Groups, _Numbers, NDArray[np.uint64]]:
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
    texts: Texts, groups: _Groups, long: _Numbers, hashes: NDArray[np.uint64]
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
