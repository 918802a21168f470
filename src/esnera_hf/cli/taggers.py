"""``train``, ``predict`` and ``evaluate``: taggers of single sources."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import tee
from pathlib import Path
from typing import Any

from esnera_hf._internal.console import quiet_libraries
from esnera_hf._internal.files import new_folder
from esnera_hf._internal.processes import is_main_process
from esnera_hf._internal.text import counted, display_width, pad
from esnera_hf.cli import options as table
from esnera_hf.cli.options import Commands, add_command, check_output
from esnera_hf.cli.reading import READING, read_source
from esnera_hf.errors import ConfigurationError, SourceNotFoundError


def add_commands(commands: Commands) -> None:
    """Add the commands that train and use taggers."""
    train = add_command(
        commands,
        "train SOURCE --output DIR",
        _train,
        "train a CRF tagger on one source",
        "Train a tagger on one source and save it.",
        parents=[table.TRAINING, READING],
    )
    train.add_argument("source", **table.SOURCES)
    train.add_argument("--output", **table.OUTPUT_FOLDER, required=True)
    train.add_argument("--max-samples", **table.MAX_SAMPLES)

    predict = add_command(
        commands,
        "predict MODEL [FILE]",
        _predict,
        "find entities in text",
        "Read one text per line and write one JSON object per line, for blank lines too: tokens and "
        "entities (offsets of tokens and of characters, ends exclusive; the score is the probability of exactly that "
        "entity).",
        epilog="",
    )
    predict.add_argument("model", metavar="MODEL", help="folder written by `esnera-hf train`, or Hub id")
    predict.add_argument("file", nargs="?", metavar="FILE", help="text file (default: standard input)")
    predict.add_argument(
        "--tokens",
        choices=("auto", "characters", "words", "spaces"),
        default="auto",
        help="what a token is (auto: a character where a line holds Chinese or Japanese, else a word)",
    )
    predict.add_argument(
        "--source",
        metavar="NAME",
        help="annotate as this source of the merged data does (default: as all of them)",
    )
    predict.add_argument(
        "--format",
        choices=("jsonl", "label-studio"),
        default="jsonl",
        help="JSON lines (default), or a JSON list of tasks for Label Studio, of lines that are not blank",
    )

    evaluate = add_command(
        commands,
        "evaluate MODEL SOURCE",
        _evaluate,
        "score a tagger on a source, strictly, by label",
        "Score a tagger on a source, strictly, by label. The tagger of an alignment is scored on one of its sources "
        "in that source's own labels, through the mapping; elsewhere in unified labels.",
        parents=[READING],
    )
    evaluate.add_argument("model", metavar="MODEL", help="folder of a tagger or of a result, or Hub id")
    evaluate.add_argument(
        "source", metavar="SOURCE", help="see below, or a folder saved by `esnera-hf align`"
    )
    evaluate.add_argument(
        "--split", type=_split, default="test", help="train, validation or test (default: test)"
    )


def _split(text: str) -> str:
    from esnera_hf.sources.splits import canonical_split

    split = canonical_split(text)
    if split is None:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected train, validation (or dev, devel, valid) or test."
        )
    return split


def _train(options: argparse.Namespace) -> None:
    from esnera_hf.metrics import Scores
    from esnera_hf.taggers.train import train_tagger

    check_output(options.output)
    source = read_source(options.source, options)
    if options.max_samples is not None:
        source = source.sample(options.max_samples, options.seed)
    tagger = train_tagger(
        source,
        encoder=options.encoder,
        seed=options.seed,
        training=table.training_arguments(options),
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
    from esnera_hf.modeling.hub_code.words import word_spans
    from esnera_hf.modeling.tagger import Tagger

    with quiet_libraries():
        tagger = Tagger.from_pretrained(options.model)
        if options.source is not None:
            tagger = tagger.for_source(options.source)
    # Streams: lines are predicted as they come, whatever the length of the input.
    lines, again = tee((line, word_spans(line, options.tokens)) for line in _lines(options.file))
    words = ([line[start:end] for start, end in spans] for line, spans in again)
    tokens, to_predict = tee(words)
    predicted = tagger.predict(to_predict)
    # What another encoding lacks is escaped as JSON does it.
    is_ascii = (sys.stdout.encoding or "utf-8").lower() not in ("utf-8", "utf8")
    is_list, number = options.format == "label-studio", 0
    for (line, spans), row, entities in zip(lines, tokens, predicted, strict=True):
        objects = []
        for entity in entities:
            start, end = spans[entity.start][0], spans[entity.end - 1][1]
            tokens_of = {"start": entity.start, "end": entity.end, "label": entity.label}
            text_of = {"start_char": start, "end_char": end, "text": line[start:end]}
            objects.append({**tokens_of, **text_of, "score": round(entity.score, 4)})
        if not is_list:
            print(json.dumps({"tokens": row, "entities": objects}, ensure_ascii=is_ascii))
        elif row:
            task = _task(line, row, objects, Path(options.model).name)
            print("[" if number == 0 else ",", json.dumps(task, ensure_ascii=is_ascii), sep="\n")
            number += 1
    if is_list:
        print("]" if number else "[]")


def _task(line: str, tokens: list[str], objects: list[dict[str, Any]], model: str) -> dict[str, Any]:
    """Return a task of Label Studio with what was predicted; tasks are sorted there by the least sure mention."""
    from esnera_hf.merging.export_formats import label_studio_region

    regions = [
        label_studio_region(str(number), line, one["start_char"], one["end_char"], one["label"])
        | {"score": one["score"]}
        for number, one in enumerate(objects)
    ]
    prediction: dict[str, Any] = {"model_version": model, "result": regions}
    if objects:
        prediction["score"] = min(one["score"] for one in objects)
    return {"data": {"text": line, "tokens": tokens}, "predictions": [prediction]}


def _lines(file: str | None) -> Iterator[str]:
    if not file and isinstance(sys.stdin, TextIOWrapper):
        # Under LC_ALL=C, bytes that are not UTF-8 would become halves of surrogate pairs.
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")
    try:
        stream = open(file, encoding="utf-8") if file else sys.stdin  # noqa: SIM115
        with stream:
            for line in stream:
                # A blank line keeps its place in the output, with no tokens.
                yield line.strip("\r\n") if line.strip() else ""
    except OSError as error:
        message = f"{file}: {error.strerror}. Expected a file of one text per line."
        raise SourceNotFoundError(message) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file or 'standard input'}: expected UTF-8 text: {error}.") from None


def _evaluate(options: argparse.Namespace) -> None:
    from esnera_hf.alignment.mapping import MAPPING_FILE
    from esnera_hf.evaluation.evaluate import evaluate_on_merged, evaluate_on_source, mapping_of
    from esnera_hf.result import MergeResult, load_saved_tagger

    with quiet_libraries():
        tagger = load_saved_tagger(options.model)
        if (Path(options.source) / MAPPING_FILE).is_file():
            name = options.source
            merged = MergeResult.load(name)
            evaluated = evaluate_on_merged(tagger, merged.dataset, merged.mapping, options.split)
        else:
            source = read_source(options.source, options)
            name = source.name
            mapping = mapping_of(tagger, Path(options.model))
            evaluated = evaluate_on_source(tagger, source, options.split, mapping)
    scores, sentences, labels = evaluated
    rows = {**scores.by_label, "micro average": scores.micro}
    width = max(map(display_width, rows))
    print(f"{name}, {options.split}: {counted(sentences, 'sentence')}{f'; {labels}' if labels else ''}")
    print(f"{pad('label', width)}  precision  recall     f1  support")
    for label, row in rows.items():
        print(
            f"{pad(label, width)}  {row.precision:9.3f}  {row.recall:6.3f}  {row.f1:5.3f}  {row.support:7,}"
        )
