"""The search over λ and τ along the greedy path, under a bound on F1 (method, Merging 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal, Protocol, get_args

from esnera_hf._internal.checks import is_count, within
from esnera_hf._internal.console import say
from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.greedy_path import (
    PAPER_LAMBDA,
    MergeHistory,
    MergeStep,
    Trial,
    check_tau,
    merge_step,
    next_step,
)
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import SimilarityMatrix, check_lambda
from esnera_hf.tagging import LabelRef

Scoring = Literal["unified", "native"]


class Outcome(Protocol):
    """What training and scoring a mapping tells."""

    @property
    def holds(self) -> bool:
        """Whether the bound on F1 holds."""
        ...


@dataclass(frozen=True)
class GreedySettings:
    """Where the search looks and what it demands.

    Attributes:
        lambdas: values of λ.
        taus: values of τ.
        max_f1_drop: the pooled micro-F1 must fall by less than this, as a share
            (0.02 is two points).
        scoring: what that F1 is measured on: ``projected`` through the mapping,
            as the paper does, which cannot see two labels of one source become
            one; or each source's ``native``, which counts that as a loss.
        sentences: measure similarities and try mappings on at most so many
            sentences a split of each source; the merged dataset holds all.
    """

    lambdas: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7)
    taus: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    max_f1_drop: float = 0.02
    scoring: Scoring = "unified"
    sentences: int | None = None

    def __post_init__(self) -> None:
        if self.scoring not in get_args(Scoring):
            raise ConfigurationError(f"scoring={self.scoring!r}: expected {' or '.join(get_args(Scoring))}.")
        if not self.lambdas or not self.taus:
            raise ConfigurationError("lambdas and taus: expected at least one value of each.")
        # Reports give lists back, which must be equal to what they were made of.
        object.__setattr__(self, "lambdas", tuple(self.lambdas))
        object.__setattr__(self, "taus", tuple(self.taus))
        for lam in self.lambdas:
            check_lambda(lam)
        for tau in self.taus:
            check_tau(tau)
        if not within(self.max_f1_drop, 0) or not self.max_f1_drop:
            raise ConfigurationError(
                f"max_f1_drop={self.max_f1_drop!r}: expected a share above 0, such as 0.02."
            )
        if self.sentences is not None and not is_count(self.sentences):
            raise ConfigurationError(f"search sentences={self.sentences!r}: expected a positive number.")


def search_merge_path(
    matrix: SimilarityMatrix,
    settings: GreedySettings,
    evaluate: Callable[[MergeHistory], Outcome],
    constraints: Constraints | None = None,
) -> MergeHistory:
    """Choose λ and τ in each step: the most labels merged while F1 holds the bound.

    Distinct outcomes are tried once each, in the order of :func:`step_candidates`,
    and the first that holds the bound is taken. Since the order never looks at
    F1, this equals trying them all. An outcome that merges nothing by similarity
    needs no trial: it is what remains when no other holds.

    Args:
        matrix: similarities between the labels of two or more sources.
        settings: the grid.
        evaluate: trains and scores the mapping of the steps so far.
        constraints: what the user asks for.
    """
    steps: tuple[MergeStep, ...] = ()
    trials: list[Trial] = []
    while (step := next_step(matrix, steps, constraints)) is not None:
        candidates = step_candidates(step, matrix, settings, constraints)
        say(
            f"{' + '.join(step.sources)} → {step.target or 'the given schema'}: {len(candidates)} distinct mappings, "
            "tried in order until one holds the bound"
        )
        chosen: MergeStep | None = None
        for candidate, points in candidates:
            outcome = evaluate(MergeHistory((*steps, candidate))) if chosen is None else None
            holds = outcome is not None and outcome.holds
            if holds:
                chosen = candidate
            trials.append(Trial(len(steps), candidate, points, outcome, holds))
        lam = min(settings.lambdas, key=_from_paper_lambda)
        steps = (*steps, chosen or merge_step(step, matrix, lam, None, constraints))
    return MergeHistory(steps, tuple(trials))


def step_candidates(
    step: MergeStep,
    matrix: SimilarityMatrix,
    settings: GreedySettings,
    constraints: Constraints | None = None,
) -> list[tuple[MergeStep, tuple[tuple[float, float], ...]]]:
    """Return the distinct outcomes of a step that merge anything, each with all λ and τ that lead to it.

    Most labels merged come first, then the larger sum of S over them, then λ nearest
    that of the paper, then the larger τ, then the smaller λ.
    """
    outcomes: dict[frozenset[frozenset[LabelRef]], list[MergeStep]] = {}
    for lam, tau in product(settings.lambdas, settings.taus):
        decided = merge_step(step, matrix, lam, tau, constraints)
        if decided.merged:
            partition = frozenset(frozenset(group.members) for group in decided.groups)
            outcomes.setdefault(partition, []).append(decided)
    ordered = sorted(
        (sorted(same, key=_preference) for same in outcomes.values()), key=lambda same: _preference(same[0])
    )
    return [(same[0], tuple((one.lam or 0.0, one.tau or 0.0) for one in same)) for same in ordered]


def _preference(step: MergeStep) -> tuple[float, ...]:
    nearness, lam = _from_paper_lambda(step.lam or 0.0)
    # Rounded, so that equal sums added up in another order stay equal.
    return -step.merged, -round(step.similarity, 9), nearness, -(step.tau or 0.0), lam


def _from_paper_lambda(lam: float) -> tuple[float, float]:
    return round(abs(lam - PAPER_LAMBDA), 9), lam
