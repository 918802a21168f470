"""The greedy merge path: which source joins which, and which labels become one (method, Merging)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.groups import (
    GroupEvidence,
    LabelGroup,
    initial_groups,
    schema_groups,
    sum_empirical,
)
from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix, merge_similarities

#: The target of a stage that merges into names given by the user.
GIVEN_SCHEMA = "(given schema)"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one label group at one stage.

    Attributes:
        group: the labels in question.
        candidate: head of the group with the highest similarity that it may
            join, ``None`` if no similarity is known.
        similarity: S between the two.
        semantic: its semantic part, ``None`` if unknown.
        matched: numerator of its empirical part.
        predicted: denominator; 0 means unknown, and S is then S_sem.
        merged: whether they became one.
        wished: whether that was the user's wish, whatever S.
    """

    group: LabelGroup
    candidate: LabelRef | None
    similarity: float | None
    semantic: float | None
    matched: int
    predicted: int
    merged: bool
    wished: bool = False


@dataclass(frozen=True, slots=True)
class MergeStage:
    """One step of the path.

    Attributes:
        sources: the sources that are merged.
        target: the source they are merged into.
        sum_empirical: the sum of S_emp over all pairs of groups, which chose it.
        lam: λ.
        tau: τ; ``None`` where only the user's wishes were merged.
        decisions: one for each label group of ``sources``.
    """

    sources: tuple[str, ...]
    target: str
    sum_empirical: float
    lam: float
    tau: float | None
    decisions: tuple[Decision, ...]

    @property
    def merged(self) -> int:
        """How many label groups went into another by their similarity."""
        return sum(decision.merged and not decision.wished for decision in self.decisions)

    @property
    def similarity(self) -> float:
        """The sum of S over the groups that were merged by it."""
        return float(sum(d.similarity or 0.0 for d in self.decisions if d.merged and not d.wished))


