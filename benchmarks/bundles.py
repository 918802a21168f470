"""What evidence bundles cost: their size, and equal labels found where a text, or both, stay elsewhere.

Reads the corpora of ``DIR/jsonl`` and measures the frozen evidence between all of them, as ``fit_relations.py`` does.
Beside each corpus stands its bundle, so that each pair of corpora can be compared as a text and a bundle, either way
round, or as two bundles, with answers and without. Bundles are exact, or have noise, which is drawn several times. What
a bundle with noise reads ten times over is reckoned, not encoded: mean vectors are of what an alignment reads, and the
noise is that of the mentions that the bundle would read.

``--write`` fits the coefficients that count beside noise to bundles of other draws, all others staying as they are, and
writes them to the package. The tables are fitted without both corpora of a pair, and without its group of corpora.

    python benchmarks/bundles.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER [--write]
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from fit_relations import Rows, base_rates, group_of, measured, names, parsed, rounded, unrelated
from quality.corpora import as_source, read_corpora, sampled
from quality.figures import average_precision, calibration, f1_only, macro_f1
from quality.gold import RELATIONS
from quality.renaming import RANDOM, UNLISTED, WRITTEN

import esnera_hf.similarity.probability as probability
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.hub.evidence import Evidence
from esnera_hf.hub.protection import EXACT, MIN_SUPPORT, REVEAL, TIMES_READ, _nearest_mean, _shifts
from esnera_hf.similarity.features import BESIDE_NOISE, equality_features, relation_features
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import kept_directions, reliabilities, semantic_similarity
from esnera_hf.taggers.light_heads import (
    NO_MENTION,
    LightHead,
    in_half_precision,
    load_light_head,
    make_light_heads,
    sentences_to_read,
)
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.tagging import LabelRef

#: What bundles reveal where coefficients are fitted, and the draws of their noise; of the tables, other draws.
FITTED_ON = ((REVEAL, 101), (0.65, 102))
JUDGED = ((REVEAL, 1), (REVEAL, 2))
#: Inverse strength of the regularization of what counts beside noise.
STRENGTH = 0.1
_BUNDLE = "\0bundle"
Bundle = tuple[LightHead, LabelCentroids]


class Corpus(NamedTuple):
    """What is read of a corpus for an alignment, and how many mentions of each label a bundle with noise reads."""

    spans: LightHead
    mentions: Mapping[str, int]


class View(NamedTuple):
    """The features of judged pairs, some corpora being bundles: of being equal, and of the relation either way."""

    equality: dict[str, np.ndarray]
    forward: dict[str, np.ndarray]
    backward: dict[str, np.ndarray]


class Judge:
    """The judged pairs, and coefficients fitted without some of them."""

    def __init__(self, options: Any) -> None:
        self.matrix, pairs, language = measured(options)
        pairs = [pair for pair in pairs if pair.sure]
        groups = group_of(language, pairs)
        self.group = np.array([groups(pair) for pair in pairs])
        self.judged = len(pairs)
        pairs += unrelated(self.matrix, pairs)
        self.truth = np.array([RELATIONS.index(pair.relation) for pair in pairs])
        self.rows = Rows(self.matrix, pairs)
        self.rows.choose_strengths(self.truth, self.judged)
        self.first, self.second = np.array(self.rows.first), np.array(self.rows.second)
        place = {source: number for number, source in enumerate(self.matrix.sources)}
        source = np.array([place[label.source] for label in self.matrix.labels])
        #: Whether the first label of each pair is of the earlier corpus.
        self.in_order = source[self.first] < source[self.second]

    def folds(self, kind: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield which judged pairs are left out, and on which of all pairs is fitted then."""
        groups = (self.rows.without(self.group == one) for one in np.unique(self.group))
        for held, seen in groups if kind == "whole group" else self.rows.without_both(self.judged):
            yield np.flatnonzero(held), seen

    def view(self, matrix: SimilarityMatrix, first: np.ndarray, second: np.ndarray) -> View:
        """Return the features of pairs of labels, names as written."""
        equality, relation = equality_features(matrix), relation_features(matrix)
        return View(
            {name: values[first, second] for name, values in equality.items()},
            {name: values[first, second] for name, values in relation.items()},
            {name: values[second, first] for name, values in relation.items()},
        )

    def renamed(self, view: View, sides: Any) -> View:
        """Return the features of a view with other names."""
        equality = {**view.equality, **{name: sides.equality[name] for name in self.rows.names}}
        for name in self.rows.names:
            equality[name + BESIDE_NOISE] = view.equality["noise"] * equality[name]
        of_names = (
            "kind",
            "split off",
            "kind, reverse",
            "split off, reverse",
            "both split off",
            "names",
            "meaning",
        )
        forward, backward = (
            {**own, **{name: side[name] for name in of_names}}
            for own, side in ((view.forward, sides.forward), (view.backward, sides.backward))
        )
        return View(equality, forward, backward)


