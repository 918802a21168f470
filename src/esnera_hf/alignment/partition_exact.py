"""The best clusters of a few nodes: branch and bound over all partitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.partition_problem import TOLERANCE, Clusters, PartitionProblem, sorted_clusters


def search_exactly(problem: PartitionProblem, start: Clusters, steps: int) -> tuple[Clusters, bool]:
    """Return the best clusters and whether no better ones exist.

    Args:
        problem: a few nodes.
        start: clusters that are known to be good; returned where none are better.
        steps: the search stops after so many partial partitions.
    """
    search = _Search(problem, start, steps)
    found = search.run()
    if found is None:
        return start, False
    better = problem.score(found) > problem.score(start) + TOLERANCE
    return (found if better else start), True


class _Search:
    """Places one node after the other, in each cluster that may hold it and in one of its own.

    The last nodes are solved first, as problems of their own (Russian doll search):
    what the nodes still to be placed can add among themselves is then known
    exactly, and each of them adds at most its highest sum of weights with one of
    the clusters there are.
    """

    def __init__(self, problem: PartitionProblem, start: Clusters, steps: int) -> None:
        order = placing_order(problem)
        cells = np.ix_(order, order)
        self._order = order
        self._weights = np.where(problem.forbidden[cells], -np.inf, problem.weights[cells])
        place = {node: index for index, node in enumerate(order)}
        self._start = [sorted(place[node] for node in cluster) for cluster in start]
        self._steps = steps
        #: The optimum of the nodes from each on.
        self._rest = np.zeros(len(order) + 1)
        self._highest = 0.0
        self._best: list[list[int]] = []

    def run(self) -> Clusters | None:
        """Return the best clusters, ``None`` if the steps do not suffice."""
        n = len(self._order)
        for first in reversed(range(n)):
            self._best = [[first], *self._best]
            known = [[node for node in cluster if node >= first] for cluster in self._start]
            score = sum(self._weights[np.ix_(cluster, cluster)].sum() / 2 for cluster in known)
            if score > self._highest + TOLERANCE:
                self._highest, self._best = score, [cluster for cluster in known if cluster]
            self._place(first + 1, 0.0, [[first]], self._weights[first : first + 1])
            if self._steps < 0:
                return None
            self._rest[first] = self._highest
        return sorted_clusters([self._order[index] for index in cluster] for cluster in self._best)

    def _place(self, node: int, score: float, clusters: list[list[int]], sums: NDArray[np.float64]) -> None:
        """Place a node and those after it.

        Args:
            node: the next one.
            score: of the nodes placed.
            clusters: of the nodes placed.
            sums: shape (clusters, n), of the weights of each node with each cluster.
        """
        if node == len(self._order):
            if score > self._highest + TOLERANCE:
                self._highest, self._best = score, [list(cluster) for cluster in clusters]
            return
        gains = [*sums[:, node].tolist(), 0.0]
        for number in sorted(range(len(gains)), key=lambda k: (-gains[k], -k)):
            if gains[number] == -np.inf:
                break
            self._steps -= 1
            if self._steps < 0:
                return
            if number == len(clusters):
                added = np.vstack([sums, self._weights[node]])
            else:
                added = sums.copy()
                added[number] += self._weights[node]
            most = np.maximum(added[:, node + 1 :].max(axis=0), 0.0).sum()
            if score + gains[number] + self._rest[node + 1] + most <= self._highest + TOLERANCE:
                continue
            placed = [*clusters, []] if number == len(clusters) else list(clusters)
            placed[number] = [*placed[number], node]
            self._place(node + 1, score + gains[number], placed, added)


def placing_order(problem: PartitionProblem) -> list[int]:
    """Return the nodes so that each is the one most connected to those before it."""
    strength = np.where(problem.forbidden, 0.0, np.abs(problem.weights))
    connected = strength.sum(axis=1)
    order: list[int] = []
    free = np.ones(len(problem.nodes), dtype=bool)
    while free.any():
        chosen = int(np.argmax(np.where(free, connected, -np.inf)))
        if not order:
            connected = np.zeros(len(problem.nodes))
        order.append(chosen)
        free[chosen] = False
        connected = connected + strength[chosen]
    return order
