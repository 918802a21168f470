"""Counts and digests of datasets, worked out on Arrow arrays, a batch at a time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, load_from_disk
from datasets.exceptions import DatasetsError
from numpy.typing import NDArray

from esnera_hf._internal.checks import from_plain
from esnera_hf._internal.json import read_json
from esnera_hf.errors import EsneraError

#: What files and tables of a stranger make pyarrow and datasets raise.
DAMAGED_ARROW = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    pa.ArrowException,
    DatasetsError,
)
#: Rows at a time. The fingerprint of a dataset depends on it.
_BATCH = 10_000


def batches(rows: Dataset, *columns: str) -> Iterator[list[Any]]:
    """Yield some columns as Arrow arrays, a batch at a time."""
    if len(rows):
        for table in rows.select_columns(list(columns)).with_format("arrow").iter(batch_size=_BATCH):
            yield [table[name].combine_chunks() for name in columns]


def list_offsets(lists: Any) -> NDArray[np.int64]:
    """Return where the items of each list begin among all of them, and their number."""
    ends = np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False), dtype=np.int64)
    return np.concatenate([np.zeros(1, dtype=np.int64), ends])


def count_entities(rows: Dataset) -> Counter[tuple[str, str, str]]:
    """Count the entities of a split by source, label and origin, which is empty where there is no such column.

    Counts the tags that begin with ``B-``, texts or ids: in IOB2 one per entity.
    """
    columns = [name for name in ("source", "ner_tags", "origin") if name in rows.column_names]
    counts: Counter[tuple[str, str, str]] = Counter()
    for source, tags, *origins in batches(rows, *columns):
        names, tag = _encoded(rows, "ner_tags", pc.list_flatten(tags))
        begins = np.array([name.startswith("B-") for name in names], dtype=bool)[tag]
        sources, owner = _encoded(rows, "source", source)
        owner = np.repeat(owner, np.diff(list_offsets(tags)))
        kinds, kind = [""], np.zeros(len(tag), dtype=np.int64)
        for values in origins:
            kinds, kind = _encoded(rows, "origin", pc.list_flatten(values))
        # Source, label and origin in one number, so that NumPy counts them at once.
        codes = ((owner * len(names) + tag) * len(kinds) + kind)[begins]
        for code, count in zip(*map(np.ndarray.tolist, np.unique(codes, return_counts=True)), strict=True):
            place, origin = divmod(code, len(kinds))
            counts[sources[place // len(names)], names[place % len(names)][2:], kinds[origin]] += count
    return counts


def count_labels(rows: Dataset) -> Counter[str]:
    """Count the entities of a split by label."""
    counts: Counter[str] = Counter()
    for (_, label, _), count in count_entities(rows).items():
        counts[label] += count
    return counts


def _encoded(rows: Dataset, column: str, values: Any) -> tuple[list[str], NDArray[np.int64]]:
    """Return the texts that a column may hold, and the position of each value's text."""
    names = _class_names(rows.features[column])
    if names is not None:
        return names, values.to_numpy(zero_copy_only=False).astype(np.int64)
    encoded = values.dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def count_sentences_and_tokens(rows: Dataset) -> tuple[Counter[str], Counter[str]]:
    """Count the sentences and the tokens of a split by source."""
    sentences: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for source, lists in batches(rows, "source", "ner_tags"):
        names, owner = _encoded(rows, "source", source)
        lengths = np.diff(list_offsets(lists))
        for counts, weights in ((sentences, None), (tokens, lengths)):
            totals = np.bincount(owner, weights, len(names)).astype(np.int64)
            counts.update(dict(zip(names, totals.tolist(), strict=True)))
    return sentences, tokens


