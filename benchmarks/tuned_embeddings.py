"""Do mention vectors of the tuned encoder rank equal labels as well as those of the pretrained one?

If they do, embeddings and predictions can come from one forward pass. Trains a
joint tagger on the sources, encodes the mentions of their train splits with the
encoder before and after, and prints Markdown: the average precision with which
the semantic similarity ranks the equal pairs of a gold file, by what is
subtracted from the vectors, with the number of pairs, and wall times.

    python benchmarks/tuned_embeddings.py --encoder ENCODER --gold gold_alignments.json \\
        --sentences 1500 --epochs 10 cluener weibo uner_zh_gsdsimp fewfc
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from semantic_variants import (
    FEWEST_MENTIONS,
    average_precision,
    best_f1,
    equal_pairs,
    label_vectors,
    mention_vectors,
)

from esnera_hf.console import quiet_libraries
from esnera_hf.labels import LabelRef
from esnera_hf.modeling import MentionEncoder
from esnera_hf.modeling.joint_training import train_joint_tagger
from esnera_hf.sources import NerSource, load_source

Mentions = dict[str, dict[str, np.ndarray]]


def main() -> None:
    """Train, encode and print the table."""
    options = parsed()
    with quiet_libraries(), TemporaryDirectory() as folder:
        sources = [load_source(name).sample(options.sentences, options.seed) for name in options.sources]
        started = time.perf_counter()
        before = mentions_of(sources, MentionEncoder(options.encoder))
        encoded = time.perf_counter()
        settings = {"seed": options.seed, "num_train_epochs": options.epochs, "early_stopping_patience": 3}
        settings |= options.training
        result = train_joint_tagger(sources, options.encoder, Path(folder), settings)
        trained = time.perf_counter()
        tuned = MentionEncoder.from_model(result.tagger.model.encoder, result.tagger.tokenizer)
        after = mentions_of(sources, tuned)
    labels = [
        ref
        for source in sources
        for ref in source.label_refs
        if len(before[source.name].get(ref.label, ())) >= FEWEST_MENTIONS
    ]
    pairs = [
        (i, j) for i, a in enumerate(labels) for j, b in enumerate(labels) if i < j and a.source != b.source
    ]
    equal = equal_pairs(options.gold)
    truth = np.array([frozenset((labels[i], labels[j])) in equal for i, j in pairs])
    f1 = ", ".join(f"{name} {scores.micro.f1:.2f}" for name, scores in result.validation.items())
    print(f"{len(pairs)} label pairs, {truth.sum()} equal. Validation F1 of the tuned encoder's heads: {f1}.")
    print(f"Encoding {encoded - started:.0f} s, training {trained - encoded:.0f} s.\n")
    print("| encoder | mean subtracted | average precision | best F1 |\n| --- | --- | --- | --- |")
    for name, mentions in (("pretrained", before), ("tuned", after)):
        for centre in ("all", "source"):
            scores = similarities(mentions, labels, pairs, centre)
            print(
                f"| {name} | {centre} | {average_precision(scores, truth):.2f} | {best_f1(scores, truth)[0]:.2f} |"
            )


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=1500, help="at most so many a split")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument(
        "--training", type=json.loads, default={}, metavar="JSON", help="other training arguments"
    )
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def mentions_of(sources: Sequence[NerSource], encoder: MentionEncoder) -> Mentions:
    """Return the mention vectors by source and label."""
    return {source.name: mention_vectors(source, encoder) for source in sources}


def similarities(
    mentions: Mentions, labels: list[LabelRef], pairs: list[tuple[int, int]], centre: str
) -> np.ndarray:
    """Return the semantic similarity of each pair of labels."""
    vectors = label_vectors(mentions, labels, centre, "labels")
    return np.array([vectors[i] @ vectors[j] for i, j in pairs])


if __name__ == "__main__":
    main()
