"""What is measured of two labels, as the few numbers that the probability of their relation is computed from.

The method's S_emp(Ls, Lt) looks one way: ``politician`` goes to ``person`` with a
high share, and nothing says that ``person`` means more. Here each kind of
evidence is read in both directions. A value tells little by itself, as how high it
gets depends on the corpora: so there are also *margins*, how far a value lies above
that of the best rival, another label of the same source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from esnera_hf.similarity.names import (
    are_listed,
    by_pair,
    is_kind_of,
    meaning_similarity,
    name_similarity,
    split_off,
)
from esnera_hf.tagging import LabelRef

#: What stands for a share before anything is counted: so many entities, of which this part agrees.
PRIOR, PRIOR_SHARE = 2.0, 0.15
#: The same of forms: that hardly any of hundreds that occur is annotated alike says that labels are not equal, that
#: none of five is says nothing. Without it a label of chemicals and one of genes, which heads confuse, become one.
PRIOR_FORMS, PRIOR_OVERLAP = 40.0, 0.3
#: Coverage counts less where both S_sem and the overlap of mentions are below this: a head of chemicals calls the
#: persons of the news chemicals. Wrong relations of biomedical labels: 41 without, 5 with it.
RELATED = 0.4
#: Sources share forms if labels of at least this share of the mentions of either have some in the text of the other.
#: Across scripts one or two forms occur by chance, and an overlap of nothing would speak against equal labels.
SHARED = 0.5
#: A head that finds less than this of its own label is not trusted to find as much of another: what it finds there is
#: divided by no less.
_LEAST_RECALL = 0.1
#: Mentions that heads find of the rarer label after which what they tell counts half. Heads that find none of their own
#: label would else speak against all that its name and its forms say.
MEASURED = 2.0
#: How much heads count that have read one of two texts, as the other is elsewhere.
ONE_SIDED = 0.7
#: Sources of fewer labels count as of so many. Heads of genes alone and of chemicals alone take everything for theirs:
#: by their number alone six pairs of unlike labels of such sources would be merged, left out of the fit, not two.
FEW_LABELS = 4
#: What the names of features end in that count where bundles have noise alone.
BESIDE_NOISE = " beside noise"
#: Keeps logarithms of shares finite: differences of shares below it tell nothing.
_SMALL = 0.02


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
    def read(self) -> NDArray[np.int64]: ...
    @property
    def recall(self) -> NDArray[np.float64]: ...
    @property
    def reliability(self) -> NDArray[np.float64]: ...
    @property
    def matched(self) -> NDArray[np.int64]: ...
    @property
    def predicted(self) -> NDArray[np.int64]: ...
    @property
    def semantic(self) -> NDArray[np.float64]: ...
    @property
    def overlap(self) -> NDArray[np.float64]: ...
    @property
    def occurring(self) -> NDArray[np.int64]: ...
    @property
    def shared(self) -> NDArray[np.int64]: ...
    @property
    def shared_same(self) -> NDArray[np.int64]: ...


def equality_features(matrix: Measurements) -> dict[str, NDArray[np.float64]]:
    """Return what speaks for two labels being equal, each of shape (N, N) and symmetric.

    ``share``, ``forms`` and ``vectors`` are, each in the worse of both directions, the
    agreed share, the overlap of mentions and S_sem; ``forms unknown`` is 1 where nothing
    is known of the forms, as of two scripts; ``balance`` is low where one label covers
    much more of the other than the reverse; ``spill`` is high where one label also covers
    another label of the other's source; the margins are over the best rival, in the worse
    direction; ``unmeasured`` is near 1 where heads find too few mentions to tell anything,
    and what they tell counts as much less; ``labels`` is the logarithm of the number of
    labels of the source that has more: a label has at most one equal partner there, so
    the more there are, the less probable each is; from :data:`FEW_LABELS` on.

    ``noise`` is the share of noise in what bundles tell of the two, by which heads count
    less; names and forms come a second time in proportion to it, as more rests on them.

    The rest is :func:`name_features`.
    """
    share = agreed_share(matrix)
    share = np.minimum(share, share.T)
    overlap = telling_overlap(matrix)
    unknown = np.isnan(overlap) | np.isnan(overlap.T)
    agreeing = np.nan_to_num(overlap) * (matrix.occurring + 1)  # the overlap is scaled by n / (n + 1)
    forms = (agreeing + PRIOR_FORMS * PRIOR_OVERLAP) / (matrix.occurring + PRIOR_FORMS)
    forms = np.minimum(forms, forms.T)
    vectors = np.nan_to_num(matrix.semantic)
    recovered = found_share(matrix)
    measured = _measured(matrix)
    spill = np.nan_to_num(best_rival(np.nan_to_num(overlap).T, matrix.same_source).T)
    # Labels that a source names and never uses are no partners.
    labels = np.maximum((matrix.same_source & (matrix.support > 0)).sum(axis=1), FEW_LABELS)
    noise = 1.0 - np.multiply.outer(matrix.reliability, matrix.reliability)
    beside_heads = {
        "forms": np.where(unknown, 0.0, _logit(forms)),
        "forms unknown": unknown.astype(np.float64),
        "forms margin": np.where(unknown, 0.0, _margin(forms, matrix.same_source)),
        **name_features(matrix.labels),
    }
    return {
        "share": measured * _logit(share),
        "vectors": vectors,
        "balance": measured * np.log(_balance(matrix) + _SMALL),
        "spill": _logit(np.maximum(spill, spill.T)),
        "share margin": measured * _margin(share, matrix.same_source),
        "vectors margin": _margin(np.clip(vectors, 0.0, 1.0), matrix.same_source),
        "found margin": measured * _margin(np.minimum(recovered, recovered.T), matrix.same_source),
        "unmeasured": 1.0 - measured,
        "labels": np.log(np.maximum.outer(labels, labels)),
        "noise": noise,
        **beside_heads,
        **{f"{name}{BESIDE_NOISE}": noise * values for name, values in beside_heads.items()},
    }


def name_features(labels: Sequence[LabelRef]) -> dict[str, NDArray[np.float64]]:
    """Return what the names alone say for two labels being equal, each of shape (N, N) and symmetric.

    ``listed`` is 1 where it is known what both names mean, and ``meaning`` is then how
    alike that is; ``letters`` is how alike they are written where it is not known;
    ``split off`` is 1 where the names mean the same, but one source has a kind of it as
    another label and the other source has not.
    """
    listed = are_listed(labels)
    apart = split_off(labels)
    return {
        "letters": np.where(listed, 0.0, by_pair(name_similarity, labels)),
        "listed": listed.astype(np.float64),
        "meaning": np.where(listed, by_pair(meaning_similarity, labels), 0.0),
        "split off": np.maximum(apart, apart.T),
    }


def relation_features(matrix: Measurements) -> dict[str, NDArray[np.float64]]:
    """Return what tells how the row's label relates to an unequal label of the column, each of shape (N, N).

    ``found`` is how much of the row's label the column's head finds, ``predicted``
    how much of what the row's head predicts on the column's text is the column's
    label, ``forms`` the overlap of mentions, ``sibling`` how far ``found`` lies above
    what the column's head finds of the other labels of the row's source: heads of
    narrow corpora call everything theirs. ``kind`` is 1 where the row's name means a kind
    of what the column's means, ``split off`` where both mean the same and the row's source
    alone has a kind of it as another label. Each comes a second time as the reverse, and
    ``both split off`` is 1 where each source has a kind as another label which the other has not.
    """
    recovered = found_share(matrix)
    reads = head_reads(matrix)
    predicted = (matrix.matched + 0.05 * PRIOR) / (matrix.predicted + PRIOR)
    predicted = np.where(reads.T & ~reads, recovered, predicted)
    forms = np.nan_to_num(telling_overlap(matrix))
    sibling = np.log((recovered + _SMALL) / (best_rival(recovered.T, matrix.same_source).T + _SMALL))
    sibling = np.nan_to_num(sibling)
    apart = split_off(matrix.labels)
    directed = {
        "found": _logit(recovered),
        "predicted": _logit(predicted),
        "forms": _logit(forms),
        "sibling": sibling,
        "kind": by_pair(is_kind_of, matrix.labels),
        "split off": apart * (1.0 - apart.T),
    }
    reverse = {f"{name}, reverse": values.T for name, values in directed.items()}
    both = {
        "both split off": apart * apart.T,
        "vectors": np.nan_to_num(matrix.semantic),
        "names": by_pair(name_similarity, matrix.labels),
        "meaning": by_pair(meaning_similarity, matrix.labels),
    }
    return {**directed, **reverse, **both}


def agreed_share(matrix: Measurements) -> NDArray[np.float64]:
    """Return how often the row's label is the column's where both sources see an entity, in [0, 1], shape (N, N).

    The geometric mean of two shares: of the entities predicted as i on the text
    of j's source that are annotated there at all, those annotated as j; and of
    the gold mentions of i that the head of j's source finds, those it calls j.
    What a head overlooks, in a domain that is strange to it, plays no part. Both
    say how much of i is j: where heads read one of the texts alone, one share does.
    """
    matched = matrix.matched.astype(np.float64)
    same = matrix.same_source.astype(np.float64)
    agreeing = matched + PRIOR * PRIOR_SHARE
    predicted_as = agreeing / (matched @ same + PRIOR)
    found_as = (agreeing / (same @ matched + PRIOR)).T
    reads = head_reads(matrix)
    one = np.where(reads, predicted_as, found_as)
    return np.where(reads == reads.T, np.sqrt(predicted_as * found_as), one)


def never_found(matrix: Measurements) -> NDArray[np.bool_]:
    """Tell pairs of labels of which heads find neither in the text of the other, and which share no form, shape (N, N).

    Not those of which no head read any text, as of two bundles without answers.
    """
    reads = head_reads(matrix)
    shared = (matrix.predicted > 0) | (np.nan_to_num(matrix.overlap) > 0)
    return (reads | reads.T) & ~(shared | shared.T)


def head_reads(matrix: Measurements) -> NDArray[np.bool_]:
    """Return where the head of the row's source has read the text of the column's, shape (N, N).

    It has not where that text is elsewhere, and it tells nothing where it predicts nothing at all.
    """
    owner = np.array([matrix.sources.index(label.source) for label in matrix.labels], dtype=np.int64)
    of_source = np.eye(len(matrix.sources))[owner]
    read = of_source.T @ matrix.predicted @ of_source > 0
    return np.asarray(read[np.ix_(owner, owner)])


def found_share(matrix: Measurements) -> NDArray[np.float64]:
    """Return how much of the row's label the column's head finds, over what it finds of its own, shape (N, N).

    The share of a part that a head finds is bounded by its recall on the label it was
    fitted on. Where that is unknown it is taken to be 1. Where that head has not read
    the row's text, what the row's head predicts on the column's says as much of the row.
    """
    share = (matrix.matched.T + PRIOR * PRIOR_SHARE) / (matrix.read[:, None] + PRIOR)
    recall = np.maximum(np.nan_to_num(matrix.recall, nan=1.0), _LEAST_RECALL)
    recovered = np.clip(share / recall[None, :], 0.0, 1.0)
    reads = head_reads(matrix)
    predicted = (matrix.matched + PRIOR * PRIOR_SHARE) / (matrix.predicted + PRIOR)
    return np.where(reads & ~reads.T, predicted, recovered)


def coverage_of(matrix: Measurements) -> NDArray[np.float64]:
    """Return how much of the row's label the column's covers, in [0, 1], shape (N, N).

    The mean of what is known of four shares: of the entities predicted as the
    row's label on the column's text, those annotated as the column's (S_emp);
    :func:`found_share`; :func:`agreed_share`; and the overlap of mentions. It is
    lowered where neither S_sem nor the overlap speaks for it.

    Returns:
        NaN within a source and where nothing is known.
    """
    reads = head_reads(matrix)
    counted = (matrix.predicted.sum(axis=1) > 0)[None, :] & (matrix.read > 0)[:, None] & (reads | reads.T)
    with np.errstate(invalid="ignore", divide="ignore"):
        empirical = np.where(matrix.predicted > 0, matrix.matched / (matrix.predicted + PRIOR), np.nan)
    overlap = telling_overlap(matrix)
    shares = [np.where(counted, share, np.nan) for share in (found_share(matrix), agreed_share(matrix))]
    parts = np.stack([empirical, *shares, overlap])
    finite = np.isfinite(parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite, parts, 0.0).sum(axis=0) / finite.sum(axis=0)
    best = np.fmax(matrix.semantic, overlap)
    related = np.where(np.isnan(matrix.semantic), 1.0, np.clip(best / RELATED, 0.0, 1.0))
    return np.where(matrix.same_source, np.nan, mean * related)


def telling_overlap(matrix: Measurements) -> NDArray[np.float64]:
    """Return the overlap of mentions, shape (N, N), unknown between sources that share hardly any form."""
    owner = np.array([matrix.sources.index(label.source) for label in matrix.labels], dtype=np.int64)
    of_source = np.eye(len(matrix.sources))[owner]
    occurring = np.isfinite(matrix.overlap) @ of_source > 0
    mentions = np.maximum(of_source.T @ matrix.support, 1)
    share = of_source.T @ (occurring * matrix.support[:, None]) / mentions[:, None]
    shared = np.minimum(share, share.T) >= SHARED
    return np.where(shared[np.ix_(owner, owner)], matrix.overlap, np.nan)


def _measured(matrix: Measurements) -> NDArray[np.float64]:
    """Return how much what heads tell of two labels counts, in [0, 1), by the mentions found of the rarer one.

    Where they have read one of the two texts it counts :data:`ONE_SIDED` of that, and nothing where they read none; of
    bundles with noise it counts as far as they are reliable.
    """
    detected = matrix.read * np.nan_to_num(matrix.recall, nan=1.0)
    rarer = np.minimum(detected[:, None], detected[None, :])
    reads = head_reads(matrix)
    sides = np.where(reads & reads.T, 1.0, np.where(reads | reads.T, ONE_SIDED, 0.0))
    reliable = np.multiply.outer(matrix.reliability, matrix.reliability)
    return np.asarray(reliable * sides * rarer / (rarer + MEASURED))


def _balance(matrix: Measurements) -> NDArray[np.float64]:
    """Return the smaller coverage of two labels over the larger, in [0, 1]; 1 where that is unknown."""
    read = matrix.predicted.sum(axis=1) > 0
    reads = head_reads(matrix)
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted = np.where(matrix.predicted > 0, matrix.matched / (matrix.predicted + PRIOR), np.nan)
        recall = np.where(
            (matrix.read > 0)[:, None] & read[None, :] & reads.T,
            matrix.matched.T / (matrix.read[:, None] + PRIOR),
            np.nan,
        )
        covers = np.where(
            np.isnan(predicted), recall, np.where(np.isnan(recall), predicted, np.sqrt(predicted * recall))
        )
        balance = np.fmin(covers, covers.T) / np.fmax(covers, covers.T)
    return np.where(np.isnan(balance), 1.0, balance)


def _margin(values: NDArray[np.float64], same_source: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the log ratio of each value to that of its best rival, in the worse direction; 0 where there is none."""
    margin = np.log((np.maximum(values, 0.0) + 0.05) / (best_rival(values, same_source) + 0.05))
    return np.nan_to_num(np.fmin(margin, margin.T))


def best_rival(values: NDArray[np.float64], same_source: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the largest value of the row at another label of the column's source, shape (N, N).

    NaN where the source has no other label, and not below 0.
    """
    rivals = np.full(values.shape, np.nan)
    for columns in map(np.flatnonzero, np.unique(same_source, axis=0)):
        if len(columns) > 1:
            block = values[:, columns]
            best = block.argmax(axis=1)[:, None]
            first = np.take_along_axis(block, best, axis=1)
            rest = block.copy()
            np.put_along_axis(rest, best, -np.inf, axis=1)
            second = rest.max(axis=1, keepdims=True)
            rivals[:, columns] = np.where(np.arange(len(columns))[None, :] == best, second, first)
    return np.asarray(np.maximum(rivals, 0.0))


def _logit(share: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.clip(share, 0.0, 1.0)
    return np.asarray(np.log((share + _SMALL) / (1.0 - share + _SMALL)))
