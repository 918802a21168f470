"""Good clusters of any number of nodes: agglomeration, then local moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.partition_problem import TOLERANCE, Clusters, PartitionProblem, sorted_clusters


def cluster_greedily(problem: PartitionProblem) -> Clusters:
    """Return the better of what sum linkage and average linkage lead to, each improved by local moves."""
    outcomes = []
    for average in (False, True):
        state = _State(problem)
        state.agglomerate(average=average)
        while state.swap() or state.move_chain():
            state.agglomerate(average=False)
        outcomes.append(state.clusters())
    first, second = outcomes
    return second if problem.score(second) > problem.score(first) + TOLERANCE else first


class _State:
    """Clusters that change; each has a number below that of the nodes.

    Attributes:
        home: shape (n,), the cluster of each node.
        sums: shape (n, n), the weights of each node with each cluster.
        conflicts: shape (n, n), how many nodes of each cluster a node is kept apart from.
        sizes: shape (n,), of the clusters; an unused one has 0.
    """

    def __init__(self, problem: PartitionProblem) -> None:
        n = len(problem.nodes)
        self._apart = problem.forbidden.astype(np.int64)
        self._weights = np.where(problem.forbidden, 0.0, problem.weights)
        self.home = np.arange(n)
        self.sums: NDArray[np.float64] = self._weights.copy()
        self.conflicts: NDArray[np.int64] = self._apart.copy()
        self.sizes = np.ones(n, dtype=np.int64)

    def clusters(self) -> Clusters:
        """Return the clusters as they are."""
        return sorted_clusters(
            np.flatnonzero(self.home == used).tolist() for used in np.flatnonzero(self.sizes)
        )

    def agglomerate(self, *, average: bool) -> None:
        """Merge the two clusters with the highest sum, or mean, of weights between them while it is positive."""
        n = len(self.home)
        member = np.zeros((n, n))
        member[np.arange(n), self.home] = 1
        between = member.T @ self.sums
        between = (between + between.T) / 2
        between[member.T @ self.conflicts > 0] = -np.inf
        np.fill_diagonal(between, -np.inf)
        sizes, into = self.sizes.astype(float), np.arange(n)
        while True:
            scale = np.maximum(np.outer(sizes, sizes), 1) if average else 1.0
            one, other = divmod(int(np.argmax(between / scale)), n)
            if not between[one, other] > TOLERANCE:
                break
            merged = between[one] + between[other]
            between[other] = between[:, other] = -np.inf
            between[one] = between[:, one] = merged
            between[one, other] = between[other, one] = between[one, one] = -np.inf
            sizes[one] += sizes[other]
            into[into == other] = one
        for node in np.flatnonzero(into[self.home] != self.home):
            self._move(int(node), int(into[self.home[node]]))

    def move_chain(self) -> bool:
        """Move nodes one after the other, each once and the best first, and keep the best beginning.

        A move that lowers the score may open the way to better ones (Kernighan and
        Lin). Returns whether the score rose.
        """
        free = np.ones(len(self.home), dtype=bool)
        moves: list[tuple[int, int]] = []
        gain = highest = 0.0
        kept = 0
        while (found := self._best_move(free)) is not None:
            node, cluster = found
            moves.append((node, int(self.home[node])))
            free[node] = False
            gain += self._move(node, cluster)
            if gain > highest + TOLERANCE:
                highest, kept = gain, len(moves)
        for node, before in reversed(moves[kept:]):
            self._move(node, before)
        return kept > 0

    def swap(self) -> bool:
        """Move nodes into clusters that hold nodes they are kept apart from; those go elsewhere.

        Returns whether the score rose.
        """
        raised = False
        for node in range(len(self.home)):
            wanted = (self.conflicts[node] > 0) & (self.sums[node] > TOLERANCE)
            for cluster in np.flatnonzero(wanted):
                raised |= cluster != self.home[node] and self._swap(node, int(cluster))
        return bool(raised)

    def _swap(self, node: int, cluster: int) -> bool:
        ousted = np.flatnonzero((self.home == cluster) & (self._apart[node] > 0)).tolist()
        before = [(moved, int(self.home[moved])) for moved in (node, *ousted)]
        gain = sum(self._move(other, self._unused()) for other in ousted)
        gain += self._move(node, cluster)
        for other in ousted:
            sums = np.where(self.conflicts[other] == 0, self.sums[other], -np.inf)
            best = int(np.argmax(sums))
            if sums[best] > TOLERANCE:
                gain += self._move(other, best)
        if gain > TOLERANCE:
            return True
        for moved, home in before:
            self._move(moved, home)
        return False

    def _best_move(self, free: NDArray[np.bool_]) -> tuple[int, int] | None:
        """Return the free node and the cluster with the highest change of score, ``None`` if none can move."""
        nodes = np.flatnonzero(free)
        homes = self.home[nodes]
        targets = np.flatnonzero(self.sizes)
        unused = np.flatnonzero(self.sizes == 0)[:1]
        columns = np.concatenate([targets, unused])
        cells = np.ix_(nodes, columns)
        changes = self.sums[cells] - self.sums[nodes, homes][:, None]
        changes[self.conflicts[cells] > 0] = -np.inf
        changes[columns == homes[:, None]] = -np.inf
        changes[self.sizes[homes] == 1, len(targets) :] = -np.inf
        if not np.isfinite(changes).any():
            return None
        row, column = divmod(int(np.argmax(changes)), len(columns))
        return int(nodes[row]), int(columns[column])

    def _move(self, node: int, cluster: int) -> float:
        """Move a node and return by how much the score rose."""
        before = int(self.home[node])
        change = float(self.sums[node, cluster] - self.sums[node, before]) if cluster != before else 0.0
        for number, sign in ((before, -1), (cluster, 1)):
            self.sums[:, number] += sign * self._weights[node]
            self.conflicts[:, number] += sign * self._apart[node]
            self.sizes[number] += sign
        self.home[node] = cluster
        return change

    def _unused(self) -> int:
        return int(np.flatnonzero(self.sizes == 0)[0])
