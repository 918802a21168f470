"""Which form of the semantic similarity ranks equal labels first?

Compares, on real corpora with gold alignments, which mean is subtracted from
the mention vectors, whether each mention is scaled to length 1 before
averaging (the paper) or the average only (one pass, sums only), and whether
the averages are scaled. Prints a Markdown table.

    python benchmarks/semantic_variants.py --encoder ENCODER --gold gold_alignments.json \
        --max-samples 1500 cluener weibo uner_zh_gsdsimp fewfc
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np

from esnera_hf._internal.console import quiet_libraries
from esnera_hf.modeling.encoders import MentionEncoder
from esnera_hf.sources.load import load_source
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import LabelRef

FEWEST_MENTIONS = 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--gold", type=Path, required=True)
    parser.add_argument("--max-samples", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    with quiet_libraries():
        sources = [load_source(name).sample(options.sentences, options.seed) for name in options.sources]
        encoder = MentionEncoder(options.encoder)
        mentions = {source.name: mention_vectors(source, encoder) for source in sources}
    labels = [
        ref
        for s in sources
        for ref in s.label_refs
        if len(mentions[s.name].get(ref.label, ())) >= FEWEST_MENTIONS
    ]
    pairs = [
        (i, j) for i, a in enumerate(labels) for j, b in enumerate(labels) if i < j and a.source != b.source
    ]
    equal = equal_pairs(options.gold)
    truth = np.array([frozenset((labels[i], labels[j])) in equal for i, j in pairs])
    print(f"{len(pairs)} label pairs, {truth.sum()} equal; {len(sources)} sources")
    print(
        "\n| mean subtracted | scaled | average precision | best F1 | at |\n| --- | --- | --- | --- | --- |"
    )
    for center, scaled in product(("none", "all", "source"), ("mentions", "mentions and labels", "labels")):
        vectors = label_vectors(mentions, labels, center, scaled)
        scores = np.array([vectors[i] @ vectors[j] for i, j in pairs])
        precision = average_precision(scores, truth)
        f1, threshold = best_f1(scores, truth)
        print(f"| {center} | {scaled} | {precision:.2f} | {f1:.2f} | {threshold:.2f} |")


def mention_vectors(source: NerSource, encoder: MentionEncoder) -> dict[str, np.ndarray]:
    found: dict[str, list[np.ndarray]] = {}
    for names, vectors in encoder.mention_vectors(source.sentences("train")):
        for name, vector in zip(names, vectors, strict=True):
            found.setdefault(name, []).append(vector)
    return {name: np.array(rows, dtype=np.float64) for name, rows in found.items()}


def label_vectors(
    mentions: dict[str, dict[str, np.ndarray]], labels: list[LabelRef], center: str, scaled: str
) -> np.ndarray:
    means = {
        name: np.concatenate(list(by_label.values())).mean(axis=0) for name, by_label in mentions.items()
    }
    overall = np.mean(list(means.values()), axis=0)
    rows = []
    for source, label in labels:
        subtracted = {"none": 0.0, "all": overall, "source": means[source]}[center]
        vectors = mentions[source][label] - subtracted
        if scaled.startswith("mentions"):
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        vector = vectors.mean(axis=0)
        rows.append(vector / np.linalg.norm(vector) if scaled.endswith("labels") else vector)
    return np.array(rows)


def equal_pairs(gold: Path) -> set[frozenset[LabelRef]]:
    return {
        frozenset((LabelRef(entry["a"], entry["label_a"]), LabelRef(entry["b"], entry["label_b"])))
        for entry in json.loads(gold.read_text(encoding="utf-8"))
        if entry["relation"] == "equal" and entry["confidence"] in ("verified", "high")
    }


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    ranked = truth[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean())


def best_f1(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(truth[order])
    f1 = 2 * found / (np.arange(1, len(order) + 1) + truth.sum())
    best = int(np.argmax(f1))
    return float(f1[best]), float(scores[order[best]])


if __name__ == "__main__":
    main()
