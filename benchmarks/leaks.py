"""Measure what the evidence of a corpus gives away: can one tell whether a mention was among those it was made of?

Each corpus is cut in two at random, and of both parts the sentences are encoded that an alignment would read, which are
those with rare labels first. A random half of all of them makes a head and the mean vectors of its labels; the other
half are sentences that might as well have been read, chosen by the same rule, so that neither a label nor that it is
rare says which half a mention is of. This several times, with other halves.

Five attacks see what a bundle holds, know a mention in its sentence with its label, and say how probably it was read:

- loss: how sure the head is of the mention's label, over the median of its label;
- references: the same, against heads that the attacker made of other halves with and without it (LiRA, Carlini et
  al. 2022);
- mean: how far the label's mean vector points to the mention, from the mean of other halves;
- whitened: the same along directions scaled by the covariance of mean vectors, which follows from that of the corpus,
  which the attacker knows, and from the noise that a bundle states: the best linear test;
- sentence: the last one summed over all mentions of the sentence, as they were read together.

The area under the ROC curve is 0.5 by chance; intervals are by bootstrap over sentences.

    python benchmarks/leaks.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER [--cost]
"""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from datasets import DatasetDict
from few_corpora import parser_of
from fit_relations import group_of, measured, names
from quality.corpora import as_source, read_corpora, sampled
from quality.figures import average_precision, f1_only, macro_f1
from quality.gold import RELATIONS, GoldPair

import esnera_hf.similarity.probability as probability
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.hub.protection import EXACT, MIN_SUPPORT, TIMES_READ, protected
from esnera_hf.modeling.mention_vectors import MentionEncoder
from esnera_hf.similarity.evidence import _HeadsAndSpans, _light_evidence
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import kept_directions, semantic_similarity
from esnera_hf.taggers.light_heads import (
    FEWEST,
    LAYERS,
    NO_MENTION,
    LightHead,
    _regression,
    load_light_head,
    make_light_heads,
    sentences_to_read,
    with_other_spans,
)
from esnera_hf.taggers.predictions import LabelCentroids

CORPORA = ("cluener", "bc5cdr", "weibo")
#: Resamples of sentences for an interval.
RESAMPLES, SEED = 200, 42
#: Sentences that are taken out of each corpus, one at a time, to see which others are read then.
TAKEN_OUT = 50
#: What may be revealed, and the least mentions of a label, by what they are called in the tables.
SETTINGS = {
    "exact": (EXACT, FEWEST),
    "reveal 0.6": (0.6, MIN_SUPPORT),
    "reveal 0.55": (0.55, MIN_SUPPORT),
    "reveal 0.54": (0.54, MIN_SUPPORT),
}
COUNTS = ("matched", "predicted", "read", "recall")
Made = tuple[LightHead, LabelCentroids]


class Spans(NamedTuple):
    """The spans of a corpus: their labels, vectors of shape (spans, dimensions), and the sentence of each."""

    gold: np.ndarray
    vectors: np.ndarray
    sentence: np.ndarray

    def of(self, chosen: np.ndarray) -> LightHead:
        """Return some of them as a head without weights."""
        none = np.zeros((0, self.vectors.shape[1]), dtype=np.float32)
        parts = tuple(self.gold[chosen]), self.vectors[chosen], {}, self.sentence[chosen]
        return LightHead((), none, np.zeros(0, np.float32), *parts)


def main() -> None:
    """Attack, and with ``--cost`` align, and print."""
    options = parsed()
    os.environ[CACHE_VARIABLE] = str(options.cache)
    with quiet_libraries():
        print(
            "| corpus | evidence | loss | references | mean | whitened | sentence | right on unread spans |"
        )
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
        for name in options.corpora:
            spans = {times: encoded(name, options, times) for times in (1, TIMES_READ)}
            for kind, setting in SETTINGS.items():
                read = spans[1 if setting[0] == EXACT else TIMES_READ]
                print(
                    f"| {name} | {kind} | {' | '.join(attacked(read, *setting, options.halves))} |",
                    flush=True,
                )
        print_choice(options)
        if options.cost:
            print_cost(options)
    print(f"\nCommand: python {' '.join(sys.argv)}")


