"""What does a whole alignment cost beside one training on the union, and beside the paper's search?

Each way runs in a process of its own with an empty cache, on the same sentences: one tagger trained on the union, in
which labels of one name are one; the whole ``align`` with a joint tagger, merging by equivalence, and a merged tagger;
and separate taggers with the paper's greedy merging at a given λ and τ. Prints Markdown: trainings, epochs times
sentences trained on, CPU seconds and their ratio to the union, peak memory, and micro-F1 on the test splits in the
native labels of each source. CPU seconds and not wall time, so that other work on the machine plays less of a part.

    python benchmarks/align_cost.py --encoder ENCODER --max-samples 400 --epochs 8 cluener weibo uner_zh_gsdsimp
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from esnera_hf import (
    AlignSettings,
    GreedySettings,
    OutputSettings,
    TaggerSettings,
    align,
)
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.evaluation.merged_tagger import mapping_by_name, train_merged_tagger
from esnera_hf.merging.merge import merge_sources
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.load import load_sources
from esnera_hf.taggers.source_taggers import train_cached

LAMBDA, TAU = 0.4, 0.4
#: Trainings of the paper's naive search for three sources: one a source, and 45 at each of two stages.
NAIVE = 3 + 2 * 45
WAYS = {
    "one training on the union": None,
    "align: joint, equivalence, final tagger": ("joint", "equivalence"),
    f"align: separate, greedy at λ {LAMBDA}, τ {TAU}, final tagger": ("separate", "greedy"),
}


def main() -> None:
    """Run each way and print the table, or run one way and print its figures as JSON."""
    options = parsed()
    if options.way is not None:
        print(json.dumps(measured(list(WAYS)[options.way], options)))
        return
    print(
        "| way | trainings | sentences trained on | CPU seconds | ratio | peak memory | micro-F1, own labels |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    union = 0.0
    for index, way in enumerate(WAYS):
        with TemporaryDirectory() as cache:
            arguments = [sys.executable, *sys.argv, "--way", str(index)]
            run = subprocess.run(
                arguments, env={**os.environ, CACHE_VARIABLE: cache}, stdout=subprocess.PIPE, check=True
            )
        found = json.loads(run.stdout.splitlines()[-1])
        union = union or found["seconds"]
        print(
            f"| {way} | {found['trainings']} | {found['sentences']:,} | {found['seconds']:,.0f} | "
            f"{found['seconds'] / union:.2f} | {found['memory']:,.0f} MB | {found['f1']} |",
            flush=True,
        )
        if index == 0:
            each = found["seconds"]
            print(
                f"| the paper's search, reckoned: {NAIVE} trainings as the first | {NAIVE} | "
                f"up to {NAIVE * found['sentences']:,} | up to {NAIVE * each:,.0f} | up to {NAIVE} | – | – |"
            )
    print(f"\nCommand: python {' '.join(sys.argv)}")


def measured(way: str, options: Any) -> dict[str, Any]:
    """Run one way in this process and return its figures."""
    training = {
        "seed": options.seed,
        "num_train_epochs": options.epochs,
        "early_stopping_patience": options.epochs,
        "per_device_train_batch_size": 16,
    }
    if options.bf16:
        training |= {"bf16": True, "use_cpu": True}
    started = time.process_time()
    found: dict[str, Any] = {"f1": "–"}
    chosen = WAYS[way]
    if chosen is None:
        with quiet_libraries():
            sources = load_sources(options.sources, options.max_samples, options.seed)
            mapping = mapping_by_name(sources)
            merged = merge_sources(sources, mapping, find_leaks(sources))
            tagger = train_merged_tagger(mapping, merged, partial(train_cached, options.encoder, training))
            trainings = [tagger.record]
            rows = sum(len(source.dataset["train"]) for source in sources)
            found |= {"trainings": 1, "sentences": rows * epochs_of(trainings[0])}
    else:
        taggers, method = chosen
        settings = AlignSettings(
            taggers=TaggerSettings(taggers, training),
            greedy=GreedySettings(LAMBDA, TAU) if method == "greedy" else GreedySettings(),
            output=OutputSettings(pseudo_label_threshold=None, train_merged=True),
        )
        result = align(
            options.sources,
            encoder=options.encoder,
            method=method,
            max_samples=options.max_samples,
            seed=options.seed,
            settings=settings,
        )
        sizes = {source.name: source.sentences["train"] for source in result.report.sources}
        merged = epochs_of(result.load_tagger().record) * len(result.dataset["train"])
        first = next(iter(result.report.taggers.values()))
        own = (
            len(first.history) * sum(sizes.values())
            if taggers == "joint"
            else sum(len(result.report.taggers[name].history) * size for name, size in sizes.items())
        )
        pooled = result.report.systems["merged"].native.pooled
        found |= {
            "trainings": (1 if taggers == "joint" else len(sizes)) + 1,
            "sentences": own + merged,
            "f1": f"{pooled.before.value:.3f} → {pooled.after.value:.3f}",
        }
    found["seconds"] = time.process_time() - started
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def epochs_of(record: dict[str, Any]) -> int:
    """Return how many epochs a training took."""
    return len(record["history"])


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--max-samples", type=int, default=400, help="at most so many a split")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--bf16", action="store_true", help="train in bfloat16 on the CPU")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--way", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
