"""Labels that have become one, and how alike groups of them are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

#: Labels that have become one, first its head: the label that gives it its name.
LabelGroup = tuple[LabelRef, ...]


def initial_groups(matrix: SimilarityMatrix, constraints: Constraints) -> dict[str, tuple[LabelGroup, ...]]:
    """Return each source's labels as groups of one, or of those that must be one.

    The head of a group of several is its label with most mentions.
    """
    groups: dict[str, dict[frozenset[LabelRef], LabelGroup]] = {source: {} for source in matrix.sources}
    for label in matrix.labels:
        if label in constraints.left_out:
            continue
        own = _class_within(label, {label.source}, constraints)
        groups[label.source].setdefault(own, _headed(own, matrix))
    return {source: tuple(by_class.values()) for source, by_class in groups.items()}


def schema_groups(matrix: SimilarityMatrix, constraints: Constraints) -> tuple[LabelGroup, ...]:
    """Return the labels that define each name of a given schema, in its order, then the others of their sources.

    What must be one with one of them in any of these sources belongs to them.
    """
    named = {label: name for label, name in constraints.names.items() if name in constraints.schema}
    groups: dict[frozenset[LabelRef], None] = {}
    for name in constraints.schema:
        defining = [label for label in matrix.labels if named.get(label) == name]
        parts = [_class_within(label, constraints.defining, constraints) for label in defining]
        groups[frozenset().union(*parts)] = None
    placed = {label for members in groups for label in members}
    for label in matrix.labels:
        if label.source in constraints.defining and label not in placed | constraints.left_out:
            groups[_class_within(label, constraints.defining, constraints)] = None
    return tuple(_headed(members, matrix) for members in groups)


def _class_within(label: LabelRef, sources: Collection[str], constraints: Constraints) -> frozenset[LabelRef]:
    """Return the labels of some sources that must end in one group with a label, itself among them."""
    return frozenset(m for m in constraints.class_of(label) if m.source in sources)


def _headed(members: frozenset[LabelRef], matrix: SimilarityMatrix) -> LabelGroup:
    """Return a group whose head is the label with most mentions."""
    head = min(members, key=lambda member: (-matrix.support[matrix.index[member]], member))
    return head, *sorted(members - {head})


class GroupEvidence:
    """Both similarities between label groups: ``rows`` with ``columns``.

    Attributes:
        matched: shape (rows, columns), summed over pairs of members.
        predicted: shape (rows, columns), the predictions as any of the row's
            members on the text of the column's sources.
        semantic: shape (rows, columns), the mean over pairs of members weighted
            by the product of their mentions; NaN where nothing is known.
    """

    def __init__(
        self, matrix: SimilarityMatrix, rows: Sequence[LabelGroup], columns: Sequence[LabelGroup]
    ) -> None:
        self.rows, self.columns = rows, columns
        row, column = membership(matrix, rows), membership(matrix, columns)
        # Predictions on the text of a source are counted once, not once for each of its labels.
        first = [tuple({label.source: label for label in group}.values()) for group in columns]
        self.matched: NDArray[np.int64] = row.T @ matrix.matched @ column
        self.predicted: NDArray[np.int64] = row.T @ matrix.predicted @ membership(matrix, first)
        weights = np.maximum(np.outer(matrix.support, matrix.support), 1) * ~np.isnan(matrix.semantic)
        total = row.T @ weights @ column
        sums = row.T @ (weights * np.nan_to_num(matrix.semantic)) @ column
        self.semantic = np.divide(sums, total, out=np.full(total.shape, np.nan), where=total > 0)

    @property
    def empirical(self) -> NDArray[np.float64]:
        """S_emp, shape (rows, columns); NaN where nothing was predicted."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.predicted > 0, self.matched / self.predicted, np.nan)


def membership(matrix: SimilarityMatrix, groups: Sequence[Sequence[LabelRef]]) -> NDArray[np.int64]:
    """Return which labels are in which groups, shape (labels, groups)."""
    member = np.zeros((len(matrix.labels), len(groups)), dtype=np.int64)
    for number, group in enumerate(groups):
        member[[matrix.index[label] for label in group], number] = 1
    return member


def sum_empirical(
    matrix: SimilarityMatrix, rows: Sequence[LabelGroup], columns: Sequence[LabelGroup]
) -> float:
    """Return the sum of S_emp over all pairs of groups, those that are unknown left out."""
    return float(np.nansum(GroupEvidence(matrix, rows, columns).empirical))
