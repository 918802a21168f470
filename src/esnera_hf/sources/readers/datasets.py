"""``Dataset`` and ``DatasetDict`` in the layouts met on the Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, product
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, LargeList, List, Value

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions, TagNames, column_name
from esnera_hf.sources.readers.records import (
    SPAN_KEYS,
    TAG_KEYS,
    TEXT_KEYS,
    TOKEN_KEYS,
    Record,
    RecordReader,
    name_of,
)
from esnera_hf.sources.readers.spans import LABEL_KEYS
from esnera_hf.sources.readings import Reading, choose_reading
from esnera_hf.sources.source import Reader
from esnera_hf.sources.splits import canonical_splits

#: Rows that are Python objects at a time: reading them one by one takes several times as long.
_BATCH = 1000


def reader_of(dataset: Dataset, place: str, options: ReadingOptions | None = None) -> Reader:
    """Return a reader for the rows of one split of a dataset, which messages call by its place.

    Four layouts are detected: token and tag columns, one row a sentence (tags
    as ``ClassLabel`` or strings, in any scheme); the same inside a list of
    structs, one row a document; token and span columns; a text column with
    spans of characters.

    Raises:
        SourceError: the columns fit no layout.
    """
    options = options or ReadingOptions()
    dataset = dataset.with_format(None)  # a user's may give tensors, or some of the columns
    features = dataset.features
    for name, option in (("token_column", options.token_column), ("tag_column", options.tag_column)):
        if option is not None and option not in {*features, *chain.from_iterable(_nests(features).values())}:
            raise SourceError(
                f"{place}: no column {option!r}, which {name}= names; expected one of {', '.join(features)}."
            )
    for nest, fields in [(None, features), *_nests(features).items()]:
        if columns := _tagged_columns(fields, options):
            return _tagged_reader(dataset, nest, columns, options, place)
    texts = [name for name in _names(options.token_column, TEXT_KEYS) if _is_string(features.get(name))]
    tokens = _token_columns(features, options)
    spans = next((name for name in SPAN_KEYS if _holds_spans(features.get(name))), None)
    if (texts or tokens) and spans:
        rows = dataset.select_columns([*tokens[:1], *texts[:1], spans])
        return RecordReader(partial(_spans, rows, spans, place), place, options)
    raise SourceError(
        f"{place}: expected a column of tokens ({', '.join(TOKEN_KEYS)}) with one of tags ({', '.join(TAG_KEYS)}; "
        f"ClassLabel or strings), or one of text with a list of {{start, end, label}}; found {dict(features)}. "
        f"{_advice(features, options)}"
    )


def _tagged_reader(
    dataset: Dataset, nest: str | None, columns: list[tuple[str, str]], options: ReadingOptions, place: str
) -> RecordReader:
    """Return a reader of the only pair of token and tag columns, or of the one that nothing speaks against."""
    readers = [
        RecordReader(partial(_tagged, dataset, nest, pair, options, place), place, options)
        for pair in columns
    ]
    readings = [
        Reading(
            f"tokens in {shown(token)}, tags in {shown(tag)}",
            f"token_column={token!r}, tag_column={tag!r}",
            reader,
        )
        for (token, tag), reader in zip(columns, readers, strict=True)
    ]
    chosen = choose_reading(place, readings)
    reader, (token, tag) = readers[chosen], columns[chosen]
    fields = dataset.features if nest is None else _nests(dataset.features)[nest]
    rest = ", ".join(shown(name) for name in fields if name not in (token, tag))
    inside = f" in {shown(nest)}" if nest else ""
    reader.layout = f"tokens: {shown(token)}{inside}\ntags: {shown(tag)}{inside}"
    reader.layout += f"\nnot read: {rest}" if rest else ""
    return reader


def _nests(features: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that are lists of structs, with the fields of these."""
    return {name: _items(column) for name, column in features.items() if isinstance(_items(column), dict)}


def _tagged_columns(fields: Mapping[str, Any], options: ReadingOptions) -> list[tuple[str, str]]:
    """Return the pairs of token and tag columns, by the names that are usual or that options give."""
    names = _names(options.tag_column, TAG_KEYS)
    tags = [name for name in names if _is_list_of_tags(fields.get(name), options.tag_names)]
    return [(token, tag) for tag in tags for token in _token_columns(fields, options) if token != tag]


def _token_columns(fields: Mapping[str, Any], options: ReadingOptions) -> list[str]:
    names = _names(options.token_column, TOKEN_KEYS)
    return [name for name in names if _is_string(_items(fields.get(name)))]


def _names(given: int | str | None, usual: tuple[str, ...]) -> tuple[str, ...]:
    return usual if given is None else (str(given),)


