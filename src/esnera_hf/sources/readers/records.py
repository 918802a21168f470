"""One record of annotated text, in the shapes annotation tools and Hub datasets write.

==================  ==========================================================
shape               what tells it
==================  ==========================================================
Label Studio        ``data`` and ``annotations`` (or ``completions``)
spaCy               ``[text, {"entities": [[start, end, label], …]}]``
CLUENER             ``label`` is ``{type: {surface: [[start, end], …]}}``; ends are inclusive
event arguments     ``events`` with ``mentions`` that have a ``role`` (FewFC)
GLiNER, Dataturks   see :mod:`esnera_hf.sources.readers.tool_records`
spans of a text     ``text`` (``content``, ``sentence``, ``data``) with a list of spans
spans of tokens     ``tokens`` with a list of spans, ends exclusive
tags of tokens      ``tokens`` with as many string tags
==================  ==========================================================

A span is ``[start, end, label]`` or an object with the usual keys; one with several
labels counts once for each. Ends are exclusive; where the record repeats the mention
itself, the offsets in a text must hold it: ends that turn out inclusive, and offsets
that count UTF-16 units (as browsers do), are read so. Tokens may be written otherwise
than the mention, which then decides nothing and is counted; it tells inclusive ends,
and offsets in the text beside the tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions, TagNames
from esnera_hf.sources.readers.offsets import onto_tokens, to_tokens, written_without_spaces
from esnera_hf.sources.readers.tags import USUAL_TAGS, TagReader, detect_tags
from esnera_hf.sources.readers.text import UNDECODABLE
from esnera_hf.sources.readers.tool_records import as_plain_record
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity, TagError

TEXT_KEYS = ("text", "content", "sentence", "data")
TOKEN_KEYS = ("tokens", "words", "chars", "token")
TAG_KEYS = ("ner_tags", "tags", "ner", "named_entities", "ner_labels", "labels")
SPAN_KEYS = ("entities", "spans", "labels", "label", "ents", "annotations", "ner")
START_KEYS = ("start", "start_offset", "begin", "start_idx", "start_pos")
END_KEYS = ("end", "end_offset", "end_idx", "end_pos")
LABEL_KEYS = ("label", "labels", "type", "entity_group", "entity_type", "tag", "ner", "role")
MENTION_KEYS = ("name", "word", "surface", "mention", "entity", "text")

OTHER_ANNOTATORS = "annotation by a further annotator, not read"
NO_SPAN = "event argument without a span, not read"
OTHER_FIELD = "region of another field than the text, not read"
UNLABELLED = "region without labels, not read"
OTHER_MENTION = "mention that differs from the tokens at its offsets, which count"

#: Records that scheme and script are detected from.
_SNIFFED = 500

#: A parsed value, its place for messages, and whether bytes of it were not UTF-8.
Record = tuple[Any, str, bool]
#: Start, end, labels and mention of a span as the record says them.
_Span = tuple[int, int, list[str], Any]


class RecordReader:
    """Reads records from the first one each time it is called.

    Each record may have a shape of its own (:func:`read_record`). Texts are cut into
    characters where the script is written without spaces, into words elsewhere.

    Args:
        records: yields the records.
        place: of all of them, for messages.
        options: tagging scheme, characters or words, where they cannot be detected.
        tag_keys: names of tags or spans, if not the usual ones.
        folder: is left out of the places of sentences.
    """

    def __init__(
        self,
        records: Callable[[], Iterator[Record]],
        place: str,
        options: ReadingOptions,
        tag_keys: Sequence[str] = TAG_KEYS,
        folder: str = "",
    ) -> None:
        self._raw_records, self._place, self._options = records, place, options
        self._tag_keys, self._folder = tag_keys, folder

    def _records(self) -> Iterator[Record]:
        for value, where, damaged in self._raw_records():
            yield as_plain_record(value, where, self._options.format), where, damaged

    @cached_property
    def _sample(self) -> list[Record]:
        return list(islice(self._records(), _SNIFFED))

    @cached_property
    def tags(self) -> TagReader:
        """What reads string tags, told from all of them; that of ``IOB2`` where the first records have none."""
        if not any(string_tags(value, self._tag_keys) for value, _, _ in self._sample):
            return USUAL_TAGS

        def tags() -> Iterator[Sequence[str]]:
            return (string_tags(value, self._tag_keys) or () for value, _, _ in self._records())

        def sentences(reader: TagReader) -> Iterator[RawSentence]:
            return (read_record(value, where, reader, self._tag_keys) for value, where, _ in self._records())

        return detect_tags(tags, self._options, self._place, sentences)

    @cached_property
    def characters(self) -> bool:
        """Whether texts are cut into characters; those of CLUENER always are."""
        records = [value for value, _, _ in self._sample if isinstance(value, dict) and "label" in value]
        form, characters = self._options.format, self._options.characters
        if form == "cluener" or (form is None and records and isinstance(records[0]["label"], dict)):
            return True
        if characters is not None:
            return characters
        return written_without_spaces(self._read(value, where).text for value, where, _ in self._sample)

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences; an error names the place of a record that cannot be read."""
        for value, where, damaged in self._records():
            sentence = self._read(value, where)
            if sentence.text:
                sentence = to_tokens(sentence, characters=self.characters)
            if sentence.tokens:
                sentence.where = where.removeprefix(self._folder)
                sentence.repairs.extend([UNDECODABLE] * damaged)
                yield sentence

    def _read(self, value: Any, where: str) -> RawSentence:
        return read_record(value, where, self.tags, self._tag_keys)


