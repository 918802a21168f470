"""Two or more sources, screened against each other."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations

import numpy as np

from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.screening.forms import CROSSED, FREE, LABELS, NESTED, Forms
from esnera_hf.screening.occurrences import Occurrences, count_occurrences
from esnera_hf.screening.overlap import CONFLICT, ENOUGH_FORMS, LabelOverlap, NameConflict, Screening
from esnera_hf.sources import NerSource, SourceLike, load_each
from esnera_hf.text import join_tokens, shorten

_EXAMPLES = 3
_LONGEST_EXAMPLE = 40


def screen(sources: Sequence[SourceLike], *, splits: Sequence[str] = ("train",)) -> Screening:
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
    forms = {source.name: Forms(source, splits) for source in sources}
    overlaps: list[LabelOverlap] = []
    for other in sources:
        counts = count_occurrences(other, {n: forms[n] for n in names if n != other.name}, splits)
        for source in sources:
            if source is not other:
                overlaps += _overlaps(source, other.name, forms[source.name], counts[source.name])
    order = {pair: index for index, pair in enumerate(permutations(names, 2))}
    overlaps.sort(key=lambda o: (order[o.label.source, o.other], o.label.label))
    return Screening(tuple(overlaps), tuple(_conflicts(sources, overlaps)))


def _overlaps(source: NerSource, other: str, forms: Forms, counts: Occurrences) -> Iterator[LabelOverlap]:
    numbers, position = np.unique(counts.form, return_inverse=True)
    in_order = counts.sorted_by(forms.ranks(numbers)[position])
    for label in source.labels:
        number, carried = forms.with_label(label)
        own = in_order.only(carried[in_order.form])
        yield _overlap(LabelRef(source.name, label), other, number, forms, own)


def _overlap(label: LabelRef, other: str, number: int, forms: Forms, counts: Occurrences) -> LabelOverlap:
    """Return the overlap of a label; its forms are in order."""
    kinds = len(counts.labels) + LABELS
    totals = np.bincount(counts.kind, weights=counts.times, minlength=kinds).astype(np.int64).tolist()
    evidence = counts.only(counts.kind != NESTED)
    found, position = np.unique(evidence.form, return_inverse=True)
    judged = np.bincount(position, weights=evidence.times)
    parts = evidence.times / judged[position] / max(len(found), 1)
    named = [(name, kind) for kind, name in enumerate(counts.labels, LABELS) if totals[kind]]
    return LabelOverlap(
        label,
        other,
        number,
        len(found),
        {name: totals[kind] for name, kind in named},
        totals[NESTED],
        totals[CROSSED],
        totals[FREE],
        # One after the other, in the order of the forms: a sum in another order has other last digits.
        {name: float(np.cumsum(parts[evidence.kind == kind])[-1]) for name, kind in named},
        {name: _examples(forms, counts, kind) for name, kind in named},
        _examples(forms, counts, FREE),
    )


def _examples(forms: Forms, counts: Occurrences, kind: int) -> tuple[str, ...]:
    """Return the most frequent forms of one kind."""
    own = counts.only(counts.kind == kind)
    if len(own.times) > _EXAMPLES:
        least = np.partition(own.times, -_EXAMPLES)[-_EXAMPLES]
        own = own.only(own.times >= least)
    ranked = (
        (-count, shorten(join_tokens(forms.form(form)), _LONGEST_EXAMPLE))
        for form, count in zip(own.form.tolist(), own.times.tolist(), strict=True)
    )
    return tuple(text for _, text in heapq.nsmallest(_EXAMPLES, ranked))


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
