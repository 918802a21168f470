"""``push``, ``card`` and ``reproduce``: what was made goes to the Hub, and is made again from its report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf._internal.console import quiet_libraries
from esnera_hf._internal.processes import is_main_process
from esnera_hf.cli.options import (
    CONTENT,
    OUTPUT_FOLDER,
    SALTS,
    WHERE,
    Commands,
    add_command,
    check_output,
    chosen,
    given,
    refuse,
)
from esnera_hf.cli.reading import read_salts
from esnera_hf.errors import ConfigurationError

if TYPE_CHECKING:
    from esnera_hf.hub.evidence import Evidence
    from esnera_hf.modeling.tagger import Tagger
    from esnera_hf.result import MergeResult

_PUSH_HELP = """\
A saved alignment becomes a dataset repository: data, mapping.yaml, report and card appear in one commit. A saved
tagger becomes a model repository that works without this package. Run again after a failure or an interruption, it
goes on where it was. A README that is there already is kept: only the card's metadata and section change.

The terms of the sources count: text that may not be passed on is not published. --no-text publishes the recipe
instead, from which `esnera-hf apply REPO SOURCE …` makes the dataset from one's own copies of the sources.

The token is the one of `hf auth login`, or HF_TOKEN.
"""
_REPRODUCE_HELP = """\
Do again what a report tells of: the same sources, encoder, settings and seed. Exit status 0 if mapping and dataset are
the same, 1 if not. Only settings that this version knows are taken from the report, and no path that it names is
opened: name sources and encoder that are files. Taggers in the cache are reused: set ESNERA_CACHE_DIR to an empty
folder to compute everything anew.
"""
_FOLDER_HELP = "written by align, apply or train --output; or a file.evidence"


def add_commands(commands: Commands) -> None:
    """Add the commands that publish, and that make again what a report tells of."""
    push = add_command(
        commands,
        "push FOLDER [REPO]",
        _push,
        "publish a saved alignment or tagger on the Hub",
        _PUSH_HELP,
        epilog="",
        parents=[WHERE, CONTENT],
    )
    push.add_argument("folder", type=Path, metavar="FOLDER", help=_FOLDER_HELP)
    push.add_argument("repo_id", nargs="?", metavar="REPO", help="owner/name, or a name of your own")
    push.add_argument(
        "--to-folder", type=Path, metavar="DIR", help="write the files here; the Hub is not called"
    )
    visibility = push.add_mutually_exclusive_group()
    for name, private in (("private", True), ("public", False)):
        purpose = f"the repository is to be {name}"
        visibility.add_argument(
            f"--{name}", dest="private", action="store_const", const=private, help=purpose
        )
    push.add_argument("--tagger", metavar="REPO", help="publish the tagger of the alignment, too, here")
    push.set_defaults(interrupted="The same command goes on where it stopped.")

    purpose = "print the card that push would publish"
    card = add_command(
        commands,
        "card FOLDER REPO",
        _card,
        purpose,
        f"{purpose.capitalize()}, without calling the Hub.",
        epilog="",
        parents=[CONTENT],
    )
    card.add_argument("folder", type=Path, metavar="FOLDER", help=_FOLDER_HELP)
    card.add_argument("repo_id", metavar="REPO", help="owner/name it is to be published as")
    card.set_defaults(tagger=None)

    purpose = "do an alignment again from its report.json and compare"
    again = add_command(commands, "reproduce REPORT [SOURCE …]", _reproduce, purpose, _REPRODUCE_HELP)
    again.add_argument("report", type=Path, metavar="REPORT", help="report.json, or the folder it lies in")
    again.add_argument("sources", nargs="*", metavar="SOURCE", help="needed unless all are on the Hub")
    again.add_argument("--encoder", help="needed unless it is on the Hub")
    again.add_argument("--to", metavar="ATLAS", help="needed if there was an atlas that is not on the Hub")
    again.add_argument("--salt", **SALTS)
    again.add_argument("--output", **OUTPUT_FOLDER)


def _push(options: argparse.Namespace) -> None:
    from esnera_hf.hub.repository import HubRepository
    from esnera_hf.result import MergeResult

    if options.to_folder is not None:
        _save_for_hub(options)
        return
    if options.repo_id is None:
        raise ConfigurationError(
            "expected REPO, owner/name on the Hub. Or write the files with --to-folder DIR."
        )
    where = {"private": options.private, **chosen(options, WHERE)}
    made = _made(options)
    with_tagger = made if isinstance(made, MergeResult) and options.tagger else None
    if with_tagger is not None and with_tagger.tagger_folder is None:
        raise ConfigurationError(
            f"{options.folder} holds no tagger. Align or apply with --train-merged, or leave --tagger out."
        )
    if with_tagger is not None:
        repository = HubRepository(
            options.tagger, "model", revision=options.revision, create_pr=bool(options.create_pr)
        )
        # Before the dataset is sent: a tagger that cannot follow it would leave a half.
        repository.prepare(options.private)
    published = made.push_to_hub(options.repo_id, **where, **chosen(options, CONTENT))
    print(published)
    if with_tagger is not None:
        with quiet_libraries():
            tagger = with_tagger.load_tagger().with_record(dataset_repo=published.repo_id)
        print(tagger.push_to_hub(options.tagger, **where))


def _save_for_hub(options: argparse.Namespace) -> None:
    from esnera_hf.result import MergeResult
    from esnera_hf.sources.load import EVIDENCE_SUFFIX

    if options.folder.suffix == EVIDENCE_SUFFIX:
        raise ConfigurationError(
            f"--to-folder: {options.folder} is one file. Copy it; `esnera-hf card` prints its card."
        )
    visibility = ["private or --public"] if options.private is not None else []
    idle = [*visibility, *chosen(options, WHERE), *given(options, "tagger")]
    refuse(idle, "--to-folder calls no Hub. Leave one of the two out.")
    result = MergeResult.load(options.folder)
    result.save_for_hub(options.to_folder, repo_id=options.repo_id or "", **chosen(options, CONTENT))
    print(f"written to {options.to_folder}, nothing was published")


def _card(options: argparse.Namespace) -> None:
    print(_made(options).card(options.repo_id, **chosen(options, CONTENT)))


def _made(options: argparse.Namespace) -> MergeResult | Tagger | Evidence:
    """Load what is to be published; options for datasets go with an alignment alone."""
    from esnera_hf.hub.evidence import Evidence
    from esnera_hf.result import MergeResult, load_saved_tagger
    from esnera_hf.sources.load import EVIDENCE_SUFFIX

    of_datasets = [*given(options, "tagger"), *chosen(options, CONTENT)]
    if options.folder.suffix == EVIDENCE_SUFFIX:
        refuse(of_datasets, "an evidence bundle holds no text. Leave it out.")
        return Evidence.load(options.folder)
    # transformers writes it beside every model, and a saved alignment has none.
    if (options.folder / "config.json").is_file():
        refuse(of_datasets, f"{options.folder} is a tagger, and this is for datasets. Leave it out.")
        with quiet_libraries():
            return load_saved_tagger(options.folder)
    return MergeResult.load(options.folder)


def _reproduce(options: argparse.Namespace) -> None:
    from esnera_hf.api import reproduce

    check_output(options.output)
    result, differing = reproduce(
        options.report,
        options.sources or None,
        encoder=options.encoder,
        to=options.to,
        salt=read_salts(options.salt),
    )
    # Saved even where it differs: to find out why is what it was made for.
    if options.output is not None and is_main_process():
        result.save(options.output)
        print(f"saved to {options.output}")
    if differing:
        raise ConfigurationError(
            f"not what the report tells of: {', '.join(differing)} {'differ' if len(differing) > 1 else 'differs'}. "
            f"Compare sources, versions and machine with those in {options.report}."
        )
    if is_main_process():
        print("the same mapping and the same dataset")
