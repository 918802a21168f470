"""``atlas`` and ``locate``: known label schemas in one tree, and the place of one's own labels in it."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf._internal.files import write_new_file
from esnera_hf.cli.options import (
    SEED,
    SOURCES_HELP,
    Commands,
    add_command,
    check_output,
    chosen,
    given,
    refuse,
)
from esnera_hf.cli.reading import READING, read_source
from esnera_hf.errors import ConfigurationError

if TYPE_CHECKING:
    from esnera_hf.sources.source import NerSource

_ATLAS = "folder written by atlas build, or owner/name on the Hub"
_ATLAS_HELP = """\
examples:
  esnera-hf atlas build cluener weibo wnut17=path/to/wnut17 --output atlas
  esnera-hf atlas add atlas new=path/to/new --output larger
  esnera-hf atlas show larger
  esnera-hf locate mine=path/to/mine --atlas larger

index.html in the folder draws the tree and can be searched.

"""


def add_commands(commands: Commands) -> None:
    """Add the commands that make an atlas, and that find labels in it."""
    atlas = add_command(
        commands,
        "atlas build SOURCE …  |  add ATLAS SOURCE  |  show ATLAS",
        _atlas,
        "collect known label schemas in one tree",
        "Collect the evidence of many corpora, and the tree of their labels, in a folder that holds no text, for "
        "`locate`. Build it of corpora whose text is here; one that is added later, or its evidence bundle, is "
        "compared without the text of the others.",
        epilog=_ATLAS_HELP + SOURCES_HELP,
        parents=[READING],
    )
    atlas.add_argument(
        "action", choices=("build", "add", "show"), metavar="ACTION", help="build, add or show"
    )
    atlas.add_argument("sources", nargs="+", metavar="OPERAND", help=f"sources, see below; ATLAS: {_ATLAS}")
    atlas.add_argument("--output", type=Path, metavar="DIR", help="of build and add: must not exist")
    atlas.add_argument(
        "--definitions", type=Path, metavar="FILE", help="YAML or JSON: what each source:label means"
    )

    find = add_command(
        commands,
        "locate SOURCE --atlas ATLAS",
        _locate,
        "find the place of a corpus' labels in an atlas",
        "For each label of a corpus, or of its evidence bundle: the nearest labels of an atlas, how probably they "
        "mean the same or one is a part of the other, and the corpora that would add mentions of it.",
        parents=[READING],
    )
    find.add_argument("source", metavar="SOURCE", help="see below, or a file NAME.evidence")
    find.add_argument("--atlas", type=Path, required=True, metavar="ATLAS", help=_ATLAS)
    find.add_argument("--output", type=Path, metavar="FILE", help="write the same as JSON; must not exist")
    for command in (atlas, find):
        command.add_argument("--encoder", help="folder or Hub id; of an atlas, where it is not on the Hub")
        command.add_argument("--seed", **SEED)


def _atlas(options: argparse.Namespace) -> None:
    from esnera_hf.alignment.definitions import read_definitions
    from esnera_hf.hub.atlas import Atlas

    _check_operands(options)
    if options.action == "show":
        print(Atlas.load(options.sources[0]))
        return
    check_output(options.output)
    settings = {
        "encoder": options.encoder,
        "seed": options.seed,
        "definitions": None if options.definitions is None else read_definitions(options.definitions),
    }
    if options.action == "build":
        atlas = Atlas.build([_source(name, options) for name in options.sources], **settings)
    else:
        before, source = options.sources
        atlas = Atlas.load(before).add(_source(source, options), **settings)
    atlas.save(options.output)
    print(atlas)
    print(f"saved to {options.output}; index.html in it draws the tree. Next:")
    print(f"  esnera-hf locate MINE --atlas {shlex.quote(str(options.output))}")


def _check_operands(options: argparse.Namespace) -> None:
    """Check the number of operands of an action, and that it has its options and no other."""
    number = len(options.sources)
    expected = {"build": "two or more sources", "add": "an atlas and a source", "show": "an atlas"}
    if not {"build": number > 1, "add": number == 2, "show": number == 1}[options.action]:
        raise ConfigurationError(
            f"atlas {options.action}: expected {expected[options.action]}, found {number} names. See `esnera-hf atlas "
            "--help`."
        )
    if options.action == "show":
        unused = [*given(options, "output", "definitions", "encoder"), *chosen(options, READING)]
        refuse(unused, "`atlas show` prints what is there. Leave it out.")
    elif options.output is None:
        raise ConfigurationError(f"atlas {options.action}: say where the atlas goes with --output DIR.")


def _locate(options: argparse.Namespace) -> None:
    from esnera_hf.hub.atlas import Atlas
    from esnera_hf.hub.locate import describe, locate

    check_output(options.output)
    atlas = Atlas.load(options.atlas)
    locations = locate(_source(options.source, options), atlas, encoder=options.encoder, seed=options.seed)
    print(describe(locations))
    if options.output is not None:
        text = json.dumps({"locations": locations}, indent=1, ensure_ascii=False)
        write_new_file(options.output, f"{text}\n".encode())


def _source(name: str, options: argparse.Namespace) -> NerSource | str:
    from esnera_hf.sources.load import is_bundle

    return name if is_bundle(name) else read_source(name, options)
