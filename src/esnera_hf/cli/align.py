"""``align``, ``apply`` and ``diff``, and the options that commands share: reading, training, output."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.errors import ConfigurationError
from esnera_hf.tagging import SCHEMES

if TYPE_CHECKING:
    from esnera_hf.alignment.constraints import SchemaSettings
    from esnera_hf.alignment.search import GreedySettings
    from esnera_hf.evaluation.merged_tagger import OutputSettings
    from esnera_hf.result import MergeResult
    from esnera_hf.settings import AlignSettings
    from esnera_hf.sources.options import ReadingOptions
    from esnera_hf.sources.source import NerSource
    from esnera_hf.taggers.settings import TaggerSettings

SOURCES_HELP = """\
sources:
  cluener                   a known name: a copy below ESNERA_DATA_DIR is used first, then the Hub
  path/to/corpus            a file or a folder with train, dev and test files
  boson=path/to/corpus.txt  your own copy of a known corpus, or any name you like
  owner/name                a dataset on the Hub
"""

#: What ``add_subparsers`` returns.
Commands = Any
#: Options that are numbers of sentences, and those that may be given several times.
NUMBER: dict[str, Any] = {"type": int, "metavar": "N"}
SEVERAL: dict[str, Any] = {"action": "append", "default": []}
OUTPUT: dict[str, Any] = {"type": Path, "metavar": "DIR"}


def add_command(commands: Commands, name: str, help: str, description: str, **options: Any) -> Any:
    """Add a command that takes sources; its help has a line for each option where it can."""
    return commands.add_parser(
        name,
        help=help,
        description=textwrap.fill(description, 100),
        usage=f"esnera-hf {name} {options.pop('operands', 'SOURCE …')} [options]",
        epilog=options.pop("epilog", "") + SOURCES_HELP,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30),
        **options,
    )


def add_commands(commands: Commands) -> None:
    """Add the commands that align and merge sources."""
    align = add_command(
        commands,
        "align",
        "align the labels of two or more sources and merge them",
        "Train taggers, measure how alike the labels of the sources are, merge the labels that mean the same, and "
        "merge the datasets.",
    )
    align.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    _add_method_options(align)
    _add_evidence_options(align)
    _add_schema_options(align)
    _add_output_options(align)
    add_reading_options(align)
    add_training_options(align)
    align.set_defaults(run=_align)

    apply = add_command(
        commands,
        "apply",
        "merge sources by a mapping, such as an edited mapping.yaml",
        "Merge sources by a mapping; nothing is measured or searched. By the id of a published dataset or recipe, "
        "rebuild it from your own copies of its sources, and say whether the result equals the published one.",
        operands="MAPPING SOURCE …",
    )
    apply.add_argument("mapping", metavar="MAPPING", help="mapping.yaml, or owner/name on the Hub")
    apply.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    _add_output_options(apply)
    add_reading_options(apply)
    add_training_options(apply)
    apply.set_defaults(run=_apply)

    diff = add_command(
        commands,
        "diff",
        "show what changes from one mapping.yaml to another",
        "Show the labels that are renamed, moved, left out, joined or parted from one mapping to another. With "
        "sources, count and show the entities affected.",
        operands="OLD NEW [SOURCE …]",
    )
    diff.add_argument("before", type=Path, metavar="OLD", help="mapping.yaml")
    diff.add_argument("after", type=Path, metavar="NEW", help="mapping.yaml")
    diff.add_argument("sources", nargs="*", metavar="SOURCE", help="see below")
    add_reading_options(diff)
    diff.set_defaults(run=_diff)


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("method").add_argument
    add(
        "--method",
        choices=("equivalence", "greedy"),
        default="equivalence",
        help="equivalence (default): labels equal in both directions become one, a label contained in another becomes "
        "its child; greedy: each label joins its best match, as in the paper",
    )
    weight = "greedy: weight of the empirical similarity, 0 to 1"
    add("--lambda", dest="lam", type=_numbers, metavar="λ", help=weight)
    add("--tau", type=_numbers, metavar="τ", help="greedy: similarity above which labels merge")
    add("--max-f1-drop", type=float, metavar="D", help="greedy: micro-F1 may fall by less (default: 0.02)")
    add("--scoring", choices=("unified", "native"), help="greedy: labels in which that F1 is measured")
    add("--search-max-samples", **NUMBER, help="greedy: measure and search on N sentences per split")


def _add_evidence_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("similarity").add_argument
    add("--match", choices=("exact", "overlap"), help="how predicted and gold spans match")
    add("--center", choices=("source", "all"), help="mean subtracted from vectors of mentions")
    add("--embeddings", choices=("tuned", "pretrained"), help="encoder of the vectors of mentions")
    add("--joint-of", metavar="SOURCE,…", help="train the joint tagger on these sources alone")


def _add_schema_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("unified schema (LABEL is source:label)").add_argument
    add("--target-schema", metavar="SCHEMA", help="merge into the labels of this source, or NAME,…")
    add("--name", **SEVERAL, metavar="LABEL=NAME", help="name of a unified label")
    add("--must-link", **SEVERAL, metavar="LABEL,…", help="labels that become one")
    add("--cannot-link", **SEVERAL, metavar="LABEL,…", help="labels that stay apart")
    add("--locked", type=Path, metavar="FILE", help="keep the locked lines of this mapping.yaml")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("--output", **OUTPUT, help="save the result here; must not exist")
    add("--max-samples", **NUMBER, help="use at most N sentences per split")
    add("--pseudo-label-threshold", type=float, metavar="C", help="least confidence of pseudo-labels, 0 to 1")
    add("--no-pseudo-labels", action="store_true", help="add no pseudo-labels")
    add("--train-merged", action="store_true", help="train and score a tagger of the merged dataset")
    add("--baselines", metavar="NAME,…", help="with --train-merged: naive, gold, outside")
    leave_open = "with --train-merged: leave open what a source does not annotate"
    add("--partial-likelihood", action=argparse.BooleanOptionalAction, help=leave_open)


def add_reading_options(parser: argparse.ArgumentParser, format_option: str = "--format") -> None:
    """Add the options that say how sources are read."""
    add = parser.add_argument_group("reading (detected from the data unless given)").add_argument
    add(format_option, dest="source_format", metavar="FORMAT", help="columns, json, brat, …")
    add("--scheme", choices=SCHEMES, help="tagging scheme of column files")
    add("--tag-column", metavar="C", help="number from 0 in a file, name in a dataset")
    add("--strict", action="store_true", help="refuse what would be repaired or left out")
    add("--config", metavar="NAME", help="configuration of a Hub dataset")
    add("--revision", metavar="REV", help="branch, tag or commit of a Hub dataset")
    add("--license", **SEVERAL, metavar="NAME=ID", help="license of a source, such as cc-by-4.0")
    add("--language", **SEVERAL, metavar="NAME=CODE", help="language of a source, such as zh-Hant")


def add_training_options(parser: argparse.ArgumentParser, *, kind: bool = True) -> None:
    """Add the options of training, with the kind of taggers where there are several."""
    add = parser.add_argument_group("training (chosen by encoder and size unless given)").add_argument
    add("--encoder", help="folder or Hub id of a pretrained encoder (default: by language)")
    if kind:
        add("--taggers", choices=("joint", "separate"), help="one encoder with heads (default), or one each")
    add("--epochs", type=float, metavar="N", help="at most so many epochs")
    add("--batch-size", type=int, metavar="N", help="sentences per step, of all processes")
    add("--learning-rate", type=float, metavar="R", help="of the encoder")
    add("--head-learning-rate", type=float, metavar="R", help="of emission layer and CRF")
    add("--cpu", action="store_true", help="do not use a GPU")
    add("--bf16", action="store_true", help="train in bfloat16")
    add("--seed", type=int, default=42, help="of sampling and training (default: 42)")


def _numbers(text: str) -> float | tuple[float, ...]:
    """Read a number, or several parted by commas, which are searched."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number, or several: 0.3,0.4.") from None
    return numbers[0] if len(numbers) == 1 else numbers


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def reading_options(options: argparse.Namespace, name: str) -> ReadingOptions:
    """Return the reading options of the command line for a source.

    Raises:
        ConfigurationError: one is malformed, or names none of the sources.
    """
    from esnera_hf.sources.load import source_name
    from esnera_hf.sources.options import ReadingOptions

    names = {source_name(text) for text in (options.sources if "sources" in options else [options.source])}
    column: str | int | None = options.tag_column
    if isinstance(column, str) and column.removeprefix("-").isdecimal():
        column = int(column)
    return ReadingOptions(
        format=options.source_format,
        scheme=options.scheme,
        tag_column=column,
        strict=options.strict,
        config=options.config,
        revision=options.revision,
        license=_by_source("--license", options.license, names).get(source_name(name)),
        language=_by_source("--language", options.language, names).get(source_name(name)),
    )


