"""Mention overlap: where mentions of one source occur in the text of another, and how it annotates them.

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

import heapq
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.text import counted, display_width, join_tokens, pad, shorten, visible
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.duplicates import Duplicates
from esnera_hf.sources.load import SourceLike, load_each
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity, LabelRef

#: A label needs so many forms in the text of the other source before its agreement is judged.
ENOUGH_FORMS = 5
#: Below this agreement, both ways, two labels of one name are said to differ in meaning.
CONFLICT = 0.2
_EXAMPLES, _LONGEST_EXAMPLE = 3, 40
#: Labels that are shown, and the labels of the other source each is annotated as most.
_SHOWN, _COUNTERPARTS = 24, 2

_Form = tuple[str, ...]
#: How an occurrence is counted: under the label it is annotated with there, or as one of these.
_NESTED, _CROSSED, _FREE = range(3)
_Kind = int | str


class LabelOverlap:
    """How another source treats the mentions of one label.

    Attributes:
        forms: number of distinct mentions of the label.
        occurring: those that occur in the text of the other source other than nested.
        annotated: occurrences annotated there with these very boundaries, by
            its label.
        nested: occurrences inside a longer mention or form, no evidence.
        crossed: occurrences annotated with other boundaries.
        free: occurrences where nothing is annotated.
        share: by its label, the mean over the occurring forms of the share of a
            form's occurrences so annotated; each form weighs the same.
        examples: the most frequent of those forms, by label.
        free_examples: the most frequent forms that are free there.
    """

    def __init__(
        self, label: LabelRef, other: str, forms: int, counts: Mapping[_Form, Counter[_Kind]]
    ) -> None:
        # ``counts``: how often each form that occurs there occurs, by kind.
        self.label, self.other, self.forms = label, other, forms
        self.occurring = sum(count.total() > count[_NESTED] for count in counts.values())
        totals: Counter[_Kind] = Counter()
        share: dict[str, float] = defaultdict(float)
        for count in counts.values():
            totals.update(count)
            for kind, times in count.items():
                if isinstance(kind, str):
                    share[kind] += times / (count.total() - count[_NESTED]) / self.occurring
        self.share = dict(sorted(share.items()))
        self.annotated = {name: totals[name] for name in self.share}
        self.nested, self.crossed, self.free = totals[_NESTED], totals[_CROSSED], totals[_FREE]
        self.examples = {name: _examples(counts, name) for name in self.share}
        self.free_examples = _examples(counts, _FREE)

    @classmethod
    def of_shares(
        cls, label: LabelRef, other: str, forms: int, occurring: int, share: Mapping[str, float]
    ) -> LabelOverlap:
        """Return what the owner of the other source has counted: the shares, without examples."""
        overlap = cls(label, other, forms, {})
        overlap.occurring, overlap.share = occurring, dict(sorted(share.items()))
        overlap.annotated = dict.fromkeys(overlap.share, 0)
        overlap.examples = dict.fromkeys(overlap.share, ())
        return overlap

    @property
    def occurrences(self) -> int:
        """How often the forms occur in the text of the other source, nested ones included."""
        return sum(self.annotated.values()) + self.nested + self.crossed + self.free

    @property
    def most_alike(self) -> float:
        """The largest share, scaled by how many forms it rests on."""
        return max(self.share.values(), default=0.0) * self.occurring / (self.occurring + 1)

    def short(self) -> str:
        """Return in a few words as what the mentions are annotated most."""
        best = self._ranked()[:_COUNTERPARTS]
        shares = ", ".join(f"{name} {share:.0%}" for name, share in best) or "not annotated"
        return f"{shares}; {self.occurring:,} of {self.forms:,} mentions occur"

    def _ranked(self) -> list[tuple[str, float]]:
        return sorted(self.share.items(), key=lambda item: (-item[1], item[0]))

    def __str__(self) -> str:
        head = f"{self.occurring:,} of {self.forms:,} mentions occur, {counted(self.occurrences, 'time')}"
        best = self._ranked()[:3]
        parts = [f"{name} {share:.0%} ({', '.join(self.examples[name])})" for name, share in best]
        if self.free:
            parts.append(f"not annotated {counted(self.free, 'time')} ({', '.join(self.free_examples)})")
        parts += [f"{self.crossed:,} with other boundaries"] if self.crossed else []
        parts += [f"{self.nested:,} inside longer ones"] if self.nested else []
        return "; ".join([head, *parts])


@dataclass(frozen=True)
class MentionOverlap:
    """Mention overlap of every ordered pair of sources; ``str()`` gives one screen of it, :meth:`details` all.

    Attributes:
        overlaps: one for each label and other source.
        conflicts: sentences on labels of one name that seem to differ in meaning, with
            mentions that the other source annotates otherwise or not at all.
        duplicates: sentences that the sources share, where they were looked for.
    """

    overlaps: tuple[LabelOverlap, ...]
    conflicts: tuple[str, ...] = ()
    duplicates: Duplicates | None = None

    def matrix(self, labels: Sequence[LabelRef]) -> NDArray[np.float64]:
        """Return how much of each label's mentions the other sources annotate alike. shape: (labels, labels)

        Each share is scaled by n / (n + 1), n being the number of forms it rests
        on: one form in common is weak evidence. It is NaN within a source and where no
        mention of the row's label occurs in the text of the column's source.
        """
        overlaps = {(overlap.label, overlap.other): overlap for overlap in self.overlaps if overlap.occurring}

        def share(label: LabelRef, other: LabelRef) -> float:
            overlap = overlaps.get((label, other.source))
            if overlap is None:
                return math.nan
            # Scaled, average precision of equal labels is 0.69 on 36 pairs of corpora, else 0.55 (results/screen.md).
            return overlap.share.get(other.label, 0.0) * overlap.occurring / (overlap.occurring + 1)

        shares = [[share(label, other) for other in labels] for label in labels]
        return np.array(shares, dtype=np.float64).reshape(len(labels), len(labels))

    def occurring(self, labels: Sequence[LabelRef]) -> NDArray[np.int64]:
        """Return how many forms of each label its shares rest on. shape: (labels, labels)"""
        forms = {(overlap.label, overlap.other): overlap.occurring for overlap in self.overlaps}
        counts = [[forms.get((label, other.source), 0) for other in labels] for label in labels]
        return np.array(counts, dtype=np.int64).reshape(len(labels), len(labels))

    def __str__(self) -> str:
        ranked = sorted((o for o in self.overlaps if o.occurring), key=lambda o: (-o.most_alike, o.label))
        width = max((display_width(str(o.label)) for o in ranked[:_SHOWN]), default=0)
        lines = [f"{pad(str(o.label), width)}  in {o.other}: {o.short()}" for o in ranked[:_SHOWN]]
        if len(ranked) > _SHOWN:
            lines.append(f"… and {len(ranked) - _SHOWN:,} more, less alike")
        elsewhere = {o.label for o in ranked}
        alone = list(dict.fromkeys(str(o.label) for o in self.overlaps if o.label not in elsewhere))
        if alone:
            more = f" and {len(alone) - _SHOWN:,} more" if len(alone) > _SHOWN else ""
            lines.append(
                f"without a mention in the text of another source: {', '.join(alone[:_SHOWN])}{more}"
            )
        lines += self.conflicts[:_EXAMPLES]
        if len(self.conflicts) > _EXAMPLES:
            lines.append(
                f"… and {len(self.conflicts) - _EXAMPLES:,} more labels of one name that seem to differ"
            )
        shared = [] if self.duplicates is None else [str(self.duplicates)]
        return "\n".join(map(visible, "\n".join([*lines, *shared]).split("\n")))

    def details(self) -> str:
        """Return for every label all that is counted, with examples, then what the sources share."""
        width = max((display_width(str(overlap.label)) for overlap in self.overlaps), default=0)
        lines = [f"{pad(str(o.label), width)}  in {o.other}: {o}" for o in self.overlaps]
        shared = [] if self.duplicates is None else ["", self.duplicates.details()]
        return "\n".join([*lines, *self.conflicts, *shared])

    __repr__ = __str__


def mention_overlap(sources: Sequence[SourceLike], *, splits: Sequence[str] = ("train",)) -> MentionOverlap:
    """Compare the mentions of two or more sources without a model.

    Args:
        sources: as for :func:`~esnera_hf.align`; loaded sources in one script without spaces should be cut
            into characters alike, as ``load_source`` does.
        splits: the splits whose text and mentions count.

    Returns:
        How each source annotates the mentions of each label of the others.

    Raises:
        SourceNotFoundError, SourceError: a source cannot be found or read.
        ConfigurationError: fewer than two sources, or two of one name.
    """
    sources = load_each(sources)
    names = [source.name for source in sources]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigurationError(f"sources: expected two or more of different names, found {names}.")
    forms = {source.name: forms_of(source, splits) for source in sources}
    index = FormIndex(forms)
    counts = {
        (name, other.name): kinds
        for other in sources
        for name, kinds in occurrences_in(other, index, splits).items()
    }
    overlaps = [
        overlap
        for name, other in permutations(names, 2)
        for overlap in overlaps_of(name, other, forms[name], counts[name, other])
    ]
    return MentionOverlap(tuple(overlaps), tuple(_conflicts(sources, overlaps)))


class MentionForms:
    """The distinct token sequences of the mentions of a source with the labels they carry, and all its labels."""

    def __init__(self, source_labels: Sequence[str], labels: Mapping[_Form, tuple[str, ...]]) -> None:
        self.source_labels, self.labels = source_labels, labels


class FormIndex:
    """The forms of several sources, by source; each is looked up once in a text, however many of them have it."""

    def __init__(self, forms: Mapping[str, MentionForms]) -> None:
        self.names = tuple(forms)
        #: The sources that have a form.
        self.owners: dict[_Form, tuple[str, ...]] = {}
        lengths: dict[str, set[int]] = defaultdict(set)
        for name, own in forms.items():
            for form in own.labels:
                self.owners[form] = (*self.owners.get(form, ()), name)
                lengths[form[0]].add(len(form))
        #: How long the forms are that begin with a token, by token.
        self.lengths = {token: tuple(sorted(some)) for token, some in lengths.items()}

    def beginning(self, tokens: Sequence[str], start: int) -> list[tuple[int, _Form]]:
        """Return where the forms end that begin at a token of a text, and these forms, the shortest first."""
        spans = [
            (start + length, tuple(tokens[start : start + length])) for length in self.lengths[tokens[start]]
        ]
        return [(end, form) for end, form in spans if form in self.owners and end <= len(tokens)]


def forms_of(source: NerSource, splits: Sequence[str] = ("train",)) -> MentionForms:
    """Return the forms of the mentions in splits of a source."""
    labels: dict[_Form, tuple[str, ...]] = {}
    for split in splits:
        for sentence in source.sentences(split):
            for entity in sentence.entities:
                # Words recur in forms; interned, each lies in memory once.
                form = tuple(map(sys.intern, sentence.tokens[entity.start : entity.end]))
                carried = labels.get(form, ())
                if entity.label not in carried:
                    labels[form] = (*carried, entity.label)
    return MentionForms(source.labels, labels)


def occurrences_in(
    other: NerSource, forms: FormIndex, splits: Sequence[str] = ("train",)
) -> dict[str, dict[_Form, Counter[_Kind]]]:
    """Return, for each source, how often each of its forms occurs in another one, by kind."""
    counts: dict[str, dict[_Form, Counter[_Kind]]] = {
        name: defaultdict(Counter) for name in forms.names if name != other.name
    }
    for sentence in (sentence for split in splits for sentence in other.sentences(split)):
        tokens = sentence.tokens
        annotated = {(entity.start, entity.end): entity.label for entity in sentence.entities}
        reach = dict.fromkeys(forms.names, 0)
        for start, token in enumerate(tokens):
            if token not in forms.lengths:
                continue
            spans = forms.beginning(tokens, start)
            longest = {name: end for end, form in spans for name in forms.owners[form]}
            for end, form in spans:
                kind: _Kind | None = annotated.get((start, end))
                outer = _without_label(start, end, sentence.entities) if kind is None else kind
                for name in forms.owners[form]:
                    if name != other.name:
                        # A longer form of its own source may be around it.
                        inside = kind is None and (end <= reach[name] or end < longest[name])
                        counts[name][form][_NESTED if inside else outer] += 1
            for name, end in longest.items():
                reach[name] = max(reach[name], end)
    return counts


def _without_label(start: int, end: int, entities: Sequence[Entity]) -> int:
    if any(entity.start <= start and end <= entity.end for entity in entities):
        return _NESTED
    return _CROSSED if any(entity.start < end and start < entity.end for entity in entities) else _FREE


def overlaps_of(
    name: str, other: str, forms: MentionForms, counts: Mapping[_Form, Counter[_Kind]]
) -> list[LabelOverlap]:
    """Return how another source treats the mentions of each label, from how often each form occurs there, by kind."""
    by_label: dict[str, list[_Form]] = {label: [] for label in forms.source_labels}
    for form, labels in forms.labels.items():
        for label in labels:
            by_label[label].append(form)
    # In order: sums of fractions in another order have other last digits.
    return [
        LabelOverlap(
            LabelRef(name, label),
            other,
            len(own),
            {form: counts[form] for form in sorted(own) if form in counts},
        )
        for label, own in by_label.items()
    ]


def _examples(counts: Mapping[_Form, Counter[_Kind]], kind: _Kind) -> tuple[str, ...]:
    """Return the most frequent forms of one kind."""
    # Texts are joined only for those as frequent as the third: a label may have a hundred thousand forms.
    times = heapq.nlargest(_EXAMPLES, (count[kind] for count in counts.values() if kind in count))
    ranked = (
        (-count[kind], shorten(join_tokens(form), _LONGEST_EXAMPLE))
        for form, count in counts.items()
        if kind in count and count[kind] >= times[-1]
    )
    return tuple(text for _, text in heapq.nsmallest(_EXAMPLES, ranked))


def _conflicts(sources: Sequence[NerSource], overlaps: Sequence[LabelOverlap]) -> Iterator[str]:
    """Yield a sentence on each two labels of one name whose mentions the sources treat differently."""
    by_key = {(overlap.label, overlap.other): overlap for overlap in overlaps}
    for one, two in combinations(sources, 2):
        for first in one.label_refs:
            for second in two.label_refs:
                if first.label.casefold() != second.label.casefold():
                    continue
                there, back = by_key[first, second.source], by_key[second, first.source]
                shares = there.share.get(second.label, 0.0), back.share.get(first.label, 0.0)
                if min(there.occurring, back.occurring) >= ENOUGH_FORMS and max(shares) < CONFLICT:
                    examples = [*_otherwise(there, second.label), *_otherwise(back, first.label)]
                    yield (
                        f"same name, different meaning? {first} and {second}: {shares[0]:.0%} and {shares[1]:.0%} of "
                        f"their mentions agree; e.g. {', '.join(list(dict.fromkeys(examples))[: 2 * _EXAMPLES])}"
                    )


def _otherwise(overlap: LabelOverlap, label: str) -> Iterator[str]:
    """Yield a few mentions that the other source annotates as something else or not at all."""
    for name, texts in overlap.examples.items():
        if name != label:
            yield from texts[:1]
    yield from overlap.free_examples[:2]
