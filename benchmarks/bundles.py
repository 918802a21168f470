"""What evidence bundles cost: their size, and equal labels found where a text, or both, stay elsewhere.

Reads the corpora of ``DIR/jsonl`` and measures the frozen evidence between all of them, as ``fit_relations.py`` does.
Then takes away what could not be measured if one corpus of each pair were a bundle (its heads on the other text stay;
forms in common are unknown), if the other one were, or if both were and no answer came back; by exact bundles, and by
bundles with the noise of the default, which is drawn several times. Coefficients are fitted on what all texts give,
without both corpora of a pair, and once more are those of the package. With answers both ways and salted hashes of
forms the counts are those of the texts, byte by byte (``tests/hub/test_evidence.py``), and so is F1.

    python benchmarks/bundles.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from fit_relations import Rows, base_rates, group_of, measured, parsed, unrelated
from leaks import Given, figures, with_evidence
from quality.corpora import as_source, read_corpora, sampled
from quality.figures import average_precision, calibration, f1_only
from quality.gold import RELATIONS
from quality.renaming import WRITTEN

import esnera_hf.similarity.probability as probability
from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.hub.evidence import Evidence
from esnera_hf.hub.protection import EXACT, KEY_FILE, MIN_SUPPORT, REVEAL, TIMES_READ, protected
from esnera_hf.similarity.evidence import _HeadsAndSpans
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import semantic_similarity
from esnera_hf.taggers.light_heads import load_light_head, make_light_heads
from esnera_hf.tagging import LabelRef

#: How often the noise of bundles by default is drawn.
DRAWS = 3


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
    views = {"both texts": everything}
    views |= {name: Rows(changed, pairs) for name, changed in held_back(matrix, options)}
    print("By the coefficients of the package:\n\n| | F1 | average precision | relations macro-F1 |")
    print("| --- | ---: | ---: | ---: |")
    for name, rows in views.items():
        cells = " | ".join(f"{figure:.3f}" for figure in figures(rows.matrix, pairs[:judged], group))
        print(f"| {name} | {cells} |", flush=True)
    predicted = {name: np.zeros((judged, len(RELATIONS))) for name in views}
    for pair in sorted(set(everything.corpora[:judged]), key=sorted):
        seen = np.array([one.isdisjoint(pair) for one in everything.corpora])
        fitted = everything.fit(truth, seen)
        held = np.flatnonzero([one == pair for one in everything.corpora[:judged]])
        for name, rows in views.items():
            predicted[name][held] = rows.probabilities(fitted, held, WRITTEN)
    print("\nWithout both corpora of a pair:\n")
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


def held_back(matrix: SimilarityMatrix, options: Any) -> Iterator[tuple[str, SimilarityMatrix]]:
    """Yield what is left of the similarities where corpora are bundles, by what it is called in the tables."""
    earlier = np.array([matrix.sources.index(label.source) for label in matrix.labels])
    before, after = earlier[:, None] < earlier[None, :], earlier[:, None] > earlier[None, :]
    unknown = np.ones_like(before)
    yield "the later corpus is a bundle", without(matrix, before, unknown)
    yield "the earlier corpus is a bundle", without(matrix, after, unknown)
    yield "both are bundles, no answer", without(matrix, before | after, unknown)
    yield "both texts, forms unknown", without(matrix, ~unknown, unknown)
    corpora = read_corpora(options.data)
    sources = [as_source(name, sampled(rows, len(rows), options.seed)) for name, rows in corpora.items()]
    artifacts, read_for_noise = (
        make_light_heads(sources, options.encoder, options.seed, times=times) for times in (1, TIMES_READ)
    )
    for draw in range(1, DRAWS + 1):
        (options.cache / KEY_FILE).unlink(missing_ok=True)
        noisy, vectors = by_default(matrix, artifacts, read_for_noise)
        for name, heads in (("later", before), ("earlier", after)):
            close = np.where(matrix.same_source, np.nan, np.where(heads, vectors, vectors.T))
            one_sided = replace(without(noisy, heads, unknown), semantic=close)
            yield f"the {name} corpus is a bundle by default, draw {draw}", one_sided
        yield f"all corpora are bundles by default, forms given, draw {draw}", noisy


def by_default(
    matrix: SimilarityMatrix, artifacts: Mapping[str, Artifact], read_for_noise: Mapping[str, Artifact]
) -> tuple[SimilarityMatrix, np.ndarray]:
    """Return what heads of bundles by default count on texts, and S_sem of labels of a text and of a bundle."""
    bundles, sums = {}, {}
    for name, artifact in artifacts.items():
        spans = load_light_head(read_for_noise[name])
        bundles[name] = Given(*protected(spans, REVEAL, MIN_SUPPORT)[:2], spans.read)
        sums |= {name: load_light_head(artifact).centroids, f"{name}\0bundle": bundles[name].centroids}
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
