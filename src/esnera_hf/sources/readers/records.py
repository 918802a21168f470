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
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions, TagNames
from esnera_hf.sources.readers.counting import Counting, WrittenSpan, counting_of
from esnera_hf.sources.readers.counting_choice import choose_counting, choose_token_counting
from esnera_hf.sources.readers.label_studio import NOT_ACCEPTED, annotator_of, objects, read_task
from esnera_hf.sources.readers.offsets import onto_tokens, to_tokens, written_without_spaces
from esnera_hf.sources.readers.spans import first_of, join_pieces, names_pieces, with_spans, written_spans
from esnera_hf.sources.readers.tags import USUAL_TAGS, TagReader, detect_tags
from esnera_hf.sources.readers.text import UNDECODABLE
from esnera_hf.sources.readers.tool_records import as_plain_record
from esnera_hf.sources.readings import Reading, choose_reading
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

TEXT_KEYS = ("text", "content", "sentence", "data")
TOKEN_KEYS = ("tokens", "words", "chars", "token")
TAG_KEYS = ("ner_tags", "tags", "ner", "named_entities", "ner_labels", "labels")
SPAN_KEYS = ("entities", "spans", "labels", "label", "ents", "annotations", "ner")

FURTHER_SPANS = "further list of spans beside the one read"
NO_SPAN = "event argument without a span, not read"

#: Records that scheme and script are detected from.
_SNIFFED = 500

#: What Label Studio's JSON_MIN has in a record that somebody annotated, even if there was nothing to annotate.
_DONE_KEYS = ("annotation_id", "lead_time")

#: A parsed value, its place for messages, and whether bytes of it were not UTF-8.
Record = tuple[Any, str, bool]


