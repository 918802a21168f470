"""Spans as records write them, read once it is known how their offsets count; those of single tokens joined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from esnera_hf._internal.text import join_tokens, shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.counting import (
    Counting,
    Place,
    WrittenSpan,
    countings,
    same_words,
    units_of_text,
)
from esnera_hf.sources.readers.offsets import onto_tokens
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

START_KEYS = tuple(
    "start start_offset begin start_idx start_pos startOffset BeginOffset start_char offset".split()
)
END_KEYS = tuple("end end_offset end_idx end_pos endOffset EndOffset end_char".split())
LABEL_KEYS = tuple(
    "label labels type entity_group entity_type tag ner role displayName category Type entity_label".split()
)
MENTION_KEYS = tuple("name word surface mention entity text value Text".split())
#: Of one pair of offsets, or of several where a span has gaps. B2NERD: "pos", elsewhere a part of speech.
_PAIR_KEYS = ("span", "offsets", "pos")

OTHER_MENTION = "mention that differs from the tokens at its offsets, which count"
DISCONTINUOUS = "discontinuous span, read as one from its first to its last character"
READ_AS = "offsets read as {}"
JOINED = "spans of one token each, labelled with prefixes of tags, joined"
#: Of a span of one token that is labelled as tags are: ``B-PER``, ``I-PER``.
_PIECE = re.compile(r"([BIMESLUW])[-_](.+)", re.DOTALL)


def written_spans(entries: Iterable[Any], where: str) -> list[WrittenSpan]:
    """Return spans as a record writes them: lists, or objects with the usual keys.

    Raises:
        SourceError: an entry is no span.
    """
    return [_written(entry, where) for entry in entries]


def _written(entry: Any, where: str) -> WrittenSpan:
    pairs: list[Any] = []
    labels = mention = None
    if isinstance(entry, Mapping):
        ends = next(
            (entry[key] for key in _PAIR_KEYS if entry.get(key) and not isinstance(entry[key], str)), None
        )
        pairs = _pairs(entry if ends is None else ends)
        labels, mention = first_of(entry, LABEL_KEYS), first_of(entry, MENTION_KEYS)
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) >= 3:
        pairs, labels = [entry[:2]], entry[2]
    labels = labels if isinstance(labels, list) else [labels]
    places = [_is_place(place) for pair in pairs for place in pair]
    if len(places) < 2 or not all(places) or not all(isinstance(label, str) for label in labels):
        raise SourceError(
            f"{where}: expected [start, end, label] or an object with integer offsets and a label, found {entry!r:.80}."
        )
    if isinstance(mention, list):
        mention = " ".join(map(str, mention))
    # Some tools repeat the label where others have the mention ("entity": "PER").
    repeats = isinstance(mention, str) and mention.strip() and mention.strip() not in labels
    return WrittenSpan(pairs[0][0], pairs[-1][1], labels, mention if repeats else None, len(pairs) > 1)


def _pairs(value: Any) -> list[Any]:
    """Return the pairs of offsets of a span: several if it has gaps, none if this is no pair."""
    if isinstance(value, Mapping):
        start, end, length = (first_of(value, keys) for keys in (START_KEYS, END_KEYS, ("length", "Length")))
        if end is None and _is_place(start) and _is_place(length):
            end = start + length
        return [(start, end)]
    if not isinstance(value, Sequence):
        return []
    pairs = value if all(isinstance(pair, (list, tuple)) for pair in value) else [value]
    return list(pairs) if all(len(pair) == 2 for pair in pairs) else []


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def first_of(entry: Mapping[str, Any], keys: Iterable[str]) -> Any:
    """Return the first value that there is under one of the keys, ``None`` if there is none."""
    return next((entry[key] for key in keys if entry.get(key) is not None), None)


def with_spans(record: RawSentence, counting: Counting, *, stated: bool) -> RawSentence:
    """Return a record with its written spans read.

    A mention beside a span decides against the way of counting, unless that is stated.

    Args:
        record: with a text, tokens or both.
        counting: how the offsets of the corpus count.
        stated: whether that was stated, and is no repair.

    Raises:
        SourceError: a span lies outside, or its offsets do not hold its mention.
    """
    if record.written is None:
        return record
    in_tokens = counting.unit == "tokens"
    if in_tokens and not record.tokens:
        raise SourceError(
            f"{record.where}: offsets='{counting}', and the record has no tokens. Choose another."
        )
    text = record.text or join_tokens(record.tokens)
    usual = Counting("tokens" if record.tokens else "characters")
    words = record.tokens if in_tokens else text
    spans, repairs = [], list(record.repairs)
    for span in record.written:
        if not span.labels:
            continue
        place, used = _placed(span, words, counting, stated, record.where, repairs)
        if not stated and used != usual and place != usual.place(span.start, span.end, words):
            repairs.append(READ_AS.format(used))
        repairs += [DISCONTINUOUS] * span.broken
        spans += [Entity(*place, label, discontinuous=span.broken) for label in span.labels]
    if in_tokens:
        return replace(record, text="", spans=spans, repairs=repairs, written=None)
    read = replace(record, tokens=[], spans=spans, repairs=repairs, text=text, written=None)
    if not record.tokens:
        return read
    sentence = onto_tokens(read, record.tokens)
    if sentence is None:
        raise SourceError(
            f"{record.where}: the offsets count characters of a text in which the tokens are not found one after the "
            "other. Leave the tokens out, or mend them."
        )
    return sentence


def _placed(
    span: WrittenSpan,
    words: str | list[str],
    counting: Counting,
    stated: bool,
    where: str,
    repairs: list[str],
) -> tuple[Place, Counting]:
    mention = None if span.broken else span.mention
    for one in (counting, *(_others(words, counting) if mention and not stated else ())):
        place = one.place(span.start, span.end, words)
        if place is not None and (mention is None or same_words(words[slice(*place)], mention)):
            return place, one
    place = counting.place(span.start, span.end, words)
    name, closed = shown(", ".join(span.labels)), "]" if counting.inclusive else ")"
    written, ends = f"[{span.start}, {span.end}{closed}", "inclusive" if counting.inclusive else "exclusive"
    if place is None:
        size = f"text of {len(words)} characters"
        if isinstance(words, list):
            written, size = f"tokens {written}", f"sentence of {len(words)} tokens"
        raise SourceError(
            f"{where}: {name} at {written} lies outside the {size} (ends are {ends}). Mend the offsets, or say how "
            "they count: offsets=."
        )
    if isinstance(words, list):
        repairs.append(OTHER_MENTION)
        return place, counting
    raise SourceError(
        f"{where}: offsets {written} of {name} hold {shown(words[slice(*place)])}, expected {shown(mention or '')}. "
        "Mend the offsets."
    )


def _others(words: str | list[str], counting: Counting) -> Iterator[Counting]:
    """Yield further ways of counting; a lone span that counts from 1 is rather one that was shifted."""
    units = units_of_text(words) if isinstance(words, str) else ["tokens"]
    return (one for one in countings(units) if one != counting and one.first == counting.first)


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
