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

A span is ``[start, end, label]`` or an object with the usual keys; a span with
several labels counts once for each. Ends are exclusive; where the record repeats
the mention itself, the offsets in a text must hold it: ends that turn out
inclusive, and offsets that count UTF-16 units (as browsers do), are read so.
Tokens may be written otherwise than the mention, which then decides nothing and
is counted; it tells inclusive ends, and offsets in the text beside the tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from esnera_hf.errors import SourceError
from esnera_hf.sources.cluener import cluener_spans
from esnera_hf.sources.offsets import CharacterSpans, onto_tokens
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.tagging import Entity, Scheme, TagError, entities_from_tags
from esnera_hf.text import shown

TEXT_KEYS = ("text", "content", "sentence")
TOKEN_KEYS = ("tokens", "words", "chars", "token")
TAG_KEYS = ("ner_tags", "tags", "ner", "named_entities", "ner_labels", "labels")
SPAN_KEYS = ("entities", "spans", "labels", "label", "ents", "annotations", "ner")
START_KEYS = ("start", "start_offset", "begin", "start_idx", "start_pos")
END_KEYS = ("end", "end_offset", "end_idx", "end_pos")
LABEL_KEYS = ("label", "labels", "type", "entity_group", "entity_type", "tag", "ner", "role")
MENTION_KEYS = ("name", "word", "surface", "mention", "entity", "text")

OTHER_ANNOTATORS = "annotation by a further annotator, not read"
NO_SPAN = "event argument without a span, not read"
DISCONTINUOUS = "discontinuous span, read as one from its first to its last character"
OTHER_MENTION = "mention that differs from the tokens at its offsets, which count"
_EVENT_TRIGGER = "trigger"
_NOT_ACCEPTED = ("reject", "ignore")


