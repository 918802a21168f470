"""``align``, ``apply``, ``diff`` and ``demo``: label schemes of several sources become one."""

from __future__ import annotations

import argparse
from pathlib import Path

from esnera_hf.cli.align_options import (
    add_align_options,
    align_settings,
    final_settings,
    wanted_schema,
)
from esnera_hf.cli.options import (
    SOURCES_HELP,
    Commands,
    add_final_options,
    add_reading_options,
    add_taggers_option,
    add_training_options,
    check_output,
    read_source,
    read_sources,
    save_and_print,
    training_arguments,
)
from esnera_hf.errors import ConfigurationError

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
        description="Train a tagger with a head a source, measure how alike their labels are, merge those that mean "
        "the same, merge the datasets. With --merge flat, or λ, τ or the search set, labels merge as the paper does "
        "it: along a path, with the λ and τ that merge most labels without losing F1.",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    align.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    align.add_argument("--encoder", help="folder or Hub id of a pretrained encoder (default: by language)")
    add_align_options(align)
    add_final_options(align, DEFAULT_FLOOR)
    add_reading_options(align)
    add_training_options(align)
    align.set_defaults(run=_align)


def _add_apply(commands: Commands) -> None:
    apply = commands.add_parser(
        "apply",
        help="merge sources by a mapping, such as an edited mapping.yaml",
        description="Merge sources by a mapping: nothing is measured or searched. Taggers are trained only for "
        "pseudo-labels (--augment) and a merged tagger (--tagger). What push published is made again from your own "
        "copies of its sources, and compared.",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    apply.add_argument(
        "mapping",
        metavar="MAPPING",
        help="mapping.yaml, as align writes it; or owner/name[@revision] on the Hub",
    )
    apply.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    apply.add_argument("--encoder", help="for --augment and --tagger (default: by language)")
    add_final_options(apply, None)
    add_taggers_option(apply)
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
    from esnera_hf.api import align

    check_output(options.output)
    result = align(
        read_sources(options),
        encoder=options.encoder,
        lam=options.lam,
        tau=options.tau,
        into=wanted_schema(options),
        sentences=options.sentences,
        seed=options.seed,
        settings=align_settings(options),
    )
    save_and_print(result, options.output)
    if options.output is None:
        print("not saved: run it again with --output DIR, the taggers are kept and will be reused")


def _apply(options: argparse.Namespace) -> None:
    from esnera_hf.api import apply
    from esnera_hf.processes import is_main_process

    _check_trained(options)
    check_output(options.output)
    result = apply(
        options.mapping,
        read_sources(options),
        encoder=options.encoder,
        sentences=options.sentences,
        seed=options.seed,
        final=final_settings(options),
        training=training_arguments(options),
        taggers=options.taggers or "joint",
    )
    save_and_print(result, options.output)
    if result.comparison is not None and is_main_process():
        print(result.comparison)
    if options.output is None:
        print("not saved: run it again with --output DIR")


def _check_trained(options: argparse.Namespace) -> None:
    given = {
        "--encoder": options.encoder,
        "--taggers": options.taggers,
        "--epochs": options.epochs,
        "--batch-size": options.batch_size,
        "--learning-rate": options.learning_rate,
        "--head-learning-rate": options.head_learning_rate,
    }
    idle = [name for name, value in given.items() if value is not None]
    if idle and options.augment is None and not options.tagger:
        raise ConfigurationError(
            f"{', '.join(idle)}: no tagger is trained. Ask for pseudo-labels with --augment, or for a tagger with "
            "--tagger, or leave this out."
        )


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


def _demo(options: argparse.Namespace) -> None:
    from esnera_hf.demo import run_demo

    check_output(options.output)
    outcome = run_demo(options.seed)
    if options.output is not None:
        outcome.result.save(options.output)
    print(outcome)
    if options.output is not None:
        print(f"saved to {options.output}")
