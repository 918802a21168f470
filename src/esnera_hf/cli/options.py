"""The options of the commands, each defined once."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from esnera_hf._internal.files import check_free
from esnera_hf.errors import ConfigurationError

SOURCES_HELP = """\
sources:
  cluener                   a known name: a copy below ESNERA_DATA_DIR is used first, then the Hub
  path/to/corpus            a file or a folder with train, dev and test files
  boson=path/to/corpus.txt  your own copy of a known corpus, or any name you like
  owner/name                a dataset on the Hub
"""
BUNDLES_HELP = f"""\
{SOURCES_HELP}\
  theirs.evidence           of a source whose text is elsewhere; its answers (.answer) beside it
"""

#: What ``add_subparsers`` returns.
Commands = Any


def _numbers(text: str) -> float | tuple[float, ...]:
    """Read a number, or several parted by commas, which are searched."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number, or several: 0.3,0.4.") from None
    return numbers[0] if len(numbers) == 1 else numbers


def split_names(text: str) -> tuple[str, ...]:
    """Split names that are parted by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


#: Options that several groups have, or a command alone.
SOURCES: dict[str, Any] = {"metavar": "SOURCE", "help": argparse.SUPPRESS}
OUTPUT_FOLDER: dict[str, Any] = {
    "type": Path,
    "metavar": "DIR",
    "help": "save the result here; must not exist",
}
MAX_SAMPLES: dict[str, Any] = {"type": int, "metavar": "N", "help": "use at most N sentences per split"}
SEED: dict[str, Any] = {"type": int, "default": 42, "help": "of the sentences read (default: 42)"}
SALTS: dict[str, Any] = {
    "action": "append",
    "metavar": "NAME",
    "help": "variable or file with the salt of forms; SOURCE=NAME: of one bundle",
}
_FLAG: dict[str, Any] = {"action": "store_true", "default": None}


def option_group(title: str) -> tuple[argparse.ArgumentParser, Callable[..., Any]]:
    """Return a group of options that commands share, a parent of their parsers, and what adds an option to it."""
    parser = argparse.ArgumentParser(add_help=False)
    return parser, parser.add_argument_group(title).add_argument


# Names that values have in the settings are their names here. No option has a default that settings have: one that is
# not given is None and leaves the setting as it is.
METHOD, _add = option_group("method")
_add(
    "--method",
    choices=("equivalence", "greedy"),
    default="equivalence",
    metavar="METHOD",
    help="equivalence (default): equal labels become one, parts children; greedy: as in the paper",
)
_add(
    "--evidence",
    choices=("frozen", "taggers", "surface"),
    metavar="EVIDENCE",
    help="frozen (default): heads on a fixed encoder; taggers: trained ones; surface: names, forms",
)
_add(
    "--quick",
    action="store_true",
    help="at most 20,000 sentences a split, nothing trained, and no encoder unless one is named",
)
_WEIGHT = "greedy: weight of the empirical similarity, 0 to 1"
_add("--lambda", dest="lam", type=_numbers, metavar="λ", help=_WEIGHT)
_add("--tau", type=_numbers, metavar="τ", help="greedy: similarity above which labels merge")
_add("--max-f1-drop", type=float, metavar="D", help="greedy: micro-F1 may fall by less (default: 0.02)")
_add("--scoring", choices=("unified", "native"), help="greedy: labels in which that F1 is measured")
_add(
    "--search-max-samples", type=int, metavar="N", help="greedy: measure and search on N sentences per split"
)

SIMILARITY, _add = option_group("method")
_add("--match", choices=("exact", "overlap"), help="taggers: how predicted and gold spans match")
_add("--center", choices=("source", "all"), help="mean subtracted from vectors of mentions")
_VECTORS = "taggers: vectors of mentions from the encoder as it is tuned, or pretrained"
_add("--salt", **SALTS)
_add("--embeddings", choices=("tuned", "pretrained"), metavar="ENCODER", help=_VECTORS)

SCHEMA, _add = option_group("unified schema (LABEL is source:label)")
_add("--to", metavar="ATLAS", help="put the labels into the tree of this atlas; one source is enough")
_add("--target-schema", metavar="SCHEMA", help="merge into the labels of this source, or NAME,…")
_add("--name", action="append", metavar="LABEL=NAME", help="name of a unified label")
_add("--must-link", action="append", type=split_names, metavar="LABEL,…", help="labels that become one")
_add("--cannot-link", action="append", type=split_names, metavar="LABEL,…", help="labels that stay apart")
_add(
    "--part-of",
    action="append",
    type=split_names,
    metavar="PART,WHOLE",
    help="a label that is a part of another",
)
_add("--min-precision", type=float, metavar="P", help="share of right merges to expect, such as 0.95")
_add("--locked", type=Path, metavar="FILE", help="keep the locked lines of this mapping.yaml")
_add("--definitions", type=Path, metavar="FILE", help="what labels mean: YAML or JSON, a text for each LABEL")

OUTPUT, _add = option_group("output")
_add("--output", **OUTPUT_FOLDER)
_add("--verbose", action="store_true", help="give the reason of every decision in full")
_add("--max-samples", **MAX_SAMPLES)
_add("--pseudo-label-threshold", type=float, metavar="C", help="least confidence of pseudo-labels, 0 to 1")
_add("--no-pseudo-labels", action="store_true", help="add no pseudo-labels")
_add("--train-merged", **_FLAG, help="train and score a tagger of the merged dataset")
_add("--baselines", type=split_names, metavar="NAME,…", help="with --train-merged: naive, gold, outside")
_add("--compare", choices=("own", "joint"), help="with --train-merged: the taggers it is scored beside")
_OPEN = "with --train-merged: leave open what a source does not annotate"
_add("--partial-likelihood", action=argparse.BooleanOptionalAction, help=_OPEN)

_TRAINING = "training (chosen by encoder and size unless given)"
TAGGERS, _add = option_group(_TRAINING)
_add("--taggers", choices=("joint", "separate"), help="one encoder with heads (default), or one each")
_add("--joint-of", type=split_names, metavar="SOURCE,…", help="train the joint tagger on these sources alone")

TRAINING, _add = option_group(_TRAINING)
_add("--encoder", help="folder or Hub id of a pretrained encoder (default: by language)")
_add("--epochs", dest="num_train_epochs", type=float, metavar="N", help="at most so many epochs")
_STEP = "sentences per step, of all processes"
_add("--batch-size", dest="per_device_train_batch_size", type=int, metavar="N", help=_STEP)
_add("--learning-rate", type=float, metavar="R", help="of the encoder")
_add("--head-learning-rate", type=float, metavar="R", help="of emission layer and CRF")
_add("--cpu", dest="use_cpu", **_FLAG, help="do not use a GPU")
_add("--bf16", **_FLAG, help="train in bfloat16")
_add("--seed", type=int, default=42, help="of sampling and training (default: 42)")

WHERE, _add = option_group("where it is published")
_add("--revision", metavar="BRANCH", help="branch to commit to, made if it is not there")
_add("--pr", dest="create_pr", **_FLAG, help="open a pull request instead of committing to a branch")
_add("--message", dest="commit_message", metavar="TEXT", help="of the commit")

CONTENT, _add = option_group("what is published")
_RECIPE = "publish the recipe, without any source's text"
_add("--no-text", dest="text", action="store_const", const=False, help=_RECIPE)
_RIGHT = "you hold the right to pass on the text of this source; may be given again"
_add("--may-share", action="append", metavar="SOURCE", help=_RIGHT)
_add("--by-source", **_FLAG, help="add a configuration per source, with its own sentences")

#: Values that are refused under the name of their option, where that is not called as they are.
_SPELT = {
    "lam": "lambda",
    "create_pr": "pr",
    "commit_message": "message",
    "text": "no-text",
    "source_format": "format",
}


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Gives an option and what denies it one line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, argparse.BooleanOptionalAction):
            return f"--[no-]{action.option_strings[0].removeprefix('--')}"
        return super()._format_action_invocation(action)


def add_command(
    commands: Commands,
    usage: str,
    run: Callable[[argparse.Namespace], None],
    help: str,
    description: str = "",
    *,
    epilog: str = SOURCES_HELP,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add a command; its help has a line for each option where it can.

    Args:
        usage: the name of the command and its operands.
        help: a line for the list of commands, and the description where none is given.
        parents: groups of options.
    """
    description = description or f"{help[0].upper()}{help[1:]}."
    parser: argparse.ArgumentParser = commands.add_parser(
        usage.partition(" ")[0],
        help=help,
        description=description if "\n" in description else textwrap.fill(description, 118),
        usage=f"esnera-hf {usage} [options]",
        epilog=epilog,
        formatter_class=_HelpFormatter,
        add_help=False,
        parents=parents,
    )
    # Of a page that should fit a screen, three lines would tell how to get it.
    parser.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    return parser


def chosen(options: argparse.Namespace, group: argparse.ArgumentParser, *without: str) -> dict[str, Any]:
    """Return the options of a group that are given, by the names of settings."""
    return given(options, *(name for name in vars(group.parse_args([])) if name not in without))


def given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return those of some options that are given."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def refuse(options: Iterable[str], why: str) -> None:
    """Refuse options that were given though they have no effect.

    Raises:
        ConfigurationError: there is one.
    """
    if options:
        spelt = (f"--{_SPELT.get(name, name).replace('_', '-')}" for name in options)
        raise ConfigurationError(f"{', '.join(spelt)}: {why}")


def training_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the training arguments of the command line."""
    return chosen(options, TRAINING, "encoder", "seed")


def check_output(folder: Path | None) -> None:
    """Check, before anything takes long, that an output folder can be written."""
    if folder is not None:
        check_free(folder)
