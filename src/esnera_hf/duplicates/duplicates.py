"""Duplicates as people read them: places, texts and counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from esnera_hf.duplicates.pairs import find_pairs
from esnera_hf.duplicates.texts import Part, Place
from esnera_hf.sources import SourceLike, load_each
from esnera_hf.text import join_tokens, shorten

_EXAMPLES = 3
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two sentences with the same or nearly the same text.

    Attributes:
        first: the one, in the order of source, split and sentences.
        second: the other.
        exact: equal after Unicode form, width, case, spaces and punctuation are
            levelled; letters, their marks, digits and symbols count.
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


def find_duplicates(sources: Sequence[SourceLike]) -> Duplicates:
    """Find duplicates between all splits of all sources, and conflicting ones within a split.

    Nearly the same are texts of at least 12 characters, spaces and punctuation
    apart, whose character 4-grams have a Jaccard similarity of at least 0.8.
    Sentences of punctuation alone are no duplicates of each other. Takes about
    0.05 ms a sentence.

    Args:
        sources: one or more, of different names, as for :func:`~esnera_hf.align`.

    Raises:
        SourceNotFoundError, SourceError: a source cannot be found or read.
        ConfigurationError: what is given is no list of sources.
    """
    found = find_pairs(load_each(sources))
    places = found.texts.places_of(np.union1d(found.first, found.second))
    shown = {
        number: shorten(join_tokens(sentence.tokens[: _SHOWN + 1]), _SHOWN)
        for number, sentence in found.texts.sentences_of(np.unique(found.first))
    }
    columns = (found.first, found.second, found.exact, found.conflict)
    return Duplicates(
        tuple(
            Duplicate(places[first], places[second], exact, conflict, shown[first])
            for first, second, exact, conflict in zip(*(c.tolist() for c in columns), strict=True)
        )
    )