class RecordReader:
    """Reads records from the first one each time it is called.

    Each record may have a shape of its own (:func:`read_record`). Texts are cut into
    characters where the script is written without spaces, into words elsewhere.

    Args:
        records: yields the records.
        place: their file, whose folder is left out of the places of sentences, or what messages call the place.
        options: tagging scheme, characters or words, where they cannot be detected.
        tag_keys: names of tags or spans, if not the usual ones.
    """

    #: What its keys or columns are for, where they were chosen among several.
    layout = ""

    def __init__(
        self,
        records: Callable[[], Iterator[Record]],
        place: str | Path,
        options: ReadingOptions,
        tag_keys: Sequence[str] = TAG_KEYS,
    ) -> None:
        self._raw_records, self._place, self._options = records, str(place), options
        self._tag_keys = tag_keys
        self._folder = str(place)[: -len(place.name)] if isinstance(place, Path) else ""

    def _records(self) -> Iterator[Record]:
        for value, where, damaged in self._raw_records():
            yield as_plain_record(value, where, self._options.format), where, damaged

    @cached_property
    def _sample(self) -> list[Record]:
        return list(islice(self._records(), _SNIFFED))

    @cached_property
    def _objects(self) -> list[Mapping[str, Any]]:
        return [value for value, _, _ in self._sample if isinstance(value, Mapping)]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the first records, in their order."""
        return tuple(dict.fromkeys(str(key) for record in self._objects for key in record))

    @cached_property
    def tags(self) -> TagReader:
        """What reads string tags, told from all of them; that of ``IOB2`` where the first records have none."""
        if not any(string_tags(value, self._tag_keys) for value, _, _ in self._sample):
            return USUAL_TAGS

        def tags() -> Iterator[Sequence[str]]:
            return (string_tags(value, self._tag_keys) or () for value, _, _ in self._records())

        def sentences(reader: TagReader) -> Iterator[RawSentence]:
            read = (read_record(value, where, reader, self._tag_keys) for value, where, _ in self._records())
            return (sentence for sentence in read if sentence is not None)

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
        return written_without_spaces(record.text for record in self._read_sample if not record.tokens)

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences; an error names the place of a record that cannot be read."""
        # What is left out is counted with the sentence behind it, at the end with the last one.
        waiting: RawSentence | None = None
        left_out: list[str] = []
        for sentence in self._sentences():
            if sentence.repairs == [NOT_ACCEPTED]:
                left_out.append(NOT_ACCEPTED)
                continue
            if waiting is not None:
                yield waiting
            waiting, left_out = replace(sentence, repairs=[*sentence.repairs, *left_out]), []
        if waiting is not None:
            waiting.repairs += left_out
            yield waiting

    def _sentences(self) -> Iterator[RawSentence]:
        for value, where, damaged in self._records():
            sentence = self._read(value, where)
            if sentence is None:
                continue
            counting = self._countings[bool(sentence.tokens)]
            sentence = with_spans(sentence, counting, stated=self._options.offsets is not None)
            if self._are_pieces:
                sentence = join_pieces(sentence)
            if sentence.text and not sentence.tokens:
                in_words = onto_tokens(sentence, sentence.words) if sentence.words else None
                sentence = in_words or to_tokens(sentence, characters=self.characters)
            if sentence.tokens:
                sentence.where = where.removeprefix(self._folder)
                sentence.repairs.extend([UNDECODABLE] * damaged)
            if sentence.tokens or sentence.repairs == [NOT_ACCEPTED]:
                yield sentence

    def _read(self, value: Any, where: str) -> RawSentence | None:
        annotator = self._options.annotator
        if annotator is not None and annotator_of(value) not in (None, annotator):
            return None
        sentence = read_record(value, where, self.tags, self._tag_keys, self._span_keys, annotator)
        values = value if isinstance(value, Mapping) else {}
        if sentence is not None and any(holds_spans(values.get(key)) for key in self._further_keys):
            sentence.repairs.append(FURTHER_SPANS)
        return sentence

    @cached_property
    def _read_sample(self) -> list[RawSentence]:
        records = [record for value, where, _ in self._sample if (record := self._read(value, where))]
        if self._options.annotator is None:
            _check_annotators(self._sample, self._place)
        return records

    @cached_property
    def _countings(self) -> tuple[Counting, Counting]:
        """How the offsets of records with a text count, and those of records with tokens."""
        if self._options.offsets is not None:
            return (counting_of(self._options.offsets),) * 2
        with_tokens = [record for record in self._read_sample if record.tokens]
        with_text = [record for record in self._read_sample if not record.tokens]
        return choose_counting(with_text, self._place), choose_token_counting(with_tokens, self._place)

    @cached_property
    def _are_pieces(self) -> bool:
        spans = (span for record in self._read_sample for span in record.written or ())
        return names_pieces(label for span in spans for label in span.labels)

    @cached_property
    def _filled_keys(self) -> tuple[str, ...]:
        return tuple(key for key in SPAN_KEYS if any(holds_spans(value.get(key)) for value in self._objects))

    @cached_property
    def _span_keys(self) -> Sequence[str]:
        """The keys that may hold the spans: one that does, and with it those that tools leave empty beside it."""
        if self._tag_keys is not TAG_KEYS:
            return self._tag_keys
        filled = self._filled_keys
        if not filled:
            return SPAN_KEYS
        # Records of several shapes in one file, of which none has two of the keys, leave nothing to choose.
        if all(sum(isinstance(value.get(key), list) for key in filled) < 2 for value in self._objects):
            others = [key for key in SPAN_KEYS if not any(value.get(key) for value in self._objects)]
            return (*filled, *others)
        if SPAN_KEYS[0] in filled:
            return SPAN_KEYS[:1]
        readers = [RecordReader(self._records, self._place, self._options, (key,)) for key in filled]
        readings = [
            Reading(f"spans under {key!r}", f"tag_column={key!r}", reader)
            for key, reader in zip(filled, readers, strict=True)
        ]
        return (filled[choose_reading(self._place, readings)],)

    @cached_property
    def _further_keys(self) -> set[str]:
        return {*self._filled_keys} - {*self._span_keys} if self._tag_keys is TAG_KEYS else set()


