"""What the page shows of a mapping at a glance, and of a pair of labels: counts, bars, a table."""

from __future__ import annotations

from collections.abc import Iterator

from esnera_hf._internal.text import counted, visible
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.report.format import agreement, figure
from esnera_hf.report.report import MergeReport
from esnera_hf.report.tables import RELATION_WORDS, decision_on
from esnera_hf.similarity.explanation import PARTS, PairEvidence
from esnera_hf.sources.shared_sentences import RELATIONS

#: What the first label of a question can be to the other: the value of the choice, which label leads its words, if any.
CHOICES = (
    ("one", "", "the same"),
    ("part", "one", "is a part of the other"),
    ("whole", "other", "is a part of the other"),
    ("apart", "", "different"),
)
DECISIONS_SAID = {
    "one": "one label",
    "part": "the first is a part of the other",
    "whole": "the other is a part of the first",
    "apart": "apart",
}
_FATES = {"one": "Merged with", "part": "A part of", "whole": "Its part:", "apart": "Apart from the nearest,"}

#: A piece of a bar: what it shows, where it begins and where it ends.
Segment = tuple[str, float, float]


class SumBar:
    """Log-odds of being equal as a bar: what speaks against it on the left of 0, what speaks for it on the right.

    Attributes:
        rows: key, name and value of each part.
        segments: the pieces of the bar.
        low, high: its ends.
        total: the sum of the parts.
        said: the parts in words, for those who cannot see the bar.
    """

    def __init__(self, pair: PairEvidence) -> None:
        parts = {"start": pair.start, **pair.parts}
        names = {"start": "to begin with", **PARTS}
        ends = {-1: 0.0, 1: 0.0}
        self.segments: list[Segment] = []
        self.rows = [(key, names[key], value) for key, value in parts.items() if value]
        for key, _, value in self.rows:
            side = 1 if value > 0 else -1
            low, high = sorted((ends[side], ends[side] + value))
            ends[side] += value
            self.segments.append((key, low, high))
        # A bar of nothing still has a width.
        self.low, self.high = min(ends[-1], -0.1), max(ends[1], 0.1)
        self.total = sum(parts.values())
        self.said = ", ".join(f"{name} {value:+.2f}" for _, name, value in self.rows)


def verdict(report: MergeReport, mapping: LabelMapping) -> dict[str, int]:
    """Return how many unified labels there are, how many hold several labels, are parts, or stay alone."""
    own = {name: len(mapping.members(name)) for name in mapping.unified_labels}
    wholes = set(mapping.parents.values())
    related = {*mapping.parents, *wholes}
    return {
        "unified": sum(count > 0 for count in own.values()),
        "merged": sum(count > 1 for count in own.values()),
        "check": len(report.questions),
        "part": len(mapping.parts),
        "umbrella": sum(own[name] > 0 for name in mapping.parents.keys() - mapping.parts),
        "alone": sum(count == 1 and name not in related for name, count in own.items()),
        "out": len(mapping.members(None)),
    }


def fate(mapping: LabelMapping, entry: MappedLabel) -> str:
    """Return what became of a label and the one it is shown beside, as words before the name of the latter."""
    return _FATES[decision_on(mapping, entry)]


def probability_bar(pair: PairEvidence) -> list[Segment]:
    """Return the probabilities of the five relations as a bar from 0 to 1."""
    segments: list[Segment] = []
    start = 0.0
    for relation, value in zip(RELATIONS, pair.probabilities, strict=True):
        segments.append((relation, start, start + value))
        start += value
    return segments


def relation_said(pair: PairEvidence, relation: str) -> str:
    """Return how two labels would relate, by their names."""
    one, other = visible(str(pair.one)), visible(str(pair.other))
    return {
        "equal": "the same",
        "subset": f"{one} a part of {other}",
        "superset": f"{other} a part of {one}",
        "overlap": "overlapping",
        "none": "unrelated",
    }[relation]


def probabilities_said(pair: PairEvidence) -> str:
    """Return the probabilities of the five relations in words."""
    values = zip(RELATIONS, pair.probabilities, strict=True)
    return f"{visible(str(pair.one))} is {visible(str(pair.other))}: " + ", ".join(
        f"{RELATION_WORDS[relation]} {value:.2f}" for relation, value in values
    )


def counts_of(pair: PairEvidence) -> Iterator[tuple[str, str, str]]:
    """Yield rows of what was counted: what, of the first label, and of the other."""
    yield "", str(pair.one), str(pair.other)
    yield "mentions in train", f"{pair.mentions[0]:,}", f"{pair.mentions[1]:,}"
    if pair.forward.predicted or pair.backward.predicted:
        ways = zip((pair.forward, pair.backward), pair.annotated, strict=True)
        cells = [f"{agreement(way)}; {total:,} annotated as anything" for way, total in ways]
        yield "predicted in the other's text, annotated as the other label", cells[0], cells[1]
        if pair.own_recall != (None, None):  # a tagger is not asked about the text that it was trained on
            recall = ["?" if value is None else f"{100 * value:.0f} %" for value in pair.own_recall]
            yield "found in its own text, the most to expect", recall[0], recall[1]
    if any(share is not None for share in pair.form_shares):
        ways_of_forms = zip(pair.form_shares, pair.forms, strict=True)
        cells = [f"{figure(share)} of {counted(count, 'form')}" for share, count in ways_of_forms]
        yield "mentions that occur in the other's text, annotated as the other label", cells[0], cells[1]
    if pair.shared[0] or pair.shared[1]:
        yield (
            f"mentions in sentences that both annotate ({pair.shared[2]:,} are both)",
            *(f"{count:,}" for count in pair.shared[:2]),  # type: ignore[misc]
        )
    yield "likeness of the names", figure(pair.names), ""
    if pair.semantic is not None:
        yield "closeness of the mentions (cosine)", figure(pair.semantic), ""
