"""The search over λ and τ along the greedy path, under a bound on F1 (method, Merging 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Generic, Literal, Protocol, TypeVar, get_args

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.mapping import DEFAULT_LAMBDA
from esnera_hf.alignment.merge_path import NextStage, check_tau, next_stage
from esnera_hf.alignment.merge_stages import MergePath
from esnera_hf.bounds import is_count, within
from esnera_hf.console import say
from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix, check_lambda

Scoring = Literal["projected", "own_labels"]


class Verdict(Protocol):
    """What training and scoring a candidate tells."""

    @property
    def holds(self) -> bool:
        """Whether the bound on F1 holds."""
        ...


V = TypeVar("V", bound=Verdict)


@dataclass(frozen=True)
class SearchSettings:
    """Where the search looks and what it demands.

    Attributes:
        lambdas: values of λ.
        taus: values of τ.
        max_drop: the pooled micro-F1 must fall by less than this, as a share
            (0.02 is two points).
        scoring: what that F1 is measured on: ``projected`` through the mapping,
            as the paper does, which cannot see two labels of one source become
            one; or each source's ``own_labels``, which counts that as a loss.
        sentences: measure similarities and try mappings on at most so many
            sentences a split of each source; the merged dataset holds all.
    """

    lambdas: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7)
    taus: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    max_drop: float = 0.02
    scoring: Scoring = "projected"
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
        if not within(self.max_drop, 0) or not self.max_drop:
            raise ConfigurationError(f"max_drop={self.max_drop!r}: expected a share above 0, such as 0.02.")
        if self.sentences is not None and not is_count(self.sentences):
            raise ConfigurationError(f"search sentences={self.sentences!r}: expected a positive number.")


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the grid."""

    lam: float
    tau: float


@dataclass(frozen=True)
class Candidate:
    """One distinct outcome of a stage, and every setting that leads to it.

    Attributes:
        path: the merge path with this stage, at the preferred setting.
        settings: all settings that give these groups, the preferred one first.
    """

    path: MergePath
    settings: tuple[Setting, ...]

    @property
    def merged(self) -> int:
        """Labels merged at this stage."""
        return self.path.stages[-1].merged


@dataclass(frozen=True)
class Trial(Generic[V]):
    """A candidate and what came of it; ``verdict`` is ``None`` where it was not tried."""

    stage: int
    candidate: Candidate
    verdict: V | None
    chosen: bool


@dataclass(frozen=True)
class SearchedPath(Generic[V]):
    """The path that was chosen and every candidate on the way, in order of preference stage by stage."""

    path: MergePath
    trials: tuple[Trial[V], ...]


def search_merge_path(
    matrix: SimilarityMatrix,
    settings: SearchSettings,
    evaluate: Callable[[MergePath], V],
    constraints: Constraints | None = None,
) -> SearchedPath[V]:
    """Choose λ and τ at each stage: the most labels merged while F1 holds the bound.

    Distinct outcomes are tried once each, in the order of :func:`stage_candidates`,
    and the first that holds the bound is taken. Since the order never looks at
    F1, this equals trying them all. An outcome that merges nothing by similarity
    needs no trial: it is what remains when no other holds.

    Args:
        matrix: similarities between the labels of two or more sources.
        settings: the grid.
        evaluate: trains and scores the mapping of a path.
        constraints: what the user wishes.
    """
    path = MergePath((), ())
    trials: list[Trial[V]] = []
    stage = next_stage(matrix, None, constraints)
    number = 0
    while stage is not None:
        chosen: MergePath | None = None
        candidates = stage_candidates(stage, settings)
        say(
            f"{' + '.join(stage.sources)} → {stage.target}: {len(candidates)} distinct mappings, tried in order "
            "until one holds the bound"
        )
        for candidate in candidates:
            verdict = evaluate(candidate.path) if chosen is None else None
            holds = verdict is not None and verdict.holds
            if holds:
                chosen = candidate.path
            trials.append(Trial(number, candidate, verdict, holds))
        path = chosen or stage.merge(_nearest_lambda(settings), None)
        stage = next_stage(matrix, path, constraints)
        number += 1
    return SearchedPath(path, tuple(trials))


def stage_candidates(stage: NextStage, settings: SearchSettings) -> tuple[Candidate, ...]:
    """Return the distinct outcomes of a stage that merge anything, the preferred one first.

    Most labels merged, then the larger sum of S over them, then λ nearest 0.4,
    then the larger τ, then the smaller λ.
    """
    found: dict[frozenset[frozenset[LabelRef]], list[tuple[Setting, MergePath]]] = {}
    for setting, path in _grid(stage, settings):
        if path.stages[-1].merged:
            partition = frozenset(frozenset(group.members) for group in path.groups)
            found.setdefault(partition, []).append((setting, path))
    candidates = []
    for outcomes in found.values():
        outcomes.sort(key=lambda outcome: _preference(*outcome))
        candidates.append((outcomes[0], tuple(setting for setting, _ in outcomes)))
    candidates.sort(key=lambda candidate: _preference(*candidate[0]))
    return tuple(Candidate(path, points) for (_, path), points in candidates)


def _grid(stage: NextStage, settings: SearchSettings) -> Iterator[tuple[Setting, MergePath]]:
    for lam, tau in product(settings.lambdas, settings.taus):
        yield Setting(lam, tau), stage.merge(lam, tau)


def _preference(setting: Setting, path: MergePath) -> tuple[float, ...]:
    stage = path.stages[-1]
    # Rounded, so that equal sums added up in another order stay equal.
    return (
        -stage.merged,
        -round(stage.similarity, 9),
        round(abs(setting.lam - DEFAULT_LAMBDA), 9),
        -setting.tau,
        setting.lam,
    )


def _nearest_lambda(settings: SearchSettings) -> float:
    return min(settings.lambdas, key=lambda lam: (round(abs(lam - DEFAULT_LAMBDA), 9), lam))
