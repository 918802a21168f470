"""The sources of one alignment: loaded, told apart, in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from datasets import Dataset, DatasetDict

from esnera_hf.bounds import is_count
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.load import load_source
from esnera_hf.sources.source import NerSource

#: A known name, a path, ``"name=path"``, a Hub dataset id or a loaded source.
SourceLike = str | os.PathLike[str] | NerSource


def check_sentences(sentences: int | None) -> None:
    """Check the number of sentences to sample.

    Raises:
        ConfigurationError: it is not positive.
    """
    if sentences is not None and not is_count(sentences):
        raise ConfigurationError(f"sentences={sentences!r}: expected a positive number.")


def check_seed(seed: int) -> None:
    """Check the seed of sampling and training.

    Raises:
        ConfigurationError: no generator takes it.
    """
    if not (seed == 0 or is_count(seed)) or seed >= 1 << 32:
        raise ConfigurationError(f"seed={seed!r}: expected a whole number from 0 to {(1 << 32) - 1}.")


def load_one(source: SourceLike) -> NerSource:
    """Load a source, unless it is loaded.

    Raises:
        SourceNotFoundError, SourceError: it cannot be found or read.
        ConfigurationError: it is nothing that could be a source.
    """
    _check_source(source)
    return source if isinstance(source, NerSource) else load_source(source)


def load_each(sources: Sequence[SourceLike]) -> list[NerSource]:
    """Load sources, in the order given.

    Raises:
        SourceNotFoundError, SourceError: one cannot be found or read.
        ConfigurationError: what is given is no list of sources.
    """
    if not _is_list(sources):
        raise ConfigurationError(
            f"sources={sources!r}: expected a list of sources. Put a single one in brackets."
        )
    return [load_one(source) for source in sources]


def _is_list(sources: object) -> bool:
    return isinstance(sources, Sequence) and not isinstance(sources, str)


def _check_source(source: object) -> None:
    if isinstance(source, (Dataset, DatasetDict)):
        raise ConfigurationError("a Dataset has no name: pass load_source(dataset, name=…) instead.")
    if not isinstance(source, (str, os.PathLike, NerSource)):
        raise ConfigurationError(
            f"source {source!r}: expected a known name, a path, 'name=path', a Hub dataset id, or what load_source "
            "gives. Pass one of these."
        )


def load_all(
    sources: Sequence[SourceLike], sentences: int | None, seed: int, least: int = 2
) -> list[NerSource]:
    """Load sources, sorted by name, sampled if asked.

    Raises:
        ConfigurationError: too few, or two that cannot be told apart.
    """
    if not _is_list(sources) or len(sources) < least:
        few = "at least two sources to align" if least == 2 else "at least one source"
        raise ConfigurationError(f"sources={sources!r}: expected a list of {few}.")
    check_sentences(sentences)
    check_seed(seed)
    for source in sources:
        _check_source(source)
    given = [source for source in sources if not isinstance(source, NerSource)]
    doubled = sorted({os.fspath(s) for s in given if given.count(s) > 1})
    if doubled:
        raise ConfigurationError(f"given twice: {', '.join(doubled)}. Name each source once.")
    loaded = [load_one(source) for source in sources]
    check_names(loaded)
    if sentences is not None:
        loaded = [source.sample(sentences, seed) for source in loaded]
    return sorted(loaded, key=lambda source: source.name)


def check_names(sources: Iterable[NerSource]) -> None:
    """Check that sources can be told apart.

    Raises:
        ConfigurationError: two sources share a name, hold the same sentences
            with the same annotation, or have labels that read alike.
    """
    by_name: dict[str, NerSource] = {}
    by_content: dict[str, NerSource] = {}
    for source in sources:
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
    owners: dict[str, str] = {}
    for ref in (ref for source in by_name.values() for ref in source.label_refs):
        owner = owners.setdefault(str(ref), ref.source)
        if owner != ref.source:
            raise ConfigurationError(
                f"{str(ref)!r} may be a label of {owner!r} or of {ref.source!r}. Give one of the two a name without "
                "a colon: 'name=path', or load_source(data, name=…)."
            )