def main() -> None:
    """Measure and print, and write if asked to."""
    options = parsed()
    os.environ[CACHE_VARIABLE] = str(options.cache)
    judge = Judge(options)
    corpora = read(options)
    views = dict(views_of(judge, corpora, EXACT, 0))
    fitted_on = list(views.values())
    for reveal, draw in FITTED_ON:
        fitted_on += dict(views_of(judge, corpora, reveal, draw)).values()
    for reveal, draw in JUDGED:
        views |= {f"{name}, draw {draw}": view for name, view in views_of(judge, corpora, reveal, draw)}
    print(
        "| left out | names | | equal | expected | F1 | average precision | calibration error | slope | relations |"
    )
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind in ("both corpora", "whole group"):
        fits = [
            (held, with_noise(judge, judge.rows.fit(judge.truth, seen), fitted_on, seen))
            for held, seen in judge.folds(kind)
        ]
        for kind_of_names in (WRITTEN, UNLISTED, RANDOM):
            for name, view in views.items():
                print(
                    f"| {kind} | {kind_of_names} | {name} | {figures(judge, view, kind_of_names, fits)} |",
                    flush=True,
                )
    if options.write:
        file = Path(probability.__file__).with_name("relations.json")
        written = json.loads(file.read_text(encoding="utf-8"))
        everything = np.ones(len(judge.truth), dtype=bool)
        written["evidence"] = with_noise(judge, written["evidence"], fitted_on, everything)
        file.write_text(json.dumps(rounded(written), indent=1) + "\n", encoding="utf-8")
    show_sizes(options)
    print(f"\nCommand: python {' '.join(sys.argv)}")


def read(options: Any) -> dict[str, Corpus]:
    """Return what is read of each corpus."""
    corpora = {}
    for name, rows in read_corpora(options.data).items():
        source = as_source(name, sampled(rows, len(rows), options.seed))
        [artifact] = make_light_heads([source], options.encoder, options.seed).values()
        sentences = sentences_to_read(source, options.seed, TIMES_READ)
        mentions = Counter(entity.label for sentence in sentences for entity in sentence.entities)
        corpora[name] = Corpus(load_light_head(artifact), mentions)
    return corpora


def bundle(corpus: Corpus, reveal: float, generator: np.random.Generator) -> Bundle:
    """Return the head and the mean vectors of a bundle, as ``protected`` makes them of ten times as much text."""
    spans, read = corpus.spans, corpus.spans.read
    if reveal == EXACT:
        return spans.without_spans(), spans.centroids
    gold, counts = np.array(spans.gold), {label: max(corpus.mentions[label], read[label]) for label in read}
    labels = [label for label, count in counts.items() if count >= MIN_SUPPORT]
    basis = kept_directions(spans.vectors.shape[1])
    vectors = {label: spans.vectors[gold == label].astype(np.float64) @ basis for label in labels}
    shifts = _shifts(vectors, {label: spans.sentences[gold == label] for label in labels})
    allowed = np.sqrt(2) * NormalDist().inv_cdf(reveal)
    noise = {label: shifts[label] / allowed * read[label] / counts[label] for label in labels}
    means = {
        label: in_half_precision(
            basis @ (own.mean(axis=0) + generator.normal(0.0, noise[label], basis.shape[1]))
        )
        for label, own in vectors.items()
    }
    centroids = LabelCentroids.of_means(means, {label: counts[label] for label in labels}, noise)
    return _nearest_mean(spans, means), centroids


