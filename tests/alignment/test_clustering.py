"""The partition of labels: against brute force over every partition, and cases worked by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from esnera_hf.alignment import clustering
from esnera_hf.alignment.clustering import best_clusters, cluster_greedily, partition_labels
from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints, SchemaSettings, build_constraints
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConfigurationError
from esnera_hf.tagging import LabelRef

Weighed = tuple[list[LabelRef], NDArray[np.float64]]


def refs(text: str) -> list[LabelRef]:
    return [LabelRef(*name.split(":")) for name in text.split()]


def weighed(names: str, weights: dict[str, float], other: float = np.nan) -> Weighed:
    """Labels, and weights by ``"a:x b:y"``; all others weigh ``other``."""
    labels = refs(names)
    values = np.full((len(labels), len(labels)), other)
    for pair, weight in weights.items():
        i, j = (labels.index(label) for label in refs(pair))
        values[i, j] = values[j, i] = weight
    return labels, values


def partition(problem: Weighed, constraints: Constraints = NO_CONSTRAINTS) -> list[str]:
    return [" ".join(map(str, group)) for group in partition_labels(*problem, constraints)]


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


def meets(groups: Sequence[Sequence[LabelRef]], asked: Constraints) -> bool:
    """Whether groups are as asked, pair of labels by pair of labels."""
    home = {label: number for number, group in enumerate(groups) for label in group}
    if any(len({home[label] for label in members}) > 1 for members in asked.classes):
        return False
    for one, other in combinations(home, 2):
        if home[one] != home[other] or other in asked.class_of(one):
            continue
        if frozenset({one, other}) in asked.cannot_link or one.source == other.source:
            return False
        if len(asked.class_of(one)) > 1 and len(asked.class_of(other)) > 1:
            return False
    return True


def score(groups: Sequence[Sequence[LabelRef]], problem: Weighed) -> float:
    labels, weights = problem
    pairs = [(labels.index(a), labels.index(b)) for group in groups for a, b in combinations(group, 2)]
    return float(sum(weights[pair] for pair in pairs if not np.isnan(weights[pair])))


@st.composite
def problems(draw: st.DrawFn, most: int = 7) -> Weighed:
    names = st.tuples(st.sampled_from("abc"), st.sampled_from("wxyz"))
    labels = [LabelRef(*name) for name in draw(st.lists(names, min_size=1, max_size=most, unique=True))]
    weight = st.one_of(st.just(np.nan), st.integers(-8, 8).map(lambda number: number / 8))
    weights = np.full((len(labels), len(labels)), np.nan)
    for i, j in combinations(range(len(labels)), 2):
        weights[i, j] = weights[j, i] = draw(weight)
    return labels, weights


@st.composite
def constraints_for(draw: st.DrawFn, labels: Sequence[LabelRef]) -> Constraints:
    """Constraints that can be met."""
    texts = st.sampled_from([str(label) for label in labels])
    pairs = st.lists(texts, min_size=2, max_size=2)
    left_out = draw(st.lists(st.sampled_from(labels), max_size=1))
    locked = LabelMapping((), tuple(MappedLabel(label, None, locked=True) for label in left_out))
    names = draw(st.dictionaries(texts, st.sampled_from(["P", "Q"]), max_size=2))
    asked = SchemaSettings(
        names, draw(st.lists(pairs, max_size=2)), draw(st.lists(pairs, max_size=2)), locked
    )
    try:
        return build_constraints(labels, None, asked)
    except ConfigurationError:
        assume(False)
        raise


@given(data=st.data())
def test_no_partition_is_better_and_constraints_are_met(data: st.DataObject) -> None:
    labels, weights = problem = data.draw(problems())
    asked = data.draw(constraints_for(labels))
    groups = partition_labels(labels, weights, asked)
    wanted = [label for label in labels if label not in asked.left_out]
    assert sorted(label for group in groups for label in group) == sorted(wanted)
    assert meets(groups, asked)
    optimum = max(score(other, problem) for other in all_partitions(wanted) if meets(other, asked))
    assert score(groups, problem) == pytest.approx(optimum, abs=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clustering, "EXACT_NODES", 0)
        greedy = partition_labels(labels, weights, asked)
    assert meets(greedy, asked)
    assert score(greedy, problem) <= optimum + 1e-9


@given(data=st.data())
def test_the_order_of_the_labels_plays_no_part(data: st.DataObject) -> None:
    labels, weights = data.draw(problems(most=9))
    order = data.draw(st.permutations(range(len(labels))))
    moved = partition_labels([labels[i] for i in order], weights[np.ix_(order, order)])
    assert moved == partition_labels(labels, weights)


def random_weights(seed: int, sources: int = 4, each: int = 3) -> NDArray[np.float64]:
    """Noise between labels of several sources, those of one source kept apart."""
    owner = np.repeat(np.arange(sources), each)
    weights = np.triu(np.random.default_rng(seed).uniform(-1, 1, (len(owner), len(owner))), 1)
    weights = weights + weights.T
    weights[owner[:, None] == owner] = -np.inf
    np.fill_diagonal(weights, 0)
    return weights


def total(weights: NDArray[np.float64], clusters: Sequence[Sequence[int]]) -> float:
    return float(sum(weights[np.ix_(cluster, cluster)].sum() / 2 for cluster in clusters))


@pytest.mark.parametrize("seed", [17, 18, 45], ids=["sum linkage", "swaps", "average linkage"])
def test_each_part_of_the_greedy_way_finds_optima_that_the_others_miss(seed: int) -> None:
    weights = random_weights(seed)
    assert total(weights, cluster_greedily(weights)) == pytest.approx(total(weights, best_clusters(weights)))


def test_the_exact_search_finds_what_the_greedy_way_misses_and_gives_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = random_weights(9)
    greedy = cluster_greedily(weights)
    assert total(weights, greedy) < total(weights, best_clusters(weights)) - 0.01
    monkeypatch.setattr(clustering, "EXACT_STEPS", 10)
    assert best_clusters(weights) == greedy


@pytest.mark.parametrize(
    ("names", "weights", "groups"),
    [
        pytest.param(
            "a:x b:y c:p d:q",
            {"a:x b:y": 6, "a:x c:p": 5, "b:y d:q": 5, "a:x d:q": -9, "b:y c:p": -9, "c:p d:q": -9},
            ["a:x c:p", "b:y d:q"],
            id="the strongest pair first gives 6, without it 10",
        ),
        pytest.param(
            "a:book a:film b:work",
            {"a:book b:work": 0.4, "a:film b:work": 0.3},
            ["a:book b:work", "a:film"],
            id="one label of a source in a group",
        ),
        pytest.param(
            "a:x a:y b:p c:q",
            {"a:y b:p": 5, "a:x b:p": 4, "a:x c:q": 4, "b:p c:q": 2, "a:y c:q": -3},
            ["a:x b:p c:q", "a:y"],
            id="y is the stronger with p alone, x with p and q: 10 against 9",
        ),
        pytest.param(
            "a:x b:y c:z", {"a:x b:y": 1, "b:y c:z": 1}, ["a:x b:y c:z"], id="unknown does not part"
        ),
        pytest.param("a:x b:y c:z", {"a:x b:y": 1}, ["a:x b:y", "c:z"], id="unknown does not join"),
        pytest.param(
            "a:x b:y c:p d:q e:r",
            {
                **{"b:y c:p": 2, "b:y d:q": -2, "c:p d:q": 2, "c:p e:r": 2, "d:q e:r": 1, "a:x c:p": -1},
                **dict.fromkeys(("a:x b:y", "a:x d:q", "a:x e:r", "b:y e:r"), 0),
            },
            ["a:x", "b:y", "c:p d:q e:r"],
            id="y is drawn to p as much as it is repelled by q, so it stays by itself",
        ),
        pytest.param("", {}, [], id="no labels"),
    ],
)
@pytest.mark.parametrize("exact_nodes", [0, 24])
def test_by_hand(
    names: str,
    weights: dict[str, float],
    groups: list[str],
    exact_nodes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clustering, "EXACT_NODES", exact_nodes)
    assert partition(weighed(names, weights)) == groups


def test_constraints_hold_whatever_the_weights() -> None:
    labels, _ = problem = weighed("a:x b:y c:z d:w", {"a:x b:y": 9, "a:x c:z": -1, "b:y c:z": 2}, -0.5)
    asked = SchemaSettings({"d:w": "W"}, [["a:x", "c:z"]], [["c:z", "b:y"]])
    # apart holds for all that is together with c:z
    assert partition(problem, build_constraints(labels, None, asked)) == ["a:x c:z", "b:y", "d:w"]


def test_many_sources() -> None:
    """Twenty-five sources annotate ten of forty kinds each; every kind is found in spite of noise."""
    draw = np.random.default_rng(0)
    kinds = np.concatenate([draw.choice(40, 10, replace=False) for _ in range(25)])
    labels = [LabelRef(f"s{i // 10:02}", f"l{kind}") for i, kind in enumerate(kinds)]
    noise = np.triu(draw.normal(0, 0.1, (250, 250)), 1)
    weights = np.where(kinds[:, None] == kinds, 0.2, -0.3) + noise + noise.T
    expected = {tuple(sorted(label for label in labels if label.label == f"l{kind}")) for kind in kinds}
    assert set(partition_labels(labels, weights)) == expected
