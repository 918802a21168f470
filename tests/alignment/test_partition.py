"""All merges at once: against brute force over every partition, and cases worked by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from builders import make_matrix
from esnera_hf.alignment import (
    Constraints,
    LabelMapping,
    LabelPartition,
    MappedLabel,
    PartitionSettings,
    SchemaSettings,
    build_constraints,
    exact_partition,
    greedy_partition,
    partition_labels,
    symmetric_weights,
)
from esnera_hf.alignment.partition_exact import search_exactly
from esnera_hf.alignment.partition_problem import partition_problem, upper_bound
from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef

Groups = tuple[tuple[LabelRef, ...], ...]


def refs(text: str) -> list[LabelRef]:
    return [LabelRef(*name.split(":")) for name in text.split()]


def weighed(names: str, weights: dict[str, float], other: float = np.nan) -> Any:
    """Labels, and weights by ``"a:x b:y"``; all others weigh ``other``."""
    labels = refs(names)
    found = np.full((len(labels), len(labels)), other)
    for pair, weight in weights.items():
        i, j = (labels.index(label) for label in refs(pair))
        found[i, j] = found[j, i] = weight
    return labels, found


def shown(partition: LabelPartition) -> list[str]:
    return [" ".join(map(str, group)) for group in partition.groups]


def all_partitions(items: Sequence[LabelRef]) -> Iterator[list[list[LabelRef]]]:
    """Yield every set partition: 877 of seven labels."""
    if not items:
        yield []
        return
    first, *rest = items
    for groups in all_partitions(rest):
        yield [[first], *groups]
        for index in range(len(groups)):
            yield [*groups[:index], [first, *groups[index]], *groups[index + 1 :]]


def meets(groups: Sequence[Sequence[LabelRef]], wishes: Constraints, one_per_source: bool) -> bool:
    """Whether groups are as wished, pair of labels by pair of labels."""
    home = {label: number for number, group in enumerate(groups) for label in group}
    if any(len({home[label] for label in members}) > 1 for members in wishes.classes):
        return False
    for one, other in combinations(home, 2):
        if home[one] != home[other] or other in wishes.class_of(one):
            continue
        if frozenset({one, other}) in wishes.apart or (one_per_source and one.source == other.source):
            return False
        if len(wishes.class_of(one)) > 1 and len(wishes.class_of(other)) > 1:
            return False
    return True


def score(
    groups: Sequence[Sequence[LabelRef]], labels: Sequence[LabelRef], weights: NDArray[np.float64]
) -> float:
    pairs = [(labels.index(a), labels.index(b)) for group in groups for a, b in combinations(group, 2)]
    return float(sum(weights[pair] for pair in pairs if not np.isnan(weights[pair])))


def best_score(
    labels: Sequence[LabelRef], weights: NDArray[np.float64], wishes: Constraints, one_per_source: bool
) -> float:
    kept = [label for label in labels if label not in wishes.left_out]
    return max(
        score(groups, labels, weights)
        for groups in all_partitions(kept)
        if meets(groups, wishes, one_per_source)
    )


@st.composite
def problems(draw: st.DrawFn, most: int = 7) -> tuple[list[LabelRef], NDArray[np.float64]]:
    names = st.tuples(st.sampled_from("abc"), st.sampled_from("wxyz"))
    labels = [LabelRef(*name) for name in draw(st.lists(names, min_size=1, max_size=most, unique=True))]
    weight = st.one_of(st.just(np.nan), st.integers(-8, 8).map(lambda number: number / 8))
    weights = np.full((len(labels), len(labels)), np.nan)
    for i, j in combinations(range(len(labels)), 2):
        weights[i, j] = weights[j, i] = draw(weight)
    return labels, weights


@st.composite
def wishes_for(draw: st.DrawFn, labels: Sequence[LabelRef]) -> Constraints:
    """Wishes that can be met."""
    texts = st.sampled_from([str(label) for label in labels])
    pairs = st.lists(texts, min_size=2, max_size=2)
    locked = draw(st.lists(st.sampled_from(labels), max_size=1))
    entries = tuple(MappedLabel(label, None, locked=True) for label in locked)
    try:
        return build_constraints(
            labels,
            draw(st.sampled_from([None, labels[0].source])),
            SchemaSettings(
                draw(st.dictionaries(texts, st.sampled_from(["P", "Q"]), max_size=2)),
                draw(st.lists(pairs, max_size=2)),
                draw(st.lists(pairs, max_size=2)),
                LabelMapping((), entries),
            ),
        )
    except ConfigurationError:
        assume(False)
        raise


@settings(max_examples=100, deadline=None)
@given(data=st.data(), one_per_source=st.booleans())
def test_no_partition_is_better_and_wishes_are_met(data: st.DataObject, one_per_source: bool) -> None:
    labels, weights = data.draw(problems())
    wishes = data.draw(wishes_for(labels))
    exact = exact_partition(labels, weights, wishes, one_per_source=one_per_source)
    greedy = greedy_partition(labels, weights, wishes, one_per_source=one_per_source)
    apart = Constraints(wishes.classes, wishes.apart | target_apart(labels, wishes), left_out=wishes.left_out)
    optimum = best_score(labels, weights, apart, one_per_source)
    for found in (exact, greedy):
        assert sorted(label for group in found.groups for label in group) == sorted(
            set(labels) - wishes.left_out
        )
        assert meets(found.groups, apart, one_per_source)
        assert found.score == pytest.approx(score(found.groups, labels, weights), abs=1e-9)
    assert exact.proven
    assert exact.score == exact.bound == pytest.approx(optimum, abs=1e-9)
    assert greedy.score <= optimum + 1e-9 <= greedy.bound + 2e-9


def target_apart(labels: Sequence[LabelRef], wishes: Constraints) -> frozenset[frozenset[LabelRef]]:
    """The pairs of labels of a target, which stay apart unless they are to be together."""
    own = [label for label in labels if label.source == wishes.target]
    return frozenset(frozenset(p) for p in combinations(own, 2) if p[1] not in wishes.class_of(p[0]))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_neither_the_order_nor_the_names_play_a_part(data: st.DataObject) -> None:
    labels, weights = data.draw(problems(most=9))
    order = data.draw(st.permutations(range(len(labels))))
    moved = [labels[i] for i in order]
    for solve in (partition_labels, greedy_partition):
        found = solve(labels, weights)
        assert solve(moved, weights[np.ix_(order, order)]) == found
    source_names = dict(zip("abc", data.draw(st.permutations("abc")), strict=True))
    label_names = dict(zip("wxyz", data.draw(st.permutations("wxyz")), strict=True))
    renamed = [LabelRef(source_names[source], label_names[label]) for source, label in labels]
    assert partition_labels(renamed, weights).score == pytest.approx(partition_labels(labels, weights).score)


def random_problem(sources: int, each: int, seed: int) -> tuple[list[LabelRef], NDArray[np.float64]]:
    labels = [LabelRef(f"s{s}", f"l{k}") for s in range(sources) for k in range(each)]
    weights = np.triu(np.random.default_rng(seed).uniform(-1, 1, (len(labels), len(labels))), 1)
    return labels, weights + weights.T


@pytest.mark.parametrize("one_per_source", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_an_integer_programme_finds_the_same_optimum(seed: int, one_per_source: bool) -> None:
    """Pairs are variables; of three pairs of three labels never exactly two are inside groups."""
    optimize = pytest.importorskip("scipy.optimize")
    labels, weights = random_problem(4, 3, seed)
    found = exact_partition(labels, weights, one_per_source=one_per_source)
    pairs = {pair: number for number, pair in enumerate(combinations(range(len(labels)), 2))}
    rows = []
    for i, j, k in combinations(range(len(labels)), 3):
        three = [pairs[i, j], pairs[i, k], pairs[j, k]]
        for lone in three:
            row = np.zeros(len(pairs))
            row[three], row[lone] = 1, -1
            rows.append(row)
    allowed = [not (one_per_source and labels[i].source == labels[j].source) for i, j in pairs]
    solved = optimize.milp(
        [-weights[pair] for pair in pairs],
        integrality=np.ones(len(pairs)),
        bounds=optimize.Bounds(0, np.array(allowed, dtype=float)),
        constraints=optimize.LinearConstraint(np.array(rows), ub=1),
    )
    assert found.score == pytest.approx(-solved.fun, abs=1e-6)
    problem = partition_problem(labels, weights, one_per_source=one_per_source)
    clusters, proven = search_exactly(problem, tuple((node,) for node in range(len(labels))), 10**6)
    assert proven, "from a start that helps in nothing"
    assert problem.score(clusters) == pytest.approx(found.score)


def test_a_bridge_that_a_chain_of_merges_would_cross() -> None:
    """The strongest pair first gives 6; left apart, its two labels give 10."""
    labels, weights = weighed(
        "a:x b:y c:p d:q",
        {"a:x b:y": 6, "a:x c:p": 5, "b:y d:q": 5, "a:x d:q": -9, "b:y c:p": -9, "c:p d:q": -9},
    )
    for solve in (exact_partition, greedy_partition):
        found = solve(labels, weights)
        assert (shown(found), found.score) == (["a:x c:p", "b:y d:q"], 10.0)


def test_one_label_of_a_source_in_a_group_unless_told() -> None:
    labels, weights = weighed("a:book a:film b:work", {"a:book b:work": 0.4, "a:film b:work": 0.3})
    assert shown(partition_labels(labels, weights)) == ["a:book b:work", "a:film"]
    assert shown(partition_labels(labels, weights, one_per_source=False)) == ["a:book a:film b:work"]
    together = build_constraints(labels, None, SchemaSettings(together=[["a:book", "a:film"]]))
    found = partition_labels(labels, weights, together)
    assert (shown(found), found.score) == (["a:book a:film b:work"], pytest.approx(0.7))


def test_a_label_is_swapped_for_a_better_one_of_its_source() -> None:
    """x goes with p and q where y may not be too; y is the stronger with p alone: 10 against 9."""
    weights = {"a:y b:p": 5, "a:x b:p": 4, "a:x c:q": 4, "b:p c:q": 2, "a:y c:q": -3}
    labels, found = weighed("a:x a:y b:p c:q", weights)
    for solve in (exact_partition, greedy_partition):
        assert shown(solve(labels, found)) == ["a:x b:p c:q", "a:y"]


@pytest.mark.parametrize("seed", [17, 18, 45], ids=["sum linkage", "swaps", "average linkage"])
def test_each_part_of_the_greedy_way_finds_optima_that_the_others_miss(seed: int) -> None:
    labels, weights = random_problem(4, 3, seed)
    assert greedy_partition(labels, weights).score == pytest.approx(exact_partition(labels, weights).score)


def test_the_exact_search_finds_what_the_greedy_way_misses() -> None:
    labels, weights = random_problem(4, 3, 9)
    assert greedy_partition(labels, weights).score < exact_partition(labels, weights).score - 0.01


def test_unknown_is_no_evidence() -> None:
    labels, weights = weighed("a:x b:y c:z", {"a:x b:y": 1, "b:y c:z": 1})
    assert shown(partition_labels(labels, weights)) == ["a:x b:y c:z"]
    labels, weights = weighed("a:x b:y c:z", {"a:x b:y": 1})
    assert shown(partition_labels(labels, weights)) == ["a:x b:y", "c:z"]
    labels, weights = weighed("a:x b:y c:z", {"a:x b:y": 1, "b:y c:z": 1, "a:x c:z": -1})
    assert partition_labels(labels, weights).score == 1.0


def test_a_label_that_adds_nothing_stays_by_itself() -> None:
    """y is drawn to p as much as it is repelled by q."""
    weights = {"b:y c:p": 2, "b:y d:q": -2, "c:p d:q": 2, "c:p e:r": 2, "d:q e:r": 1, "a:x c:p": -1}
    labels, found = weighed("a:x b:y c:p d:q e:r", weights, 0.0)
    for solve in (exact_partition, greedy_partition):
        assert shown(solve(labels, found)) == ["a:x", "b:y", "c:p d:q e:r"]


def test_wishes_hold_whatever_the_weights() -> None:
    labels, weights = weighed("a:x b:y c:z d:w", {"a:x b:y": 9, "a:x c:z": -1, "b:y c:z": 2}, -0.5)
    asked = SchemaSettings({"d:w": "W"}, [["a:x", "c:z"]], [["c:z", "b:y"]])
    found = partition_labels(labels, weights, build_constraints(labels, None, asked))
    # apart holds for all that is together with c:z
    assert (shown(found), found.score) == (["a:x c:z", "b:y", "d:w"], -1.0)


def test_into_a_source_and_left_out() -> None:
    labels, weights = weighed("a:x a:y b:p c:q", {}, 1.0)
    locked = LabelMapping((), (MappedLabel(LabelRef("c", "q"), None, locked=True),))
    wishes = build_constraints(labels, "a", SchemaSettings(locked=locked))
    assert shown(partition_labels(labels, weights, wishes, one_per_source=False)) == ["a:x b:p", "a:y"]


def test_together_and_apart_is_refused_as_the_merge_path_does() -> None:
    labels, weights = weighed("a:x b:y", {}, 1.0)
    pair = frozenset(labels)
    with pytest.raises(ConfigurationError, match="a:x and b:y are to become one label and to stay apart"):
        partition_labels(labels, weights, Constraints(classes=(pair,), apart=frozenset({pair})))


def test_components_say_what_is_proven() -> None:
    labels, weights = random_problem(5, 4, 1)
    labels += refs("t:one u:two v:three")
    joined = np.full((23, 23), np.nan)
    joined[:20, :20] = weights
    joined[20, 21] = joined[21, 20] = 0.5
    found = partition_labels(labels, joined, settings=PartitionSettings(exact_steps=10))
    assert [len(component.labels) for component in found.components] == [20, 2, 1]
    assert [component.proven for component in found.components] == [False, True, True]
    assert [component.score for component in found.components[1:]] == [0.5, 0.0]
    assert found.score < found.bound
    assert not found.proven
    greedy = greedy_partition(labels, joined)
    assert found == partition_labels(labels, joined, settings=PartitionSettings(exact_labels=19))
    assert (greedy.score, greedy.groups) == (found.score, found.groups)
    with pytest.raises(ConfigurationError, match="s0:l0 and 19 more labels: the optimum lies between"):
        exact_partition(labels, joined, settings=PartitionSettings(exact_steps=10))


def test_many_sources() -> None:
    """Twenty-five sources annotate ten of forty kinds each; every kind is found in spite of noise."""
    draw = np.random.default_rng(0)
    kinds = np.concatenate([draw.choice(40, 10, replace=False) for _ in range(25)])
    labels = [LabelRef(f"s{i // 10:02}", f"l{kind}") for i, kind in enumerate(kinds)]
    noise = np.triu(draw.normal(0, 0.1, (250, 250)), 1)
    weights = np.where(kinds[:, None] == kinds, 0.2, -0.3) + noise + noise.T
    found = partition_labels(labels, weights)
    expected = {tuple(sorted(label for label in labels if label.label == f"l{kind}")) for kind in kinds}
    assert set(found.groups) == expected


@pytest.mark.parametrize(
    ("labels", "weights", "message"),
    [
        ("a:x b:y", np.zeros((2, 3)), r"shape \(2, 3\): expected \(2, 2\) for 2 labels"),
        ("a:x a:x", np.zeros((2, 2)), "a:x is there twice"),
        ("a:x b:y", np.array([[0, np.inf], [np.inf, 0]]), "a weight is infinite"),
        ("a:x b:y", np.array([[0, 1], [2, 0]]), "a:x with b:y weighs 1, the other way round 2"),
        ("a:x b:y", np.array([[0, 1], [np.nan, 0]]), "a:x with b:y weighs 1.0, the other way round nan"),
    ],
)
def test_weights_are_checked(labels: str, weights: NDArray[np.float64], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        partition_labels(refs(labels), weights)


@pytest.mark.parametrize("name", ["exact_labels", "exact_steps"])
def test_settings_are_checked(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}=-1: expected 0 or more"):
        PartitionSettings(**{name: -1})


def test_the_bound_counts_each_conflict_once() -> None:
    """Positive weights add up to 9; x and y cannot both have p, nor q and r of one source both y: 2 each."""
    labels, weights = weighed(
        "a:x b:y c:p d:q d:r", {"a:x c:p": 2, "b:y c:p": 2, "a:x b:y": -5, "b:y d:q": 3, "b:y d:r": 2}
    )
    problem = partition_problem(labels, weights)
    assert upper_bound(problem) == pytest.approx(9 - 2 - 2)
    found = partition_labels(labels, weights, settings=PartitionSettings(exact_labels=0))
    assert (shown(found), found.score, found.proven) == (["a:x c:p", "b:y d:q", "d:r"], 5.0, True)


def test_no_labels() -> None:
    assert partition_labels([], np.zeros((0, 0))) == LabelPartition((), ())


def test_weights_are_the_mean_of_both_directions_less_the_threshold() -> None:
    matrix = make_matrix(
        {"a:x": 1, "a:y": 1, "b:p": 1, "b:q": 1},
        {("a:x", "b:p"): (8, 10), ("b:p", "a:x"): (1, 10), ("a:y", "b:q"): (1, 2)},
        {("a:x", "b:p"): 0.5, ("a:x", "b:q"): 0.25},
    )
    found = symmetric_weights(matrix, 0.5, 0.4)
    expected = np.full((4, 4), np.nan)
    expected[0, 2] = expected[2, 0] = (0.65 + 0.3) / 2 - 0.4
    expected[0, 3] = expected[3, 0] = 0.25 - 0.4
    expected[1, 3] = expected[3, 1] = 0.5 - 0.4
    np.testing.assert_allclose(found, expected)
    with pytest.raises(ConfigurationError, match="τ = 2"):
        symmetric_weights(matrix, 0.5, 2)
