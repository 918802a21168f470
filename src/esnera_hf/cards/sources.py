"""What cards say of sources: terms, citations, what was left out, and how to get them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from esnera_hf.licensing import Terms
from esnera_hf.sources.named import find_named

_MAY = {True: "yes", False: "no", None: "not stated"}


def source_rows(summaries: Sequence[Mapping[str, Any]], terms: Terms) -> list[dict[str, Any]]:
    """Return a row a source: its terms and where it comes from."""
    rows = []
    for summary in summaries:
        licence = terms.by_source.get(summary["name"])
        rows.append(
            {
                "name": summary["name"],
                "language": str(summary.get("language") or ""),
                "licence": "unknown" if licence is None else licence.name,
                "clause": "" if licence is None else licence.clause,
                "may": _MAY[None if licence is None else licence.text_may_be_shared],
                "home": home(summary),
                "named_as": named_as(summary),
                "citation": str(summary.get("citation") or ""),
            }
        )
    return rows


def home(summary: Mapping[str, Any]) -> str:
    """Return where a source is published, ``""`` where that is not known."""
    hub_id = str(summary.get("hub_id") or "")
    return str(summary.get("homepage") or "") or (
        f"https://huggingface.co/datasets/{hub_id}" if hub_id else ""
    )


def named_as(summary: Mapping[str, Any]) -> str:
    """Return what :func:`esnera_hf.apply` is to be given for a source."""
    name, hub_id = str(summary["name"]), str(summary.get("hub_id") or "")
    known = find_named(name)
    if known is not None and known.hub is not None and hub_id in ("", known.hub.repo_id):
        return name
    return f"{name}={hub_id or 'PATH'}"


def left_out_rows(summaries: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what reading left out or repaired, by source and kind."""
    for summary in summaries:
        for key, fate in (("dropped", "left out"), ("repairs", "repaired")):
            for kind, count in summary.get(key, {}).items():
                yield {"source": summary["name"], "what": kind, "fate": fate, "count": count}


def notes(summaries: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """Yield the notes on splits that were cut, renamed or not loaded."""
    for summary in summaries:
        yield from ({"source": summary["name"], "note": note} for note in summary.get("notes", ()))
