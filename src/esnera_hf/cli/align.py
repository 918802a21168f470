"""``align``, ``apply`` and ``diff``."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf._internal.console import quiet_libraries
from esnera_hf._internal.processes import is_main_process
from esnera_hf.cli import options as table
from esnera_hf.cli.options import Commands, add_command, check_output, chosen, given, refuse
from esnera_hf.cli.reading import READING, read_salts, read_source, read_sources, source_names, stated
from esnera_hf.errors import ConfigurationError

if TYPE_CHECKING:
    from esnera_hf.alignment.constraints import SchemaSettings
    from esnera_hf.evaluation.merged_tagger import OutputSettings
    from esnera_hf.hub.evidence import Evidence
    from esnera_hf.result import MergeResult
    from esnera_hf.settings import AlignSettings
    from esnera_hf.sources.source import NerSource
    from esnera_hf.taggers.settings import TaggerSettings

#: Names and forms of so many are compared in seconds, and fewer have too few forms in common to merge anything.
_QUICK_SAMPLES = 20_000


def add_commands(commands: Commands) -> None:
    """Add the commands that align and merge sources."""
    shared = [table.OUTPUT, table.TAGGERS, table.TRAINING, READING]
    align = add_command(
        commands,
        "align SOURCE …",
        _align,
        "align the labels of two or more sources and merge them",
        "Merge equal labels, and the datasets; nothing is trained unless asked.",
        epilog=table.BUNDLES_HELP,
        parents=[table.METHOD, table.SIMILARITY, table.SCHEMA, *shared],
    )
    align.add_argument("sources", nargs="+", **table.SOURCES)

    apply = add_command(
        commands,
        "apply MAPPING SOURCE …",
        _apply,
        "merge sources by a mapping, such as an edited mapping.yaml",
        "Merge sources by a mapping; nothing is measured or searched. By the id of a published dataset or recipe, "
        "rebuild it from your own copies of its sources, and say whether the result equals the published one.",
        parents=shared,
    )
    apply.add_argument("mapping", metavar="MAPPING", help="mapping.yaml, or owner/name on the Hub")
    apply.add_argument("sources", nargs="+", **table.SOURCES)

    diff = add_command(
        commands,
        "diff OLD NEW [SOURCE …]",
        _diff,
        "show what changes from one mapping.yaml to another",
        "Show the labels that are renamed, moved, left out, joined or parted from one mapping to another. With "
        "sources, count and show the entities affected.",
        parents=[READING],
    )
    diff.add_argument("before", type=Path, metavar="OLD", help="mapping.yaml")
    diff.add_argument("after", type=Path, metavar="NEW", help="mapping.yaml")
    diff.add_argument("sources", nargs="*", **table.SOURCES)


def _align(options: argparse.Namespace) -> None:
    from esnera_hf.api import align
    from esnera_hf.sources.load import is_bundle

    check_output(options.output)
    if options.quick:
        _choose_quick(options)
    result = align(
        [_with_terms(source, options) for source in read_sources(options)],
        encoder=options.encoder,
        method=options.method,
        evidence=options.evidence,
        target_schema=_target_schema(options),
        to=options.to,
        max_samples=options.max_samples,
        seed=options.seed,
        settings=_align_settings(options),
    )
    save_and_print(result, options.output, verbose=options.verbose)
    if options.quick and options.output is not None:
        texts = shlex.join(name for name in options.sources if not is_bundle(name)) or "SOURCE"
        mapping = shlex.quote(str(options.output / "mapping.yaml"))
        print(f"of all sentences: esnera-hf apply {mapping} {texts} --output DIR")


def _output_settings(options: argparse.Namespace) -> OutputSettings:
    from esnera_hf.evaluation.merged_tagger import OutputSettings

    settings = chosen(options, table.OUTPUT, "output", "verbose", "max_samples", "no_pseudo_labels")
    if options.no_pseudo_labels:
        if "pseudo_label_threshold" in settings:
            raise ConfigurationError(
                "--no-pseudo-labels and --pseudo-label-threshold: expected one of the two."
            )
        settings["pseudo_label_threshold"] = None
    return OutputSettings(**settings)


def _tagger_settings(options: argparse.Namespace) -> TaggerSettings:
    from esnera_hf.taggers.settings import TaggerSettings

    return TaggerSettings(options.taggers or "joint", table.training_arguments(options), options.joint_of)


def _align_settings(options: argparse.Namespace) -> AlignSettings:
    from esnera_hf.alignment.search import GreedySettings
    from esnera_hf.settings import AlignSettings
    from esnera_hf.similarity.evidence import EvidenceSettings

    greedy = chosen(options, table.METHOD, "method", "evidence", "quick")
    if options.method != "greedy":
        refuse(greedy, "only --method greedy uses this. Add it, or leave this out.")
    if "search_max_samples" in greedy:
        greedy["max_samples"] = greedy.pop("search_max_samples")
    return AlignSettings(
        EvidenceSettings(**{**chosen(options, table.SIMILARITY), "salt": read_salts(options.salt)}),
        _tagger_settings(options),
        GreedySettings(**greedy),
        _schema_settings(options),
        _output_settings(options),
    )


def _schema_settings(options: argparse.Namespace) -> SchemaSettings:
    from esnera_hf.alignment.constraints import SchemaSettings
    from esnera_hf.alignment.definitions import read_definitions

    names: dict[str, str] = {}
    for text in options.name or ():
        # From the right: a label of a source may hold an equals sign.
        label, equals, name = text.rpartition("=")
        if not equals or not label:
            raise ConfigurationError(f"--name {text}: expected source:label=name.")
        if names.setdefault(label, name) != name:
            raise ConfigurationError(
                f"--name: {label} is to be called {names[label]!r} and {name!r}. Keep one name."
            )
    settings = chosen(options, table.SCHEMA, "to", "target_schema", "name")
    if "definitions" in settings:
        settings["definitions"] = read_definitions(settings["definitions"])
    return SchemaSettings(names, **settings)


def _with_terms(source: str | NerSource, options: argparse.Namespace) -> str | NerSource | Evidence:
    """Load a bundle if the command line states license or language of its corpus; leave any other source as it is."""
    from esnera_hf.hub.evidence import Evidence
    from esnera_hf.sources.load import ANSWER_SUFFIX, is_bundle

    is_stated = bool(options.license or options.language)
    if not (is_stated and isinstance(source, str) and is_bundle(source)) or source.endswith(ANSWER_SUFFIX):
        return source
    bundle = Evidence.load(source)
    return bundle.stated(**stated(options, bundle.name))


def _target_schema(options: argparse.Namespace) -> str | list[str] | None:
    """Return the source, or the names of labels, to merge into."""
    text: str | None = options.target_schema
    if text is None or text in source_names(options.sources):
        return text
    return list(table.split_names(text))


def _choose_quick(options: argparse.Namespace) -> None:
    """Choose what takes about a minute on a laptop; what is asked for by name stays."""
    from esnera_hf.sources.load import is_bundle

    trains = options.train_merged or options.pseudo_label_threshold is not None
    if trains or options.method == "greedy" or options.evidence == "taggers":
        raise ConfigurationError(
            "--quick trains nothing, and --method greedy, --evidence taggers, --train-merged and "
            "--pseudo-label-threshold train taggers. Leave --quick out, or those."
        )
    if options.evidence is None and options.encoder is None:
        bundles = [name for name in options.sources if is_bundle(name)]
        if bundles:
            raise ConfigurationError(
                f"--quick compares by names and forms alone, and {bundles[0]} holds no forms to compare. Leave --quick "
                "out, or name the encoder that the bundles were made with: --encoder PATH."
            )
        options.evidence = "surface"
    if options.max_samples is None:
        options.max_samples = _QUICK_SAMPLES


def _apply(options: argparse.Namespace) -> None:
    from esnera_hf.api import apply

    # A mapping that is applied needs no tagger: pseudo-labels are added only where they are asked for.
    if options.pseudo_label_threshold is None:
        options.no_pseudo_labels = True
        idle = [] if options.compare == "joint" else ["taggers", "joint_of"]
        idle += [] if options.train_merged else ["encoder"]
        refuse(
            given(options, *idle),
            "no tagger is trained. Ask for pseudo-labels with --pseudo-label-threshold, or for a "
            "tagger with --train-merged (beside others: --compare joint), or leave this out.",
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
    save_and_print(result, options.output, verbose=options.verbose)


def save_and_print(result: MergeResult, folder: Path | None, *, verbose: bool = False) -> None:
    """Save a result if a folder is given, and print what people read first; of several processes one does."""
    from esnera_hf.report.files import REPORT_PAGE

    # All processes hold the result; two that write one folder would spoil it.
    if not is_main_process():
        return
    if folder is not None:
        result.save(folder)
    # That an encoder fits a source badly was said at once, before the minutes that it takes; the page says it again.
    report = replace(result.report, encoder_fits={})
    print(report.details() if verbose else report)
    print(result.details() if verbose else result)
    if result.comparison is not None:
        print(result.comparison)
    if folder is not None:
        print(f"saved to {folder}; look at {folder / REPORT_PAGE} in a browser")
    else:
        print(
            "not saved: run it again with --output DIR; what was read or trained is kept and will be reused"
        )


def _diff(options: argparse.Namespace) -> None:
    from esnera_hf.alignment.mapping import LabelMapping
    from esnera_hf.alignment.mapping_diff import MappingDifference, affected_entities
    from esnera_hf.api import with_mentions

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
    # Mappings that were made from samples count the mentions of these; beside what is counted here they would not fit.
    difference = MappingDifference(with_mentions(before, sources), with_mentions(after, sources))
    print(difference)
    affected = affected_entities(difference, sources)
    if affected:
        print("entities affected:", *affected, sep="\n  ")
