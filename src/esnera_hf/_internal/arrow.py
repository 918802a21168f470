"""What is in a merged dataset: counts by split, source, label and origin, read from Arrow in batches."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Features, List
from numpy.typing import NDArray

from esnera_hf.tagging import GOLD, PSEUDO, split_tag

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


def count_tokens_and_entities(rows: Dataset) -> tuple[int, Counter[str]]:
    """Count the tokens of a split, and its entities by label; broken tags are read as they always are.

    Raises:
        TagError: a tag is not of IOB2.
    """
    total = 0
    counts: Counter[str] = Counter()
    for tokens, tags in batches(rows, "tokens", "ner_tags"):
        total += int(list_offsets(tokens)[-1])
        encoded = pc.list_flatten(tags).dictionary_encode()
        pairs = [split_tag(tag, "IOB2") for tag in encoded.dictionary.to_pylist()]
        labels = list(dict.fromkeys(label for _, label in pairs))
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        role = np.array([role for role, _ in pairs], dtype="U1")[codes]
        label = np.array([labels.index(label) for _, label in pairs], dtype=np.int64)[codes]
        continues = np.zeros(len(codes), dtype=bool)
        continues[1:] = (role[1:] == "I") & (role[:-1] != "O") & (label[1:] == label[:-1])
        starts = list_offsets(tags)[:-1]
        continues[starts[starts < len(codes)]] = False
        found = np.bincount(label[(role != "O") & ~continues], minlength=len(labels)).tolist()
        counts.update({name: number for name, number in zip(labels, found, strict=True) if number})
    return total, counts


def text_digests(rows: Dataset, seed: int, size: int) -> NDArray[np.uint64]:
    """Return a seeded digest of the text of each sentence, most significant part first.

    Args:
        rows: the sentences.
        seed: another one gives other digests.
        size: bytes of a digest, a multiple of 8.

    Returns:
        Shape (sentences, size / 8).
    """
    digests = np.empty((len(rows), size // 8), dtype=np.uint64)
    seeded = hashlib.blake2b(f"{seed}\n".encode(), digest_size=size)
    start = 0
    for (tokens,) in batches(rows, "tokens"):
        found = b"".join(_digest(seeded, text) for text in pc.binary_join(tokens, "\x1f").to_pylist())
        digests[start : start + len(tokens)] = np.frombuffer(found, dtype=">u8").reshape(-1, size // 8)
        start += len(tokens)
    return digests


def rows_with_ids(rows: Dataset, ids: Set[str]) -> NDArray[np.bool_]:
    """Return for each row of a split whether its id is one of some."""
    wanted = pa.array(sorted(ids), pa.string())
    found = [pc.is_in(own, wanted).to_numpy(zero_copy_only=False) for (own,) in batches(rows, "id")]
    return np.concatenate(found) if found else np.empty(0, dtype=bool)


def _digest(seeded: Any, text: str) -> bytes:
    digest = seeded.copy()
    digest.update(text.encode("utf-8", "surrogatepass"))
    found: bytes = digest.digest()
    return found


@dataclass(frozen=True)
class Statistics:
    """Counts of a merged dataset; all of them by split and source first.

    Attributes:
        splits: the splits.
        sentences: by split and source.
        tokens: likewise.
        entities: by split, source, unified label and origin (``gold``, ``pseudo``).
    """

    splits: tuple[str, ...]
    sentences: Counter[tuple[str, str]] = field(default_factory=Counter)
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    entities: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def count(
        self,
        *,
        split: str | None = None,
        source: str | None = None,
        label: str | None = None,
        origin: str | None = None,
    ) -> int:
        """Count the entities that fit all that is given."""
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


def count_dataset(merged: DatasetDict) -> Statistics:
    """Count sentences, tokens and entities of a merged dataset.

    Args:
        merged: with the columns of :func:`~esnera_hf.merging.merged_features`.
    """
    found = Statistics(tuple(merged))
    for split, rows in merged.items():
        names = rows.features["ner_tags"].feature.names
        for table in _batches(rows, ["source", "ner_tags", "origin"]):
            _count_batch(found, split, table, names)
    return found


def _count_batch(found: Statistics, split: str, table: pa.Table, names: list[str]) -> None:
    labels = [name[2:] for name in names if name.startswith("B-")]
    # The position of a tag's label if the tag begins an entity, else -1.
    begins = np.full(len(names), -1)
    begins[[index for index, name in enumerate(names) if name.startswith("B-")]] = np.arange(len(labels))
    column = pc.dictionary_encode(table["source"].combine_chunks())
    sources, owner = column.dictionary.to_pylist(), column.indices.to_numpy()
    tags = table["ner_tags"].combine_chunks()
    lengths = pc.list_value_length(tags).to_numpy()
    for index, source in enumerate(sources):
        found.sentences[split, source] += int((owner == index).sum())
        found.tokens[split, source] += int(lengths[owner == index].sum())
    label = begins[pc.list_flatten(tags).to_numpy()]
    origin = pc.list_flatten(table["origin"].combine_chunks()).to_numpy()
    codes = (np.repeat(owner, lengths) * len(labels) + label) * 2 + origin
    counted, counts = np.unique(codes[label >= 0], return_counts=True)
    for code, count in zip(counted.tolist(), counts.tolist(), strict=True):
        place, kind = divmod(code, 2)
        source, name = divmod(place, len(labels))
        found.entities[split, sources[source], labels[name], (GOLD, PSEUDO)[kind]] += count


def stored_bytes(rows: Dataset) -> int:
    """Return the bytes of values and offsets of a split; the same however it is cut into files."""
    return sum(_bytes(column) for table in _batches(rows, rows.column_names) for column in table.columns)


def _batches(rows: Dataset, columns: list[str]) -> Iterator[pa.Table]:
    if len(rows):
        yield from rows.select_columns(columns).with_format("arrow").iter(batch_size=_BATCH)


def _bytes(column: Any) -> int:
    kind, values = column.type, column
    if pa.types.is_list(kind):
        return 4 * len(values) + _bytes(pc.list_flatten(values))
    if pa.types.is_string(kind):
        return 4 * len(values) + (pc.sum(pc.binary_length(values)).as_py() or 0)
    return int(len(values) * kind.bit_width // 8)


_ROWS = 10_000


def dataset_fingerprint(dataset: DatasetDict) -> str:
    """Return a digest of the rows of a merged dataset, of its columns and of its label names.

    It is the same for the same rows however they are kept: in memory or in files,
    whole or in shards, selected or copied.
    """
    digest = hashlib.blake2b(digest_size=16)
    for split, rows in dataset.items():
        digest.update(json.dumps([split, len(rows), _label_names(rows.features)]).encode())
        for table in rows.with_format("arrow").iter(batch_size=_ROWS):
            for name in table.column_names:
                for content in _contents(table[name].combine_chunks()):
                    digest.update(content)
    return digest.hexdigest()


def _label_names(features: Features) -> dict[str, list[str] | None]:
    names: dict[str, list[str] | None] = {}
    for column, feature in features.items():
        inner = feature.feature if isinstance(feature, List) else feature
        names[column] = list(inner.names) if isinstance(inner, ClassLabel) else None
    return names


def _contents(values: pa.Array) -> Iterator[bytes | memoryview]:
    """Yield what an array of numbers, strings or lists of them holds, and where its parts end."""
    if values.null_count:
        yield np.packbits(pc.is_null(values).to_numpy(zero_copy_only=False)).tobytes()
    while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        yield (
            pc.list_value_length(values)
            .cast(pa.int64())
            .fill_null(0)
            .to_numpy(zero_copy_only=False)
            .tobytes()
        )
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
