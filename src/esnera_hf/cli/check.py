"""``check``: likely errors of annotation."""

from __future__ import annotations

import argparse
from pathlib import Path

from esnera_hf.cli import options as table
from esnera_hf.cli.options import Commands, add_command
from esnera_hf.cli.reading import READING, read_sources
from esnera_hf.errors import ConfigurationError


def add_commands(commands: Commands) -> None:
    """Add the command."""
    check = add_command(
        commands,
        "check SOURCE …",
        _check,
        "rank mentions by how likely their annotation is wrong",
        "Rank mentions by how likely their annotation is wrong: wrong label, wrong borders, spurious or missed. Each "
        "quarter of a source is read by a small tagger on a frozen encoder that has learnt from the rest; of several "
        "sources, the taggers of the others speak, too, where labels are equal. The annotation stands in [brackets], "
        "what is likelier in {braces} where it lies elsewhere, each label before its probability. No data are changed.",
        parents=[READING],
    )
    check.add_argument("sources", nargs="+", **table.SOURCES)
    check.add_argument("--encoder", metavar="ENCODER", help="folder or Hub id (default: by language)")
    check.add_argument(
        "--mapping", type=Path, metavar="FILE", help="which labels are equal (default: those of one name)"
    )
    check.add_argument("--split", metavar="SPLIT", help="only those of train, validation or test")
    check.add_argument(
        "--kind",
        choices=("wrong label", "wrong borders", "spurious", "missed"),
        help="only those of one kind",
    )
    check.add_argument("--top", type=int, default=50, metavar="N", help="print so many (default: 50)")
    check.add_argument(
        "--output", type=Path, metavar="FILE", help="write all, as .jsonl or .csv; must not exist"
    )
    check.add_argument("--max-samples", **table.MAX_SAMPLES)
    check.add_argument("--seed", type=int, default=42, metavar="N", help="of the quarters (default: 42)")


def _check(options: argparse.Namespace) -> None:
    from esnera_hf.evaluation.label_errors import check_file, find_label_errors
    from esnera_hf.sources.splits import canonical_split

    split = canonical_split(options.split) if options.split else None
    if options.split and split is None:
        raise ConfigurationError(f"split={options.split!r}: expected train, validation or test.")
    if options.top < 0:
        raise ConfigurationError(f"top={options.top}: expected a number of errors, 0 or more.")
    if options.output:
        check_file(options.output)  # before minutes of reading
    errors = find_label_errors(
        read_sources(options),
        encoder=options.encoder,
        mapping=options.mapping,
        max_samples=options.max_samples,
        seed=options.seed,
    )
    errors = errors.only(split, options.kind)
    print(errors.table(options.top))
    if options.output:
        errors.save(options.output)
        print(f"all {len(errors):,} written to {options.output}")