def read_record(
    record: Any, where: str, tags: TagReader = USUAL_TAGS, tag_keys: Sequence[str] = TAG_KEYS
) -> RawSentence:
    """Read one record in one of the shapes above: parsed JSON, or a row of a dataset.

    Args:
        record: the record.
        where: file and line, for messages.
        tags: reads string tags, where the record has them.
        tag_keys: names of tags or spans, if not the usual ones.

    Raises:
        SourceError: the record has another shape, or offsets that cannot be right.
    """
    if isinstance(record, Sequence) and not isinstance(record, str) and len(record) == 2:
        text, annotation = record
        record = {"text": text, **(annotation if isinstance(annotation, Mapping) else {"spans": annotation})}
    if not isinstance(record, Mapping):
        raise SourceError(f"{where}: expected an object with text and spans, found {record!r:.80}.")
    if not isinstance(record.get("data", ""), str) and ("annotations" in record or "completions" in record):
        return _label_studio(record, where)
    tokens = _first(record, TOKEN_KEYS, list)
    text = _first(record, TEXT_KEYS, str)
    if tokens is not None and all(isinstance(token, str) for token in tokens):
        return _of_tokens(record, list(tokens), where, tags, tag_keys)
    if text is None:
        raise SourceError(
            f"{where}: expected a text ({', '.join(TEXT_KEYS)}) or tokens ({', '.join(TOKEN_KEYS)}), "
            f"found the keys {', '.join(map(str, record))[:200] or 'none'}."
        )
    keys = SPAN_KEYS if tag_keys is TAG_KEYS else tag_keys
    lists = [record[key] for key in keys if isinstance(record.get(key), list)]
    spans: list[Entity] | None = None
    repairs: list[str] = []
    if isinstance(record.get("events"), list) and not lists:
        spans, repairs = _event_arguments(record["events"], text, where)
    elif isinstance(record.get("label"), Mapping):
        spans = list(_cluener_spans(record["label"], text, where))
    elif lists and record.get("answer") in ("reject", "ignore"):  # Prodigy
        raise SourceError(
            f"{where}: the annotator did not accept this record (answer {record['answer']!r}). Leave it out."
        )
    elif lists:
        # Tools export empty lists beside the one that they fill: doccano both entities and labels.
        spans = _in_text(next(filter(None, lists), lists[0]), text, where)
    return RawSentence([], spans, where, repairs, text)


def string_tags(record: Any, keys: Sequence[str] = TAG_KEYS) -> list[str] | None:
    """Return the string tags of a record of tokens, ``None`` if it has none."""
    tags = _first(record, keys, list) if isinstance(record, Mapping) else None
    return tags if tags and all(isinstance(tag, str) for tag in tags) else None


def with_tag_names(record: Any, names: TagNames, where: str, keys: Sequence[str] = TAG_KEYS) -> Any:
    """Return a record with its tags as names where they are numbers."""
    for key in keys if isinstance(record, Mapping) else ():
        tags = record.get(key)
        if isinstance(tags, list) and tags and all(isinstance(tag, int) for tag in tags):
            return {**record, key: [name_of(tag, names, where) for tag in tags]}
    return record


def name_of(tag: int, names: TagNames, where: str) -> str:
    """Return the name of a tag or label that is a number."""
    known = names if isinstance(names, Mapping) else dict(enumerate(names))
    if tag not in known and str(tag) not in known:
        raise SourceError(
            f"{where}: tag id {tag} is none of the {len(known)} ids of the tags. Mend the row or leave it out."
        )
    return known[tag] if tag in known else known[str(tag)]


