"""What does one see who aligns two or three corpora alone, some of them small?

Every pair of corpora that the gold judges, and triples drawn at random, are aligned by themselves: evidence, base
rates, threshold and groups are theirs alone, by coefficients fitted without any of these corpora, or without their
whole group. Pairs of corpora that the gold does not list follow: of what their labels of different coarse classes
become, nothing is right. With ``--small`` corpora of so few sentences are measured and aligned in pairs. Prints
Markdown; evidence is taken from the cache of ``fit_relations.py``.

    python benchmarks/few_corpora.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER
    … --small 50 100 200 --corpora cluener weibo …
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from command_line import benchmark_parser
from fit_relations import COARSE, JUDGED, Rows, group_of, measured, names, unrelated
from quality.corpora import as_source, read_corpora, sampled
from quality.figures import average_precision, calibration, f1_by_corpus, f1_of, macro_f1
from quality.gold import RELATIONS, GoldPair
from quality.renaming import RANDOM, UNLISTED, WRITTEN, renamed, without_lexicon

from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.questions import find_questions
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.probability import relation_probabilities
from esnera_hf.sources.shared_sentences import RELATIONS as ORDER

#: Triples drawn, each with at least two pairs of corpora that the gold lists.
TRIPLES = 30
#: Corpora are dealt to so many hands; what pairs of two hands become is judged by coefficients fitted without both.
HANDS = 5

Corpora = frozenset[str]


class Judged(NamedTuple):
    """What becomes of a pair of labels in one alignment, and whether it is asked about."""

    alignment: Corpora
    pair: GoldPair
    probabilities: np.ndarray
    decided: int
    asked: bool


class LeftOut:
    """What is measured of all corpora, what the gold says of them, and coefficients fitted without some of them.

    Attributes:
        matrix: the evidence between all corpora.
        of_corpora: the judged pairs of labels of each two corpora that the gold lists.
        unlisted: pairs of labels of different coarse classes, of corpora that the gold does not list.
    """

    def __init__(self, options: Any) -> None:
        os.environ[CACHE_VARIABLE] = str(options.cache)
        self.matrix, pairs, language = measured(options)
        self._pairs = [pair for pair in pairs if pair.sure]
        self._group = group_of(language, self._pairs)
        self.unlisted = unrelated(self.matrix, self._pairs)
        self._rows = Rows(self.matrix, [*self._pairs, *self.unlisted])
        self._truth = np.array([ORDER.index(pair.relation) for pair in (*self._pairs, *self.unlisted)])
        self._rows.choose_strengths(self._truth, len(self._pairs))
        self.of_corpora: dict[Corpora, list[GoldPair]] = {}
        for pair in self._pairs:
            self.of_corpora.setdefault(corpora_of(pair), []).append(pair)
        self._fitted: dict[Corpora | str, Mapping[str, Any]] = {}

    def without(self, left_out: Corpora) -> Mapping[str, Any]:
        """Return the coefficients fitted without some corpora."""
        if left_out not in self._fitted:
            seen = np.array([one.isdisjoint(left_out) for one in self._rows.corpora])
            self._fitted[left_out] = self._rows.fit(self._truth, seen)
        return self._fitted[left_out]

    def without_group(self, corpora: Corpora) -> Mapping[str, Any]:
        """Return the coefficients fitted without the group of two corpora."""
        group = self._group(self.of_corpora[corpora][0])
        if group not in self._fitted:
            _, seen = self._rows.without(np.array([self._group(pair) == group for pair in self._pairs]))
            self._fitted[group] = self._rows.fit(self._truth, seen)
        return self._fitted[group]

    def within(self, corpora: Corpora) -> list[GoldPair]:
        """Return the judged pairs of labels of some corpora."""
        return [pair for two, listed in self.of_corpora.items() if two <= corpora for pair in listed]


def main() -> None:
    """Print the tables."""
    options = parsed()
    gold = LeftOut(options)
    if options.small:
        small_tables(options, gold)
        return
    print(HEAD)
    for left_out, fitted in (("both corpora", gold.without), ("the whole group", gold.without_group)):
        for kind in (WRITTEN, UNLISTED, RANDOM):
            alone = (
                aligned(gold.matrix, two, listed, fitted(two), kind)
                for two, listed in gold.of_corpora.items()
            )
            mistakes = options.show and kind == WRITTEN
            show(f"two, without {left_out} | {kind}", list(chain.from_iterable(alone)), mistakes)
    triples = drawn(gold.of_corpora, options.seed)
    for kind in (WRITTEN, UNLISTED, RANDOM):
        alone = (
            aligned(gold.matrix, three, gold.within(three), gold.without(three), kind) for three in triples
        )
        show(f"three, without all three | {kind}", list(chain.from_iterable(alone)))
    show_unlisted(gold, options.seed)
    print(f"\nCommand: python {' '.join(sys.argv)}")


HEAD = (
    "| aligned alone | names | alignments | equal | expected | P | R | F1 | 95 % | average precision "
    "| calibration error | slope | relations macro-F1 | equal wrongly decided, of these asked |\n"
    f"| --- | --- |{' ---: |' * 6} --- |{' ---: |' * 5}"
)


def show(name: str, judged: Sequence[Judged], mistakes: bool = False) -> None:
    """Print the figures of pairs of labels, those of all alignments together, and the mistakes."""
    truth = np.array([ORDER.index(one.pair.relation) for one in judged])
    decided = np.array([one.decided for one in judged])
    p = np.array([one.probabilities[0] for one in judged])
    equal, merged = truth == 0, decided == 0
    figures = f1_of(merged, equal)
    low, high = f1_by_corpus(merged, equal, [corpora_of(one.pair) for one in judged])
    error, slope = calibration(p, equal)
    wrong = merged != equal
    asked = wrong & np.array([one.asked for one in judged])
    alignments = len({one.alignment for one in judged})
    print(
        f"| {name} | {alignments} | {equal.sum()} | {p.sum():.1f} | {figures.precision:.3f} | "
        f"{figures.recall:.3f} | {figures.f1:.3f} | {low:.2f} – {high:.2f} | {average_precision(p, equal):.3f} | "
        f"{error:.3f} | {slope:.2f} | {macro_f1(names(decided), names(truth), RELATIONS)[0]:.2f} | "
        f"{wrong.sum()}, {asked.sum()} |",
        flush=True,
    )
    for k in np.flatnonzero(wrong) if mistakes else ():
        pair, decision = judged[k].pair, ORDER[decided[k]]
        print(
            f"  {pair.first} {pair.second}: gold {pair.relation}, decided {decision}, P(equal) {p[k]:.2f}, "
            f"{pair.support} mentions{', asked' * bool(asked[k])}"
        )


def corpora_of(pair: GoldPair) -> Corpora:
    """Return the two corpora of a pair of labels."""
    return frozenset((pair.first.source, pair.second.source))


def aligned(
    matrix: SimilarityMatrix,
    corpora: Corpora,
    pairs: Sequence[GoldPair],
    fitted: Mapping[str, Any],
    kind: str = WRITTEN,
) -> Iterator[Judged]:
    """Align some corpora as if there were no others, and yield what becomes of judged pairs of their labels."""
    place = {label: index for index, label in enumerate(matrix.restricted(corpora).labels)}
    renaming = dict(zip(matrix.labels, renamed(matrix.labels, kind, JUDGED), strict=True))
    alone = replace(matrix.restricted(corpora), labels=tuple(renaming[label] for label in place))
    with without_lexicon() if kind == UNLISTED else nullcontext():
        alone.__dict__["probabilities"] = relation_probabilities(alone, fitted)
        mapping = merge_equivalent(alone)
    questions = {
        frozenset((one.one, one.other)) for one in find_questions(alone, mapping, most=len(place) ** 2)
    }
    for pair in pairs:
        if pair.first in place and pair.second in place:
            one, other = renaming[pair.first], renaming[pair.second]
            merged = mapping.are_one(one, other)
            relation = "equal" if merged else alone.relation(one, other, unequal=True)
            yield Judged(
                corpora,
                pair,
                alone.probabilities[place[pair.first], place[pair.second]],
                ORDER.index(relation),
                frozenset((one, other)) in questions,
            )


def drawn(of_corpora: Collection[Corpora], seed: int) -> list[Corpora]:
    """Return triples of corpora drawn at random, of those with two pairs or more that the gold lists."""
    every = sorted(frozenset().union(*of_corpora))
    triples = [
        frozenset(three)
        for three in combinations(every, 3)
        if sum(frozenset(two) in of_corpora for two in combinations(three, 2)) >= 2
    ]
    return random.Random(seed).sample(triples, min(TRIPLES, len(triples)))


def show_unlisted(gold: LeftOut, seed: int) -> None:
    """Print what labels of different coarse classes become in pairs of corpora that the gold does not list."""
    every = list(gold.matrix.sources)
    random.Random(seed).shuffle(every)
    hands = [frozenset(every[start::HANDS]) for start in range(HANDS)]
    of_corpora: dict[Corpora, list[GoldPair]] = {}
    for pair in gold.unlisted:
        of_corpora.setdefault(corpora_of(pair), []).append(pair)
    judged = []
    for corpora, listed in of_corpora.items():
        left_out: Corpora = frozenset().union(*(hand for hand in hands if hand & corpora))
        judged += aligned(gold.matrix, corpora, listed, gold.without(left_out))
    merged = sum(one.decided == 0 for one in judged)
    expected = sum(float(one.probabilities[0]) for one in judged)
    print(
        f"\n{len(of_corpora)} pairs of corpora that the gold does not list, {len(judged)} pairs of labels of different "
        f"coarse classes ({len(list(COARSE.glob('*.json')))} schemas): {merged} merged, {expected:.1f} expected equal, "
        f"{sum(one.decided in (1, 2) for one in judged)} called a part"
    )
    for one in judged:
        if one.decided == 0:
            print(f"  merged: {one.pair.first} {one.pair.second}, P(equal) {one.probabilities[0]:.2f}")


def small_tables(options: Any, gold: LeftOut) -> None:
    """Print the figures of corpora of few sentences, aligned in pairs, below those of all their sentences."""
    corpora = read_corpora(options.data, options.corpora)
    print(HEAD.replace("aligned alone", "sentences", 1))
    for size in ("all", *options.small):
        matrix = gold.matrix
        if size != "all":
            with quiet_libraries():
                sources = [
                    as_source(name, sampled(rows, int(size), options.seed)) for name, rows in corpora.items()
                ]
                settings = EvidenceSettings(kind="frozen")
                matrix = measure_similarity(sources, settings, options.encoder, {}, seed=options.seed)
        for kind in (WRITTEN, UNLISTED, RANDOM):
            alone = (
                aligned(matrix, two, listed, gold.without_group(two), kind)
                for two, listed in gold.of_corpora.items()
                if two <= set(corpora)
            )
            show(f"{size} | {kind}", list(chain.from_iterable(alone)))
    print(f"\nCommand: python {' '.join(sys.argv)}")


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--show", action="store_true", help="print the pairs decided wrongly")
    parser.add_argument("--small", type=int, nargs="+", default=[], help="sentences of small corpora")
    parser.add_argument(
        "--corpora", nargs="+", default=[], help="small ones; all that there are if not given"
    )
    return parser.parse_args()


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what :class:`LeftOut` needs."""
    parser = benchmark_parser(description, "--gold", "--encoder", "--seed")
    parser.add_argument("--data", type=Path, required=True, help="as for fit_relations.py")
    parser.add_argument("--cache", type=Path, required=True, help="what fit_relations.py measured")
    return parser


if __name__ == "__main__":
    main()
