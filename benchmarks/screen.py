"""Does the screen rank equal labels first, and how should its two directions be combined?

Screens every listed pair of real corpora of one language and ranks its label
pairs by their similarity. Positives are the pairs the gold calls equal
(confidence verified or high), negatives all others. Prints a Markdown table of
average precisions, with the shares scaled by the number of forms they rest on
(as ``MentionOverlap.matrix`` does) and as they are; a pair that cannot be
measured ranks last.

    python benchmarks/screen.py --data $ESNERA_DATA_DIR --gold gold_alignments.json
"""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any

import numpy as np
from command_line import benchmark_parser

from esnera_hf._internal.console import quiet_libraries
from esnera_hf.sources.load import load_source
from esnera_hf.sources.overlap import MentionOverlap, mention_overlap
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import LabelRef

Pair = tuple[str, str]
COMBINATIONS = {"min": np.nanmin, "mean": np.nanmean, "max": np.nanmax}
SPLITS = {"train": ("train",), "all splits": ("train", "validation", "test")}


def main() -> None:
    parser = benchmark_parser(__doc__, "--gold")
    parser.add_argument("--data", required=True, help="folder of the corpora, as ESNERA_DATA_DIR")
    options = parser.parse_args()
    os.environ["ESNERA_DATA_DIR"] = options.data
    gold = [record for record in json.loads(options.gold.read_text("utf-8")) if record["a"] != record["b"]]
    names = sorted({record[key] for record in gold for key in "ab"})
    with quiet_libraries():
        sources = {name: load_source(name) for name in names}
    kinds = pair_kinds(gold, sources)
    print(
        "| splits | pairs of corpora | label pairs | equal | not measurable | combination | scaled | shares |"
    )
    print("| --- | --- | ---: | ---: | ---: | --- | ---: | ---: |")
    notes = []
    for shown, splits in SPLITS.items():
        started = time.process_time()
        screenings = {(a, b): mention_overlap([sources[a], sources[b]], splits=splits) for a, b in kinds}
        seconds = time.process_time() - started
        for kind in ("all", "independent"):
            chosen = [pair for pair in kinds if kind in ("all", kinds[pair])]
            print_rows(f"{shown} | {len(chosen)} {kind}", chosen, gold, sources, screenings)
        sentences = sum(
            len(sources[name].dataset[split]) for pair in kinds for name in pair for split in splits
        )
        notes.append(
            f"{shown}: {len(kinds)} screenings, {sentences:,} sentences in all, {seconds:.1f} s of CPU."
        )
    print("\n" + "\n".join(notes))


def pair_kinds(gold: list[dict[str, Any]], sources: dict[str, NerSource]) -> dict[Pair, str]:
    """Return the pairs of corpora of one language, with their kinship."""
    kinds = {}
    for record in gold:
        a, b = sorted((record["a"], record["b"]))
        if sources[a].language.partition("-")[0] == sources[b].language.partition("-")[0]:
            kinds[a, b] = record["kin"]
    return dict(sorted(kinds.items()))


def print_rows(
    head: str,
    pairs: list[Pair],
    gold: list[dict[str, Any]],
    sources: dict[str, NerSource],
    screenings: dict[Pair, MentionOverlap],
) -> None:
    equal = {
        frozenset({(record["a"], record["label_a"]), (record["b"], record["label_b"])})
        for record in gold
        if record["relation"] == "equal" and record["confidence"] in ("verified", "high")
    }
    labels = [(p, x, y) for p in pairs for x in sources[p[0]].label_refs for y in sources[p[1]].label_refs]
    truth = np.array([frozenset({(x.source, x.label), (y.source, y.label)}) in equal for _, x, y in labels])
    for combination in COMBINATIONS:
        scaled = [combined(screenings[pair], x, y, combination, scaled=True) for pair, x, y in labels]
        shares = [combined(screenings[pair], x, y, combination, scaled=False) for pair, x, y in labels]
        unknown = sum(map(math.isnan, scaled))
        precisions = [average_precision(np.nan_to_num(s, nan=-1.0), truth) for s in (scaled, shares)]
        figures = " | ".join(f"{precision:.3f}" for precision in precisions)
        print(f"| {head} | {len(labels):,} | {truth.sum()} | {unknown} | {combination} | {figures} |")


def combined(screening: MentionOverlap, x: LabelRef, y: LabelRef, combination: str, *, scaled: bool) -> float:
    """Combine the shares of both directions, NaN if neither can be measured."""
    found = {overlap.label: overlap for overlap in screening.overlaps}
    matrix = screening.matrix([x, y])
    both = [matrix[0, 1], matrix[1, 0]]
    if not scaled:
        both = [
            share * (found[label].occurring + 1) / max(found[label].occurring, 1)
            for share, label in zip(both, (x, y), strict=True)
        ]
    return math.nan if all(map(math.isnan, both)) else float(COMBINATIONS[combination](both))


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Sum precision over the steps of recall; equal scores are one step."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.nonzero(np.diff(scores[order]))[0], len(scores) - 1)
    hits = np.cumsum(truth[order])[ends]
    return float((hits / (ends + 1) * np.diff(hits, prepend=0)).sum() / truth.sum())


if __name__ == "__main__":
    main()
