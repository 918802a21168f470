"""Correlation clustering: the partition of labels with the highest sum of weights inside its groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints, spread_apart
from esnera_hf.tagging import LabelRef

#: Scores that differ by less are equal: sums added up in another order stay equal.
TOLERANCE = 1e-9
#: Parts of at most so many nodes are searched for the optimum, in at most so many steps: up to two seconds. Steps,
#: not seconds, so that the same input gives the same groups on every machine.
EXACT_NODES, EXACT_STEPS = 24, 50_000

#: The numbers of the nodes of each cluster.
Clusters = tuple[tuple[int, ...], ...]


def partition_labels(
    labels: Sequence[LabelRef], weights: NDArray[np.float64], constraints: Constraints = NO_CONSTRAINTS
) -> tuple[tuple[LabelRef, ...], ...]:
    """Return the groups of labels with the highest sum of weights inside (correlation clustering).

    Two labels of one source stay apart unless the constraints put them together.
    Parts that positive weights connect are solved one by one. Neither the order of
    the labels nor chance plays a part. A label that adds nothing to a group is not
    put into it.

    Args:
        labels: N labels of several sources.
        weights: shape (N, N), symmetric: how much speaks for two labels being
            equal, negative if it speaks against it; NaN if nothing is known,
            which weighs 0. The diagonal is not read.
        constraints: what the user asks for. Labels left out are in no group.

    Returns:
        Each group sorted, in the order of their first labels.

    Raises:
        ConfigurationError: labels must and cannot become one.
    """
    nodes, between = _nodes(labels, weights, constraints)
    groups = []
    for part in _connected(between):
        for cluster in best_clusters(between[np.ix_(part, part)]):
            groups.append(tuple(sorted(label for node in cluster for label in nodes[part[node]])))
    return tuple(sorted(groups))


def best_clusters(weights: NDArray[np.float64]) -> Clusters:
    """Return the best clusters of a few nodes, good ones of many.

    Args:
        weights: shape (n, n), symmetric, 0 on the diagonal; -inf for nodes that never share a cluster.
    """
    clusters = cluster_greedily(weights)
    if len(weights) <= EXACT_NODES:
        clusters = _ExactSearch(weights, clusters).best()
    # Without evidence two labels are two.
    supported: list[tuple[int, ...]] = []
    for cluster in clusters:
        for node in cluster:
            if len(cluster) > 1 and abs(weights[node, cluster].sum()) <= TOLERANCE:
                cluster = tuple(other for other in cluster if other != node)
                supported.append((node,))
        supported.append(cluster)
    return _sorted_clusters(supported)


def _nodes(
    labels: Sequence[LabelRef], weights: NDArray[np.float64], constraints: Constraints
) -> tuple[tuple[tuple[LabelRef, ...], ...], NDArray[np.float64]]:
    """Return labels that must be together as nodes, in the order of their names, and the weights between nodes."""
    position = {label: index for index, label in enumerate(labels)}
    clustered = set(labels) - constraints.left_out
    nodes = tuple(sorted({tuple(sorted(constraints.class_of(label) & clustered)) for label in clustered}))
    # In the order of names before anything is added up, so that sums do not depend on the order given.
    order = [position[label] for node in nodes for label in node]
    values = np.nan_to_num(weights[np.ix_(order, order)], nan=0.0)
    home = {label: number for number, node in enumerate(nodes) for label in node}
    member = np.zeros((len(nodes), len(order)))
    member[list(home.values()), range(len(order))] = 1
    between = member @ ((values + values.T) / 2) @ member.T
    between = (between + between.T) / 2
    apart = {tuple(pair) for pair in spread_apart(constraints.cannot_link, constraints.classes)}
    # Classes wait for labels of later sources, so they never join each other (as Constraints.allow says).
    apart |= set(combinations([node[0] for node in nodes if len(constraints.class_of(node[0])) > 1], 2))
    for one, other in combinations(home, 2):
        if (one, other) in apart or (other, one) in apart or one.source == other.source:
            between[home[one], home[other]] = between[home[other], home[one]] = -np.inf
    np.fill_diagonal(between, 0.0)
    return nodes, between


def _connected(weights: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Return the parts that positive weights connect; no cluster need join two of them."""
    unseen = list(range(len(weights)))
    parts = []
    while unseen:
        reached = np.zeros(len(weights), dtype=bool)
        frontier = reached.copy()
        frontier[unseen[0]] = True
        while frontier.any():
            reached |= frontier
            frontier = (weights[frontier] > 0).any(axis=0) & ~reached
        parts.append(np.flatnonzero(reached))
        unseen = [node for node in unseen if not reached[node]]
    return parts


def _score(weights: NDArray[np.float64], clusters: Iterable[Sequence[int]]) -> float:
    return float(sum(weights[np.ix_(cluster, cluster)].sum() / 2 for cluster in clusters))