class Statistics:
    """Counts of a merged dataset; all of them by split and source first.

    Attributes:
        splits: the splits.
        sentences, tokens: by split and source.
        entities: by split, source, unified label and origin (``gold``, ``pseudo``).
    """

    def __init__(self, merged: DatasetDict) -> None:
        self.splits = tuple(merged)
        self.sentences: Counter[tuple[str, str]] = Counter()
        self.tokens: Counter[tuple[str, str]] = Counter()
        self.entities: Counter[tuple[str, str, str, str]] = Counter()
        for split, rows in merged.items():
            sentences, tokens = count_sentences_and_tokens(rows)
            self.sentences.update({(split, source): count for source, count in sentences.items()})
            self.tokens.update({(split, source): count for source, count in tokens.items()})
            self.entities.update({(split, *key): count for key, count in count_entities(rows).items()})

    def count(
        self,
        *,
        split: str | None = None,
        source: str | None = None,
        label: str | None = None,
        origin: str | None = None,
    ) -> int:
        """Count the entities that fit all arguments."""
        wanted = (split, source, label, origin)
        return sum(
            count
            for key, count in self.entities.items()
            if all(want is None or want == part for want, part in zip(wanted, key, strict=True))
        )

    @property
    def sources(self) -> list[str]:
        """The sources that have a sentence in it, sorted."""
        return sorted({source for _, source in self.sentences})


