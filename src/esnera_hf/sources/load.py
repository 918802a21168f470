"""``load_source``: whatever a person has becomes a :class:`NerSource`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetNotFoundError

from esnera_hf.errors import ConfigurationError, SourceError, SourceNotFoundError
from esnera_hf.sources.boson import read_boson
from esnera_hf.sources.build import SourceTerms, build_source
from esnera_hf.sources.cluener import read_cluener
from esnera_hf.sources.columns import read_column_file
from esnera_hf.sources.from_datasets import reader_of
from esnera_hf.sources.named import NAMED_SOURCES, NamedSource
from esnera_hf.sources.sentence import Reader
from esnera_hf.sources.source import NerSource
from esnera_hf.sources.splits import canonical_split, split_of_file
from esnera_hf.sources.textfile import read_lines
from esnera_hf.tagging import SCHEMES, Scheme

DATA_DIR_VARIABLE = "ESNERA_DATA_DIR"
FORMATS = ("columns", "cluener", "boson")
_JSON_OBJECT = re.compile(r'\{\s*"')
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_NO_DATA_SUFFIXES = {".md", ".rst", ".cfg", ".py", ".pdf", ".stats", ".yaml", ".yml"}


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How to read what cannot be told from the data itself.

    Attributes:
        format: ``columns``, ``cluener`` or ``boson``.
        scheme: tagging scheme of column files and tag columns.
        tag_column: index of the tag column in a file, or its name in a dataset.
        seed: decides which texts go into splits that must be cut.
    """

    format: str | None = None
    scheme: Scheme | None = None
    tag_column: int | str | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise ConfigurationError(f"format={self.format!r}: expected one of {', '.join(FORMATS)}.")
        if self.scheme is not None and self.scheme not in SCHEMES:
            raise ConfigurationError(f"scheme={self.scheme!r}: expected one of {', '.join(SCHEMES)}.")


def load_source(
    data: str | os.PathLike[str] | Dataset | DatasetDict,
    *,
    name: str | None = None,
    options: ReadingOptions | None = None,
) -> NerSource:
    """Load one NER corpus into its canonical form.

    Args:
        data: a known name (``"cluener"``), a file or folder, ``"name=path"``, a
            Hub dataset id, a ``Dataset`` or a ``DatasetDict``.
        name: what to call the source; told from ``data`` if not given.
        options: how to read what cannot be told from the data.

    Returns:
        The source, with splits ``train``, ``validation`` and ``test``.

    Raises:
        SourceNotFoundError: there is no such name, file or repository.
        SourceError: the data is not readable as NER data; the message names
            file and line.
    """
    options = options or ReadingOptions()
    if isinstance(data, Dataset):
        data = DatasetDict({"train": data})
    if isinstance(data, DatasetDict):
        if name is None:
            raise ConfigurationError('a dataset has no name of its own: pass load_source(data, name="…").')
        return _from_dataset_dict(data, SourceTerms(name, seed=options.seed), options)
    text = os.fspath(data)
    if "=" in text and not Path(text).exists():
        given_name, _, text = text.partition("=")
        name = name or given_name
    if text in NAMED_SOURCES and not Path(text).exists():
        return _load_named(NAMED_SOURCES[text], name or text, options)
    path = Path(text).expanduser()
    if text and path.exists():
        terms, options = _terms_for(name or _name_of(path), options)
        return build_source(terms, _path_readers(path, terms.name, options))
    return _load_from_hub(text, name or text.rpartition("/")[2], options)


def _terms_for(name: str, options: ReadingOptions) -> tuple[SourceTerms, ReadingOptions]:
    known = NAMED_SOURCES.get(name)
    if known is None:
        return SourceTerms(name, seed=options.seed), options
    return SourceTerms(name, known.licence, known.language, options.seed), options


