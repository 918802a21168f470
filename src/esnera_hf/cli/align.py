"""What commands share: how sources are read and taggers trained."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.errors import ConfigurationError
from esnera_hf.tagging import SCHEMES

if TYPE_CHECKING:
    from esnera_hf.alignment.constraints import SchemaSettings, TargetSchema
    from esnera_hf.alignment.search import GreedySettings
    from esnera_hf.evaluation.merged_tagger import OutputSettings
    from esnera_hf.result import MergeResult
    from esnera_hf.settings import AlignSettings, Merge
    from esnera_hf.sources.options import ReadingOptions
    from esnera_hf.sources.source import NerSource


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
        "--license",
        action="append",
        default=[],
        metavar="NAME=ID",
        help="license of a source, an id of the Hub such as cc-by-4.0; may be given again",
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
    from esnera_hf.sources.load import source_name
    from esnera_hf.sources.options import ReadingOptions

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
        license=_by_source("--license", options.license, names).get(called),
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


def add_final_options(parser: argparse.ArgumentParser, threshold: float | None) -> None:
    """Add the options that say what is made of a mapping.

    Args:
        parser: the command.
        threshold: the default confidence floor of pseudo-labels.
    """
    group = parser.add_argument_group("what is made of the mapping")
    default = "none are added" if threshold is None else f"default: {threshold}"
    group.add_argument(
        "--pseudo-label-threshold",
        type=float,
        default=threshold,
        metavar="C",
        help=f"add pseudo-labels with at least this confidence, 0 to 1 ({default})",
    )
    group.add_argument(
        "--no-pseudo-labels", dest="pseudo_label_threshold", action="store_const", const=None, help="add none"
    )
    group.add_argument(
        "--train-merged",
        action="store_true",
        help="train a tagger on the merged dataset and score it on each source",
    )
    group.add_argument(
        "--baselines",
        action="append",
        choices=("naive", "gold", "outside"),
        default=[],
        help="with --train-merged, train another one on the union where same names merge and missing types are O "
        "(naive), without pseudo-labels (gold), or without --partial (outside); may be given several times",
    )
    group.add_argument(
        "--partial",
        action=argparse.BooleanOptionalAction,
        help="with --train-merged, train it on what each source says and no more: labels that a source does not "
        "annotate are left open there instead of O, and a coarse label may be any of its parts (default: where "
        "labels are parts of others)",
    )
    group.add_argument("--max-samples", type=int, metavar="N", help="use at most N sentences a split")
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
    from esnera_hf._internal.processes import is_main_process

    if not is_main_process():
        return
    if folder is not None:
        result.save(folder)
    print(result.report)
    print(result)
    if folder is not None:
        print(f"saved to {folder}; look at {folder / REPORT_PAGE} in a browser")


def add_align_options(align: argparse.ArgumentParser) -> None:
    """Add the options."""
    _add_search_options(align)
    _add_schema_options(align)


def _add_search_options(align: argparse.ArgumentParser) -> None:
    group = align.add_argument_group("similarity and search")
    group.add_argument(
        "--lambda",
        dest="lam",
        type=float,
        metavar="λ",
        help="flat merging: weight of the empirical similarity, 0 to 1 (default: searched)",
    )
    group.add_argument(
        "--tau",
        type=float,
        metavar="τ",
        help="flat merging: a label joins its best match above this (default: searched)",
    )
    group.add_argument(
        "--max-f1-drop", type=float, metavar="D", help="micro-F1 must fall by less (default: 0.02)"
    )
    group.add_argument(
        "--scoring",
        choices=("unified", "native"),
        help="measure that F1 on unified labels (default), or on each source's own, which counts two labels "
        "of one source becoming one as a loss",
    )
    group.add_argument(
        "--search-sentences",
        type=int,
        metavar="N",
        help="measure and search on at most N sentences a split; all are merged in the end",
    )
    _add_evidence_options(group)


def _add_evidence_options(group: Any) -> None:
    group.add_argument(
        "--match",
        choices=("exact", "overlap"),
        default="exact",
        help="how predicted and gold spans match (default: exact)",
    )
    group.add_argument(
        "--center",
        choices=("source", "all"),
        default="source",
        help="mean subtracted from mention vectors: one a source, or one over all",
    )
    add_taggers_option(group)
    group.add_argument(
        "--embeddings",
        choices=("tuned", "pretrained"),
        help="compare vectors of mentions of the joint tagger's encoder (default where there is one), or of the "
        "pretrained one",
    )
    group.add_argument(
        "--joint-of",
        metavar="SOURCE,…",
        help="train the joint tagger on these sources, such as those of a finished alignment, whose joint tagger is "
        "then taken from the cache; each other source gets a tagger of its own that begins with it",
    )


def _add_schema_options(align: argparse.ArgumentParser) -> None:
    group = align.add_argument_group("unified schema (labels are written source:label)")
    group.add_argument(
        "--merge",
        choices=("flat", "typed"),
        help="typed: what is equal in both directions becomes one, and a label that another holds becomes its "
        "child; flat: each label into its best match above τ, as the paper does (default: flat where λ, τ or the "
        "search are set, typed otherwise)",
    )
    group.add_argument("--target-schema", metavar="SOURCE", help="merge into this source's labels")
    group.add_argument(
        "--target-labels", metavar="NAME,…", help="merge into these names, each of which some labels bear"
    )
    group.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="LABEL=NAME",
        help="call a label so; the same name joins, different names keep apart",
    )
    group.add_argument(
        "--must-link", action="append", default=[], metavar="LABEL,…", help="labels that become one"
    )
    group.add_argument(
        "--cannot-link", action="append", default=[], metavar="LABEL,…", help="labels that stay apart"
    )
    group.add_argument(
        "--mapping", type=Path, metavar="FILE", help="keep the locked lines of this mapping.yaml"
    )


def align_settings(options: argparse.Namespace) -> AlignSettings:
    """Return the settings that the options make.

    Raises:
        ConfigurationError: an option is out of range or malformed.
    """
    from esnera_hf.settings import AlignSettings
    from esnera_hf.similarity.evidence import EvidenceSettings

    return AlignSettings(
        EvidenceSettings(
            options.match,
            options.center,
            training_arguments(options),
            options.taggers or "joint",
            None if options.joint_of is None else tuple(_listed(options.joint_of)),
            options.embeddings,
        ),
        _search(options),
        _schema(options),
        final_settings(options),
        _merge(options),
    )


def wanted_schema(options: argparse.Namespace) -> TargetSchema | None:
    """Return the schema to merge into, if one is given.

    Raises:
        ConfigurationError: it is given twice.
    """
    if options.target_schema is not None and options.target_labels is not None:
        raise ConfigurationError("--target-schema and --target-labels: expected one of the two.")
    return options.target_schema if options.target_labels is None else _listed(options.target_labels)


def final_settings(options: argparse.Namespace) -> OutputSettings:
    """Return what is made of the merged dataset."""
    from esnera_hf.evaluation.merged_tagger import OutputSettings

    return OutputSettings(options.pseudo_label_threshold, options.tagger, options.baselines, options.partial)


def _merge(options: argparse.Namespace) -> Merge | None:
    """Return the way of merging that is given, or that other options ask for, whatever their value."""
    fixed = {"--lambda": options.lam, "--tau": options.tau}
    search = {"--max-f1-drop": options.max_f1_drop, "--scoring": options.scoring}
    searched = [name for name, value in search.items() if value is not None]
    of_path = [*(name for name, value in fixed.items() if value is not None), *searched]
    if of_path and options.merge == "typed":
        raise ConfigurationError(
            f"{', '.join(of_path)}: --merge typed knows neither λ and τ nor a search. Leave them out, or say "
            "--merge flat."
        )
    if searched and None not in fixed.values():
        raise ConfigurationError(
            f"{', '.join(searched)}: λ and τ are both given, so nothing is searched. Leave this out, or one of the two."
        )
    return "flat" if of_path else options.merge


def _search(options: argparse.Namespace) -> GreedySettings:
    from esnera_hf.alignment.search import GreedySettings

    given = {
        "max_f1_drop": options.max_f1_drop,
        "scoring": options.scoring,
        "max_samples": options.search_sentences,
    }
    return GreedySettings(**{name: value for name, value in given.items() if value is not None})


def _schema(options: argparse.Namespace) -> SchemaSettings:
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
        [_listed(text) for text in options.must_link],
        [_listed(text) for text in options.cannot_link],
        options.mapping,
    )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


#: ``esnera_hf.augmentation.DEFAULT_FLOOR``, written again so that ``--help`` does without slow imports.
DEFAULT_THRESHOLD = 0.9


def add_commands(commands: Commands) -> None:
    """Add the commands that align sources."""
    _add_align(commands)
    _add_apply(commands)
    _add_diff(commands)
    _add_demo(commands)


def _add_align(commands: Commands) -> None:
    align = commands.add_parser(
        "align",
        help="align the labels of two or more sources and merge them",
        description="Train a tagger with a head a source, measure how alike their labels are, merge those that mean "
        "the same, merge the datasets. With --merge flat, or λ, τ or the search set, labels merge as the paper does "
        "it: along a path, with the λ and τ that merge most labels without losing F1.",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    align.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    align.add_argument("--encoder", help="folder or Hub id of a pretrained encoder (default: by language)")
    add_align_options(align)
    add_final_options(align, DEFAULT_THRESHOLD)
    add_reading_options(align)
    add_training_options(align)
    align.set_defaults(run=_align)


def _add_apply(commands: Commands) -> None:
    apply = commands.add_parser(
        "apply",
        help="merge sources by a mapping, such as an edited mapping.yaml",
        description="Merge sources by a mapping: nothing is measured or searched. Taggers are trained only for "
        "pseudo-labels (--pseudo-label-threshold) and a merged tagger (--train-merged). What push published is made again from your own "
        "copies of its sources, and compared.",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    apply.add_argument(
        "mapping",
        metavar="MAPPING",
        help="mapping.yaml, as align writes it; or owner/name[@revision] on the Hub",
    )
    apply.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    apply.add_argument(
        "--encoder", help="for --pseudo-label-threshold and --train-merged (default: by language)"
    )
    add_final_options(apply, None)
    add_taggers_option(apply)
    add_reading_options(apply)
    add_training_options(apply)
    apply.set_defaults(run=_apply)


def _add_diff(commands: Commands) -> None:
    diff = commands.add_parser(
        "diff",
        help="show what changes from one mapping.yaml to another",
        description="Show what changes from one mapping to another: renamed, moved and left out labels, labels "
        "that become one or part. With sources, the entities affected are counted and shown.",
        epilog=SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    diff.add_argument("before", type=Path, metavar="OLD", help="mapping.yaml")
    diff.add_argument("after", type=Path, metavar="NEW", help="mapping.yaml")
    diff.add_argument("sources", nargs="*", metavar="SOURCE", help="see below")
    add_reading_options(diff)
    diff.set_defaults(run=_diff)


def _add_demo(commands: Commands) -> None:
    demo = commands.add_parser(
        "demo",
        help="align three generated corpora and compare with the truth",
        description="Generate three small corpora whose true alignment is known, make a small encoder, align "
        "them, and print the mapping beside the truth. Needs no network and no data.",
    )
    demo.add_argument("--seed", type=int, default=42, help="of the corpora and the training (default: 42)")
    demo.add_argument("--output", type=Path, metavar="DIR", help="save the result here; must not exist")
    demo.set_defaults(run=_demo)


def _align(options: argparse.Namespace) -> None:
    from esnera_hf.api import align

    check_output(options.output)
    result = align(
        read_sources(options),
        encoder=options.encoder,
        lam=options.lam,
        tau=options.tau,
        target_schema=wanted_schema(options),
        sentences=options.sentences,
        seed=options.seed,
        settings=align_settings(options),
    )
    save_and_print(result, options.output)
    if options.output is None:
        print("not saved: run it again with --output DIR, the taggers are kept and will be reused")


def _apply(options: argparse.Namespace) -> None:
    from esnera_hf._internal.processes import is_main_process
    from esnera_hf.api import apply

    _check_trained(options)
    check_output(options.output)
    result = apply(
        options.mapping,
        read_sources(options),
        encoder=options.encoder,
        sentences=options.sentences,
        seed=options.seed,
        final=final_settings(options),
        training=training_arguments(options),
        taggers=options.taggers or "joint",
    )
    save_and_print(result, options.output)
    if result.comparison is not None and is_main_process():
        print(result.comparison)
    if options.output is None:
        print("not saved: run it again with --output DIR")


def _check_trained(options: argparse.Namespace) -> None:
    given = {
        "--encoder": options.encoder,
        "--taggers": options.taggers,
        "--epochs": options.epochs,
        "--batch-size": options.batch_size,
        "--learning-rate": options.learning_rate,
        "--head-learning-rate": options.head_learning_rate,
    }
    idle = [name for name, value in given.items() if value is not None]
    if idle and options.pseudo_label_threshold is None and not options.tagger:
        raise ConfigurationError(
            f"{', '.join(idle)}: no tagger is trained. Ask for pseudo-labels with --pseudo-label-threshold, or for a tagger with "
            "--train-merged, or leave this out."
        )


def _diff(options: argparse.Namespace) -> None:
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf.alignment.mapping import LabelMapping
    from esnera_hf.alignment.mapping_diff import affected_entities, compare_mappings

    before, after = LabelMapping.load(options.before), LabelMapping.load(options.after)
    with quiet_libraries():
        sources = [read_source(name, options) for name in options.sources]
    known = sorted({*before.sources, *after.sources})
    for source in sources:
        if source.name not in known:
            raise ConfigurationError(
                f"{source.name} is in neither mapping; they map {', '.join(known)}. "
                "Give a source the name that it has there: name=path."
            )
    difference = compare_mappings(before, after)
    print(difference)
    affected = affected_entities(difference, sources)
    if affected:
        print("entities affected:", *affected, sep="\n  ")


def _demo(options: argparse.Namespace) -> None:
    from esnera_hf.cli.demo import run_demo

    check_output(options.output)
    outcome = run_demo(options.seed)
    if options.output is not None:
        outcome.result.save(options.output)
    print(outcome)
    if options.output is not None:
        print(f"saved to {options.output}")