def views_of(
    judge: Judge, corpora: Mapping[str, Corpus], reveal: float, draw: int
) -> Iterator[tuple[str, View]]:
    """Yield the features of the pairs where corpora are bundles, by what it is called in the tables."""
    generator, number = np.random.default_rng(draw), len(judge.matrix.labels)
    bundles = {name: bundle(corpus, reveal, generator) for name, corpus in corpora.items()}
    kind = "exact" if reveal == EXACT else f"reveal {reveal:g}"
    first, second, in_order = judge.first, judge.second, judge.in_order
    matrix = beside_texts(judge.matrix, corpora, bundles, answers=False)
    later = np.where(in_order, first, first + number), np.where(in_order, second + number, second)
    earlier = np.where(in_order, first + number, first), np.where(in_order, second, second + number)
    yield f"{kind}: the later corpus is a bundle", judge.view(matrix, *later)
    yield f"{kind}: the earlier corpus is a bundle", judge.view(matrix, *earlier)
    yield f"{kind}: both are bundles, no answer", judge.view(matrix, first + number, second + number)
    if reveal < EXACT:
        answered = beside_texts(judge.matrix, corpora, bundles, answers=True)
        yield (
            f"{kind}: both are bundles, with answers and forms",
            judge.view(answered, first + number, second + number),
        )
        without = replace(
            answered, overlap=np.full_like(answered.overlap, np.nan), occurring=0 * answered.occurring
        )
        yield f"{kind}: both are bundles, with answers", judge.view(without, first + number, second + number)


def beside_texts(
    matrix: SimilarityMatrix, corpora: Mapping[str, Corpus], bundles: Mapping[str, Bundle], *, answers: bool
) -> SimilarityMatrix:
    """Return the similarities of all labels, and after them those of the bundle of each corpus.

    Heads of bundles have read the texts, and nobody those of bundles but where there are answers, which then tell the
    forms in common, too.
    """
    number = len(matrix.labels)
    labels = (*matrix.labels, *(LabelRef(label.source + _BUNDLE, label.label) for label in matrix.labels))
    place = {label: index for index, label in enumerate(labels)}
    squares = {
        name: np.zeros((2 * number,) * 2, dtype=np.int64) for name in ("matched", "predicted", "occurring")
    }
    overlap = np.full((2 * number,) * 2, np.nan)
    parts = [slice(number)] + [slice(number, None)] * answers
    for part in parts:
        overlap[part, part], squares["occurring"][part, part] = matrix.overlap, matrix.occurring
    for name in ("matched", "predicted"):
        squares[name][:number, :number] = getattr(matrix, name)
    read, recall = np.tile(matrix.read, 2), np.append(matrix.recall, np.full(number, np.nan))
    for name, (head, centroids) in bundles.items():
        for label, share in head.recall.items():
            recall[place[LabelRef(name + _BUNDLE, label)]] = share
        if not answers:
            for label, count in centroids.count.items():
                read[place[LabelRef(name + _BUNDLE, label)]] = count
        for other in corpora.keys() - {name}:
            for (label, gold), count in head.count_on(corpora[other].spans).items():
                row = place[LabelRef(name + _BUNDLE, label)]
                for target in (other, other + _BUNDLE)[: len(parts)]:
                    columns = [place[ref] for ref in labels if ref.source == target]
                    squares["predicted"][row, columns] += count
                    if gold != NO_MENTION:
                        squares["matched"][row, place[LabelRef(target, gold)]] += count
    sums = {name: corpus.spans.centroids for name, corpus in corpora.items()}
    sums |= {name + _BUNDLE: centroids for name, (_, centroids) in bundles.items()}
    support = np.tile(matrix.support, 2)
    result = SimilarityMatrix(
        labels,
        support,
        semantic=semantic_similarity(sums, labels),
        overlap=overlap,
        read=read,
        recall=recall,
        reliability=reliabilities(sums, labels),
        **squares,
    )
    return replace(result, semantic=np.where(result.same_source, np.nan, result.semantic))