def made(spans: LightHead, reveal: float, min_support: int) -> Made:
    """Return the evidence that a bundle holds of spans."""
    if reveal < EXACT:
        return protected(spans, reveal, min_support)[:2]
    gold = np.array(spans.gold, dtype=np.str_)
    labels, weights, bias = _regression(spans.vectors, gold)
    return replace(spans, labels=labels, weights=weights, bias=bias).without_spans(), spans.centroids


def encoded(name: str, options: Any, times: int) -> Spans:
    """Return the spans of what is read of two parts of a corpus, in vectors as an alignment makes them."""
    corpus = read_corpora(options.data, [name])[name]
    rows = sampled(corpus, len(corpus), SEED)
    pool = [
        sentence
        for part in (rows[::2], rows[1::2])
        for sentence in sentences_to_read(as_source(name, part), SEED, times)
    ]
    numbered = []
    for number, sentence in enumerate(pool):
        sentence = with_other_spans(sentence, SEED)
        spans = [replace(entity, label=f"{number}\t{entity.label}") for entity in sentence.entities]
        numbered.append(replace(sentence, entities=spans))
    batches = list(MentionEncoder(options.encoder, LAYERS).mention_vectors(numbered))
    places = [label.partition("\t") for labels, _ in batches for label in labels]
    gold = np.array([label for _, _, label in places])
    vectors = np.concatenate([part for _, part in batches])
    vectors = vectors - vectors[gold == NO_MENTION].mean(axis=0)
    vectors /= vectors.std(axis=0).mean()
    return Spans(gold, vectors.astype(np.float32), np.array([int(number) for number, _, _ in places]))