def _sorted_clusters(clusters: Iterable[Iterable[int]]) -> Clusters:
    return tuple(sorted(tuple(sorted(cluster)) for cluster in clusters))


def cluster_greedily(weights: NDArray[np.float64]) -> Clusters:
    """Return the better of what sum linkage and average linkage lead to, each improved by local moves."""
    # Neither is better: on random problems each finds optima that the other one misses.
    outcomes = []
    for average in (False, True):
        state = _GreedyState(weights)
        state.agglomerate(average=average)
        while state.swap() or state.move_chain():
            state.agglomerate(average=False)
        outcomes.append(state.clusters())
    first, second = outcomes
    return second if _score(weights, second) > _score(weights, first) + TOLERANCE else first


class _GreedyState:
    """Clusters that change; each has a number below that of the nodes.

    Attributes:
        home: shape (n,), the cluster of each node.
        sums: shape (n, n), the weights of each node with each cluster.
        conflicts: shape (n, n), how many nodes of each cluster a node is kept apart from.
        sizes: shape (n,), of the clusters; an unused one has 0.
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        n = len(weights)
        self._apart = np.isneginf(weights).astype(np.int64)
        self._weights = np.where(self._apart, 0.0, weights)
        self.home = np.arange(n)
        self.sums: NDArray[np.float64] = self._weights.copy()
        self.conflicts: NDArray[np.int64] = self._apart.copy()
        self.sizes = np.ones(n, dtype=np.int64)

    def clusters(self) -> Clusters:
        """Return the clusters as they are."""
        return _sorted_clusters(
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
        length = 0
        while (best := self._best_move(free)) is not None:
            node, cluster = best
            moves.append((node, int(self.home[node])))
            free[node] = False
            gain += self._move(node, cluster)
            if gain > highest + TOLERANCE:
                highest, length = gain, len(moves)
        for node, before in reversed(moves[length:]):
            self._move(node, before)
        return length > 0

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
        gain = sum(self._move(other, int(np.argmin(self.sizes))) for other in ousted)
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


class _ExactSearch:
    """Places one node after the other, in each cluster that may hold it and in one of its own.

    The last nodes are solved first, as problems of their own (Russian doll search):
    what the nodes still to be placed can add among themselves is then known
    exactly, and each of them adds at most its highest sum of weights with one of
    the clusters there are.
    """

    def __init__(self, weights: NDArray[np.float64], start: Clusters) -> None:
        order = _placing_order(weights)
        self._start_clusters, self._order = start, order
        self._weights = weights[np.ix_(order, order)]
        place = {node: index for index, node in enumerate(order)}
        self._start = [sorted(place[node] for node in cluster) for cluster in start]
        self._steps = EXACT_STEPS
        #: The optimum of the nodes from each on.
        self._rest = np.zeros(len(order) + 1)
        self._highest = 0.0
        self._best: list[list[int]] = []

    def best(self) -> Clusters:
        """Return the best clusters; those it starts with if none are better or the steps do not suffice."""
        n = len(self._order)
        for first in reversed(range(n)):
            self._best = [[first], *self._best]
            start = [[node for node in cluster if node >= first] for cluster in self._start]
            score = _score(self._weights, start)
            if score > self._highest + TOLERANCE:
                self._highest, self._best = score, [cluster for cluster in start if cluster]
            self._place(first + 1, 0.0, [[first]], self._weights[first : first + 1])
            if self._steps < 0:
                return self._start_clusters
            self._rest[first] = self._highest
        better = _score(self._weights, self._best) > _score(self._weights, self._start) + TOLERANCE
        clusters = self._best if better else self._start
        return _sorted_clusters([self._order[index] for index in cluster] for cluster in clusters)

    def _place(self, node: int, score: float, clusters: list[list[int]], sums: NDArray[np.float64]) -> None:
        """Place a node and those after it.

        ``score`` and ``clusters`` are of the nodes placed, ``sums`` of the weights of each node with each of these
        clusters, shape (clusters, n).
        """
        if node == len(self._order):
            if score > self._highest + TOLERANCE:
                self._highest, self._best = score, [list(cluster) for cluster in clusters]
            return
        gains = [*sums[:, node].tolist(), 0.0]
        # The best place first, so that good clusters are known early and most others need not be looked at.
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


def _placing_order(weights: NDArray[np.float64]) -> list[int]:
    """Return the nodes so that each is the one most connected to those before it."""
    strength = np.abs(np.where(np.isneginf(weights), 0.0, weights))
    connected = strength.sum(axis=1)
    order: list[int] = []
    free = np.ones(len(weights), dtype=bool)
    while free.any():
        chosen = int(np.argmax(np.where(free, connected, -np.inf)))
        if not order:
            connected = np.zeros(len(weights))
        order.append(chosen)
        free[chosen] = False
        connected = connected + strength[chosen]
    return order
