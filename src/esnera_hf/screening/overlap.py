"""What the screen found, and how it reads."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from esnera_hf.labels import LabelRef
from esnera_hf.text import display_width, pad

Combination = Literal["min", "mean", "max"]

#: A label needs so many forms found in the other source before its agreement is judged.
ENOUGH_FORMS = 5
#: Below this agreement, both ways, two labels of one name are said to differ in meaning.
CONFLICT = 0.2


@dataclass(frozen=True)
class LabelOverlap:
    """How the other source treats the mentions of one label.

    Attributes:
        label: the label.
        other: the other source.
        forms: distinct mentions of the label.
        found: those that occur in the text of the other source other than nested.
        annotated: occurrences annotated there with these very boundaries, by
            its label.
        nested: occurrences inside a longer mention or form, no evidence.
        crossed: occurrences annotated with other boundaries.
        free: occurrences where nothing is annotated.
        share: by its label, the mean over the found forms of the share of a
            form's occurrences so annotated; each form weighs the same.
        examples: the most frequent of those forms, by label.
        free_examples: the most frequent forms that are free there.
    """

    label: LabelRef
    other: str
    forms: int
    found: int
    annotated: dict[str, int]
    nested: int
    crossed: int
    free: int
    share: dict[str, float]
    examples: dict[str, tuple[str, ...]]
    free_examples: tuple[str, ...] = ()

    @property
    def occurrences(self) -> int:
        """How often the forms occur in the text of the other source, nested ones included."""
        return sum(self.annotated.values()) + self.nested + self.crossed + self.free

    def __str__(self) -> str:
        head = f"{self.found:,} of {self.forms:,} mentions occur, {self.occurrences:,} times"
        best = sorted(self.share.items(), key=lambda item: (-item[1], item[0]))[:3]
        parts = [f"{name} {share:.0%} ({', '.join(self.examples[name])})" for name, share in best]
        if self.free:
            parts.append(f"not annotated {self.free:,} times ({', '.join(self.free_examples)})")
        parts += [f"{self.crossed:,} with other boundaries"] if self.crossed else []
        parts += [f"{self.nested:,} inside longer ones"] if self.nested else []
        return "; ".join([head, *parts])


@dataclass(frozen=True)
class NameConflict:
    """Two labels of one name whose mentions the sources treat differently.

    Attributes:
        first: the one.
        second: the other.
        first_share: how much of the first is annotated as the second where it
            occurs in the second's source, in [0, 1].
        second_share: the other way round.
        examples: mentions of either that the other source annotates otherwise
            or not at all.
    """

    first: LabelRef
    second: LabelRef
    first_share: float
    second_share: float
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"same name, different meaning? {self.first} and {self.second}: "
            f"{self.first_share:.0%} and {self.second_share:.0%} of their mentions agree; "
            f"e.g. {', '.join(self.examples)}"
        )


@dataclass(frozen=True)
class Screening:
    """Mention overlap of every ordered pair of sources.

    Attributes:
        overlaps: one for each label and other source.
        conflicts: labels of one name that seem to differ in meaning.
    """

    overlaps: tuple[LabelOverlap, ...]
    conflicts: tuple[NameConflict, ...] = field(default=())

    @cached_property
    def _by_key(self) -> dict[tuple[LabelRef, str], LabelOverlap]:
        return {(overlap.label, overlap.other): overlap for overlap in self.overlaps}

    def share(self, label: LabelRef, other: LabelRef) -> float:
        """Return how much of ``label`` the other source annotates as ``other``; NaN if none of it occurs there.

        Raises:
            KeyError: the label was not screened against that source.
        """
        overlap = self._by_key.get((label, other.source))
        if overlap is None:
            raise KeyError(f"{label} was not screened against {other.source}")
        return overlap.share.get(other.label, 0.0) if overlap.found else math.nan

    def similarity(self, first: LabelRef, second: LabelRef, combine: Combination = "min") -> float:
        """Return how alike two labels are by their mentions, in [0, 1].

        The share of each direction is scaled by n / (n + 1), n being the number
        of forms it rests on: one form in common is weak evidence. Which
        combination ranks equal labels best is measured in ``docs/screen.md``.

        Args:
            first: a label.
            second: a label of another source.
            combine: how both directions become one figure.

        Returns:
            The combined share; that of one direction if the other cannot be
            measured; NaN if neither can.

        Raises:
            KeyError: the labels were not screened against each other.
        """
        known = []
        for label, other in ((first, second), (second, first)):
            share = self.share(label, other)
            if not math.isnan(share):
                found = self._by_key[label, other.source].found
                known.append(share * found / (found + 1))
        if not known:
            return math.nan
        return {"min": min(known), "mean": sum(known) / len(known), "max": max(known)}[combine]

    def __str__(self) -> str:
        width = max((display_width(str(overlap.label)) for overlap in self.overlaps), default=0)
        lines = [f"{pad(str(o.label), width)}  in {o.other}: {o}" for o in self.overlaps]
        return "\n".join([*lines, *map(str, self.conflicts)])

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain data, without any mention."""
        return {
            "overlaps": [
                {
                    "label": str(o.label),
                    "other": o.other,
                    "forms": o.forms,
                    "found": o.found,
                    "annotated": o.annotated,
                    "nested": o.nested,
                    "crossed": o.crossed,
                    "free": o.free,
                    "share": o.share,
                }
                for o in self.overlaps
            ],
            "conflicts": [[str(c.first), str(c.second)] for c in self.conflicts],
        }
