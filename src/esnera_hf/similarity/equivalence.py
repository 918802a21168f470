"""Evidence seen from both sides: how sure it is that two labels mean the same, and how much they cover each other.

The method's S_emp(Ls, Lt) looks one way: ``politician`` goes to ``person`` with a
high share, and nothing says that ``person`` means more. Here each kind of
evidence is read in both directions, and equality needs both. The constants were
chosen on 36 pairs of corpora and on known truth (benchmarks/results/quality.md has the figures).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from esnera_hf.tagging import LabelRef

#: Two labels mean the same from here on: F1 of merges 0.94; anything from 0.64 to 0.75 costs at most three points.
EQUAL = 0.67
#: One label may contain the other from this coverage on, if it is so many times that of the other direction; with
#: SHARES the best of 400 points of a grid.
CONTAINS, LOPSIDED = 0.65, 1.5
#: Coverage in both directions from which two labels share some of their entities.
SHARES = 0.25
#: Entities that speak against a pair before any was seen: one match of one entity is no proof.
PRIOR = 1.0
#: Of the share of predictions, the overlap of mentions, and the names. Without one of them F1 of merges is 0.86, 0.94
#: and 0.92, not 0.95; with taggers of their own a source the names matter most.
WEIGHTS = (1.0, 0.5, 0.4)
#: How strongly it lowers the share that one label covers more of the other than the reverse: equal labels are of one
#: size. Without it known truth in Chinese falls from 0.75 to 0.69.
BALANCE = 0.25
#: S_sem below which the share counts less, down to nothing at 0: the mentions are not of one kind.
ALIKE = 0.2
#: Coverage counts less where both S_sem and the overlap of mentions are below this: a tagger of chemicals calls the
#: persons of the news chemicals. Wrong relations of biomedical labels: 41 without, 5 with it.
RELATED = 0.4
#: Names at least this similar tell something, of the two labels or of a namesake that fits better. Where names always
#: count, known truth in Chinese falls from 0.75 to 0.68.
NAMESAKE = 0.5
#: Sources share forms if labels of at least this share of the mentions of either have some in the text of the other.
#: Across scripts one or two forms occur by chance, and an overlap of nothing would speak against equal labels.
SHARED = 0.5
#: What stands in, as a share of the rest, for names that tell nothing, and for an overlap of mentions where of two
#: labels with so many mentions none occurs in the text of the other source: that is no chance, but no proof either.
NEUTRAL, MENTIONS = 0.5, 50

_PARTS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
#: Longer names are compared by their beginnings: SequenceMatcher takes quadratic time.
_LONGEST = 200


class Measurements(Protocol):
    """What is measured of N labels: the fields of a similarity matrix, which hands on what is computed here."""

    @property
    def labels(self) -> Sequence[LabelRef]: ...
    @property
    def sources(self) -> Sequence[str]: ...
    @property
    def same_source(self) -> NDArray[np.bool_]: ...
    @property
    def support(self) -> NDArray[np.int64]: ...
    @property
    def matched(self) -> NDArray[np.int64]: ...
    @property
    def predicted(self) -> NDArray[np.int64]: ...
    @property
    def semantic(self) -> NDArray[np.float64]: ...
    @property
    def overlap(self) -> NDArray[np.float64]: ...


def agreed_share(matrix: Measurements, prior: float = PRIOR) -> NDArray[np.float64]:
    """Return how often the row's label is the column's where both taggers see an entity, in [0, 1], shape (N, N).

    The geometric mean of two shares: of the entities predicted as i on the text
    of j's source that are annotated there at all, those annotated as j; and of
    the gold mentions of i that the tagger of j's source finds, those it calls j.
    What a tagger overlooks, in a domain that is strange to it, plays no part.

    Args:
        matrix: the similarities.
        prior: entities that speak against a pair before any was seen.

    Returns:
        One of the shares where the other is unknown; NaN where both are.
    """
    return _share_against(matrix, np.ones(matrix.matched.shape), prior)


def exclusive_share(matrix: Measurements) -> NDArray[np.float64]:
    """Return :func:`agreed_share` where other labels count as far as they belong to the row's label.

    What goes from i to another label j' of j's source speaks against i = j only
    as much as j' goes to i: a part of i does, since then i is more than j; an
    unrelated label that a weak tagger confuses with i does not.

    Args:
        matrix: the similarities.

    Returns:
        In [0, 1], shape (N, N); NaN where nothing is known.
    """
    return _share_against(matrix, np.nan_to_num(agreed_share(matrix)), PRIOR)


def equivalence_of(matrix: Measurements) -> NDArray[np.float64]:
    """Return how sure it is that two labels mean the same, in [0, 1], shape (N, N), symmetric.

    The mean, weighted by :data:`WEIGHTS`, of the smaller of both directions of
    :func:`exclusive_share`, lowered where one label covers much more of the other
    than the reverse and where S_sem is hardly above 0; of the smaller of both directions of the overlap of
    mentions; and of the similarity of the names. Where a direction is unknown the
    other one judges; where no overlap is known the share stands in for it, half of
    it for labels of many mentions of sources that share forms, and where no share is
    known, S_sem. Overlap says nothing of sources that share hardly any form, as of
    two scripts. Names speak against a pair only if one of the two has a namesake in
    the other's source.

    Args:
        matrix: the similarities.

    Returns:
        NaN within a source and where nothing but the names is known.
    """
    exclusive = exclusive_share(matrix)
    share = np.fmin(exclusive, exclusive.T)
    share = np.where(np.isnan(share), np.clip(matrix.semantic, 0.0, 1.0), share)
    share = share * _balance(matrix) ** BALANCE * _alike(matrix)
    overlap = _telling_overlap(matrix)
    overlap = np.fmin(overlap, overlap.T)
    share, overlap = np.where(np.isnan(share), overlap, share), _overlap_or(share, overlap, matrix)
    seen = np.average([share, overlap], axis=0, weights=WEIGHTS[:2])
    result = np.average([seen, _names_or(seen, matrix)], axis=0, weights=(sum(WEIGHTS[:2]), WEIGHTS[2]))
    result[matrix.same_source] = np.nan
    return np.asarray(result, dtype=np.float64)


def coverage_of(matrix: Measurements) -> NDArray[np.float64]:
    """Return how much of the row's label the column's covers, in [0, 1], shape (N, N).

    The mean of what is known of four shares: of the entities predicted as the
    row's label on the column's text, those annotated as the column's (S_emp); of
    the row's gold mentions, those that the column's tagger predicts as the
    column's; :func:`agreed_share`; and the overlap of mentions. The first two see
    what one source annotates and the other does not. It is lowered where neither
    S_sem nor the overlap speaks for it: a tagger of chemicals takes the persons of
    other text for some.

    Args:
        matrix: the similarities.

    Returns:
        NaN within a source and where nothing is known.
    """
    parts = np.stack([*_overall_shares(matrix), agreed_share(matrix, 2 * PRIOR), _telling_overlap(matrix)])
    known = np.isfinite(parts)
    total = np.where(known, parts, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known.any(axis=0), total / known.sum(axis=0), np.nan)
    mean[matrix.same_source] = np.nan
    return np.asarray(mean * _related(matrix))


def _share_against(matrix: Measurements, weight: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    """Return the geometric mean of both shares of each pair, its rivals weighted.

    Args:
        matrix: the similarities.
        weight: shape (N, N); that of j' as a rival of j for i stands at [j', i].
        prior: entities that speak against each pair.
    """
    matched = matrix.matched.astype(np.float64)
    same = matrix.same_source.astype(np.float64)
    own, other = matched * weight.T, matched * weight
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted_as = np.where(matched @ same > 0, matched / (own @ same - own + matched + prior), np.nan)
        found_as = np.where(same @ matched > 0, matched / (same @ other - other + matched + prior), np.nan).T
    return _geometric_mean(predicted_as, found_as)


def _overall_shares(matrix: Measurements) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two shares of the row's label that see what one source annotates and the other does not.

    Of the entities predicted as it on the column's text, those annotated as the
    column's; and of its gold mentions, those that the column's tagger predicts so.
    """
    prior = 2 * PRIOR
    read = matrix.predicted.sum(axis=1) > 0
    support = matrix.support[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        empirical = np.where(matrix.predicted > 0, matrix.matched / (matrix.predicted + prior), np.nan)
    found = np.where((support > 0) & read[None, :], matrix.matched.T / (support + prior), np.nan)
    return empirical, found


def _balance(matrix: Measurements) -> NDArray[np.float64]:
    """Return the smaller coverage of two labels over the larger, in [0, 1]; 1 where that is unknown."""
    covers = _geometric_mean(*_overall_shares(matrix))
    with np.errstate(invalid="ignore", divide="ignore"):
        balance = np.fmin(covers, covers.T) / np.fmax(covers, covers.T)
    return np.where(np.isnan(balance), 1.0, balance)


def _alike(matrix: Measurements) -> NDArray[np.float64]:
    """Return S_sem over :data:`ALIKE` within [0, 1]; 1 where S_sem is unknown."""
    return np.where(np.isnan(matrix.semantic), 1.0, np.clip(matrix.semantic / ALIKE, 0.0, 1.0))


def _related(matrix: Measurements) -> NDArray[np.float64]:
    """Return the larger of S_sem and the overlap over :data:`RELATED` within [0, 1]; 1 where S_sem is unknown."""
    best = np.fmax(matrix.semantic, _telling_overlap(matrix))
    return np.where(np.isnan(matrix.semantic), 1.0, np.clip(best / RELATED, 0.0, 1.0))


def _overlap_or(
    share: NDArray[np.float64], overlap: NDArray[np.float64], matrix: Measurements
) -> NDArray[np.float64]:
    """Return the overlap of mentions; where it is unknown the share, or a part of it for labels of many mentions."""
    many = np.minimum(matrix.support[:, None], matrix.support[None, :]) >= MENTIONS
    return np.where(np.isnan(overlap), np.where(many & _share_forms(matrix), NEUTRAL, 1.0) * share, overlap)


def _telling_overlap(matrix: Measurements) -> NDArray[np.float64]:
    """Return the overlap of mentions, shape (N, N), unknown between sources that share hardly any form."""
    return np.where(_share_forms(matrix), matrix.overlap, np.nan)


def _share_forms(matrix: Measurements) -> NDArray[np.bool_]:
    """Tell for each pair of labels whether their sources share forms (:data:`SHARED`), shape (N, N), symmetric."""
    owner = np.array([matrix.sources.index(label.source) for label in matrix.labels], dtype=np.int64)
    of_source = np.eye(len(matrix.sources))[owner]
    found = np.isfinite(matrix.overlap) @ of_source > 0
    mentions = np.maximum(of_source.T @ matrix.support, 1)
    share = of_source.T @ (found * matrix.support[:, None]) / mentions[:, None]
    shared = np.minimum(share, share.T) >= SHARED
    return np.asarray(shared[np.ix_(owner, owner)], dtype=np.bool_)


def _names_or(seen: NDArray[np.float64], matrix: Measurements) -> NDArray[np.float64]:
    """Return the similarity of the names, at least a part of what is seen where neither label has a namesake."""
    names = name_similarities(matrix.labels)
    owners = np.array([label.source for label in matrix.labels])
    best = np.zeros_like(names)
    for source in matrix.sources:
        best[:, owners == source] = names[:, owners == source].max(axis=1, keepdims=True)
    telling = np.maximum(best, best.T) >= NAMESAKE
    return np.where(telling, names, np.fmax(names, NEUTRAL * seen))


def _geometric_mean(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the geometric mean, or the one that is known."""
    known: NDArray[np.float64] = np.where(np.isnan(one), other, one)
    return np.where(np.isnan(one) | np.isnan(other), known, np.sqrt(one * other))


def containment(covered: NDArray[np.float64], further: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which labels, or groups of equal ones, contain which: they cover them and are more than they.

    What covers another is more than it if the other covers far less of it, or if
    it covers a further label of the other's source: labels of one source exclude
    each other, so neither is all of what covers both.

    Args:
        covered: shape (N, N), how much of the row the column covers; NaN where unknown.
        further: shape (N, N), whether the column covers a further label of the row's source that is not equal to it.

    Returns:
        Whether the column contains the row, shape (N, N).
    """
    known = np.nan_to_num(covered)
    return np.asarray((known >= CONTAINS) & ((known >= LOPSIDED * known.T) | further))


def name_similarity(first: str, second: str) -> float:
    """Return how alike two names are, in [0, 1]: the better of their letters and of their words.

    Case, and what parts the words (``company_name``, ``companyName``), play no
    part; prefixes of one name count for what they share (``PER``, ``person``).
    """
    # SequenceMatcher is not symmetric.
    one, other = sorted((_words(first), _words(second)))
    if not one:
        return float(first == second)
    letters = difflib.SequenceMatcher(None, "".join(one), "".join(other), autojunk=False).ratio()
    words = len(set(one) & set(other)) / max(len(set(one) | set(other)), 1)
    return max(letters, words)


def name_similarities(labels: Sequence[LabelRef]) -> NDArray[np.float64]:
    """Return how alike the names of labels are, shape (labels, labels)."""
    names = sorted({label.label for label in labels})
    place = {name: index for index, name in enumerate(names)}
    values = np.eye(len(names))
    for i, one in enumerate(names):
        for j in range(i):
            values[i, j] = values[j, i] = name_similarity(one, names[j])
    rows = [place[label.label] for label in labels]
    return values[np.ix_(rows, rows)]


def _words(name: str) -> list[str]:
    return [part.casefold() for part in _PARTS.split(name[:_LONGEST]) if part]
