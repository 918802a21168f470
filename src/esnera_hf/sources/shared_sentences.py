"""Sentences that two sources annotate both, side by side: direct evidence of how their labels relate.

Sentences count wherever they stand: one that a merge leaves out of training, as it is in
another source's test split, says as much here as any other. What is the same text is told as in
:mod:`~esnera_hf.sources.duplicates`; spans are compared by the characters of the levelled text, since two sources may
cut one sentence into other tokens.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from math import lgamma
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.text import join_tokens, shorten
from esnera_hf.sources.duplicates import Pairs
from esnera_hf.sources.levelled_texts import Span, Texts
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.tagging import LabelRef

Relation = Literal["equal", "subset", "superset", "overlap", "none"]
#: In the order of all likelihoods and probabilities; how the row's label relates to the column's.
RELATIONS: tuple[Relation, ...] = ("equal", "subset", "superset", "overlap", "none")
#: Mentions that both sources give to two equal labels, to one that only one of them does, before any was seen. Two
#: releases of one corpus (Weibo) agree on 4 of 6 of their names; human agreement is above that, other guidelines below.
AGREED = 4.0
#: Mentions that one source gives to a label and the other does not, to one that both give to two unrelated labels.
STRAY = 19.0
#: Pairs of sentences that are read at a time.
_AT_ONCE = 10_000
_EXAMPLES, _LONGEST_EXAMPLE = 3, 40

#: Where the characters of one text stand in another; -1 for those that it lacks. ``None`` for the same text.
_Places = Sequence[int] | None
_log_gamma = np.vectorize(lgamma, otypes=[np.float64])


@dataclass(frozen=True, repr=False)
class SharedSentences:
    """How two sources annotate the sentences they share, for N labels.

    A mention that the other source annotates with other boundaries counts in ``overlapping``, for the label it
    overlaps most. In nearly the same sentences only mentions count that stand in both, character by character.

    Attributes:
        labels: the N labels.
        sentences: how many sentences two sources share, by their names in order; a text counts once.
        mentions: shape (N, N); ``[i, j]`` counts the mentions of i in the sentences shared with j's source.
        same: shape (N, N), symmetric; those of them that j's source annotates as j, with the same boundaries.
        overlapping: shape (N, N); those of them that j's source annotates as j, with other boundaries.
        examples: a few mentions of a label, by that label, the other source, and the label that it gives them there
            (``None`` for none).
    """

    labels: tuple[LabelRef, ...]
    sentences: Mapping[tuple[str, str], int]
    mentions: NDArray[np.int64]
    same: NDArray[np.int64]
    overlapping: NDArray[np.int64]
    examples: Mapping[tuple[LabelRef, str, str | None], tuple[str, ...]] = field(default_factory=dict)

    @property
    def compared(self) -> NDArray[np.int64]:
        """``mentions`` that the other source had room to give the same boundaries, shape (N, N).

        A flat annotation holds one of two spans that overlap, so ``China`` inside an annotated ``Bank of China`` is
        no evidence that the other source does not annotate ``China``.
        """
        owner = np.array([label.source for label in self.labels])
        of_source = (owner[:, None] == owner[None, :]).astype(np.int64)
        return np.asarray(self.mentions - self.overlapping @ of_source)

    def __repr__(self) -> str:
        pairs = ", ".join(f"{one} and {other} {count:,}" for (one, other), count in self.sentences.items())
        return f"SharedSentences({pairs or 'none'})"


def relation_likelihoods(
    both: NDArray[np.int64], only_first: NDArray[np.int64], only_second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the likelihood of counts under each of five relations, scaled to a sum of 1.

    Every mention of either label is labelled by both sources, by the first alone or by the second alone. Each
    relation says what shares of the three to expect, as Dirichlet and Beta distributions; the likelihood is that of
    the counts with the shares integrated out, so that few counts say little, and many no more than how well their
    shares fit. A share that there must be some of has a density of 0 at 0 (Beta(2, 1), Dirichlet(2, 2, 2)): where
    sources agree on everything, neither label is a part of the other.

    ========  =========================================================================================
    equal     both : first : second as 4 : 1 : 1 (:data:`AGREED`)
    subset    some share is the second's alone; of the rest 4 : 1 is both's
    superset  the same with the labels exchanged
    overlap   some share is each of the three
    none      1 : 19 of the mentions of one label, either of the two, is both's (:data:`STRAY`)
    ========  =========================================================================================

    Args:
        both: mentions that are the first label in its source and the second in the other, shape (P,).
        only_first: mentions of the first label that are not the second, shape (P,).
        only_second: mentions of the second label that are not the first, shape (P,).

    Returns:
        Shape (P, 5), in the order of :data:`RELATIONS`.
    """
    apart = only_first + only_second
    split, real_split = (_beta_binomial(only_first, only_second, some, some) for some in (1.0, 2.0))
    strays = (
        _beta_binomial(rest, both + own, 1.0, 1.0) + _beta_binomial(both, own, 1.0, STRAY)
        for own, rest in ((only_first, only_second), (only_second, only_first))
    )
    logs = np.stack(
        [
            _beta_binomial(both, apart, AGREED, 2.0) + split,
            _beta_binomial(only_second, both + only_first, 2.0, 1.0)
            + _beta_binomial(both, only_first, AGREED, 1.0),
            _beta_binomial(only_first, both + only_second, 2.0, 1.0)
            + _beta_binomial(both, only_second, AGREED, 1.0),
            _beta_binomial(both, apart, 2.0, 4.0) + real_split,
            np.logaddexp(*strays) - np.log(2),
        ],
        axis=-1,
    )
    shares = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def _beta_binomial(
    ones: NDArray[np.int64], others: NDArray[np.int64], alpha: float, beta: float
) -> NDArray[np.float64]:
    """Return the log of the likelihood of a sequence of two outcomes whose share is of a Beta distribution."""
    terms = _log_gamma(ones + alpha) + _log_gamma(others + beta) - _log_gamma(ones + others + alpha + beta)
    return np.asarray(terms + lgamma(alpha + beta) - lgamma(alpha) - lgamma(beta))


