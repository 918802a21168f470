"""Why two labels are taken to be one, part and whole, or neither: the parts of the probability, and a sentence.

One account for console, page, ``mapping.yaml`` and cards. The log-odds of being equal
are a sum: those of a pair of which nothing is known, and what each kind of evidence
adds. From the numbers of a :class:`PairEvidence` the probability can be worked out again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.text import counted
from esnera_hf.similarity.features import PRIOR_SHARE, equality_features, telling_overlap
from esnera_hf.similarity.matrix import Agreement, SimilarityMatrix
from esnera_hf.similarity.probability import coefficients_for, pair_probabilities, unshifted_probabilities
from esnera_hf.sources.shared_sentences import relation_likelihoods
from esnera_hf.tagging import LabelRef

T = TypeVar("T")

#: What two labels became: one label, the first a part of the other, its whole, or apart.
Decision = Literal["one", "part", "whole", "apart"]
#: What the probabilities that two labels mean the same, and that one is a part of the other, are called.
EQUAL, PART = "P(equal)", "P(part)"
#: The kinds of evidence, and what they are called.
PARTS = {
    "agreement": "predictions on each other's text",
    "forms": "mentions in common",
    "names": "names",
    "vectors": "closeness of the mentions",
    "shared": "sentences that both annotate",
    "base": "how many pairs here are equal",
    "partners": "labels that are one with either",
}
#: The kind of each feature, by the first word of its name; the rest belongs to the start.
_KINDS = {
    **{
        "share": "agreement",
        "found": "agreement",
        "balance": "agreement",
        "forms": "forms",
        "spill": "forms",
    },
    **dict.fromkeys(("unmeasured", "noise"), "agreement"),
    **dict.fromkeys(("letters", "listed", "meaning", "split"), "names"),
    "vectors": "vectors",
}
#: Log-odds from which a part is worth a word: they change a probability of one half by seven points.
_TELLING = 0.3
#: Fewer mentions than this are a weak point of any decision.
_FEW = 30
#: From here names are called alike, or still to have something in common.
_ALIKE, _COMMON = 0.6, 0.3
#: Forms of which at least so many agree speak against equal labels only by being few.
_FEW_AGREE = 0.5
#: How alike the names of labels are that have nothing to do with each other: the median of 20,308 pairs.
_UNRELATED_NAMES = 0.2
#: S_sem from which mentions are said to lie close, whatever other labels do.
_CLOSE = 0.4
#: Digits of log-odds, so that their rounded sum gives the probability to its two shown digits.
_DIGITS = 3
_NOT_COUNTED = Agreement(0, 0)
_CERTAIN = 1e-6


@dataclass(frozen=True, repr=False)
class PairEvidence:
    """What is known of two labels of different sources, and what each kind of it adds to their being equal.

    Attributes:
        one, other: the labels.
        probabilities: of the first being equal to the other, a part of it, its whole, overlapping it, and unrelated.
        mentions: in the train splits, of the first and of the other.
        start: the log-odds of being equal of a pair of which nothing is known.
        parts: what each kind of evidence adds, by the keys of :data:`PARTS`; with ``start`` they add up to the
            log-odds of being equal.
        forward, backward: of what is predicted as the one on the other's text, how much is annotated as the other.
        annotated: of these two numbers of predictions, how many are annotated there as anything at all.
        own_recall: how much of the first, and of the other, its own head finds in its own text: what the other's
            head could find at best.
        forms: how many forms of the mentions of the one occur in the other's text, and the reverse.
        form_shares: how much of these is annotated as the other label there; ``None`` where that tells nothing.
        names: how alike the names are in what they mean, or where that is not known in their letters, from 0 to 1.
        semantic: how close the mentions lie, from -1 to 1.
        shared: mentions of the first, and of the other, in sentences that both sources annotate, and how many of
            them are both.
    """

    one: LabelRef
    other: LabelRef
    probabilities: tuple[float, float, float, float, float]
    mentions: tuple[int, int]
    start: float
    parts: dict[str, float] = field(default_factory=dict)
    forward: Agreement = _NOT_COUNTED
    backward: Agreement = _NOT_COUNTED
    annotated: tuple[int, int] = (0, 0)
    own_recall: tuple[float | None, float | None] = (None, None)
    forms: tuple[int, int] = (0, 0)
    form_shares: tuple[float | None, float | None] = (None, None)
    names: float = 0.0
    semantic: float | None = None
    shared: tuple[int, int, int] = (0, 0, 0)

    @property
    def equal(self) -> float:
        """How probable it is that the labels mean the same."""
        return self.probabilities[0]

    def seen_from(self, label: LabelRef) -> PairEvidence:
        """Return the same with one of the two labels as the first."""
        if label == self.one:
            return self
        equal, part, whole, overlap, none = self.probabilities
        first, second, both = self.shared
        return replace(
            self,
            one=self.other,
            other=self.one,
            probabilities=(equal, whole, part, overlap, none),
            mentions=_swapped(self.mentions),
            forward=self.backward,
            backward=self.forward,
            annotated=_swapped(self.annotated),
            own_recall=_swapped(self.own_recall),
            forms=_swapped(self.forms),
            form_shares=_swapped(self.form_shares),
            shared=(second, first, both),
        )

    def __repr__(self) -> str:
        return f"PairEvidence({self.one}, {self.other}, {EQUAL} {self.equal:.2f})"

    def sentence(self, decision: Decision, threshold: float | None = None, *, brief: bool = False) -> str:
        """Return in one sentence what a decision rests on, and its weak point or what speaks against it last.

        Args:
            decision: what the labels became.
            threshold: the probability above which labels are taken to be equal, if that is known.
            brief: name only what weighs most.
        """
        said = f"{EQUAL} {self.equal:.2f}"
        if decision in ("part", "whole"):
            part = self.probabilities[1 if decision == "part" else 2]
            return f"{PART} {part:.2f}, {said}: {self._one_way(decision, brief) or 'nothing was counted'}"
        helping, harming = self._told(1), self._told(-1)
        if threshold is not None and (self.equal > threshold) != (decision == "one"):
            said += ", decided by other labels or as asked for"
        if decision == "one":
            few = min(self.mentions)
            weak = [*harming[:1], *([f"{counted(few, 'mention')} only"] if few < _FEW else [])]
            said += f": {_listed(helping[: 1 if brief else 3]) or 'little speaks for it'}"
            return said + (f"; the weak point: {_listed(weak)}" if weak and not brief else "")
        if not harming:
            return f"{said}: {'all that speaks for it is that' if helping else 'nothing speaks for it'}" + (
                f" {_listed(helping[: 1 if brief else 2])}" if helping else ""
            )
        for_it = f"; for it speaks that {helping[0]}" if helping and not brief else ""
        return f"{said}: {_listed(harming[: 1 if brief else 2])}{for_it}"

    def _told(self, sign: int) -> list[str]:
        """Return what speaks for being equal (sign 1) or against it (-1), in words, what weighs most first."""
        ranked = sorted(self.parts.items(), key=lambda part: -sign * part[1])
        first, second, both = self.shared
        words = {
            "agreement": self._predictions(sign),
            "forms": self._forms(sign),
            "names": self._names() if (self.names >= _COMMON) == (sign > 0) else "",
            "vectors": "" if self.semantic is None else self._closeness(sign),
            "shared": f"in sentences that both annotate, {both:,} of {first:,} and of {second:,} mentions bear both "
            "labels",
            "partners": self._partners(sign),
        }
        return [words[name] for name, value in ranked if sign * value >= _TELLING and words.get(name)]

    def _partners(self, sign: int) -> str:
        # A mean with what is a little less sure is no word against it.
        if (self.equal >= 0.5) != (sign > 0):
            return ""
        return f"labels that are one with either speak {'for' if sign > 0 else 'against'} it"

    def _predictions(self, sign: int) -> str:
        ways = self._agreements()
        # Above the share of a pair of which nothing is known it counts for little, in words for nothing.
        if sign > 0 and max((share for share, _ in ways), default=0.0) <= PRIOR_SHARE:
            return ""
        return _both_ways(ways, "predictions")

    def _forms(self, sign: int) -> str:
        ways = self._form_agreements()
        if sign < 0 and ways and min(share for share, _ in ways) >= _FEW_AGREE:
            return f"few mentions in common ({', '.join(count for _, count in ways)})"
        if sign > 0 and max((share for share, _ in ways), default=0.0) <= PRIOR_SHARE:
            return ""
        return _both_ways(ways, "mentions in common")

    def _agreements(self) -> list[tuple[float, str]]:
        ways = (way for way in (self.forward, self.backward) if way.predicted)
        return [(way.matched / way.predicted, f"{way.matched:,} of {way.predicted:,}") for way in ways]

    def _form_agreements(self) -> list[tuple[float, str]]:
        ways = zip(self.form_shares, self.forms, strict=True)
        return [(share, counted(count, "form")) for share, count in ways if share is not None]

    def _names(self) -> str:
        if self.names == 1:
            same = self.one.label.casefold() == self.other.label.casefold()
            return "the names match" if same else "the names mean the same"
        if not self.names:
            return "the names have nothing in common"
        degree = (
            "alike" if self.names >= _ALIKE else "a little alike" if self.names >= _COMMON else "not alike"
        )
        return f"the names are {degree} ({self.names:.2f})"

    def _closeness(self, sign: int) -> str:
        close = (self.semantic or 0.0) >= _CLOSE
        where = "the mentions lie close" if close else "the mentions lie closer than those of other labels"
        return f"{where if sign > 0 else 'mentions of other labels lie closer'} ({self.semantic:.2f})"

    def _one_way(self, decision: Decision, brief: bool) -> str:
        """Return what says that one is a part of the other: a high share one way, a low one the other way."""
        order = 1 if decision == "part" else -1
        facts = []
        ways = (self.forward, self.backward)[::order]
        there, back = (f"{way.matched:,} of {way.predicted:,}" if way.predicted else "" for way in ways)
        if there:
            facts.append(
                f"{there} predictions of the part are the whole there"
                + f", {back} the other way" * bool(back)
            )
        elif back:
            facts.append(f"{back} predictions of the whole are the part there")
        shares = [_percent(share) for share in self.form_shares[::order] if share is not None]
        if len(shares) == 2:
            facts.append(f"{shares[0]} of mentions in common are the whole there, {shares[1]} the other way")
        part, whole = self.shared[:2][::order]
        if part and whole:
            both = f"{self.shared[2]:,} of {part:,} and of {whole:,}"
            facts.append(f"in sentences that both annotate, {both} are both")
        return _listed(facts[:1] if brief else facts)


def explain_pairs(
    matrix: SimilarityMatrix, pairs: Iterable[tuple[LabelRef, LabelRef]]
) -> tuple[PairEvidence, ...]:
    """Return what is known of pairs of labels of different sources, once for each pair in either order.

    Args:
        matrix: the similarities.
        pairs: of its labels.
    """
    wanted: dict[frozenset[LabelRef], tuple[LabelRef, LabelRef]] = {}
    for pair in pairs:
        wanted.setdefault(frozenset(pair), pair)
    if not wanted:
        return ()
    fitted = coefficients_for(matrix)
    features, weights, nothing = equality_features(matrix), fitted["equal"], _of_nothing()
    before, alone = unshifted_probabilities(matrix, fitted), pair_probabilities(matrix, fitted)
    annotated = matrix.matched @ matrix.same_source.astype(np.int64)
    overlap = telling_overlap(matrix)
    explained = []
    for one, other in wanted.values():
        i, j = matrix.index[one], matrix.index[other]
        start, parts = weights["bias"], dict.fromkeys(PARTS, 0.0)
        for name, values in features.items():
            kind = _KINDS.get(name.split()[0])
            value = float(values[i, j])
            start += weights[name] * (value if kind is None else nothing[name])
            if kind is not None:
                parts[kind] += weights[name] * (value - nothing[name])
        shared = int(matrix.shared[i, j]), int(matrix.shared[j, i]), int(matrix.shared_same[i, j])
        parts["shared"] = _shared_part(before[i, j], shared)
        final = matrix.probabilities[i, j]
        parts["base"] = _log_odds(float(alone[i, j, 0])) - start - sum(parts.values())
        parts["partners"] = _log_odds(float(final[0])) - start - sum(parts.values())
        semantic, forward, backward = matrix.pair(one, other)
        cells = (i, j), (j, i)
        explained.append(
            PairEvidence(
                *(one, other, tuple(round(float(value), 4) for value in final)),  # type: ignore[arg-type]
                mentions=(int(matrix.support[i]), int(matrix.support[j])),
                start=round(start, _DIGITS),
                parts={name: round(value, _DIGITS) + 0.0 for name, value in parts.items()},
                forward=forward,
                backward=backward,
                annotated=(int(annotated[i, j]), int(annotated[j, i])),
                own_recall=(_rounded(matrix.recall[i]), _rounded(matrix.recall[j])),
                forms=(int(matrix.occurring[i, j]), int(matrix.occurring[j, i])),
                form_shares=tuple(_form_share(overlap[c], matrix.occurring[c]) for c in cells),  # type: ignore[arg-type]
                names=round(float(features["meaning"][i, j] + features["letters"][i, j]), 4),
                semantic=_rounded(np.nan if semantic is None else semantic),
                shared=shared,
            )
        )
    return tuple(explained)


def score_sentence(
    similarity: float | None, semantic: float | None, ways: Agreement | None, lam: float
) -> str:
    """Return how S is made of the semantic and the empirical similarity, for what is merged by the greedy method."""
    if similarity is None:
        return "S unknown"
    if ways is None or not ways.predicted or semantic is None:
        what = "semantic" if semantic is not None else "empirical"
        return f"S {similarity:.2f}, the {what} similarity alone: the other one is unknown"
    return (
        f"S {similarity:.2f} = {1 - lam:g} × semantic {semantic:.2f} + {lam:g} × empirical "
        f"{ways.matched / ways.predicted:.2f} ({ways.matched:,} of {ways.predicted:,})"
    )


@lru_cache(maxsize=1)
def _of_nothing() -> Mapping[str, float]:
    """Return the features of two labels of which nothing is known, with the names of any two."""
    labels = (LabelRef("a", "q"), LabelRef("a", "w"), LabelRef("b", "k"), LabelRef("b", "z"))
    none = np.zeros((4, 4), dtype=np.int64)
    matrix = SimilarityMatrix(labels, np.zeros(4, dtype=np.int64), none, none, np.full((4, 4), np.nan))
    values = {name: float(values[0, 2]) for name, values in equality_features(matrix).items()}
    return {**values, "letters": _UNRELATED_NAMES}


def _shared_part(probabilities: NDArray[np.float64], shared: tuple[int, int, int]) -> float:
    """Return what sentences that both annotate add to the log-odds, by Bayes' rule."""
    first, second, both = map(np.array, shared)
    if not (first and second):
        return 0.0
    after = probabilities * relation_likelihoods(both[None], (first - both)[None], (second - both)[None])[0]
    return _log_odds(float(after[0] / after.sum())) - _log_odds(float(probabilities[0]))


def _form_share(overlap: float, occurring: int) -> float | None:
    # The overlap is scaled by n / (n + 1).
    return (
        None if np.isnan(overlap) or not occurring else round(float(overlap * (occurring + 1) / occurring), 4)
    )


def _log_odds(probability: float) -> float:
    probability = min(max(probability, _CERTAIN), 1 - _CERTAIN)
    return math.log(probability / (1 - probability))


def _swapped(both: tuple[T, T]) -> tuple[T, T]:
    first, second = both
    return second, first


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _both_ways(ways: list[tuple[float, str]], what: str) -> str:
    if not ways:
        return ""
    shares = list(dict.fromkeys(_percent(share) for share, _ in ways))
    counts = ", ".join(count for _, count in ways)
    way = " both ways" if len(ways) == 2 and len(shares) == 1 else "" if len(ways) == 2 else " one way"
    return f"{' and '.join(shares)} of {what} agree{way} ({counts})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + parts[-1] if parts else ""