def with_noise(
    judge: Judge, fitted: Mapping[str, Any], views: list[View], seen: np.ndarray
) -> dict[str, Any]:
    """Return coefficients with those that count beside noise, fitted to views of some pairs beside all others."""
    wanted = ["noise", *(name for name in views[0].equality if name.endswith(BESIDE_NOISE))]
    own = {**fitted["equal"], **dict.fromkeys(wanted, 0.0)}
    values, before, weights = [], [], []
    noisy = [view for view in views if view.equality["noise"].any()]
    for view in noisy:
        for sides, weight in judge.rows.fitted_on:
            features = {name: part[seen] for name, part in judge.renamed(view, sides).equality.items()}
            values.append(np.stack([features[name] for name in wanted], axis=1))
            before.append(probability._linear(features, own))
            weights.append(np.full(len(before[-1]), weight / len(noisy)))
    equal = np.tile(judge.truth[seen] == 0, len(values))
    slopes = beside(np.concatenate(values), np.concatenate(before), equal, np.concatenate(weights))
    return {**fitted, "equal": own | dict(zip(wanted, slopes.tolist(), strict=True))}


def beside(values: np.ndarray, before: np.ndarray, equal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the slopes of a logistic regression beside log-odds that are given, by Newton's method, in short steps."""
    scale = values.std(axis=0)
    scale[scale < 1e-6] = 1.0
    values, slopes = values / scale, np.zeros(values.shape[1])
    for _ in range(60):
        chances = 1 / (1 + np.exp(-np.clip(before + values @ slopes, -50, 50)))
        gradient = values.T @ (weights * (chances - equal)) + slopes / STRENGTH
        curvature = (values * (weights * chances * (1 - chances))[:, None]).T @ values
        step = np.linalg.solve(curvature + np.eye(len(slopes)) / STRENGTH, gradient)
        slopes -= step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    return slopes / scale


def figures(
    judge: Judge, view: View, kind_of_names: str, fits: list[tuple[np.ndarray, dict[str, Any]]]
) -> str:
    """Return the cells of a row of the tables."""
    view, truth = judge.renamed(view, judge.rows.judged[kind_of_names]), judge.truth[: judge.judged]
    predicted = np.zeros((judge.judged, len(RELATIONS)))
    for held, fitted in fits:
        parts = [{name: values[held] for name, values in side.items()} for side in view]
        forward, backward = (probability.combined(parts[0], side, fitted) for side in parts[1:])
        predicted[held] = (forward + backward[:, probability.INVERSE]) / 2
    base, decided = base_rates(judge.truth), np.zeros_like(truth)
    for one in np.unique(judge.group):
        these = judge.group == one
        predicted[these] = probability.shifted(predicted[these], base)
        threshold = probability.equality_threshold(predicted[these, 0])
        decided[these] = np.where(predicted[these, 0] > threshold, 0, 1 + predicted[these, 1:].argmax(axis=1))
    equal, p = truth == 0, predicted[:, 0]
    error, slope = calibration(p, equal)
    relations = macro_f1(names(decided), names(truth), RELATIONS)[0]
    return (
        f"{equal.sum()} | {p.sum():.1f} | {f1_only(decided == 0, equal):.3f} | {average_precision(p, equal):.3f} | "
        f"{error:.3f} | {slope:.2f} | {relations:.2f}"
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
