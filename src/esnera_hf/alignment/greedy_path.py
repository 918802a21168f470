"""The greedy merge path: which source joins which, and which labels become one (method, Merging)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints
from esnera_hf.alignment.groups import (
    GroupEvidence,
    LabelGroup,
    initial_groups,
    schema_groups,
    sum_empirical,
)
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import SimilarityMatrix, merge_similarities
from esnera_hf.tagging import LabelRef

#: 0.3 to 0.4 did best in the paper: this decides between equal settings, and is shown where no step merged anything.
PAPER_LAMBDA = 0.4


@dataclass(frozen=True, slots=True)
class MergeDecision:
    """The fate of a label, or of a group of labels that are one already.

    Attributes:
        group: the labels in question.
        candidate: head of the group with the highest similarity that it may
            join, ``None`` if no similarity is known.
        similarity: S between the two; by equivalence the probability that they are equal, or, where
            ``part``, that one is a part of the other.
        semantic: its semantic part, ``None`` if unknown.
        matched: numerator of its empirical part.
        predicted: denominator; 0 means unknown, and S is then S_sem.
        merged: whether they became one.
        constrained: whether the constraints asked for that, whatever S.
        part: whether the label became a part of the candidate, by equivalence.
        contains: whether the label has parts.
        why: what it rests on, in a sentence; by the greedy method S says that.
    """

    group: LabelGroup
    candidate: LabelRef | None
    similarity: float | None
    semantic: float | None
    matched: int
    predicted: int
    merged: bool
    constrained: bool = False
    part: bool = False
    contains: bool = False
    why: str = ""


@dataclass(frozen=True)
class MergeStep:
    """One step of the greedy path: label groups that join others.

    Attributes:
        sources: the sources that are merged.
        target: the source they are merged into; ``None`` for a schema that the user gave.
        rows: the label groups of ``sources``.
        columns: the groups they may join.
        sum_empirical: the sum of S_emp over all pairs of both, which chose the step.
        lam: λ, ``None`` until it is decided.
        tau: τ; ``None`` where nothing was merged by similarity.
        decisions: one for each row.
        groups: all label groups after the step, the columns first.
    """

    sources: tuple[str, ...]
    target: str | None
    rows: tuple[LabelGroup, ...]
    columns: tuple[LabelGroup, ...]
    sum_empirical: float
    lam: float | None = None
    tau: float | None = None
    decisions: tuple[MergeDecision, ...] = ()
    groups: tuple[LabelGroup, ...] = ()

    @property
    def merged(self) -> int:
        """How many label groups went into another by their similarity."""
        return sum(decision.merged and not decision.constrained for decision in self.decisions)

    @property
    def similarity(self) -> float:
        """The sum of S over the groups that were merged by it."""
        return float(sum(d.similarity or 0.0 for d in self.decisions if d.merged and not d.constrained))


@dataclass(frozen=True)
class Candidate:
    """One distinct outcome that the search could give a step, and what came of it.

    Attributes:
        number: of the step, from 0.
        step: as it is at the preferred setting.
        settings: all λ and τ that lead to these groups, the preferred ones first.
        outcome: what a report is to hold of training and scoring it, ``None`` where it was not tried.
        chosen: whether it was taken.
    """

    number: int
    step: MergeStep
    settings: tuple[tuple[float, float], ...]
    outcome: Any = None
    chosen: bool = False


@dataclass(frozen=True)
class MergeHistory:
    """How labels became one: along the greedy path, or by equivalence in one step; empty where a mapping was applied.

    Attributes:
        steps: in order.
        candidates: what a search could choose from, step by step and in order of preference.
    """

    steps: tuple[MergeStep, ...] = ()
    candidates: tuple[Candidate, ...] = ()

    @property
    def groups(self) -> tuple[LabelGroup, ...]:
        """The label groups after the last step."""
        return self.steps[-1].groups if self.steps else ()

    @property
    def lam(self) -> float:
        """λ of the last step that merged anything by similarity, that of the paper where none did."""
        by_similarity = [step.lam for step in self.steps if step.tau is not None and step.lam is not None]
        return by_similarity[-1] if by_similarity else PAPER_LAMBDA

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that have been merged or have labels in the groups, sorted."""
        merged = {name for step in self.steps for name in (*step.sources, step.target) if name is not None}
        return tuple(sorted(merged | {member.source for group in self.groups for member in group}))


