"""Digests of what an alignment gives, by which a repetition of it is checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, DatasetDict, Features, List

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
