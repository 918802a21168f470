"""What does the paper's grid cost when every one of its 45 points is trained, and does it choose another mapping?

Takes the evidence once (a separate tagger a source), then searches one pair of sources twice from it: point by
point with nothing kept between them, as written in the paper; and as the package does, which trains distinct mappings
only, in order of merged labels, until one holds the bound. Prints Markdown:
trainings, CPU seconds without those of the evidence, and the mapping that is chosen.

    python benchmarks/naive_grid.py --encoder ENCODER --layers 2 --max-samples 120 --epochs 6 --bf16 \
        --training '{"per_device_train_batch_size": 8, "head_learning_rate": 0.01}' wikigold uner_en_ewt
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from quality.encoders import cut_encoder
from quality.options import add_training_override

from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    GreedySettings,
    MergeResult,
    OutputSettings,
    align,
)
from esnera_hf._internal.cache import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries

GRID = GreedySettings()


@dataclass(frozen=True)
class Searched:
    """What a search took and found.

    Attributes:
        seconds: of CPU time.
        trials: those that were trained.
        mapping: the chosen mapping, as text.
    """

    seconds: float
    trials: list[dict[str, Any]]
    mapping: str


def main() -> None:
    """Search in the three ways and print a row each."""
    options = parsed()
    with TemporaryDirectory() as folder, quiet_libraries():
        encoder = cut_encoder(options.encoder, options.layers, Path(folder))
        evidence = Path(folder, "evidence")
        # No threshold is this high: the evidence alone is made.
        known = searched(options, encoder, evidence, GreedySettings(lambdas=(0.5,), taus=(1.0,)))
        print(f"Evidence: {known.seconds:.0f} CPU s, two trainings among them.\n")
        print("| λ | τ | merged | pooled F1, own → merged | holds |\n| --- | --- | ---: | --- | --- |")
        points = []
        for lam in GRID.lambdas:
            for tau in GRID.taus:
                one = GreedySettings(lambdas=(lam,), taus=(tau,), scoring=options.scoring)
                point = searched(options, encoder, copied(evidence, folder), one)
                points.append(point)
                for trial in point.trials:
                    print(f"| {lam} | {tau} | {told(trial, options.scoring)} |", flush=True)
        print("\n| way | trainings | CPU s | chosen: merged labels, F1 | mapping |")
        print("| --- | ---: | ---: | --- | --- |")
        print(row("point by point", naive(points, options.scoring), options.scoring))
        found = searched(options, encoder, copied(evidence, folder), GreedySettings(scoring=options.scoring))
        print(row("the search", found, options.scoring), flush=True)
    print(f"\nCommand: python {' '.join(sys.argv)}")


def naive(points: list[Searched], scoring: str) -> Searched:
    """Return the points as one search: the most labels merged within the bound, the better F1 of equals."""

    def rank(point: Searched) -> tuple[float, float]:
        held = [trial for trial in point.trials if trial["holds"]]
        return (held[0]["merged"], f1(held[0], scoring)[1]) if held else (0.0, 0.0)

    best = max(points, key=rank)
    trials = [
        trial | {"chosen": trial in best.trials and trial["holds"]} for p in points for trial in p.trials
    ]
    return Searched(sum(point.seconds for point in points), trials, best.mapping)


def searched(options: Any, encoder: str, cache: Path, search: GreedySettings) -> Searched:
    """Align with a cache."""
    os.environ[CACHE_VARIABLE] = str(cache)
    training: dict[str, Any] = {"num_train_epochs": options.epochs, **options.training}
    if options.bf16:
        training |= {"bf16": True, "use_cpu": True}
    started = time.process_time()
    result: MergeResult = align(
        options.sources,
        encoder=encoder,
        sentences=options.sentences,
        seed=options.seed,
        settings=AlignSettings(
            EvidenceSettings(training=training, taggers="separate"),
            search,
            final=OutputSettings(pseudo_label_threshold=None),
            merge="flat",
        ),
    )
    trials = [trial for trial in result.report.trials if trial["scores"]]
    return Searched(time.process_time() - started, trials, "; ".join(str(result.mapping).splitlines()))


def copied(evidence: Path, folder: str) -> Path:
    """Return a fresh copy of the cache with the evidence alone."""
    place = Path(folder, "searched")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(evidence, place)
    return place


def f1(trial: dict[str, Any], scoring: str) -> tuple[float, float]:
    """Return the pooled micro-F1 on validation of the sources' own taggers and of the merged one."""
    pooled = trial["scores"][scoring]["pooled"]
    return pooled["before"]["value"], pooled["after"]["value"]


def told(trial: dict[str, Any], scoring: str) -> str:
    """Return the cells about a trained mapping."""
    before, after = f1(trial, scoring)
    return f"{trial['merged']} | {before:.3f} → {after:.3f} | {'yes' if trial['holds'] else 'no'}"


def row(way: str, found: Searched, scoring: str) -> str:
    """Return the row of a search."""
    chosen = [trial for trial in found.trials if trial["chosen"]]
    best = f"{chosen[0]['merged']}, {f1(chosen[0], scoring)[1]:.3f}" if chosen else "none"
    return f"| {way} | {len(found.trials)} | {found.seconds:,.0f} | {best} | {found.mapping} |"


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs=2)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--layers", type=int, default=2, help="of the encoder are kept")
    parser.add_argument("--max-samples", type=int, default=150, help="at most so many a split")
    parser.add_argument("--epochs", type=int, default=4)
    add_training_override(parser)
    parser.add_argument("--scoring", choices=("unified", "native"), default="unified")
    parser.add_argument("--bf16", action="store_true", help="train in bfloat16 on the CPU")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


if __name__ == "__main__":
    main()
