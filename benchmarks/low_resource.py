"""Does a small corpus gain from being merged with others? The paper's finance experiment in kind.

Takes a few hundred sentences of a small corpus and more of general ones. Trains a tagger on the small corpus alone;
aligns it with the others (one joint tagger, typed merging) and trains a tagger on the merged dataset. Prints Markdown:
F1 on the small corpus' test split in its own labels, a row a seed and then by label over all seeds: the tagger alone,
its head of the joint tagger, and the merged tagger.

    python benchmarks/low_resource.py --encoder ENCODER --small fewfc --few 200 --max-samples 300 cluener weibo
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from quality.encoders import cut_encoder
from quality.options import add_training_override

from esnera_hf import (
    AlignSettings,
    OutputSettings,
    TaggerSettings,
    align,
)
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.sources.load import load_source
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.source_taggers import train_cached

WAYS = ("alone", "head of the joint tagger", "merged")


def main() -> None:
    """Print the table of all seeds, then that of the labels."""
    options = parsed()
    test = load_source(options.small).dataset["test"]
    print(
        f"| seed | {' | '.join(WAYS)} | merged labels of {options.small} |\n| --- |{' ---: |' * len(WAYS)} --- |"
    )
    by_label: dict[str, dict[str, list[float]]] = defaultdict(lambda: {way: [] for way in WAYS})
    support: dict[str, int] = {}
    means = []
    with TemporaryDirectory() as folder, quiet_libraries():
        encoder = cut_encoder(options.encoder, options.layers, Path(folder))
        for seed in options.seeds:
            os.environ[CACHE_VARIABLE] = str(Path(folder, f"cache-{seed}"))
            micro, labels, merged = measured(options, encoder, seed)
            means.append([micro[way] for way in WAYS])
            print(f"| {seed} | {' | '.join(f'{value:.3f}' for value in means[-1])} | {merged} |", flush=True)
            for label, found in labels.items():
                support[label] = found["entities"]
                for way in WAYS:
                    by_label[label][way].append(found[way])
    print(f"| **mean** | {' | '.join(f'**{value:.3f}**' for value in np.mean(means, axis=0))} | |\n")
    print(f"| label | entities in test | {' | '.join(WAYS)} |\n| --- | ---: |{' ---: |' * len(WAYS)}")
    for label in sorted(by_label, key=lambda name: -support[name]):
        cells = " | ".join(f"{np.mean(by_label[label][way]):.3f}" for way in WAYS)
        print(f"| {label} | {support[label]} | {cells} |")
    print(f"\nTest: at most {options.tested} of {len(test):,} sentences, chosen by seed.")
    print(f"Command: python {' '.join(sys.argv)}")


def measured(options: Any, encoder: str, seed: int) -> tuple[dict[str, float], dict[str, Any], str]:
    """Return micro-F1 by way, F1 by label and way, and what the labels of the small corpus became one with."""
    small = fewer(load_source(options.small), options.few, options.tested, seed)
    sources = [small, *(load_source(name).sample(options.max_samples, seed) for name in options.others)]
    training: dict[str, Any] = {"seed": seed, "num_train_epochs": options.epochs, **options.training}
    if options.bf16:
        training |= {"bf16": True, "use_cpu": True}
    alone = train_cached(encoder, training, small).scores(small, "test")
    result = align(
        sources,
        encoder=encoder,
        seed=seed,
        settings=AlignSettings(
            taggers=TaggerSettings(training=training),
            output=OutputSettings(pseudo_label_threshold=None, train_merged=True),
        ),
    )
    scores = result.report.systems["merged"].native
    found = scores.sources[small.name]
    micro = {
        "alone": alone.micro.f1,
        "head of the joint tagger": found.before.value,
        "merged": found.after.value,
    }
    labels = {
        label: {
            "entities": score.support,
            "alone": alone.by_label[label].f1,
            "head of the joint tagger": score.before.value or 0.0,
            "merged": score.after.value or 0.0,
        }
        for label, score in scores.by_label[small.name].items()
        if score.support and label in alone.by_label
    }
    return micro, labels, merged_labels(result, small.name)


def fewer(source: NerSource, few: int, tested: int, seed: int) -> NerSource:
    """Return a source with few sentences to train on and to choose by, and more to test on."""
    small, large = source.sample(few, seed), source.sample(tested, seed)
    return NerSource(
        source.name,
        type(source.dataset)({**small.dataset, "test": large.dataset["test"]}),
        language=source.language,
    )


def merged_labels(result: Any, name: str) -> str:
    """Return the labels of a source that became one with labels of others."""
    found = []
    for entry in result.mapping.entries:
        if entry.label.source == name and entry.unified is not None:
            others = [str(ref) for ref in result.mapping.members(entry.unified) if ref.source != name]
            if others:
                found.append(f"{entry.label.label} = {', '.join(others)}")
    return "; ".join(found) or "none"


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("others", nargs="+", metavar="SOURCE")
    parser.add_argument("--small", required=True, metavar="SOURCE")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--layers", type=int, default=0, help="use so many layers of the encoder (0: all)")
    parser.add_argument("--few", type=int, default=200, help="sentences of the small corpus, a split")
    parser.add_argument("--tested", type=int, default=500, help="sentences of its test split")
    parser.add_argument("--max-samples", type=int, default=300, help="of each other corpus, a split")
    parser.add_argument("--epochs", type=int, default=6)
    add_training_override(parser)
    parser.add_argument("--bf16", action="store_true", help="train in bfloat16 on the CPU")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    return parser.parse_args()


if __name__ == "__main__":
    main()
