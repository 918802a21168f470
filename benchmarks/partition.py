"""How far from the optimum is the greedy merge path?

Two objectives. All at once: the sum of S - τ over all pairs of labels in one
group, S being the mean of both directions; the optimum, or where it is not
proven the highest known, comes from ``partition_labels``. The path decides by
one direction; how it does where both are that mean is shown too (the order of
the sources is then that of their names). Gaps are shares of the sum of all
optima; where those are not proven they are at least so large, and the local
search, which gave them, is judged by proven ones only. Along a path: the
paper's sum of S over the assignments of all stages; the optimum is the best of
all orders of the sources, tried one by one, and, where each target label takes
at most one label of a source, the best assignment of two sources.

Similarities are random without structure, random with planted kinds of labels,
or real (``--matrix`` names the ``similarity.json`` of a report). Real ones are
tried at every λ and τ of the default grid (a row for each τ), random ones at λ
0.4, τ 0.4. With ``--gold`` the pairs of labels in one group are compared with
those that are equal (confidence verified or high). Cases whose optimum merges
nothing are left out. Prints Markdown tables.

    python benchmarks/partition.py --seeds 20
    python benchmarks/partition.py --seeds 0 --matrix report/similarity.json --gold gold_alignments.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations, permutations, product
from pathlib import Path

import numpy as np

from esnera_hf.alignment import (
    Constraints,
    MergePath,
    PartitionSettings,
    SearchSettings,
    greedy_merge_path,
    greedy_partition,
    partition_labels,
    symmetric_weights,
)
from esnera_hf.alignment.groups import initial_groups
from esnera_hf.alignment.merge_path import NextStage
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix

SIZES = ((2, 5), (3, 5), (4, 4), (4, 6), (6, 10))
LAM, TAU = 0.4, 0.4
SMALL = 1e-9
#: Orders of more sources are too many to try.
MOST_SOURCES = 4
SETTINGS = PartitionSettings()
Labels = Iterable[Iterable[LabelRef]]


@dataclass(frozen=True)
class Case:
    """One problem."""

    matrix: SimilarityMatrix
    lam: float
    tau: float


@dataclass(frozen=True)
class Outcome:
    """What the greedy way reaches, and the highest there is or is known."""

    greedy: float
    optimum: float
    symmetric: float = float("nan")
    local: float = float("nan")
    proven: bool = True
    seconds: tuple[float, float] = (float("nan"), float("nan"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--matrix", type=Path, action="append", default=[], help="similarity.json of a report"
    )
    parser.add_argument("--gold", type=Path, help="relations between labels")
    parser.add_argument("--seeds", type=int, default=20, help="random problems of each kind and size")
    options = parser.parse_args()
    random: dict[str, list[Case]] = {}
    real: dict[str, list[Case]] = {}
    for (kind, make), (sources, each) in product(RANDOM.items(), SIZES):
        cases = [Case(make(sources, each, seed), LAM, TAU) for seed in range(options.seeds)]
        if cases:
            random[f"{kind} | {sources} × {each}"] = cases
    grid = SearchSettings()
    for file in options.matrix:
        matrix = SimilarityMatrix.from_dict(json.loads(file.read_text(encoding="utf-8")))
        for tau in grid.taus:
            cases = [Case(matrix, lam, tau) for lam in grid.lambdas]
            name = f"{file.parent.name}, τ {tau} | {len(matrix.sources)}, {len(matrix.labels)} labels"
            real[name] = cases
    print_all_at_once(random | real)
    print_paths(random | real)
    if options.gold:
        print_gold(real, options.gold)


def unstructured(sources: int, each: int, seed: int) -> SimilarityMatrix:
    """Return similarities that follow no rule."""
    draw = np.random.default_rng(seed)
    n = sources * each
    return random_matrix(draw, sources, each, draw.uniform(-0.2, 1, (n, n)), draw.uniform(0, 1, (n, n)))


def planted(sources: int, each: int, seed: int) -> SimilarityMatrix:
    """Return noisy similarities of sources that annotate half of the kinds of labels there are."""
    draw = np.random.default_rng(seed)
    kinds = np.concatenate([draw.choice(2 * each, each, replace=False) for _ in range(sources)])
    same = kinds[:, None] == kinds
    semantic = np.where(same, 0.6, 0.1) + draw.normal(0, 0.2, same.shape)
    shares = np.where(same, draw.beta(4, 2, same.shape), draw.beta(1, 6, same.shape))
    return random_matrix(draw, sources, each, semantic, shares)


RANDOM: dict[str, Callable[[int, int, int], SimilarityMatrix]] = {
    "unstructured": unstructured,
    "planted": planted,
}


def random_matrix(
    draw: np.random.Generator, sources: int, each: int, semantic: np.ndarray, shares: np.ndarray
) -> SimilarityMatrix:
    labels = tuple(LabelRef(f"s{s}", f"l{k:02}") for s in range(sources) for k in range(each))
    own = np.equal.outer([label.source for label in labels], [label.source for label in labels])
    semantic = np.triu(np.clip(semantic, -1, 1), 1)
    predicted = np.where(own, 0, draw.integers(20, 200, own.shape))
    return SimilarityMatrix(
        labels,
        draw.integers(20, 2000, len(labels)),
        (shares * predicted).astype(np.int64),
        predicted,
        np.where(own, np.nan, semantic + semantic.T),
    )


def one_each(matrix: SimilarityMatrix) -> Constraints:
    """Keep any two labels of one source apart."""
    pairs = [pair for source in matrix.sources for pair in combinations(matrix.indices(source), 2)]
    return Constraints(apart=frozenset(frozenset({matrix.labels[i], matrix.labels[j]}) for i, j in pairs))


def symmetric(case: Case) -> Case:
    """Return the case with the mean of both directions as the similarity of either."""
    nothing = np.zeros_like(case.matrix.predicted)
    mean = symmetric_weights(case.matrix, case.lam, case.tau) + case.tau
    matrix = SimilarityMatrix(case.matrix.labels, case.matrix.support, nothing, nothing, mean)
    return Case(matrix, case.lam, case.tau)


def groups_score(case: Case, groups: Labels) -> float:
    """Return the sum of S - τ over the pairs of labels in one group."""
    weights = np.nan_to_num(symmetric_weights(case.matrix, case.lam, case.tau))
    place = {label: index for index, label in enumerate(case.matrix.labels)}
    pairs = [pair for group in groups for pair in combinations([place[label] for label in group], 2)]
    return float(sum(weights[pair] for pair in pairs))


def greedy_groups(case: Case, one_per_source: bool) -> list[tuple[LabelRef, ...]]:
    constraints = one_each(case.matrix) if one_per_source else None
    return [g.members for g in greedy_merge_path(case.matrix, case.lam, case.tau, constraints).groups]


def all_at_once(case: Case, one_per_source: bool) -> Outcome:
    """Compare the groups of the greedy path with the best partition."""
    weights = symmetric_weights(case.matrix, case.lam, case.tau)
    times = [time.perf_counter()]
    groups = greedy_groups(case, one_per_source)
    times.append(time.perf_counter())
    best = partition_labels(case.matrix.labels, weights, one_per_source=one_per_source, settings=SETTINGS)
    times.append(time.perf_counter())
    local = greedy_partition(case.matrix.labels, weights, one_per_source=one_per_source)
    seconds = (times[1] - times[0], times[2] - times[1])
    mean = groups_score(case, greedy_groups(symmetric(case), one_per_source))
    return Outcome(groups_score(case, groups), best.score, mean, local.score, best.proven, seconds)


def best_order(case: Case, one_per_source: bool) -> Outcome:
    """Compare the sum of S along the greedy path with that along the best order of the sources."""
    constraints = one_each(case.matrix) if one_per_source else Constraints()
    greedy = greedy_merge_path(case.matrix, case.lam, case.tau, constraints)
    orders = permutations(case.matrix.sources)
    return Outcome(path_sum(greedy), max(path_sum(path_along(case, constraints, order)) for order in orders))


def path_along(case: Case, constraints: Constraints, order: tuple[str, ...]) -> MergePath:
    singles = initial_groups(case.matrix, constraints)
    path = MergePath((), singles[order[0]])
    for number, target in enumerate(order[1:], start=1):
        stage = NextStage(
            case.matrix, constraints, path, order[:number], target, path.groups, singles[target]
        )
        path = stage.merge(case.lam, case.tau)
    return path


def path_sum(path: MergePath) -> float:
    return sum(stage.similarity for stage in path.stages)


def best_assignment(case: Case) -> Outcome:
    """Compare the choices of a stage, row by row, with the best one-to-one assignment above τ."""
    (stage,) = greedy_merge_path(case.matrix, case.lam, case.tau, one_each(case.matrix)).stages
    rows, columns = (case.matrix.indices(source) for source in (stage.sources[0], stage.target))
    weights = np.full((len(case.matrix.labels),) * 2, np.nan)
    cells = np.ix_(rows, columns)
    weights[cells] = case.matrix.merged(case.lam)[cells] - case.tau
    weights = np.fmax(weights, weights.T)
    best = partition_labels(case.matrix.labels, weights, settings=SETTINGS)
    return Outcome(stage.similarity - stage.merged * case.tau, best.score, proven=best.proven)


def print_all_at_once(problems: dict[str, list[Case]]) -> None:
    print("All at once: the sum of S - τ over the pairs of labels in one group.\n")
    print(
        "| similarities | sources × labels | one label a source | cases | optimum proven | greedy path optimal "
        "| gap | largest | path by the mean optimal | gap | local search optimal | gap | s path | s optimum |"
    )
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (name, cases), one_per_source in product(problems.items(), (False, True)):
        found = [all_at_once(case, one_per_source) for case in cases]
        outcomes = [outcome for outcome in found if outcome.optimum > SMALL]
        if not outcomes:
            continue
        optima = [outcome.optimum for outcome in outcomes]
        path = gaps([outcome.greedy for outcome in outcomes], optima, largest=True)
        mean = gaps([outcome.symmetric for outcome in outcomes], optima)
        known = [outcome for outcome in outcomes if outcome.proven]
        local = gaps([o.local for o in known], [o.optimum for o in known]) if known else "– | –"
        seconds = " | ".join(f"{np.mean([o.seconds[i] for o in found]):.3f}" for i in (0, 1))
        proven = np.mean([outcome.proven for outcome in outcomes])
        print(
            f"| {name} | {'yes' if one_per_source else 'no'} | {len(outcomes)} | {proven:.0%} | {path} | {mean} "
            f"| {local} | {seconds} |"
        )


def print_paths(problems: dict[str, list[Case]]) -> None:
    print("\nAlong a path: the sum of S over assignments (one to one: of S - τ).\n")
    print("| similarities | sources × labels | against | cases | greedy path optimal | gap | largest |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for name, cases in problems.items():
        sources = len(cases[0].matrix.sources)
        if sources > MOST_SOURCES:
            continue
        tried = {
            "best order": [best_order(case, one_per_source=False) for case in cases],
            "best order, one label a source": [best_order(case, one_per_source=True) for case in cases],
            "best one-to-one assignment": [best_assignment(case) for case in cases] if sources == 2 else [],
        }
        for against, found in tried.items():
            outcomes = [outcome for outcome in found if outcome.optimum > SMALL]
            if outcomes:
                optima = [outcome.optimum for outcome in outcomes]
                path = gaps([outcome.greedy for outcome in outcomes], optima, largest=True)
                print(f"| {name} | {against} | {len(outcomes)} | {path} |")


def print_gold(problems: dict[str, list[Case]], file: Path) -> None:
    """Print how well the groups find the pairs of labels that are equal."""
    equal = {
        frozenset({LabelRef(r["a"], r["label_a"]), LabelRef(r["b"], r["label_b"])})
        for r in json.loads(file.read_text("utf-8"))
        if r["relation"] == "equal" and r["confidence"] in ("verified", "high") and r["a"] != r["b"]
    }
    print("\nPairs of labels in one group against those that are equal: F1 over all λ.\n")
    print("| similarities | sources × labels | equal | one label a source | groups | mean F1 | best F1 |")
    print("| --- | --- | ---: | --- | --- | ---: | ---: |")
    for name, cases in problems.items():
        labels = set(cases[0].matrix.labels)
        truth = {pair for pair in equal if pair <= labels}
        for one_per_source in (False, True):
            ways = {
                "greedy path": [greedy_groups(case, one_per_source) for case in cases],
                "all at once": [best_groups(case, one_per_source) for case in cases],
            }
            for way, found in ways.items():
                scores = [f1(groups, truth) for groups in found]
                print(
                    f"| {name} | {len(truth)} | {'yes' if one_per_source else 'no'} | {way} | "
                    f"{np.mean(scores):.3f} | {max(scores):.3f} |"
                )


def best_groups(case: Case, one_per_source: bool) -> tuple[tuple[LabelRef, ...], ...]:
    weights = symmetric_weights(case.matrix, case.lam, case.tau)
    found = partition_labels(case.matrix.labels, weights, one_per_source=one_per_source, settings=SETTINGS)
    return found.groups


def f1(groups: Labels, truth: set[frozenset[LabelRef]]) -> float:
    pairs = {frozenset(p) for group in groups for p in combinations(group, 2) if p[0].source != p[1].source}
    return 2 * len(pairs & truth) / max(len(pairs) + len(truth), 1)


def gaps(reached: list[float], optima: list[float], *, largest: bool = False) -> str:
    """Return cells: how often the optimum is reached, and by what share of it the sum falls short."""
    missing = np.maximum(np.array(optima) - reached, 0.0)
    cells = [f"{np.mean(missing < SMALL):.0%}", f"{missing.sum() / sum(optima):.1%}"]
    return " | ".join([*cells, f"{np.max(missing / optima):.1%}"] if largest else cells)


if __name__ == "__main__":
    main()
