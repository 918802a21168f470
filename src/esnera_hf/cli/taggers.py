"""``train``, ``predict`` and ``evaluate``: taggers of single sources."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import tee
from pathlib import Path

from esnera_hf.cli.align import (
    Commands,
    add_reading_options,
    add_training_options,
    read_source,
    training_arguments,
)
from esnera_hf.errors import ConfigurationError, SourceNotFoundError


def add_commands(commands: Commands) -> None:
    """Add the commands that train and use taggers."""
    _add_train(commands)
    _add_predict(commands)
    _add_evaluate(commands)


def _add_train(commands: Commands) -> None:
    train = commands.add_parser("train", help="train a CRF tagger on one source")
    train.add_argument("source", metavar="SOURCE", help="as for align")
    train.add_argument("--encoder", help="folder or Hub id of a pretrained encoder (default: by language)")
    train.add_argument("--max-samples", type=int, metavar="N", help="use at most N sentences a split")
    train.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="save the tagger here; must not exist"
    )
    add_reading_options(train)
    add_training_options(train)
    train.set_defaults(run=_train)


def _add_predict(commands: Commands) -> None:
    predict = commands.add_parser(
        "predict",
        help="find entities in text",
        description="Read one text a line, write one JSON object a line, for blank lines too: tokens and entities "
        "(offsets of tokens and of characters, ends exclusive; the score is the least probable tag's).",
    )
    predict.add_argument("model", metavar="MODEL", help="folder written by `esnera-hf train`, or Hub id")
    predict.add_argument("file", nargs="?", metavar="FILE", help="text file (default: standard input)")
    predict.add_argument(
        "--tokens",
        choices=("auto", "characters", "words", "spaces"),
        default="auto",
        help="what a token is (auto: characters where a line holds Chinese or Japanese, else words, with "
        "punctuation apart)",
    )
    predict.set_defaults(run=_predict)


def _add_evaluate(commands: Commands) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="score a tagger on a source, strictly, by label",
        description="Score a tagger on a source, strictly, by label. The tagger of an alignment is scored on one of "
        "its sources in that source's own labels, through the mapping; on other corpora, and on the merged dataset, "
        "in unified labels.",
    )
    evaluate.add_argument(
        "model",
        metavar="MODEL",
        help="folder written by `esnera-hf train`, `tagger` in one of align, or Hub id",
    )
    evaluate.add_argument(
        "source", metavar="SOURCE", help="as for align, or a folder saved by `esnera-hf align`"
    )
    evaluate.add_argument(
        "--split",
        type=_split,
        default="test",
        metavar="SPLIT",
        help="train, validation (or dev, …) or test (default: test)",
    )
    add_reading_options(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _split(text: str) -> str:
    from esnera_hf.sources.splits import canonical_split

    split = canonical_split(text)
    if split is None:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected train, validation (or dev, devel, valid) or test."
        )
    return split


def _train(options: argparse.Namespace) -> None:
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf._internal.processes import is_main_process
    from esnera_hf.metrics import Scores
    from esnera_hf.result import check_free, new_folder
    from esnera_hf.taggers.train import train_tagger

    check_free(options.output)
    source = read_source(options.source, options)
    tagger = train_tagger(
        source,
        encoder=options.encoder,
        sentences=options.sentences,
        seed=options.seed,
        training=training_arguments(options),
    )
    if not is_main_process():
        return
    with quiet_libraries(), new_folder(options.output) as folder:
        tagger.save_pretrained(folder)
    print(source.summary)
    for epoch in tagger.record["history"]:
        print("  " + ", ".join(f"{name} {value:g}" for name, value in epoch.items()))
    for split in ("validation", "test"):
        print(f"{split}: {Scores.from_dict(tagger.record[split])}")
    print(f"saved to {options.output}")


def _predict(options: argparse.Namespace) -> None:
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf.modeling.hub_code.words import word_spans
    from esnera_hf.modeling.tagger import Tagger

    with quiet_libraries():
        tagger = Tagger.from_pretrained(options.model)
    split = ((line, word_spans(line, options.tokens)) for line in _lines(options.file))
    texts, to_predict = tee(split)
    predicted = tagger.predict((_words(*text) for text in to_predict), scores=True)
    for (line, spans), entities in zip(texts, predicted, strict=True):
        found = [
            {
                "start": entity.start,
                "end": entity.end,
                "label": entity.label,
                "start_char": spans[entity.start][0],
                "end_char": spans[entity.end - 1][1],
                "text": line[spans[entity.start][0] : spans[entity.end - 1][1]],
                "score": round(entity.score, 4),
            }
            for entity in entities
        ]
        print(json.dumps({"tokens": _words(line, spans), "entities": found}, ensure_ascii=False))


def _words(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]


def _lines(file: str | None) -> Iterator[str]:
    try:
        stream = open(file, encoding="utf-8") if file else sys.stdin  # noqa: SIM115
        with stream:
            for line in stream:
                yield line.strip("\r\n") if line.strip() else ""
    except OSError as error:
        raise SourceNotFoundError(f"{file}: {error.strerror}. Expected a file of one text a line.") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file or 'standard input'}: expected UTF-8 text: {error}.") from None


def _evaluate(options: argparse.Namespace) -> None:
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf._internal.text import display_width, pad
    from esnera_hf.evaluation.evaluate import evaluate_on_result, evaluate_on_source, mapping_of
    from esnera_hf.report.files import MAPPING_FILE
    from esnera_hf.result import MergeResult, load_saved_tagger

    with quiet_libraries():
        tagger = load_saved_tagger(options.model)
        folder = Path(options.source)
        if (folder / MAPPING_FILE).is_file():
            name = options.source
            evaluation = evaluate_on_result(tagger, MergeResult.load(folder), options.split)
        else:
            source = read_source(options.source, options)
            name = source.name
            mapping = mapping_of(tagger, Path(options.model))
            evaluation = evaluate_on_source(tagger, source, options.split, mapping)
    rows = {**evaluation.scores.by_label, "micro average": evaluation.scores.micro}
    width = max(map(display_width, rows))
    labels = f"; {evaluation.labels}" if evaluation.labels else ""
    print(f"{name}, {options.split}: {evaluation.sentences:,} sentences{labels}")
    print(f"{pad('label', width)}  precision  recall     f1  support")
    for label, row in rows.items():
        print(
            f"{pad(label, width)}  {row.precision:9.3f}  {row.recall:6.3f}  {row.f1:5.3f}  {row.support:7,}"
        )
