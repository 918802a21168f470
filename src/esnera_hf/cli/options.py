"""What commands share: how sources are read and taggers trained."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.errors import ConfigurationError
from esnera_hf.tagging import SCHEMES

if TYPE_CHECKING:
    from esnera_hf.result import MergeResult
    from esnera_hf.sources import NerSource, ReadingOptions

SOURCES_HELP = """\
sources:
  cluener                   a known name: a copy below ESNERA_DATA_DIR is used first, then the Hub
  path/to/corpus            a file or a folder with train, dev and test files
  boson=path/to/corpus.txt  your own copy of a known corpus, or any name you like
  owner/name                a dataset on the Hub
"""

#: ``esnera_hf.sources.options.FORMATS``, written again so that ``--help`` does without slow imports.
READ_AS = ("columns", "json", "cluener", "boson", "brackets", "slashed", "brat")

#: ``esnera_hf.report.files.REPORT_PAGE``, written again for the same reason.
REPORT_PAGE = "report.html"

#: What ``add_subparsers`` returns.
Commands = Any


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how sources are read."""
    group = parser.add_argument_group("reading (told from the data unless given)")
    group.add_argument("--strict", action="store_true", help="refuse what would be repaired or left out")
    group.add_argument(
        "--tag-column", metavar="C", help="tag column: its number from 0 in a file, its name in a dataset"
    )
    group.add_argument("--scheme", choices=SCHEMES, help="tagging scheme of column files")
    group.add_argument("--read-as", choices=READ_AS, help="format of the files")
    group.add_argument(
        "--licence",
        action="append",
        default=[],
        metavar="NAME=ID",
        help="licence of a source, an id of the Hub such as cc-by-4.0; may be given again",
    )
    group.add_argument(
        "--language",
        action="append",
        default=[],
        metavar="NAME=CODE",
        help="language of a source, a BCP 47 code such as en or zh-Hant; may be given again",
    )
    group.add_argument("--config", metavar="NAME", help="configuration of a Hub dataset")
    group.add_argument("--revision", metavar="REV", help="branch, tag or commit of a Hub dataset")


def reading_options(options: argparse.Namespace, name: str) -> ReadingOptions:
    """Return the reading options given on the command line for a source.

    Raises:
        ConfigurationError: one is malformed, or for a source that is not given.
    """
    from esnera_hf.sources import ReadingOptions
    from esnera_hf.sources.load import source_name

    given = options.sources if "sources" in options else [options.source]
    names = {source_name(text) for text in given}
    called = source_name(name)

    column: str | int | None = options.tag_column
    if isinstance(column, str) and column.removeprefix("-").isdecimal():
        column = int(column)
    return ReadingOptions(
        format=options.read_as,
        scheme=options.scheme,
        tag_column=column,
        strict=options.strict,
        config=options.config,
        revision=options.revision,
        licence=_by_source("--licence", options.licence, names).get(called),
        language=_by_source("--language", options.language, names).get(called),
    )


def _by_source(option: str, given: list[str], names: set[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, _, value = text.rpartition("=")
        if not name or not value:
            raise ConfigurationError(
                f"{option} {text}: expected NAME=VALUE, the name of a source and what it is."
            )
        if name not in names:
            raise ConfigurationError(
                f"{option} {text}: expected the name of a source, {' or '.join(sorted(names))}, found {name!r}."
            )
        found[name] = value
    return found


def read_source(name: str, options: argparse.Namespace) -> NerSource:
    """Load a source as the command line says."""
    from esnera_hf.sources import load_source

    return load_source(name, options=reading_options(options, name))


def read_sources(options: argparse.Namespace) -> list[str | NerSource]:
    """Return the sources by name, or loaded where the command line says how to read them."""
    from esnera_hf.sources import ReadingOptions

    plain = ReadingOptions()
    return [
        name if reading_options(options, name) == plain else read_source(name, options)
        for name in options.sources
    ]


def add_final_options(parser: argparse.ArgumentParser, floor: float | None) -> None:
    """Add the options that say what is made of a mapping.

    Args:
        parser: the command.
        floor: the default confidence floor of pseudo-labels.
    """
    group = parser.add_argument_group("what is made of the mapping")
    default = "none are added" if floor is None else f"default: {floor}"
    group.add_argument(
        "--augment",
        type=float,
        default=floor,
        metavar="C",
        help=f"add pseudo-labels with at least this confidence, 0 to 1 ({default})",
    )
    group.add_argument("--no-augment", dest="augment", action="store_const", const=None, help="add none")
    group.add_argument(
        "--tagger",
        action="store_true",
        help="train a tagger on the merged dataset and score it on each source",
    )
    group.add_argument(
        "--compare",
        action="append",
        choices=("naive", "gold", "outside"),
        default=[],
        help="with --tagger, train another one on the union where same names merge and missing types are O "
        "(naive), without pseudo-labels (gold), or without --partial (outside); may be given several times",
    )
    group.add_argument(
        "--partial",
        action=argparse.BooleanOptionalAction,
        help="with --tagger, train it on what each source says and no more: labels that a source does not "
        "annotate are left open there instead of O, and a coarse label may be any of its parts (default: where "
        "labels are parts of others)",
    )
    group.add_argument("--sentences", type=int, metavar="N", help="use at most N sentences a split")
    group.add_argument(
        "--output", type=Path, metavar="DIR", help="save dataset, mapping and report here; must not exist"
    )


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of training."""
    group = parser.add_argument_group("training (chosen by encoder and corpus size unless given)")
    group.add_argument("--epochs", type=float, metavar="N", help="at most so many epochs")
    group.add_argument("--batch-size", type=int, metavar="N", help="sentences a step, of all processes")
    group.add_argument("--learning-rate", type=float, metavar="R", help="of the encoder")
    group.add_argument("--head-learning-rate", type=float, metavar="R", help="of emission layer and CRF")
    group.add_argument("--cpu", action="store_true", help="do not use a GPU")
    group.add_argument(
        "--bf16",
        action="store_true",
        help="train in bfloat16, which pays where the hardware has instructions for it",
    )
    group.add_argument("--seed", type=int, default=42, help="of sampling and training (default: 42)")


def add_taggers_option(parser: Any) -> None:
    """Add the option of how the sources' own taggers are made."""
    parser.add_argument(
        "--taggers",
        choices=("joint", "separate"),
        help="train one encoder with a head a source (default), or a tagger a source",
    )


def training_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the training arguments given on the command line."""
    given = {
        "num_train_epochs": options.epochs,
        "per_device_train_batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "head_learning_rate": options.head_learning_rate,
        "use_cpu": options.cpu or None,
        "bf16": options.bf16 or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def check_output(folder: Path | None) -> None:
    """Check, before anything takes long, that an output folder can be written."""
    from esnera_hf.result import check_free

    if folder is not None:
        check_free(folder)


def save_and_print(result: MergeResult, folder: Path | None) -> None:
    """Save a result if a folder is given, and print what people read first; of several processes one does."""
    from esnera_hf.processes import is_main_process

    if not is_main_process():
        return
    if folder is not None:
        result.save(folder)
    print(result.report)
    print(result)
    if folder is not None:
        print(f"saved to {folder}; look at {folder / REPORT_PAGE} in a browser")
