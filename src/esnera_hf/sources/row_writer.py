"""Rows of a split, as they are read, to a dataset."""

from __future__ import annotations

import hashlib
import os
from typing import Any
from uuid import uuid4

import pyarrow as pa
from datasets import Dataset
from datasets.arrow_writer import ArrowWriter
from datasets.fingerprint import get_temporary_cache_files_directory

from esnera_hf.errors import SourceError
from esnera_hf.sources.source import SOURCE_FEATURES

#: Rows held as Python objects, and the size of a dataset that stays in memory.
CHUNK = 10_000


class RowWriter:
    """Takes rows one by one and makes a dataset of them.

    What is larger than a chunk goes to a temporary Arrow file, chunk by chunk,
    and the dataset maps it into memory. The file lies where ``datasets`` keeps
    such files and goes with them when the process ends.
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[object]] = {column: [] for column in SOURCE_FEATURES}
        self._path = ""
        self._writer: Any = None

    def add(self, row_id: str, tokens: list[str], ner_tags: list[str], source: str) -> None:
        """Take a row.

        Raises:
            SourceError: there is no room for the file.
        """
        if len(self._columns["id"]) >= CHUNK:
            self._write()
        for column, value in zip(self._columns.values(), (row_id, tokens, ner_tags, source), strict=True):
            column.append(value)

    def finish(self) -> Dataset:
        """Return the dataset.

        Raises:
            SourceError: there is no room for the file.
        """
        if self._writer is None:
            return Dataset(self._table())
        self._write()
        self._writer.finalize()
        # By default it would tell of the file's name and age, and so would what is made of it.
        with open(self._path, "rb") as stream:
            fingerprint = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
        return Dataset(Dataset.from_file(self._path).data, fingerprint=fingerprint)

    def _write(self) -> None:
        try:
            if self._writer is None:
                name = f"source-{uuid4().hex}.arrow"
                self._path = os.path.join(get_temporary_cache_files_directory(), name)
                self._writer = ArrowWriter(features=SOURCE_FEATURES, path=self._path)
            self._writer.write_table(self._table())
        except OSError as error:
            raise SourceError(
                f"{self._path}: the sentences cannot be kept there: {error}. Make room, or set TMPDIR to a "
                "folder with more."
            ) from error

    def _table(self) -> pa.Table:
        table = pa.table(self._columns, schema=SOURCE_FEATURES.arrow_schema)
        for values in self._columns.values():
            values.clear()
        return table