@dataclass(frozen=True, slots=True)
class MergePath:
    """The stages so far and the label groups they end with, those of the target first."""

    stages: tuple[MergeStage, ...]
    groups: tuple[LabelGroup, ...]

    @property
    def merged(self) -> int:
        """Labels merged by similarity over all stages (source to target assignments)."""
        return sum(stage.merged for stage in self.stages)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that have been merged, sorted."""
        merged = {name for stage in self.stages for name in (*stage.sources, stage.target)}
        return tuple(sorted(merged - {GIVEN_SCHEMA}))


@dataclass(frozen=True)
class NextStage:
    """What is to be merged next: ``rows`` into ``columns``.

    Attributes:
        path: the stages so far.
        sources: the sources whose groups are the rows.
        target: the source, or the schema, whose groups are the columns.
        rows: the groups to be merged.
        columns: the groups they may join.
    """

    matrix: SimilarityMatrix
    constraints: Constraints
    path: MergePath
    sources: tuple[str, ...]
    target: str
    rows: tuple[LabelGroup, ...]
    columns: tuple[LabelGroup, ...]

    def merge(self, lam: float, tau: float | None) -> MergePath:
        """Return the path with this stage: each row goes into its best column if S > τ.

        Rows with the highest similarity choose first. A group never joins
        another that the constraints keep it apart from; labels that are to be
        together join whatever their similarity.

        Args:
            lam: λ.
            tau: τ; ``None`` merges only what the constraints ask for.
        """
        evidence = GroupEvidence(self.matrix, self.rows, self.columns)
        similarity = merge_similarities(evidence.semantic, evidence.empirical, lam)
        joined = [list(column.members) for column in self.columns]
        decisions: dict[int, Decision] = {}
        forced = {row: column for row in range(len(self.rows)) for column in self._wished(row)}
        for row, column in forced.items():
            joined[column].extend(self.rows[row].members)
            decisions[row] = _decision(evidence, row, column, similarity, merged=True, wished=True)
        free = [row for row in range(len(self.rows)) if row not in forced]
        for row in sorted(free, key=lambda r: -np.max(_known(similarity[r]), initial=-np.inf)):
            members = self.rows[row].members
            allowed = [self.constraints.allow(members, others) for others in joined]
            values = np.where(allowed, _known(similarity[row]), -np.inf)
            best = int(np.argmax(values)) if values.size else -1
            if best < 0 or np.isneginf(values[best]):
                decisions[row] = Decision(self.rows[row], None, None, None, 0, 0, merged=False)
                continue
            merged = tau is not None and bool(values[best] > tau)
            if merged:
                joined[best].extend(members)
            decisions[row] = _decision(evidence, row, best, similarity, merged=merged)
        ordered = tuple(decisions[row] for row in range(len(self.rows)))
        total = float(np.nansum(evidence.empirical))
        stage = MergeStage(self.sources, self.target, total, lam, tau, ordered)
        columns = (
            LabelGroup(column.head, (column.head, *sorted(set(members) - {column.head})))
            for column, members in zip(self.columns, joined, strict=True)
        )
        apart = (d.group for d in ordered if not d.merged)
        return MergePath((*self.path.stages, stage), (*columns, *apart))

    def _wished(self, row: int) -> list[int]:
        wanted = {label for member in self.rows[row].members for label in self.constraints.class_of(member)}
        return [i for i, column in enumerate(self.columns) if wanted.intersection(column.members)][:1]


def next_stage(
    matrix: SimilarityMatrix, path: MergePath | None = None, constraints: Constraints | None = None
) -> NextStage | None:
    """Return what the greedy path merges next, ``None`` at its end.

    The ordered pair of sources with the highest sum of S_emp comes first; what
    it becomes is the next source, and the remaining source with the highest sum
    the next target. With a given target or schema, the remaining source with the
    highest sum goes into it. Groups take part with their members' counts added
    up and their semantic similarities averaged by support. Equal sums are
    settled by name.

    Args:
        matrix: similarities between the labels of two or more sources.
        path: the stages so far, ``None`` at the start.
        constraints: what the user wishes.

    Raises:
        ConfigurationError: fewer than two sources.
    """
    constraints = constraints or Constraints()
    singles = initial_groups(matrix, constraints)
    if len(singles) < 2:
        raise ConfigurationError(f"{len(singles)} source: expected at least two to align.")
    if constraints.target is not None or constraints.schema:
        return _next_into_schema(matrix, path, constraints, singles)
    sources = sorted(singles)
    if path is None:
        pairs = [(s, t) for s in sources for t in sources if s != t]
        first, target = max(pairs, key=lambda p: sum_empirical(matrix, singles[p[0]], singles[p[1]]))
        path = MergePath((), singles[first])
        merged: tuple[str, ...] = (first,)
    else:
        last = path.stages[-1]
        merged = (*last.sources, last.target)
        remaining = [source for source in sources if source not in merged]
        if not remaining:
            return None
        groups = path.groups
        target = max(remaining, key=lambda t: sum_empirical(matrix, groups, singles[t]))
    return NextStage(matrix, constraints, path, merged, target, path.groups, singles[target])


def _next_into_schema(
    matrix: SimilarityMatrix,
    path: MergePath | None,
    constraints: Constraints,
    singles: dict[str, tuple[LabelGroup, ...]],
) -> NextStage | None:
    target = constraints.target or GIVEN_SCHEMA
    if path is None:
        path = MergePath((), singles.get(constraints.target or "", ()) or schema_groups(matrix, constraints))
    done = {stage.sources[0] for stage in path.stages} | {constraints.target}
    placed = {member for group in path.groups for member in group.members}
    waiting = {
        source: tuple(group for group in groups if not placed.intersection(group.members))
        for source, groups in sorted(singles.items())
        if source not in done
    }
    if not waiting:
        return None
    columns = path.groups
    chosen = max(waiting, key=lambda s: sum_empirical(matrix, waiting[s], columns))
    return NextStage(matrix, constraints, path, (chosen,), target, waiting[chosen], columns)


def greedy_merge_path(
    matrix: SimilarityMatrix, lam: float, tau: float, constraints: Constraints | None = None
) -> MergePath:
    """Merge all sources along the greedy path, each label into the best one above τ.

    Args:
        matrix: similarities between the labels of two or more sources.
        lam: λ, the weight of the empirical similarity, in [0, 1].
        tau: τ; a label is merged where S > τ.
        constraints: what the user wishes.

    Raises:
        ConfigurationError: fewer than two sources, or λ or τ out of range.
    """
    check_tau(tau)
    stage = next_stage(matrix, None, constraints)
    path = MergePath((), ())
    while stage is not None:
        path = stage.merge(lam, tau)
        stage = next_stage(matrix, path, constraints)
    return path


def check_tau(tau: float) -> None:
    """Check the threshold of similarity.

    Raises:
        ConfigurationError: it is outside [-1, 1].
    """
    if not -1 <= tau <= 1:
        raise ConfigurationError(f"τ = {tau}: expected a number from -1 to 1.")


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(values), -np.inf, values)


def _decision(
    evidence: GroupEvidence,
    row: int,
    column: int,
    similarity: NDArray[np.float64],
    *,
    merged: bool,
    wished: bool = False,
) -> Decision:
    """Return the decision about a row and the column it was compared with."""
    s, semantic = float(similarity[row, column]), float(evidence.semantic[row, column])
    return Decision(
        evidence.rows[row],
        evidence.columns[column].head,
        None if np.isnan(s) else s,
        None if np.isnan(semantic) else semantic,
        int(evidence.matched[row, column]),
        int(evidence.predicted[row, column]),
        merged,
        wished,
    )