def read_record(
    record: Any, where: str, scheme: Scheme | None, tag_keys: Sequence[str] = TAG_KEYS
) -> CharacterSpans | RawSentence:
    """Read one record.

    Args:
        record: parsed JSON or a dataset row.
        where: file and line, for messages.
        scheme: of string tags, where the record has them.
        tag_keys: what may hold them, or the spans, if not the usual names.

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
        return _of_tokens(record, tokens, where, scheme, tag_keys)
    if text is None:
        raise SourceError(
            f"{where}: expected a text ({', '.join(TEXT_KEYS)}) or tokens ({', '.join(TOKEN_KEYS)}), "
            f"found the keys {', '.join(map(str, record))[:200] or 'none'}."
        )
    if isinstance(record.get("events"), list):
        return _event_arguments(record["events"], text, where)
    if isinstance(record.get("label"), Mapping):
        return CharacterSpans(text, list(cluener_spans(record["label"], text, where)), where)
    spans = _first(record, SPAN_KEYS if tag_keys is TAG_KEYS else tag_keys, list)
    if spans is None:
        return CharacterSpans(text, None, where)
    if record.get("answer") in _NOT_ACCEPTED:
        raise SourceError(
            f"{where}: the annotator did not accept this record (answer {record['answer']!r}). Leave it out."
        )
    return CharacterSpans(text, [span for entry in spans for span in _spans(entry, text, where)], where)


def string_tags(record: Any, keys: Sequence[str] = TAG_KEYS) -> list[str] | None:
    """Return the string tags of a record of tokens, ``None`` if it has none."""
    if not isinstance(record, Mapping):
        return None
    tags = _first(record, keys, list)
    return tags if tags and all(isinstance(tag, str) for tag in tags) else None


def with_tag_names(record: Any, names: Sequence[str], where: str, keys: Sequence[str] = TAG_KEYS) -> Any:
    """Return a record with its tags as names where they are numbers.

    Raises:
        SourceError: a number has no name.
    """
    if not isinstance(record, Mapping):
        return record
    for key in keys:
        tags = record.get(key)
        if isinstance(tags, list) and tags and all(isinstance(tag, int) for tag in tags):
            return {**record, key: [name_of(tag, names, where) for tag in tags]}
    return record


def name_of(tag: int, names: Sequence[str], where: str) -> str:
    """Return the name of a tag or label kept as a number.

    Raises:
        SourceError: there is none.
    """
    if not 0 <= tag < len(names):
        raise SourceError(
            f"{where}: tag id {tag} is none of the {len(names)} ids of the tags. Mend the row or "
            "leave it out."
        )
    return names[tag]


def _of_tokens(
    record: Mapping[str, Any], tokens: list[str], where: str, scheme: Scheme | None, tag_keys: Sequence[str]
) -> RawSentence:
    tags = string_tags(record, tag_keys)
    if tags is not None and len(tags) == len(tokens):
        try:
            spans, repairs = entities_from_tags(tags, scheme or "IOB2")
        except TagError as error:
            raise SourceError(f"{where}: {error}. Name the scheme if it is another.") from None
        return RawSentence(list(tokens), spans, where, [repair.kind for repair in repairs])
    if tags is not None:
        raise SourceError(f"{where}: {len(tokens)} tokens and {len(tags)} tags. Each token needs its tag.")
    named = tag_keys is not TAG_KEYS
    entries = _first(record, tag_keys if named else SPAN_KEYS, list)
    values = _first(record, tag_keys, list)
    if values and (entries is None or (named and all(isinstance(value, int) for value in values))):
        raise SourceError(
            f"{where}: the tags are numbers. Write their names, such as B-PER, or pass tag_names=."
        )
    if entries is None:
        return RawSentence(list(tokens), None, where)
    return _with_token_spans(tokens, entries, _first(record, TEXT_KEYS, str), where)


def _with_token_spans(tokens: list[str], entries: list[Any], text: str | None, where: str) -> RawSentence:
    """Return a sentence with its spans, whose offsets count tokens, or characters where the mentions say so."""
    if text is not None and _hold_mentions(entries, text) and not _hold_mentions(entries, tokens):
        spans = [span for entry in entries for span in _spans(entry, text, where)]
        sentence = onto_tokens(CharacterSpans(text, spans, where), tokens)
        if sentence is None:
            raise SourceError(
                f"{where}: the offsets count characters of a text in which the tokens are not found one after the "
                "other. Leave the tokens out, or mend them."
            )
        return sentence
    repairs: list[str] = []
    spans = [_token_span(entry, tokens, where, repairs) for entry in entries]
    return RawSentence(list(tokens), spans, where, repairs)


def _hold_mentions(entries: Iterable[Any], words: str | Sequence[str]) -> bool:
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


def _label_studio(record: Mapping[str, Any], where: str) -> CharacterSpans:
    data = record["data"]
    text = _first(data, TEXT_KEYS, str) if isinstance(data, Mapping) else None
    if text is None and isinstance(data, Mapping):
        text = next((value for value in data.values() if isinstance(value, str)), None)
    if text is None:
        raise SourceError(f"{where}: expected a text in data, found {_shown(data)}.")
    done = [
        annotation
        for annotation in _objects(record.get("annotations", record.get("completions")), where)
        if not annotation.get("was_cancelled")
    ]
    if not done:
        return CharacterSpans(text, None, where)
    values = (result.get("value") for result in _objects(done[0].get("result"), where))
    spans = [
        span
        for value in values
        if isinstance(value, Mapping) and "labels" in value
        for span in _spans(value, text, where)
    ]
    return CharacterSpans(text, spans, where, [OTHER_ANNOTATORS] * (len(done) - 1))


def _event_arguments(events: Any, text: str, where: str) -> CharacterSpans:
    spans: dict[Entity, None] = {}
    repairs = []
    for event in _objects(events, where):
        for mention in _objects(event.get("mentions"), where):
            if mention.get("role") == _EVENT_TRIGGER:
                continue
            if mention.get("span"):
                spans.update(dict.fromkeys(_spans(mention, text, where)))
            else:
                repairs.append(NO_SPAN)
    return CharacterSpans(text, list(spans), where, repairs)


def _objects(value: Any, where: str) -> Iterator[Mapping[str, Any]]:
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, Mapping):
            raise SourceError(f"{where}: expected a list of objects, found {_shown(entry)} in it.")
        yield entry


def _spans(entry: Any, text: str, where: str) -> Iterator[Entity]:
    if isinstance(entry, Mapping):
        pair = entry.get("span") or entry.get("offsets") or (_any(entry, START_KEYS), _any(entry, END_KEYS))
        labels, mention = _any(entry, LABEL_KEYS), _any(entry, MENTION_KEYS)
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) >= 3:
        pair, labels, mention = entry[:2], entry[2], None
    else:
        raise SourceError(f"{where}: expected [start, end, label] or an object, found {_shown(entry)}.")
    if not (isinstance(pair, Sequence) and len(pair) == 2):
        raise SourceError(f"{where}: expected a start and an end, found {_shown(entry)}.")
    start, end = pair
    for label in labels if isinstance(labels, list) else [labels]:
        if not isinstance(start, int) or not isinstance(end, int) or not isinstance(label, str):
            raise SourceError(
                f"{where}: expected integer offsets and a label, found start {_shown(start)}, end {_shown(end)}, "
                f"label {_shown(label)}."
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


def _token_span(entry: Any, tokens: Sequence[str], where: str, repairs: list[str]) -> Entity:
    """Return a span of tokens; the mention that an entry repeats tells whether its end is inclusive."""
    mention = None
    if isinstance(entry, Mapping):
        start, end, label = (_any(entry, keys) for keys in (START_KEYS, END_KEYS, LABEL_KEYS))
        mention = _any(entry, MENTION_KEYS)
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) >= 3:
        start, end, label = entry[:3]
    else:
        raise SourceError(f"{where}: expected [start, end, label] or an object, found {_shown(entry)}.")
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(label, str):
        raise SourceError(f"{where}: expected token offsets and a label, found {_shown(entry)}.")
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


def _first(record: Mapping[str, Any], keys: Iterable[str], kind: type) -> Any:
    return next((record[key] for key in keys if isinstance(record.get(key), kind)), None)


def _any(entry: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((entry[key] for key in keys if entry.get(key) is not None), None)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "…"
