"""What is unsure is asked: pairs of labels whose decision could fall either way, those that matter most first.

An answer is a constraint (``must_link``, ``cannot_link``, ``part_of``); it is taken up without measuring anything anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.similarity.explanation import Decision
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.overlap import MentionOverlap
from esnera_hf.sources.shared_sentences import SharedSentences
from esnera_hf.tagging import LabelRef

#: Probability that a decision is wrong from which it is asked about.
UNSURE = 0.1
#: A part in the wrong place costs the coarse labels alone, two labels wrongly made one cost what told them apart.
_PLACE = 0.5
#: Questions of a report, which nobody answers at once, and mentions of each.
_MOST, _EXAMPLES = 50, 4

#: A mention, and the labels that it bears in the one source and in the other; ``None`` for none.
MentionLabels = tuple[str, str | None, str | None]


@dataclass(frozen=True, repr=False)
class Question:
    """Two labels of different sources of which it is unsure how they relate.

    Attributes:
        one, other: the labels.
        decision: what they are in the mapping: ``one`` label, the first a ``part`` of the other, its ``whole``, or
            ``apart``.
        equal: how probable it is that they mean the same.
        part: how probable it is that the first is a part of the other.
        whole: how probable it is that the other is a part of the first.
        mentions: of the label that has fewer.
        examples: mentions of one of the two and what each source says of them, those that speak against it first.
        definitions: what the two labels mean, where anybody said it of one of them.
    """

    one: LabelRef
    other: LabelRef
    decision: Decision
    equal: float
    part: float
    whole: float
    mentions: int
    examples: tuple[MentionLabels, ...] = ()
    definitions: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers as options of the command line; as settings where a label holds a comma."""
        one, other = str(self.one), str(self.other)
        options = (
            ("must_link", one, other),
            ("part_of", one, other),
            ("part_of", other, one),
            ("cannot_link", one, other),
        )
        if "," in one + other:
            return tuple(f"SchemaSettings({name}=[{[first, second]!r}])" for name, first, second in options)
        return tuple(
            f"--{name.replace('_', '-')} {shlex.quote(f'{first},{second}')}"
            for name, first, second in options
        )

    def __repr__(self) -> str:
        return f"Question({self.one} = {self.other}? now {self.decision}, P {self.equal:.2f}, {self.mentions:,} times)"


def find_questions(
    matrix: SimilarityMatrix,
    mapping: LabelMapping,
    constraints: Constraints = NO_CONSTRAINTS,
    overlap: MentionOverlap | None = None,
    shared: SharedSentences | None = None,
    *,
    most: int = _MOST,
) -> tuple[Question, ...]:
    """Return the pairs of labels that are worth asking about, one for any two unified labels.

    A pair counts as much as its decision is probable to be wrong (by :data:`UNSURE` at least), times the logarithm of
    the mentions of the rarer label: what concerns a hundred times as many mentions comes first, but
    not before a hundred questions on rarer labels that are open. What the user has answered is not asked again,
    and where nothing is known of a pair there is nothing to ask by.

    Args:
        overlap, shared: mentions and sentences that sources have in common, for examples.
        most: at most so many.
    """
    equal, part = (np.nan_to_num(matrix.probabilities[..., relation]) for relation in (0, 1))
    decisions, groups = _decisions(matrix, mapping)
    wrong = _doubt(equal, part, decisions)
    answered = _answered(matrix, groups, constraints)
    mentions = np.minimum(matrix.support[:, None], matrix.support[None, :])
    asked = ~answered & ~matrix.same_source & (wrong >= UNSURE)
    weight = np.triu(np.where(asked, wrong * np.log1p(mentions), 0.0))
    rows, columns = np.nonzero(weight)
    ranked = np.lexsort((columns, rows, -weight[rows, columns]))
    of_pair = np.sort(np.stack([groups[rows], groups[columns]], axis=1), axis=1)[ranked]
    firsts = np.sort(np.unique(of_pair, axis=0, return_index=True)[1])[:most]
    settling = _Examples(overlap, shared)
    meanings = {entry.label: entry.definition for entry in mapping.entries}
    return tuple(
        Question(
            matrix.labels[i],
            matrix.labels[j],
            _NAMES[int(decisions[i, j])],
            equal=round(float(equal[i, j]), 4),
            part=round(float(part[i, j]), 4),
            whole=round(float(part[j, i]), 4),
            mentions=int(mentions[i, j]),
            examples=settling.of(matrix.labels[i], matrix.labels[j]),
            definitions=_definitions(meanings, matrix.labels[i], matrix.labels[j]),
        )
        for i, j in zip(rows[ranked][firsts].tolist(), columns[ranked][firsts].tolist(), strict=True)
    )


