# /// script
# requires-python = ">=3.11"
# dependencies = ["esnera-hf"]
#
# [tool.hf-jobs]
# flavor = "cpu-basic"
# ///
"""Render the card of a saved alignment or tagger, to read before it is published.

    python hub_scripts/render_card.py merged me/zh-ner --output README.md
    uv run hub_scripts/render_card.py merged me/zh-ner --no-text

Until a release of esnera-hf is on the package index, build it and point uv to it: see README.md in this folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import esnera_hf
from esnera_hf import EsneraError
from esnera_hf.result import load_saved_tagger


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="written by esnera-hf align, apply or train --output")
    parser.add_argument("repo_id", help="owner/name it is to be published as")
    parser.add_argument("--no-text", action="store_true", help="the card of the recipe, without any text")
    parser.add_argument("--may-share", action="append", default=[], metavar="NAME", help="may be given again")
    parser.add_argument("--by-source", action="store_true", help="with a configuration a source")
    parser.add_argument(
        "--output", type=Path, help="file to write; must not exist (default: standard output)"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Render, and write or print."""
    options = parse(arguments)
    try:
        if (options.folder / "config.json").is_file():
            card = load_saved_tagger(options.folder).card(options.repo_id)
        else:
            card = esnera_hf.MergeResult.load(options.folder).card(
                options.repo_id,
                text=not options.no_text,
                may_share=options.may_share,
                by_source=options.by_source,
            )
    except EsneraError as error:
        print(f"render_card: {error}", file=sys.stderr)
        return 1
    if options.output is None:
        print(card)
        return 0
    try:
        with options.output.open("x", encoding="utf-8") as file:
            file.write(str(card))
    except FileExistsError:
        print(f"render_card: {options.output} exists already; nothing was written.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
