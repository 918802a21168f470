"""``push`` and ``card``: what was made goes to the Hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf.cli.align import SOURCES_HELP, Commands, check_output
from esnera_hf.errors import ConfigurationError, ReproductionError

if TYPE_CHECKING:
    from esnera_hf.hub.repository import Published
    from esnera_hf.modeling.tagger import Tagger


_PUSH_HELP = """\
A saved alignment becomes a dataset repository: data, mapping.yaml, report and card appear in one commit. A saved
tagger becomes a model repository that works without this package. Run again after a failure or an interruption, it
goes on where it was. A README that is there already is kept: only the card's metadata and section change.

The terms of the sources count: text that may not be passed on is not published. --no-text publishes the recipe
instead, from which `esnera-hf apply REPO SOURCE …` makes the dataset from one's own copies of the sources.

The token is the one of `hf auth login`, or HF_TOKEN.
"""


def add_commands(commands: Commands) -> None:
    """Add the commands that publish."""
    _add_push(commands)
    _add_card(commands)


def _add_push(commands: Commands) -> None:
    push = commands.add_parser(
        "push",
        help="publish a saved alignment or tagger on the Hub",
        description=_PUSH_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    push.add_argument("folder", type=Path, metavar="FOLDER", help="written by align, apply or train --output")
    push.add_argument("repo_id", nargs="?", metavar="REPO", help="owner/name, or a name of your own")
    push.add_argument(
        "--to-folder",
        type=Path,
        metavar="DIR",
        help="write the files here that would be committed, and do not call the Hub; must not exist",
    )
    visibility = push.add_mutually_exclusive_group()
    visibility.add_argument(
        "--private", dest="private", action="store_const", const=True, help="the repository is to be private"
    )
    visibility.add_argument(
        "--public", dest="private", action="store_const", const=False, help="the repository is to be public"
    )
    push.add_argument("--revision", metavar="BRANCH", help="branch to commit to, made if it is not there")
    push.add_argument(
        "--pr", action="store_true", help="open a pull request instead of committing to a branch"
    )
    push.add_argument("--message", metavar="TEXT", help="of the commit")
    _add_content_options(push)
    push.add_argument(
        "--tagger",
        metavar="REPO",
        help="publish the tagger of the alignment, too, as this model repository",
    )
    push.set_defaults(run=_push, interrupted="The same command goes on where it stopped.")


def _add_content_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-text",
        dest="text",
        action="store_false",
        help="publish the recipe, without any text of the sources",
    )
    parser.add_argument(
        "--may-share",
        action="append",
        default=[],
        metavar="SOURCE",
        help="you hold the right to pass on the text of this source; may be given again",
    )
    parser.add_argument(
        "--by-source", action="store_true", help="add a configuration a source, with its sentences relabelled"
    )


def _add_card(commands: Commands) -> None:
    card = commands.add_parser(
        "card",
        help="print the card that push would publish",
        description="Print the card that push would publish, without calling the Hub.",
    )
    card.add_argument("folder", type=Path, metavar="FOLDER", help="written by align, apply or train --output")
    card.add_argument("repo_id", metavar="REPO", help="owner/name it is to be published as")
    _add_content_options(card)
    card.set_defaults(run=_card)


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
    if _is_tagger(options.folder):
        _check_no_dataset_options(options)
        print(_push_tagger(_tagger(options.folder), options.repo_id, options))
        return
    result = MergeResult.load(options.folder)
    if options.tagger and result.tagger_folder is None:
        raise ConfigurationError(
            f"{options.folder} holds no tagger. Align or apply with --train-merged, or leave --tagger out."
        )
    if options.tagger:
        repository = HubRepository(options.tagger, "model", revision=options.revision, create_pr=options.pr)
        check_before([repository], options.private)
    published = result.push_to_hub(
        options.repo_id,
        private=options.private,
        revision=options.revision,
        create_pr=options.pr,
        text=options.text,
        may_share=options.may_share,
        by_source=options.by_source,
        commit_message=options.message,
    )
    print(published)
    if options.tagger:
        with quiet_libraries():
            tagger = result.load_tagger().with_record(dataset_repo=published.repo_id)
        print(_push_tagger(tagger, options.tagger, options))


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
    MergeResult.load(options.folder).save_for_hub(
        options.to_folder,
        repo_id=options.repo_id or "",
        text=options.text,
        may_share=options.may_share,
        by_source=options.by_source,
    )
    print(f"written to {options.to_folder}, nothing was published")


def _check_no_dataset_options(options: argparse.Namespace) -> None:
    given = {
        "--tagger": getattr(options, "tagger", None),
        "--no-text": not options.text,
        "--may-share": options.may_share,
        "--by-source": options.by_source,
    }
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise ConfigurationError(
            f"{', '.join(wrong)}: {options.folder} is a tagger, and this is for datasets. Leave it out."
        )


def _push_tagger(tagger: Tagger, repo_id: str, options: argparse.Namespace) -> Published:
    return tagger.push_to_hub(
        repo_id,
        private=options.private,
        revision=options.revision,
        create_pr=options.pr,
        commit_message=options.message,
    )


def _card(options: argparse.Namespace) -> None:
    from esnera_hf.result import MergeResult

    if _is_tagger(options.folder):
        _check_no_dataset_options(options)
        print(_tagger(options.folder).card(options.repo_id))
        return
    result = MergeResult.load(options.folder)
    print(
        result.card(
            options.repo_id, text=options.text, may_share=options.may_share, by_source=options.by_source
        )
    )


def _is_tagger(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _tagger(folder: Path) -> Tagger:
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf.result import load_saved_tagger

    with quiet_libraries():
        return load_saved_tagger(folder)


def add_commands_reproducing(commands: Commands) -> None:
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
    from esnera_hf._internal.processes import is_main_process
    from esnera_hf.api import reproduce

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
