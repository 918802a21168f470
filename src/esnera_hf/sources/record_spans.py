"""One span of a record: ``[start, end, label]`` or an object with the usual keys, in a text or among tokens.

A span with several labels counts once for each. Ends are exclusive; where the
record repeats the mention itself, the offsets in a text must hold it: ends that
turn out inclusive, and offsets that count UTF-16 units (as browsers do), are
read so. Tokens may be written otherwise than the mention, which then decides
nothing and is counted; it tells inclusive ends, and offsets in the text beside
the tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from esnera_hf.errors import SourceError
from esnera_hf.tagging import Entity
from esnera_hf.text import shown

START_KEYS = ("start", "start_offset", "begin", "start_idx", "start_pos")
END_KEYS = ("end", "end_offset", "end_idx", "end_pos")
LABEL_KEYS = ("label", "labels", "type", "entity_group", "entity_type", "tag", "ner", "role")
MENTION_KEYS = ("name", "word", "surface", "mention", "entity", "text")

OTHER_MENTION = "mention that differs from the tokens at its offsets, which count"


def character_spans(entry: Any, text: str, where: str) -> Iterator[Entity]:
    if isinstance(entry, Mapping):
        pair = entry.get("span") or entry.get("offsets") or (_any(entry, START_KEYS), _any(entry, END_KEYS))
        labels, mention = _any(entry, LABEL_KEYS), _any(entry, MENTION_KEYS)
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) >= 3:
        pair, labels, mention = entry[:2], entry[2], None
    else:
        raise SourceError(f"{where}: expected [start, end, label] or an object, found {shown_value(entry)}.")
    if not (isinstance(pair, Sequence) and len(pair) == 2):
        raise SourceError(f"{where}: expected a start and an end, found {shown_value(entry)}.")
    start, end = pair
    for label in labels if isinstance(labels, list) else [labels]:
        if not isinstance(start, int) or not isinstance(end, int) or not isinstance(label, str):
            raise SourceError(
                f"{where}: expected integer offsets and a label, found start {shown_value(start)}, "
                f"end {shown_value(end)}, label {shown_value(label)}."
            )
        yield Entity(*_offsets(start, end, label, mention, text, where), label)


def _offsets(start: int, end: int, label: str, mention: Any, text: str, where: str) -> tuple[int, int]:
    """Return the offsets of a mention as Python counts them, the end exclusive."""
    readings = [(start, end)]
    if isinstance(mention, str) and mention.strip():
        readings += [(start, end + 1), *_of_utf16(start, end, text)]
    for first, last in readings:
        if 0 <= first < last <= len(text) and (
            len(readings) == 1 or text[first:last].split() == mention.split()
        ):
            return first, last
    if not 0 <= start < end <= len(text):
        raise SourceError(
            f"{where}: {shown(label)} at [{start}, {end}) lies outside the text of {len(text)} characters "
            "(ends are exclusive). Mend the offsets."
        )
    raise SourceError(
        f"{where}: offsets [{start}, {end}] of {shown(label)} hold {shown(text[start:end])}, "
        f"expected {shown(mention)}."
    )


def _of_utf16(start: int, end: int, text: str) -> Iterator[tuple[int, int]]:
    """Yield offsets in UTF-16 units as offsets in characters, where the two differ."""
    if 0 <= start < end and any(char > "\uffff" for char in text):
        units = text.encode("utf-16-le")
        first, last = (len(units[: 2 * unit].decode("utf-16-le", "ignore")) for unit in (start, end))
        yield first, last


def token_span(entry: Any, tokens: Sequence[str], where: str, repairs: list[str]) -> Entity:
    """Return a span of tokens; the mention that an entry repeats tells whether its end is inclusive."""
    mention = None
    if isinstance(entry, Mapping):
        start, end, label = (_any(entry, keys) for keys in (START_KEYS, END_KEYS, LABEL_KEYS))
        mention = _any(entry, MENTION_KEYS)
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) >= 3:
        start, end, label = entry[:3]
    else:
        raise SourceError(f"{where}: expected [start, end, label] or an object, found {shown_value(entry)}.")
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(label, str):
        raise SourceError(f"{where}: expected token offsets and a label, found {shown_value(entry)}.")
    told = isinstance(mention, str) and mention.strip() not in ("", label)
    for last in (end, end + 1) if told else ():
        held = _without_spaces("".join(tokens[start:last])) if 0 <= start < last <= len(tokens) else ""
        if held == _without_spaces(str(mention)):
            return Entity(start, last, label)
    if not 0 <= start < end <= len(tokens):
        raise SourceError(
            f"{where}: {shown(label)} at tokens [{start}, {end}) lies outside the sentence of {len(tokens)} "
            "tokens (ends are exclusive). Mend the offsets."
        )
    repairs.extend([OTHER_MENTION] * told)
    return Entity(start, end, label)


def hold_mentions(entries: Iterable[Any], words: str | Sequence[str]) -> bool:
    """Tell whether all entries repeat their mentions, and their offsets hold them in a text or among tokens."""
    for entry in entries:
        if not isinstance(entry, Mapping):
            return False
        start, end, mention = (_any(entry, keys) for keys in (START_KEYS, END_KEYS, MENTION_KEYS))
        if not (isinstance(start, int) and isinstance(end, int) and isinstance(mention, str)):
            return False
        if not 0 <= start < end <= len(words):
            return False
        if _without_spaces("".join(words[start:end])) != _without_spaces(mention):
            return False
    return True


def _without_spaces(text: str) -> str:
    return "".join(text.split())


def _any(entry: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((entry[key] for key in keys if entry.get(key) is not None), None)


def shown_value(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "…"