def attacked(spans: Spans, reveal: float, min_support: int, halves: int) -> list[str]:
    """Return the cells of a row: what each attack attains, and how right the head is."""
    generator = np.random.default_rng(SEED)
    read = []
    for _ in range(halves):
        half = generator.permutation(spans.sentence.max() + 1) % 2 == 0
        read += [half[spans.sentence], ~half[spans.sentence]]
    evidence = [made(spans.of(chosen), reveal, min_support) for chosen in read]
    margins = np.array([margin(head, spans) for head, _ in evidence])
    axes = principal_axes(spans, reveal)
    towards = np.array([mean_scores(centroids, spans, axes) for _, centroids in evidence])
    scores: dict[str, list[np.ndarray]] = {
        name: [] for name in ("loss", "references", "mean", "whitened", "sentence")
    }
    right = []
    for target, chosen in enumerate(read):
        others = [k for k in range(len(read)) if k // 2 != target // 2]
        scores["loss"].append(over_median(margins[target], spans.gold))
        scores["references"].append(likelihood_ratio(margins, np.array(read), target, others))
        for column, attack in enumerate(("mean", "whitened")):
            reference = towards[others, column].mean(axis=0)
            scores[attack].append(towards[target, column] - reference)
        of_sentence = np.bincount(spans.sentence, weights=np.nan_to_num(scores["whitened"][-1]))
        scores["sentence"].append(of_sentence[spans.sentence])
        head = evidence[target][0]
        right.append(np.mean(np.array(head.predict(spans.vectors[~chosen])) == spans.gold[~chosen]))
    mentions = spans.gold != NO_MENTION
    sentence = np.tile(spans.sentence[mentions], len(read))
    member = np.concatenate([chosen[mentions] for chosen in read])
    cells = []
    for parts in scores.values():
        score = np.concatenate([part[mentions] for part in parts])
        known = np.isfinite(score)
        low, value, high = area(score[known], member[known], sentence[known])
        cells.append(f"{value:.3f} [{low:.3f}, {high:.3f}]")
    return [*cells, f"{np.mean(right):.2f}"]


def margin(head: LightHead, spans: Spans) -> np.ndarray:
    """Return by how much the score of each span's label is over that of the best other one; NaN where it has none."""
    place = {label: index for index, label in enumerate(head.labels)}
    column = np.array([place.get(label, -1) for label in spans.gold.tolist()])
    known = np.flatnonzero(column >= 0)
    result = np.full(len(column), np.nan)
    if len(known):
        scores = spans.vectors[known] @ head.weights.T + head.bias
        rows = np.arange(len(known)), column[known]
        own = scores[rows].copy()
        scores[rows] = -np.inf
        result[known] = own - scores.max(axis=1)
    return result


class PrincipalAxes(NamedTuple):
    """The axes of mentions around the mean of their label: each a column, its variance, and the mentions along them."""

    axes: np.ndarray
    variance: np.ndarray
    along: np.ndarray


def principal_axes(spans: Spans, reveal: float) -> PrincipalAxes:
    """Return the axes within the directions that a bundle keeps."""
    dimensions = spans.vectors.shape[1]
    basis = np.eye(dimensions) if reveal == EXACT else kept_directions(dimensions)
    centered = spans.vectors.astype(np.float64) @ basis
    for label in set(spans.gold.tolist()):
        centered[spans.gold == label] -= centered[spans.gold == label].mean(axis=0)
    mentions = centered[spans.gold != NO_MENTION]
    variance, axes = np.linalg.eigh(mentions.T @ mentions / len(mentions))
    return PrincipalAxes(basis @ axes, variance + 0.02 * variance.mean(), centered @ axes)


def mean_scores(centroids: LabelCentroids, spans: Spans, axes: PrincipalAxes) -> np.ndarray:
    """Return how far each mention's label's mean points to it, plain and whitened, shape (2, spans).

    So scaled that a mention that was read adds 1, on average of its label.
    """
    scores = np.full((2, len(spans.gold)), np.nan)
    for label, total in centroids.total.items():
        own, count = spans.gold == label, centroids.count[label]
        along, noise = axes.along[own], centroids.noise.get(label, 0.0)
        for row, variance in enumerate((1.0, axes.variance + count * noise**2)):
            towards = along / variance
            scores[row, own] = towards @ (total @ axes.axes) / (towards * along).sum(axis=1).mean()
    return scores


def over_median(scores: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Return scores over the median of their label's."""
    result = scores.copy()
    for label in set(gold.tolist()):
        of_label = gold == label
        if np.isfinite(scores[of_label]).any():
            result[of_label] -= np.nanmedian(scores[of_label])
    return result


def likelihood_ratio(margins: np.ndarray, read: np.ndarray, target: int, others: list[int]) -> np.ndarray:
    """Return the log likelihood ratio of a margin under normal margins of references with and without the span."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        inside, outside = (
            np.where(chosen, margins[others], np.nan) for chosen in (read[others], ~read[others])
        )
        means = [np.nanmean(part, axis=0) for part in (inside, outside)]
        variance = (np.nanvar(inside, axis=0) + np.nanvar(outside, axis=0)) / 2 + 1e-4
    distances = [(margins[target] - mean) ** 2 for mean in means]
    return np.asarray((distances[1] - distances[0]) / (2 * variance))


def area(score: np.ndarray, member: np.ndarray, sentence: np.ndarray) -> tuple[float, float, float]:
    """Return the area under the ROC curve with its interval of 95 %, by bootstrap over sentences."""
    generator = np.random.default_rng(SEED)
    order = np.argsort(score, kind="stable")
    member, sentence = member[order], sentence[order]

    def of_weights(weight: np.ndarray) -> float:
        inside, outside = weight * member, weight * ~member
        below = np.cumsum(outside) - outside / 2
        return float((inside * below).sum() / (inside.sum() * outside.sum()))

    number = sentence.max() + 1
    resampled = [
        of_weights(np.bincount(generator.integers(number, size=number), minlength=number)[sentence])
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), of_weights(np.ones(len(score))), float(high)


def print_choice(options: Any) -> None:
    """Print how many other sentences are read, or no longer are, if one that is read is taken out of a corpus."""
    print("\n| corpus | read | sentences | changed by one less: mean | most |")
    print("| --- | --- | ---: | ---: | ---: |", flush=True)
    for name in options.corpora:
        corpus = read_corpora(options.data, [name])[name]
        source = as_source(name, sampled(corpus, len(corpus), SEED))
        place = {row: index for index, row in enumerate(source.dataset["train"]["id"])}
        for times in (1, TIMES_READ):
            read = {sentence.id for sentence in sentences_to_read(source, SEED, times)}
            changed = []
            for left_out in np.random.default_rng(SEED).choice(sorted(read), TAKEN_OUT, replace=False):
                rows = np.delete(np.arange(len(place)), place[left_out])
                splits = {**source.dataset, "train": source.dataset["train"].select(rows)}
                less = sentences_to_read(replace(source, dataset=DatasetDict(splits)), SEED, times)
                changed.append(len({sentence.id for sentence in less} ^ read) - 1)
            numbers = f"{len(read)} | {np.mean(changed):.1f} | {max(changed)}"
            print(
                f"| {name} | {'as for an alignment' if times == 1 else 'with noise'} | {numbers} |",
                flush=True,
            )


class Given(NamedTuple):
    """Evidence that takes the place of what a text gives."""

    head: LightHead
    centroids: LabelCentroids
    read: dict[str, int]


def print_cost(options: Any) -> None:
    """Print how right an alignment of all corpora is by the evidence of each in several settings."""
    matrix, pairs, language = measured(options)
    corpora = read_corpora(options.data)
    sources = [as_source(name, sampled(rows, len(rows), options.seed)) for name, rows in corpora.items()]
    artifacts, read_for_noise = (
        make_light_heads(sources, options.encoder, options.seed, times=times) for times in (1, TIMES_READ)
    )
    pairs = [pair for pair in pairs if pair.sure]
    group = group_of(language, pairs)
    groups = np.array([group(pair) for pair in pairs])
    print("\n| evidence of all corpora | F1 of equal | average precision | relations macro-F1 |")
    print("| --- | ---: | ---: | ---: |", flush=True)
    for setting, (reveal, least) in SETTINGS.items():
        bundles = {}
        for name, artifact in (artifacts if reveal == EXACT else read_for_noise).items():
            spans = load_light_head(artifact)
            exact = spans.without_spans(), spans.centroids
            evidence = exact if reveal == EXACT else protected(spans, reveal, least)[:2]
            bundles[name] = Given(*evidence, spans.read)
        changed = with_evidence(matrix, _HeadsAndSpans(artifacts, bundles))
        cells = " | ".join(f"{figure:.3f}" for figure in figures(changed, pairs, groups))
        print(f"| {setting} | {cells} |", flush=True)


def with_evidence(matrix: SimilarityMatrix, heads: _HeadsAndSpans) -> SimilarityMatrix:
    """Return similarities with what other heads count, and what other vectors say."""
    counts = {name: np.zeros_like(getattr(matrix, name)) for name in ("matched", "predicted", "read")}
    counts["recall"] = np.full(len(matrix.labels), np.nan)
    centroids = _light_evidence(heads, {}, matrix.labels, tuple(counts[name] for name in COUNTS))
    close = semantic_similarity(centroids, matrix.labels)
    return replace(matrix, **counts, semantic=np.where(matrix.same_source, np.nan, close))


def figures(matrix: SimilarityMatrix, pairs: list[GoldPair], group: np.ndarray) -> tuple[float, float, float]:
    """Return F1 of equal, average precision, and macro-F1 of relations, by the coefficients of the package."""
    first, second = (
        [matrix.index[pair.first] for pair in pairs],
        [matrix.index[pair.second] for pair in pairs],
    )
    fitted = probability.coefficients_for(matrix)
    predicted = probability.unshifted_probabilities(matrix, fitted)[first, second]
    base = np.array([fitted["base_rates"][relation] for relation in RELATIONS])
    truth = np.array([RELATIONS.index(pair.relation) for pair in pairs])
    decided = np.zeros_like(truth)
    for one in np.unique(group):
        these = group == one
        predicted[these] = probability.shifted(predicted[these], base)
        threshold = probability.equality_threshold(predicted[these, 0])
        unequal = 1 + predicted[these, 1:].argmax(axis=1)
        decided[these] = np.where(predicted[these, 0] > threshold, 0, unequal)
    relations = macro_f1(names(decided), names(truth), RELATIONS)[0]
    return f1_only(decided == 0, truth == 0), average_precision(predicted[:, 0], truth == 0), relations


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--corpora", nargs="*", default=CORPORA, metavar="NAME")
    parser.add_argument(
        "--halves", type=int, default=3, help="pairs of halves: twice as many targets, others are references"
    )
    parser.add_argument("--cost", action="store_true", help="also compare all corpora by such evidence")
    return parser.parse_args()


if __name__ == "__main__":
    main()
