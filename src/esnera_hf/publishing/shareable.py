"""What of a report may be published: no places on somebody's machine, and no text where text is held back."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from esnera_hf.report import Report


def shareable_report(report: Report, *, text: bool) -> Report:
    """Return a report as it may be published.

    Args:
        report: the report.
        text: whether mentions and their contexts may be in it.
    """
    settings = _without_places(report.settings, report.places)
    shared = replace(report, settings=settings, places=[])
    return shared if text else replace(shared, examples={}, dropped=[])


def public_encoder(report: Report) -> str:
    """Return the Hub id of the encoder, ``""`` if it is none or a folder of somebody's."""
    encoder = report.settings.get("encoder")
    local = not isinstance(encoder, str) or encoder in report.places or _looks_like_a_place(encoder)
    return "" if local else str(encoder)


def _without_places(value: Any, places: Collection[str]) -> Any:
    """Replace places by the name of what lies there, and ``name=place`` by the name."""
    if isinstance(value, Mapping):
        return {key: _without_places(item, places) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_places(item, places) for item in value]
    if not isinstance(value, str):
        return value
    name, equals, place = value.partition("=")
    if equals and not _has_folders(name) and (value in places or _looks_like_a_place(place)):
        return name
    return PurePath(value).name if value in places or _looks_like_a_place(value) else value


def _has_folders(text: str) -> bool:
    return "/" in text or os.sep in text or "\\" in text


def _looks_like_a_place(text: str) -> bool:
    starts = ("~", f".{os.sep}", f"..{os.sep}")
    return "\n" not in text and (os.path.isabs(text) or text.startswith(starts) or "\\" in text)
