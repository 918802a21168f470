"""``load_source``: whatever a person has becomes a :class:`NerSource`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from datasets import DatasetDict

from esnera_hf._internal.checks import is_count
from esnera_hf._internal.console import say
from esnera_hf._internal.processes import process_count, process_index
from esnera_hf.errors import ConfigurationError, EsneraError, SourceError, SourceNotFoundError
from esnera_hf.sources.archives import opened
from esnera_hf.sources.build import build_source
from esnera_hf.sources.catalogue import NAMED_SOURCES, NamedSource, copies_on_hub, find_named
from esnera_hf.sources.files import content_digest, file_notes, file_reader, may_hold_data, path_readers
from esnera_hf.sources.folders import check_one_file
from esnera_hf.sources.hub import HubFacts, load_from_hub
from esnera_hf.sources.in_memory import DataInMemory, is_in_memory, memory_readers
from esnera_hf.sources.licenses import license_from_id
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.datasets import dataset_readers
from esnera_hf.sources.source import NerSource, Provenance, least_allowed
from esnera_hf.sources.splits import split_of_file

DATA_DIR_VARIABLE = "ESNERA_DATA_DIR"
#: Of patterns of paths, such as "data/train-*.parquet".
_MARKS = "*?["
#: A known name, a path, ``"name=path"``, a Hub dataset id or a loaded source.
SourceLike = str | os.PathLike[str] | NerSource


def load_source(
    data: SourceLike | DataInMemory,
    *,
    name: str | None = None,
    options: ReadingOptions | None = None,
    max_samples: int | None = None,
) -> NerSource:
    """Load one NER corpus into its canonical form.

    Args:
        data: a known name (``"cluener"``), a file, folder, archive or pattern of files,
            ``"name=path"``, a Hub dataset id, or a source that is loaded; or rows in
            memory: a ``Dataset``, an ``IterableDataset``, which is streamed into Arrow files, a
            ``DataFrame`` with a row a sentence or a token, a list of records as JSON has them,
            or any of these by split.
        name: of the source; taken from ``data`` if not given.
        options: how to read what the data do not say.
        max_samples: sentences a split that it is cut to, chosen by ``options.seed``.

    Returns:
        The source, with splits ``train``, ``validation`` and ``test``.

    Raises:
        SourceNotFoundError: there is no such name, file or repository.
        SourceError: the data is not readable as NER data; the message names
            file and line.
        ConfigurationError: the data is nothing that could be a source, or has no name.
    """
    options = options or ReadingOptions()
    if max_samples is not None:
        return load_source(data, name=name, options=options).sample(max_samples, options.seed)
    if isinstance(data, NerSource):
        if name not in (None, data.name):
            raise ConfigurationError(
                f"name={name!r}: the source is loaded and called {data.name!r}. Leave it out."
            )
        return data
    if is_in_memory(data):
        if name is None:
            raise ConfigurationError(
                f'a {type(data).__name__} has no name of its own: pass load_source(data, name="…").'
            )
        with TemporaryDirectory(prefix="esnera-") as folder:
            readers = memory_readers(cast(DataInMemory, data), name, options, Path(folder))
            return build_source(NerSource(name), readers, options)
    _check_source(data)
    text = os.fspath(cast("str | os.PathLike[str]", data))
    if "=" in text and not os.path.exists(text):
        named, _, text = text.partition("=")
        name = name or named
    loaded = _load(text, name, options)
    return replace(loaded, origin=text if name is None else f"{name}={text}", reading_options=options)


#: What a bundle, a file or a repository of the Hub, and an answer, a file, are told by.
EVIDENCE_SUFFIX, ANSWER_SUFFIX = ".evidence", ".answer"
#: Labels that are compared with each other: their similarities take some hundred megabytes of memory. Fifty corpora
#: have about four hundred; a column of words that is taken for tags has tens of thousands.
MOST_ALIGNED = 3_000


def source_name(text: str) -> str:
    """Return what ``load_source`` calls a source that is given as text."""
    given_name, equals, _ = text.partition("=")
    if equals and given_name and not os.path.exists(text):
        return given_name
    path = Path(os.path.expanduser(text))
    if any(mark in text for mark in _MARKS) and not os.path.exists(path):
        return _name_of(_folder_of(path))
    return _name_of(path) if text and os.path.exists(path) else text.rpartition("/")[2]


def _load(text: str, name: str | None, options: ReadingOptions) -> NerSource:
    # Unlike those of Path, these functions take any text, such as names that are too long.
    path = Path(os.path.expanduser(text))
    if text and os.path.exists(path):
        try:
            return _load_path(path, name, options)
        except OSError as error:
            if isinstance(error, EsneraError):
                raise
            raise SourceError(
                f"{error.filename or text}: cannot be read: {error.strerror or error}. Check the file, its rights and "
                "the disk."
            ) from error
    if any(mark in text for mark in _MARKS):
        return _load_pattern(path, name, options)
    if named := find_named(text):
        return _load_named(named, name or text, options)
    missing, advice = _not_there(text)
    dataset, facts = load_from_hub(text, options, missing=missing, advice=advice)
    copies = copies_on_hub(text, options.data_files)
    # Whoever uploaded a copy of a corpus may have tagged it with any license: its own terms count.
    corpus = (find_named(name) if name else None) or (copies[0] if len(copies) == 1 else None)
    terms = _terms(corpus, name or text.rpartition("/")[2])
    if corpus is not None:
        options = replace(options, tag_names=options.tag_names or corpus.tag_names)
    elif copies:
        terms = replace(terms, license=least_allowed(one.license for one in copies))
    elif facts[0]:
        terms = replace(terms, license=license_from_id(facts[0], f"as tagged on the Hub: {facts[0]}"))
    return _from_hub(text, dataset, facts, terms, options)


def _load_pattern(path: Path, given_name: str | None, options: ReadingOptions) -> NerSource:
    """Load the files that match a pattern as those of a folder, such as the shards of a table larger than memory."""
    folder = _folder_of(path)
    files = [file for file in sorted(folder.glob(str(path.relative_to(folder)))) if file.is_file()]
    if not files:
        raise SourceNotFoundError(
            f"{path}: no file matches this pattern. Check it; in a shell it needs quotes around it."
        )
    terms = _terms(find_named(given_name) if given_name else None, given_name or _name_of(folder))
    return _from_files(folder, {}, terms, options, content_digest(folder, files), files)


def _not_there(text: str) -> tuple[str, str]:
    """Return what is not there, and what to do about it: a path, or a name that may be misspelt."""
    advice = "Check the spelling, or pass 'name=PATH' to a copy of yours"
    if "/" in text or os.sep in text or Path(text).suffix:
        return f"{text!r}: no such file or folder", f"{advice}."
    close = get_close_matches(text.lower(), sorted(NAMED_SOURCES), n=3)
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    return (
        f"{text!r}: no such file, folder or known name",
        f"{meant}{advice}; `esnera-hf sources` lists the known names.",
    )


def _load_path(path: Path, given_name: str | None, options: ReadingOptions) -> NerSource:
    """Load a file or folder; files that only happen to have a known name get none of its terms."""
    name = given_name or _name_of(path)
    corpus, origin = find_named(name), content_digest(path)
    with opened(path) as content:
        files = {} if options.data_files else _known_files(corpus, content)
        if corpus is not None and _leaves_out(corpus, content, files):
            files = {}
        if not files and not given_name:  # a name that the files alone suggest is no claim
            corpus = None
        return _from_files(content, files, _terms(corpus, name), _known_reading(corpus, options), origin)


def _known_files(corpus: NamedSource | None, place: Path) -> dict[str, list[Path]]:
    if corpus is None or not place.is_dir():
        return {}
    files = corpus.find_files(place)
    for split, members in () if corpus.many_files else files.items():
        check_one_file(place, corpus.name, split, members)
    return files


def _leaves_out(corpus: NamedSource, folder: Path, files: Mapping[str, list[Path]]) -> bool:
    """Tell whether a split of a known corpus lies in the folder under another name than the usual one."""
    missing = corpus.files.keys() - files.keys() if files else ()
    others = (file for file in folder.rglob("*") if file.is_file() and may_hold_data(folder, file))
    return bool(missing) and any(split_of_file(file) in missing for file in others)


def _from_files(
    place: Path,
    files: Mapping[str, list[Path]],
    terms: NerSource,
    options: ReadingOptions,
    origin: str | None,
    some: Sequence[Path] | None = None,
) -> NerSource:
    """Load the files of each split, or without any, a place or some files in it by their names and content."""
    if files:
        readers = {split: file_reader(members, options) for split, members in files.items()}
        notes = file_notes(chain.from_iterable(files.values()))
    else:
        readers, notes = path_readers(place, terms.name, options, some)
    return build_source(replace(terms, notes=(*terms.notes, *notes)), readers, options, origin=origin)


def _known_reading(corpus: NamedSource | None, options: ReadingOptions) -> ReadingOptions:
    if corpus is None:
        return options
    return replace(
        options,
        format=options.format or corpus.format,
        tag_names=options.tag_names or corpus.tag_names,
        tag_column=corpus.tag_column if options.tag_column is None else options.tag_column,
    )


def _load_named(corpus: NamedSource, name: str, options: ReadingOptions) -> NerSource:
    folder = os.environ.get(DATA_DIR_VARIABLE)
    terms, reading = _terms(corpus, name), _known_reading(corpus, options)
    for place in (Path(folder) / sub for sub in corpus.folders) if folder else ():
        files = _known_files(corpus, place)
        if not files:
            continue
        origin = content_digest(place)
        if _leaves_out(corpus, place, files):
            try:
                return _from_files(place, {}, terms, reading, origin)
            except SourceError as error:
                note = "a split lies there under another name, and was not read"
                say(f"{name}: {note}: {error}")
                terms = replace(terms, notes=(note,))
        return _from_files(place, files, terms, reading, origin)
    advice = (
        f"Get a copy from {corpus.homepage} and pass '{corpus.name}=PATH', or set {DATA_DIR_VARIABLE} to the "
        f"folder that holds '{corpus.folders[0]}/'."
    )
    missing = f"{corpus.name}: no copy found"
    if not corpus.hub_id:
        raise SourceNotFoundError(f"{missing}, and none is known on the Hub. {advice}")
    defaults = {**corpus.hub_options, "tag_names": corpus.tag_names}
    settings = replace(options, **{name: getattr(options, name) or value for name, value in defaults.items()})
    dataset, facts = load_from_hub(corpus.hub_id, settings, missing=missing, advice=advice)
    return _from_hub(corpus.hub_id, dataset, facts, terms, settings)


def _from_hub(
    repo_id: str, dataset: DatasetDict, facts: HubFacts, terms: NerSource, options: ReadingOptions
) -> NerSource:
    _, commit, notes = facts
    terms = replace(terms, provenance=replace(terms.provenance, hub_id=repo_id, revision=commit), notes=notes)
    return build_source(terms, dataset_readers(dataset, terms.name, options), options)


def _terms(corpus: NamedSource | None, name: str) -> NerSource:
    """Return what is known about a corpus, without its sentences."""
    if corpus is None:
        return NerSource(name)
    provenance = Provenance(corpus.homepage, corpus.citation)
    return NerSource(
        name, DatasetDict(), corpus.license, corpus.language, provenance, vocabulary=corpus.labels
    )


def _folder_of(pattern: Path) -> Path:
    """Return the folder in which a pattern looks: all parts before the first with a wildcard."""
    return Path(*takewhile(lambda part: not any(mark in part for mark in _MARKS), pattern.parts))


def _name_of(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.name.split(".")[0]


def check_seed(seed: int) -> None:
    """Check that every generator of random numbers takes a seed; NumPy's take 32 bits."""
    if not (seed == 0 or is_count(seed)) or seed >= 1 << 32:
        raise ConfigurationError(f"seed={seed!r}: expected a whole number from 0 to {(1 << 32) - 1}.")


