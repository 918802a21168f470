"""The same or nearly the same sentence in two splits or two sources, and texts annotated in conflict.

Candidates come from MinHash signatures of character 4-grams (Broder 1997) in
bands; every candidate pair is then compared exactly. Ten bands of four rows
find a pair of similarity 0.8 with a probability of 0.995, one of 0.9 with a
probability of 0.99998.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnera_hf.sources import AnnotatedSentence, NerSource
from esnera_hf.text import join_tokens, shorten

#: Jaccard similarity of character 4-grams from which two sentences are nearly the same.
NEAR = 0.8
#: Shorter texts, in letters and digits, are the same or not: a greeting is not nearly another greeting.
SHORTEST = 12
_GRAM = 4
_BANDS, _ROWS = 10, 4
#: Texts of one bucket and split that another text is compared with: bounds the work on texts made from templates.
_COMPARED = 50
_EXAMPLES = 3
_SHOWN = 80

#: A source and one of its splits.
Part = tuple[str, str]
_Span = tuple[int, int, str]


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
        first: the one, in the order of source, split and sentences.
        second: the other.
        exact: equal after Unicode form, width, case, spaces and punctuation are
            levelled.
        conflict: exact, and annotated in a way that cannot both be right: in
            one source any difference; between sources spans that overlap with
            other boundaries, as what only one of them annotates may be beyond
            the other's labels.
        text: of the first, for people to read.
    """

    first: Place
    second: Place
    exact: bool
    conflict: bool
    text: str


@dataclass(frozen=True, slots=True)
class PartCounts:
    """How much two splits have in common.

    Attributes:
        first: sentences of the first split that are in the second, too.
        second: sentences of the second split that are in the first, too.
        exact: pairs with the same text.
        near: pairs with nearly the same text.
        conflicts: pairs annotated in conflict.
    """

    first: int
    second: int
    exact: int
    near: int
    conflicts: int


@dataclass(frozen=True)
class Duplicates:
    """All duplicates among some sources; ``str()`` gives counts and examples.

    Attributes:
        pairs: in the order of the sources, their splits and sentences. Each
            sentence that is in another split, too, stands in a pair with the
            first such sentence there. Within a split only conflicts are listed.
    """

    pairs: tuple[Duplicate, ...]

    @cached_property
    def by_parts(self) -> dict[tuple[Part, Part], list[Duplicate]]:
        """The pairs by their two splits."""
        groups: dict[tuple[Part, Part], list[Duplicate]] = defaultdict(list)
        for pair in self.pairs:
            groups[pair.first.part, pair.second.part].append(pair)
        return dict(groups)

    @property
    def conflicts(self) -> tuple[Duplicate, ...]:
        """The pairs annotated in conflict."""
        return tuple(pair for pair in self.pairs if pair.conflict)

    @property
    def counts(self) -> dict[tuple[Part, Part], PartCounts]:
        """Counts by pair of splits."""
        return {
            parts: PartCounts(
                first=len({pair.first for pair in pairs}),
                second=len({pair.second for pair in pairs}),
                exact=sum(pair.exact for pair in pairs),
                near=sum(not pair.exact for pair in pairs),
                conflicts=sum(pair.conflict for pair in pairs),
            )
            for parts, pairs in self.by_parts.items()
        }

    def __str__(self) -> str:
        lines = []
        for (one, other), count in self.counts.items():
            a, b = "/".join(one), "/".join(other)
            pairs = self.by_parts[one, other]
            if one == other:
                line = f"{a}: {count.conflicts:,} sentences repeat another one with other annotation"
            else:
                line = (
                    f"{a} and {b}: {count.first:,} sentences of {a} are in {b}, {count.second:,} of {b} in {a} "
                    f"(pairs: {count.exact:,} the same, {count.near:,} nearly, "
                    f"{count.conflicts:,} annotated in conflict)"
                )
            shown = [*(p for p in pairs if p.conflict), *(p for p in pairs if not p.conflict)][:_EXAMPLES]
            lines.append(line)
            lines += [f"  {p.first.id} and {p.second.id}{_remark(p)}: {p.text}" for p in shown]
        return "\n".join(lines) or "no sentence stands in two splits or sources"

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain data, without any text."""
        return {
            f"{'/'.join(one)} and {'/'.join(other)}": {
                name: getattr(count, name) for name in PartCounts.__slots__
            }
            for (one, other), count in self.counts.items()
        }


def _remark(pair: Duplicate) -> str:
    if pair.conflict:
        return ", in conflict"
    return "" if pair.exact else ", nearly"


def normalise(text: str) -> str:
    """Level Unicode form, width, case, spaces and punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def find_duplicates(sources: Sequence[NerSource]) -> Duplicates:
    """Find duplicates between all splits of all sources, and conflicting ones within a split.

    Nearly the same are texts of at least 12 letters or digits whose character
    4-grams have a Jaccard similarity of at least 0.8. Sentences without letters
    and digits are no duplicates of each other. Takes about 0.1 ms a sentence.

    Args:
        sources: one or more sources of different names.
    """
    sentences = _read(sources)
    by_key: dict[str, list[int]] = defaultdict(list)
    for index, sentence in enumerate(sentences):
        if sentence.key:
            by_key[sentence.key].append(index)
    firsts: dict[str, dict[Part, int]] = {key: {} for key in by_key}
    for key, members in by_key.items():
        for index in members:
            firsts[key].setdefault(sentences[index].place.part, index)
    near = _near_firsts(firsts)
    pairs: set[tuple[int, int]] = set()
    for key, members in by_key.items():
        partners = {**near.get(key, {}), **firsts[key]}
        if len(partners) == len(members) == 1:
            continue
        for index in members:
            part = sentences[index].place.part
            for other_part, other in partners.items():
                if other_part != part or _in_conflict(sentences[other], sentences[index]):
                    pairs.add((min(index, other), max(index, other)))
    return Duplicates(tuple(_duplicate(sentences[i], sentences[j]) for i, j in sorted(pairs)))


