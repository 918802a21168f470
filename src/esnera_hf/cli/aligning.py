"""``align`` and ``demo``: label schemes of several sources become one."""

from __future__ import annotations

import argparse
from pathlib import Path

from esnera_hf.cli.options import (
    SOURCES_HELP,
    Commands,
    add_reading_options,
    add_training_options,
    read_sources,
    training_arguments,
)


def add_commands(commands: Commands) -> None:
    """Add the commands that align sources."""
    _add_align(commands)
    _add_demo(commands)


def _add_align(commands: Commands) -> None:
    align = commands.add_parser(
        "align",
        help="align the labels of two or more sources and merge them",
        description="Train a tagger a source, measure how alike their labels are, merge labels and datasets.",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    align.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    align.add_argument("--encoder", help="folder or Hub id of a pretrained encoder (default: by language)")
    align.add_argument(
        "--lambda",
        dest="lam",
        type=float,
        default=0.4,
        metavar="λ",
        help="weight of the empirical similarity, 0 to 1 (default: 0.4)",
    )
    align.add_argument(
        "--tau",
        type=float,
        default=0.4,
        metavar="τ",
        help="a label joins its best match above this similarity (default: 0.4)",
    )
    align.add_argument(
        "--match",
        choices=("exact", "overlap"),
        default="exact",
        help="how predicted and gold spans match (default: exact)",
    )
    align.add_argument(
        "--centre",
        choices=("source", "all"),
        default="source",
        help="mean subtracted from mention vectors: one a source, or one over all",
    )
    align.add_argument("--sentences", type=int, metavar="N", help="use at most N sentences a split")
    align.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="save dataset, mapping.yaml, heatmaps and report here; must not exist",
    )
    add_reading_options(align)
    add_training_options(align)
    align.set_defaults(run=_align)


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
    from esnera_hf.evidence import EvidenceSettings
    from esnera_hf.result import check_free

    if options.output is not None:
        check_free(options.output)
    result = align(
        read_sources(options),
        encoder=options.encoder,
        lam=options.lam,
        tau=options.tau,
        sentences=options.sentences,
        seed=options.seed,
        evidence=EvidenceSettings(options.match, options.centre, training_arguments(options)),
    )
    if options.output is not None:
        result.save(options.output)
    print(result.report)
    print(result)
    if options.output is not None:
        print(f"saved to {options.output}")
    else:
        print("not saved: run it again with --output DIR, the taggers are kept and will be reused")


def _demo(options: argparse.Namespace) -> None:
    from esnera_hf.demo import run_demo
    from esnera_hf.result import check_free

    if options.output is not None:
        check_free(options.output)
    outcome = run_demo(options.seed)
    if options.output is not None:
        outcome.result.save(options.output)
    print(outcome)
    if options.output is not None:
        print(f"saved to {options.output}")