def next_step(
    matrix: SimilarityMatrix, steps: Sequence[MergeStep] = (), constraints: Constraints = NO_CONSTRAINTS
) -> MergeStep | None:
    """Return what the greedy path merges next, undecided; ``None`` at its end.

    The ordered pair of sources with the highest sum of S_emp comes first; what
    it becomes is the next source, and the remaining source with the highest sum
    the next target. With a given target or schema, the remaining source with the
    highest sum goes into it; the labels of the sources that define a schema are
    all there from the start, those that define no name of it go into it last, and
    none joins another of its source. Groups take part with their members' counts
    added up and their semantic similarities averaged by support. Equal sums are
    settled by name.

    Raises:
        ConfigurationError: fewer than two sources.
    """
    singles = initial_groups(matrix, constraints)
    if len(singles) < 2:
        raise ConfigurationError(f"{len(singles)} source: expected at least two to align.")
    if constraints.target is not None or constraints.schema:
        return _next_into_schema(matrix, steps, constraints, singles)
    names = sorted(singles)
    if not steps:
        sums = {
            (one, other): sum_empirical(matrix, singles[one], singles[other])
            for one, other in product(names, names)
            if one != other
        }
        first, target = max(sums, key=sums.__getitem__)
        return MergeStep((first,), target, singles[first], singles[target], sums[first, target])
    last = steps[-1]
    merged = (*last.sources, last.target or "")
    rest = {name: sum_empirical(matrix, last.groups, singles[name]) for name in names if name not in merged}
    if not rest:
        return None
    target = max(rest, key=rest.__getitem__)
    return MergeStep(merged, target, last.groups, singles[target], rest[target])


def _next_into_schema(
    matrix: SimilarityMatrix,
    steps: Sequence[MergeStep],
    constraints: Constraints,
    singles: dict[str, tuple[LabelGroup, ...]],
) -> MergeStep | None:
    defining, target = constraints.defining, constraints.target
    groups = steps[-1].groups if steps else singles.get(target or "") or schema_groups(matrix, constraints)
    done = {step.sources[0] for step in steps} | {target}
    others = groups[len(constraints.schema) :]
    waiting = {
        name: tuple(group for group in others if group[0].source == name) if name in defining else own
        for name, own in sorted(singles.items())
        if name not in done
    }
    undecided = {name: rows for name, rows in waiting.items() if rows or name not in defining}
    if steps or undecided:
        waiting = undecided
    if not waiting:
        return None
    columns = {name: tuple(group for group in groups if group not in rows) for name, rows in waiting.items()}
    sums = {name: sum_empirical(matrix, rows, columns[name]) for name, rows in waiting.items()}
    chosen = max(waiting, key=lambda name: (name not in defining, sums[name]))
    return MergeStep((chosen,), target, waiting[chosen], columns[chosen], sums[chosen])


