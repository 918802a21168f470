"""The options that say how sources are read, the sources read by them, and the salts of bundles."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf.cli.options import chosen, option_group
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.tagging import SCHEMES

if TYPE_CHECKING:
    from esnera_hf.sources.source import NerSource


def _column(text: str) -> str | int:
    return int(text) if text.removeprefix("-").isdecimal() else text


def _reading_group(format_option: str, scheme_option: str) -> argparse.ArgumentParser:
    group, add = option_group("reading (detected from the data unless given)")
    add(format_option, dest="source_format", metavar="FORMAT", help="columns, json, brat, …")
    schemes = f"{', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}"
    of_columns = f"tagging scheme of column files: {schemes}"
    add(scheme_option, dest="scheme", choices=SCHEMES, metavar="NAME", help=of_columns)
    add("--tag-column", type=_column, metavar="C", help="number from 0 in a file, name in a dataset")
    add("--token-column", type=_column, metavar="C", help="the same of the tokens, or of the text of spans")
    add("--tag-layer", type=_column, metavar="L", help="of several tags in a cell, number from 0, or 'all'")
    add("--tag-name", action="append", metavar="TAG=AS", help="what a tag stands for: --tag-name=-=O")
    add("--offsets", metavar="WORDS", help="how offsets of spans count, such as 'tokens inclusive'")
    add(
        "--nested",
        choices=("outermost", "innermost", "layers"),
        metavar="WHICH",
        help="spans kept of those that overlap: outermost (default), innermost or layers",
    )
    add("--annotator", metavar="NAME", help="whose annotation counts where several annotated a text")
    add("--strict", action="store_true", default=None, help="refuse what would be repaired or left out")
    add("--config", metavar="NAME", help="configuration of a Hub dataset")
    add("--revision", metavar="REV", help="branch, tag or commit of a Hub dataset")
    add("--license", action="append", metavar="NAME=ID", help="license of a source, such as cc-by-4.0")
    add("--language", action="append", metavar="NAME=CODE", help="language of a source, such as zh-Hant")
    return group


#: How sources are read; ``export`` has a ``--format`` and a ``--scheme`` of its own.
READING = _reading_group("--format", "--scheme")
READING_FOR_EXPORT = _reading_group("--source-format", "--source-scheme")


def reading_options(options: argparse.Namespace, name: str) -> ReadingOptions:
    """Return the reading options of the command line for a source.

    Raises:
        ConfigurationError: one is malformed, or names none of the sources.
    """
    from esnera_hf.sources.load import source_name

    given = chosen(options, READING, "source_format", "tag_name", "license", "language")
    given |= stated(options, source_name(name))
    return ReadingOptions(format=options.source_format, tag_names=_tag_names(options.tag_name or ()), **given)


def stated(options: argparse.Namespace, name: str) -> dict[str, str]:
    """Return license and language of a source, as far as the command line states them.

    Raises:
        ConfigurationError: an option that does is malformed, or names none of the sources.
    """
    terms = {}
    for field in ("license", "language"):
        for text in getattr(options, field) or ():
            source, _, value = text.rpartition("=")
            if not source or not value:
                raise ConfigurationError(
                    f"--{field} {text}: expected NAME=VALUE, the name of a source and what it is."
                )
            names = source_names(options.sources if "sources" in options else [options.source])
            if source not in names:
                raise ConfigurationError(
                    f"--{field} {text}: expected the name of a source, {' or '.join(sorted(names))}, found {source!r}."
                )
            if source == name:
                terms[field] = value
    return terms


def _tag_names(texts: Sequence[str]) -> dict[str, str] | None:
    names = {}
    for text in texts:
        tag, equals, name = text.rpartition("=")
        if not equals or not name:
            raise ConfigurationError(f"--tag-name {text}: expected TAG=AS, a tag and what it stands for.")
        names[tag] = name
    return names or None


def read_source(name: str, options: argparse.Namespace) -> NerSource:
    """Load a source as the command line says."""
    from esnera_hf.sources.load import load_source

    return load_source(name, options=reading_options(options, name))


def read_sources(options: argparse.Namespace) -> list[str | NerSource]:
    """Return the sources by name, or loaded where the command line says how to read them."""
    from esnera_hf.sources.load import is_bundle

    plain = ReadingOptions()
    return [
        name if is_bundle(name) or reading_options(options, name) == plain else read_source(name, options)
        for name in options.sources
    ]


def source_names(sources: Iterable[str]) -> set[str]:
    """Return the names of sources, which of bundles stand in the files."""
    from esnera_hf.sources.load import ANSWER_SUFFIX, is_bundle, source_name

    names = set(map(source_name, sources))
    bundles = [name for name in sources if is_bundle(name) and not name.endswith(ANSWER_SUFFIX)]
    if bundles:
        from esnera_hf.hub.evidence import Evidence

        names |= {Evidence.load(name).name for name in bundles}
    return names


def read_salt(name: str | None) -> str | None:
    """Return the salt that an environment variable or a file holds.

    Raises:
        ConfigurationError: there is neither; the message does not show what was given, which may be the salt itself.
    """
    if name is None:
        return None
    if name in os.environ:
        return os.environ[name]
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "--salt: expected the name of an environment variable, or of a text file, that holds the salt; there is "
            "none of that name. Set it, such as by `read -rs SALT && export SALT`, and pass --salt SALT."
        ) from error


def read_salts(names: list[str] | None) -> str | dict[str, str] | None:
    """Return the salt of all bundles, or that of each by its name.

    Raises:
        ConfigurationError: one cannot be read, or there are several for all bundles.
    """
    if not names or (len(names) == 1 and "=" not in names[0]):
        return read_salt(names[0] if names else None)
    salts: dict[str, str] = {}
    for text in names:
        source, _, name = text.rpartition("=")
        if not source or source in salts:
            raise ConfigurationError(
                "--salt: expected one for all bundles, or SOURCE=NAME once for each of them."
            )
        salts[source] = read_salt(name) or ""
    return salts
