"""``Dataset`` and ``DatasetDict`` in the layouts met on the Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from datasets import ClassLabel, Dataset, LargeList, List, Value

from esnera_hf.errors import SourceError
from esnera_hf.sources.sentence import RawSentence, Reader
from esnera_hf.tagging import Entity, Scheme, TagError, detect_scheme, entities_from_tags

TOKEN_COLUMNS = ("tokens", "words", "token", "chars")
TAG_COLUMNS = ("ner_tags", "ner", "tags", "labels", "named_entities", "ner_labels")
TEXT_COLUMNS = ("text", "sentence", "content")
SPAN_COLUMNS = ("entities", "spans", "labels", "label")
_START_KEYS = ("start", "start_offset", "begin")
_END_KEYS = ("end", "end_offset")
_LABEL_KEYS = ("label", "type", "entity_group", "entity_type", "tag")
_BATCH = 1000


def reader_of(
    dataset: Dataset, place: str, *, tag_column: str | None = None, scheme: Scheme | None = None
) -> Reader:
    """Return a reader for the rows of a dataset.

    Two layouts are told apart: token and tag columns (tags as ``ClassLabel``
    or strings, in any scheme), and a text column with a list of character
    spans (exclusive ends), whose tokens are then its characters.

    Args:
        dataset: one split.
        place: how messages call it.
        tag_column: the column with the tags where its name is not a usual one.
        scheme: the tagging scheme where it cannot be told.

    Raises:
        SourceError: the columns fit neither layout.
    """
    dataset = dataset.with_format(None)
    features = dataset.features
    tokens = next((name for name in TOKEN_COLUMNS if _is_list_of_strings(features.get(name))), None)
    candidates = TAG_COLUMNS if tag_column is None else (tag_column,)
    tags = next((name for name in candidates if _is_list_of_tags(features.get(name))), None)
    if tokens and tags:
        return partial(_read_tags, dataset, (tokens, tags), scheme, place)
    text = next((name for name in TEXT_COLUMNS if _is_string(features.get(name))), None)
    spans = next((name for name in SPAN_COLUMNS if _is_list_of_structs(features.get(name))), None)
    if text and spans:
        return partial(_read_spans, dataset, text, spans, place)
    raise SourceError(
        f"{place}: expected a column of tokens ({', '.join(TOKEN_COLUMNS)}) with one of tags "
        f"({', '.join(candidates)}; ClassLabel or strings), or one of text with a list of "
        f"{{start, end, label}}; found {dict(features)}. Rename the columns or pass tag_column=."
    )


def _read_tags(
    dataset: Dataset, columns: tuple[str, str], scheme: Scheme | None, place: str
) -> Iterator[RawSentence]:
    token_column, tag_column = columns
    names = _class_names(dataset.features[tag_column])
    decode = partial(_decode_row, names, column=tag_column)
    if scheme is None:
        rows = _rows(dataset.select_columns([tag_column]))
        scheme = detect_scheme(decode(row[tag_column], f"{place}, row {i}") for i, row in enumerate(rows))
    for index, row in enumerate(_rows(dataset.select_columns([token_column, tag_column]))):
        where = f"{place}, row {index}"
        tags, tokens = decode(row[tag_column], where), row[token_column]
        if tokens is None or None in tokens:
            raise SourceError(f"{where}: no token in column {token_column!r}. Mend the row or leave it out.")
        if len(tokens) != len(tags):
            raise SourceError(
                f"{where}: {len(tokens)} tokens and {len(tags)} tags. Each token needs its tag."
            )
        try:
            spans, repairs = entities_from_tags(tags, scheme)
        except TagError as error:
            raise SourceError(f"{where}: {error}. Pass scheme= if it is another.") from None
        if tokens:
            yield RawSentence(tokens, spans, where, [repair.kind for repair in repairs])


def _read_spans(dataset: Dataset, text_column: str, span_column: str, place: str) -> Iterator[RawSentence]:
    for index, row in enumerate(_rows(dataset.select_columns([text_column, span_column]))):
        where = f"{place}, row {index}"
        text, annotation = row[text_column], row[span_column]
        spans = None if annotation is None else [_span(entry, text, where) for entry in annotation]
        if text:
            yield RawSentence(list(text), spans, where)


def _span(entry: Mapping[str, Any], text: str, where: str) -> Entity:
    start, end, label = (
        next((entry[key] for key in keys if entry.get(key) is not None), None)
        for keys in (_START_KEYS, _END_KEYS, _LABEL_KEYS)
    )
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(label, str):
        raise SourceError(f"{where}: expected an entity with start, end and label, found {dict(entry)}.")
    if not 0 <= start < end <= len(text):
        raise SourceError(
            f"{where}: {label!r} at [{start}, {end}) lies outside the text of {len(text)} characters."
        )
    return Entity(start, end, label)


def _rows(dataset: Dataset) -> Iterator[dict[str, Any]]:
    for batch in dataset.iter(_BATCH):
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(batch, values, strict=True))


def _decode_row(names: list[str] | None, tags: list[Any] | None, place: str, *, column: str) -> list[str]:
    if tags is None:
        raise SourceError(f"{place}: no tags in column {column!r}. Expected one for each token.")
    for tag in tags:
        if tag is None:
            raise SourceError(
                f"{place}: a tag is missing in column {column!r}. Mend the row or leave it out."
            )
        if names is not None and not 0 <= tag < len(names):
            raise SourceError(
                f"{place}, column {column!r}: tag id {tag} is none of the {len(names)} ids of the "
                "ClassLabel. Mend the row or leave it out."
            )
    return tags if names is None else [names[tag] for tag in tags]


def _class_names(feature: Any) -> list[str] | None:
    return list(feature.feature.names) if isinstance(feature.feature, ClassLabel) else None


def _is_string(feature: Any) -> bool:
    return isinstance(feature, Value) and feature.dtype in ("string", "large_string")


def _is_list_of_strings(feature: Any) -> bool:
    return isinstance(feature, List | LargeList) and _is_string(feature.feature)


def _is_list_of_tags(feature: Any) -> bool:
    return _is_list_of_strings(feature) or (
        isinstance(feature, List | LargeList) and isinstance(feature.feature, ClassLabel)
    )


def _is_list_of_structs(feature: Any) -> bool:
    return isinstance(feature, List | LargeList) and isinstance(feature.feature, dict)
