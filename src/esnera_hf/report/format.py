"""Figures and settings in words, the same on the console, in the page and in cards."""

from __future__ import annotations

from esnera_hf.metrics import Estimate
from esnera_hf.similarity.explanation import EQUAL
from esnera_hf.similarity.matrix import Agreement

_SYSTEMS = {
    "merged": "trained on the merged dataset",
    "unknown": "the same, told no source",
    "gold": "the same without pseudo-labels",
    "outside": "the same with O where a source does not annotate a label",
    "naive": "naive union: labels of the same name are one, types that a source does not annotate are O",
}


def figure(value: float | None, digits: int = 2) -> str:
    """Return a number, ``?`` where it is unknown, which is not 0."""
    # Adding 0 turns a rounded -0.0 into 0.0.
    return "?" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def interval(estimate: Estimate) -> str:
    """Return an estimate with its interval."""
    if estimate.value is None:
        return "–"
    return f"{figure(estimate.value, 3)} ({figure(estimate.low, 3)} to {figure(estimate.high, 3)})"


def sign(change: Estimate) -> str:
    """Return ``good`` or ``bad`` for a change whose interval excludes 0, else nothing."""
    if change.low is None or change.high is None or change.low <= 0 <= change.high:
        return ""
    return "good" if change.low > 0 else "bad"


def merge_setting(lam: float | None, tau: float) -> str:
    """Return what a step merged by; without λ that is the probability of being equal."""
    if lam is not None:
        return f"λ {lam}, τ {tau}"
    # Nothing is above 1, and three digits tell 0.998 from it.
    return f"merged above {EQUAL} = {tau:.3g}" if tau < 1 else "no two labels are probably equal"


def agreement(counts: Agreement | None, *, never: str = "?") -> str:
    """Return a share with its numerator and denominator, ``never`` where nothing was predicted."""
    if counts is None:
        return ""
    if not counts.predicted:
        return never
    return f"{counts.matched / counts.predicted:.2f} ({counts.matched:,} of {counts.predicted:,})"


def system_title(name: str, partial_likelihood: bool = False) -> str:
    """Return how a tagger of :attr:`MergeReport.systems` was trained."""
    title = _SYSTEMS.get(name, name)
    return f"{title}, on the likelihood of what each source says" if partial_likelihood else title
