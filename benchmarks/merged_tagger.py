"""Is one tagger better on every source than the source's own? All on the same terms.

Takes corpora with their own splits, and the same number of training sentences of each (or a few of one, ``--few``).
Trains, with the same steps a sentence, batches, sampling and choice of the epoch:

- own: a tagger of each source alone;
- joint: one encoder with a head per source;
- naive: one tagger of their union, where labels of the same name are one and what is not annotated is O;
- pseudo: the same of the aligned labels, with pseudo-labels of the own taggers from a confidence of 0.9 on, as in the
  method's paper;
- known: the merged tagger by the alignment of frozen evidence, told the source of each sentence;
- unknown: the same tagger, told none.

All are scored on the test splits in the source's own labels, strictly. Prints Markdown: F1 by source and system, means
over seeds; differences with 95 % intervals of a paired bootstrap over seeds and, within them, sentences; whether the
merged tagger is non-inferior to the own one at a margin of 0.01 (Holm over the sources); labels with 50 test mentions
or more; calibration of the merged tagger's confidences; and CPU seconds.

    python benchmarks/merged_tagger.py cluener weibo uner_zh_gsdsimp --data DIR --encoder ENCODER
    python benchmarks/merged_tagger.py cluener weibo uner_zh_gsdsimp --data DIR --encoder ENCODER --few weibo=150

With ``--unseen weibo`` that corpus is a new domain: taggers of several corpora are trained without it, only its labels
are aligned, and only its test split is scored. Its own tagger shows what its annotation would be worth.

An interrupted run goes on with ``--cache FOLDER``.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from command_line import benchmark_parser
from datasets import Dataset, DatasetDict
from numpy.typing import NDArray
from quality.options import add_training_override, cut_encoder

from esnera_hf import align
from esnera_hf._internal.cache import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.evaluation.merged_tagger import find_pseudo_labels, mapping_by_name, train_merged_tagger
from esnera_hf.evaluation.projection import names_back
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import DEFAULT_THRESHOLD, PseudoLabels
from esnera_hf.metrics import calibration_error, count_matches, f1, renamed
from esnera_hf.sources.leakage import find_leaks, without_leaks
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.settings import TaggerSettings
from esnera_hf.taggers.source_taggers import train_cached, train_source_taggers
from esnera_hf.tagging import Entity

SYSTEMS = ("own", "joint", "naive", "pseudo", "known", "unknown")
#: What differences are taken of: the first minus the second.
PAIRS = (
    ("known", "own"),
    ("known", "joint"),
    ("unknown", "own"),
    ("known", "naive"),
    ("known", "pseudo"),
    ("known", "unknown"),
    ("unknown", "naive"),
)
MARGIN = 0.01
RESAMPLES = 1000
#: Of a label, for its F1 to say anything.
LEAST_MENTIONS = 50

#: Counts by source and system, a list of seeds: each of shape (sentences, labels, 3).
Counts = dict[str, dict[str, list[NDArray[np.int32]]]]


def main() -> None:
    """Train, score and print."""
    options = parsed()
    scored = [options.unseen] if options.unseen else options.corpora
    counts: Counts = {name: {system: [] for system in options.systems} for name in scored}
    labels: dict[str, tuple[str, ...]] = {}
    confidences: dict[str, list[tuple[float, bool]]] = {name: [] for name in scored}
    seconds: dict[str, list[float]] = {system: [] for system in options.systems}
    with TemporaryDirectory() as folder, quiet_libraries():
        os.environ[CACHE_VARIABLE] = str(options.cache or folder)
        encoder = cut_encoder(options.encoder, options.layers, options.cache or Path(folder))
        for seed in options.seeds:
            sources = read_sources(options, seed)
            found, spent = predictions(sources, encoder, options, seed)
            for source in [source for source in sources if source.name in counts]:
                labels[source.name] = source.labels
                gold = [sentence.entities for sentence in source.sentences("test")]
                for system in options.systems:
                    rows = found[system][source.name]
                    counts[source.name][system].append(count_matches(gold, rows, source.labels))
                if "known" in options.systems:
                    confidences[source.name] += [
                        (entity.score, entity in annotated)
                        for annotated, row in zip(gold, found["known"][source.name], strict=True)
                        for entity in row
                    ]
            for system, value in spent.items():
                seconds[system].append(value)
    for table in (
        table_of_scores(counts, options.systems),
        table_of_differences(counts, options.systems),
        table_of_labels(counts, labels),
        table_of_calibration(confidences),
        table_of_seconds(seconds),
    ):
        print(table, end="\n\n")
    print(f"Seeds {', '.join(map(str, options.seeds))}. Command: python {' '.join(sys.argv)}")


def predictions(
    sources: Sequence[NerSource], encoder: str, options: Any, seed: int
) -> tuple[dict[str, dict[str, list[list[Entity]]]], dict[str, float]]:
    """Return what each system finds in each test split, in own labels, and the CPU seconds of its training."""
    training = {
        "seed": seed,
        "num_train_epochs": options.epochs,
        "early_stopping_patience": 1000,
        "per_device_train_batch_size": 16,
        **options.training,
    }
    train = partial(train_cached, encoder, training)
    leaks = find_leaks(sources)
    trained_on = [source for source in sources if source.name != options.unseen]
    found: dict[str, dict[str, list[list[Entity]]]] = {}
    spent = {}

    def merged(mapping: LabelMapping, noise: float | None, pseudo: PseudoLabels | None = None) -> Any:
        chosen = mapping.restricted(source.name for source in trained_on)
        return train_merged_tagger(chosen, merge_sources(trained_on, chosen, leaks, pseudo), train, noise)

    for system in options.systems:
        started = time.process_time()
        if system in ("own", "joint"):
            settings = TaggerSettings("separate" if system == "own" else "joint", training)
            taggers = train_source_taggers(sources, encoder, settings, leaks)
            spent[system] = time.process_time() - started
            found[system] = {s.name: list(map(list, taggers[s.name].predict(s, "test"))) for s in sources}
            continue
        by_name = system == "naive"
        mapping = mapping_by_name(sources) if by_name else align(sources, encoder=encoder, seed=seed).mapping
        pseudo = None
        if system == "pseudo":
            own = train_source_taggers(trained_on, encoder, TaggerSettings("separate", training), leaks)
            pseudo = find_pseudo_labels(trained_on, mapping, own, DEFAULT_THRESHOLD, leaks)
        tagger = merged(mapping, None if system in ("naive", "pseudo") else 0.0, pseudo)
        spent[system] = time.process_time() - started
        found[system] = {
            source.name: [
                list(renamed(row, names_back(source, mapping)))
                for row in tagger.predict(source, "test", style=source.name if system == "known" else None)
            ]
            for source in sources
        }
    return found, spent


def read_sources(options: Any, seed: int) -> list[NerSource]:
    """Read the corpora with their own splits, fewer training sentences by seed, without leaks among them."""
    few = dict(pair.split("=") for pair in options.few)
    sources = []
    for name in options.corpora:
        splits = own_splits(options.data, name)
        rows = {
            "train": random.Random(seed).sample(
                splits["train"], min(int(few.get(name, options.train)), len(splits["train"]))
            ),
            "validation": splits["validation"][: int(few.get(name, options.validation))],
            "test": splits["test"][: options.test],
        }
        dataset = DatasetDict({split: Dataset.from_list(part) for split, part in rows.items()})
        sources.append(load_source(dataset, name=name, options=ReadingOptions(offsets="tokens")))
    return without_leaks(sources, find_leaks(sources))


def own_splits(folder: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the splits as they were published; what is lacking is cut off another one, in blocks or by chance."""
    splits: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((folder / "jsonl").glob(f"{name}.*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            records = [record for record in map(json.loads, lines) if record["tokens"]]
        splits[file.name.split(".")[1]] = [
            {
                "tokens": record["tokens"],
                "entities": [{"start": s, "end": e, "label": label} for s, e, label in record["spans"]],
            }
            for record in records
        ]
    if not splits:
        raise SystemExit(f"{folder / 'jsonl'}: no corpus {name}.")
    draw = random.Random(1)
    dev, test = splits.get("dev", []), splits.get("test", [])
    if "train" in splits and not test:
        draw.shuffle(dev)
        dev, test = dev[::2], dev[1::2]
    elif "train" not in splits:
        # Documents follow each other: blocks keep their sentences on one side.
        rows = dev if test else [row for part in splits.values() for row in part]
        size = len(rows) // 6
        dev = rows[:size]
        test, splits["train"] = (test, rows[size:]) if test else (rows[size : 2 * size], rows[2 * size :])
    train = splits["train"]
    if not dev:
        dev, train = train[: len(train) // 10], train[len(train) // 10 :]
    draw.shuffle(dev)
    draw.shuffle(test)
    return {"train": train, "validation": dev, "test": test}


def score(rows: Sequence[NDArray[np.int32]]) -> float:
    """Return the mean over seeds of the micro-F1 of counts."""
    return float(np.mean([np.nan_to_num(f1(counts.sum(axis=(0, 1)))) for counts in rows]))


def table_of_scores(counts: Counts, systems: Sequence[str]) -> str:
    """Return F1 by source and system."""
    lines = [f"| source | {' | '.join(systems)} |", f"| --- |{' ---: |' * len(systems)}"]
    values = {name: [score(found[system]) for system in systems] for name, found in counts.items()}
    lines += [f"| {name} | {' | '.join(f'{value:.3f}' for value in row)} |" for name, row in values.items()]
    mean = np.mean(list(values.values()), axis=0)
    return "\n".join([*lines, f"| **mean** | {' | '.join(f'**{value:.3f}**' for value in mean)} |"])


def resampled(one: Sequence[NDArray[Any]], other: Sequence[NDArray[Any]], seed: int) -> NDArray[np.float64]:
    """Return differences of mean F1 over seeds drawn with replacement and, within each, sentences."""
    draw = np.random.default_rng(seed)
    differences = np.zeros((RESAMPLES, len(one)))
    for index, (first, second) in enumerate(zip(one, other, strict=True)):
        size = len(first)
        weights = draw.multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
        scores = [f1(weights @ counts.sum(axis=1)) for counts in (first, second)]
        differences[:, index] = np.nan_to_num(scores[0]) - np.nan_to_num(scores[1])
    seeds = draw.integers(0, len(one), size=differences.shape)
    means: NDArray[np.float64] = np.take_along_axis(differences, seeds, axis=1).mean(axis=1)
    return means


def table_of_differences(counts: Counts, systems: Sequence[str]) -> str:
    """Return differences in points by source, with intervals, and the test of non-inferiority."""
    pairs = [pair for pair in PAIRS if set(pair) <= set(systems)]
    lines = [
        f"| source | {' | '.join(f'{a} − {b}' for a, b in pairs)} |",
        f"| --- |{' ---: |' * len(pairs)}",
    ]
    chances = {}
    everything: dict[tuple[str, str], list[NDArray[np.float64]]] = {pair: [] for pair in pairs}
    for name, found in counts.items():
        cells = []
        for pair in pairs:
            one, other = found[pair[0]], found[pair[1]]
            drawn = resampled(one, other, 0)
            everything[pair].append(drawn)
            cells.append(points(score(one) - score(other), drawn))
            if pair == ("known", "own"):
                chances[name] = float(np.mean(drawn <= -MARGIN))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    means = []
    for pair in pairs:
        value = np.mean([score(found[pair[0]]) - score(found[pair[1]]) for found in counts.values()])
        means.append(points(float(value), np.mean(everything[pair], axis=0)))
    lines.append(f"| **mean** | {' | '.join(means)} |")
    if chances:
        lines += ["", f"Not worse than own by {MARGIN} or more (Holm, 0.05): {holm(chances)}."]
    return "\n".join(lines)


def points(value: float, drawn: NDArray[np.float64]) -> str:
    """Write a difference of F1 and its interval in points."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def holm(chances: Mapping[str, float]) -> str:
    """Return the sources of which inferiority is refuted, smallest chance first, until one is not."""
    refuted = []
    for index, (name, chance) in enumerate(sorted(chances.items(), key=lambda item: item[1])):
        if chance > 0.05 / (len(chances) - index):
            break
        refuted.append(name)
    return f"{len(refuted)} of {len(chances)}{': ' if refuted else ''}{', '.join(refuted)}"


def table_of_labels(counts: Counts, labels: Mapping[str, Sequence[str]]) -> str:
    """Return F1 by label of those with mentions enough."""
    lines = []
    for name, found in counts.items():
        shown = [system for system in ("own", "joint", "unknown", "known") if system in found]
        for index, label in enumerate(labels[name]):
            mentions = int(found[shown[0]][0][:, index, 2].sum())
            if mentions >= LEAST_MENTIONS:
                rows = [score([c[:, index : index + 1] for c in found[system]]) for system in shown]
                cells = " | ".join(f"{row:.3f}" for row in rows)
                lines.append(f"| {name} | {label} | {mentions} | {cells} | {rows[-1] - rows[0]:+.3f} |")
    heading = f"| source | label | mentions | {' | '.join(shown)} | {shown[-1]} − {shown[0]} |"
    return "\n".join([heading, f"| --- | --- | ---: |{' ---: |' * (len(shown) + 1)}", *lines])


def table_of_calibration(confidences: Mapping[str, Sequence[tuple[float, bool]]]) -> str:
    """Return how far the merged tagger's confidences are from the shares of its mentions that are right.

    Beside the error stands that of chance: what is left where mentions are right exactly as often as they are sure.
    """
    lines = ["| source | mentions predicted | mean confidence | right | calibration error | by chance |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    draw = np.random.default_rng(0)
    for name, pairs in [*confidences.items(), ("all", [p for own in confidences.values() for p in own])]:
        if pairs:
            sure, right = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
            error, *chance = (
                calibration_error(sure.tolist(), outcome.tolist())
                for outcome in (right.astype(bool), *(draw.random((200, len(sure))) < sure))
            )
            figures = (sure.mean(), right.mean(), error, np.mean(chance))
            lines.append(f"| {name} | {len(pairs):,} | {' | '.join(f'{value:.3f}' for value in figures)} |")
    return "\n".join(lines)


def table_of_seconds(seconds: Mapping[str, Sequence[float]]) -> str:
    """Return CPU seconds of training, a mean over seeds; 0 where it was trained before."""
    shown = [system for system in seconds if system != "unknown"]
    cells = " | ".join(f"{np.mean(seconds[system]):.0f}" for system in shown)
    return "\n".join(
        [f"| CPU seconds | {' | '.join(shown)} |", f"| --- |{' ---: |' * len(shown)}", f"| | {cells} |"]
    )


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = benchmark_parser(__doc__, "--data", "--encoder")
    parser.add_argument("corpora", nargs="+", metavar="CORPUS")
    parser.add_argument("--layers", type=int, default=0, help="use so many layers of the encoder (0: all)")
    parser.add_argument("--train", type=int, default=1000, help="training sentences of each corpus")
    parser.add_argument("--validation", type=int, default=300)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--few", nargs="+", default=[], metavar="CORPUS=N", help="fewer of these corpora")
    parser.add_argument("--unseen", metavar="CORPUS", help="train without this one, and score it alone")
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--cache", type=Path, help="keep taggers here")
    add_training_override(parser)
    options = parser.parse_args()
    if options.unseen and not {options.unseen} < set(options.corpora):
        parser.error(f"--unseen {options.unseen}: expected one of several corpora.")
    if options.unseen and {"joint", "known"} & set(options.systems):
        parser.error(
            "--unseen: the systems joint and known need the corpus in training; name others by --systems."
        )
    return options


if __name__ == "__main__":
    main()
