"""The options that say how sources are read, and the sources read by them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from esnera_hf.cli.bundles import bundle_names
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.tagging import SCHEMES

if TYPE_CHECKING:
    from esnera_hf.sources.source import NerSource


def _column(text: str) -> str | int:
    return int(text) if text.removeprefix("-").isdecimal() else text


def add_reading_options(
    parser: argparse.ArgumentParser, format_option: str = "--format", scheme_option: str = "--scheme"
) -> None:
    """Add the options that say how sources are read; ``export`` has a ``--format`` and ``--scheme`` of its own."""
    add = parser.add_argument_group("reading (detected from the data unless given)").add_argument
    add(format_option, dest="source_format", metavar="FORMAT", help="columns, json, brat, …")
    schemes = f"{', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}"
    of_columns = f"tagging scheme of column files: {schemes}"
    add(scheme_option, dest="scheme", choices=SCHEMES, metavar="NAME", help=of_columns)
    add("--tag-column", type=_column, metavar="C", help="number from 0 in a file, name in a dataset")
    add("--token-column", type=_column, metavar="C", help="the same of the tokens, or of the text of spans")
    add("--tag-layer", type=_column, metavar="L", help="of several tags in a cell, number from 0, or 'all'")
    add(
        "--tag-name",
        action="append",
        default=[],
        metavar="TAG=AS",
        help="what a tag stands for: --tag-name=-=O",
    )
    add("--offsets", metavar="WORDS", help="how offsets of spans count, such as 'tokens inclusive'")
    add(
        "--nested",
        choices=("outermost", "innermost", "layers"),
        metavar="WHICH",
        help="spans kept of those that overlap: outermost (default), innermost or layers",
    )
    add("--annotator", metavar="NAME", help="whose annotation counts where several annotated a text")
    add("--strict", action="store_true", help="refuse what would be repaired or left out")
    add("--config", metavar="NAME", help="configuration of a Hub dataset")
    add("--revision", metavar="REV", help="branch, tag or commit of a Hub dataset")
    several: dict[str, Any] = {"action": "append", "default": []}
    add("--license", **several, metavar="NAME=ID", help="license of a source, such as cc-by-4.0")
    add("--language", **several, metavar="NAME=CODE", help="language of a source, such as zh-Hant")


def chosen_reading(options: argparse.Namespace) -> list[str]:
    """Return the reading options that are given, by the names of their values."""
    parser = argparse.ArgumentParser(add_help=False)
    add_reading_options(parser)
    return [
        name for name, default in vars(parser.parse_args([])).items() if getattr(options, name) != default
    ]


def reading_options(options: argparse.Namespace, name: str) -> ReadingOptions:
    """Return the reading options of the command line for a source.

    Raises:
        ConfigurationError: one is malformed, or names none of the sources.
    """
    from esnera_hf.sources.load import source_name

    sources = options.sources if "sources" in options else [options.source]
    names = {source_name(text) for text in sources} | bundle_names(sources)
    return ReadingOptions(
        format=options.source_format,
        scheme=options.scheme,
        tag_column=options.tag_column,
        token_column=options.token_column,
        tag_layer=options.tag_layer,
        tag_names=_tag_names(options.tag_name),
        offsets=options.offsets,
        nested=options.nested or "outermost",
        annotator=options.annotator,
        strict=options.strict,
        config=options.config,
        revision=options.revision,
        license=_by_source("--license", options.license, names).get(source_name(name)),
        language=_by_source("--language", options.language, names).get(source_name(name)),
    )


def _tag_names(texts: list[str]) -> dict[str, str] | None:
    names = {}
    for text in texts:
        tag, equals, name = text.rpartition("=")
        if not equals or not name:
            raise ConfigurationError(f"--tag-name {text}: expected TAG=AS, a tag and what it stands for.")
        names[tag] = name
    return names or None


def _by_source(option: str, texts: list[str], names: set[str]) -> dict[str, str]:
    values = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        if not name or not value:
            raise ConfigurationError(
                f"{option} {text}: expected NAME=VALUE, the name of a source and what it is."
            )
        if name not in names:
            raise ConfigurationError(
                f"{option} {text}: expected the name of a source, {' or '.join(sorted(names))}, found {name!r}."
            )
        values[name] = value
    return values


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
