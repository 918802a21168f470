"""The options of ``align`` that say how to measure, search and merge, and the settings that they make."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.cli.options import add_taggers_option, training_arguments
from esnera_hf.errors import ConfigurationError

if TYPE_CHECKING:
    from esnera_hf.alignment import Into, SchemaSettings, SearchSettings
    from esnera_hf.final import FinalSettings
    from esnera_hf.settings import AlignSettings, Merge


def add_align_options(align: argparse.ArgumentParser) -> None:
    """Add the options."""
    _add_search_options(align)
    _add_schema_options(align)


def _add_search_options(align: argparse.ArgumentParser) -> None:
    group = align.add_argument_group("similarity and search")
    group.add_argument(
        "--lambda",
        dest="lam",
        type=float,
        metavar="λ",
        help="flat merging: weight of the empirical similarity, 0 to 1 (default: searched)",
    )
    group.add_argument(
        "--tau",
        type=float,
        metavar="τ",
        help="flat merging: a label joins its best match above this (default: searched)",
    )
    group.add_argument(
        "--max-drop", type=float, metavar="D", help="micro-F1 must fall by less (default: 0.02)"
    )
    group.add_argument(
        "--scoring",
        choices=("projected", "own_labels"),
        help="measure that F1 on unified labels (default), or on each source's own, which counts two labels "
        "of one source becoming one as a loss",
    )
    group.add_argument(
        "--search-sentences",
        type=int,
        metavar="N",
        help="measure and search on at most N sentences a split; all are merged in the end",
    )
    _add_evidence_options(group)


def _add_evidence_options(group: Any) -> None:
    group.add_argument(
        "--match",
        choices=("exact", "overlap"),
        default="exact",
        help="how predicted and gold spans match (default: exact)",
    )
    group.add_argument(
        "--centre",
        choices=("source", "all"),
        default="source",
        help="mean subtracted from mention vectors: one a source, or one over all",
    )
    add_taggers_option(group)
    group.add_argument(
        "--embeddings",
        choices=("tuned", "pretrained"),
        help="compare vectors of mentions of the joint tagger's encoder (default where there is one), or of the "
        "pretrained one",
    )
    group.add_argument(
        "--joint-of",
        metavar="SOURCE,…",
        help="train the joint tagger on these sources, such as those of a finished alignment, whose joint tagger is "
        "then taken from the cache; each other source gets a tagger of its own that begins with it",
    )


def _add_schema_options(align: argparse.ArgumentParser) -> None:
    group = align.add_argument_group("unified schema (labels are written source:label)")
    group.add_argument(
        "--merge",
        choices=("flat", "typed"),
        help="typed: what is equal in both directions becomes one, and a label that another holds becomes its "
        "child; flat: each label into its best match above τ, as the paper does (default: flat where λ, τ or the "
        "search are set, typed otherwise)",
    )
    group.add_argument("--into", metavar="SOURCE", help="merge into this source's labels")
    group.add_argument(
        "--into-labels", metavar="NAME,…", help="merge into these names, each of which some labels bear"
    )
    group.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="LABEL=NAME",
        help="call a label so; the same name joins, different names keep apart",
    )
    group.add_argument(
        "--together", action="append", default=[], metavar="LABEL,…", help="labels that become one"
    )
    group.add_argument(
        "--apart", action="append", default=[], metavar="LABEL,…", help="labels that stay apart"
    )
    group.add_argument(
        "--mapping", type=Path, metavar="FILE", help="keep the locked lines of this mapping.yaml"
    )


def align_settings(options: argparse.Namespace) -> AlignSettings:
    """Return the settings that the options make.

    Raises:
        ConfigurationError: an option is out of range or malformed.
    """
    from esnera_hf.evidence import EvidenceSettings
    from esnera_hf.settings import AlignSettings

    return AlignSettings(
        EvidenceSettings(
            options.match,
            options.centre,
            training_arguments(options),
            options.taggers or "joint",
            None if options.joint_of is None else tuple(_listed(options.joint_of)),
            options.embeddings,
        ),
        _search(options),
        _schema(options),
        final_settings(options),
        _merge(options),
    )


def wanted_schema(options: argparse.Namespace) -> Into | None:
    """Return the schema to merge into, if one is given.

    Raises:
        ConfigurationError: it is given twice.
    """
    if options.into is not None and options.into_labels is not None:
        raise ConfigurationError("--into and --into-labels: expected one of the two.")
    return options.into if options.into_labels is None else _listed(options.into_labels)


def final_settings(options: argparse.Namespace) -> FinalSettings:
    """Return what is made of the merged dataset."""
    from esnera_hf.final import FinalSettings

    return FinalSettings(options.augment, options.tagger, options.compare, options.partial)


def _merge(options: argparse.Namespace) -> Merge | None:
    """Return the way of merging that is given, or that other options ask for, whatever their value."""
    fixed = {"--lambda": options.lam, "--tau": options.tau}
    search = {"--max-drop": options.max_drop, "--scoring": options.scoring}
    searched = [name for name, value in search.items() if value is not None]
    of_path = [*(name for name, value in fixed.items() if value is not None), *searched]
    if of_path and options.merge == "typed":
        raise ConfigurationError(
            f"{', '.join(of_path)}: --merge typed knows neither λ and τ nor a search. Leave them out, or say "
            "--merge flat."
        )
    if searched and None not in fixed.values():
        raise ConfigurationError(
            f"{', '.join(searched)}: λ and τ are both given, so nothing is searched. Leave this out, or one of the two."
        )
    return "flat" if of_path else options.merge


def _search(options: argparse.Namespace) -> SearchSettings:
    from esnera_hf.alignment import SearchSettings

    given = {
        "max_drop": options.max_drop,
        "scoring": options.scoring,
        "sentences": options.search_sentences,
    }
    return SearchSettings(**{name: value for name, value in given.items() if value is not None})


def _schema(options: argparse.Namespace) -> SchemaSettings:
    from esnera_hf.alignment import SchemaSettings

    names: dict[str, str] = {}
    for text in options.name:
        label, equals, name = text.rpartition("=")
        if not equals or not label:
            raise ConfigurationError(f"--name {text}: expected source:label=name.")
        if names.setdefault(label, name) != name:
            raise ConfigurationError(
                f"--name: {label} is to be called {names[label]!r} and {name!r}. Keep one name."
            )
    return SchemaSettings(
        names,
        [_listed(text) for text in options.together],
        [_listed(text) for text in options.apart],
        options.mapping,
    )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
