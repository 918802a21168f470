"""The forms of a source: the distinct token sequences of its mentions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from esnera_hf.sources import AnnotatedSentence, NerSource
from esnera_hf.tagging import Entity

Form = tuple[str, ...]

#: What an occurrence is; from ``LABELS`` on the labels of the other source, in order.
NESTED, CROSSED, FREE, LABELS = range(4)


class Forms:
    """The forms of a source and the labels they carry.

    Args:
        source: the source.
        splits: the splits whose mentions count.
    """

    def __init__(self, source: NerSource, splits: Sequence[str]) -> None:
        self._numbers: dict[Form, int] = {}
        self._labels: list[frozenset[str]] = []
        tokens: dict[str, str] = {}
        sets: dict[frozenset[str], frozenset[str]] = {}
        for split in splits:
            for sentence in source.sentences(split):
                for entity in sentence.entities:
                    words = sentence.tokens[entity.start : entity.end]
                    form = tuple([tokens.setdefault(word, word) for word in words])
                    number = self._numbers.setdefault(form, len(self._labels))
                    if number == len(self._labels):
                        self._labels.append(frozenset())
                    if entity.label not in self._labels[number]:
                        carried = self._labels[number] | {entity.label}
                        self._labels[number] = sets.setdefault(carried, carried)
        self._forms = list(self._numbers)
        self._lengths = _lengths(self._forms)

    def form(self, number: int) -> Form:
        """Return a form by its number."""
        return self._forms[number]

    def ranks(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of each of some forms in their order."""
        order = sorted(range(len(numbers)), key=[self._forms[n] for n in numbers.tolist()].__getitem__)
        ranks = np.empty(len(numbers), dtype=np.int64)
        ranks[order] = np.arange(len(numbers))
        return ranks

    def with_label(self, label: str) -> tuple[int, NDArray[np.bool_]]:
        """Return how many forms carry a label, and for each form whether it does."""
        carried = np.fromiter((label in labels for labels in self._labels), bool, len(self._labels))
        return int(carried.sum()), carried

    def found_in(self, sentence: AnnotatedSentence, kinds: dict[str, int]) -> Iterator[tuple[int, int]]:
        """Yield the number of each form that occurs in a sentence, with what it is there.

        Args:
            sentence: of another source.
            kinds: the kind of each label of that source.
        """
        tokens = sentence.tokens
        labels = {(entity.start, entity.end): entity.label for entity in sentence.entities}
        reach = 0
        for start, token in enumerate(tokens):
            lengths = self._lengths.get(token)
            if lengths is None:
                continue
            forms = []
            for end in (start + length for length in lengths if start + length <= len(tokens)):
                number = self._numbers.get(tuple(tokens[start:end]))
                if number is not None:
                    forms.append((end, number))
            for end, number in forms:
                label = labels.get((start, end))
                if label is not None:
                    yield number, kinds[label]
                elif end <= reach or end < forms[-1][0]:
                    yield number, NESTED
                else:
                    yield number, _without_label(start, end, sentence.entities)
            if forms:
                reach = max(reach, forms[-1][0])


def _lengths(forms: Iterable[Form]) -> dict[str, tuple[int, ...]]:
    """Return the lengths of forms by their first tokens, the shortest first."""
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    lengths: dict[str, tuple[int, ...]] = {}
    for form in forms:
        found = lengths.get(form[0], ())
        if len(form) not in found:
            longer = tuple(sorted((*found, len(form))))
            lengths[form[0]] = known.setdefault(longer, longer)
    return lengths


def _without_label(start: int, end: int, entities: Sequence[Entity]) -> int:
    crossed = False
    for entity in entities:
        if entity.start <= start and end <= entity.end:
            return NESTED
        crossed |= entity.start < end and start < entity.end
    return CROSSED if crossed else FREE
