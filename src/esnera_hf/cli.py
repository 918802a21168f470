"""The command line: parse, call, print."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from esnera_hf import __version__
from esnera_hf.errors import ConfigurationError, EsneraError, SourceNotFoundError

_EPILOG = """\
sources:
  cluener                   a known name: a copy below ESNERA_DATA_DIR is used first, then the Hub
  path/to/corpus            a file or a folder with train, dev and test files
  boson=path/to/corpus.txt  your own copy of a known corpus, or any name you like
  owner/name                a dataset on the Hub

examples:
  esnera-hf demo
  esnera-hf align cluener weibo --encoder hfl/chinese-bert-wwm-ext --output merged
  esnera-hf align a=data/a b=data/b --sentences 500 --lambda 0.4 --tau 0.4
  esnera-hf train cluener --encoder hfl/chinese-bert-wwm-ext --output cluener-tagger
  echo 浙商银行的叶老桂博士 | esnera-hf predict cluener-tagger
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (bad input), 130 (interrupted)."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except EsneraError as error:
        print(f"esnera-hf: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nesnera-hf: interrupted. No output was written; finished trainings are kept, and the same "
            "command goes on where it stopped.",
            file=sys.stderr,
        )
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="esnera-hf",
        description="Find which labels of several NER datasets mean the same, and merge the datasets.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"esnera-hf {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    align = commands.add_parser(
        "align",
        help="align the labels of two or more sources and merge them",
        description="Train a tagger a source, measure how alike their labels are, merge labels and datasets.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    align.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    align.add_argument("--encoder", help="folder or Hub id of a pretrained encoder (default: by language)")
    align.add_argument(
        "--lambda",
        dest="lam",
        type=float,
        default=0.4,
        metavar="λ",
        help="weight of the empirical similarity, 0 to 1 (default: 0.4)",
    )
    align.add_argument(
        "--tau",
        type=float,
        default=0.4,
        metavar="τ",
        help="a label joins its best match above this similarity (default: 0.4)",
    )
    align.add_argument(
        "--match",
        choices=("exact", "overlap"),
        default="exact",
        help="how predicted and gold spans match (default: exact)",
    )
    align.add_argument(
        "--centre",
        choices=("source", "all"),
        default="source",
        help="mean subtracted from mention vectors: one a source, or one over all",
    )
    align.add_argument("--sentences", type=int, metavar="N", help="use at most N sentences a split")
    align.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="save dataset, mapping.yaml, heatmaps and report here; must not exist",
    )
    _add_training_options(align)
    align.set_defaults(run=_align)

    demo = commands.add_parser(
        "demo",
        help="align three generated corpora and compare with the truth",
        description="Generate three small corpora whose true alignment is known, make a small encoder, align "
        "them, and print the mapping beside the truth. Needs no network and no data.",
    )
    demo.add_argument("--seed", type=int, default=42, help="of the corpora and the training (default: 42)")
    demo.add_argument("--output", type=Path, metavar="DIR", help="save the result here; must not exist")
    demo.set_defaults(run=_demo)

    train = commands.add_parser("train", help="train a CRF tagger on one source")
    train.add_argument("source", metavar="SOURCE", help="as for align")
    train.add_argument("--encoder", help="folder or Hub id of a pretrained encoder (default: by language)")
    train.add_argument("--sentences", type=int, metavar="N", help="use at most N sentences a split")
    train.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="save the tagger here; must not exist"
    )
    _add_training_options(train)
    train.set_defaults(run=_train)

    predict = commands.add_parser(
        "predict",
        help="find entities in text",
        description="Read one text a line, write one JSON object a line: tokens and entities (token offsets, "
        "ends exclusive, the score is the least probable tag's).",
    )
    predict.add_argument("model", metavar="MODEL", help="folder written by `esnera-hf train`")
    predict.add_argument("file", nargs="?", metavar="FILE", help="text file (default: standard input)")
    predict.add_argument(
        "--tokens",
        choices=("auto", "characters", "spaces"),
        default="auto",
        help="what a token is (auto: characters where a line holds Chinese or Japanese)",
    )
    predict.set_defaults(run=_predict)

    evaluate = commands.add_parser("evaluate", help="score a tagger on a source, strictly, by label")
    evaluate.add_argument("model", metavar="MODEL", help="folder written by `esnera-hf train`")
    evaluate.add_argument("source", metavar="SOURCE", help="as for align")
    evaluate.add_argument("--split", choices=("train", "validation", "test"), default="test")
    evaluate.set_defaults(run=_evaluate)
    return parser


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training (chosen by encoder and corpus size unless given)")
    group.add_argument("--epochs", type=float, metavar="N", help="at most so many epochs")
    group.add_argument("--batch-size", type=int, metavar="N", help="sentences a step and device")
    group.add_argument("--learning-rate", type=float, metavar="R", help="of the encoder")
    group.add_argument("--head-learning-rate", type=float, metavar="R", help="of emission layer and CRF")
    group.add_argument("--cpu", action="store_true", help="do not use a GPU")
    group.add_argument("--seed", type=int, default=42, help="of sampling and training (default: 42)")


