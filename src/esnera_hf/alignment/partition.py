"""All merges at once: the partition of labels with the highest sum of weights inside its groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.merge_path import check_tau
from esnera_hf.alignment.partition_exact import search_exactly
from esnera_hf.alignment.partition_greedy import cluster_greedily
from esnera_hf.alignment.partition_problem import (
    TOLERANCE,
    Clusters,
    PartitionProblem,
    partition_problem,
    upper_bound,
    without_idle,
)
from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    """How hard to look for the optimum.

    Attributes:
        exact_labels: components of at most so many labels are searched
            exhaustively; labels that are to be together count once.
        exact_steps: the search of a component stops after so many steps, and its
            optimum is then not proven. Steps, not seconds: the same input gives
            the same partition on every machine.
    """

    exact_labels: int = 24
    exact_steps: int = 50_000

    def __post_init__(self) -> None:
        for name in ("exact_labels", "exact_steps"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name}={getattr(self, name)}: expected 0 or more.")


@dataclass(frozen=True, slots=True)
class PartitionComponent:
    """Labels that positive weights connect, which are partitioned by themselves.

    Attributes:
        labels: sorted.
        score: sum of the weights inside its groups.
        bound: no partition has a higher one; ``score`` where the optimum is proven.
    """

    labels: tuple[LabelRef, ...]
    score: float
    bound: float

    @property
    def proven(self) -> bool:
        """Whether the optimum is proven."""
        return self.bound <= self.score + TOLERANCE


@dataclass(frozen=True, slots=True)
class LabelPartition:
    """Labels in disjoint groups, each of which is to become one unified label.

    Attributes:
        groups: each sorted, in the order of their first labels.
        components: the parts of the problem, in the order of their first labels.
    """

    groups: tuple[tuple[LabelRef, ...], ...]
    components: tuple[PartitionComponent, ...]

    @property
    def score(self) -> float:
        """The sum of the weights inside groups."""
        return float(sum(component.score for component in self.components))

    @property
    def bound(self) -> float:
        """No partition has a higher score."""
        return float(sum(component.bound for component in self.components))

    @property
    def proven(self) -> bool:
        """Whether no partition is proven to have a higher score."""
        return all(component.proven for component in self.components)


def symmetric_weights(matrix: SimilarityMatrix, lam: float, tau: float) -> NDArray[np.float64]:
    """Return S - τ, S being the mean of both directions, shape (N, N); NaN where neither is known.

    Raises:
        ConfigurationError: λ or τ is out of range.
    """
    check_tau(tau)
    merged = matrix.merged(lam)
    one = np.where(np.isnan(merged), merged.T, merged)
    symmetric: NDArray[np.float64] = (one + one.T) / 2 - tau
    return symmetric


def partition_labels(
    labels: Sequence[LabelRef],
    weights: NDArray[np.float64],
    constraints: Constraints | None = None,
    *,
    one_per_source: bool = True,
    settings: PartitionSettings | None = None,
) -> LabelPartition:
    """Partition labels so that the sum of the weights inside groups is highest (correlation clustering).

    Components of positive weights are solved one by one: the small ones exactly,
    the others by :func:`greedy_partition`. Neither the order of the labels nor
    chance plays a part. A label that adds nothing to a group is not put into it.

    Args:
        labels: N labels of several sources.
        weights: shape (N, N), symmetric: how much speaks for two labels being
            equal, negative if it speaks against it; NaN if nothing is known,
            which weighs 0. The diagonal is not read.
        constraints: what the user wishes, as the merge path respects it. Labels
            left out are in no group; those of a target stay apart from each other.
        one_per_source: two labels of one source stay apart unless the
            constraints put them together.
        settings: up to which size the optimum is looked for.

    Raises:
        ConfigurationError: the weights are not N by N, symmetric and finite or
            NaN; a label is there twice; or labels are to be together and apart.
    """
    settings = settings or PartitionSettings()
    problem = partition_problem(labels, weights, constraints, one_per_source=one_per_source)
    return _solved(problem, settings)


def exact_partition(
    labels: Sequence[LabelRef],
    weights: NDArray[np.float64],
    constraints: Constraints | None = None,
    *,
    one_per_source: bool = True,
    settings: PartitionSettings | None = None,
) -> LabelPartition:
    """Return a partition that is proven to have the highest score.

    Args: as :func:`partition_labels`.

    Raises:
        ConfigurationError: as :func:`partition_labels`, or the optimum of a
            component is not proven within the settings.
    """
    settings = settings or PartitionSettings()
    found = partition_labels(labels, weights, constraints, one_per_source=one_per_source, settings=settings)
    for component in found.components:
        if not component.proven:
            raise ConfigurationError(
                f"{component.labels[0]} and {len(component.labels) - 1} more labels: the optimum lies between "
                f"{component.score:.4f} and {component.bound:.4f} and is not proven with exact_labels="
                f"{settings.exact_labels}, exact_steps={settings.exact_steps}. Raise them, or raise the threshold "
                "so that fewer weights are positive."
            )
    return found


def greedy_partition(
    labels: Sequence[LabelRef],
    weights: NDArray[np.float64],
    constraints: Constraints | None = None,
    *,
    one_per_source: bool = True,
) -> LabelPartition:
    """Return a good partition of any number of labels: agglomeration, then local moves.

    Groups are merged pair by pair, once by the highest sum of weights between
    them, once by the highest mean; then single labels and chains of them are moved
    while that raises the score, and the better partition of the two is kept.

    Args: as :func:`partition_labels`.

    Raises:
        ConfigurationError: as :func:`partition_labels`.
    """
    problem = partition_problem(labels, weights, constraints, one_per_source=one_per_source)
    return _solved(problem, PartitionSettings(exact_labels=0))


def _solved(problem: PartitionProblem, settings: PartitionSettings) -> LabelPartition:
    groups: list[tuple[LabelRef, ...]] = []
    components = []
    for part in problem.components():
        clusters, bound = _solve(part, settings)
        found = part.groups(clusters)
        groups += found
        score = part.score(clusters)
        components.append(
            PartitionComponent(
                tuple(sorted(label for group in found for label in group)), score, max(score, bound)
            )
        )
    return LabelPartition(tuple(sorted(groups)), tuple(components))


def _solve(part: PartitionProblem, settings: PartitionSettings) -> tuple[Clusters, float]:
    """Return the clusters of one component and an upper bound on the score of any."""
    clusters = cluster_greedily(part)
    bound = upper_bound(part)
    if bound > part.score(clusters) + TOLERANCE and len(part.nodes) <= settings.exact_labels:
        clusters, proven = search_exactly(part, clusters, settings.exact_steps)
        if proven:
            bound = part.score(clusters)
    return without_idle(part, clusters), bound
