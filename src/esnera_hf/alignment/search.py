"""The search over λ and τ along the greedy path, under a bound on F1 (method, Merging 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, get_args

from esnera_hf._internal.checks import is_count, within
from esnera_hf._internal.console import say
from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints
from esnera_hf.alignment.greedy_path import (
    PAPER_LAMBDA,
    Candidate,
    MergeHistory,
    MergeStep,
    greedy_merge_path,
    merge_step,
    next_step,
)
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.alignment.parts import with_parts
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import SimilarityMatrix, check_lambda
from esnera_hf.tagging import LabelRef

Scoring = Literal["unified", "native"]
#: Trains and scores a mapping: whether the bound on F1 holds, and what a report is to hold of it.
Objective = Callable[[LabelMapping], tuple[bool, Any]]


@dataclass(frozen=True)
class GreedySettings:
    """How labels are merged along the greedy path: a number is fixed, a list is searched.

    Attributes:
        lam: λ, the weight of the empirical similarity, or values to choose from.
        tau: τ, which a similarity must exceed, or values to choose from.
        max_f1_drop: the pooled micro-F1 must fall by less than this, as a share
            (0.02 is two points).
        scoring: what that F1 is measured on: ``unified`` labels, through the mapping,
            as the paper does, which cannot see two labels of one source become
            one; or the ``native`` labels of each source, which counts that as a loss.
        max_samples: measure similarities and try mappings on at most so many
            sentences per split of each source; the merged dataset holds all.
    """

    # The grid of the paper, and its bound of two points.
    lam: float | Sequence[float] = (0.3, 0.4, 0.5, 0.6, 0.7)
    tau: float | Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    max_f1_drop: float = 0.02
    scoring: Scoring = "unified"
    max_samples: int | None = None

    def __post_init__(self) -> None:
        if self.scoring not in get_args(Scoring):
            raise ConfigurationError(f"scoring={self.scoring!r}: expected {' or '.join(get_args(Scoring))}.")
        for name in ("lam", "tau"):
            if isinstance(values := getattr(self, name), list | tuple):
                # Reports give lists back, which must be equal to what they were made of.
                object.__setattr__(self, name, tuple(values))
        if not self.lambdas or not self.taus:
            raise ConfigurationError("lam and tau: found no value, expected a number or some of them.")
        for lam in self.lambdas:
            check_lambda(lam)
        for tau in self.taus:
            if not within(tau, -1, 1):
                raise ConfigurationError(f"τ = {tau!r}: expected a number from -1 to 1.")
        if not within(self.max_f1_drop, 0) or not self.max_f1_drop:
            raise ConfigurationError(
                f"max_f1_drop={self.max_f1_drop!r}: expected a share above 0, such as 0.02."
            )
        if self.max_samples is not None and not is_count(self.max_samples):
            raise ConfigurationError(
                f"greedy max_samples={self.max_samples!r}: expected a whole number above 0."
            )

    @property
    def lambdas(self) -> tuple[float, ...]:
        """The values of λ."""
        return _values(self.lam)

    @property
    def taus(self) -> tuple[float, ...]:
        """The values of τ."""
        return _values(self.tau)

    @property
    def is_fixed(self) -> bool:
        """Whether nothing is searched."""
        return not isinstance(self.lam, tuple) and not isinstance(self.tau, tuple)


def _values(value: float | Sequence[float]) -> tuple[float, ...]:
    # Text is a sequence, too, and is refused as a number.
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)


def merge_greedily(
    matrix: SimilarityMatrix,
    constraints: Constraints = NO_CONSTRAINTS,
    settings: GreedySettings | None = None,
    objective: Objective | None = None,
) -> tuple[LabelMapping, MergeHistory]:
    """Merge the labels of all sources along the greedy path of the paper.

    The path makes no parts; those that the user names are put below their wholes at its end.

    Args:
        objective: trains and scores mappings, where λ or τ is searched.

    Raises:
        ConfigurationError: fewer than two sources, or labels became one that the parts named by the user keep apart.
    """
    settings = settings or GreedySettings()
    if settings.is_fixed:
        history = greedy_merge_path(matrix, settings.lambdas[0], settings.taus[0], constraints)
    elif objective is None:
        raise ValueError("a search needs an objective")
    else:
        history = search_merge_path(matrix, settings, objective, constraints)
    mapping = mapping_from_history(history, matrix, constraints)
    return with_parts(mapping, constraints), history


def search_merge_path(
    matrix: SimilarityMatrix,
    settings: GreedySettings,
    objective: Objective,
    constraints: Constraints = NO_CONSTRAINTS,
) -> MergeHistory:
    """Choose λ and τ in each step: the most labels merged while F1 holds the bound.

    Distinct outcomes are tried once each, in the order of :func:`step_candidates`,
    and the first that holds the bound is taken. Since the order never looks at
    F1, this equals trying them all. An outcome that merges nothing by similarity
    needs no trial: it is what remains when no other holds.

    Args:
        objective: trains and scores the mapping of the steps so far, over the sources they merged.
    """
    steps: tuple[MergeStep, ...] = ()
    candidates: list[Candidate] = []
    while (step := next_step(matrix, steps, constraints)) is not None:
        name = f"{' + '.join(step.sources)} → {step.target or 'the given schema'}"
        possible = step_candidates(step, matrix, settings, constraints)
        say(f"{name}: {len(possible)} distinct mappings, tried in order until one holds the bound")
        chosen: MergeStep | None = None
        for decided, points in possible:
            holds, outcome = False, None
            if chosen is None:
                say(f"trying {name} with λ {decided.lam}, τ {decided.tau}: {decided.merged} labels merged")
                history = MergeHistory((*steps, decided))
                mapping = mapping_from_history(history, matrix, constraints)
                holds, outcome = objective(mapping.restricted(history.sources))
            if holds:
                chosen = decided
            candidates.append(Candidate(len(steps), decided, points, outcome, holds))
        if chosen is None:
            lam = min(settings.lambdas, key=_from_paper_lambda)
            chosen = merge_step(step, matrix, lam, None, constraints)
            if any(not decision.constrained for decision in chosen.decisions):
                say(
                    f"{name}: no setting merges anything and holds the bound (micro-F1 less than "
                    f"{settings.max_f1_drop} lower). Nothing was merged by similarity in this step; a larger "
                    "max_f1_drop, more sentences or a better encoder may help.",
                    "warning",
                )
        steps = (*steps, chosen)
    return MergeHistory(steps, tuple(candidates))


def step_candidates(
    step: MergeStep,
    matrix: SimilarityMatrix,
    settings: GreedySettings,
    constraints: Constraints = NO_CONSTRAINTS,
) -> list[tuple[MergeStep, tuple[tuple[float, float], ...]]]:
    """Return the distinct outcomes of a step that merge anything, each with all λ and τ that lead to it.

    Most labels merged come first, then the larger sum of S over them, then λ nearest
    that of the paper, then the larger τ, then the smaller λ.
    """
    outcomes: dict[frozenset[frozenset[LabelRef]], list[MergeStep]] = {}
    for lam, tau in product(settings.lambdas, settings.taus):
        decided = merge_step(step, matrix, lam, tau, constraints)
        if decided.merged:
            partition = frozenset(frozenset(group) for group in decided.groups)
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
