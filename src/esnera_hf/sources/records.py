"""One record of annotated text, in the shapes annotation tools and Hub datasets write.

==================  ==========================================================
shape               what tells it
==================  ==========================================================
Label Studio        ``data`` and ``annotations`` (or ``completions``)
spaCy               ``[text, {"entities": [[start, end, label], …]}]``
CLUENER             ``label`` is an object of objects; ends are inclusive
event arguments     ``events`` with ``mentions`` that have a ``role`` (FewFC)
spans of a text     ``text`` (``content``, ``sentence``, ``data``) with a list of spans
spans of tokens     ``tokens`` with a list of spans, ends exclusive
tags of tokens      ``tokens`` with as many string tags
==================  ==========================================================

What a span may look like says :mod:`esnera_hf.sources.record_spans`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from esnera_hf.errors import SourceError
from esnera_hf.sources.cluener import cluener_spans
from esnera_hf.sources.offsets import CharacterSpans, onto_tokens
from esnera_hf.sources.record_spans import character_spans, hold_mentions, shown_value, token_span
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.tagging import Entity, Scheme, TagError, entities_from_tags

TEXT_KEYS = ("text", "content", "sentence", "data")
TOKEN_KEYS = ("tokens", "words", "chars", "token")
TAG_KEYS = ("ner_tags", "tags", "ner", "named_entities", "ner_labels", "labels")
SPAN_KEYS = ("entities", "spans", "labels", "label", "ents", "annotations", "ner")

OTHER_ANNOTATORS = "annotation by a further annotator, not read"
NO_SPAN = "event argument without a span, not read"
DISCONTINUOUS = "discontinuous span, read as one from its first to its last character"
OTHER_FIELD = "region of another field than the text, not read"
UNLABELLED = "region without labels, not read"
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
        raise SourceError(f"{where}: expected an object with text and spans, found {shown_value(record)}.")
    if (
        "data" in record
        and not isinstance(record["data"], str)
        and ("annotations" in record or "completions" in record)
    ):
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
    given = SPAN_KEYS if tag_keys is TAG_KEYS else tag_keys
    lists = [record[key] for key in given if isinstance(record.get(key), list)]
    if isinstance(record.get("events"), list) and not lists:
        return _event_arguments(record["events"], text, where)
    if isinstance(record.get("label"), Mapping):
        return CharacterSpans(text, list(cluener_spans(record["label"], text, where)), where)
    if not lists:
        return CharacterSpans(text, None, where)
    spans = next(filter(None, lists), lists[0])
    if record.get("answer") in _NOT_ACCEPTED:
        raise SourceError(
            f"{where}: the annotator did not accept this record (answer {record['answer']!r}). Leave it out."
        )
    return CharacterSpans(
        text, [span for entry in spans for span in character_spans(entry, text, where)], where
    )


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
    if text is not None and hold_mentions(entries, text) and not hold_mentions(entries, tokens):
        spans = [span for entry in entries for span in character_spans(entry, text, where)]
        sentence = onto_tokens(CharacterSpans(text, spans, where), tokens)
        if sentence is None:
            raise SourceError(
                f"{where}: the offsets count characters of a text in which the tokens are not found one after the "
                "other. Leave the tokens out, or mend them."
            )
        return sentence
    repairs: list[str] = []
    spans = [token_span(entry, tokens, where, repairs) for entry in entries]
    return RawSentence(list(tokens), spans, where, repairs)


def _label_studio(record: Mapping[str, Any], where: str) -> CharacterSpans:
    data = record["data"]
    texts = (
        {key: value for key, value in data.items() if isinstance(value, str)}
        if isinstance(data, Mapping)
        else {}
    )
    field = next((key for key in (*TEXT_KEYS, *texts) if key in texts), None)
    if field is None:
        raise SourceError(f"{where}: expected a text in data, found {shown_value(data)}.")
    done = [
        annotation
        for annotation in _objects(record.get("annotations", record.get("completions")), where)
        if not annotation.get("was_cancelled")
    ]
    if not done:
        return CharacterSpans(texts[field], None, where)
    spans: list[Entity] = []
    repairs = [OTHER_ANNOTATORS] * (len(done) - 1)
    for region in _objects(done[0].get("result"), where):
        value = region.get("value")
        if not isinstance(value, Mapping) or not {"start", "end"} <= value.keys():
            continue
        if region.get("to_name") in texts.keys() - {field}:
            repairs.append(OTHER_FIELD)
        elif "labels" in value:
            spans += character_spans(value, texts[field], where)
        else:
            repairs.append(UNLABELLED)
    return CharacterSpans(texts[field], spans, where, repairs)


def _event_arguments(events: Any, text: str, where: str) -> CharacterSpans:
    spans: dict[Entity, None] = {}
    repairs = []
    for event in _objects(events, where):
        for mention in _objects(event.get("mentions"), where):
            if mention.get("role") == _EVENT_TRIGGER:
                continue
            if mention.get("span"):
                spans.update(dict.fromkeys(character_spans(mention, text, where)))
            else:
                repairs.append(NO_SPAN)
    return CharacterSpans(text, list(spans), where, repairs)


def _objects(value: Any, where: str) -> Iterator[Mapping[str, Any]]:
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, Mapping):
            raise SourceError(f"{where}: expected a list of objects, found {shown_value(entry)} in it.")
        yield entry


def _first(record: Mapping[str, Any], keys: Iterable[str], kind: type) -> Any:
    return next((record[key] for key in keys if isinstance(record.get(key), kind)), None)
