"""What every reader yields, and how spans become a flat annotation."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from esnera_hf.tagging import Entity


@dataclass(slots=True)
class RawSentence:
    """One sentence as its file says it.

    Attributes:
        tokens: the tokens, never empty.
        spans: annotated spans, possibly nested, crossing or doubled; ``None``
            where the file carries no annotation at all.
        where: file and line (or row), for messages.
        repairs: what had to be repaired while reading, a kind each.
    """

    tokens: list[str]
    spans: list[Entity] | None
    where: str
    repairs: list[str] = field(default_factory=list)


#: Reads a split from its beginning, each time it is called.
Reader = Callable[[], Iterator[RawSentence]]


class Dropped(NamedTuple):
    """One annotated span that did not enter the dataset, and why."""

    split: str
    where: str
    start: int
    end: int
    label: str
    mention: str
    reason: str


def flatten(
    spans: Iterable[Entity], frequency: Mapping[str, int]
) -> tuple[list[Entity], list[tuple[Entity, str]]]:
    """Choose spans that do not overlap.

    The outermost of nested spans wins; the same span under two labels takes the
    label more frequent in the source (ties: the first by name); of two crossing
    spans the longer wins, then the earlier.

    Args:
        spans: annotated spans in any order.
        frequency: how often each label is annotated in the source.

    Returns:
        The spans that stay, in order, and those that gave way, each with the reason.
    """
    kept: list[Entity] = []  # in order and without overlap: a span can only clash with its neighbours
    clashes: list[tuple[Entity, str]] = []
    by_precedence = sorted(
        spans, key=lambda s: (s.start - s.end, s.start, -frequency.get(s.label, 0), s.label)
    )
    for span in by_precedence:
        place = bisect_left(kept, span.end, key=_start)
        rival = kept[place - 1] if place and span.start < kept[place - 1].end else None
        if rival is None:
            kept.insert(place, span)
        else:
            clashes.append((span, _clash_reason(span, rival)))
    return kept, clashes


def _start(span: Entity) -> int:
    return span.start


def _clash_reason(span: Entity, rival: Entity) -> str:
    if (span.start, span.end) == (rival.start, rival.end):
        return "annotated twice" if span.label == rival.label else "second label of the same span"
    if rival.start <= span.start and span.end <= rival.end:
        return "nested in a longer span"
    return "crosses a longer or earlier span"
