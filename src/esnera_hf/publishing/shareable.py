"""What of a report may be published: no places on somebody's machine, and no text where text is held back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from esnera_hf.report import Report


def shareable_report(report: Report, *, text: bool) -> Report:
    """Return a report as it may be published.

    Args:
        report: the report.
        text: whether mentions and their contexts may be in it.
    """
    shared = replace(report, settings=_without_places(report.settings))
    return shared if text else replace(shared, examples={}, dropped=[])


def _without_places(value: Any) -> Any:
    """Replace paths by the name of what lies there, and ``name=path`` by the name."""
    if isinstance(value, Mapping):
        return {key: _without_places(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_places(item) for item in value]
    return public_name(value) if isinstance(value, str) else value


def public_name(text: str) -> str:
    """Return the name of a file or folder without its place; any other text as it is."""
    if is_place(text):
        return PurePath(text).name
    name, equals, place = text.partition("=")
    return name if equals and is_place(place) else text


def is_place(text: str) -> bool:
    """Tell whether a text is the path of something on this machine."""
    if not text or "\n" in text or "\0" in text:
        return False
    if os.path.isabs(text) or text.startswith(("~", f".{os.sep}", f"..{os.sep}")):
        return True
    return os.sep in text and os.path.lexists(Path(text))
