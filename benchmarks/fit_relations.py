"""Fit the coefficients of the relations between labels on corpora whose relations are known, and show how they travel.

Reads every corpus of ``DIR/jsonl``, measures the frozen evidence between all of them at once, and fits two logistic
regressions on the label pairs that the gold file lists with high confidence: equal or not, and how unequal labels
relate. Prints F1, average precision and calibration with both corpora of a pair left out of the fit, with whole groups
of corpora left out, and on what was fitted; ``--write`` writes ``similarity/relations.json``.

    python benchmarks/fit_relations.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from quality.case import pooled_mentions
from quality.corpora import as_source, languages, read_corpora, sampled
from quality.figures import average_precision, calibration, f1_only, macro_f1
from quality.gold import RELATIONS, GoldPair, closed, read_coarse, read_gold
from sklearn.linear_model import LogisticRegression

import esnera_hf.similarity.probability as probability
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.features import equality_features, relation_features
from esnera_hf.similarity.matrix import SimilarityMatrix

#: Inverse strength of the regularization. Of equality, 0.05 ranks a little better and is less sure than it is right
#: (slope of calibration 1.6 instead of 1.1); from 0.5 on it is too sure.
EQUAL_C, UNEQUAL_C = 0.2, 1.0
#: Weight of copies of all pairs whose names are those of other pairs: in these corpora names hardly ever mislead, in
#: others they may. It costs nothing with corpora left out, and gains 0.03 in relations with whole groups left out.
RENAMED, COPIES = 0.5, 3
#: Coarse classes of labels.
COARSE = Path(__file__).parent / "quality" / "coarse"
_INVERSE = {"subset": "superset", "superset": "subset"}


def main() -> None:
    """Fit, show, and write if asked to."""
    options = parsed()
    os.environ[CACHE_VARIABLE] = str(options.cache)
    matrix, pairs, language = measured(options)
    pairs = [pair for pair in pairs if pair.sure]
    groups = group_of(language, pairs)
    group = np.array([groups(pair) for pair in pairs])
    judged = len(pairs)
    pairs += unrelated(matrix, pairs)
    truth = np.array([RELATIONS.index(pair.relation) for pair in pairs])
    print(
        f"{len(matrix.sources)} corpora, {len(matrix.labels)} labels, {judged} pairs of labels of which "
        f"{int((truth == 0).sum())} are equal, and {len(pairs) - judged} more of different coarse classes"
    )
    fitted = {}
    for evidence, measured_by in (("evidence", matrix), ("surface", without_heads(matrix))):
        print(f"\n## {evidence}\n")
        rows = Rows(measured_by, pairs)
        compare(rows, truth, group, pairs if options.show else [])
        fitted[evidence] = rows.fit(truth, np.ones(len(pairs), dtype=bool))
        steps = {"equal": fitted[evidence]["equal"], **fitted[evidence]["unequal"]}
        for step, weights in steps.items():
            print(f"\n{step}: " + ", ".join(f"{name} {weight:+.2f}" for name, weight in weights.items()))
    if options.write:
        file = Path(probability.__file__).with_name("relations.json")
        file.write_text(json.dumps(fitted, indent=1) + "\n", encoding="utf-8")
        print(f"\nwritten: {file.name}")
    print(f"\nCommand: python {' '.join(sys.argv)}")


def without_heads(matrix: SimilarityMatrix) -> SimilarityMatrix:
    """Return what names and mention forms alone tell."""
    nothing, unknown = np.zeros_like(matrix.matched), np.full(matrix.semantic.shape, np.nan)
    read = np.zeros_like(matrix.read)
    counts = {"matched": nothing, "predicted": nothing, "semantic": unknown, "read": read}
    return replace(matrix, **counts, recall=np.full(matrix.recall.shape, np.nan))


def compare(rows: Rows, truth: np.ndarray, group: np.ndarray, shown: Sequence[GoldPair]) -> None:
    """Print how right the probabilities are with corpora left out, and on what was fitted."""
    judged, everything = len(group), np.ones(len(truth), dtype=bool)
    print(
        "| | group | equal | expected | F1 | average precision | calibration error | slope | relations macro-F1 |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    two_out = [
        (
            np.array([one == pair for one in rows.corpora[:judged]]),
            np.array([one.isdisjoint(pair) for one in rows.corpora]),
        )
        for pair in sorted(set(rows.corpora[:judged]), key=sorted)
    ]
    for name, folds in (
        ("both corpora left out", two_out),
        ("the whole group left out", [rows.without(group == one) for one in np.unique(group)]),
        ("fitted on them", [(everything[:judged], everything)]),
    ):
        predicted = np.zeros((judged, len(RELATIONS)))
        for held, seen in folds:
            predicted[held] = rows.probabilities(rows.fit(truth, seen), np.flatnonzero(held))
        show(name, predicted, truth, group, shown)


def show(
    name: str, predicted: np.ndarray, truth: np.ndarray, group: np.ndarray, pairs: Sequence[GoldPair]
) -> None:
    """Print the figures of probabilities, each group of corpora having base rates of its own, and the mistakes."""
    # At the base rates of all pairs that were fitted on the probabilities are, not at those of the judged ones.
    base, truth = base_rates(truth), truth[: len(group)]
    decided = np.zeros_like(truth)
    for one in np.unique(group):
        these = group == one
        predicted[these] = probability.shifted(predicted[these], base)
        threshold = probability.equality_threshold(predicted[these, 0])
        relation = 1 + predicted[these, 1:].argmax(axis=1)
        decided[these] = np.where(predicted[these, 0] > threshold, 0, relation)
    for one in ("all", *np.unique(group).tolist()):
        these = np.ones(len(truth), dtype=bool) if one == "all" else group == one
        equal, p = truth[these] == 0, predicted[these, 0]
        error, slope = calibration(p, equal)
        print(
            f"| {name} | {one} | {equal.sum()} | {p.sum():.1f} | {f1_only(decided[these] == 0, equal):.3f} | "
            f"{average_precision(p, equal):.3f} | {error:.3f} | {slope:.2f} | "
            f"{macro_f1(names(decided[these]), names(truth[these]), RELATIONS)[0]:.2f} |"
        )
    for k in np.flatnonzero(decided != truth) if pairs else ():
        gold, ours = pairs[k].relation, RELATIONS[decided[k]]
        print(f"  {pairs[k].first} {pairs[k].second}: gold {gold}, decided {ours}, {predicted[k].round(2)}")


def unrelated(matrix: SimilarityMatrix, listed: Sequence[GoldPair]) -> list[GoldPair]:
    """Return pairs of labels of different coarse classes, of pairs of corpora that the gold does not list.

    The gold lists corpora that have something in common. Without these no pair would say
    that the only label of one corpus and the only one of another may be unrelated.
    ``misc`` may hold anything.
    """
    corpora = {frozenset((pair.first.source, pair.second.source)) for pair in listed}
    pairs = []
    for file in sorted(COARSE.glob("*.json")):
        classes = {label: kind for label, kind in read_coarse(file).items() if kind != "misc"}
        for one, other in combinations(sorted(classes), 2):
            unlisted = one.source != other.source and frozenset((one.source, other.source)) not in corpora
            if unlisted and classes[one] != classes[other] and {one, other} <= set(matrix.labels):
                support = int(min(matrix.support[[matrix.index[one], matrix.index[other]]]))
                pairs.append(GoldPair(one, other, "none", True, "by class", support))
    return pairs


def base_rates(truth: np.ndarray) -> np.ndarray:
    """Return the share of each relation, shape (5,), a part being as frequent as a whole, and none 0."""
    shares = np.bincount(truth, minlength=len(RELATIONS)) / len(truth)
    return np.asarray(np.maximum((shares + shares[probability.INVERSE]) / 2, 1e-4))


def names(classes: np.ndarray) -> list[str]:
    """Return the relations of their numbers."""
    return [RELATIONS[number] for number in classes.tolist()]


class Rows:
    """The features of judged pairs of labels, in both orders."""

    def __init__(self, matrix: SimilarityMatrix, pairs: list[GoldPair]) -> None:
        first = [matrix.index[pair.first] for pair in pairs]
        second = [matrix.index[pair.second] for pair in pairs]
        self.corpora = [frozenset((pair.first.source, pair.second.source)) for pair in pairs]
        equality, relation = equality_features(matrix), relation_features(matrix)
        self.equality = {name: values[first, second] for name, values in equality.items()}
        self.forward = {name: values[first, second] for name, values in relation.items()}
        self.backward = {name: values[second, first] for name, values in relation.items()}

    def without(self, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of the judged pairs are held out, and on which of all pairs is fitted then."""
        corpora = frozenset().union(*(self.corpora[k] for k in np.flatnonzero(held)))
        more = [one.isdisjoint(corpora) for one in self.corpora[len(held) :]]
        return held, np.concatenate([~held, np.array(more, dtype=bool)])

    def fit(self, truth: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
        """Return the coefficients fitted on some of the pairs."""
        equal = truth == 0
        unequal = seen & ~equal
        names = np.array(RELATIONS)[truth[unequal]]
        inverse = [_INVERSE.get(name, name) for name in names.tolist()]
        base = base_rates(truth[seen])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            renamed = self._renamed(seen)
            values = np.concatenate([_stacked(self.equality, seen), renamed])
            weights = np.repeat([1.0, RENAMED / COPIES], [seen.sum(), len(renamed)])
            classes = np.tile(equal[seen], 1 + COPIES)
            [(_, equality)] = _regression(values, classes, EQUAL_C, list(self.equality), weights)
            both = np.concatenate([_stacked(self.forward, unequal), _stacked(self.backward, unequal)])
            relations = dict(_regression(both, np.array([*names, *inverse]), UNEQUAL_C, list(self.forward)))
        return {
            "equal": equality,
            "unequal": {relation: relations[relation] for relation in RELATIONS[1:]},
            "base_rates": dict(zip(RELATIONS, base.round(5).tolist(), strict=True)),
        }

    def _renamed(self, seen: np.ndarray) -> np.ndarray:
        """Return the features of pairs with the names of other pairs of their corpora, a copy after the other."""
        generator = np.random.default_rng(0)
        copies = []
        for _ in range(COPIES):
            order = np.arange(len(self.corpora))
            for corpora in sorted(set(self.corpora), key=sorted):
                places = np.array([k for k, one in enumerate(self.corpora) if one == corpora])
                order[places] = generator.permutation(places)
            changed = {
                name: values[order] if name.startswith("names") else values
                for name, values in self.equality.items()
            }
            copies.append(_stacked(changed, seen))
        return np.concatenate(copies)

    def probabilities(self, fitted: Mapping[str, Any], held: np.ndarray) -> np.ndarray:
        """Return the probabilities of some of the pairs, shape (pairs, 5)."""
        of = lambda features: {name: values[held] for name, values in features.items()}  # noqa: E731
        forward, backward = (
            probability.combined(of(self.equality), of(side), fitted)
            for side in (self.forward, self.backward)
        )
        return np.asarray((forward + backward[:, probability.INVERSE]) / 2)


def _stacked(features: Mapping[str, np.ndarray], chosen: np.ndarray) -> np.ndarray:
    return np.stack([values[chosen] for values in features.values()], axis=1)


def _regression(
    values: np.ndarray,
    classes: np.ndarray,
    strength: float,
    names: list[str],
    weights: np.ndarray | None = None,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each class (of two: the second) with its weights, as they apply to the features themselves."""
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale[scale < 1e-6] = 1.0  # without heads some features are the same of all pairs
    model = LogisticRegression(C=strength, max_iter=3000).fit((values - mean) / scale, classes, weights)
    kinds = model.classes_.tolist() if len(model.classes_) > 2 else [model.classes_[1]]
    for kind, row, bias in zip(kinds, model.coef_ / scale, model.intercept_, strict=True):
        by_name = dict(zip(names, row.round(4).tolist(), strict=True))
        yield str(kind), {"bias": round(float(bias - row @ mean), 4), **by_name}


def measured(options: Any) -> tuple[SimilarityMatrix, list[GoldPair], dict[str, str]]:
    """Return the evidence between all corpora, the pairs that the gold lists, closed, and the languages."""
    corpora = read_corpora(options.data)
    with quiet_libraries():
        sources = [as_source(name, sampled(rows, len(rows), options.seed)) for name, rows in corpora.items()]
        by_name = {source.name: source for source in sources}
        labels = [ref for source in sources for ref in source.label_refs]
        support = {ref: pooled_mentions(by_name[ref.source], ref.label) for ref in labels}
        pairs = closed(read_gold(options.gold, labels, support))
        file = options.cache / f"matrix-{options.seed}.json"
        if not file.exists():
            settings = EvidenceSettings(kind="frozen")
            matrix = measure_similarity(sources, settings, options.encoder, {}, seed=options.seed)
            file.write_text(json.dumps(matrix.to_dict()), encoding="utf-8")
    matrix = SimilarityMatrix.from_dict(json.loads(file.read_text(encoding="utf-8")))
    return matrix, pairs, languages(options.data, corpora)


def group_of(language: Mapping[str, str], pairs: Sequence[GoldPair]) -> Callable[[GoldPair], str]:
    """Return what names the group of a pair: corpora of one language that the gold connects, or across languages."""
    home = {name: name for pair in pairs for name in (pair.first.source, pair.second.source)}

    def root(name: str) -> str:
        while home[name] != name:
            name = home[name]
        return name

    for pair in pairs:
        if language[pair.first.source] == language[pair.second.source]:
            first, second = sorted((root(pair.first.source), root(pair.second.source)))
            home[second] = first

    def group(pair: GoldPair) -> str:
        one, other = language[pair.first.source], language[pair.second.source]
        return f"{one}, with {root(pair.first.source)}" if one == other else "across languages"

    return group


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="holds jsonl/NAME.SPLIT.jsonl.gz and index.json"
    )
    parser.add_argument("--gold", type=Path, required=True, help="relations between labels")
    parser.add_argument("--encoder", required=True, help="folder or Hub id")
    parser.add_argument(
        "--cache",
        type=Path,
        required=True,
        help="what is measured stays here: give a fresh one for other corpora",
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--show", action="store_true", help="print the pairs decided wrongly")
    parser.add_argument(
        "--write", action="store_true", help="write the coefficients of all pairs to the package"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
