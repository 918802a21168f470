"""Precision, recall, F1, ranking figures, and their intervals by bootstrap over label pairs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from esnera_hf.tagging import LabelRef

_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class F1:
    """Precision, recall and F1 of decisions, with the 95 % interval of F1."""

    precision: float
    recall: float
    f1: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.precision:.2f} | {self.recall:.2f} | **{self.f1:.2f}** | {self.low:.2f} – {self.high:.2f}"
        )


def f1_of(decided: np.ndarray, truth: np.ndarray, seed: int = 0) -> F1:
    """Score decisions, bool, shape (pairs,), against the truth."""
    precision, recall, f1 = _f1(decided, truth)
    low, high = interval(lambda rows: _f1(decided[rows], truth[rows])[2], len(truth), seed)
    return F1(precision, recall, f1, low, high)


def f1_only(decided: np.ndarray, truth: np.ndarray) -> float:
    """Return the F1 of decisions, without its interval."""
    return _f1(decided, truth)[2]


def f1_by_corpus(
    decided: np.ndarray, truth: np.ndarray, corpora: Sequence[frozenset[str]], seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of F1 by bootstrap over corpora; a pair counts by the draws of both."""
    names = sorted(frozenset().union(*corpora))
    ends = np.array([[names.index(name) for name in sorted(pair)] for pair in corpora])
    draws = np.random.default_rng(seed).multinomial(len(names), [1 / len(names)] * len(names), size=_DRAWS)
    times = draws[:, ends[:, 0]] * draws[:, ends[:, 1]]
    right, sums = times @ (decided & truth), times @ (decided.astype(np.int64) + truth)
    with np.errstate(invalid="ignore"):
        low, high = np.nanpercentile(2 * right / sums, [2.5, 97.5])
    return float(low), float(high)


def interval(figure: Callable[[np.ndarray], float], size: int, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of a figure of rows, by bootstrap."""
    generator = np.random.default_rng(seed)
    values = [figure(generator.integers(0, size, size)) for _ in range(_DRAWS)] if size else [np.nan]
    low, high = np.nanpercentile(values, [2.5, 97.5]) if not np.all(np.isnan(values)) else (np.nan, np.nan)
    return float(low), float(high)


def _f1(decided: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    right = int((decided & truth).sum())
    precision = right / max(int(decided.sum()), 1)
    recall = right / max(int(truth.sum()), 1)
    return precision, recall, 2 * right / max(int(decided.sum() + truth.sum()), 1)


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Sum precision over the steps of recall; equal scores are one step; unknown ones come last."""
    if not truth.any():
        return float("nan")
    known = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-known, kind="stable")
    ends = np.append(np.nonzero(known[order][1:] != known[order][:-1])[0], len(known) - 1)
    hits = np.cumsum(truth[order])[ends]
    return float((hits / (ends + 1) * np.diff(hits, prepend=0)).sum() / truth.sum())


def best_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the threshold with the best F1: a pair is decided equal where its score exceeds it."""
    values = np.unique(scores[~np.isnan(scores)])
    middles = np.concatenate([values[:1] - 1, (values[1:] + values[:-1]) / 2]) if len(values) else np.zeros(1)
    return float(max(middles, key=lambda t: (_f1(np.nan_to_num(scores, nan=-np.inf) > t, truth)[2], t)))


def held_out_decisions(scores: np.ndarray, truth: np.ndarray, groups: Sequence[object]) -> np.ndarray:
    """Decide each group of pairs at the threshold that is best on all other groups."""
    names = np.array([hash(group) for group in groups])
    decided = np.zeros(len(truth), dtype=bool)
    for name in np.unique(names):
        held = names == name
        threshold = best_threshold(scores[~held], truth[~held])
        decided[held] = np.nan_to_num(scores[held], nan=-np.inf) > threshold
    return decided


def ranking(scores: np.ndarray, truth: np.ndarray, queries: Sequence[object]) -> tuple[float, float]:
    """Return mean reciprocal rank and hits at 1 of the best equal partner, over the queries that have one."""
    rows: dict[object, list[int]] = {}
    for index, query in enumerate(queries):
        rows.setdefault(query, []).append(index)
    ranks = []
    known = np.nan_to_num(scores, nan=-np.inf)
    for indices in rows.values():
        if truth[indices].any():
            best = known[indices][truth[indices]].max()
            ranks.append(1 + int((known[indices] > best).sum() + (known[indices] == best).sum() - 1))
    if not ranks:
        return float("nan"), float("nan")
    return float(np.mean(1 / np.array(ranks))), float(np.mean(np.array(ranks) == 1))


def macro_f1(
    decided: Sequence[str], gold: Sequence[str], kinds: Sequence[str]
) -> tuple[float, dict[str, float]]:
    """Return the mean over kinds of the F1 of telling that kind, and each; kinds that the gold lacks are left out."""
    found, wanted = np.array(decided, dtype=object), np.array(gold, dtype=object)
    by_kind = {kind: _f1(found == kind, wanted == kind)[2] for kind in kinds if (wanted == kind).any()}
    return float(np.mean(list(by_kind.values()))) if by_kind else float("nan"), by_kind


def calibration(probabilities: np.ndarray, truth: np.ndarray, bins: int = 10) -> tuple[float, float]:
    """Return the expected calibration error over equally wide bins, and the slope of the truth on the log-odds.

    A slope of 1 is right, below 1 the probabilities are too extreme.
    """
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    error = 0.0
    for number in np.unique(place):
        inside = place == number
        error += abs(probabilities[inside].mean() - truth[inside].mean()) * inside.mean()
    if truth.all() or not truth.any():
        return float(error), float("nan")
    odds = np.log(np.clip(probabilities, 1e-6, 1 - 1e-6) / (1 - np.clip(probabilities, 1e-6, 1 - 1e-6)))
    model = LogisticRegression(C=np.inf, max_iter=1000).fit(odds[:, None], truth)
    return float(error), float(model.coef_[0, 0])


def b_cubed(
    classes: Mapping[LabelRef, Hashable], truth: Mapping[LabelRef, Hashable]
) -> tuple[float, float, float]:
    """Return B-cubed precision, recall and F1 of a division of labels into classes.

    Precision of a label is the share of those in its class that are truly in one with
    it, recall the share of those that truly are which it is in a class with; both count
    the label itself, and are averaged over labels (Bagga and Baldwin, 1998). Labels
    that the truth does not list are left out.

    Args:
        classes: of at least the labels of the truth.
        truth: the true class of each label.
    """
    if not truth:
        return float("nan"), float("nan"), float("nan")
    found, true = ([table[label] for label in truth] for table in (classes, truth))
    one = np.array([[a == b for b in found] for a in found])
    other = np.array([[a == b for b in true] for a in true])
    both = (one & other).sum(axis=1)
    precision, recall = float((both / one.sum(axis=1)).mean()), float((both / other.sum(axis=1)).mean())
    return precision, recall, 2 * precision * recall / (precision + recall)
