"""Numbers as reports and cards write them; what is not known is ``?``, and never 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def figure(value: float | None, digits: int = 2) -> str:
    """Return a number, ``?`` where it is not known."""
    # Adding 0 turns a rounded -0.0 into 0.0.
    return "?" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def merge_setting(lam: float | None, tau: float) -> str:
    """Return what a stage was merged with; without λ that is similarity in both directions."""
    return f"similarity in both directions above {tau:g}" if lam is None else f"λ {lam}, τ {tau}"


def agreement(counts: Mapping[str, int] | None, *, never: str = "?") -> str:
    """Return a share with its numerator and denominator.

    Args:
        counts: ``matched`` and ``predicted``.
        never: what to write where nothing was predicted.
    """
    if counts is None:
        return ""
    if not counts["predicted"]:
        return never
    return f"{counts['matched'] / counts['predicted']:.2f} ({counts['matched']:,} of {counts['predicted']:,})"


_TITLES = {
    "merged": "trained on the merged dataset",
    "gold": "the same without pseudo-labels",
    "outside": "the same with O where a source does not annotate a label",
    "naive": "naive union: labels of the same name are one, types that a source does not annotate are O",
}
PARTIAL = "of what each source says"


def system_title(name: str, settings: Mapping[str, Any]) -> str:
    """Say how a tagger was trained.

    Args:
        name: of the system, as in ``Report.systems``.
        settings: of the report.
    """
    title = _TITLES.get(name, name)
    return f"{title}, on the likelihood {PARTIAL}" if name == "merged" and is_partial(settings) else title


def is_partial(settings: Mapping[str, Any]) -> bool:
    """Whether the tagger of the merged dataset was trained on the partial likelihood."""
    return bool((settings.get("final") or {}).get("partial"))