def _of_tokens(
    record: Mapping[str, Any], tokens: list[str], where: str, reader: TagReader, tag_keys: Sequence[str]
) -> RawSentence:
    tags = string_tags(record, tag_keys)
    if tags is not None:
        if len(tags) != len(tokens):
            raise SourceError(
                f"{where}: {len(tokens)} tokens and {len(tags)} tags. Each token needs its tag."
            )
        try:
            entities, repairs = reader(tags)
        except TagError as error:
            raise SourceError(f"{where}: {error}. Name the scheme if it is another.") from None
        return RawSentence(tokens, entities, where, repairs)
    named = tag_keys is not TAG_KEYS
    entries = _first(record, tag_keys if named else SPAN_KEYS, list)
    values = _first(record, tag_keys, list)
    if values and (entries is None or (named and all(isinstance(value, int) for value in values))):
        raise SourceError(
            f"{where}: the tags are numbers. Write their names, such as B-PER, or pass tag_names=."
        )
    if entries is None:
        return RawSentence(tokens, None, where)
    spans, text = _parsed_spans(entries, where), _first(record, TEXT_KEYS, str)
    if text is None or not _hold_mentions(spans, text) or _hold_mentions(spans, tokens):
        repairs = []
        return RawSentence(tokens, _in_tokens(spans, tokens, where, repairs), where, repairs)
    sentence = onto_tokens(RawSentence([], _in_text(entries, text, where), where, text=text), tokens)
    if sentence is None:
        raise SourceError(
            f"{where}: the offsets count characters of a text in which the tokens are not found one after the "
            "other. Leave the tokens out, or mend them."
        )
    return sentence


def _label_studio(record: Mapping[str, Any], where: str) -> RawSentence:
    data = record["data"]
    fields = data.items() if isinstance(data, Mapping) else ()
    # A task may show several texts; the annotated one is mostly called so, else it comes first.
    texts = {key: value for key, value in fields if isinstance(value, str)}
    field = next((key for key in (*TEXT_KEYS, *texts) if key in texts), None)
    if field is None:
        raise SourceError(f"{where}: expected a text in data, found {data!r:.80}.")
    annotations = _objects(record.get("annotations", record.get("completions")), where)
    # Annotators contradict each other: the first that finished counts, the others are reported.
    done = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    regions: list[Any] = []
    repairs = [OTHER_ANNOTATORS] * (len(done) - 1)
    for region in _objects(done[0].get("result"), where) if done else ():
        value = region.get("value")
        if not isinstance(value, Mapping) or not {"start", "end"} <= value.keys():
            continue  # a relation, or a choice on the whole text
        if region.get("to_name") in texts.keys() - {field}:
            repairs.append(OTHER_FIELD)
        elif "labels" in value:
            regions.append(value)
        else:
            repairs.append(UNLABELLED)
    text = texts[field]
    return RawSentence([], _in_text(regions, text, where) if done else None, where, repairs, text)


def _event_arguments(events: Any, text: str, where: str) -> tuple[list[Entity], list[str]]:
    mentions = [
        mention
        for event in _objects(events, where)
        for mention in _objects(event.get("mentions"), where)
        if mention.get("role") != "trigger"
    ]
    with_span = [mention for mention in mentions if mention.get("span")]
    # A mention takes part in several events: its role in two of them is annotated once.
    spans = dict.fromkeys(_in_text(with_span, text, where))
    return list(spans), [NO_SPAN] * (len(mentions) - len(with_span))


def _cluener_spans(annotation: Mapping[str, Any], text: str, where: str) -> Iterator[Entity]:
    try:
        for label, surfaces in annotation.items():
            for surface, offsets in surfaces.items():
                for start, last in offsets:
                    if not 0 <= start <= last < len(text) or text[start : last + 1] != surface:
                        raise SourceError(
                            f"{where}: offsets [{start}, {last}] of {shown(label)} hold "
                            f"{shown(text[start : last + 1])}, expected {shown(surface)} (CLUENER ends are inclusive)."
                        )
                    yield Entity(start, last + 1, label)
    except SourceError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        raise SourceError(
            f'{where}: expected "label" as {{type: {{surface: [[start, end], …]}}}} ({error}).'
        ) from None


def _objects(value: Any, where: str) -> Iterator[Mapping[str, Any]]:
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, Mapping):
            raise SourceError(f"{where}: expected a list of objects, found {entry!r:.80} in it.")
        yield entry


