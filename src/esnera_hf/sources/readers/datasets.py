"""``Dataset`` and ``DatasetDict`` in the layouts met on the Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, LargeList, List, Value

from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.json import (
    LABEL_KEYS,
    SPAN_KEYS,
    TAG_KEYS,
    TEXT_KEYS,
    TOKEN_KEYS,
    name_of,
    read_record,
)
from esnera_hf.sources.readers.offsets import to_tokens, written_without_spaces
from esnera_hf.sources.readers.text import detect_entity_scheme
from esnera_hf.sources.source import RawSentence, Reader
from esnera_hf.sources.splits import canonical_split
from esnera_hf.tagging import Scheme, TagError, entities_from_tags

_BATCH = 1000
_SNIFFED = 500

#: Yields a place for messages, the tokens and the tags (names or ids) of each sentence.
_Encoded = Iterator[tuple[str, Any, Any]]


def reader_of(dataset: Dataset, place: str, options: ReadingOptions | None = None) -> Reader:
    """Return a reader for the rows of a dataset.

    Four layouts are detected: token and tag columns, one row a sentence (tags
    as ``ClassLabel`` or strings, in any scheme); the same inside a list of
    structs, one row a document; token and span columns; a text column with
    spans of characters.

    Args:
        dataset: one split.
        place: how messages call it.
        options: scheme and tag column, where they cannot be detected.

    Raises:
        SourceError: the columns fit no layout.
    """
    options = options or ReadingOptions()
    dataset = dataset.with_format(None)
    features = dataset.features
    tags = TAG_KEYS if options.tag_column is None else (str(options.tag_column),)
    numbers = options.tag_names is not None
    columns = _token_and_tag_columns(features, tags, numbers)
    if columns:
        return _TaggedRows(dataset, None, columns, options, place)
    for name, feature in features.items():
        if _is_list(feature) and isinstance(feature.feature, dict):
            columns = _token_and_tag_columns(feature.feature, tags, numbers)
            if columns:
                return _TaggedRows(dataset, name, columns, options, place)
    texts = [name for name in TEXT_KEYS if _is_string(features.get(name))]
    tokens = [name for name in TOKEN_KEYS if _is_list_of_strings(features.get(name))]
    spans = next((name for name in SPAN_KEYS if _holds_spans(features.get(name))), None)
    if (texts or tokens) and spans:
        return partial(_read_spans, dataset, (*tokens[:1], *texts[:1], spans), options, place)
    raise SourceError(
        f"{place}: expected a column of tokens ({', '.join(TOKEN_KEYS)}) with one of tags ({', '.join(tags)}; "
        f"ClassLabel or strings), or one of text with a list of {{start, end, label}}; found {dict(features)}. "
        "Rename the columns or pass tag_column=; tags that are numbers without names need tag_names=."
    )


def dataset_readers(
    dataset: DatasetDict, name: str, options: ReadingOptions
) -> tuple[dict[str, Reader], list[str]]:
    """Return a reader for each split of a ``DatasetDict``.

    Raises:
        SourceError: a split has an unusual name, or two have the same meaning.
        ConfigurationError: the tag column is given as a number.
    """
    if isinstance(options.tag_column, int):
        raise ConfigurationError(
            f"tag_column={options.tag_column}: a dataset's columns have names, not numbers. Give the name."
        )
    readers: dict[str, Reader] = {}
    for split, rows in dataset.items():
        canonical = canonical_split(split) or ("train" if len(dataset) == 1 else None)
        if canonical is None or canonical in readers:
            raise SourceError(
                f"{name}: split {split!r} is none of train, validation, test (or dev, devel, valid), "
                "or one of them twice. Rename or leave out splits: DatasetDict({'train': …, 'test': …})."
            )
        readers[canonical] = reader_of(rows, f"{name}, split {split}", options)
    return readers, []


def _token_and_tag_columns(
    features: Mapping[str, Any], tags: tuple[str, ...], numbers: bool
) -> tuple[str, str] | None:
    token = next((name for name in TOKEN_KEYS if _is_list_of_strings(features.get(name))), None)
    tag = next(
        (name for name in tags if name != token and _is_list_of_tags(features.get(name), numbers)), None
    )
    return (token, tag) if token and tag else None


class _TaggedRows:
    """The sentences of token and tag columns, read from the first row each time it is called."""

    def __init__(
        self,
        dataset: Dataset,
        nest: str | None,
        columns: tuple[str, str],
        options: ReadingOptions,
        place: str,
    ) -> None:
        self._rows = dataset.select_columns(list(columns) if nest is None else [nest])
        self._nest = nest
        self._tokens, self._tags = columns
        self._scheme = options.scheme
        self._place = place
        features = dataset.features if nest is None else dataset.features[nest].feature
        self._names = _class_names(features[self._tags]) or options.tag_names

    @cached_property
    def scheme(self) -> Scheme:
        """The tagging scheme, told from all tags."""
        return self._scheme or detect_entity_scheme(
            (self._decoded(tags, where) for where, _, tags in self._sentences()), self._place
        )

    def __call__(self) -> Iterator[RawSentence]:
        for where, tokens, encoded in self._sentences():
            tags = self._decoded(encoded, where)
            if tokens is None or None in tokens:
                raise SourceError(
                    f"{where}: no token in column {self._tokens!r}. Mend the row or leave it out."
                )
            if len(tokens) != len(tags):
                raise SourceError(
                    f"{where}: {len(tokens)} tokens and {len(tags)} tags. Each token needs its tag."
                )
            try:
                spans, repairs = entities_from_tags(tags, self.scheme)
            except TagError as error:
                raise SourceError(f"{where}: {error}. Pass scheme= if it is another.") from None
            if tokens:
                yield RawSentence(tokens, spans, where, [repair.kind for repair in repairs])

    def _sentences(self) -> _Encoded:
        for index, row in enumerate(_rows(self._rows)):
            where = f"{self._place}, row {index}"
            if self._nest is None:
                yield where, row[self._tokens], row[self._tags]
                continue
            for number, sentence in enumerate(row[self._nest] or ()):
                yield f"{where}, sentence {number}", sentence[self._tokens], sentence[self._tags]

    def _decoded(self, tags: list[Any] | None, where: str) -> list[str]:
        if tags is None:
            raise SourceError(f"{where}: no tags in column {self._tags!r}. Expected one for each token.")
        if None in tags:
            raise SourceError(
                f"{where}: a tag is missing in column {self._tags!r}. Mend the row or leave it out."
            )
        if self._names is None or (tags and isinstance(tags[0], str)):
            return tags
        return [name_of(tag, self._names, f"{where}, column {self._tags!r}") for tag in tags]


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
        spans = _as_objects(row[columns[-1]], names, where)
        record = {column: value for column, value in row.items() if value is not None}
        if spans is None:
            record.pop(columns[-1], None)
        else:
            record[columns[-1]] = spans
        read = read_record(record, where, options.scheme)
        sentence = read if isinstance(read, RawSentence) else to_tokens(read, characters=bool(characters))
        if sentence is not None and sentence.tokens:
            yield sentence


def _as_objects(value: Any, names: Sequence[str] | None, where: str) -> Any:
    """Return spans as a list of objects, where the column is a struct of lists too, with label names."""
    if isinstance(value, Mapping):
        if len({len(fields or ()) for fields in value.values()}) > 1:
            raise SourceError(
                f"{where}: the fields of the spans are lists of different lengths. Each span needs all of them."
            )
        value = [
            dict(zip(value, fields, strict=True))
            for fields in zip(*(fields or () for fields in value.values()), strict=True)
        ]
    if value is None or names is None:
        return value
    return [
        {
            key: name_of(v, names, where) if key in LABEL_KEYS and isinstance(v, int) else v
            for key, v in e.items()
        }
        for e in value
    ]


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


def _class_names(feature: Any) -> list[str] | None:
    return list(feature.feature.names) if isinstance(feature.feature, ClassLabel) else None


def _is_list(feature: Any) -> bool:
    return isinstance(feature, (List, LargeList))


def _is_string(feature: Any) -> bool:
    return isinstance(feature, Value) and feature.dtype in ("string", "large_string")


def _is_list_of_strings(feature: Any) -> bool:
    return _is_list(feature) and _is_string(feature.feature)


def _is_list_of_tags(feature: Any, numbers: bool) -> bool:
    """Tell a list of strings or ``ClassLabel``; of plain numbers too, where their names are given."""
    if not _is_list(feature):
        return False
    inner = feature.feature
    return (
        _is_string(inner)
        or isinstance(inner, ClassLabel)
        or (numbers and isinstance(inner, Value) and "int" in inner.dtype)
    )


def _holds_spans(feature: Any) -> bool:
    if _is_list(feature):
        return isinstance(feature.feature, dict)
    return isinstance(feature, dict) and all(_is_list(field) for field in feature.values())
