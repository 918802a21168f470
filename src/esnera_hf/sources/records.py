"""One record of annotated text, in the shapes annotation tools and Hub datasets write.

==================  ==========================================================
shape               what tells it
==================  ==========================================================
Label Studio        ``data`` and ``annotations`` (or ``completions``)
spaCy               ``[text, {"entities": [[start, end, label], …]}]``
CLUENER             ``label`` is an object of objects; ends are inclusive
event arguments     ``events`` with ``mentions`` that have a ``role`` (FewFC)
spans of a text     ``text`` (``content``, ``sentence``) with a list of spans
spans of tokens     ``tokens`` with a list of spans, ends exclusive
tags of tokens      ``tokens`` with as many string tags
==================  ==========================================================

A span is ``[start, end, label]`` or an object with the usual keys. Ends are
exclusive; where the record repeats the mention itself, the offsets must hold it,
and ends that turn out inclusive are read so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from esnera_hf.errors import SourceError
from esnera_hf.sources.cluener import cluener_spans
from esnera_hf.sources.offsets import CharacterSpans
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.tagging import Entity, Scheme, TagError, entities_from_tags

TEXT_KEYS = ("text", "content", "sentence")
TOKEN_KEYS = ("tokens", "words", "chars", "token")
TAG_KEYS = ("ner_tags", "tags", "ner", "named_entities", "ner_labels", "labels")
SPAN_KEYS = ("entities", "spans", "labels", "label", "ents", "annotations", "ner")
START_KEYS = ("start", "start_offset", "begin", "start_idx", "start_pos")
END_KEYS = ("end", "end_offset", "end_idx", "end_pos")
LABEL_KEYS = ("label", "type", "entity_group", "entity_type", "tag", "ner", "role")
MENTION_KEYS = ("name", "word", "surface", "mention", "entity", "text")

OTHER_ANNOTATORS = "annotation by a further annotator, not read"
NO_SPAN = "event argument without a span, not read"
DISCONTINUOUS = "discontinuous span, read as one from its first to its last character"
_EVENT_TRIGGER = "trigger"


def read_record(record: Any, where: str, scheme: Scheme | None) -> CharacterSpans | RawSentence:
    """Read one record.

    Args:
        record: parsed JSON or a dataset row.
        where: file and line, for messages.
        scheme: of string tags, where the record has them.

    Raises:
        SourceError: the record has none of the shapes above, or offsets that
            cannot be right.
    """
    if isinstance(record, Sequence) and not isinstance(record, str) and len(record) == 2:
        record = {
            "text": record[0],
            **(record[1] if isinstance(record[1], Mapping) else {"spans": record[1]}),
        }
    if not isinstance(record, Mapping):
        raise SourceError(f"{where}: expected an object with text and spans, found {_shown(record)}.")
    if "data" in record and ("annotations" in record or "completions" in record):
        return _label_studio(record, where)
    tokens = _first(record, TOKEN_KEYS, list)
    text = _first(record, TEXT_KEYS, str)
    if tokens is not None and all(isinstance(token, str) for token in tokens):
        return _of_tokens(record, tokens, where, scheme)
    if text is None:
        raise SourceError(
            f"{where}: expected a text ({', '.join(TEXT_KEYS)}) or tokens ({', '.join(TOKEN_KEYS)}), "
            f"found the keys {', '.join(map(str, record)) or 'none'}."
        )
    if isinstance(record.get("events"), list):
        return _event_arguments(record["events"], text, where)
    if isinstance(record.get("label"), Mapping):
        return CharacterSpans(text, list(cluener_spans(record["label"], text, where)), where)
    spans = _first(record, SPAN_KEYS, list)
    if spans is None:
        return CharacterSpans(text, None, where)
    return CharacterSpans(text, [_span(entry, text, where) for entry in spans], where)


def _of_tokens(
    record: Mapping[str, Any], tokens: list[str], where: str, scheme: Scheme | None
) -> RawSentence:
    tags = _first(record, TAG_KEYS, list)
    if tags is not None and len(tags) == len(tokens) and all(isinstance(tag, str) for tag in tags):
        try:
            spans, repairs = entities_from_tags(tags, scheme or "IOB2")
        except TagError as error:
            raise SourceError(f"{where}: {error}. Name the scheme if it is another.") from None
        return RawSentence(list(tokens), spans, where, [repair.kind for repair in repairs])
    entries = _first(record, SPAN_KEYS, list)
    if entries is None:
        return RawSentence(list(tokens), None, where)
    if tags is entries and all(isinstance(entry, str) for entry in entries) and entries:
        raise SourceError(f"{where}: {len(tokens)} tokens and {len(entries)} tags. Each token needs its tag.")
    return RawSentence(list(tokens), [_token_span(entry, tokens, where) for entry in entries], where)


def _label_studio(record: Mapping[str, Any], where: str) -> CharacterSpans:
    data = record["data"]
    text = _first(data, TEXT_KEYS, str) if isinstance(data, Mapping) else None
    if text is None and isinstance(data, Mapping):
        text = next((value for value in data.values() if isinstance(value, str)), None)
    if text is None:
        raise SourceError(f"{where}: expected a text in data, found {_shown(data)}.")
    done = [
        annotation
        for annotation in record.get("annotations", record.get("completions")) or ()
        if not annotation.get("was_cancelled")
    ]
    if not done:
        return CharacterSpans(text, None, where)
    spans = []
    for result in done[0].get("result", ()):
        value = result.get("value", {})
        for label in value.get("labels", ()):
            spans.append(_checked(value.get("start"), value.get("end"), label, text, where))
    return CharacterSpans(text, spans, where, [OTHER_ANNOTATORS] * (len(done) - 1))


def _event_arguments(events: Iterable[Mapping[str, Any]], text: str, where: str) -> CharacterSpans:
    spans: dict[Entity, None] = {}
    repairs = []
    for event in events:
        for mention in event.get("mentions", ()):
            if mention.get("role") == _EVENT_TRIGGER:
                continue
            if not mention.get("span"):
                repairs.append(NO_SPAN)
                continue
            spans[_span(mention, text, where)] = None
    return CharacterSpans(text, list(spans), where, repairs)


def _span(entry: Any, text: str, where: str) -> Entity:
    if isinstance(entry, Mapping):
        pair = entry.get("span") or entry.get("offsets") or (_any(entry, START_KEYS), _any(entry, END_KEYS))
        label, mention = _any(entry, LABEL_KEYS), _any(entry, MENTION_KEYS)
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) >= 3:
        pair, label, mention = entry[:2], entry[2], None
    else:
        raise SourceError(f"{where}: expected [start, end, label] or an object, found {_shown(entry)}.")
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    if not (isinstance(pair, Sequence) and len(pair) == 2):
        raise SourceError(f"{where}: expected a start and an end, found {_shown(entry)}.")
    span = _checked(pair[0], pair[1], label, text, where, inclusive_fits=_is_inclusive(pair, mention, text))
    if isinstance(mention, str) and mention and text[span.start : span.end] != mention:
        raise SourceError(
            f"{where}: offsets {list(pair)} of {label!r} hold {text[span.start : span.end]!r}, "
            f"expected {mention!r}."
        )
    return span


def _is_inclusive(pair: Sequence[Any], mention: Any, text: str) -> bool:
    if not (isinstance(mention, str) and all(isinstance(offset, int) for offset in pair)):
        return False
    start, end = pair
    return text[start:end] != mention and text[start : end + 1] == mention


def _checked(
    start: Any, end: Any, label: Any, text: str, where: str, *, inclusive_fits: bool = False
) -> Entity:
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(label, str):
        raise SourceError(
            f"{where}: expected integer offsets and a label, found start {start!r}, end {end!r}, "
            f"label {label!r}."
        )
    end += inclusive_fits
    if not 0 <= start < end <= len(text):
        raise SourceError(
            f"{where}: {label!r} at [{start}, {end}) lies outside the text of {len(text)} characters "
            "(ends are exclusive)."
        )
    return Entity(start, end, label)


def _token_span(entry: Any, tokens: Sequence[str], where: str) -> Entity:
    if isinstance(entry, Mapping):
        start, end, label = (_any(entry, keys) for keys in (START_KEYS, END_KEYS, LABEL_KEYS))
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) >= 3:
        start, end, label = entry[:3]
    else:
        raise SourceError(f"{where}: expected [start, end, label] or an object, found {_shown(entry)}.")
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(label, str):
        raise SourceError(f"{where}: expected token offsets and a label, found {_shown(entry)}.")
    if not 0 <= start < end <= len(tokens):
        raise SourceError(
            f"{where}: {label!r} at tokens [{start}, {end}) lies outside the sentence of {len(tokens)} "
            "tokens (ends are exclusive)."
        )
    return Entity(start, end, label)


def _first(record: Mapping[str, Any], keys: Iterable[str], kind: type) -> Any:
    return next((record[key] for key in keys if isinstance(record.get(key), kind)), None)


def _any(entry: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((entry[key] for key in keys if entry.get(key) is not None), None)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "…"
