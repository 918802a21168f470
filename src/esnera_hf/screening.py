"""The screen: where mentions of one source occur in the text of another, and how it annotates them.

Needs no model and takes seconds: a preview, a sanity check, and the baseline
that the similarities must beat.

A *form* is the token sequence of a mention. Wherever a form of source A occurs
in the text of source B, that occurrence is one of four things:

=============  ===============================================================
annotated      B annotates it with these very boundaries
nested         B annotates a longer mention around it, or a longer form of A
               begins or ends around it: a flat annotation has no room for the
               inner one, so this says nothing of what B thinks of it
crossed        B annotates something there with boundaries that differ otherwise
free           B annotates nothing there
=============  ===============================================================

Nested occurrences are counted and shown, and left out of every share: ``York``
inside an annotated ``New York Times`` is no evidence that B does not annotate
``York``. Crossed and free ones are evidence against.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, permutations
from typing import Any, Literal

from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.sources import AnnotatedSentence, NerSource
from esnera_hf.tagging import Entity
from esnera_hf.text import display_width, join_tokens, pad, shorten

Combination = Literal["min", "mean", "max"]
Form = tuple[str, ...]

#: A label needs so many forms found in the other source before its agreement is judged.
ENOUGH_FORMS = 5
#: Below this agreement, both ways, two labels of one name are said to differ in meaning.
CONFLICT = 0.2
_EXAMPLES = 3
_LONGEST_EXAMPLE = 40
_NESTED, _CROSSED, _FREE = object(), object(), object()


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

    def ranked(self, combine: Combination = "min") -> list[tuple[float, LabelRef, LabelRef]]:
        """Return the measurable pairs of labels with their similarity, the most alike first."""
        labels = list(dict.fromkeys(overlap.label for overlap in self.overlaps))
        pairs = [
            (self.similarity(first, second, combine), first, second)
            for first, second in combinations(labels, 2)
            if first.source != second.source
        ]
        known = [pair for pair in pairs if not math.isnan(pair[0])]
        return sorted(known, key=lambda pair: (-pair[0], str(pair[1]), str(pair[2])))

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


def screen(sources: Sequence[NerSource], *, splits: Sequence[str] = ("train",)) -> Screening:
    """Compare the mentions of two or more sources without a model.

    Args:
        sources: the sources; sources in one script without spaces should be cut
            into characters alike, as ``load_source`` does.
        splits: the splits whose text and mentions count.

    Returns:
        How each source annotates the mentions of each label of the others.

    Raises:
        ConfigurationError: fewer than two sources, or two of one name.
    """
    names = [source.name for source in sources]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigurationError(f"sources: expected two or more of different names, found {names}.")
    labels_of = {source.name: _forms(source, splits) for source in sources}
    tries = {name: _trie(forms) for name, forms in labels_of.items()}
    overlaps: list[LabelOverlap] = []
    for other in sources:
        counts = _occurrences(other, {n: tries[n] for n in names if n != other.name}, splits)
        for source in sources:
            if source is not other:
                overlaps += _overlaps(source, other.name, labels_of[source.name], counts[source.name])
    order = {pair: index for index, pair in enumerate(permutations(names, 2))}
    overlaps.sort(key=lambda o: (order[o.label.source, o.other], o.label.label))
    return Screening(tuple(overlaps), tuple(_conflicts(sources, overlaps)))


def _forms(source: NerSource, splits: Sequence[str]) -> dict[Form, set[str]]:
    """Return the distinct mentions of a source and the labels they carry."""
    forms: dict[Form, set[str]] = defaultdict(set)
    for split in splits:
        for sentence in source.sentences(split):
            for entity in sentence.entities:
                forms[tuple(sentence.tokens[entity.start : entity.end])].add(entity.label)
    return dict(forms)


class _Node(dict[str, "_Node"]):
    """A node of a trie over tokens; ``form`` is the form that ends here."""

    __slots__ = ("form",)

    def __init__(self) -> None:
        self.form: Form | None = None


def _trie(forms: Mapping[Form, object]) -> _Node:
    root = _Node()
    for form in forms:
        node = root
        for token in form:
            if token not in node:
                node[token] = _Node()
            node = node[token]
        node.form = form
    return root


def _occurrences(
    other: NerSource, tries: Mapping[str, _Node], splits: Sequence[str]
) -> dict[str, dict[Form, Counter[object]]]:
    """Count, for the forms of each source that occur in another, what they are there."""
    flat: dict[str, Counter[tuple[Form, object]]] = {name: Counter() for name in tries}
    for split in splits:
        for sentence in other.sentences(split):
            for name, trie in tries.items():
                flat[name].update(_kinds(sentence, trie))
    counts: dict[str, dict[Form, Counter[object]]] = {name: defaultdict(Counter) for name in tries}
    for name, found in flat.items():
        for (form, kind), count in found.items():
            counts[name][form][kind] = count
    return counts


def _kinds(sentence: AnnotatedSentence, trie: _Node) -> list[tuple[Form, object]]:
    """Return the forms that occur in a sentence, each with its label there or what else it is."""
    found: list[tuple[Form, object]] = []
    tokens = sentence.tokens
    labels = {(entity.start, entity.end): entity.label for entity in sentence.entities}
    reach = 0
    for start, token in enumerate(tokens):
        node = trie.get(token)
        end = start
        forms = []
        while node is not None:
            end += 1
            if node.form is not None:
                forms.append((end, node.form))
            node = node.get(tokens[end]) if end < len(tokens) else None
        for end, form in forms:
            kind: object = labels.get((start, end))
            if kind is None:
                shadowed = end <= reach or end < forms[-1][0]
                kind = _NESTED if shadowed else _without_label(start, end, sentence.entities)
            found.append((form, kind))
        if forms:
            reach = max(reach, forms[-1][0])
    return found


def _without_label(start: int, end: int, entities: Sequence[Entity]) -> object:
    crossed = False
    for entity in entities:
        if entity.start <= start and end <= entity.end:
            return _NESTED
        crossed |= entity.start < end and start < entity.end
    return _CROSSED if crossed else _FREE


def _overlaps(
    source: NerSource, other: str, labels_of: Mapping[Form, set[str]], counts: Mapping[Form, Counter[object]]
) -> Iterator[LabelOverlap]:
    forms = Counter(label for labels in labels_of.values() for label in labels)
    by_label: dict[str, list[Form]] = defaultdict(list)
    for form in counts:
        for label in labels_of[form]:
            by_label[label].append(form)
    for label in source.labels:
        occurring = {form: counts[form] for form in sorted(by_label[label])}
        yield _overlap(LabelRef(source.name, label), other, forms[label], occurring)


def _overlap(label: LabelRef, other: str, forms: int, counts: Mapping[Form, Counter[object]]) -> LabelOverlap:
    totals: Counter[object] = Counter()
    share: dict[str, float] = defaultdict(float)
    examples: dict[object, list[tuple[int, str]]] = defaultdict(list)
    judged = {form: n for form, kinds in counts.items() if (n := kinds.total() - kinds[_NESTED])}
    for form, kinds in counts.items():
        totals.update(kinds)
        for kind, count in kinds.items():
            examples[kind].append((-count, shorten(join_tokens(form), _LONGEST_EXAMPLE)))
            if isinstance(kind, str):
                share[kind] += count / judged[form] / len(judged)
    shown = {kind: tuple(text for _, text in sorted(found)[:_EXAMPLES]) for kind, found in examples.items()}
    names = sorted(share)
    return LabelOverlap(
        label,
        other,
        forms,
        len(judged),
        {name: totals[name] for name in names},
        totals[_NESTED],
        totals[_CROSSED],
        totals[_FREE],
        {name: share[name] for name in names},
        {name: shown[name] for name in names},
        shown.get(_FREE, ()),
    )


def _conflicts(sources: Sequence[NerSource], overlaps: Sequence[LabelOverlap]) -> Iterator[NameConflict]:
    by_key = {(overlap.label, overlap.other): overlap for overlap in overlaps}
    for one, two in combinations(sources, 2):
        for first in one.label_refs:
            for second in two.label_refs:
                if first.label.casefold() != second.label.casefold():
                    continue
                there, back = by_key[first, second.source], by_key[second, first.source]
                shares = there.share.get(second.label, 0.0), back.share.get(first.label, 0.0)
                if min(there.found, back.found) >= ENOUGH_FORMS and max(shares) < CONFLICT:
                    examples = [*_otherwise(there, second.label), *_otherwise(back, first.label)]
                    yield NameConflict(
                        first, second, *shares, tuple(dict.fromkeys(examples))[: 2 * _EXAMPLES]
                    )


def _otherwise(overlap: LabelOverlap, label: str) -> Iterator[str]:
    """Yield a few mentions that the other source annotates as something else or not at all."""
    for name, texts in overlap.examples.items():
        if name != label:
            yield from texts[:1]
    yield from overlap.free_examples[:2]
