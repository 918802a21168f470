"""The greedy merge path: which source joins which, and which labels become one (method, Merging)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.groups import (
    GroupEvidence,
    LabelGroup,
    initial_groups,
    members_of,
    schema_groups,
    sum_empirical,
)
from esnera_hf.alignment.merge_stages import GIVEN_SCHEMA, Decision, MergePath, MergeStage
from esnera_hf.bounds import within
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity import SimilarityMatrix, merge_similarities


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
    highest sum goes into it; the labels of the sources that define a schema are
    all there from the start, those that define no name of it go into it last, and
    none joins another of its source. Groups take part with their members' counts
    added up and their semantic similarities averaged by support. Equal sums are
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
    if path is None:
        path = MergePath((), singles.get(constraints.target or "", ()) or schema_groups(matrix, constraints))
    done = {stage.sources[0] for stage in path.stages} | {constraints.target}
    others = path.groups[len(constraints.schema) :]
    waiting = {
        source: tuple(group for group in others if group.head.source == source)
        if source in constraints.defining
        else groups
        for source, groups in sorted(singles.items())
        if source not in done
    }
    undecided = {s: rows for s, rows in waiting.items() if rows or s not in constraints.defining}
    if path.stages or undecided:
        waiting = undecided
    if not waiting:
        return None
    columns = {s: tuple(group for group in path.groups if group not in waiting[s]) for s in waiting}
    chosen = max(
        waiting,
        key=lambda s: (s not in constraints.defining, sum_empirical(matrix, waiting[s], columns[s])),
    )
    rows, held = waiting[chosen], columns[chosen]
    apart = {
        frozenset((one, other))
        for one, other in product(members_of(rows), members_of(held))
        if one.source == other.source in constraints.defining
    }
    constraints = replace(constraints, apart=constraints.apart | apart)
    target = constraints.target or GIVEN_SCHEMA
    return NextStage(matrix, constraints, path, (chosen,), target, rows, held)


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
    if not within(tau, -1, 1):
        raise ConfigurationError(f"τ = {tau!r}: expected a number from -1 to 1.")


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
