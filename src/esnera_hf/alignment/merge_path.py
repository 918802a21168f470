"""The greedy merge path: which source joins which, and which labels become one (method, Merging)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix, merge_similarities


@dataclass(frozen=True, slots=True)
class LabelGroup:
    """Labels that have become one.

    Attributes:
        head: the label that gives the group its name.
        members: all labels of the group, the head among them.
    """

    head: LabelRef
    members: tuple[LabelRef, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one label group at one stage.

    Attributes:
        group: the labels in question.
        candidate: the label of the target source with the highest similarity,
            ``None`` if no similarity is known.
        similarity: S between group and candidate.
        semantic: its semantic part, ``None`` if unknown.
        matched: numerator of its empirical part.
        predicted: denominator; 0 means unknown, and S is then S_sem.
        merged: whether S exceeded τ.
    """

    group: LabelGroup
    candidate: LabelRef | None
    similarity: float | None
    semantic: float | None
    matched: int
    predicted: int
    merged: bool


@dataclass(frozen=True, slots=True)
class MergeStage:
    """One step of the path: everything merged so far goes into the next source.

    Attributes:
        sources: the sources merged so far.
        target: the source they are merged into.
        sum_empirical: the sum of S_emp over all label pairs, which chose it.
        decisions: one for each label group of ``sources``.
    """

    sources: tuple[str, ...]
    target: str
    sum_empirical: float
    decisions: tuple[Decision, ...]

    @property
    def merged(self) -> int:
        """How many label groups went into a label of the target."""
        return sum(decision.merged for decision in self.decisions)


@dataclass(frozen=True, slots=True)
class MergePath:
    """The stages in order and the label groups they end with, those of the last target first."""

    lam: float
    tau: float
    stages: tuple[MergeStage, ...]
    groups: tuple[LabelGroup, ...]

    @property
    def merged(self) -> int:
        """Labels merged over all stages (source to target assignments)."""
        return sum(stage.merged for stage in self.stages)


def greedy_merge_path(matrix: SimilarityMatrix, lam: float, tau: float) -> MergePath:
    """Merge all sources along the greedy path, each label into the best one above τ.

    The ordered pair of sources with the highest sum of S_emp comes first; what
    it becomes is the next source, and the remaining source with the highest sum
    the next target. Groups take part with their members' counts added up and
    their semantic similarities averaged by support. Equal sums are settled by
    name.

    Args:
        matrix: similarities between the labels of two or more sources.
        lam: λ, the weight of the empirical similarity, in [0, 1].
        tau: τ; a label is merged where S > τ.

    Raises:
        ConfigurationError: fewer than two sources, or λ or τ out of range.
    """
    check_tau(tau)
    sources = sorted(matrix.sources)
    if len(sources) < 2:
        raise ConfigurationError(f"{len(sources)} source: expected at least two to align.")
    singles = {
        source: tuple(LabelGroup(matrix.labels[i], (matrix.labels[i],)) for i in matrix.indices(source))
        for source in sources
    }
    ordered_pairs = [(s, t) for s in sources for t in sources if s != t]
    first, target = max(ordered_pairs, key=lambda pair: _sum_empirical(matrix, singles[pair[0]], pair[1]))
    groups = singles[first]
    merged_sources: tuple[str, ...] = (first,)
    remaining = [source for source in sources if source != first]
    stages: list[MergeStage] = []
    while remaining:
        if stages:
            current = groups
            target = max(remaining, key=lambda t, g=current: _sum_empirical(matrix, g, t))  # type: ignore[misc]
        stage, groups = _merge_into(matrix, groups, (merged_sources, target), (lam, tau))
        stages.append(stage)
        merged_sources = (*merged_sources, target)
        remaining.remove(target)
    return MergePath(lam, tau, tuple(stages), groups)


def check_tau(tau: float) -> None:
    """Check the threshold of similarity.

    Raises:
        ConfigurationError: it is outside [-1, 1].
    """
    if not -1 <= tau <= 1:
        raise ConfigurationError(f"τ = {tau}: expected a number from -1 to 1.")


def _merge_into(
    matrix: SimilarityMatrix,
    groups: Sequence[LabelGroup],
    step: tuple[tuple[str, ...], str],
    setting: tuple[float, float],
) -> tuple[MergeStage, tuple[LabelGroup, ...]]:
    merged_sources, target = step
    lam, tau = setting
    evidence = _GroupEvidence(matrix, groups, target)
    similarity = merge_similarities(evidence.semantic, evidence.empirical, lam)
    joined: dict[LabelRef, list[LabelRef]] = {label: [] for label in evidence.columns}
    apart: list[LabelGroup] = []
    decisions = []
    for row, group in enumerate(groups):
        decision = evidence.decide(row, group, similarity[row], tau)
        decisions.append(decision)
        if decision.merged and decision.candidate is not None:
            joined[decision.candidate].extend(group.members)
        else:
            apart.append(group)
    result = [LabelGroup(label, (label, *sorted(members))) for label, members in joined.items()]
    stage = MergeStage(merged_sources, target, float(np.nansum(evidence.empirical)), tuple(decisions))
    return stage, (*result, *apart)


class _GroupEvidence:
    """Both similarities of label groups (rows) with the labels of one source (columns)."""

    def __init__(self, matrix: SimilarityMatrix, groups: Sequence[LabelGroup], target: str) -> None:
        columns = matrix.indices(target)
        position = {label: index for index, label in enumerate(matrix.labels)}
        self.columns = [matrix.labels[j] for j in columns]
        shape = (len(groups), len(columns))
        self.matched = np.zeros(shape, dtype=np.int64)
        self.predicted = np.zeros(shape, dtype=np.int64)
        self.semantic = np.full(shape, np.nan)
        for row, group in enumerate(groups):
            members = [position[member] for member in group.members]
            self.matched[row] = matrix.matched[np.ix_(members, columns)].sum(axis=0)
            self.predicted[row] = matrix.predicted[np.ix_(members, columns)].sum(axis=0)
            self.semantic[row] = _weighted_mean(
                matrix.semantic[np.ix_(members, columns)], matrix.support[members]
            )

    @property
    def empirical(self) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.predicted > 0, self.matched / self.predicted, np.nan)

    def decide(self, row: int, group: LabelGroup, similarity: NDArray[np.float64], tau: float) -> Decision:
        known = np.where(np.isnan(similarity), -np.inf, similarity)
        best = int(np.argmax(known)) if known.size else -1
        if best < 0 or np.isneginf(known[best]):
            return Decision(group, None, None, None, 0, 0, merged=False)
        semantic = float(self.semantic[row, best])
        return Decision(
            group,
            self.columns[best],
            float(known[best]),
            None if np.isnan(semantic) else semantic,
            int(self.matched[row, best]),
            int(self.predicted[row, best]),
            merged=bool(known[best] > tau),
        )


def _weighted_mean(values: NDArray[np.float64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean over rows, weighted, NaN left out; NaN where nothing is known."""
    weight = np.where(np.isnan(values), 0.0, np.maximum(weights, 1)[:, None])
    total = weight.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, np.nansum(values * weight, axis=0) / total, np.nan))


def _sum_empirical(matrix: SimilarityMatrix, groups: Sequence[LabelGroup], target: str) -> float:
    return float(np.nansum(_GroupEvidence(matrix, groups, target).empirical))