def holds_spans(value: Any) -> bool:
    """Tell a list of what could be spans: objects, or lists of offsets and label."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, Mapping) or (isinstance(first, (list, tuple)) and len(first) >= 3)


def _check_annotators(sample: Sequence[Record], place: str) -> None:
    """Check that no text was annotated by several people, one record each."""
    annotators: dict[str, set[str]] = {}
    for value, _, _ in sample:
        if (name := annotator_of(value)) is not None:
            text = first_of(value, (*TEXT_KEYS, *TOKEN_KEYS))
            annotators.setdefault(str(text), set()).add(name)
    several = next((sorted(names) for names in annotators.values() if len(names) > 1), None)
    if several:
        raise SourceError(
            f"{place}: the same text is annotated by {', '.join(several)}. Say whose annotation counts: annotator=."
        )


def read_record(
    record: Any,
    where: str,
    tags: TagReader = USUAL_TAGS,
    tag_keys: Sequence[str] = TAG_KEYS,
    span_keys: Sequence[str] = SPAN_KEYS,
    annotator: str | None = None,
) -> RawSentence | None:
    """Read one record in one of the shapes above, with its spans as they are written.

    It is parsed JSON, or a row of a dataset. Of the keys of spans, the first that fits counts. ``None`` if it is not
    annotated by the annotator that counts.

    Raises:
        SourceError: the record has another shape.
    """
    if isinstance(record, Sequence) and not isinstance(record, str) and len(record) == 2:
        text, annotation = record
        record = {"text": text, **(annotation if isinstance(annotation, Mapping) else {"spans": annotation})}
    if not isinstance(record, Mapping):
        raise SourceError(f"{where}: expected an object with text and spans, found {record!r:.80}.")
    if record.get("answer") in ("reject", "ignore"):  # Prodigy
        return RawSentence([], None, where, [NOT_ACCEPTED])
    if not isinstance(record.get("data", ""), str) and ("annotations" in record or "completions" in record):
        return read_task(record, where, TEXT_KEYS, annotator)
    lists = [record[key] for key in span_keys if isinstance(record.get(key), list)]
    # Tools export empty lists beside the one that they fill: doccano both entities and labels.
    entries = next(filter(None, lists), lists[0] if lists else None)
    tokens = _first(record, TOKEN_KEYS, list)
    text = _first(record, TEXT_KEYS, str)
    if tokens is None and text is None:  # tokens under the name of the text, if each has its tag
        tokens = _first(record, TEXT_KEYS, list)
        if tokens is not None and len(string_tags(record, tag_keys) or ()) != len(tokens):
            tokens = None
    if tokens is not None and all(isinstance(token, str) for token in tokens):
        return _of_tokens(record, list(tokens), where, tags, tag_keys, entries)
    if text is None:
        raise SourceError(
            f"{where}: expected a text ({', '.join(TEXT_KEYS)}) or tokens ({', '.join(TOKEN_KEYS)}), "
            f"found the keys {', '.join(map(str, record))[:200] or 'none'}."
        )
    spans: list[Entity] | None = None
    written: list[WrittenSpan] | None = None
    repairs: list[str] = []
    if isinstance(record.get("events"), list) and entries is None:
        written, repairs = _event_arguments(record["events"], where)
    elif isinstance(record.get("label"), Mapping):
        spans = list(_cluener_spans(record["label"], text, where))
    elif entries is not None:
        written = written_spans(entries, where)
    elif record.get("answer") == "accept" or first_of(record, _DONE_KEYS) is not None:
        written = []
    return RawSentence([], spans, where, repairs, text, written)


def string_tags(record: Any, keys: Sequence[str] = TAG_KEYS) -> list[str] | None:
    """Return the string tags of a record of tokens, ``None`` if it has none."""
    if not isinstance(record, Mapping) or _first(record, (*TOKEN_KEYS, *TEXT_KEYS), list) is None:
        return None
    tags = _first(record, keys, list)
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
    by_id = dict[Any, str](names if isinstance(names, Mapping) else enumerate(names))
    if tag not in by_id and str(tag) not in by_id:
        raise SourceError(
            f"{where}: tag id {tag} is none of the {len(by_id)} ids of the tags. Mend the row or leave it out."
        )
    return by_id[tag] if tag in by_id else by_id[str(tag)]


def _of_tokens(
    record: Mapping[str, Any],
    tokens: list[str],
    where: str,
    reader: TagReader,
    tag_keys: Sequence[str],
    entries: list[Any] | None,
) -> RawSentence:
    tags = string_tags(record, tag_keys)
    if tags is not None and not (len(tags) != len(tokens) and holds_spans(entries)):
        if len(tags) != len(tokens):
            raise SourceError(
                f"{where}: {len(tokens)} tokens and {len(tags)} tags. Each token needs its tag."
            )
        entities, repairs = reader.read(tags, where)
        return RawSentence(tokens, entities, where, repairs)
    values = _first(record, tag_keys, list)
    if values and not (entries and holds_spans(entries)) and not isinstance(values[0], (str, Mapping, list)):
        raise SourceError(
            f"{where}: the tags are numbers. Write their names, such as B-PER, or pass tag_names=."
        )
    if entries is None:
        return RawSentence(tokens, None, where)
    text = _first(record, TEXT_KEYS, str) or ""
    return RawSentence(tokens, None, where, text=text, written=written_spans(entries, where))


def _event_arguments(events: Any, where: str) -> tuple[list[WrittenSpan], list[str]]:
    mentions = [
        mention
        for event in objects(events, where)
        for mention in objects(event.get("mentions"), where)
        if mention.get("role") != "trigger"
    ]
    with_span = [mention for mention in mentions if mention.get("span")]
    # A mention takes part in several events: its role in two of them is annotated once.
    spans = {(span.start, span.end, *span.labels): span for span in written_spans(with_span, where)}
    return list(spans.values()), [NO_SPAN] * (len(mentions) - len(with_span))


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


def _first(record: Mapping[str, Any], keys: Iterable[str], kind: type) -> Any:
    return next((record[key] for key in keys if isinstance(record.get(key), kind)), None)
