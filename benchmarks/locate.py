"""Measure `locate`: whether the nearest label of an atlas means the same, and how long it takes on one core.

Builds an atlas of every corpus of ``DIR/jsonl``, then takes each corpus that has a label with an equal one out of it in
turn and locates it in the atlas of the others, as a user would: the heads of the others read its text, its own head
reads none of theirs. A hit is a nearest label that the gold lists as equal, or that equal labels connect with it; what
is nearest in a corpus that the gold does not compare with this one cannot be judged and is passed over.

    python benchmarks/locate.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from command_line import benchmark_parser
from quality.case import pooled_mentions
from quality.corpora import as_source, read_corpora, sampled
from quality.gold import GoldPair, closed, read_gold

from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.hub.atlas import Atlas
from esnera_hf.hub.locate import locate
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import LabelRef

#: Of the corpora, the ones that are located with nothing in the cache: of usual size, in three languages.
TIMED = ("cluener", "wnut17", "germeval14")


def main() -> None:
    """Build, locate, print."""
    options = parsed()
    os.environ[CACHE_VARIABLE] = str(options.cache)
    corpora = read_corpora(options.data)
    with quiet_libraries():
        sources = {
            name: as_source(name, sampled(rows, len(rows), options.seed)) for name, rows in corpora.items()
        }
    folder = options.cache / "atlas"
    if not folder.exists():
        Atlas.build(list(sources.values()), encoder=options.encoder, seed=options.seed).save(folder)
    atlas = Atlas.load(folder)
    bundles = [file.stat().st_size for file in (folder / "bundles").iterdir()]
    print(f"{atlas!r}; bundles of {min(bundles):,} to {max(bundles):,} bytes\n")
    labels = list(atlas.matrix.labels)
    support = {ref: pooled_mentions(sources[ref.source], ref.label) for ref in labels}
    pairs = [pair for pair in closed(read_gold(options.gold, labels, support)) if pair.sure]
    print_hits(atlas, sources, pairs, options)
    print_times(atlas, sources, options)
    print(f"\nCommand: python {' '.join(sys.argv)}")


def print_hits(
    atlas: Atlas, sources: Mapping[str, NerSource], pairs: Sequence[GoldPair], options: Any
) -> None:
    """Print how often the nearest label that can be judged is one that means the same."""
    equal, listed = equal_labels(pairs), set()
    for pair in pairs:
        listed |= {(pair.first, pair.second), (pair.second, pair.first)}
    hits: list[bool] = []
    first: list[bool] = []
    missed = []
    for name in sorted({label.source for label in equal}):
        others = atlas.without({name})
        matrix = others.matrix_with(sources[name], encoder=options.encoder, seed=options.seed)
        for label in (label for label in matrix.labels if label.source == name and label in equal):
            order = np.argsort(
                -np.nan_to_num(matrix.equivalence[matrix.index[label]], nan=-1.0), kind="stable"
            )
            ranked = [matrix.labels[index] for index in order.tolist() if matrix.labels[index].source != name]
            judged = next(one for one in ranked if (label, one) in listed or one in equal[label])
            hits.append(judged in equal[label])
            first.append(ranked[0] in equal[label])
            if not hits[-1]:
                missed.append(f"{label} → {judged}")
    print(
        f"hits at 1: {np.mean(hits):.3f} of {len(hits)} labels that have an equal one ({sum(hits)}); "
        f"counting what cannot be judged as wrong: {np.mean(first):.3f}"
    )
    print(f"missed: {'; '.join(missed)}")


def equal_labels(pairs: Sequence[GoldPair]) -> dict[LabelRef, set[LabelRef]]:
    """Return the labels of other corpora that equal labels connect with each label."""
    home: dict[LabelRef, set[LabelRef]] = {}
    for pair in pairs:
        if pair.relation == "equal":
            joined = home.get(pair.first, {pair.first}) | home.get(pair.second, {pair.second})
            home |= dict.fromkeys(joined, joined)
    equal: dict[LabelRef, set[LabelRef]] = defaultdict(set)
    for label, joined in home.items():
        equal[label] = {other for other in joined if other.source != label.source}
    return dict(equal)


def print_times(atlas: Atlas, sources: Mapping[str, NerSource], options: Any) -> None:
    """Print how long it takes to locate a corpus that nothing is cached of."""
    print("\n| corpus | labels | CPU seconds | seconds on this machine |\n| --- | ---: | ---: | ---: |")
    for name in TIMED:
        if name in sources:
            with tempfile.TemporaryDirectory() as empty:
                os.environ[CACHE_VARIABLE] = empty
                wall, processor = time.perf_counter(), time.process_time()
                located = locate(sources[name], atlas, encoder=options.encoder, seed=options.seed)
                spent = time.process_time() - processor, time.perf_counter() - wall
            print(f"| {name} | {len(located)} | {spent[0]:.1f} | {spent[1]:.1f} |", flush=True)


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = benchmark_parser(__doc__, "--data", "--gold", "--encoder", "--seed")
    parser.add_argument(
        "--cache", type=Path, required=True, help="what is measured, and the atlas, stay here"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
