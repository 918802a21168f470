"""Readers of data in memory: datasets, streams of them, lists of records, tables of pandas."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict, NamedSplit
from datasets.exceptions import DatasetGenerationError

from esnera_hf._internal.files import write_problem
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import file_reader
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.datasets import dataset_readers
from esnera_hf.sources.readers.json import records_reader
from esnera_hf.sources.source import Reader
from esnera_hf.sources.splits import canonical_splits

#: What one split can be; a list is one of records, as a JSON file holds them.
Rows: TypeAlias = Dataset | IterableDataset | pd.DataFrame | list[Any]
_ROWS = (Dataset, IterableDataset, pd.DataFrame, list)
#: One split, or several by name.
DataInMemory: TypeAlias = Rows | DatasetDict | IterableDatasetDict | Mapping[str, Rows]


def is_in_memory(data: object) -> bool:
    """Tell data that is no path or name: rows, or rows by split."""
    if isinstance(data, Mapping):
        return bool(data) and all(isinstance(rows, _ROWS) for rows in data.values())
    return isinstance(data, _ROWS)


def memory_readers(data: DataInMemory, name: str, options: ReadingOptions, folder: Path) -> dict[str, Reader]:
    """Return a reader for each split of a source.

    The folder takes what is streamed, as Arrow files that the readers map: it must last as long as they do.

    Raises:
        SourceError: a split has an unusual name or two have the same meaning, or rows cannot be read.
    """
    splits: Mapping[str, Rows] = data if isinstance(data, Mapping) else {"train": data}
    return {
        canonical: _reader(splits[split], name, split, options, folder)
        for canonical, split in canonical_splits(splits, name).items()
    }


def _reader(rows: Rows, name: str, split: str, options: ReadingOptions, folder: Path) -> Reader:
    place = f"{name}, split {split}"
    if isinstance(rows, list):
        records = [(value, f"{place}, record {index}", False) for index, value in enumerate(rows)]
        return records_reader(lambda: iter(records), place, options)
    if isinstance(rows, pd.DataFrame):
        if not len(rows):
            raise SourceError(f"{place}: expected rows, found an empty DataFrame.")
        if not any(isinstance(cell, (list, tuple, dict, np.ndarray)) for cell in rows.iloc[0]):
            # With a row a token: the reader of files knows where sentences end.
            path = folder / f"{uuid4().hex}.csv"
            rows.to_csv(path, index=False)
            return file_reader([path], options)
        rows = Dataset.from_pandas(rows, preserve_index=False)
    if isinstance(rows, IterableDataset):
        rows = _stored(rows, place, folder)
    (reader,) = dataset_readers(DatasetDict({split: rows}), name, options).values()
    return reader


def _stored(rows: IterableDataset, place: str, folder: Path) -> Dataset:
    """Write a stream to an Arrow file, once, and return its rows mapped from there."""
    plain = rows.with_format(None)
    where: dict[str, Any] = {
        "cache_dir": str(folder),
        "split": NamedSplit("train"),
        "fingerprint": uuid4().hex,
    }
    try:
        return Dataset.from_generator(partial(iter, plain), features=rows.features, **where)
    except (DatasetGenerationError, OSError) as error:
        cause = error.__cause__ if isinstance(error, DatasetGenerationError) else error
        if problem := write_problem(cause, folder):
            raise SourceError(
                f"{place}: the stream cannot be kept in {folder}: {problem}. Make room, or set TMPDIR to a folder with "
                "more."
            ) from error
        raise SourceError(
            f"{place}: the stream broke off: {cause or error}. Read it again from its beginning."
        ) from error