def load_each(sources: Sequence[SourceLike], *, least: int = 0) -> list[NerSource]:
    """Load at least so many sources, in the order given.

    Raises:
        SourceNotFoundError, SourceError: one cannot be found or read.
        ConfigurationError: this is no list of sources, too short a one, or names one twice.
    """
    if not isinstance(sources, Sequence) or isinstance(sources, str) or len(sources) < least:
        wanted = (
            "sources. Put a single one in brackets",
            "at least one source",
            "at least two sources to align",
        )
        raise ConfigurationError(f"sources={sources!r}: expected a list of {wanted[least]}.")
    for source in sources:  # all of them before the first is loaded
        _check_source(source)
    texts = [os.fspath(source) for source in sources if not isinstance(source, NerSource)]
    if doubled := sorted({text for text in texts if texts.count(text) > 1}):
        raise ConfigurationError(f"given twice: {', '.join(doubled)}. Name each source once.")
    # Each process of a launch begins with another one: what one has read, the others find in the cache.
    start = process_index() * len(sources) // process_count()
    order = [*range(start, len(sources)), *range(start)]
    loaded = {number: load_source(sources[number]) for number in order}
    return [loaded[number] for number in range(len(sources))]


def load_sources(
    sources: Sequence[SourceLike], max_samples: int | None = None, seed: int = 42, *, least: int = 1
) -> list[NerSource]:
    """Load the sources of one alignment, sorted by name, cut to at most so many sentences a split if asked.

    Raises:
        SourceNotFoundError, SourceError: one cannot be found or read.
        ConfigurationError: too few, or two that look alike.
    """
    if max_samples is not None and not is_count(max_samples):
        raise ConfigurationError(f"max_samples={max_samples!r}: expected a positive number.")
    check_seed(seed)
    loaded = load_each(sources, least=least)
    check_names(loaded)  # of whole sources: samples of two equal ones may differ
    if max_samples is not None:
        loaded = [source.sample(max_samples, seed) for source in loaded]
    return sorted(loaded, key=lambda source: source.name)


