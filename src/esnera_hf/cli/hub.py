"""``push``, ``card`` and ``reproduce``: what was made goes to the Hub, and is made again from its report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.cli.align import SOURCES_HELP, Commands, check_output
from esnera_hf.errors import ConfigurationError

if TYPE_CHECKING:
    from esnera_hf.modeling.tagger import Tagger

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
_FOLDER_HELP = "written by align, apply or train --output"


def add_commands(commands: Commands) -> None:
    """Add the commands that publish, and that make again what a report tells of."""
    raw = argparse.RawDescriptionHelpFormatter
    push = commands.add_parser(
        "push",
        help="publish a saved alignment or tagger on the Hub",
        description=_PUSH_HELP,
        formatter_class=raw,
    )
    push.add_argument("folder", type=Path, metavar="FOLDER", help=_FOLDER_HELP)
    push.add_argument("repo_id", nargs="?", metavar="REPO", help="owner/name, or a name of your own")
    add = push.add_argument
    add("--to-folder", type=Path, metavar="DIR", help="write the files here instead of calling the Hub")
    visibility = push.add_mutually_exclusive_group()
    for name, private in (("private", True), ("public", False)):
        told = f"the repository is to be {name}"
        visibility.add_argument(f"--{name}", dest="private", action="store_const", const=private, help=told)
    add("--revision", metavar="BRANCH", help="branch to commit to, made if it is not there")
    add("--pr", action="store_true", help="open a pull request instead of committing to a branch")
    add("--message", metavar="TEXT", help="of the commit")
    _add_content_options(push)
    add("--tagger", metavar="REPO", help="publish the tagger of the alignment, too, as this model repository")
    push.set_defaults(run=_push, interrupted="The same command goes on where it stopped.")

    told = "print the card that push would publish"
    card = commands.add_parser(
        "card", help=told, description=f"{told.capitalize()}, without calling the Hub."
    )
    card.add_argument("folder", type=Path, metavar="FOLDER", help=_FOLDER_HELP)
    card.add_argument("repo_id", metavar="REPO", help="owner/name it is to be published as")
    _add_content_options(card)
    card.set_defaults(run=_card, tagger=None)

    again = commands.add_parser(
        "reproduce",
        help="do an alignment again from its report.json and compare",
        description=_REPRODUCE_HELP,
        epilog=SOURCES_HELP,
        formatter_class=raw,
    )
    again.add_argument("report", type=Path, metavar="REPORT", help="report.json, or the folder it lies in")
    again.add_argument("sources", nargs="*", metavar="SOURCE", help="needed unless all are on the Hub")
    again.add_argument("--encoder", help="needed unless it is on the Hub")
    again.add_argument("--output", type=Path, metavar="DIR", help="save the result here; must not exist")
    again.set_defaults(run=_reproduce)


def _add_content_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--no-text", dest="text", action="store_false", help="publish the recipe, without any source's text")
    add(
        "--may-share",
        action="append",
        default=[],
        metavar="SOURCE",
        help="you hold the right to pass on the text of this source; may be given again",
    )
    add("--by-source", action="store_true", help="add a configuration per source, with its own sentences")


def _content(options: argparse.Namespace) -> dict[str, Any]:
    return {"text": options.text, "may_share": options.may_share, "by_source": options.by_source}


def _push(options: argparse.Namespace) -> None:
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf.hub.push import check_before
    from esnera_hf.hub.repository import HubRepository
    from esnera_hf.result import MergeResult

    if options.to_folder is not None:
        _save_for_hub(options)
        return
    if options.repo_id is None:
        raise ConfigurationError(
            "expected REPO, owner/name on the Hub. Or write the files with --to-folder DIR."
        )
    where = {"private": options.private, "revision": options.revision, "create_pr": options.pr}
    where["commit_message"] = options.message
    tagger = _saved_tagger(options)
    if tagger is not None:
        print(tagger.push_to_hub(options.repo_id, **where))
        return
    result = MergeResult.load(options.folder)
    if options.tagger and result.tagger_folder is None:
        raise ConfigurationError(
            f"{options.folder} holds no tagger. Align or apply with --train-merged, or leave --tagger out."
        )
    if options.tagger:
        repository = HubRepository(options.tagger, "model", revision=options.revision, create_pr=options.pr)
        check_before([repository], options.private)
    published = result.push_to_hub(options.repo_id, **where, **_content(options))
    print(published)
    if options.tagger:
        with quiet_libraries():
            tagger = result.load_tagger().with_record(dataset_repo=published.repo_id)
        print(tagger.push_to_hub(options.tagger, **where))


def _save_for_hub(options: argparse.Namespace) -> None:
    from esnera_hf.result import MergeResult

    given = {
        "--private or --public": options.private is not None,
        "--revision": options.revision,
        "--pr": options.pr,
        "--message": options.message,
        "--tagger": options.tagger,
    }
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise ConfigurationError(f"{', '.join(wrong)}: --to-folder calls no Hub. Leave one of the two out.")
    result = MergeResult.load(options.folder)
    result.save_for_hub(options.to_folder, repo_id=options.repo_id or "", **_content(options))
    print(f"written to {options.to_folder}, nothing was published")


def _card(options: argparse.Namespace) -> None:
    from esnera_hf.result import MergeResult

    tagger = _saved_tagger(options)
    if tagger is not None:
        print(tagger.card(options.repo_id))
    else:
        print(MergeResult.load(options.folder).card(options.repo_id, **_content(options)))


def _saved_tagger(options: argparse.Namespace) -> Tagger | None:
    """Load the tagger of a folder that holds one; options for datasets do not go with it."""
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf.result import load_saved_tagger

    if not (options.folder / "config.json").is_file():
        return None
    given = {
        "--tagger": options.tagger,
        "--no-text": not options.text,
        "--may-share": options.may_share,
        "--by-source": options.by_source,
    }
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise ConfigurationError(
            f"{', '.join(wrong)}: {options.folder} is a tagger, and this is for datasets. Leave it out."
        )
    with quiet_libraries():
        return load_saved_tagger(options.folder)


def _reproduce(options: argparse.Namespace) -> None:
    from esnera_hf._internal.processes import is_main_process
    from esnera_hf.api import reproduce

    check_output(options.output)
    result, differing = reproduce(options.report, options.sources or None, encoder=options.encoder)
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
