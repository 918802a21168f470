"""What evidence bundles cost: their size, and equal labels found where a text, or both, stay elsewhere.

Reads the corpora of ``DIR/jsonl`` and measures the frozen evidence between all of them, as ``fit_relations.py`` does.
Then takes away what could not be measured if one corpus of each pair were a bundle (its heads on the other text stay;
forms in common are unknown), if the other one were, or if both were and no answer came back. Coefficients are fitted on
what all texts give, without both corpora of a pair. With answers both ways and salted hashes of forms the counts are
those of the texts, byte by byte (``tests/hub/test_evidence.py``), and so is F1.

    python benchmarks/bundles.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from fit_relations import Rows, base_rates, group_of, measured, parsed, unrelated
from leaks import Given, with_evidence
from quality.corpora import as_source, read_corpora, sampled
from quality.figures import average_precision, calibration, f1_only
from quality.gold import RELATIONS
from quality.renaming import WRITTEN

import esnera_hf.similarity.probability as probability
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.hub.evidence import Evidence
from esnera_hf.hub.protection import EXACT, MIN_SUPPORT, REVEAL, protected
from esnera_hf.similarity.evidence import _HeadsAndSpans
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import semantic_similarity
from esnera_hf.taggers.light_heads import load_light_head, make_light_heads
from esnera_hf.tagging import LabelRef


def main() -> None:
    """Measure and print."""
    options = parsed()
    os.environ[CACHE_VARIABLE] = str(options.cache)
    matrix, pairs, language = measured(options)
    pairs = [pair for pair in pairs if pair.sure]
    groups = group_of(language, pairs)
    group = np.array([groups(pair) for pair in pairs])
    judged = len(pairs)
    pairs += unrelated(matrix, pairs)
    truth = np.array([RELATIONS.index(pair.relation) for pair in pairs])
    everything = Rows(matrix, pairs)
    everything.choose_strengths(truth, judged)
    earlier = np.array([matrix.sources.index(label.source) for label in matrix.labels])
    before, after = earlier[:, None] < earlier[None, :], earlier[:, None] > earlier[None, :]
    unknown = np.ones_like(before)
    views = {
        "both texts": everything,
        "the later corpus is a bundle": Rows(without(matrix, before, unknown), pairs),
        "the earlier corpus is a bundle": Rows(without(matrix, after, unknown), pairs),
        "both are bundles, no answer": Rows(without(matrix, before | after, unknown), pairs),
        "both texts, forms unknown": Rows(without(matrix, ~unknown, unknown), pairs),
    }
    held_back, vectors = by_default(matrix, options)
    for name, heads in (("later", before), ("earlier", after)):
        close = np.where(matrix.same_source, np.nan, np.where(heads, vectors, vectors.T))
        one_sided = replace(without(held_back, heads, unknown), semantic=close)
        views[f"the {name} corpus is a bundle by default"] = Rows(one_sided, pairs)
    predicted = {name: np.zeros((judged, len(RELATIONS))) for name in views}
    for pair in sorted(set(everything.corpora[:judged]), key=sorted):
        seen = np.array([one.isdisjoint(pair) for one in everything.corpora])
        fitted = everything.fit(truth, seen)
        held = np.flatnonzero([one == pair for one in everything.corpora[:judged]])
        for name, rows in views.items():
            predicted[name][held] = rows.probabilities(fitted, held, WRITTEN)
    print("| | equal | expected | F1 | average precision | calibration error | slope |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    base, equal = base_rates(truth), truth[:judged] == 0
    for name, probabilities in predicted.items():
        decided = np.zeros(judged, dtype=bool)
        for one in np.unique(group):
            these = group == one
            probabilities[these] = probability.shifted(probabilities[these], base)
            decided[these] = probabilities[these, 0] > probability.equality_threshold(probabilities[these, 0])
        p = probabilities[:, 0]
        error, slope = calibration(p, equal)
        print(
            f"| {name} | {equal.sum()} | {p.sum():.1f} | {f1_only(decided, equal):.3f} | "
            f"{average_precision(p, equal):.3f} | {error:.3f} | {slope:.2f} |",
            flush=True,
        )
    show_sizes(options)
    print(f"\nCommand: python {' '.join(sys.argv)}")


def by_default(matrix: SimilarityMatrix, options: Any) -> tuple[SimilarityMatrix, np.ndarray]:
    """Return what heads of bundles by default count on texts, and S_sem of labels of a text and of a bundle."""
    corpora = read_corpora(options.data)
    sources = [as_source(name, sampled(rows, len(rows), options.seed)) for name, rows in corpora.items()]
    artifacts = make_light_heads(sources, options.encoder, options.seed)
    bundles, sums = {}, {}
    for name, artifact in artifacts.items():
        spans = load_light_head(artifact)
        bundles[name] = Given(*protected(spans, REVEAL, MIN_SUPPORT)[:2], spans.read)
        sums |= {name: spans.centroids, f"{name}\0bundle": bundles[name].centroids}
    changed = with_evidence(matrix, _HeadsAndSpans(artifacts, bundles))
    sent = [LabelRef(f"{label.source}\0bundle", label.label) for label in matrix.labels]
    number = len(matrix.labels)
    vectors = semantic_similarity(sums, [*matrix.labels, *sent])
    return changed, vectors[:number, number:]


def without(matrix: SimilarityMatrix, heads: np.ndarray, forms: np.ndarray) -> SimilarityMatrix:
    """Return what is left if heads of the row's source did not read the column's text, and forms are unknown."""
    return replace(
        matrix,
        matched=np.where(heads, 0, matrix.matched),
        predicted=np.where(heads, 0, matrix.predicted),
        overlap=np.where(forms, np.nan, matrix.overlap),
        occurring=np.where(forms, 0, matrix.occurring),
    )


def show_sizes(options: Any) -> None:
    """Print the size of the bundle of each corpus."""
    print("\n| corpus | labels | bundle, bytes | with hashes of forms, bytes |\n| --- | ---: | ---: | ---: |")
    for name, rows in read_corpora(options.data).items():
        source = as_source(name, sampled(rows, len(rows), options.seed))
        sizes = []
        for salt in (None, "a salt of this benchmark"):
            with quiet_libraries():
                made = Evidence.from_source(
                    source, encoder=options.encoder, seed=options.seed, reveal=EXACT, salt=salt
                )
            sizes.append(len(made.to_bytes()))
        print(f"| {name} | {len(source.labels)} | {sizes[0]:,} | {sizes[1]:,} |", flush=True)


if __name__ == "__main__":
    main()
