"""How to run an alignment again: its settings as JSON and as a call, and what of its report stays the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_KINDS = {
    "evidence": "EvidenceSettings",
    "search": "SearchSettings",
    "schema": "SchemaSettings",
    "final": "FinalSettings",
}
#: Settings of ``AlignSettings`` itself.
_OWN = ("merge",)
_NAMES = {"lambda": "lam"}


def as_json(settings: Mapping[str, Any]) -> str:
    """Return settings as JSON that shows control and bidirectional characters as escapes."""
    text = json.dumps(settings, indent=1, ensure_ascii=False)
    # What is left to escape stands in strings, where this is JSON, too.
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def python_call(settings: Mapping[str, Any]) -> str:
    """Return the Python call that makes the same again; empty if the settings are of no call."""
    if "call" not in settings:
        return ""
    known = dict(settings)
    name = known.pop("call")
    # A mapping that was no file stands beside the report, as every mapping does.
    first = [repr(known.pop("mapping") or "mapping.yaml")] if name == "apply" else []
    lines = [*first, _sources(known.pop("sources"), known.pop("reading", None))]
    parts = [f"{part}={made(kind, known.pop(part))}" for part, kind in _KINDS.items() if known.get(part)]
    own = [f"{key}={known.pop(key)!r}" for key in _OWN if key in known] if name == "align" else []
    lines += [f"{_NAMES.get(key, key)}={value!r}" for key, value in known.items() if value is not None]
    if name == "align":
        lines.append(f"settings=esnera_hf.AlignSettings({', '.join([*parts, *own])})")
    else:
        lines += parts
    return f"esnera_hf.{name}(\n" + "".join(f"    {line},\n" for line in lines) + ")"


def _sources(sources: list[str], reading: list[dict[str, Any]] | None) -> str:
    """Return a list of sources as Python; those that were read in a way of their own are loaded."""
    how = reading or [{}] * len(sources)
    calls = [
        f"esnera_hf.load_source({source!r}, options={made('ReadingOptions', options)})"
        if options
        else repr(source)
        for source, options in zip(sources, how, strict=True)
    ]
    return f"[{', '.join(calls)}]"


def made(kind: str, values: Mapping[str, Any]) -> str:
    """Return Python that makes settings."""
    return f"esnera_hf.{kind}({', '.join(f'{key}={value!r}' for key, value in values.items())})"


def without_times(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report's data without what tells how long it took and what the cache held already.

    All else is the same whenever the same is run again: on one machine, with the
    same inputs, versions, seed and number of threads.
    """
    timed = {"seconds", "trained"}
    plain: dict[str, Any] = {key: value for key, value in report.items() if key not in timed}
    for part in ("taggers", "systems"):
        plain[part] = {
            name: {key: value for key, value in facts.items() if key not in timed}
            for name, facts in report.get(part, {}).items()
        }
    plain["trials"] = [
        {key: value for key, value in trial.items() if key not in timed} for trial in report.get("trials", [])
    ]
    return plain
