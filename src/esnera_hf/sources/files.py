"""Files and folders: which file is which split, and in which format."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import cast

import pyarrow as pa
from datasets import Dataset, DatasetDict

from esnera_hf._internal.arrow import DAMAGED_ARROW, check_arrow, read_saved
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.folders import (
    genres_of,
    listed,
    named_files,
    of_annotator,
    split_files,
    split_of_folder,
)
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.bioc import bioc_reader
from esnera_hf.sources.readers.brackets import is_bracket_file, read_bracket_file
from esnera_hf.sources.readers.brat import read_brat
from esnera_hf.sources.readers.columns import ColumnFile
from esnera_hf.sources.readers.conllu import ConlluFile, is_conllu_file
from esnera_hf.sources.readers.datasets import dataset_readers, reader_of
from esnera_hf.sources.readers.docbin import SUFFIX as DOCBIN_SUFFIX
from esnera_hf.sources.readers.docbin import DocBinFile
from esnera_hf.sources.readers.inline import (
    SlashedFile,
    WikiNerFile,
    is_slashed_file,
    is_wikiner_file,
    read_boson,
)
from esnera_hf.sources.readers.json import json_reader
from esnera_hf.sources.readers.pubtator import is_pubtator_file, pubtator_reader
from esnera_hf.sources.readers.sentence_rows import is_sentence_table, sentence_rows_reader
from esnera_hf.sources.readers.text import COMPRESSED, marks_of, read_lines
from esnera_hf.sources.readers.webanno import FORMAT_LINE, WebAnnoFile
from esnera_hf.sources.source import RawSentence, Reader
from esnera_hf.sources.splits import split_of_file

_JSON = re.compile(r'\{\s*("|$)|\[\s*([{\["]|$)')
#: A row of a column file, whatever its token or label looks like: both may hold the braces of Boson's markup.
_TAG_AT_END = re.compile(r"[\t ]O$|\t[BIESMWLU][-_].+$| [BIESMWLU][-_]\S+$")
_PASSAGES = re.compile(r'"passages"\s*:\s*\[')
_NO_DATA_SUFFIXES = frozenset(".md .rst .cfg .py .pdf .stats .yaml .yml .sh .html .png .lock".split())
_NO_DATA_WORDS = ("LICEN", "README", "SOURCE.JSON", "CITATION", "DATASET_INFO")
_TABLES = (".parquet", ".arrow")
_WITH_TAG_COLUMNS = ("json", "columns", "rows", "webanno", "bioc", "conllu", "docbin")
_READERS: dict[str, Callable[[Path, ReadingOptions], Reader]] = {
    "bioc": bioc_reader,
    "boson": lambda path, _: partial(read_boson, path),
    "brackets": lambda path, _: partial(read_bracket_file, path),
    "brat": lambda path, _: partial(read_brat, [path]),
    "columns": ColumnFile,
    "conllu": ConlluFile,
    "docbin": DocBinFile,
    "pubtator": pubtator_reader,
    "rows": sentence_rows_reader,
    "slashed": SlashedFile,
    "webanno": WebAnnoFile,
    "wikiner": WikiNerFile,
    **dict.fromkeys(("json", "cluener", "dataturks"), json_reader),
}
#: Lines that the format is detected from: Boson has long stretches without markup.
_SNIFFED_LINES = 200
#: Bytes of files that are read in about half a second: less is not worth a copy in the cache.
_WORTH_CACHING = 1 << 20


def content_digest(path: Path, some: Sequence[Path] | None = None) -> str | None:
    """Return a digest of the names and bytes of a file or folder, or of some files in it.

    ``None`` where it is small or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        below = some or (path.rglob("*") if path.is_dir() else [path])
        files = sorted(file for file in below if file.is_file())
        if sum(file.stat().st_size for file in files) < _WORTH_CACHING:
            return None
        for file in files:
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{file.relative_to(path.parent)}\0{content}\0".encode("utf-8", "surrogateescape"))
    except OSError:  # perhaps of a file that holds no data
        return None
    return digest.hexdigest()


def path_readers(
    path: Path, name: str, options: ReadingOptions, some: Sequence[Path] | None = None
) -> tuple[dict[str, Reader], list[str]]:
    """Return a reader for each split found in a file or folder, or in some files of it, and notes on the choice.

    Raises:
        SourceError: no file looks like data, or two claim one split.
    """
    if path.is_file() and options.data_files:
        raise ConfigurationError(
            f"data_files={dict(options.data_files)!r}: {path} is a file, and patterns "
            "name files in a folder. Pass the folder, or leave data_files out."
        )
    if path.is_file():
        return {split_of_file(path) or "train": file_reader([path], options)}, file_notes([path])
    if some is None and any((path / info).exists() for info in ("dataset_dict.json", "state.json")):
        saved = read_saved(path, SourceError)
        splits = DatasetDict({"train": saved}) if isinstance(saved, Dataset) else saved
        return dataset_readers(splits, name, options), []
    present = [
        file for file in some or sorted(path.rglob("*")) if file.is_file() and not _is_hidden(path, file)
    ]
    files = [file for file in present if may_hold_data(path, file)]
    annotations = [file for file in present if file.suffix == ".ann"]
    # brat writes an empty annotation beside a text without entities; an empty file alone is none.
    annotations = [f for f in annotations if f.stat().st_size or f.with_suffix(".txt").is_file()]
    texts = {file.with_suffix(".txt") for file in annotations}
    others = [file for file in files if file.suffix != ".ann" and file not in texts]
    if annotations and (not others or any(file.stat().st_size for file in annotations)):
        _check_has_tag_columns("the folder", "brat", options)
        notes = [f"not read: {listed(path, others)} (no annotation of brat)"] if others else []
        annotations = of_annotator(
            path, annotations, options.annotator, lambda file: partial(read_brat, [file])
        )
        return _brat_readers(path, annotations), notes
    reader = partial(_one_file_reader, options=options)
    if options.data_files:
        by_split, notes = named_files(path, files, options.data_files)
    else:
        by_split, notes = split_files(path, files, name, reader)
    genres = genres_of(path, by_split, reader)
    for split, members in by_split.items():
        by_split[split] = of_annotator(path, members, options.annotator, reader)
    notes += file_notes(chain.from_iterable(by_split.values()))
    return {split: file_reader(members, options, genres) for split, members in by_split.items()}, notes


