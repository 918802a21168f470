# /// script
# requires-python = ">=3.11"
# dependencies = ["esnera-hf"]
#
# [tool.hf-jobs]
# flavor = "cpu-upgrade"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Build an atlas of the labels of NER datasets of the Hub, and publish it with its card.

    python hub_scripts/build_atlas.py me/ner-atlas cluener hltcoe/weibo_ner tner/wnut2017
    uv run hub_scripts/build_atlas.py …
    hf jobs uv run hub_scripts/build_atlas.py …

Until a release of esnera-hf is on the package index, build it and point uv to it: see README.md in this folder.

An atlas holds no text: per label the weights of a light head on a frozen encoder, a mean vector and counts. They are
exact, so whoever attacks them may find out what was read: build it of corpora that are public.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from esnera_hf import EsneraError
from esnera_hf.alignment.definitions import read_definitions
from esnera_hf.hub.atlas import Atlas
from esnera_hf.hub.repository import HubRepository


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output_repo", help="dataset repository to publish to: owner/name")
    parser.add_argument(
        "sources", nargs="+", help="known names, Hub dataset ids, paths or name=path; two or more"
    )
    parser.add_argument("--encoder", help="Hub id or folder of a pretrained encoder (default: by language)")
    parser.add_argument(
        "--definitions", type=Path, metavar="FILE", help="YAML or JSON: what each source:label means"
    )
    parser.add_argument("--seed", type=int, default=42, help="of the sentences that are read")
    parser.add_argument("--private", action="store_true", help="make the repository private")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Build, write, publish."""
    options = parse(arguments)
    private = True if options.private else None
    try:
        HubRepository(options.output_repo, "dataset").prepare(private)  # before anything takes long
        definitions = None if options.definitions is None else read_definitions(options.definitions)
        atlas = Atlas.build(
            options.sources, encoder=options.encoder, seed=options.seed, definitions=definitions
        )
        print(atlas)
        print(atlas.push_to_hub(options.output_repo, private=private))
    except EsneraError as error:
        print(f"build_atlas: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nbuild_atlas: interrupted. Finished trainings are kept, and the same command goes on where it "
            "stopped.",
            file=sys.stderr,
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
