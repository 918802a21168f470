"""What is in a merged dataset: counts by split, source, label and origin, read from Arrow in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict

from esnera_hf.merging import GOLD, PSEUDO

_BATCH = 10_000


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