def _advice(features: Mapping[str, Any], options: ReadingOptions) -> str:
    """Return which columns of unusual names may be meant."""
    lists = [name for name, column in features.items() if _is_string(_items(column))]
    tags = [name for name, column in features.items() if _is_list_of_tags(column, options.tag_names)]
    tags = [name for name in tags if name not in lists] or list(lists[1:])
    named = (
        f"Name both columns, such as token_column={lists[0]!r}, tag_column={tags[0]!r}"
        if lists and tags
        else ""
    )
    return f"{named or 'Rename the columns'}; tags that are numbers without names need tag_names=."


def dataset_readers(dataset: DatasetDict, name: str, options: ReadingOptions) -> dict[str, Reader]:
    """Return a reader for each split of a ``DatasetDict``.

    Raises:
        SourceError: a split has an unusual name, or two have the same meaning.
        ConfigurationError: the tag column is given as a number.
    """
    for option in ("tag_column", "token_column"):
        column_name(options, option, "a dataset's columns")
    return {
        canonical: reader_of(dataset[split], f"{name}, split {split}", options)
        for canonical, split in canonical_splits(dataset, name).items()
    }


def _tagged(
    dataset: Dataset, nest: str | None, columns: tuple[str, str], options: ReadingOptions, place: str
) -> Iterator[Record]:
    """Yield the sentences of token and tag columns, with the names of their tags."""
    token_column, tag_column = columns
    features = dataset.features if nest is None else dataset.features[nest].feature
    inner = features[tag_column].feature
    names = inner.names if isinstance(inner, ClassLabel) else options.tag_names
    for index, row in enumerate(_rows(dataset.select_columns([nest] if nest else list(columns)))):
        where = f"{place}, row {index}"
        sentences = enumerate(row[nest] or ()) if nest else [("", row)]
        for number, sentence in sentences:
            at = f"{where}, sentence {number}" if nest else where
            tokens, tags = sentence[token_column], sentence[tag_column]
            for column, values in ((token_column, tokens), (tag_column, tags)):
                if values is None or None in values:
                    raise SourceError(
                        f"{at}: a value is missing in column {column!r}. Mend the row or leave it out."
                    )
            if tokens and not tags:  # else the record would count as one without annotation
                raise SourceError(f"{at}: {len(tokens)} tokens and 0 tags. Each token needs its tag.")
            if names is not None and not (tags and isinstance(tags[0], str)):
                tags = [name_of(tag, names, f"{at}, column {tag_column!r}") for tag in tags]
            yield {"tokens": tokens, "ner_tags": tags}, at, False


def _spans(dataset: Dataset, column: str, place: str) -> Iterator[Record]:
    """Yield the rows of text or tokens with spans, as objects with the names of their labels."""
    names = _span_label_names(dataset.features[column])
    for index, row in enumerate(_rows(dataset)):
        where = f"{place}, row {index}"
        row[column] = _as_objects(row[column], names, where)
        yield {key: value for key, value in row.items() if value is not None}, where, False


def _as_objects(value: Any, names: Sequence[str] | None, where: str) -> Any:
    """Return spans as a list of objects, where the column is a struct of lists too, with label names."""
    if isinstance(value, Mapping):
        lists = {key: fields or () for key, fields in value.items()}
        if len(set(map(len, lists.values()))) > 1:
            raise SourceError(
                f"{where}: the fields of the spans are lists of different lengths. Each span needs all of them."
            )
        value = [dict(zip(lists, span, strict=True)) for span in zip(*lists.values(), strict=True)]
    if names is not None:
        for span, key in product(value or (), LABEL_KEYS):
            if isinstance(span.get(key), int):
                span[key] = name_of(span[key], names, where)
    return value


def _span_label_names(feature: Any) -> list[str] | None:
    fields = _items(feature) or feature
    labels = [_items(fields.get(key)) or fields.get(key) for key in LABEL_KEYS]
    return next((list(label.names) for label in labels if isinstance(label, ClassLabel)), None)


def _rows(dataset: Dataset) -> Iterator[dict[str, Any]]:
    for batch in dataset.iter(_BATCH):
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(batch, values, strict=True))


def _items(feature: Any) -> Any:
    """Return the feature of the items of a list, ``None`` for what is no list."""
    return feature.feature if isinstance(feature, (List, LargeList)) else None


def _is_string(feature: Any) -> bool:
    return isinstance(feature, Value) and feature.dtype in ("string", "large_string")


def _is_list_of_tags(feature: Any, names: TagNames | None) -> bool:
    """Tell a list of strings or ``ClassLabel``; of plain numbers too, where their names are given."""
    inner = _items(feature)
    is_number = isinstance(inner, Value) and "int" in inner.dtype
    return _is_string(inner) or isinstance(inner, ClassLabel) or (is_number and names is not None)


def _holds_spans(feature: Any) -> bool:
    # datasets before 4.0 turned a list of structs into a struct of lists, and many files still are that.
    is_struct_of_lists = isinstance(feature, dict) and None not in map(_items, feature.values())
    return isinstance(_items(feature), dict) or is_struct_of_lists