def text_digests(rows: Dataset, seed: int, size: int) -> NDArray[np.uint64]:
    """Return a seeded digest of each sentence's text, of so many bytes, a multiple of 8. shape: (rows, size / 8)"""
    digests = np.empty((len(rows), size // 8), dtype=np.uint64)
    seeded = hashlib.blake2b(f"{seed}\n".encode(), digest_size=size)
    start = 0
    for (tokens,) in batches(rows, "tokens"):
        for number, text in enumerate(pc.binary_join(tokens, "\x1f").to_pylist(), start):
            digest = seeded.copy()
            digest.update(text.encode("utf-8", "surrogatepass"))
            digests[number] = np.frombuffer(digest.digest(), dtype=">u8")
        start += len(tokens)
    return digests


def rows_with_ids(rows: Dataset, ids: Set[str]) -> NDArray[np.bool_]:
    """Return for each row of a split whether its id is one of some."""
    wanted = pa.array(sorted(ids), pa.string())
    masks = [pc.is_in(own, wanted).to_numpy(zero_copy_only=False) for (own,) in batches(rows, "id")]
    return np.concatenate(masks) if masks else np.empty(0, dtype=bool)


def stored_bytes(rows: Dataset) -> int:
    """Return the bytes of values and offsets of a split; the same however it is cut into files."""
    return sum(_bytes(column) for columns in batches(rows, *rows.column_names) for column in columns)


def _bytes(values: Any) -> int:
    if pa.types.is_list(values.type):
        return 4 * len(values) + _bytes(pc.list_flatten(values))
    if pa.types.is_string(values.type):
        return 4 * len(values) + (pc.sum(pc.binary_length(values)).as_py() or 0)
    return int(len(values) * values.type.bit_width // 8)


def dataset_fingerprint(dataset: DatasetDict) -> str:
    """Return a digest of the rows of a merged dataset, of its columns and of its label names.

    It is the same for the same rows however they are stored: in memory or in files,
    whole or in shards, selected or copied.
    """
    digest = hashlib.blake2b(digest_size=16)
    for split, rows in dataset.items():
        names = {column: _class_names(feature) for column, feature in rows.features.items()}
        digest.update(json.dumps([split, len(rows), names]).encode())
        for columns in batches(rows, *rows.column_names):
            for values in columns:
                for content in _contents(values):
                    digest.update(content)
    return digest.hexdigest()


def _class_names(feature: Any) -> list[str] | None:
    inner = feature.feature if isinstance(feature, List) else feature
    return list(inner.names) if isinstance(inner, ClassLabel) else None


def _contents(values: pa.Array) -> Iterator[bytes | memoryview]:
    """Yield the content of an array of numbers, strings or lists of them, and where its parts end."""
    # Arrow keeps anything where a value is null, and slices share buffers: neither may tell two equal columns apart.
    if values.null_count:
        yield np.packbits(pc.is_null(values).to_numpy(zero_copy_only=False)).tobytes()
    while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        lengths = pc.list_value_length(values).cast(pa.int64()).fill_null(0)
        yield lengths.to_numpy(zero_copy_only=False).tobytes()
        values = values.flatten()
    if not pa.types.is_string(values.type) and not pa.types.is_large_string(values.type):
        yield values.fill_null(0).to_numpy(zero_copy_only=False).tobytes()
        return
    values = values.fill_null("").cast(pa.large_string())
    yield pc.binary_length(values).to_numpy(zero_copy_only=False).tobytes()
    _, ends, text = values.buffers()
    if len(values) and text is not None:
        offsets = np.frombuffer(ends, np.int64, len(values) + 1, values.offset * 8)
        yield memoryview(text)[offsets[0] : offsets[-1]]


def check_arrow(rows: Dataset) -> None:
    """Check that what a mapped Arrow file says of itself lies within it.

    Arrow follows offsets unchecked: those of a stranger would read memory beside the file, or end the process.

    Raises:
        pyarrow.ArrowInvalid, pyarrow.ArrowIndexError: an offset or a length leads outside, or text is no UTF-8.
    """
    rows.data.validate(full=True)


def check_rows(dataset: DatasetDict, features: Features) -> None:
    """Check that rows are of some columns, none of them empty, with a value a token and ids of labels that there are.

    Raises:
        ValueError: they are not; it says what was expected.
    """
    lists = {name: _class_names(feature) for name, feature in features.items() if isinstance(feature, List)}
    for split, rows in dataset.items():
        if any(rows.features.get(name) != feature for name, feature in features.items()):
            raise ValueError(
                f"{split}: expected the columns {', '.join(features)}, with the tags of the mapping"
            )
        for columns in batches(rows, *features):
            values = dict(zip(features, columns, strict=True))
            items = {name: pc.list_flatten(values[name]) for name in lists}
            if any(column.null_count for column in (*columns, *items.values())):
                raise ValueError(f"{split}: found empty fields")
            lengths = [pc.list_value_length(values[name]) for name in lists]
            if any(not own.equals(lengths[0]) for own in lengths):
                raise ValueError(f"{split}: expected a value a token in {', '.join(lists)}")
            ids = [
                (pc.min_max(items[name]), names)
                for name, names in lists.items()
                if names and len(items[name])
            ]
            if any(ends["min"].as_py() < 0 or ends["max"].as_py() >= len(names) for ends, names in ids):
                raise ValueError(f"{split}: found ids of no label")


def read_saved(folder: Path, error: type[EsneraError]) -> Dataset | DatasetDict:
    """Read what ``save_to_disk`` wrote, of a dataset or of splits, from no other files than those that lie there.

    Raises:
        EsneraError: ``error``, where it is damaged, or names files elsewhere.
    """
    try:
        names = [""]
        if (folder / "dataset_dict.json").exists():
            names = from_plain(list[str], read_json(folder / "dataset_dict.json").get("splits"), "splits")
        splits = {}
        for name in names:
            features = from_plain(
                dict[str, Any], read_json(folder / name / "dataset_info.json").get("features"), "features"
            )
            listed = read_json(folder / name / "state.json").get("_data_files")
            files = [file.get("filename") for file in from_plain(list[dict[str, Any]], listed, "_data_files")]
            if strange := [path for path in (name, *files) if path != Path(str(path)).name]:
                raise ValueError(f"it names {strange[0]!r:.100}, which lies elsewhere")
            # Of no rows datasets writes no file, and then fails to load them.
            splits[name] = cast(Dataset, load_from_disk(str(folder / name))) if files else _no_rows(features)
            check_arrow(splits[name])
        saved = splits[""] if names == [""] else DatasetDict(splits)
        return saved.with_format(None)
    except DAMAGED_ARROW as problem:
        raise error(f"{folder}: the dataset is damaged: {str(problem)[:200]}. Copy it again.") from problem


def _no_rows(features: dict[str, Any]) -> Dataset:
    empty: dict[str, list[Any]] = {name: [] for name in features}
    return Dataset.from_dict(empty, features=Features.from_dict(features))
