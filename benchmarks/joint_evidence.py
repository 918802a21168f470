"""Is the evidence of one joint tagger as good as that of a tagger a source, and what does either take?

Trains both on the same sentences for the same number of epochs, predicts with
both on the train split of every other source, and prints Markdown: F1 by
source, how the cross-prediction ratios S_emp agree, how well they rank the
equal pairs of a gold file (average precision; unknown ratios rank as 0), and
wall time. Nothing is taken from the cache unless its folder is given.

    python benchmarks/joint_evidence.py --encoder ENCODER --gold gold_alignments.json \
        --max-samples 1500 --epochs 10 cluener weibo uner_zh_gsdsimp fewfc
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from semantic_variants import FEWEST_MENTIONS, average_precision, equal_pairs

from esnera_hf._internal.cache import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.similarity.empirical import cross_predictions
from esnera_hf.sources.load import load_source
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.settings import TaggerPlan
from esnera_hf.taggers.source_taggers import own_taggers
from esnera_hf.tagging import LabelRef


@dataclass(frozen=True)
class Measured:
    """What the taggers of one kind gave.

    Attributes:
        name: of the kind.
        f1: micro-F1 on validation and test, by source.
        ratios: S_emp, shape (labels, labels), NaN where unknown.
        training: seconds.
        predicting: seconds of all cross-predictions.
    """

    name: str
    f1: dict[str, tuple[float, float]]
    ratios: np.ndarray
    training: float
    predicting: float


def main() -> None:
    """Train, predict and print the tables."""
    options = parsed()
    training = {
        "seed": options.seed,
        "num_train_epochs": options.epochs,
        "early_stopping_patience": options.epochs,
    }
    if options.batch_size is not None:
        training["per_device_train_batch_size"] = options.batch_size
    plans = {"separate": TaggerPlan(options.encoder, training)}
    for exponent in options.exponent:
        name = f"joint, α {exponent}"
        plans[name] = TaggerPlan(options.encoder, {**training, "sampling_exponent": exponent}, "joint")
    with TemporaryDirectory() as folder, quiet_libraries():
        os.environ[CACHE_VARIABLE] = str(options.cache or folder)
        sources = [load_source(name).sample(options.sentences, options.seed) for name in options.sources]
        labels = [ref for source in sources for ref in source.label_refs]
        measured = [measure(name, plan, sources, labels) for name, plan in plans.items()]
    support = {(s.name, label): n for s in sources for label, n in s.summary.entities["train"].items()}
    frequent = [i for i, ref in enumerate(labels) if support.get(tuple(ref), 0) >= FEWEST_MENTIONS]
    for table in (
        f1_table(sources, measured),
        ranking_table(labels, frequent, measured, equal_pairs(options.gold)),
        time_table(measured),
    ):
        print(*table, "", sep="\n")


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--max-samples", type=int, default=1500, help="at most so many a split")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, help="of all trainings; chosen by corpus size if not given")
    parser.add_argument(
        "--exponent", type=float, nargs="+", default=[0.7], help="of the joint tagger's sampling"
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--cache", type=Path, help="keep taggers here; what lies there already takes no time")
    return parser.parse_args()


def measure(
    name: str, plan: TaggerPlan, sources: Sequence[NerSource], labels: Sequence[LabelRef]
) -> Measured:
    """Train the taggers of one kind and predict with them."""
    started = time.perf_counter()
    taggers = own_taggers(sources, plan)
    trained = time.perf_counter()
    matched, predicted = cross_predictions(
        lambda tagger, source: taggers[tagger].predictions(source, "train"), sources, labels
    )
    done = time.perf_counter()
    with np.errstate(invalid="ignore"):
        ratios = matched / predicted
    f1 = {}
    for source in sources:
        validation, test = (
            taggers[source.name].scores(source, split).micro.f1 for split in ("validation", "test")
        )
        f1[source.name] = validation, test
    return Measured(name, f1, ratios, trained - started, done - trained)


def f1_table(sources: Sequence[NerSource], measured: Sequence[Measured]) -> Iterator[str]:
    """Yield F1 by source; means last."""
    yield (
        "| source | train sentences | "
        + " | ".join(f"{kind.name}: validation, test" for kind in measured)
        + " |"
    )
    yield "| --- | --- |" + " --- |" * len(measured)
    for source in sources:
        cells = ("{:.3f}, {:.3f}".format(*kind.f1[source.name]) for kind in measured)
        yield f"| {source.name} | {len(source.dataset['train']):,} | {' | '.join(cells)} |"
    means = ("{:.3f}, {:.3f}".format(*np.mean(list(kind.f1.values()), axis=0)) for kind in measured)
    yield f"| **mean** | | {' | '.join(means)} |"


def ranking_table(
    labels: Sequence[LabelRef],
    frequent: Sequence[int],
    measured: Sequence[Measured],
    equal: set[frozenset[LabelRef]],
) -> Iterator[str]:
    """Yield how ratios agree with those of the first kind, and rank equal pairs of labels with mentions enough."""
    one_way = [(i, j) for i, j in permutations(frequent, 2) if labels[i].source != labels[j].source]
    pairs = [(i, j) for i, j in one_way if i < j]
    truth = np.array([frozenset((labels[i], labels[j])) in equal for i, j in pairs])
    both = np.array([frozenset((labels[i], labels[j])) in equal for i, j in one_way])
    yield (
        f"{len(pairs)} pairs of labels with at least {FEWEST_MENTIONS} mentions, {truth.sum()} of them equal. "
        f"Ratios are compared with those of {measured[0].name} taggers where both are known."
    )
    yield ""
    yield (
        "| taggers | known ratios | correlation | mean absolute difference | AP source → target | AP mean of both | "
        "AP smaller of both |"
    )
    yield "| --- |" + " --- |" * 6
    base = at(measured[0].ratios, one_way)
    for kind in measured:
        ratios = at(kind.ratios, one_way)
        known = np.isfinite(ratios) & np.isfinite(base)
        agreement = "| |"
        if kind is not measured[0] and known.any():
            vary = ratios[known].std() > 0 and base[known].std() > 0
            correlation = np.corrcoef(ratios[known], base[known])[0, 1] if vary else np.nan
            agreement = f"| {correlation:.2f} | {np.abs(ratios - base)[known].mean():.3f}"
        filled = np.nan_to_num(kind.ratios)
        forward, backward = at(filled, pairs), at(filled.T, pairs)
        scores = (
            (at(filled, one_way), both),
            ((forward + backward) / 2, truth),
            (np.minimum(forward, backward), truth),
        )
        precision = " | ".join(f"{average_precision(*pair):.3f}" if truth.any() else "?" for pair in scores)
        yield f"| {kind.name} | {np.isfinite(ratios).sum()} of {len(one_way)} {agreement} | {precision} |"


def at(matrix: np.ndarray, cells: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the values of cells, shape (cells,)."""
    rows, columns = np.array(cells, dtype=int).reshape(-1, 2).T
    return matrix[rows, columns]


def time_table(measured: Sequence[Measured]) -> Iterator[str]:
    """Yield wall times, and their ratio to the first kind's."""
    yield "| taggers | training | cross-predictions | together | ratio |"
    yield "| --- | --- | --- | --- | --- |"
    first = measured[0].training + measured[0].predicting
    for kind in measured:
        total = kind.training + kind.predicting
        seconds = " | ".join(f"{value:.1f} s" for value in (kind.training, kind.predicting, total))
        yield f"| {kind.name} | {seconds} | {total / first:.2f} |"


if __name__ == "__main__":
    main()
