"""How two labels relate: equal, subset, superset, overlap, none, or unknown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from esnera_hf.labels import LabelRef
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.mutual import coverage, mutual_similarity

Relation = Literal["equal", "subset", "superset", "overlap", "none", "unknown"]

#: Mutual similarity from which two labels mean the same (docs/quality.md).
EQUAL = 0.67
#: Coverage from which one label may hold the other, and how many times that of the other direction makes it more.
HOLDS, LOPSIDED = 0.65, 1.5
#: Coverage in both directions from which two labels share some of their entities.
SHARES = 0.25


@dataclass(frozen=True)
class LabelRelations:
    """The relation of every pair of labels of two sources, each pair by itself.

    Attributes:
        matrix: the similarities it was told from.
        mutual: shape (N, N), how sure it is that two labels mean the same.
        covered: shape (N, N), how much of the row's label the column's covers.
    """

    matrix: SimilarityMatrix
    mutual: NDArray[np.float64]
    covered: NDArray[np.float64]

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        """Whether the column's label holds the row's (:func:`holding`), bool, shape (N, N)."""
        covers = self.covered >= HOLDS
        further = covers & ~(self.mutual >= EQUAL)
        owners = np.array([label.source for label in self.matrix.labels])
        same = (owners[:, None] == owners[None, :]).astype(np.int64)
        return holding(self.covered, same @ further - further > 0)

    @cached_property
    def _position(self) -> dict[LabelRef, int]:
        return {label: index for index, label in enumerate(self.matrix.labels)}

    def between(self, first: LabelRef, second: LabelRef) -> Relation:
        """Return how ``first`` relates to ``second``."""
        i, j = self._position[first], self._position[second]
        if self.mutual[i, j] >= EQUAL:
            return "equal"
        return self.unequal(first, second)

    def unequal(self, first: LabelRef, second: LabelRef) -> Relation:
        """Return how ``first`` relates to ``second``, given that they do not mean the same."""
        i, j = self._position[first], self._position[second]
        one, other = float(self.covered[i, j]), float(self.covered[j, i])
        if np.isnan(one) or np.isnan(other):
            return "unknown"
        if self.held[i, j] != self.held[j, i]:
            return "subset" if self.held[i, j] else "superset"
        return "overlap" if min(one, other) >= SHARES else "none"


def holding(covered: NDArray[np.float64], further: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which labels, or groups of equal ones, hold which: they cover them and are more than they.

    What covers another is more than it if the other covers far less of it, or if
    it covers a further label of the other's source: labels of one source exclude
    each other, so neither is all of what covers both.

    Args:
        covered: shape (N, N), how much of the row the column covers; NaN where unknown.
        further: shape (N, N), whether the column covers a further label of the row's source that is not equal to it.

    Returns:
        Whether the column holds the row, shape (N, N).
    """
    known = np.nan_to_num(covered)
    return np.asarray((known >= HOLDS) & ((known >= LOPSIDED * known.T) | further))


def relate(matrix: SimilarityMatrix) -> LabelRelations:
    """Tell the relation of every pair of labels from similarities in both directions."""
    return LabelRelations(matrix, mutual_similarity(matrix), coverage(matrix))
