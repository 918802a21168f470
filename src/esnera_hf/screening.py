"""The screen: where mentions of one source occur in the text of another, and how it annotates them.

Needs no model and takes seconds: a preview, a sanity check, and the baseline
that the similarities must beat.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from esnera_hf.labels import LabelRef
from esnera_hf.sources import AnnotatedSentence, NerSource
from esnera_hf.text import display_width, join_tokens, pad

_LONGEST_MENTION = 12
_EXAMPLES = 3
#: A label needs so many forms found in the other source before its agreement is judged.
ENOUGH_FORMS = 5
#: Below this agreement, both ways, two labels of one name are said to differ in meaning.
CONFLICT = 0.2

Form = tuple[str, ...]


@dataclass(frozen=True)
class LabelOverlap:
    """How the other source treats the mentions of one label.

    Attributes:
        label: the label.
        other: the other source.
        forms: distinct mentions of the label.
        found: those that occur in the text of the other source.
        occurrences: how often they occur there.
        annotated: occurrences the other source annotates with these very
            boundaries, by its label.
        share: by its label, the mean over the found forms of the share of a
            form's occurrences so annotated; each form weighs the same.
        examples: some of those forms, by label.
    """

    label: LabelRef
    other: str
    forms: int
    found: int
    occurrences: int
    annotated: dict[str, int]
    share: dict[str, float]
    examples: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class NameConflict:
    """Two labels of one name whose mentions the sources treat differently."""

    first: LabelRef
    second: LabelRef
    first_share: float
    second_share: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Screening:
    """Mention overlap of every ordered pair of sources.

    Attributes:
        overlaps: one for each label and other source.
        conflicts: labels of one name that seem to differ in meaning.
    """

    overlaps: tuple[LabelOverlap, ...]
    conflicts: tuple[NameConflict, ...] = field(default=())

    def share(self, label: LabelRef, other: LabelRef) -> float:
        """Return how much of ``label`` the other source annotates as ``other``; NaN if none of it occurs there."""
        for overlap in self.overlaps:
            if overlap.label == label and overlap.other == other.source:
                return overlap.share.get(other.label, 0.0) if overlap.found else float("nan")
        raise KeyError(f"{label} was not screened against {other.source}")

    def __str__(self) -> str:
        lines = []
        width = max((display_width(str(overlap.label)) for overlap in self.overlaps), default=0)
        for overlap in self.overlaps:
            best = sorted(overlap.share.items(), key=lambda item: (-item[1], item[0]))[:3]
            found = ", ".join(
                f"{label} {share:.0%} ({', '.join(overlap.examples[label])})" for label, share in best
            )
            lines.append(
                f"{pad(str(overlap.label), width)}  in {overlap.other}: {overlap.found:,} of {overlap.forms:,} "
                f"mentions occur, {overlap.occurrences:,} times; annotated as {found or 'nothing'}"
            )
        for conflict in self.conflicts:
            lines.append(
                f"same name, different meaning? {conflict.first} and {conflict.second}: "
                f"{conflict.first_share:.0%} and {conflict.second_share:.0%} of their mentions agree; "
                f"e.g. {', '.join(conflict.examples)}"
            )
        return "\n".join(lines)


def screen(sources: Sequence[NerSource]) -> Screening:
    """Compare the mentions of two or more sources on their train splits, without a model.

    Args:
        sources: the sources; sources in one script without spaces should be cut
            into characters alike.
    """
    forms = {source.name: _forms(source) for source in sources}
    overlaps = []
    for source, other in permutations(sources, 2):
        occurrences = _occurrences(other, forms[source.name])
        for label in source.labels:
            counts = {
                f: occurrences[f]
                for f in forms[source.name]
                if label in forms[source.name][f] and f in occurrences
            }
            total = sum(label in labels for labels in forms[source.name].values())
            overlaps.append(_overlap(LabelRef(source.name, label), other.name, total, counts))
    return Screening(tuple(overlaps), tuple(_conflicts(sources, overlaps)))


def _forms(source: NerSource) -> dict[Form, set[str]]:
    """Return the distinct mentions of a source and the labels they carry."""
    forms: dict[Form, set[str]] = defaultdict(set)
    for sentence in source.sentences("train"):
        for entity in sentence.entities:
            if entity.end - entity.start <= _LONGEST_MENTION:
                forms[tuple(sentence.tokens[entity.start : entity.end])].add(entity.label)
    return dict(forms)


def _occurrences(source: NerSource, forms: Mapping[Form, set[str]]) -> dict[Form, Counter[str | None]]:
    """Count, for each form that occurs in a source, the label it carries there (``None``: not annotated so)."""
    lengths: dict[str, set[int]] = defaultdict(set)
    for form in forms:
        lengths[form[0]].add(len(form))
    counts: dict[Form, Counter[str | None]] = {}
    for sentence in source.sentences("train"):
        labels = {(entity.start, entity.end): entity.label for entity in sentence.entities}
        for start, end, form in _matches(sentence, forms, lengths):
            counts.setdefault(form, Counter())[labels.get((start, end))] += 1
    return counts


def _matches(
    sentence: AnnotatedSentence, forms: Mapping[Form, set[str]], lengths: Mapping[str, set[int]]
) -> Iterator[tuple[int, int, Form]]:
    tokens = sentence.tokens
    for start, token in enumerate(tokens):
        for length in lengths.get(token, ()):
            form = tuple(tokens[start : start + length])
            if form in forms:
                yield start, start + length, form


def _overlap(
    label: LabelRef, other: str, forms: int, counts: Mapping[Form, Counter[str | None]]
) -> LabelOverlap:
    annotated: Counter[str] = Counter()
    share: dict[str, float] = defaultdict(float)
    examples: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for form, by_label in counts.items():
        total = by_label.total()
        for name, count in by_label.items():
            if name is not None:
                annotated[name] += count
                share[name] += count / total / len(counts)
                examples[name].append((-count, join_tokens(form)))
    return LabelOverlap(
        label,
        other,
        forms,
        len(counts),
        sum(by_label.total() for by_label in counts.values()),
        dict(sorted(annotated.items())),
        dict(sorted(share.items())),
        {
            name: tuple(text for _, text in sorted(found)[:_EXAMPLES])
            for name, found in sorted(examples.items())
        },
    )


def _conflicts(sources: Sequence[NerSource], overlaps: Sequence[LabelOverlap]) -> Iterator[NameConflict]:
    by_key = {(overlap.label, overlap.other): overlap for overlap in overlaps}
    refs = [ref for source in sources for ref in source.label_refs]
    for first, second in permutations(refs, 2):
        if first.source >= second.source or first.label.casefold() != second.label.casefold():
            continue
        there, back = by_key[first, second.source], by_key[second, first.source]
        shares = there.share.get(second.label, 0.0), back.share.get(first.label, 0.0)
        if min(there.found, back.found) >= ENOUGH_FORMS and max(shares) < CONFLICT:
            found = [text for o in (there, back) for texts in o.examples.values() for text in texts]
            yield NameConflict(first, second, *shares, tuple(dict.fromkeys(found))[:_EXAMPLES])
