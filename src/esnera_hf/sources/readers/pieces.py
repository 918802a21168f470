"""Spans of one token each that are labelled as tags are: ``B-PER``, ``I-PER``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

JOINED = "spans of one token each, labelled with prefixes of tags, joined"
_PIECE = re.compile(r"([BIMESLUW])[-_](.+)", re.DOTALL)


def names_pieces(labels: Iterable[str]) -> bool:
    """Tell whether all labels have prefixes of tags, and one of them several."""
    by_label: dict[str, set[str]] = {}
    for label in labels:
        match = _PIECE.fullmatch(label)
        if match is None:
            return False
        by_label.setdefault(match[2], set()).add(match[1])
    return any("B" in prefixes and len(prefixes) > 1 for prefixes in by_label.values())


def join_pieces(record: RawSentence) -> RawSentence:
    """Return a record with the pieces of each entity as one span."""
    text = record.text
    spans: list[Entity] = []
    joined = 0
    for span in sorted(record.spans or ()):
        match = _PIECE.fullmatch(span.label)
        prefix, label = match.groups() if match else ("B", span.label)
        before = spans[-1] if spans else None
        # Spans count characters where there is a text, with spaces between tokens.
        gap = text[before.end : span.start] if before and text else ""
        touches = before is not None and (not gap.strip() if text else before.end == span.start)
        if before is not None and prefix in "IMEL" and touches and before.label == label:
            spans[-1] = replace(before, end=span.end)
            joined += 1
        else:
            spans.append(replace(span, label=label))
    return replace(record, spans=spans, repairs=[*record.repairs, *[JOINED] * joined])
