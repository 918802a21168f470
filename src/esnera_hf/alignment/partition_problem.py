"""What a partition of labels is to maximise: weights between nodes, and which nodes stay apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import Constraints, spread_apart
from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef

#: Scores that differ by less are equal: sums added up in another order stay equal.
TOLERANCE = 1e-9
#: The numbers of the nodes of each cluster.
Clusters = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class PartitionProblem:
    """Nodes with weights between them.

    Attributes:
        nodes: labels that are to be together, or one label; sorted.
        weights: shape (n, n), symmetric, 0 on the diagonal.
        forbidden: shape (n, n); nodes that never share a cluster.
        inside: shape (n,), the sum of the weights inside each node.
    """

    nodes: tuple[tuple[LabelRef, ...], ...]
    weights: NDArray[np.float64]
    forbidden: NDArray[np.bool_]
    inside: NDArray[np.float64]

    def score(self, clusters: Clusters) -> float:
        """Return the sum of the weights inside clusters, those inside nodes included."""
        between = sum(self.weights[np.ix_(cluster, cluster)].sum() / 2 for cluster in clusters)
        return float(self.inside.sum() + between)

    def groups(self, clusters: Clusters) -> list[tuple[LabelRef, ...]]:
        """Return the labels of each cluster, sorted."""
        return [
            tuple(sorted(label for node in cluster for label in self.nodes[node])) for cluster in clusters
        ]

    def components(self) -> list[PartitionProblem]:
        """Return the parts that positive weights connect; no cluster need join two of them."""
        linked = (self.weights > 0) & ~self.forbidden
        unseen = list(range(len(self.nodes)))
        parts = []
        while unseen:
            reached = np.zeros(len(self.nodes), dtype=bool)
            frontier = reached.copy()
            frontier[unseen[0]] = True
            while frontier.any():
                reached |= frontier
                frontier = linked[frontier].any(axis=0) & ~reached
            parts.append(self._restricted(np.flatnonzero(reached)))
            unseen = [node for node in unseen if not reached[node]]
        return parts

    def _restricted(self, kept: NDArray[np.intp]) -> PartitionProblem:
        cells = np.ix_(kept, kept)
        nodes = tuple(self.nodes[node] for node in kept)
        return PartitionProblem(nodes, self.weights[cells], self.forbidden[cells], self.inside[kept])


def partition_problem(
    labels: Sequence[LabelRef],
    weights: NDArray[np.float64],
    constraints: Constraints | None = None,
    *,
    one_per_source: bool = True,
) -> PartitionProblem:
    """Turn labels, weights and wishes into a problem whose order is that of the labels' names.

    Raises:
        ConfigurationError: the weights are not N by N, symmetric and finite or
            NaN; a label is there twice; or labels are to be together and apart.
    """
    constraints = constraints or Constraints()
    _check(labels, weights)
    position = {label: index for index, label in enumerate(labels)}
    kept = sorted(set(labels) - constraints.left_out)
    nodes = tuple(sorted({tuple(sorted(constraints.class_of(label).intersection(kept))) for label in kept}))
    member = np.zeros((len(nodes), len(labels)))
    for number, node in enumerate(nodes):
        member[number, [position[label] for label in node]] = 1
    known = np.nan_to_num(weights, nan=0.0)
    np.fill_diagonal(known, 0.0)
    # In the order of names before anything is added up, so that sums do not depend on the order given.
    order = [position[label] for node in nodes for label in node]
    member, known = member[:, order], known[np.ix_(order, order)]
    between = member @ ((known + known.T) / 2) @ member.T
    inside = np.diag(between) / 2
    between = (between + between.T) / 2
    np.fill_diagonal(between, 0.0)
    return PartitionProblem(nodes, between, _forbidden(nodes, constraints, one_per_source), inside)


def _check(labels: Sequence[LabelRef], weights: NDArray[np.float64]) -> None:
    n = len(labels)
    if weights.shape != (n, n):
        raise ConfigurationError(f"weights have shape {weights.shape}: expected {(n, n)} for {n} labels.")
    if len(set(labels)) < n:
        twice = next(label for index, label in enumerate(labels) if label in labels[:index])
        raise ConfigurationError(f"{twice} is there twice: expected each label once.")
    if np.isinf(weights).any():
        raise ConfigurationError(
            "a weight is infinite: expected finite ones; use constraints to forbid a merge."
        )
    if not np.allclose(weights, weights.T, rtol=0, atol=TOLERANCE, equal_nan=True):
        i, j = np.argwhere(~np.isclose(weights, weights.T, rtol=0, atol=TOLERANCE, equal_nan=True))[0]
        raise ConfigurationError(
            f"{labels[i]} with {labels[j]} weighs {weights[i, j]}, the other way round {weights[j, i]}: "
            "expected symmetric weights."
        )


def _forbidden(
    nodes: Sequence[tuple[LabelRef, ...]], constraints: Constraints, one_per_source: bool
) -> NDArray[np.bool_]:
    """Return which pairs of nodes :meth:`Constraints.allow` keeps apart, or their sources do."""
    home = {label: number for number, node in enumerate(nodes) for label in node}
    forbidden = np.zeros((len(nodes), len(nodes)), dtype=bool)
    apart = {tuple(pair) for pair in spread_apart(constraints.apart, constraints.classes)}
    apart |= set(combinations([node[0] for node in nodes if _is_class(node, constraints)], 2))
    for source in {label.source for label in home}:
        own = sorted({number for label, number in home.items() if label.source == source})
        if one_per_source or source == constraints.target:
            apart |= set(combinations([nodes[number][0] for number in own], 2))
    for one, other in apart:
        if one in home and other in home:
            forbidden[home[one], home[other]] = forbidden[home[other], home[one]] = True
    return forbidden


def _is_class(node: tuple[LabelRef, ...], constraints: Constraints) -> bool:
    return len(constraints.class_of(node[0])) > 1


def upper_bound(problem: PartitionProblem) -> float:
    """Return a score that no partition exceeds.

    The sum of positive weights, less what conflicts cost: of two positive weights
    i-k and k-j and a negative or forbidden i-j one must be given up. Conflicts are
    counted one after the other, each with what the former left of the weights.
    """
    rest = np.where(problem.forbidden, 0.0, np.maximum(problem.weights, 0.0))
    against = np.where(problem.forbidden, np.inf, np.maximum(-problem.weights, 0.0))
    bound = float(problem.inside.sum() + rest.sum() / 2)
    ones, others = np.nonzero(np.triu(against, 1))
    for pair in np.argsort(-against[ones, others], kind="stable"):
        i, j = ones[pair], others[pair]
        through, left = np.minimum(rest[i], rest[j]), against[i, j]
        while left > 0 and (k := int(np.argmax(through))) >= 0 and through[k] > 0:
            taken = min(through[k], left)
            for end in (i, j):
                rest[end, k] -= taken
                rest[k, end] -= taken
            through[k] = 0.0
            left -= taken
            bound -= float(taken)
    return bound


def sorted_clusters(clusters: Iterable[Iterable[int]]) -> Clusters:
    """Return clusters in the order of their first nodes."""
    return tuple(sorted(tuple(sorted(cluster)) for cluster in clusters))


def without_idle(problem: PartitionProblem, clusters: Clusters) -> Clusters:
    """Return clusters with the nodes that add nothing to theirs in clusters of their own."""
    kept: list[tuple[int, ...]] = []
    for cluster in clusters:
        for node in cluster:
            if len(cluster) > 1 and abs(problem.weights[node, cluster].sum()) <= TOLERANCE:
                cluster = tuple(other for other in cluster if other != node)
                kept.append((node,))
        kept.append(cluster)
    return sorted_clusters(kept)