def _by_source(option: str, texts: list[str], names: set[str]) -> dict[str, str]:
    values = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        if not name or not value:
            raise ConfigurationError(
                f"{option} {text}: expected NAME=VALUE, the name of a source and what it is."
            )
        if name not in names:
            raise ConfigurationError(
                f"{option} {text}: expected the name of a source, {' or '.join(sorted(names))}, found {name!r}."
            )
        values[name] = value
    return values


def read_source(name: str, options: argparse.Namespace) -> NerSource:
    """Load a source as the command line says."""
    from esnera_hf.sources.load import load_source

    return load_source(name, options=reading_options(options, name))


def read_sources(options: argparse.Namespace) -> list[str | NerSource]:
    """Return the sources by name, or loaded where the command line says how to read them."""
    from esnera_hf.sources.options import ReadingOptions

    plain = ReadingOptions()
    return [
        name if reading_options(options, name) == plain else read_source(name, options)
        for name in options.sources
    ]


def training_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the training arguments of the command line."""
    arguments = {"num_train_epochs": options.epochs, "per_device_train_batch_size": options.batch_size}
    arguments |= _present(options, "learning_rate", "head_learning_rate")
    arguments |= {"use_cpu": options.cpu or None, "bf16": options.bf16 or None}
    return {name: value for name, value in arguments.items() if value is not None}


def _present(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the options that are set: the others keep the defaults of the settings."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _output_settings(options: argparse.Namespace) -> OutputSettings:
    from esnera_hf.evaluation.merged_tagger import OutputSettings

    if options.no_pseudo_labels and options.pseudo_label_threshold is not None:
        raise ConfigurationError("--no-pseudo-labels and --pseudo-label-threshold: expected one of the two.")
    settings = _present(options, "pseudo_label_threshold", "train_merged", "partial_likelihood")
    if options.no_pseudo_labels:
        settings["pseudo_label_threshold"] = None
    return OutputSettings(**settings, baselines=tuple(_listed(options.baselines or "")))  # type: ignore[arg-type]


def _greedy_settings(options: argparse.Namespace) -> GreedySettings:
    from esnera_hf.alignment.search import GreedySettings

    values = _present(options, "lam", "tau", "max_f1_drop", "scoring", "search_max_samples")
    if values and options.method != "greedy":
        idle = ", ".join("--lambda" if name == "lam" else f"--{name.replace('_', '-')}" for name in values)
        raise ConfigurationError(f"{idle}: only --method greedy uses this. Add it, or leave this out.")
    if "search_max_samples" in values:
        values["max_samples"] = values.pop("search_max_samples")
    return GreedySettings(**values)


def _schema_settings(options: argparse.Namespace) -> SchemaSettings:
    from esnera_hf.alignment.constraints import SchemaSettings

    names: dict[str, str] = {}
    for text in options.name:
        label, equals, name = text.rpartition("=")
        if not equals or not label:
            raise ConfigurationError(f"--name {text}: expected source:label=name.")
        if names.setdefault(label, name) != name:
            raise ConfigurationError(
                f"--name: {label} is to be called {names[label]!r} and {name!r}. Keep one name."
            )
    return SchemaSettings(
        names,
        tuple(_listed(text) for text in options.must_link),
        tuple(_listed(text) for text in options.cannot_link),
        options.locked,
    )


def _tagger_settings(options: argparse.Namespace) -> TaggerSettings:
    from esnera_hf.taggers.settings import TaggerSettings

    joint_of = tuple(_listed(getattr(options, "joint_of", None) or "")) or None
    return TaggerSettings(options.taggers or "joint", training_arguments(options), joint_of)


def _target_schema(options: argparse.Namespace) -> str | list[str] | None:
    """Return the source, or the names of labels, to merge into."""
    from esnera_hf.sources.load import source_name

    text = options.target_schema
    return text if text is None or text in map(source_name, options.sources) else _listed(text)


def _align_settings(options: argparse.Namespace) -> AlignSettings:
    from esnera_hf.settings import AlignSettings
    from esnera_hf.similarity.evidence import EvidenceSettings

    return AlignSettings(
        EvidenceSettings(**_present(options, "match", "center", "embeddings")),
        _tagger_settings(options),
        _greedy_settings(options),
        _schema_settings(options),
        _output_settings(options),
    )


def _align(options: argparse.Namespace) -> None:
    from esnera_hf.api import align

    check_output(options.output)
    result = align(
        read_sources(options),
        encoder=options.encoder,
        method=options.method,
        target_schema=_target_schema(options),
        max_samples=options.max_samples,
        seed=options.seed,
        settings=_align_settings(options),
    )
    save_and_print(result, options.output)


def _apply(options: argparse.Namespace) -> None:
    from esnera_hf.api import apply

    options.no_pseudo_labels = options.pseudo_label_threshold is None
    idle = [f"--{name}" for name in _present(options, "encoder", "taggers")]
    if idle and options.no_pseudo_labels and not options.train_merged:
        raise ConfigurationError(
            f"{', '.join(idle)}: no tagger is trained. Ask for pseudo-labels with --pseudo-label-threshold, or for a "
            "tagger with --train-merged, or leave this out."
        )
    check_output(options.output)
    result = apply(
        options.mapping,
        read_sources(options),
        encoder=options.encoder,
        max_samples=options.max_samples,
        seed=options.seed,
        output=_output_settings(options),
        taggers=_tagger_settings(options),
    )
    save_and_print(result, options.output)


def check_output(folder: Path | None) -> None:
    """Check, before anything takes long, that an output folder can be written."""
    from esnera_hf._internal.files import check_free

    if folder is not None:
        check_free(folder)


def save_and_print(result: MergeResult, folder: Path | None) -> None:
    """Save a result if a folder is given, and print what people read first; of several processes one does."""
    from esnera_hf._internal.processes import is_main_process
    from esnera_hf.report.files import REPORT_PAGE

    if not is_main_process():
        return
    if folder is not None:
        result.save(folder)
    print(result.report)
    print(result)
    if result.comparison is not None:
        print(result.comparison)
    if folder is not None:
        print(f"saved to {folder}; look at {folder / REPORT_PAGE} in a browser")
    else:
        print("not saved: run it again with --output DIR, the taggers are kept and will be reused")


def _diff(options: argparse.Namespace) -> None:
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf.alignment.mapping import LabelMapping
    from esnera_hf.alignment.mapping_diff import MappingDifference, affected_entities

    before, after = LabelMapping.load(options.before), LabelMapping.load(options.after)
    with quiet_libraries():
        sources = [read_source(name, options) for name in options.sources]
    names = sorted({*before.sources, *after.sources})
    for source in sources:
        if source.name not in names:
            raise ConfigurationError(
                f"{source.name} is in neither mapping; they map {', '.join(names)}. "
                "Give a source the name that it has there: name=path."
            )
    difference = MappingDifference(before, after)
    print(difference)
    affected = affected_entities(difference, sources)
    if affected:
        print("entities affected:", *affected, sep="\n  ")
