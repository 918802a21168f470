"""The page of an atlas: its tree, searchable, as one HTML file that needs no network.

All that is shown comes from outside. It lies in the page as JSON, and the script writes it
as text only; the policy of the page allows its own style and script, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esnera_hf._internal.text import shorten, visible
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.hub.evidence import Evidence
from esnera_hf.report.html import page_policy

_TEMPLATES = Path(__file__).parent / "templates"
#: Characters of a definition or a name that are shown: a paragraph.
_LONGEST = 500


def draw_atlas(mapping: LabelMapping, bundles: Mapping[str, Evidence], definitions: Mapping[str, str]) -> str:
    """Return the page of an atlas.

    Args:
        mapping: its tree.
        bundles: of its corpora, by name.
        definitions: what labels mean, by ``source:label``.
    """
    page, style, script = (
        _TEMPLATES.joinpath(f"atlas.{ending}").read_text(encoding="utf-8") for ending in ("html", "css", "js")
    )
    order = mapping.tree.order
    model = {
        "corpora": len(bundles),
        "labels": [
            {
                "name": shorten(name, _LONGEST),
                # By number: names may look alike.
                "parent": order.index(mapping.parents[name]) if name in mapping.parents else None,
                "members": _members(name, mapping, bundles, definitions),
            }
            for name in order
        ],
    }
    text = visible(json.dumps(model, ensure_ascii=False)).replace("<", "\\u003c")
    # One after the other: what is put in is not looked through for the next.
    for mark, value in (("POLICY", page_policy(style, script)), ("STYLE", style), ("SCRIPT", script)):
        page = page.replace(f"@{mark}@", value)
    before, _, after = page.partition("@MODEL@")
    return f"{before}{text}{after}"


def _members(
    name: str, mapping: LabelMapping, bundles: Mapping[str, Evidence], definitions: Mapping[str, str]
) -> list[dict[str, Any]]:
    return [
        {
            "corpus": shorten(label.source, _LONGEST),
            "label": shorten(label.label, _LONGEST),
            "mentions": bundles[label.source].mentions[label.label],
            "license": shorten(bundles[label.source].facts["license"].name, _LONGEST),
            "definition": shorten(definitions.get(str(label), ""), _LONGEST),
        }
        for label in mapping.members(name)
    ]
