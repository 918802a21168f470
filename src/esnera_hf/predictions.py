"""Predicted entities of a split, with confidences, as a Parquet file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from esnera_hf.tagging import Entity

_SCHEMA = pa.schema(
    {
        "start": pa.list_(pa.int32()),
        "end": pa.list_(pa.int32()),
        "label": pa.list_(pa.string()),
        "confidence": pa.list_(pa.float32()),
    }
)
_ROWS = 2000
#: Confidences keep so many digits: what lies below differs with batch size and hardware.
_DIGITS = 4


def write_predictions(file: Path, predictions: Iterable[Sequence[Entity]]) -> None:
    """Write the entities of each sentence, in order, a sentence a row."""
    rows = iter(predictions)
    with pq.ParquetWriter(file, _SCHEMA) as writer:
        while batch := list(islice(rows, _ROWS)):
            columns = {
                "start": [[entity.start for entity in row] for row in batch],
                "end": [[entity.end for entity in row] for row in batch],
                "label": [[entity.label for entity in row] for row in batch],
                "confidence": [[round(entity.score, _DIGITS) for entity in row] for row in batch],
            }
            writer.write_table(pa.table(columns, schema=_SCHEMA))


def read_predictions(file: Path) -> Iterator[list[Entity]]:
    """Yield the entities of each sentence, in order."""
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=_ROWS):
            columns = [batch.column(name).to_pylist() for name in _SCHEMA.names]
            for starts, ends, labels, scores in zip(*columns, strict=True):
                yield [
                    Entity(start, end, label, round(score, _DIGITS))
                    for start, end, label, score in zip(starts, ends, labels, scores, strict=True)
                ]