def file_notes(files: Iterable[Path]) -> list[str]:
    """Return a note for each text file with a byte order mark or CRLF line ends."""
    return [f"{file.name}: {mark}" for file in files if file.suffix not in _TABLES for mark in marks_of(file)]


def may_hold_data(path: Path, file: Path) -> bool:
    """Tell whether a file of a folder is none of those beside the data, such as a license."""
    return not (
        _is_hidden(path, file)
        or file.suffix.lower() in _NO_DATA_SUFFIXES
        or file.name.upper().startswith(_NO_DATA_WORDS)
        or file.stat().st_size == 0
    )


def _is_hidden(path: Path, file: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in file.relative_to(path).parts)


def _brat_readers(path: Path, annotations: list[Path]) -> dict[str, Reader]:
    """Return a reader for each split: that of the folder, or of the names if all of them tell one and not the same."""
    # Documents are named freely: one called "test_case" alone says nothing of splits.
    named = [split_of_file(file) for file in annotations]
    by_name = None not in named and len(set(named)) > 1
    by_split: dict[str, list[Path]] = {}
    for file, split in zip(annotations, named, strict=True):
        by_split.setdefault(split_of_folder(path, file) or (by_name and split) or "train", []).append(file)
    return {split: partial(read_brat, files) for split, files in by_split.items()}


class _FilesReader:
    """Reads the sentences of files of one format, one after the other."""

    def __init__(self, readers: list[tuple[Reader, str | None]]) -> None:
        self._readers = readers

    @property
    def layout(self) -> str:
        """What the columns or keys of the first file are for."""
        return str(getattr(self._readers[0][0], "layout", ""))

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the records of the first file, where it has any."""
        return tuple(getattr(self._readers[0][0], "keys", ()))

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences, with the genre of their file in a column where it has one."""
        for reader, genre in self._readers:
            for sentence in reader():
                if genre is not None:
                    sentence.columns["genre"] = genre
                yield sentence


def file_reader(
    files: list[Path], options: ReadingOptions, genres: Mapping[Path, str] | None = None
) -> Reader:
    """Return a reader of files of one format, one after the other, with genres in a column of their sentences."""
    return _FilesReader([(_one_file_reader(file, options), (genres or {}).get(file)) for file in files])


def _one_file_reader(path: Path, options: ReadingOptions) -> Reader:
    if path.suffix in _TABLES:
        return reader_of(_load_table(path), path.name, options)
    form = options.format or detect_format(path)
    _check_has_tag_columns(path.name, form, options)
    return _READERS[form](path, options)


def _check_has_tag_columns(place: str, form: str, options: ReadingOptions) -> None:
    if options.tag_column is not None and form not in _WITH_TAG_COLUMNS:
        raise ConfigurationError(
            f"tag_column={options.tag_column!r}: {place} is read as {form}, which has no tag columns. Leave it out."
        )


def _load_table(path: Path) -> Dataset:
    try:
        # Not by load_dataset, which reports each file to a counter of downloads.
        if path.suffix == ".parquet":
            return cast(Dataset, Dataset.from_parquet(glob.escape(str(path))))
        try:
            rows = Dataset.from_file(str(path))
        except pa.ArrowInvalid:  # no stream, but the file format of Arrow
            rows = Dataset(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
        check_arrow(rows)
        return rows
    except DAMAGED_ARROW as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system
        raise SourceError(
            f"{path}: the {path.suffix[1:]} file cannot be read: {error}. Fetch it again."
        ) from error


def detect_format(path: Path) -> str:
    """Tell the format of a file from its name or its first lines."""
    if path.name.removesuffix("".join(s for s in path.suffixes if s in COMPRESSED)).endswith(".ann"):
        return "brat"
    if path.suffix == DOCBIN_SUFFIX:
        return "docbin"
    lines = [text for _, text, _ in islice(read_lines(path), _SNIFFED_LINES)]
    texts = [text.strip() for text in lines if text.strip()]
    if texts and texts[0].startswith(FORMAT_LINE):
        return "webanno"
    if is_pubtator_file(texts):
        return "pubtator"
    if is_conllu_file(texts):
        return "conllu"
    if is_wikiner_file(path, texts):
        return "wikiner"
    if texts and texts[0].startswith("<") and any("<collection" in text for text in texts):
        return "bioc"
    if texts and _JSON.match(texts[0]):
        return "bioc" if any(map(_PASSAGES.search, texts)) else "json"
    if any("{{" in text and "}}" in text and not _TAG_AT_END.search(text) for text in texts):
        return "boson"
    if is_bracket_file(lines):
        return "brackets"
    if is_slashed_file(texts):
        return "slashed"
    return "rows" if is_sentence_table(path) else "columns"
