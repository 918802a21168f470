"""Fit the coefficients of the relations between labels on corpora whose relations are known, and show how they travel.

Reads every corpus of ``DIR/jsonl``, measures the frozen evidence between all of them at once, and fits two logistic
regressions on the label pairs that the gold file lists with high confidence: equal or not, and how unequal labels
relate. Prints F1, average precision and calibration with both corpora of a pair left out of the fit, with whole groups
of corpora left out, and on what was fitted; ``--write`` writes ``similarity/relations.json``. What counts beside the
noise of bundles is 0 then, until ``bundles.py --write`` has fitted it beside the rest.

    python benchmarks/fit_relations.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from quality.case import pooled_mentions
from quality.corpora import as_source, languages, read_corpora, sampled
from quality.figures import average_precision, calibration, f1_by_corpus, f1_only, macro_f1
from quality.gold import RELATIONS, GoldPair, closed, read_coarse, read_gold
from quality.renaming import RANDOM, SWAPPED, UNLISTED, WRITTEN, renamed, without_lexicon
from sklearn.linear_model import LogisticRegression

import esnera_hf.similarity.probability as probability
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.features import equality_features, name_features, relation_features
from esnera_hf.similarity.matrix import SimilarityMatrix

#: Inverse strengths of the regularization of the two steps, to choose from.
STRENGTHS = {"equal": (0.02, 0.05, 0.1, 0.2, 0.5), "unequal": (0.1, 0.3, 1.0, 3.0)}
#: Parts that the corpora are cut into to choose them: each is left out once.
_PARTS = 5
#: How much every pair counts by what is done to its names. In these corpora names hardly ever mislead, and nearly all
#: of them are listed; in others they may mean something else or be unheard of, and then heads and forms must decide.
NAMES = {WRITTEN: 1.0, UNLISTED: 1.0, RANDOM: 0.4, SWAPPED: 0.15}
#: Draws of random and of swapped names, and the draw that is judged: another one than were fitted on.
COPIES, JUDGED = {WRITTEN: 1, UNLISTED: 1, RANDOM: 2, SWAPPED: 2}, 100
#: So much larger than others is what shall not be shrunk: the log-odds by all but names, shrunk already.
_FREE = 30.0
#: Coarse classes of labels.
COARSE = Path(__file__).parent / "quality" / "coarse"
_INVERSE = {"subset": "superset", "superset": "subset"}

Features = dict[str, np.ndarray]


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
        rows.choose_strengths(truth, judged)
        compare(rows, truth, group, pairs if options.show else [], alone=options.alone)
        fitted[evidence] = rows.fit(truth, np.ones(len(pairs), dtype=bool))
        steps = {"equal": fitted[evidence]["equal"], **fitted[evidence]["unequal"]}
        for step, weights in steps.items():
            print(f"\n{step}: " + ", ".join(f"{name} {weight:+.2f}" for name, weight in weights.items()))
    if options.write:
        file = Path(probability.__file__).with_name("relations.json")
        file.write_text(json.dumps(rounded(fitted), indent=1) + "\n", encoding="utf-8")
        print(f"\nwritten: {file.name}")
    print(f"\nCommand: python {' '.join(sys.argv)}")


def rounded(values: Any) -> Any:
    """Return plain data with its numbers to four decimals."""
    if isinstance(values, dict):
        return {name: rounded(value) for name, value in values.items()}
    return round(values, 4) if isinstance(values, float) else values


def without_heads(matrix: SimilarityMatrix) -> SimilarityMatrix:
    """Return what names and mention forms alone tell."""
    nothing, unknown = np.zeros_like(matrix.matched), np.full(matrix.semantic.shape, np.nan)
    read = np.zeros_like(matrix.read)
    counts = {"matched": nothing, "predicted": nothing, "semantic": unknown, "read": read}
    return replace(matrix, **counts, recall=np.full(matrix.recall.shape, np.nan))


def compare(
    rows: Rows, truth: np.ndarray, group: np.ndarray, shown: Sequence[GoldPair], *, alone: bool
) -> None:
    """Print how right the probabilities are with corpora left out, and on what was fitted, by names of each kind."""
    judged, everything = len(group), np.ones(len(truth), dtype=bool)
    print(
        "| | names | group | equal | expected | F1 | 95 % | average precision | calibration error | slope "
        "| relations macro-F1 |"
    )
    print("| --- | --- | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for name, folds in (
        ("both corpora left out", list(rows.without_both(judged))),
        ("the whole group left out", [rows.without(group == one) for one in np.unique(group)]),
        ("fitted on them", [(everything[:judged], everything)]),
    ):
        fits = [rows.fit(truth, seen) for _, seen in folds]
        for names in (WRITTEN, UNLISTED, RANDOM):
            predicted = np.zeros((judged, len(RELATIONS)))
            for (held, _), fitted in zip(folds, fits, strict=True):
                for one in np.unique(group[held]):
                    these = np.flatnonzero(held & (group == one))
                    corpora = frozenset().union(*(rows.corpora[k] for k in np.flatnonzero(group == one)))
                    predicted[these] = rows.aligned(fitted, these, corpora, names, alone=alone)
            show(
                f"{name} | {names}", predicted, truth, group, rows.corpora, shown if names == WRITTEN else []
            )


def show(
    name: str,
    predicted: np.ndarray,
    truth: np.ndarray,
    group: np.ndarray,
    corpora: Sequence[frozenset[str]],
    pairs: Sequence[GoldPair],
) -> None:
    """Print the figures of probabilities, and the mistakes."""
    truth = truth[: len(group)]
    decided = np.zeros_like(truth)
    for one in np.unique(group):
        these = group == one
        threshold = probability.equality_threshold(predicted[these, 0])
        relation = 1 + predicted[these, 1:].argmax(axis=1)
        decided[these] = np.where(predicted[these, 0] > threshold, 0, relation)
    for one in ("all", *np.unique(group).tolist()):
        these = np.ones(len(truth), dtype=bool) if one == "all" else group == one
        equal, p = truth[these] == 0, predicted[these, 0]
        error, slope = calibration(p, equal)
        low, high = f1_by_corpus(decided[these] == 0, equal, [corpora[k] for k in np.flatnonzero(these)])
        print(
            f"| {name} | {one} | {equal.sum()} | {p.sum():.1f} | {f1_only(decided[these] == 0, equal):.3f} | "
            f"{low:.2f} – {high:.2f} | {average_precision(p, equal):.3f} | {error:.3f} | {slope:.2f} | "
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


class Sides(NamedTuple):
    """The features of judged pairs of labels: of being equal, and of the relation in either order."""

    equality: dict[str, np.ndarray]
    forward: dict[str, np.ndarray]
    backward: dict[str, np.ndarray]


class Rows:
    """The features of judged pairs of labels, by what is done to the names of the labels."""

    def __init__(self, matrix: SimilarityMatrix, pairs: list[GoldPair]) -> None:
        self.matrix = matrix
        self.corpora = [frozenset((pair.first.source, pair.second.source)) for pair in pairs]
        self.first = [matrix.index[pair.first] for pair in pairs]
        self.second = [matrix.index[pair.second] for pair in pairs]
        self.fitted_on = [
            (self.sides(names, copy), weight / COPIES[names])
            for names, weight in NAMES.items()
            for copy in range(COPIES[names])
        ]
        kinds = (WRITTEN, UNLISTED, RANDOM)
        self.features = {names: self.all_features(names, JUDGED) for names in kinds}
        self.judged = {names: self.sides(names, JUDGED) for names in kinds}
        of_names = set(name_features(matrix.labels))
        self.measured = [name for name in self.judged[WRITTEN].equality if name not in of_names]
        self.names = sorted(of_names)
        self.strengths = {step: strengths[0] for step, strengths in STRENGTHS.items()}

    def all_features(self, names: str, seed: int) -> tuple[Features, Features]:
        """Return the features of all labels, shape (N, N), with names of one kind: of equality, and of relations."""
        matrix = replace(self.matrix, labels=renamed(self.matrix.labels, names, seed))
        with without_lexicon() if names == UNLISTED else nullcontext():
            return equality_features(matrix), relation_features(matrix)

    def sides(self, names: str, seed: int) -> Sides:
        """Return the features of the judged pairs, with names of one kind."""
        equality, relation = self.all_features(names, seed)
        return Sides(
            {name: values[self.first, self.second] for name, values in equality.items()},
            {name: values[self.first, self.second] for name, values in relation.items()},
            {name: values[self.second, self.first] for name, values in relation.items()},
        )

    def choose_strengths(self, truth: np.ndarray, judged: int) -> None:
        """Choose the strengths of regularization by the log loss on corpora that were left out of the fit.

        Names of each kind count alike. No figure of the tables is looked at.
        """
        corpora = sorted(frozenset().union(*self.corpora))
        np.random.default_rng(0).shuffle(corpora)
        parts = [set(corpora[start::_PARTS]) for start in range(_PARTS)]
        held = [np.array([not one.isdisjoint(part) for one in self.corpora]) for part in parts]
        fits = [self.fit(truth, ~out) for out in held]
        for step, strengths in STRENGTHS.items():
            losses = dict.fromkeys(strengths, 0.0)
            for strength in strengths:
                self.strengths[step] = strength
                for out, fitted in zip(held, fits, strict=True):
                    anew = {**fitted, step: self._fit_step(step, truth, ~out)}
                    losses[strength] += self._loss(anew, truth, np.flatnonzero(out[:judged]), step)
            self.strengths[step] = min(losses, key=lambda strength, losses=losses: losses[strength])
            said = ", ".join(f"{loss:.1f} at {strength}" for strength, loss in losses.items())
            print(f"{step}: strength {self.strengths[step]}; log loss {said}")

    def _loss(self, fitted: Mapping[str, Any], truth: np.ndarray, held: np.ndarray, step: str) -> float:
        """Return the log loss of a step, summed over pairs that were left out, with names of each kind."""
        classes, loss = truth[held], 0.0
        for names in self.judged:
            predicted = self.probabilities(fitted, held, names)
            if step == "equal":
                right = np.where(classes == 0, predicted[:, 0], 1 - predicted[:, 0])
            else:
                unequal, classes_of = predicted[classes > 0], classes[classes > 0]
                right = unequal[np.arange(len(unequal)), classes_of] / unequal[:, 1:].sum(axis=1)
            loss -= float(np.log(np.maximum(right, 1e-6)).sum())
        return loss

    def without(self, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of the judged pairs are held out, and on which of all pairs is fitted then."""
        corpora = frozenset().union(*(self.corpora[k] for k in np.flatnonzero(held)))
        more = [one.isdisjoint(corpora) for one in self.corpora[len(held) :]]
        return held, np.concatenate([~held, np.array(more, dtype=bool)])

    def without_both(self, judged: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the same for each two corpora of which pairs are judged."""
        for two in sorted(set(self.corpora[:judged]), key=sorted):
            held = np.array([one == two for one in self.corpora[:judged]])
            yield held, np.array([one.isdisjoint(two) for one in self.corpora])

    def fit(self, truth: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
        """Return the coefficients fitted on some of the pairs."""
        steps = {step: self._fit_step(step, truth, seen) for step in STRENGTHS}
        return {**steps, "base_rates": dict(zip(RELATIONS, base_rates(truth[seen]).tolist(), strict=True))}

    def _fit_step(self, step: str, truth: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
        return self._fit_equality(truth == 0, seen) if step == "equal" else self._fit_unequal(truth, seen)

    def _fit_unequal(self, truth: np.ndarray, seen: np.ndarray) -> dict[str, dict[str, float]]:
        """Return the coefficients of each relation of unequal labels."""
        unequal = seen & (truth > 0)
        relations = np.array(RELATIONS)[truth[unequal]]
        inverse = [_INVERSE.get(name, name) for name in relations.tolist()]
        features = list(self.judged[WRITTEN].forward)
        values = [
            _stacked(side, features, unequal)
            for sides, _ in self.fitted_on
            for side in (sides.forward, sides.backward)
        ]
        weights = np.repeat([weight for _, weight in self.fitted_on], 2 * unequal.sum())
        classes = np.tile(np.array([*relations, *inverse]), len(self.fitted_on))
        strength = self.strengths["unequal"]
        by_relation = dict(_regression(np.concatenate(values), classes, strength, features, weights))
        return {relation: by_relation[relation] for relation in RELATIONS[1:]}

    def _fit_equality(self, equal: np.ndarray, seen: np.ndarray) -> dict[str, float]:
        """Return the coefficients of being equal: of all but names by itself, then of names beside its log-odds.

        Fitted at once, names would take over from heads and forms, as in these corpora they nearly suffice.
        """
        once = _stacked(self.judged[WRITTEN].equality, self.measured, seen)
        [(_, by_measured)] = _regression(once, equal[seen], self.strengths["equal"], self.measured)
        slopes = np.array([by_measured[name] for name in self.measured])
        values = [
            np.c_[
                _stacked(sides.equality, self.measured, seen) @ slopes + by_measured["bias"],
                _stacked(sides.equality, self.names, seen),
            ]
            for sides, _ in self.fitted_on
        ]
        weights = np.repeat([weight for _, weight in self.fitted_on], seen.sum())
        classes = np.tile(equal[seen], len(self.fitted_on))
        features = ["log-odds", *self.names]
        [(_, beside)] = _regression(
            np.concatenate(values), classes, self.strengths["equal"], features, weights, free=1
        )
        scale = beside.pop("log-odds")
        bias = beside["bias"] + scale * by_measured["bias"]
        return beside | {name: scale * by_measured[name] for name in self.measured} | {"bias": bias}

    def aligned(
        self, fitted: Mapping[str, Any], held: np.ndarray, corpora: frozenset[str], names: str, *, alone: bool
    ) -> np.ndarray:
        """Return the probabilities of pairs, shape (pairs, 5), as an alignment of these corpora gives them.

        Without what other labels, equal to one of the two, have to say, if ``alone``.
        """
        labels = [k for k, label in enumerate(self.matrix.labels) if label.source in corpora]
        square = np.ix_(labels, labels)
        equality, relation = (
            {name: values[square] for name, values in kind.items()} for kind in self.features[names]
        )
        same = self.matrix.same_source[square]
        before = probability.from_both_sides(equality, relation, fitted)
        after = probability.at_base_rates(before, same, fitted)
        if not alone:
            after = probability.with_partners(after, same)
        place = {label: position for position, label in enumerate(labels)}
        return np.array([after[place[self.first[k]], place[self.second[k]]] for k in held])

    def probabilities(self, fitted: Mapping[str, Any], held: np.ndarray, names: str) -> np.ndarray:
        """Return the probabilities of some of the pairs by themselves, shape (pairs, 5)."""
        sides = Sides(*({name: values[held] for name, values in side.items()} for side in self.judged[names]))
        forward, backward = (
            probability.combined(sides.equality, side, fitted) for side in (sides.forward, sides.backward)
        )
        return np.asarray((forward + backward[:, probability.INVERSE]) / 2)


def _stacked(features: Mapping[str, np.ndarray], names: Sequence[str], chosen: np.ndarray) -> np.ndarray:
    return np.stack([features[name][chosen] for name in names], axis=1)


def _regression(
    values: np.ndarray,
    classes: np.ndarray,
    strength: float,
    names: Sequence[str],
    weights: np.ndarray | None = None,
    free: int = 0,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each class (of two: the second) with its weights, as they apply to the features themselves.

    The first ``free`` features are not regularized.
    """
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale[scale < 1e-6] = 1.0  # without heads some features are the same of all pairs
    scale[:free] /= _FREE
    model = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=300)
    model.fit((values - mean) / scale, classes, weights)
    kinds = model.classes_.tolist() if len(model.classes_) > 2 else [model.classes_[1]]
    for kind, row, bias in zip(kinds, model.coef_ / scale, model.intercept_, strict=True):
        yield str(kind), {"bias": float(bias - row @ mean), **dict(zip(names, row.tolist(), strict=True))}


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
    parser.add_argument("--alone", action="store_true", help="judge each pair by itself, without partners")
    parser.add_argument("--show", action="store_true", help="print the pairs decided wrongly")
    parser.add_argument(
        "--write", action="store_true", help="write the coefficients of all pairs to the package"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
