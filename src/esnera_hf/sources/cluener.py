"""CLUENER JSON lines: ``{"text": …, "label": {type: {surface: [[start, end]]}}}``, both offsets inclusive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from esnera_hf.errors import SourceError
from esnera_hf.sources.json_value import parse_json
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, read_lines
from esnera_hf.tagging import Entity
from esnera_hf.text import shown


def read_cluener(path: Path) -> Iterator[RawSentence]:
    """Yield the sentences of a CLUENER file, characters as tokens.

    A line without ``label`` (the published test file) yields no annotation.

    Raises:
        SourceError: a line is no JSON object with ``text``, or a span does not
            hold the surface it is given for; file and line are named.
    """
    for line in read_lines(path):
        if not line.text.strip():
            continue
        place = f"{path}, line {line.number}"
        record = _parse(line.text, place)
        text = record["text"]
        spans = None if "label" not in record else list(cluener_spans(record["label"], text, place))
        if text:
            yield RawSentence(
                list(text), spans, f"{path.name}, line {line.number}", [UNDECODABLE] * line.damaged
            )


def _parse(line: str, place: str) -> dict[str, Any]:
    record = parse_json(line, place)
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise SourceError(f'{place}: expected a JSON object with a string "text", found {line[:60]!r}.')
    return record


def cluener_spans(annotation: Any, text: str, place: str) -> Iterator[Entity]:
    """Yield the spans of ``{type: {surface: [[start, end], …]}}``, whose ends are inclusive.

    Raises:
        SourceError: the annotation is of another form, or a span does not hold
            its surface.
    """
    try:
        for label, surfaces in annotation.items():
            for surface, offsets in surfaces.items():
                for start, last in offsets:
                    if not 0 <= start <= last < len(text) or text[start : last + 1] != surface:
                        raise SourceError(
                            f"{place}: offsets [{start}, {last}] of {shown(label)} hold "
                            f"{shown(text[start : last + 1])}, expected {shown(surface)} (CLUENER ends are inclusive)."
                        )
                    yield Entity(start, last + 1, label)
    except (AttributeError, TypeError) as error:
        raise SourceError(
            f'{place}: expected "label" as {{type: {{surface: [[start, end], …]}}}} ({error}).'
        ) from None
    except ValueError as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{place}: expected [start, end] pairs of integers ({error}).") from None
