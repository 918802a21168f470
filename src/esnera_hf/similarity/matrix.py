"""Both similarities of every pair of labels, with the counts they rest on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray

from esnera_hf._internal.checks import from_plain, within
from esnera_hf._internal.text import counted
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.features import coverage_of
from esnera_hf.similarity.probability import equality_threshold, relation_probabilities
from esnera_hf.sources.shared_sentences import RELATIONS, Relation
from esnera_hf.tagging import LabelRef

#: Pairs that a notebook shows: a screen of them.
_SHOWN = 20
SQUARES = {
    "matched": np.int64,
    "predicted": np.int64,
    "semantic": np.float64,
    "overlap": np.float64,
    "occurring": np.int64,
    "siblings": np.float64,
    "shared": np.int64,
    "shared_same": np.int64,
}
#: Forms that an overlap of mentions of which nothing else is known rests on.
_MANY = 1000
#: A similarity of vectors exceeds 1 by what rounding adds.
_MOST = 1.001
ROWS = {"support": np.int64, "read": np.int64, "recall": np.float64, "reliability": np.float64}


@dataclass(frozen=True, repr=False)
class SimilarityMatrix:
    """Similarities between N labels of several sources.

    Pairs within one source are not measured: their counts are 0, their
    semantic similarity is NaN.

    Attributes:
        labels: the N labels, those of a source together.
        support: shape (N,), gold mentions in the train split.
        matched: shape (N, N); ``[i, j]`` counts the entities that the tagger, or
            light head, of i's source predicts as i on the train split of j's
            source, or what was read of it, and that j's source annotates as j.
        predicted: shape (N, N); ``[i, j]`` counts the entities predicted as i
            on that text.
        semantic: shape (N, N), symmetric, in [-1, 1].
        overlap: shape (N, N); ``[i, j]`` is the share of i's mentions that j's
            source annotates as j where they occur in its text (the screen,
            shrunk by the number of forms it rests on); NaN where none occurs or
            nothing was screened.
        siblings: shape (N, N), symmetric, in [-1, 1]; S_sem of two labels of one
            source, which says how close they are in a taxonomy; NaN across sources.
        occurring: shape (N, N); the number of forms that ``overlap`` rests on; many if not given.
        shared: shape (N, N); ``[i, j]`` counts the mentions of i in sentences that j's
            source annotates, too, and had room to give the same boundaries; 0 if not given.
        shared_same: shape (N, N), symmetric; those of them that are j there.
        read: shape (N,), the gold mentions among those that were predicted; all if not given.
        recall: shape (N,), the share of a label's own mentions that is found in
            sentences which were not fitted on; NaN where that is not known.
        reliability: shape (N,), the share of what an evidence bundle tells of a label
            that is no noise; 1 if not given.
    """

    labels: tuple[LabelRef, ...]
    support: NDArray[np.int64]
    matched: NDArray[np.int64]
    predicted: NDArray[np.int64]
    semantic: NDArray[np.float64]
    overlap: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    siblings: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    occurring: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    shared: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    shared_same: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    read: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    recall: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    reliability: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        n = len(self.labels)
        square, none = np.full((n, n), np.nan), np.zeros((n, n), dtype=np.int64)
        unknown = {
            **{"overlap": square, "siblings": square, "shared": none, "shared_same": none},
            **{"read": self.support, "recall": np.full(n, np.nan), "reliability": np.ones(n)},
        }
        for name, values in unknown.items():
            if not getattr(self, name).size:
                object.__setattr__(self, name, values)
        if not self.occurring.size:
            object.__setattr__(self, "occurring", np.where(np.isfinite(self.overlap), _MANY, 0))
        for name, shape in {**dict.fromkeys(ROWS, (n,)), **dict.fromkeys(SQUARES, (n, n))}.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} has shape {getattr(self, name).shape}, expected {shape} for {n} labels"
                )
        if (self.matched > self.predicted).any():
            raise ConfigurationError(
                "matched: expected no more entities than are predicted. Count them again."
            )

    @cached_property
    def index(self) -> Mapping[LabelRef, int]:
        """The position of each label."""
        return {label: position for position, label in enumerate(self.labels)}

    @property
    def empirical(self) -> NDArray[np.float64]:
        """S_emp, shape (N, N), row to column; NaN where nothing was predicted."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.predicted > 0, self.matched / self.predicted, np.nan)

    @cached_property
    def same_source(self) -> NDArray[np.bool_]:
        """Which labels are of one source, shape (N, N)."""
        owners = np.array([label.source for label in self.labels])
        same: NDArray[np.bool_] = owners[:, None] == owners[None, :]
        return same

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """How probable it is that the row's label is equal to, a subset, a superset of, overlaps or is apart from the
        column's, in this order: shape (N, N, 5); NaN within a source.
        """
        return relation_probabilities(self)

    @property
    def equivalence(self) -> NDArray[np.float64]:
        """How probable it is that two labels mean the same, shape (N, N), symmetric; NaN within a source."""
        return self.probabilities[..., 0]

    @cached_property
    def coverage(self) -> NDArray[np.float64]:
        """How much of the row's label the column's covers, in [0, 1], shape (N, N); NaN where unknown."""
        return coverage_of(self)

    def threshold(self, min_precision: float | None = None) -> float:
        """Return the probability above which labels are equal: where expected F1 is highest, or so precise."""
        return equality_threshold(self.equivalence[np.triu(~self.same_source)], min_precision)

    def relation(self, first: LabelRef, second: LabelRef, *, unequal: bool = False) -> Relation:
        """Return how ``first`` most probably relates to ``second``.

        Args:
            first: a label.
            second: a label of another source.
            unequal: whether it is certain that they do not mean the same, because they did not become one.
        """
        i, j = self.index[first], self.index[second]
        if not unequal and self.equivalence[i, j] > self.threshold():
            return "equal"
        return RELATIONS[1 + int(self.probabilities[i, j, 1:].argmax())]

    def probability(self, first: LabelRef, second: LabelRef, relation: Relation) -> float:
        """Return how probable a relation of ``first`` to ``second`` is, a label of another source."""
        return float(self.probabilities[self.index[first], self.index[second], RELATIONS.index(relation)])

    def merge_score(self, lam: float | None) -> NDArray[np.float64]:
        """Return what labels are merged by, shape (N, N): S at λ, or the equivalence where there is no λ."""
        return self.equivalence if lam is None else self.combined(lam)

    def combined(self, lam: float) -> NDArray[np.float64]:
        """S = (1 - λ) S_sem + λ S_emp, shape (N, N); S_sem alone where S_emp is unknown.

        Raises:
            ConfigurationError: λ is outside [0, 1].
        """
        return merge_similarities(self.semantic, self.empirical, lam)

    def indices(self, source: str) -> list[int]:
        """Return the positions of a source's labels."""
        return [index for index, label in enumerate(self.labels) if label.source == source]

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources, in the order of their labels."""
        return tuple(dict.fromkeys(label.source for label in self.labels))

    def pair(self, row: LabelRef, column: LabelRef) -> tuple[float | None, Agreement, Agreement]:
        """Return what is known of two labels: S_sem, and S_emp forward and backward."""
        i, j = self.index[row], self.index[column]
        semantic = float(self.semantic[i, j])
        forward, backward = (
            Agreement(int(self.matched[cell]), int(self.predicted[cell])) for cell in ((i, j), (j, i))
        )
        return None if np.isnan(semantic) else semantic, forward, backward

    def to_dict(self) -> dict[str, Any]:
        """Return the matrices as plain data; NaN becomes ``None``."""
        squares = {
            name: [
                [None if value != value else value for value in row] for row in getattr(self, name).tolist()
            ]
            for name in SQUARES
        }
        recall = [None if value != value else value for value in self.recall.tolist()]
        rows = {name: getattr(self, name).tolist() for name in ROWS} | {"recall": recall}
        return {"labels": [list(label) for label in self.labels], **rows, **squares}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SimilarityMatrix:
        """Rebuild matrices from :meth:`to_dict`.

        Raises:
            ConfigurationError: something in it is unknown, missing, of another type or shape, or out of range.
        """
        kinds: dict[str, Any] = {**ROWS, **SQUARES}
        if wrong := sorted({"labels", *kinds} ^ set(data)):
            raise ConfigurationError(
                f"similarities: unknown or missing: {', '.join(wrong)[:200]}; expected labels, {', '.join(kinds)}. "
                "Read them with the version that wrote them, or align again."
            )
        labels = from_plain(tuple[LabelRef, ...], data["labels"], "labels")
        if len(set(labels)) < len(labels):
            raise ConfigurationError("labels: one stands there twice. Align again.")
        shapes = {name: (len(labels),) * (2 if name in SQUARES else 1) for name in kinds}
        return cls(labels, **{name: _array(name, data[name], kinds[name], shapes[name]) for name in kinds})

    def to_pandas(self) -> pandas.DataFrame:
        """Return a row per pair of labels of different sources, those that are most surely one first.

        ``forward`` is S_emp from the first to the second, ``backward`` the reverse;
        ``first_covered`` is how much of the first the second covers.
        """
        ones, others = np.nonzero(np.triu(~self.same_source))
        empirical = self.empirical
        columns = {
            "first": [str(self.labels[i]) for i in ones],
            "second": [str(self.labels[j]) for j in others],
            "equivalence": self.equivalence[ones, others],
            "relation": [
                self.relation(self.labels[i], self.labels[j]) for i, j in zip(ones, others, strict=True)
            ],
            "semantic": self.semantic[ones, others],
            "forward": empirical[ones, others],
            "backward": empirical[others, ones],
            "first_covered": self.coverage[ones, others],
            "second_covered": self.coverage[others, ones],
        }
        frame = pandas.DataFrame(columns)
        return frame.sort_values("equivalence", ascending=False, kind="stable", ignore_index=True)

    def __repr__(self) -> str:
        return f"SimilarityMatrix({counted(len(self.labels), 'label')} of {', '.join(self.sources)})"

    def _repr_html_(self) -> str:
        return str(
            self.to_pandas().head(_SHOWN).to_html(index=False, float_format="{:.2f}".format, na_rep="?")
        )

    def restricted(self, sources: Collection[str]) -> SimilarityMatrix:
        """Return the similarities between the labels of some of the sources."""
        indices = [index for index, label in enumerate(self.labels) if label.source in sources]
        squares = {name: getattr(self, name)[np.ix_(indices, indices)] for name in SQUARES}
        rows = {name: getattr(self, name)[indices] for name in ROWS}
        return SimilarityMatrix(tuple(self.labels[index] for index in indices), **rows, **squares)


def _array(name: str, data: Any, kind: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return numbers of a file as an array; ``None`` is NaN."""
    rows = data if len(shape) == 2 else [data]
    is_count = kind is np.int64
    numbers = {int} if is_count else {int, float, type(None)}
    try:
        if not all(type(row) is list and numbers.issuperset(map(type, row)) for row in rows):
            raise TypeError("no lists of numbers")
        array = np.array(data, dtype=kind).reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(f"{name}: expected numbers of shape {shape}. Align again.") from error
    least = 0.0 if is_count or len(shape) == 1 else -_MOST
    if (array < least).any() or (not is_count and (array > _MOST).any()):
        expected = "counts" if is_count else f"numbers from {least:.0f} to 1"
        raise ConfigurationError(f"{name}: expected {expected}. Align again.")
    return array


@dataclass(frozen=True, slots=True)
class Agreement:
    """Numerator and denominator of one S_emp."""

    matched: int
    predicted: int

    @property
    def ratio(self) -> float | None:
        """The share, ``None`` if nothing was predicted: unknown is not zero."""
        return self.matched / self.predicted if self.predicted else None


def merge_similarities(
    semantic: NDArray[np.float64], empirical: NDArray[np.float64], lam: float
) -> NDArray[np.float64]:
    """S = (1 - λ) S_sem + λ S_emp element by element.

    Unknown is not zero: where S_emp is NaN, S is S_sem, whatever λ; where S_sem
    is NaN, S is S_emp.

    Raises:
        ConfigurationError: λ is outside [0, 1].
    """
    check_lambda(lam)
    mixed = (1 - lam) * semantic + lam * empirical
    return np.where(np.isnan(empirical), semantic, np.where(np.isnan(semantic), empirical, mixed))


def check_lambda(lam: float) -> None:
    """Check the weight of the empirical similarity.

    Raises:
        ConfigurationError: it is outside [0, 1].
    """
    if not within(lam, 0, 1):
        raise ConfigurationError(
            f"λ = {lam!r}: expected a number from 0 (semantic only) to 1 (empirical only)."
        )