def _training(options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "num_train_epochs": options.epochs,
        "per_device_train_batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "head_learning_rate": options.head_learning_rate,
        "use_cpu": options.cpu or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _align(options: argparse.Namespace) -> None:
    from esnera_hf.api import align
    from esnera_hf.evidence import EvidenceSettings
    from esnera_hf.result import check_free

    if options.output is not None:
        check_free(options.output)
    result = align(
        options.sources,
        encoder=options.encoder,
        lam=options.lam,
        tau=options.tau,
        sentences=options.sentences,
        seed=options.seed,
        evidence=EvidenceSettings(options.match, options.centre, _training(options)),
    )
    print(result.report)
    print(result)
    if options.output is not None:
        result.save(options.output)
        print(f"saved to {options.output}")


def _demo(options: argparse.Namespace) -> None:
    from esnera_hf.demo import run_demo
    from esnera_hf.result import check_free

    if options.output is not None:
        check_free(options.output)
    outcome = run_demo(options.seed)
    print(outcome)
    if options.output is not None:
        outcome.result.save(options.output)
        print(f"saved to {options.output}")


def _train(options: argparse.Namespace) -> None:
    from esnera_hf.api import check_sentences, default_encoder
    from esnera_hf.console import quiet_libraries
    from esnera_hf.evidence import own_tagger
    from esnera_hf.result import check_free, new_folder
    from esnera_hf.sources import load_source

    check_free(options.output)
    check_sentences(options.sentences)
    with quiet_libraries():
        source = load_source(options.source)
        if options.sentences is not None:
            source = source.sample(options.sentences, options.seed)
        encoder = options.encoder or default_encoder([source])
        tagger, report = own_tagger(source, encoder, {"seed": options.seed, **_training(options)})
        with new_folder(options.output) as folder:
            tagger.save_pretrained(folder)
    print(source.summary)
    for epoch in report.history:
        print("  " + ", ".join(f"{name} {value:g}" for name, value in epoch.items()))
    print(f"validation: {report.validation}\ntest: {report.test}\nsaved to {options.output}")


def _predict(options: argparse.Namespace) -> None:
    from esnera_hf.console import quiet_libraries
    from esnera_hf.modeling import Tagger
    from esnera_hf.text import join_tokens, split_tokens

    with quiet_libraries():
        tagger = Tagger.from_pretrained(options.model)
    texts = [split_tokens(line, options.tokens) for line in _lines(options.file)]
    for tokens, entities in zip(texts, tagger.predict(texts, scores=True), strict=True):
        found = [
            {
                "start": entity.start,
                "end": entity.end,
                "label": entity.label,
                "text": join_tokens(tokens[entity.start : entity.end]),
                "score": round(entity.score, 4),
            }
            for entity in entities
        ]
        print(json.dumps({"tokens": tokens, "entities": found}, ensure_ascii=False))


def _lines(file: str | None) -> Iterator[str]:
    try:
        stream = open(file, encoding="utf-8") if file else sys.stdin  # noqa: SIM115
        with stream:
            for line in stream:
                if line.strip():
                    yield line.strip("\r\n")
    except OSError as error:
        raise SourceNotFoundError(f"{file}: {error.strerror}. Expected a file of one text a line.") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file or 'standard input'}: expected UTF-8 text: {error}.") from None


def _evaluate(options: argparse.Namespace) -> None:
    from esnera_hf.console import quiet_libraries
    from esnera_hf.modeling import Tagger
    from esnera_hf.sources import load_source
    from esnera_hf.strict_ner import StrictNer
    from esnera_hf.tagging import tags_from_entities
    from esnera_hf.text import display_width, pad

    with quiet_libraries():
        tagger = Tagger.from_pretrained(options.model)
        source = load_source(options.source)
        sentences = list(source.sentences(options.split))
        predicted = tagger.predict([sentence.tokens for sentence in sentences])
        scores = StrictNer(keep_in_memory=True).compute(
            predictions=[
                tags_from_entities(len(s.tokens), found)
                for s, found in zip(sentences, predicted, strict=True)
            ],
            references=[tags_from_entities(len(s.tokens), s.entities) for s in sentences],
        )
    rows = {**scores["by_label"], "micro average": scores}
    width = max(map(display_width, rows))
    print(f"{source.name}, {options.split}: {len(sentences):,} sentences")
    print(f"{pad('label', width)}  precision  recall     f1  support")
    for name, row in rows.items():
        print(
            f"{pad(name, width)}  {row['precision']:9.3f}  {row['recall']:6.3f}  {row['f1']:5.3f}  "
            f"{row['support']:7,}"
        )
