"""Predicted entities of a split, with confidences, as a Parquet file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
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
    write_all_predictions([file], ((row,) for row in predictions))


def write_all_predictions(files: Sequence[Path], predictions: Iterable[Sequence[Sequence[Entity]]]) -> None:
    """Write what several taggers find in each sentence, in order, a file a tagger."""
    rows = iter(predictions)
    with ExitStack() as stack:
        writers = [stack.enter_context(pq.ParquetWriter(file, _SCHEMA)) for file in files]
        while batch := list(islice(rows, _ROWS)):
            for writer, own in zip(writers, zip(*batch, strict=True), strict=True):
                writer.write_table(_table(own))


def _table(rows: Sequence[Sequence[Entity]]) -> pa.Table:
    columns = {
        "start": [[entity.start for entity in row] for row in rows],
        "end": [[entity.end for entity in row] for row in rows],
        "label": [[entity.label for entity in row] for row in rows],
        "confidence": [[round(entity.score, _DIGITS) for entity in row] for row in rows],
    }
    return pa.table(columns, schema=_SCHEMA)


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