def merge_step(
    step: MergeStep,
    matrix: SimilarityMatrix,
    lam: float,
    tau: float | None,
    constraints: Constraints = NO_CONSTRAINTS,
) -> MergeStep:
    """Return a step decided: each row goes into its best column if S > τ.

    Rows with the highest similarity choose first. A group never joins
    another that the constraints keep it apart from; labels that must be
    together join whatever their similarity. Two groups of which neither was
    found in the text of the other (0 of 0 both ways) do not join by their
    vectors alone, which are alike for many labels, unless λ is 0 and asks for that.
    Where τ is ``None``, only what the constraints ask for is merged.
    """
    constraints = _with_schema_apart(constraints, step)
    evidence = GroupEvidence(matrix, step.rows, step.columns)
    similarity = merge_similarities(evidence.semantic, evidence.empirical, lam)
    values = np.where(np.isnan(similarity), -np.inf, similarity)
    backward = GroupEvidence(matrix, step.columns, step.rows)
    counted = (evidence.predicted > 0) | (backward.predicted > 0).T | (lam == 0 or not matrix.predicted.any())
    joined = [list(column) for column in step.columns]
    decisions: dict[int, MergeDecision] = {}
    for row, group in enumerate(step.rows):
        # Wherever the rest of its class is, there it goes, whatever the similarity.
        required = {label for member in group for label in constraints.class_of(member)}
        column = next((c for c, other in enumerate(step.columns) if required.intersection(other)), None)
        if column is not None:
            joined[column].extend(group)
            decisions[row] = _decision(evidence, row, column, similarity, merged=True, constrained=True)
    free = [row for row in range(len(step.rows)) if row not in decisions]
    # The surest rows first: what they take may be kept apart from the others by then.
    for row in sorted(free, key=lambda r: -np.max(values[r], initial=-np.inf)):
        members = step.rows[row]
        allowed = [constraints.allow(members, others) for others in joined]
        open_values = np.where(allowed, values[row], -np.inf)
        sure_values = np.where(counted[row], open_values, -np.inf)
        is_sure = tau is not None and bool(np.max(sure_values, initial=-np.inf) > tau)
        best = int(np.argmax(sure_values if is_sure else open_values)) if open_values.size else -1
        if best < 0 or np.isneginf(open_values[best]):
            decisions[row] = MergeDecision(step.rows[row], None, None, None, 0, 0, merged=False)
            continue
        if is_sure:
            joined[best].extend(members)
        decisions[row] = _decision(evidence, row, best, similarity, merged=is_sure)
    ordered = tuple(decisions[row] for row in range(len(step.rows)))
    columns = (
        (column[0], *sorted(set(members) - {column[0]}))
        for column, members in zip(step.columns, joined, strict=True)
    )
    groups = (*columns, *(d.group for d in ordered if not d.merged))
    return replace(step, lam=lam, tau=tau, decisions=ordered, groups=groups)


def _with_schema_apart(constraints: Constraints, step: MergeStep) -> Constraints:
    """Keep labels of one source that defines the given schema apart: they were told apart there."""
    apart = {
        frozenset((one, other))
        for one, other in product(chain(*step.rows), chain(*step.columns))
        if one.source == other.source in constraints.defining
    }
    return replace(constraints, cannot_link=constraints.cannot_link | apart)


def _decision(
    evidence: GroupEvidence,
    row: int,
    column: int,
    similarity: NDArray[np.float64],
    *,
    merged: bool,
    constrained: bool = False,
) -> MergeDecision:
    s, semantic = float(similarity[row, column]), float(evidence.semantic[row, column])
    return MergeDecision(
        evidence.rows[row],
        evidence.columns[column][0],
        None if np.isnan(s) else s,
        None if np.isnan(semantic) else semantic,
        int(evidence.matched[row, column]),
        int(evidence.predicted[row, column]),
        merged,
        constrained,
    )


def greedy_merge_path(
    matrix: SimilarityMatrix, lam: float, tau: float, constraints: Constraints = NO_CONSTRAINTS
) -> MergeHistory:
    """Merge all sources along the greedy path, each label into the best one above τ.

    Raises:
        ConfigurationError: fewer than two sources.
    """
    steps: list[MergeStep] = []
    while (step := next_step(matrix, steps, constraints)) is not None:
        steps.append(merge_step(step, matrix, lam, tau, constraints))
    return MergeHistory(tuple(steps))
