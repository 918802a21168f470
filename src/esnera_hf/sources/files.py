"""Files and folders: which file is which split, and in which format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
from datasets import Dataset, DatasetDict, load_dataset, load_from_disk
from datasets.exceptions import DatasetsError

from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.boson import read_boson
from esnera_hf.sources.brackets import is_bracket_file, read_bracket_file
from esnera_hf.sources.brat import read_brat
from esnera_hf.sources.columns import ColumnFile
from esnera_hf.sources.from_datasets import dataset_readers, reader_of
from esnera_hf.sources.json_file import JsonFile
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.sentence import Reader
from esnera_hf.sources.slashed import SlashedFile, is_slashed_file
from esnera_hf.sources.splits import canonical_split, split_of_file
from esnera_hf.sources.textfile import COMPRESSED, marks_of, read_lines

_JSON_OBJECT = re.compile(r'\{\s*("|$)')
#: A row of a column file, whatever its token or label looks like.
_TAG_AT_END = re.compile(r"[\t ]O$|\t[BIESMWLU][-_].+$| [BIESMWLU][-_]\S+$")
_JSON_LIST = re.compile(r'\[\s*([{\["]|$)')
_NO_DATA_SUFFIXES = frozenset(".md .rst .cfg .py .pdf .stats .yaml .yml .sh .html .png .lock".split())
_NO_DATA_WORDS = ("LICEN", "README", "SOURCE.JSON", "CITATION", "DATASET_INFO")
_SHARD = re.compile(r"-(?P<number>\d+)-of-(?P<count>\d+)\.")
_TABLES = {".parquet": "parquet", ".arrow": "arrow"}
_SNIFFED_LINES = 200


def path_readers(path: Path, name: str, options: ReadingOptions) -> tuple[dict[str, Reader], list[str]]:
    """Return a reader for each split found in a file or folder, and notes on what was chosen.

    Args:
        path: a file or folder.
        name: of the source, for messages.
        options: how to read.

    Raises:
        SourceError: no file can be told to hold data, or two claim one split.
    """
    if path.is_file():
        return {split_of_file(path) or "train": file_reader([path], options)}, file_notes([path])
    if any((path / info).exists() for info in ("dataset_dict.json", "state.json")):
        saved = load_from_disk(str(path))
        return dataset_readers(
            DatasetDict({"train": saved}) if isinstance(saved, Dataset) else saved, name, options
        )
    present = [file for file in sorted(path.rglob("*")) if file.is_file() and not _is_hidden(path, file)]
    files = [file for file in present if may_hold_data(path, file)]
    annotations = [file for file in present if file.suffix == ".ann" and _is_annotation(file)]
    texts = {file.with_suffix(".txt") for file in annotations}
    others = [file for file in files if file.suffix != ".ann" and file not in texts]
    if annotations and (not others or any(file.stat().st_size for file in annotations)):
        _check_has_tag_columns("the folder", "brat", options)
        notes = [f"not read: {_listed(path, others)} (no annotation of brat)"] if others else []
        return _brat_readers(path, annotations), notes
    return _split_files(path, files, name, options)


def _is_annotation(file: Path) -> bool:
    """Tell whether an .ann file is one of brat, which writes an empty one beside a text without entities."""
    return file.stat().st_size > 0 or file.with_suffix(".txt").is_file()


def _split_files(
    path: Path, files: list[Path], name: str, options: ReadingOptions
) -> tuple[dict[str, Reader], list[str]]:
    by_split: dict[str | None, list[Path]] = {}
    for file in files:
        by_split.setdefault(split_of_file(file) or _split_of_folder(path, file), []).append(file)
    unnamed = by_split.pop(None, [])
    for split, members in by_split.items():
        check_one_file(path, name, split, members)
    notes = []
    if not by_split and unnamed:
        if len({file.suffix for file in unnamed}) > 1:
            raise SourceError(
                f"{path}: expected files whose names say their split (train, dev or validation, test), or "
                f"files of one kind; found {_listed(path, unnamed)}. Rename them or pass one file."
            )
        by_split["train"] = unnamed
        if len(unnamed) > 1:
            notes.append(f"{len(unnamed)} files without a split in their names, read as one")
    elif unnamed:
        notes.append(f"not read: {_listed(path, unnamed)} (no split in the name)")
    if not by_split:
        raise SourceError(f"{path}: no file that could hold data. Expected train, dev and test files.")
    members = [file for files in by_split.values() for file in files]
    for (whole, count), numbers in _shards(members).items():
        if numbers not in ({*range(count)}, {*range(1, count + 1)}):
            raise SourceError(
                f"{path}: {len(numbers)} files {whole}, expected {count}. Fetch the others, or pass one file."
            )
    notes += file_notes(members)
    return {str(split): file_reader(files, options) for split, files in by_split.items()}, notes


def file_notes(files: Iterable[Path]) -> list[str]:
    """Return a note for each text file with a byte order mark or CRLF line ends."""
    return [f"{file.name}: {mark}" for file in files if file.suffix not in _TABLES for mark in marks_of(file)]


def check_one_file(path: Path, name: str, split: str | None, files: list[Path]) -> None:
    """Check that a split is one file, the shards of one, or the files of a folder with its name.

    Raises:
        SourceError: several files claim to be the split.
    """
    of_one = len({file.parent for file in files}) == 1 and [*map(len, _shards(files).values())] == [
        len(files)
    ]
    if len(files) == 1 or of_one:
        return
    in_its_folder = all(
        split_of_file(file) is None and _split_of_folder(path, file) == split for file in files
    )
    if in_its_folder and len({file.suffix for file in files}) == 1:
        return
    saved = sorted({str(mark.parent.relative_to(path)) for mark in path.rglob("dataset_dict.json")})
    if saved:
        raise SourceError(
            f"{path}: a folder of several sources, of which {', '.join(saved[:5])} is one that save_to_disk wrote. "
            "Name one of them."
        )
    raise SourceError(
        f"{path}: {_listed(path, files)} all look like the {split} split of {name}. Pass a folder that holds "
        "one file a split, or one file."
    )


def _shards(files: Iterable[Path]) -> dict[tuple[str, int], set[int]]:
    """Return the numbers of the shards among files, by the name of the file that was cut and into how many."""
    numbers: dict[tuple[str, int], set[int]] = {}
    for file in files:
        if shard := _SHARD.search(file.name):
            whole = f"{file.name[: shard.start()]}-*-of-{shard['count']}{file.name[shard.end() - 1 :]}"
            numbers.setdefault((whole, int(shard["count"])), set()).add(int(shard["number"]))
    return numbers


def _listed(path: Path, files: list[Path]) -> str:
    return ", ".join(str(file.relative_to(path)) for file in files[:5]) + (", …" if len(files) > 5 else "")


def _split_of_folder(path: Path, file: Path) -> str | None:
    folders = reversed(file.relative_to(path).parts[:-1])
    return next((split for split in map(canonical_split, folders) if split), None)


def may_hold_data(path: Path, file: Path) -> bool:
    upper = file.name.upper()
    return not (
        _is_hidden(path, file)
        or file.suffix.lower() in _NO_DATA_SUFFIXES
        or any(upper.startswith(word) for word in _NO_DATA_WORDS)
        or file.stat().st_size == 0
    )


def _is_hidden(path: Path, file: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in file.relative_to(path).parts)


def _brat_readers(path: Path, annotations: list[Path]) -> dict[str, Reader]:
    """Return a reader for each split: that of the folder, or of the names if all of them tell one and not the same."""
    named = [split_of_file(file) for file in annotations]
    by_name = None not in named and len(set(named)) > 1
    by_split: dict[str, list[Path]] = {}
    for file, split in zip(annotations, named, strict=True):
        told = _split_of_folder(path, file) or (split if by_name else None)
        by_split.setdefault(told or "train", []).append(file)
    return {split: partial(read_brat, files) for split, files in by_split.items()}


def file_reader(files: list[Path], options: ReadingOptions) -> Reader:
    """Return a reader that yields the sentences of files of one format, one after the other."""
    readers = [_one_file_reader(file, options) for file in files]
    return lambda: chain.from_iterable(read() for read in readers)


def _one_file_reader(path: Path, options: ReadingOptions) -> Reader:
    if path.suffix in _TABLES:
        return reader_of(_load_table(path), path.name, options)
    form = options.format or detect_format(path)
    _check_has_tag_columns(path.name, form, options)
    readers: dict[str, Callable[[], Reader]] = {
        "json": lambda: JsonFile(path, options),
        "cluener": lambda: JsonFile(path, replace(options, format="cluener")),
        "boson": lambda: partial(read_boson, path),
        "brackets": lambda: partial(read_bracket_file, path),
        "slashed": lambda: SlashedFile(path, scheme=options.scheme),
        "brat": lambda: partial(read_brat, [path]),
        "columns": lambda: ColumnFile(path, options),
    }
    return readers[form]()


def _check_has_tag_columns(place: str, form: str, options: ReadingOptions) -> None:
    """Check that a tag column is named only where there are any.

    Raises:
        ConfigurationError: the format has none.
    """
    if options.tag_column is not None and form not in ("json", "columns"):
        raise ConfigurationError(
            f"tag_column={options.tag_column!r}: {place} is read as {form}, which has no tag columns. Leave it out."
        )


def _load_table(path: Path) -> Dataset:
    try:
        return load_dataset(_TABLES[path.suffix], data_files=str(path), split="train")
    except (pa.ArrowException, DatasetsError, ValueError) as error:
        raise SourceError(
            f"{path}: the {_TABLES[path.suffix]} file cannot be read: {error}. Fetch it again."
        ) from error


def detect_format(path: Path) -> str:
    """Tell the format of a file from its first lines.

    Raises:
        SourceError: the file is empty.
    """
    if path.name.removesuffix("".join(s for s in path.suffixes if s in COMPRESSED)).endswith(".ann"):
        return "brat"
    lines = [line.text for line in islice(read_lines(path), _SNIFFED_LINES)]
    texts = [text.strip() for text in lines if text.strip()]
    if texts and _JSON_OBJECT.match(texts[0]):
        return "cluener" if _has_cluener_labels(texts) else "json"
    if texts and _JSON_LIST.match(texts[0]):
        return "json"
    if any("{{" in text and "}}" in text and not _TAG_AT_END.search(text) for text in texts):
        return "boson"
    if is_bracket_file(lines):
        return "brackets"
    if is_slashed_file(texts):
        return "slashed"
    return "columns"


def _has_cluener_labels(texts: list[str]) -> bool:
    for text in texts:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if isinstance(record, dict) and "label" in record:
            return isinstance(record["label"], dict)
    return False