@dataclass(slots=True)
class _Sentence:
    """A sentence with what comparisons need; spans are in characters of the key."""

    place: Place
    tokens: tuple[str, ...]
    key: str
    spans: tuple[_Span, ...]


def _read(sources: Sequence[NerSource]) -> list[_Sentence]:
    levelled: dict[str, str] = {}
    known: dict[str, str] = {}
    return [
        _levelled(Place(source.name, split, sentence.id), sentence, levelled, known)
        for source in sources
        for split in source.dataset
        for sentence in source.sentences(split)
    ]


def _levelled(
    place: Place, sentence: AnnotatedSentence, levelled: dict[str, str], known: dict[str, str]
) -> _Sentence:
    for token in sentence.tokens:
        if token not in levelled:
            levelled[token] = normalise(token)
            known[token] = token
    parts = [levelled[token] for token in sentence.tokens]
    spans = tuple(
        (sum(map(len, parts[: e.start])), sum(map(len, parts[: e.end])), e.label) for e in sentence.entities
    )
    return _Sentence(place, tuple(map(known.__getitem__, sentence.tokens)), "".join(parts), spans)


def _duplicate(one: _Sentence, other: _Sentence) -> Duplicate:
    text = shorten(join_tokens(one.tokens[: _SHOWN + 1]), _SHOWN)
    return Duplicate(one.place, other.place, one.key == other.key, _in_conflict(one, other), text)


def _in_conflict(one: _Sentence, other: _Sentence) -> bool:
    if one.key != other.key or one.spans == other.spans:
        return False
    if one.place.source == other.place.source:
        return True
    return any(a[:2] != b[:2] and a[0] < b[1] and b[0] < a[1] for a in one.spans for b in other.spans)


def _near_firsts(firsts: Mapping[str, Mapping[Part, int]]) -> dict[str, dict[Part, int]]:
    """Return for each text the first sentence of each split that is nearly the same."""
    near: dict[str, dict[Part, int]] = defaultdict(dict)
    for pair in _near_pairs({key: frozenset(parts) for key, parts in firsts.items() if len(key) >= SHORTEST}):
        for key, other in permutations(pair):
            for part, index in firsts[other].items():
                near[key][part] = min(index, near[key].get(part, index))
    return near


def _near_pairs(parts_of: Mapping[str, frozenset[Part]]) -> Iterator[tuple[str, str]]:
    """Yield pairs of texts of different splits that are nearly the same."""
    keys = list(parts_of)
    signatures = _signatures(keys)
    compared: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for position, row in enumerate(signatures[:, band * _ROWS : (band + 1) * _ROWS]):
            buckets[row.tobytes()].append(position)
        for bucket in buckets.values():
            if len(bucket) > 1:
                for pair in _candidates(bucket, [parts_of[keys[position]] for position in bucket]):
                    if pair not in compared:
                        compared.add(pair)
                        one, other = keys[pair[0]], keys[pair[1]]
                        if jaccard(one, other) >= NEAR:
                            yield one, other


def _candidates(bucket: Sequence[int], parts: Sequence[frozenset[Part]]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of a bucket that lie in different splits, with a bounded number for each."""
    kept: dict[frozenset[Part], list[int]] = defaultdict(list)
    for position, own in zip(bucket, parts, strict=True):
        for others, members in kept.items():
            if len(own | others) > 1:
                for member in members:
                    yield member, position
        if len(kept[own]) < _COMPARED:
            kept[own].append(position)


def _signatures(keys: Iterable[str]) -> NDArray[np.uint64]:
    """Return the MinHash signatures of texts. shape: (texts, bands * rows)"""
    generator = np.random.default_rng(20250809)
    size = _BANDS * _ROWS
    factor = generator.integers(1, 1 << 63, size=size, dtype=np.uint64) | np.uint64(1)
    offset = generator.integers(0, 1 << 63, size=size, dtype=np.uint64)
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


def jaccard(one: str, other: str) -> float:
    """Return the Jaccard similarity of the character 4-grams of two texts of at least four characters."""
    first, second = _grams(one), _grams(other)
    return len(first & second) / len(first | second)


def _grams(text: str) -> set[str]:
    return {text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1)}
