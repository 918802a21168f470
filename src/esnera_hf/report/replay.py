"""How to run an alignment again: its settings as JSON and as a call."""

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
    lines = [*first, repr(known.pop("sources"))]
    parts = [f"{part}={_made(kind, known.pop(part))}" for part, kind in _KINDS.items() if known.get(part)]
    lines += [f"{_NAMES.get(key, key)}={value!r}" for key, value in known.items() if value is not None]
    if name == "align":
        lines.append(f"settings=esnera_hf.AlignSettings({', '.join(parts)})")
    else:
        lines += parts
    return f"esnera_hf.{name}(\n" + "".join(f"    {line},\n" for line in lines) + ")"


def _made(kind: str, values: Mapping[str, Any]) -> str:
    return f"esnera_hf.{kind}({', '.join(f'{key}={value!r}' for key, value in values.items())})"
