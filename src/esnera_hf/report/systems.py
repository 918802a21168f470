"""What report and cards call the taggers that were trained on merged data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
