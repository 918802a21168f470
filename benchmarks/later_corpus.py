"""What does another corpus cost later, and does it get the same mapping as when all are aligned at once?

Aligns the corpora but one. Then adds the last with ``joint_of``, which keeps the joint tagger, and aligns all of them
from the start. Prints Markdown: CPU seconds of what is done after the first alignment, micro-F1 of each corpus' own
tagger on test, and which labels of the last corpus become one with which others. Each of the corpora is the last once,
or each of ``--added``.

    python benchmarks/later_corpus.py --encoder ENCODER --max-samples 300 --epochs 6 cluener weibo uner_zh_gsdsimp
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from quality.options import add_training_override

from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    MergeResult,
    align,
)
from esnera_hf._internal.cache import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries


def main() -> None:
    """Add each corpus to the others in both ways."""
    options = parsed()
    print("| added | way | CPU s | F1 of its own tagger | of the others, mean | its merges |")
    print("| --- | --- | ---: | ---: | ---: | --- |")
    for last in options.added or options.sources:
        others = [name for name in options.sources if name != last]
        with TemporaryDirectory() as folder, quiet_libraries():
            before = Path(folder, "before")
            aligned(others, before, options)
            ways = {"later": tuple(others), "all at once": None}
            for way, joint_of in ways.items():
                cache = Path(folder, way)
                shutil.copytree(before, cache)
                seconds, result = aligned([*others, last], cache, options, joint_of)
                cells = " | ".join([f"{seconds:.0f}", *f1(result, last, others), merges(result, last)])
                print(f"| {last} | {way} | {cells} |", flush=True)
    print(f"\nCommand: python {' '.join(sys.argv)}")


def aligned(
    names: Sequence[str], cache: Path, options: Any, joint_of: tuple[str, ...] | None = None
) -> tuple[float, MergeResult]:
    """Align sources with a cache; return the CPU seconds, too."""
    os.environ[CACHE_VARIABLE] = str(cache)
    training: dict[str, Any] = {"num_train_epochs": options.epochs, **options.training}
    if options.bf16:
        training |= {"bf16": True, "use_cpu": True}
    started = time.process_time()
    result = align(
        names,
        encoder=options.encoder,
        sentences=options.sentences,
        seed=options.seed,
        settings=AlignSettings(EvidenceSettings(training=training, joint_of=joint_of)),
    )
    return time.process_time() - started, result


def merges(result: MergeResult, last: str) -> str:
    """Return what the labels of a source became one with, or part of."""
    found = []
    for entry in result.mapping.entries:
        if entry.label.source != last or entry.unified is None:
            continue
        equal = [str(ref) for ref in result.mapping.members(entry.unified) if ref != entry.label]
        parent = result.mapping.parents.get(entry.unified)
        if equal or parent:
            told = [*sorted(equal), *([f"a part of {parent}"] if parent else [])]
            found.append(
                f"{entry.label.label} = {', '.join(told)}" if equal else f"{entry.label.label}: {told[0]}"
            )
    return "; ".join(found) or "none"


def f1(result: MergeResult, last: str, others: Sequence[str]) -> tuple[str, str]:
    """Return micro-F1 on test of the last source's own tagger, and the mean of the others'."""
    scores = {name: tagger["test"]["micro"]["f1"] for name, tagger in result.report.taggers.items()}
    return f"{scores[last]:.3f}", f"{sum(scores[name] for name in others) / len(others):.3f}"


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--added", nargs="+", metavar="SOURCE", help="of the sources, each the last once")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--max-samples", type=int, default=300, help="at most so many a split")
    parser.add_argument("--epochs", type=int, default=6)
    add_training_override(parser)
    parser.add_argument("--bf16", action="store_true", help="train in bfloat16 on the CPU")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


if __name__ == "__main__":
    main()