def is_bundle(source: object) -> bool:
    """Tell by its ending whether a text names an evidence bundle, or an answer to one; neither holds sentences."""
    text = os.fspath(source) if isinstance(source, (str, os.PathLike)) else ""
    # A revision of the Hub stands behind an @, and an @ may stand in the name of a folder.
    return text.endswith((EVIDENCE_SUFFIX, ANSWER_SUFFIX)) or text.partition("@")[0].endswith(EVIDENCE_SUFFIX)


def _check_source(source: object) -> None:
    if is_bundle(source):
        raise ConfigurationError(
            f"{source}: an evidence bundle or an answer to one holds no text, which is needed here. Give the corpus, "
            "or give this to `esnera-hf align`."
        )
    if is_in_memory(source):
        raise ConfigurationError(
            f"a {type(source).__name__} has no name: pass load_source(data, name=…) instead."
        )
    if not isinstance(source, (str, os.PathLike, NerSource)):
        raise ConfigurationError(
            f"source {source!r:.80}: expected a known name, a path, 'name=path', a Hub dataset id, or what load_source "
            "gives. Pass one of these."
        )


def check_names(sources: Iterable[NerSource]) -> None:
    """Check that no two sources share a name, all sentences and annotations, or the text of a label.

    Raises:
        ConfigurationError: two do, or they have more labels than can be compared.
    """
    by_name: dict[str, NerSource] = {}
    by_content: dict[str, str] = {}
    for source in sources:
        if source.name in by_name:
            raise ConfigurationError(
                f"two sources are called {source.name!r}. Give each a name of its own: 'name=path', or "
                "load_source(data, name=…)."
            )
        by_name[source.name] = source
        twin = by_content.setdefault(source.fingerprint, source.name)
        if twin != source.name:
            raise ConfigurationError(
                f"{twin!r} and {source.name!r} hold the same sentences with the same annotation. "
                "Leave one of them out."
            )
    # Labels are written as source:label, and either may hold a colon.
    owners: dict[str, str] = {}
    for ref in (ref for source in by_name.values() for ref in source.label_refs):
        owner = owners.setdefault(str(ref), ref.source)
        if owner != ref.source:
            raise ConfigurationError(
                f"{str(ref)!r} may be a label of {owner!r} or of {ref.source!r}. Give one of the two a name without "
                "a colon: 'name=path', or load_source(data, name=…)."
            )
    if len(owners) > MOST_ALIGNED:
        largest = max(by_name.values(), key=lambda source: len(source.labels))
        raise ConfigurationError(
            f"expected at most {MOST_ALIGNED:,} labels to compare, found {len(owners):,}, {len(largest.labels):,} of "
            f"them of {largest.name!r}. Leave it out, or name the column that holds its tags, "
            "tag_column=."
        )
