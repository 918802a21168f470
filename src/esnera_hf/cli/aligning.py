"""``align``, ``apply``, ``diff`` and ``demo``: label schemes of several sources become one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.cli.options import (
    SOURCES_HELP,
    Commands,
    add_final_options,
    add_reading_options,
    add_training_options,
    check_output,
    read_source,
    read_sources,
    save_and_print,
    training_arguments,
)
from esnera_hf.errors import ConfigurationError

if TYPE_CHECKING:
    from esnera_hf.alignment import SchemaSettings, SearchSettings
    from esnera_hf.final import FinalSettings

#: ``esnera_hf.augmentation.DEFAULT_FLOOR``, written again so that ``--help`` does without slow imports.
DEFAULT_FLOOR = 0.9


def add_commands(commands: Commands) -> None:
    """Add the commands that align sources."""
    _add_align(commands)
    _add_apply(commands)
    _add_diff(commands)
    _add_demo(commands)


def _add_align(commands: Commands) -> None:
    align = commands.add_parser(
        "align",
        help="align the labels of two or more sources and merge them",
        description="Train a tagger a source, measure how alike their labels are, search for the mapping that "
        "merges most labels without losing F1, merge the datasets. Given λ and τ, nothing is searched.",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    align.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    align.add_argument("--encoder", help="folder or Hub id of a pretrained encoder (default: by language)")
    _add_search_options(align)
    _add_schema_options(align)
    add_final_options(align, DEFAULT_FLOOR)
    add_reading_options(align)
    add_training_options(align)
    align.set_defaults(run=_align)


def _add_apply(commands: Commands) -> None:
    apply = commands.add_parser(
        "apply",
        help="merge sources by a mapping, such as an edited mapping.yaml",
        description="Merge sources by a mapping: nothing is measured or searched. Taggers are trained only for "
        "pseudo-labels (--augment) and a merged tagger (--tagger).",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    apply.add_argument("mapping", type=Path, metavar="MAPPING", help="mapping.yaml, as align writes it")
    apply.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    apply.add_argument("--encoder", help="for --augment and --tagger (default: by language)")
    add_final_options(apply, None)
    add_reading_options(apply)
    add_training_options(apply)
    apply.set_defaults(run=_apply)


def _add_diff(commands: Commands) -> None:
    diff = commands.add_parser(
        "diff",
        help="show what changes from one mapping.yaml to another",
        description="Show what changes from one mapping to another: renamed, moved and left out labels, labels "
        "that become one or part. With sources, the entities affected are counted and shown.",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    diff.add_argument("before", type=Path, metavar="OLD", help="mapping.yaml")
    diff.add_argument("after", type=Path, metavar="NEW", help="mapping.yaml")
    diff.add_argument("sources", nargs="*", metavar="SOURCE", help="see below")
    add_reading_options(diff)
    diff.set_defaults(run=_diff)


def _add_search_options(align: argparse.ArgumentParser) -> None:
    group = align.add_argument_group("similarity and search")
    group.add_argument(
        "--lambda",
        dest="lam",
        type=float,
        metavar="λ",
        help="weight of the empirical similarity, 0 to 1 (default: searched)",
    )
    group.add_argument(
        "--tau", type=float, metavar="τ", help="a label joins its best match above this (default: searched)"
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
        "--search",
        choices=("exact", "estimated"),
        help="train every mapping until one holds the bound (default), or only those whose F1, estimated from "
        "predictions that are there, leaves it open",
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
    group.add_argument(
        "--taggers",
        choices=("separate", "joint"),
        default="separate",
        help="train a tagger a source (default), or one encoder with a head a source",
    )
    group.add_argument(
        "--warm-start",
        type=float,
        metavar="SHARE",
        help="with --taggers joint: begin trials and the final tagger with what the joint tagger knows, and train "
        "them for this share of the epochs, such as 0.25",
    )


def _add_schema_options(align: argparse.ArgumentParser) -> None:
    group = align.add_argument_group("unified schema (labels are written source:label)")
    group.add_argument(
        "--merge",
        choices=("flat", "typed"),
        default="flat",
        help="flat: each label into its best match above τ, as the paper does (default); typed: what is equal "
        "in both directions becomes one, and a label that another holds becomes its child",
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


def _add_demo(commands: Commands) -> None:
    demo = commands.add_parser(
        "demo",
        help="align three generated corpora and compare with the truth",
        description="Generate three small corpora whose true alignment is known, make a small encoder, align "
        "them, and print the mapping beside the truth. Needs no network and no data.",
    )
    demo.add_argument("--seed", type=int, default=42, help="of the corpora and the training (default: 42)")
    demo.add_argument("--output", type=Path, metavar="DIR", help="save the result here; must not exist")
    demo.set_defaults(run=_demo)


def _align(options: argparse.Namespace) -> None:
    from esnera_hf.api import AlignSettings, align
    from esnera_hf.evidence import EvidenceSettings

    check_output(options.output)
    if options.into is not None and options.into_labels is not None:
        raise ConfigurationError("--into and --into-labels: expected one of the two.")
    result = align(
        read_sources(options),
        encoder=options.encoder,
        lam=options.lam,
        tau=options.tau,
        into=options.into if options.into_labels is None else _listed(options.into_labels),
        sentences=options.sentences,
        seed=options.seed,
        settings=AlignSettings(
            EvidenceSettings(
                options.match,
                options.centre,
                training_arguments(options),
                options.taggers,
                options.warm_start,
            ),
            _search(options),
            _schema(options),
            _final(options),
            options.merge,
        ),
    )
    save_and_print(result, options.output)
    if options.output is None:
        print("not saved: run it again with --output DIR, the taggers are kept and will be reused")


def _apply(options: argparse.Namespace) -> None:
    from esnera_hf.api import apply

    check_output(options.output)
    result = apply(
        options.mapping,
        read_sources(options),
        encoder=options.encoder,
        sentences=options.sentences,
        seed=options.seed,
        final=_final(options),
        training=training_arguments(options),
    )
    save_and_print(result, options.output)
    if options.output is None:
        print("not saved: run it again with --output DIR")


def _diff(options: argparse.Namespace) -> None:
    from esnera_hf.alignment import LabelMapping, affected_entities, compare_mappings
    from esnera_hf.console import quiet_libraries

    before, after = LabelMapping.load(options.before), LabelMapping.load(options.after)
    with quiet_libraries():
        sources = [read_source(name, options) for name in options.sources]
    known = sorted({*before.sources, *after.sources})
    for source in sources:
        if source.name not in known:
            raise ConfigurationError(
                f"{source.name} is in neither mapping; they map {', '.join(known)}. "
                "Give a source the name that it has there: name=path."
            )
    difference = compare_mappings(before, after)
    print(difference)
    affected = affected_entities(difference, sources)
    if affected:
        print("entities affected:", *affected, sep="\n  ")


def _final(options: argparse.Namespace) -> FinalSettings:
    from esnera_hf.candidates import PartialLikelihood
    from esnera_hf.final import FinalSettings

    partial = PartialLikelihood() if options.partial else None
    return FinalSettings(options.augment, options.tagger, options.compare, partial)


def _search(options: argparse.Namespace) -> SearchSettings:
    from esnera_hf.alignment import SearchSettings

    given = {
        "max_drop": options.max_drop,
        "scoring": options.scoring,
        "method": options.search,
        "sentences": options.search_sentences,
    }
    return SearchSettings(**{name: value for name, value in given.items() if value is not None})


def _schema(options: argparse.Namespace) -> SchemaSettings:
    from esnera_hf.alignment import SchemaSettings

    names = {}
    for text in options.name:
        label, equals, name = text.rpartition("=")
        if not equals or not label:
            raise ConfigurationError(f"--name {text}: expected source:label=name.")
        names[label] = name
    return SchemaSettings(
        names,
        [_listed(text) for text in options.together],
        [_listed(text) for text in options.apart],
        options.mapping,
    )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _demo(options: argparse.Namespace) -> None:
    from esnera_hf.demo import run_demo

    check_output(options.output)
    outcome = run_demo(options.seed)
    if options.output is not None:
        outcome.result.save(options.output)
    print(outcome)
    if options.output is not None:
        print(f"saved to {options.output}")
