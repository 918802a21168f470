"""``reproduce``: an alignment done again from its report."""

from __future__ import annotations

import argparse
from pathlib import Path

from esnera_hf.cli.options import SOURCES_HELP, Commands, check_output
from esnera_hf.errors import ReproductionError


def add_commands(commands: Commands) -> None:
    """Add the command that does an alignment again."""
    reproduce = commands.add_parser(
        "reproduce",
        help="do an alignment again from its report.json and compare",
        description="Do again what a report tells of: the same sources, encoder, settings and seed. Exit status 0 if "
        "mapping and dataset are the same, 1 if not. Taggers in the cache are reused: set ESNERA_CACHE_DIR to an "
        "empty folder to compute everything anew.",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    reproduce.add_argument(
        "report", type=Path, metavar="REPORT", help="report.json, or the folder it lies in"
    )
    reproduce.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="where the sources are (needed unless they are on the Hub)",
    )
    reproduce.add_argument("--encoder", help="where the encoder is (needed unless it is on the Hub)")
    reproduce.add_argument("--output", type=Path, metavar="DIR", help="save the result here; must not exist")
    reproduce.set_defaults(run=_reproduce)


def _reproduce(options: argparse.Namespace) -> None:
    from esnera_hf.processes import is_main_process
    from esnera_hf.reproducing import reproduce

    check_output(options.output)
    result, differing = reproduce(options.report, options.sources or None, encoder=options.encoder)
    if options.output is not None and is_main_process():
        result.save(options.output)
        print(f"saved to {options.output}")
    if differing:
        raise ReproductionError(
            f"not what the report tells of: {', '.join(differing)} {'differ' if len(differing) > 1 else 'differs'}. "
            f"Compare sources, versions and machine with those in {options.report}."
        )
    if is_main_process():
        print("the same mapping and the same dataset")