def _definitions(meanings: Mapping[LabelRef, str], *pair: LabelRef) -> tuple[str, ...]:
    """Return what the labels of a pair mean, nothing where that is known of neither."""
    definitions = tuple(meanings.get(label, "") for label in pair)
    return definitions if any(definitions) else ()


_NAMES: tuple[Decision, ...] = ("one", "part", "whole", "apart")
_ONE, _PART, _WHOLE, _APART = range(4)


def _decisions(
    matrix: SimilarityMatrix, mapping: LabelMapping
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what each two labels are in a mapping, shape (N, N), and the number of the group of each, shape (N,)."""
    names: dict[str | None, int] = {name: number for number, name in enumerate(mapping.unified_labels)}
    below = np.zeros((len(names) + 1, len(names) + 1), dtype=bool)
    for name in mapping.unified_labels:
        below[names[name], [names[above] for above in mapping.ancestors(name)]] = True
    groups = np.array([names.get(mapping[label], len(names)) for label in matrix.labels], dtype=np.int64)
    is_part = below[np.ix_(groups, groups)]
    same = groups[:, None] == groups[None, :]
    return np.select([same, is_part, is_part.T], [_ONE, _PART, _WHOLE], _APART), groups


def _doubt(
    equal: NDArray[np.float64], part: NDArray[np.float64], decisions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how probable it is that a decision is wrong, a wrong place in the tree counting less, shape (N, N)."""
    apart = np.clip(1 - equal - part - part.T, 0, 1)
    decided = np.choose(decisions, [equal, part, part.T, apart])
    return np.where(decisions == _ONE, 1 - equal, equal + _PLACE * np.clip(1 - equal - decided, 0, 1))


def _answered(
    matrix: SimilarityMatrix, groups: NDArray[np.int64], constraints: Constraints
) -> NDArray[np.bool_]:
    """Return which pairs are settled by what the user asks for: as a class, or as groups that cannot become one."""
    index, n = matrix.index, len(matrix.labels)
    settled = np.zeros((n, n), dtype=bool)
    for members in constraints.classes:
        places = [index[label] for label in members if label in index]
        settled[np.ix_(places, places)] = True
    open_groups = np.zeros((groups.max(initial=0) + 1,) * 2, dtype=bool)
    for one, other in map(tuple, constraints.cannot_link):
        if one in index and other in index:
            i, j = groups[index[one]], groups[index[other]]
            open_groups[i, j] = open_groups[j, i] = True
    left_out = np.array([label in constraints.left_out for label in matrix.labels], dtype=bool)
    return np.asarray(settled | open_groups[np.ix_(groups, groups)] | left_out[:, None] | left_out[None, :])


class _Examples:
    """Mentions that would settle how two labels relate."""

    def __init__(self, overlap: MentionOverlap | None, shared: SharedSentences | None) -> None:
        self._mentions: dict[tuple[LabelRef, str], dict[str | None, tuple[str, ...]]] = {}
        for (label, other, there), texts in shared.examples.items() if shared is not None else ():
            self._add(label, other, there, texts)
        for pair in overlap.overlaps if overlap is not None else ():
            for name in sorted(pair.share, key=lambda name: (-pair.share[name], name)):
                self._add(pair.label, pair.other, name, pair.examples[name])
            self._add(pair.label, pair.other, None, pair.free_examples)

    def _add(self, label: LabelRef, other: str, there: str | None, texts: tuple[str, ...]) -> None:
        """Add mentions of a label, and the label that another source gives them."""
        named = self._mentions.setdefault((label, other), {})
        named[there] = tuple(dict.fromkeys((*named.get(there, ()), *texts)))

    def of(self, one: LabelRef, other: LabelRef) -> tuple[MentionLabels, ...]:
        """Return a few mentions of either label: those that the other source takes otherwise, then those alike."""
        there = self._mentions.get((one, other.source), {})
        back = self._mentions.get((other, one.source), {})
        # One for each label that stands there, in turn for the one and the other source.
        here_first = (
            (texts[0], one.label, name) for name, texts in there.items() if texts and name != other.label
        )
        there_first = (
            (texts[0], name, other.label) for name, texts in back.items() if texts and name != one.label
        )
        against = chain.from_iterable(zip_longest(here_first, there_first))
        alike = ((text, one.label, other.label) for text in there.get(other.label, ()))
        examples = dict.fromkeys(filter(None, chain(islice(against, _EXAMPLES), alike)))
        return tuple(examples)[:_EXAMPLES]
