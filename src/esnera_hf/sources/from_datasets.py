"""``Dataset`` and ``DatasetDict`` in the layouts met on the Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from datasets import ClassLabel, Dataset, LargeList, List, Value

from esnera_hf.errors import SourceError
from esnera_hf.sources.offsets import to_tokens, written_without_spaces
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.records import LABEL_KEYS, SPAN_KEYS, TAG_KEYS, TEXT_KEYS, TOKEN_KEYS, read_record
from esnera_hf.sources.sentence import RawSentence, Reader
from esnera_hf.tagging import TagError, detect_scheme, entities_from_tags

_BATCH = 1000
_SNIFFED = 500

#: Yields a place for messages, the tokens and the tags (names or ids) of each sentence.
_TaggedRows = Iterator[tuple[str, Any, Any]]


def reader_of(dataset: Dataset, place: str, options: ReadingOptions | None = None) -> Reader:
    """Return a reader for the rows of a dataset.

    Four layouts are told apart: token and tag columns, one row a sentence (tags
    as ``ClassLabel`` or strings, in any scheme); the same inside a list of
    structs, one row a document; token and span columns; a text column with
    spans of characters.

    Args:
        dataset: one split.
        place: how messages call it.
        options: scheme and tag column, where they cannot be told.

    Raises:
        SourceError: the columns fit no layout.
    """
    options = options or ReadingOptions()
    dataset = dataset.with_format(None)
    features = dataset.features
    tags = TAG_KEYS if options.tag_column is None else (str(options.tag_column),)
    found = _token_and_tag_columns(features, tags)
    if found:
        return partial(_read_tags, dataset, None, found, options, place)
    for name, feature in features.items():
        if _is_list(feature) and isinstance(feature.feature, dict):
            found = _token_and_tag_columns(feature.feature, tags)
            if found:
                return partial(_read_tags, dataset, name, found, options, place)
    texts = [name for name in TEXT_KEYS if _is_string(features.get(name))]
    tokens = [name for name in TOKEN_KEYS if _is_list_of_strings(features.get(name))]
    spans = next((name for name in SPAN_KEYS if _holds_spans(features.get(name))), None)
    if (texts or tokens) and spans:
        return partial(_read_spans, dataset, (*tokens[:1], *texts[:1], spans), options, place)
    raise SourceError(
        f"{place}: expected a column of tokens ({', '.join(TOKEN_KEYS)}) with one of tags ({', '.join(tags)}; "
        f"ClassLabel or strings), or one of text with a list of {{start, end, label}}; found {dict(features)}. "
        "Rename the columns or pass tag_column=."
    )


def _token_and_tag_columns(features: Mapping[str, Any], tags: tuple[str, ...]) -> tuple[str, str] | None:
    token = next((name for name in TOKEN_KEYS if _is_list_of_strings(features.get(name))), None)
    tag = next((name for name in tags if name != token and _is_list_of_tags(features.get(name))), None)
    return (token, tag) if token and tag else None


def _read_tags(
    dataset: Dataset, nest: str | None, columns: tuple[str, str], options: ReadingOptions, place: str
) -> Iterator[RawSentence]:
    token_column, tag_column = columns
    features = dataset.features if nest is None else dataset.features[nest].feature
    names = _class_names(features[tag_column])
    decode = partial(_decode_row, names, column=tag_column)
    rows = partial(_sentence_rows, dataset, nest, columns, place)
    scheme = options.scheme or detect_scheme(decode(tags, where) for where, _, tags in rows())
    for where, tokens, encoded in rows():
        tags = decode(encoded, where)
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


def _sentence_rows(dataset: Dataset, nest: str | None, columns: tuple[str, str], place: str) -> _TaggedRows:
    token_column, tag_column = columns
    rows = _rows(dataset.select_columns([token_column, tag_column] if nest is None else [nest]))
    for index, row in enumerate(rows):
        if nest is None:
            yield f"{place}, row {index}", row[token_column], row[tag_column]
            continue
        for number, sentence in enumerate(row[nest] or ()):
            where = f"{place}, row {index}, sentence {number}"
            yield where, sentence[token_column], sentence[tag_column]


def _read_spans(
    dataset: Dataset, columns: tuple[str, ...], options: ReadingOptions, place: str
) -> Iterator[RawSentence]:
    names = _span_label_names(dataset.features[columns[-1]])
    selected = dataset.select_columns(list(columns))
    characters = options.characters
    if characters is None and columns[0] in TEXT_KEYS:
        sample = islice(_rows(selected), _SNIFFED)
        characters = written_without_spaces(row[columns[0]] or "" for row in sample)
    for index, row in enumerate(_rows(selected)):
        where = f"{place}, row {index}"
        spans = _as_objects(row[columns[-1]], names)
        record = {column: value for column, value in row.items() if value is not None}
        if spans is None:
            record.pop(columns[-1], None)
        else:
            record[columns[-1]] = spans
        found = read_record(record, where, options.scheme)
        sentence = found if isinstance(found, RawSentence) else to_tokens(found, characters=bool(characters))
        if sentence is not None and sentence.tokens:
            yield sentence


def _as_objects(value: Any, names: list[str] | None) -> Any:
    """Return spans as a list of objects, where the column is a struct of lists too, with label names."""
    if isinstance(value, Mapping):
        value = [dict(zip(value, fields, strict=True)) for fields in zip(*value.values(), strict=True)]
    if value is None or names is None:
        return value
    decoded = []
    for entry in value:
        key = next(key for key in LABEL_KEYS if isinstance(entry.get(key), int))
        decoded.append({**entry, key: names[entry[key]]})
    return decoded


def _span_label_names(feature: Any) -> list[str] | None:
    fields = feature.feature if _is_list(feature) else feature
    if not isinstance(fields, dict):
        return None
    for key in LABEL_KEYS:
        field: Any = fields.get(key)
        label = field.feature if _is_list(field) else field
        if isinstance(label, ClassLabel):
            return list(label.names)
    return None


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


def _is_list(feature: Any) -> bool:
    return isinstance(feature, (List, LargeList))


def _is_string(feature: Any) -> bool:
    return isinstance(feature, Value) and feature.dtype in ("string", "large_string")


def _is_list_of_strings(feature: Any) -> bool:
    return _is_list(feature) and _is_string(feature.feature)


def _is_list_of_tags(feature: Any) -> bool:
    return _is_list_of_strings(feature) or (_is_list(feature) and isinstance(feature.feature, ClassLabel))


def _holds_spans(feature: Any) -> bool:
    if _is_list(feature):
        return isinstance(feature.feature, dict)
    return isinstance(feature, dict) and all(_is_list(field) for field in feature.values())
