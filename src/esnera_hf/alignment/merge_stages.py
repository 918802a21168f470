"""What a merge path has decided so far, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass

from esnera_hf.alignment.groups import LabelGroup, members_of
from esnera_hf.alignment.mapping import DEFAULT_LAMBDA
from esnera_hf.labels import LabelRef

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
    def lam(self) -> float:
        """λ of the last stage that merged anything by similarity, that of the method where none did."""
        found = [stage.lam for stage in self.stages if stage.tau is not None]
        return found[-1] if found else DEFAULT_LAMBDA

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that have been merged or have labels in the groups, sorted."""
        merged = {name for stage in self.stages for name in (*stage.sources, stage.target)}
        placed = {member.source for member in members_of(self.groups)}
        return tuple(sorted((merged | placed) - {GIVEN_SCHEMA}))