def compare_shared(sources: Sequence[NerSource], duplicates: Pairs) -> SharedSentences:
    """Compare the annotation of the sentences that sources share.

    Each sentence is compared with one of each other source, the same text before nearly the same: repeated texts are
    no further evidence.

    Args:
        sources: two or more sources of different names.
        duplicates: what :func:`~esnera_hf.sources.duplicates.find_pairs` gives for them.
    """
    texts, pairs = duplicates
    labels = tuple(label for source in sources for label in source.label_refs)
    index = {label: number for number, label in enumerate(labels)}
    mentions: Counter[tuple[LabelRef, str]] = Counter()
    same, overlapping = (np.zeros((len(labels), len(labels)), dtype=np.int64) for _ in range(2))
    sentences: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[LabelRef, str, str | None], dict[str, None]] = defaultdict(dict)
    for one, other, places in _side_by_side(texts, _one_to_one(texts, pairs)):
        sentences[one.source, other.source] += 1
        spans, spans_there = texts.spans(one), texts.spans(other)
        ways = ((one, other, spans, spans_there), (other, one, spans_there, spans))
        for (first, second, own, others), moved in zip(ways, places, strict=True):
            for number, label, there, exact in _compared(own, others, moved):
                row = LabelRef(first.source, label)
                mentions[row, second.source] += 1
                if there is not None:
                    counts = same if exact else overlapping
                    counts[index[row], index[LabelRef(second.source, there)]] += 1
                shown = examples[row, second.source, there]
                if len(shown) < _EXAMPLES:
                    shown[_mention(first, number)] = None
    counted = [[mentions[one, other.source] for other in labels] for one in labels]
    return SharedSentences(
        labels,
        dict(sorted(sentences.items())),
        np.array(counted, dtype=np.int64).reshape(same.shape),
        same,
        overlapping,
        {key: tuple(shown) for key, shown in examples.items()},
    )


def _one_to_one(texts: Texts, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those pairs of different sources in which no sentence, and no text, stands twice with one source."""
    owners = np.unique([source for source, _ in texts.parts], return_inverse=True)[1]
    owner = owners[texts.part_of(pairs[:, :2])].reshape(-1, 2) if len(pairs) else pairs[:, :2]
    across = np.flatnonzero(owner[:, 0] != owner[:, 1])
    taken: set[tuple[int, int]] = set()
    chosen = []
    for row in across[np.argsort(1 - pairs[across, 2], kind="stable")].tolist():
        (first, second, exact), (one, other) = pairs[row, :3].tolist(), owner[row].tolist()
        ends = {(first, other), (second, one)}
        if taken.isdisjoint(ends):
            chosen.append(row)
            taken |= ends
        elif exact:  # a repeated text, whose other repetitions are to find no partner either
            taken |= ends
    return np.asarray(pairs[sorted(chosen)])


def _side_by_side(
    texts: Texts, pairs: NDArray[np.int64]
) -> Iterator[tuple[AnnotatedSentence, AnnotatedSentence, tuple[_Places, _Places]]]:
    """Yield the two sentences of each pair, and where the characters of each stand in the other."""
    for start in range(0, len(pairs), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        sentences = dict(texts.sentences_of(np.unique(some[:, :2])))
        for first, second, exact, _ in some.tolist():
            one, other = sentences[first], sentences[second]
            yield one, other, (None, None) if exact else _places(texts.level(one), texts.level(other))


def _places(one: str, other: str) -> tuple[list[int], list[int]]:
    """Return where the characters of each of two texts stand in the other, -1 for those that it lacks."""
    there, back = [-1] * len(one), [-1] * len(other)
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    for start, start_there, size in blocks:
        there[start : start + size] = range(start_there, start_there + size)
        back[start_there : start_there + size] = range(start, start + size)
    return there, back


def _compared(
    spans: Sequence[Span], others: Sequence[Span], places: _Places
) -> Iterator[tuple[int, str, str | None, bool]]:
    """Yield each mention that stands in the other sentence: number, label, label there, whether boundaries agree."""
    for number, (start, end, label) in enumerate(spans):
        place = _moved(start, end, places)
        if place is not None:
            nearest = max(others, key=lambda span: _common(place, span), default=None)
            if nearest is None or _common(place, nearest) <= 0:
                yield number, label, None, False
            else:
                yield number, label, nearest[2], nearest[:2] == place


def _moved(start: int, end: int, places: _Places) -> tuple[int, int] | None:
    """Return where a span stands in the other text, ``None`` where it does not or holds no character."""
    if start == end:
        return None
    if places is None:
        return start, end
    first = places[start]
    stands = first >= 0 and places[start:end] == list(range(first, first + end - start))
    return (first, first + end - start) if stands else None


def _common(place: tuple[int, int], span: Span) -> int:
    return min(place[1], span[1]) - max(place[0], span[0])


def _mention(sentence: AnnotatedSentence, number: int) -> str:
    entity = sentence.entities[number]
    return shorten(join_tokens(sentence.tokens[entity.start : entity.end]), _LONGEST_EXAMPLE)
