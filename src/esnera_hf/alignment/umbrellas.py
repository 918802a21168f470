"""Umbrellas: coarse labels for what belongs together though no label of a source holds all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints
from esnera_hf.alignment.groups import membership
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.names import are_akin, are_listed, by_pair, meaning_similarity
from esnera_hf.tagging import LabelRef

#: Mean relatedness from which labels go under one umbrella, and how much of it the meaning of names is where that is
#: known: both learnt on coarse schemas of four groups of corpora (benchmarks/results/taxonomy.md).
BELONGS, BY_NAME = 0.35, 0.75

_WORDS = re.compile(r"[^\W_]+")


def relatedness(matrix: SimilarityMatrix) -> NDArray[np.float64]:
    """Return how far two labels belong to one coarse class, in [0, 1], shape (N, N), symmetric; NaN where unknown.

    The mean of two figures: how probable it is that they have anything in common,
    that they are equal, one a part of the other, or overlap; and how close their
    mentions lie, S_sem where it is above 0. Where one of the two is unknown the
    other one is the result. Within a source, whose labels exclude each other,
    closeness alone tells ``book`` and ``movie`` from ``address``. Where it is known
    what both names mean, whether these are one concept or kinds of one weighs
    :data:`BY_NAME` in it; not where they mean the same and yet most probably have nothing
    in common, as two ``title``, of jobs and of books.
    """
    close = np.where(matrix.same_source, matrix.siblings, matrix.semantic)
    nothing_common = matrix.probabilities[..., -1]
    measured = _mean(np.stack([1.0 - nothing_common, np.clip(close, 0.0, 1.0)]))
    akin = by_pair(are_akin, matrix.labels)
    named = (1.0 - BY_NAME) * measured + BY_NAME * akin
    misleading = (by_pair(meaning_similarity, matrix.labels) == 1.0) & (nothing_common > 0.5)
    return np.where((are_listed(matrix.labels) | (akin > 0)) & ~misleading, named, measured)


def add_umbrellas(
    mapping: LabelMapping, matrix: SimilarityMatrix, constraints: Constraints = NO_CONSTRAINTS
) -> LabelMapping:
    """Return a mapping in which outermost labels that belong together have a common parent.

    Average linkage: the two groups of outermost labels whose source labels have the
    highest mean :func:`relatedness` become one as long as that is at least
    :data:`BELONGS`. A group of several gets a parent that no source label goes to,
    with a proposed name. Labels that cannot link have no common umbrella; labels that
    are locked without a parent stay so, and one of them that no label bears, an
    umbrella of before, is that of its group. Where a schema is given none is invented.
    """
    if constraints.schema or constraints.target is not None:
        return mapping
    below = {
        root: [label for name in (root, *mapping.descendants(root)) for label in mapping.members(name)]
        for root in sorted(mapping.tree.roots)
        if root not in constraints.parents or root in constraints.bare
    }
    below = {root: sorted(labels) for root, labels in below.items() if labels}
    unified, parents = list(mapping.unified_labels), dict(mapping.parents)
    groups = _linked(below, matrix, constraints)
    # The largest first, so that of two umbrellas of one name it has the shorter one.
    for group in sorted(groups, key=lambda group: -sum(_mentions(below, root, matrix) for root in group)):
        umbrella = next((root for root in group if root in constraints.bare), None)
        parts = [root for root in unified if root in group and root != umbrella]
        if umbrella is None:
            umbrella = _name(parts, below, matrix, {*unified, *constraints.names.values()})
            unified.insert(unified.index(parts[0]), umbrella)
        parents |= dict.fromkeys(parts, umbrella)
    return replace(mapping, unified_labels=tuple(unified), parents=parents)


def _linked(
    below: Mapping[str, Sequence[LabelRef]], matrix: SimilarityMatrix, constraints: Constraints
) -> list[set[str]]:
    """Return the groups of several outermost labels that average linkage finds."""
    roots = list(below)
    member = membership(matrix, list(below.values()))
    related = relatedness(matrix)
    total = member.T @ np.nan_to_num(related) @ member
    count = member.T @ np.isfinite(related) @ member
    apart = np.eye(len(roots), dtype=bool)
    for (i, one), (j, other) in combinations(enumerate(roots), 2):
        pairs = map(frozenset, product(below[one], below[other]))
        bare = {one, other} <= constraints.bare
        apart[i, j] = apart[j, i] = bare or not constraints.unrelated.isdisjoint(pairs)
    groups = [{root} for root in roots]
    while len(roots) > 1:
        mean = np.divide(total, count, out=np.full_like(total, -1.0), where=(count > 0) & ~apart)
        i, j = sorted(divmod(int(mean.argmax()), len(roots)))
        if mean[i, j] < BELONGS:
            break
        groups[i] |= groups[j]
        groups[j] = set()
        for table in (total, count):
            table[i] += table[j]
            table[:, i] += table[:, j]
        apart[i] |= apart[j]
        apart[:, i] |= apart[:, j]
        apart[j] = apart[:, j] = True
    return [group for group in groups if len(group) > 1]


def _name(
    parts: Sequence[str], below: Mapping[str, Sequence[LabelRef]], matrix: SimilarityMatrix, taken: set[str]
) -> str:
    """Return a name for an umbrella: the word that its parts share, or that of the part that holds most of it.

    A part holds its own mentions, and of those of the others the share that it covers.
    A name that is taken gets a ``+``: ``ORG+`` is ORG and what belongs with it.
    """

    def held(part: str) -> float:
        own = [matrix.index[label] for label in below[part]]
        others = [matrix.index[label] for other in parts if other != part for label in below[other]]
        covered = np.nan_to_num(matrix.coverage[np.ix_(others, own)]).mean(axis=1)
        return _mentions(below, part, matrix) + float(covered @ matrix.support[others])

    name = _shared_word(parts) or _plain(max(parts, key=held))
    while name in taken:
        name += "+"
    return name


def _mentions(below: Mapping[str, Sequence[LabelRef]], root: str, matrix: SimilarityMatrix) -> int:
    return int(matrix.support[[matrix.index[label] for label in below[root]]].sum())


def _shared_word(names: Sequence[str]) -> str:
    """Return the first word of the first name that all names have, whatever its case; "" if there is none."""
    words = [_WORDS.findall(_plain(name)) for name in names]
    common = set.intersection(*({word.casefold() for word in of_name} for of_name in words))
    return next((word for word in words[0] if word.casefold() in common and len(word) > 1), "")


def _plain(name: str) -> str:
    """Return a unified name without the source that sets it apart from another one."""
    return name.partition("@")[0] or name


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the first axis of what is known; NaN where nothing is."""
    count = np.isfinite(values).sum(axis=0)
    total = np.nan_to_num(values).sum(axis=0)
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean
