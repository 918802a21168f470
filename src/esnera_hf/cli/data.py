"""``sources``, ``inspect``, ``screen``, ``export`` and ``correct``: corpora without a model."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf._internal.console import no_dataset_bars, say
from esnera_hf._internal.files import check_free
from esnera_hf._internal.text import counted, in_columns
from esnera_hf.cli.options import SOURCES_HELP, Commands, add_command, chosen
from esnera_hf.cli.reading import READING, READING_FOR_EXPORT, read_source
from esnera_hf.errors import ConfigurationError

if TYPE_CHECKING:
    from datasets import DatasetDict

    from esnera_hf.alignment.mapping import LabelMapping
    from esnera_hf.sources.source import NerSource

_FORMATS = ("conll", "jsonl", "label-studio", "doccano", "spacy")
_SCHEMES = ("IOB1", "IOB2", "BIO", "BIOES", "BMES", "BMEWO", "BILOU", "IO")
#: Of a merged dataset or a mapping.yaml, what its labels went to, without the data.
_MAPPING_FORMATS = ("sssom", "flair")
_GRAINS = ("coarse", "medium", "fine", "original")

_OVERLAP_HELP = """\
Of several sources, for every label: how many of its distinct mentions occur in
the text of each other source, and as what they are annotated there. "50 %"
means that of a mention's occurrences half are so annotated, averaged over
mentions. Occurrences inside a longer mention say nothing and are counted apart
(--verbose). Then labels of one name that seem to differ in meaning, and
sentences the sources share.

"""
_SCREEN_HELP = """\
The first step, before anything is trained: which labels look the same or like parts of others, what to check, and
sentences the sources share. --output mapping.yaml writes the proposal; look through it, then apply it:

  esnera-hf apply mapping.yaml SOURCE … --output DIR

`esnera-hf align` compares by an encoder, too, and is right more often.

"""
_EXPORT_HELP = """\
formats:
  conll         a token and its tag a line, parted by a tab; the tag of --scheme: IOB1, IOB2 or BIO (default),
                BIOES, BMES, BMEWO, BILOU, or IO where no two entities of a label touch
  jsonl         {"id", "tokens", "spans": [[start, end, label], …], "source"}, token offsets, ends exclusive;
                of a merged dataset also "origins" (gold or pseudo) and "scores", one a span
  label-studio  a JSON list of tasks, those with pseudo-labels as predictions with scores, and label_config.xml
                for the labelling interface; `esnera-hf correct` brings back what was corrected there
  doccano       JSON lines {"text", "label": [[start, end, label], …]}, character offsets
  spacy         DocBin; what a source may have left unannotated is a missing value (needs esnera-hf[spacy])
  sssom, flair  of the mapping alone, or of a mapping.yaml: mapping.sssom.tsv; label_name_map.json, by source
conll, doccano and spacy cannot tell pseudo-labels from gold ones.

grains of a merged dataset: its unified labels (fine), the outermost ones that
sources annotate (medium), the outermost ones, be they umbrellas made up for
what belongs together (coarse), or the labels of the sources (original). What
a grain, or a number of labels, costs is said: which labels vanish, and how many
mentions in train they have.