def _parsed_spans(entries: Iterable[Any], where: str) -> list[_Span]:
    spans: list[_Span] = []
    for entry in entries:
        pair: Any = None
        labels = mention = None
        if isinstance(entry, Mapping):
            both = (_any(entry, START_KEYS), _any(entry, END_KEYS))
            # B2NERD: "pos" is a pair there, a part of speech elsewhere.
            lists = (entry.get(key) for key in ("span", "offsets", "pos"))
            pair = next((value for value in lists if value and not isinstance(value, str)), both)
            labels, mention = _any(entry, LABEL_KEYS), _any(entry, MENTION_KEYS)
        elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) >= 3:
            pair, labels = entry[:2], entry[2]
        labels = labels if isinstance(labels, list) else [labels]
        pair = pair if isinstance(pair, Sequence) else ()
        if [isinstance(place, int) for place in pair] != [True, True] or not all(
            isinstance(label, str) for label in labels
        ):
            raise SourceError(
                f"{where}: expected [start, end, label] or an object with integer offsets and a label, "
                f"found {entry!r:.80}."
            )
        spans.append((*pair, labels, mention))
    return spans


def _in_text(entries: Iterable[Any], text: str, where: str) -> list[Entity]:
    """Return spans of a text, ends exclusive, as Python counts characters."""
    entities = []
    for start, end, labels, mention in _parsed_spans(entries, where):
        # As written, with an inclusive end, in UTF-16 units: the first that holds the mention is meant.
        readings = [(start, end)]
        words = mention.split() if isinstance(mention, str) else []
        if words:
            readings += [(start, end + 1), *_of_utf16(start, end, text)]
        inside = [(first, last) for first, last in readings if 0 <= first < last <= len(text)]
        reading = next((r for r in inside if not words or text[slice(*r)].split() == words), None)
        if reading is None and labels:
            name = shown(", ".join(labels))
            if not 0 <= start < end <= len(text):
                raise SourceError(
                    f"{where}: {name} at [{start}, {end}) lies outside the text of {len(text)} characters "
                    "(ends are exclusive). Mend the offsets."
                )
            raise SourceError(
                f"{where}: offsets [{start}, {end}] of {name} hold {shown(text[start:end])}, "
                f"expected {shown(mention)}."
            )
        entities += [Entity(*reading, label) for label in labels if reading]
    return entities


def _of_utf16(start: int, end: int, text: str) -> Iterator[tuple[int, int]]:
    """Yield offsets in UTF-16 units as offsets in characters, where the two differ."""
    if 0 <= start < end and any(char > "\uffff" for char in text):
        units = text.encode("utf-16-le")
        first, last = (len(units[: 2 * unit].decode("utf-16-le", "ignore")) for unit in (start, end))
        yield first, last


def _in_tokens(spans: Iterable[_Span], tokens: list[str], where: str, repairs: list[str]) -> list[Entity]:
    """Return spans of tokens; a mention beside one tells whether its end is inclusive."""
    entities = []
    for start, end, labels, mention in spans:
        # Some tools repeat the label where others have the mention ("entity": "PER").
        words = _without_spaces(mention) if isinstance(mention, str) and mention.strip() not in labels else ""
        held = [
            last
            for last in ([end, end + 1] if words else ())
            if 0 <= start < last <= len(tokens) and _without_spaces(tokens[start:last]) == words
        ]
        if not held and not 0 <= start < end <= len(tokens):
            raise SourceError(
                f"{where}: {shown(', '.join(labels))} at tokens [{start}, {end}) lies outside the sentence of "
                f"{len(tokens)} tokens (ends are exclusive). Mend the offsets."
            )
        if words and not held:
            repairs.append(OTHER_MENTION)
        entities += [Entity(start, held[0] if held else end, label) for label in labels]
    return entities


def _hold_mentions(spans: Iterable[_Span], words: str | list[str]) -> bool:
    """Tell whether all spans repeat their mentions, and their offsets hold them in a text or among tokens."""
    return all(
        isinstance(mention, str)
        and 0 <= start < end <= len(words)
        and _without_spaces(words[start:end]) == _without_spaces(mention)
        for start, end, _, mention in spans
    )


def _without_spaces(words: str | list[str]) -> str:
    return "".join("".join(words).split())


def _any(entry: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((entry[key] for key in keys if entry.get(key) is not None), None)


def _first(record: Mapping[str, Any], keys: Iterable[str], kind: type) -> Any:
    return next((record[key] for key in keys if isinstance(record.get(key), kind)), None)