def _name_of(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.name.split(".")[0]


def _load_named(known: NamedSource, name: str, options: ReadingOptions) -> NerSource:
    terms = SourceTerms(name, known.licence, known.language, options.seed)
    folder = os.environ.get(DATA_DIR_VARIABLE)
    if folder and (Path(folder) / known.name).is_dir():
        files = _known_files(known, Path(folder) / known.name)
        if files:
            return build_source(terms, {s: _file_reader(p, known.format, options) for s, p in files.items()})
    if not known.hub_id:
        raise SourceNotFoundError(
            f"{known.name}: no copy found. It is not on the Hub; get it from {known.homepage} and pass "
            f"'{known.name}=PATH', or set {DATA_DIR_VARIABLE} to the folder that holds '{known.name}/'."
        )
    return _load_from_hub(known.hub_id, name, options, known)


def _known_files(known: NamedSource, folder: Path) -> dict[str, Path]:
    files = {}
    for split, patterns in known.files.items():
        found = [path for pattern in patterns for path in sorted(folder.rglob(pattern))]
        if found:
            files[split] = found[0]
    return files


def _load_from_hub(
    repo_id: str, name: str, options: ReadingOptions, known: NamedSource | None = None
) -> NerSource:
    advice = f"Known names: {', '.join(sorted(NAMED_SOURCES))}."
    if not _HUB_ID.fullmatch(repo_id):
        raise SourceNotFoundError(
            f"{repo_id!r}: no such file, folder or known name (a Hub dataset is 'owner/name'). {advice}"
        )
    try:
        dataset = load_dataset(repo_id, data_files=(known.hub_files if known else None) or None)
    except DatasetNotFoundError:
        raise SourceNotFoundError(
            f"{repo_id!r}: no such file, folder, known name or Hub dataset (or it is private: run "
            f"`hf auth login`). {advice}"
        ) from None
    except (ConnectionError, OSError) as error:
        raise SourceNotFoundError(
            f"{repo_id!r}: no such file or folder here, and the Hub cannot be reached "
            f"({type(error).__name__}). Check the spelling, pass 'name=PATH' to a copy of yours, or set "
            f"{DATA_DIR_VARIABLE}. {advice}"
        ) from None
    except (RuntimeError, ValueError) as error:
        raise SourceError(f"{repo_id!r}: the Hub dataset cannot be loaded: {error}") from error
    terms = SourceTerms(name, seed=options.seed)
    if known:
        terms = SourceTerms(name, known.licence, known.language, options.seed)
    return _from_dataset_dict(dataset, terms, options)


def _from_dataset_dict(dataset: DatasetDict, terms: SourceTerms, options: ReadingOptions) -> NerSource:
    column = options.tag_column
    if isinstance(column, int):
        raise ConfigurationError(f"tag_column={column}: a dataset's columns have names, not numbers.")
    readers = {}
    for split, rows in dataset.items():
        canonical = canonical_split(split)
        if canonical is None or canonical in readers:
            raise SourceError(
                f"{terms.name}: split {split!r} is none of train, validation, test (or dev, devel, valid), "
                "or one of them twice. Rename or leave out splits: DatasetDict({'train': …, 'test': …})."
            )
        place = f"{terms.name}, split {split}"
        readers[canonical] = reader_of(rows, place, tag_column=column, scheme=options.scheme)
    return build_source(terms, readers)


def _path_readers(path: Path, name: str, options: ReadingOptions) -> dict[str, Reader]:
    if path.is_file():
        return {split_of_file(path) or "train": _file_reader(path, options.format, options)}
    files: dict[str, Path] = {}
    lone: list[Path] = []
    for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")):
        split = split_of_file(file)
        if split is None:
            if file.suffix.lower() not in _NO_DATA_SUFFIXES and "LICEN" not in file.name.upper():
                lone.append(file)
        elif split in files:
            raise SourceError(
                f"{path}: both {files[split].name} and {file.name} look like the {split} split of {name}. "
                "Pass a folder that holds one file a split."
            )
        else:
            files[split] = file
    if not files and len(lone) == 1:
        files["train"] = lone[0]
    if not files:
        found = ", ".join(file.name for file in islice(lone, 5)) or "no files"
        raise SourceError(
            f"{path}: expected files whose names say their split (train, dev or validation, test), "
            f"found {found}. Rename them or pass one file."
        )
    return {split: _file_reader(file, options.format, options) for split, file in files.items()}


def _file_reader(path: Path, form: str | None, options: ReadingOptions) -> Reader:
    form = form or detect_format(path)
    if form == "cluener":
        return partial(read_cluener, path)
    if form == "boson":
        return partial(read_boson, path)
    column = options.tag_column
    if isinstance(column, str):
        raise ConfigurationError(
            f"tag_column={column!r}: the columns of {path.name} have numbers, not names."
        )
    return partial(read_column_file, path, scheme=options.scheme, tag_column=column)


def detect_format(path: Path) -> str:
    """Tell the format of a file from its first lines.

    Raises:
        SourceError: the file is empty.
    """
    for line in islice(read_lines(path), 200):
        text = line.text.strip()
        if _JSON_OBJECT.match(text):
            return "cluener"
        if "{{" in text and "}}" in text:
            return "boson"
    return "columns"


def check_names(sources: Mapping[str, NerSource] | list[NerSource]) -> None:
    """Check that sources can be told apart.

    Raises:
        ConfigurationError: two sources share a name, or hold the same sentences
            with the same annotation.
    """
    by_name: dict[str, NerSource] = {}
    by_content: dict[str, NerSource] = {}
    for source in sources.values() if isinstance(sources, Mapping) else sources:
        if source.name in by_name:
            raise ConfigurationError(
                f"two sources are called {source.name!r}. Give each a name of its own: 'name=path', or "
                "load_source(data, name=…)."
            )
        twin = by_content.get(source.fingerprint)
        if twin:
            raise ConfigurationError(
                f"{twin.name!r} and {source.name!r} hold the same sentences with the same annotation. "
                "Leave one of them out."
            )
        by_name[source.name] = by_content[source.fingerprint] = source