"""


def add_commands(commands: Commands) -> None:
    """Add the commands that need no model."""
    purpose = "list the corpora known by name"
    columns = "language, license, whether a copy lies below ESNERA_DATA_DIR, and where else it is looked for"
    add_command(commands, "sources", _sources, purpose, f"{purpose.capitalize()}: {columns}.", epilog="")

    inspecting = add_command(
        commands,
        "inspect SOURCE …",
        _inspect,
        "show what is in a source: labels, lengths, defects; or what several share",
        epilog=_OVERLAP_HELP + SOURCES_HELP,
        parents=[READING],
    )
    screening = add_command(
        commands,
        "screen SOURCE …",
        _screen,
        "propose a mapping by names and mentions, in seconds and without a model",
        epilog=_SCREEN_HELP + SOURCES_HELP,
        parents=[READING],
    )
    for command in (inspecting, screening):
        command.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
        command.add_argument(
            "--all-splits", action="store_true", help="of several sources, compare validation and test, too"
        )
        command.add_argument(
            "--verbose", action="store_true", help="print all, with examples, not only what fits a screen"
        )
    screening.add_argument(
        "--output", type=Path, metavar="FILE", help="write the mapping here; must not exist"
    )

    _add_export(commands)


def _add_export(commands: Commands) -> None:
    export = add_command(
        commands,
        "export SOURCE --output DIR",
        _export,
        "write a source or a merged dataset for other tools",
        epilog=_EXPORT_HELP + SOURCES_HELP,
        parents=[READING_FOR_EXPORT],
    )
    export.add_argument("source", metavar="SOURCE", help="see below, or a folder saved by `esnera-hf align`")
    export.add_argument(
        "--format",
        choices=(*_FORMATS, *_MAPPING_FORMATS),
        default="jsonl",
        metavar="FORMAT",
        help="see below (default: jsonl)",
    )
    export.add_argument("--output", type=Path, required=True, metavar="DIR", help="must not exist")
    cut = export.add_mutually_exclusive_group()
    cut.add_argument(
        "--grain", choices=_GRAINS, default="fine", help="of the labels of a merged dataset (default: fine)"
    )
    cut.add_argument(
        "--labels", type=int, metavar="N", help="cut the labels of a merged dataset to at most so many"
    )
    export.add_argument("--gold-only", action="store_true", help="leave pseudo-labels out")
    export.add_argument(
        "--scheme", dest="written_scheme", choices=_SCHEMES, metavar="NAME", help="of the tags of conll"
    )

    correct = add_command(
        commands,
        "correct DIR FILE --output DIR",
        _correct,
        "take what was corrected in Label Studio back into a merged dataset",
        "Take the JSON that Label Studio exports of tasks from `esnera-hf export --format label-studio` "
        "back into the merged dataset. Sentences keep tokens, split and source, unchanged mentions whether they are "
        "pseudo-labels; whatever is open is asked, and nothing is written until it is decided.",
        epilog="",
    )
    correct.add_argument("merged", type=Path, metavar="DIR", help="folder saved by `esnera-hf align`")
    correct.add_argument("file", type=Path, metavar="FILE", help="the export, JSON or JSON_MIN")
    correct.add_argument("--annotator", metavar="NAME", help="whose annotation counts where several differ")
    correct.add_argument("--output", type=Path, required=True, metavar="DIR", help="must not exist")


def _sources(options: argparse.Namespace) -> None:
    from esnera_hf.sources.catalogue import NAMED_SOURCES

    data_folder = os.environ.get("ESNERA_DATA_DIR")
    rows = [("name", "language", "license", "found")]
    for name, corpus in sorted(NAMED_SOURCES.items()):
        folders = [Path(data_folder) / folder for folder in corpus.folders] if data_folder else []
        copies = [str(folder) for folder in folders if folder.is_dir() and corpus.find_files(folder)]
        elsewhere = f"Hub: {corpus.hub_id}" if corpus.hub_id else f"no; see {corpus.homepage}"
        rows.append((name, corpus.language, str(corpus.license), copies[0] if copies else elsewhere))
    print(in_columns(rows))


def _inspect(options: argparse.Namespace) -> None:
    from esnera_hf.sources.inspect import inspect

    # Bars of downloads stay: they tell how long it takes.
    with no_dataset_bars():
        sources, splits = _read_all(options)
        inspected = inspect(sources, splits=splits)
    print(inspected.details() if options.verbose else inspected)


def _read_all(options: argparse.Namespace) -> tuple[list[NerSource], Sequence[str]]:
    """Read sources, of which no two bear one name, and return them and the splits that are compared."""
    from esnera_hf.sources.load import source_name

    names = [source_name(name) for name in options.sources]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(
            f"two sources are called {', '.join(doubled)}. Name each once, or give it a name of its own: name=path."
        )
    splits = ("train", "validation", "test") if options.all_splits else ("train",)
    return [read_source(name, options) for name in options.sources], splits


def _screen(options: argparse.Namespace) -> None:
    if len(options.sources) < 2:
        raise ConfigurationError(
            "expected at least two sources to screen. `esnera-hf inspect` looks into one."
        )
    from esnera_hf.alignment.screen import screen

    if options.output is not None:
        check_free(options.output)
    with no_dataset_bars():
        loaded, splits = _read_all(options)
        screened = screen(loaded, splits=splits)
    print(screened)
    if options.verbose:
        print("", screened.overlap.details(), "", screened.duplicates.details(), sep="\n")
    sources = shlex.join(options.sources)
    if options.output is None:
        print(f"next: esnera-hf align {sources} --output merged, which compares by an encoder, too")
    else:
        screened.mapping.save(options.output)
        command = f"esnera-hf apply {shlex.quote(str(options.output))} {sources} --output merged"
        print(f"saved to {options.output}; look through it, then:\n  {command}")


def _export(options: argparse.Namespace) -> None:
    from esnera_hf.merging.export import count_pseudo_labels, export

    if options.written_scheme is not None and options.format != "conll":
        raise ConfigurationError(
            f"--scheme says how the tags of --format conll are written, and {options.format} has none. Leave it out; "
            "--source-scheme says how a source is read."
        )
    check_free(options.output)  # before minutes of reading
    if options.format in _MAPPING_FORMATS:
        _export_mapping(options)
        return
    with no_dataset_bars():
        data, mapping = _data(options)
        files = export(
            data,
            options.output,
            options.format,
            gold_only=options.gold_only,
            scheme=options.written_scheme,
            mapping=mapping,
        )
        entities, pseudo = count_pseudo_labels(data)
    for file in files:
        print(file)
    if pseudo:
        fate = "left out" if options.gold_only else "--gold-only leaves these out"
        say(f"{counted(pseudo, 'pseudo-label')} among {counted(entities, 'entity')}: {fate}")


def _export_mapping(options: argparse.Namespace) -> None:
    from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
    from esnera_hf.alignment.mapping_exchange import export_mapping

    as_it_is = (options.grain, options.labels, options.gold_only) == ("fine", None, False)
    if not as_it_is or chosen(options, READING):
        raise ConfigurationError(
            f"--format {options.format} writes the mapping alone, as it is: --grain, --labels, --gold-only and the "
            "options that say how sources are read change nothing of it. Leave them out."
        )
    place = Path(options.source)
    mapping = LabelMapping.load(place / MAPPING_FILE if place.is_dir() else place)
    print(*export_mapping(mapping, options.output, options.format), sep="\n")


def _correct(options: argparse.Namespace) -> None:
    from esnera_hf.result import MergeResult

    check_free(options.output)
    with no_dataset_bars():
        before = MergeResult.load(options.merged)
        after = before.corrected(options.file, annotator=options.annotator)
        after.save(options.output)
    for old, new in zip(before.report.sources, after.report.sources, strict=True):
        print(f"{new.name}: {new.notes[-1] if new.notes != old.notes else 'nothing corrected'}")
    print(f"saved to {options.output}")


def _data(options: argparse.Namespace) -> tuple[NerSource | DatasetDict, LabelMapping | None]:
    """Return what is to be exported, and the mapping of which all of its labels are."""
    from esnera_hf.alignment.mapping import MAPPING_FILE
    from esnera_hf.result import MergeResult

    folder = Path(options.source)
    if (folder / MAPPING_FILE).is_file():
        if chosen(options, READING):
            raise ConfigurationError(
                f"{folder} is a merged dataset, and --strict, --tag-column, --source-scheme, --source-format, "
                "--config, --revision, --license and --language say how sources are read. Leave them out."
            )
        result = MergeResult.load(folder)
        if options.grain in ("medium", "coarse") or options.labels is not None:
            say(str(result.mapping.cut(options.grain, labels=options.labels)))
        is_whole = (options.grain, options.labels) == ("fine", None)
        return result.view(options.grain, labels=options.labels), result.mapping if is_whole else None
    if options.grain != "fine" or options.labels is not None:
        raise ConfigurationError(
            f"{folder} is no merged dataset, its labels have one grain. Leave --grain and --labels out."
        )
    return read_source(options.source, options), None
