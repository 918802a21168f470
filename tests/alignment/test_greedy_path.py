"""The greedy merge path against cases computed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from builders import make_matrix
from esnera_hf.alignment.constraints import SchemaSettings, build_constraints
from esnera_hf.alignment.greedy_path import (
    MergeDecision,
    MergeHistory,
    greedy_merge_path,
    merge_step,
    next_step,
)
from esnera_hf.alignment.groups import LabelGroup
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef


def ref(name: str) -> LabelRef:
    return LabelRef(*name.split(":"))


def group(head: str, *others: str) -> LabelGroup:
    return ref(head), *map(ref, others)


def two_sources() -> SimilarityMatrix:
    """Books and movies of a are works of b; people are people; prices are alone."""
    return make_matrix(
        {"a:book": 10, "a:movie": 20, "a:per": 30, "a:price": 5, "b:name": 40, "b:work": 50},
        {
            **{("a:book", "b:work"): (8, 10), ("a:book", "b:name"): (0, 10)},
            **{("a:movie", "b:work"): (6, 12), ("a:movie", "b:name"): (1, 12)},
            **{("a:per", "b:name"): (9, 10), ("a:per", "b:work"): (1, 10), ("b:name", "a:per"): (5, 10)},
            **{("b:work", "a:book"): (2, 10), ("b:work", "a:movie"): (3, 10)},
        },
        {
            **{("a:book", "b:work"): 0.5, ("a:book", "b:name"): -0.5},
            **{("a:movie", "b:work"): 0.75, ("a:movie", "b:name"): 0.0},
            **{("a:per", "b:name"): 0.75, ("a:per", "b:work"): 0.25},
            **{("a:price", "b:name"): 0.25, ("a:price", "b:work"): 0.125},
        },
    )


def test_two_sources() -> None:
    path = greedy_merge_path(two_sources(), lam=0.5, tau=0.4)
    (step,) = path.steps
    assert (step.sources, step.target) == (("a",), "b")
    assert step.sum_empirical == pytest.approx(0.8 + 0.5 + 1 / 12 + 0.9 + 0.1)
    assert step.decisions == (
        MergeDecision(group("a:book"), ref("b:work"), 0.65, 0.5, 8, 10, merged=True),
        MergeDecision(group("a:movie"), ref("b:work"), 0.625, 0.75, 6, 12, merged=True),
        MergeDecision(group("a:per"), ref("b:name"), 0.825, 0.75, 9, 10, merged=True),
        MergeDecision(group("a:price"), ref("b:name"), 0.25, 0.25, 0, 0, merged=False),
    )
    assert path.groups == (group("b:name", "a:per"), group("b:work", "a:book", "a:movie"), group("a:price"))
    assert (step.lam, step.tau, step.merged) == (0.5, 0.4, 3)
    assert step.similarity == pytest.approx(0.65 + 0.625 + 0.825)


@pytest.mark.parametrize(("tau", "merged"), [(0.5, False), (math.nextafter(0.5, 0), True), (1.0, False)])
def test_a_similarity_equal_to_tau_does_not_merge(tau: float, merged: bool) -> None:
    matrix = make_matrix({"a:x": 1, "b:y": 1}, {("a:x", "b:y"): (1, 2)}, {("a:x", "b:y"): 0.5})
    path = greedy_merge_path(matrix, lam=0.5, tau=tau)
    assert (path.steps[0].decisions[0].similarity, path.steps[0].decisions[0].merged) == (0.5, merged)
    assert path.groups == ((group("b:y", "a:x"),) if merged else (group("b:y"), group("a:x")))


def test_what_is_unknown() -> None:
    nothing = greedy_merge_path(make_matrix({"a:x": 1, "b:y": 1}, {}, {}), lam=0.4, tau=-1)
    assert nothing.steps[0].decisions == (MergeDecision(group("a:x"), None, None, None, 0, 0, merged=False),)
    assert nothing.groups == (group("b:y"), group("a:x"))
    empirical = make_matrix({"a:x": 1, "b:y": 1}, {("a:x", "b:y"): (3, 4)}, {})
    (decision,) = greedy_merge_path(empirical, lam=0.1, tau=0.7).steps[0].decisions
    assert decision == MergeDecision(group("a:x"), ref("b:y"), 0.75, None, 3, 4, merged=True)


def test_what_is_equal_is_settled_by_name() -> None:
    path = greedy_merge_path(make_matrix({"c:z": 1, "a:x": 1, "b:y": 1}, {}, {}), lam=0.4, tau=0.4)
    assert [(step.sources, step.target) for step in path.steps] == [(("a",), "b"), (("a", "b"), "c")]
    matrix = make_matrix({"a:x": 1, "b:p": 1, "b:q": 1}, {}, {("a:x", "b:p"): 0.5, ("a:x", "b:q"): 0.5})
    assert greedy_merge_path(matrix, lam=0.4, tau=0.4).groups == (group("b:p", "a:x"), group("b:q"))


def three_sources() -> SimilarityMatrix:
    """The path is c → a → b: c:firm and a:company become one and are then compared with b:org."""
    return make_matrix(
        {"a:company": 30, "a:place": 10, "b:org": 50, "b:gpe": 20, "c:firm": 10, "c:date": 5},
        {
            **{("c:firm", "a:company"): (9, 10), ("c:firm", "a:place"): (0, 10)},
            **{("c:firm", "b:org"): (1, 10), ("c:firm", "b:gpe"): (0, 10)},
            **{("c:date", "b:org"): (0, 2), ("c:date", "b:gpe"): (0, 2)},
            **{("a:company", "b:org"): (14, 20), ("a:company", "b:gpe"): (1, 20)},
            **{("a:place", "b:gpe"): (0, 4), ("a:place", "b:org"): (0, 4), ("a:company", "c:firm"): (1, 10)},
            **{("b:org", "a:company"): (1, 10), ("b:gpe", "c:firm"): (0, 10)},
        },
        {
            **{("c:firm", "a:company"): 0.8, ("c:firm", "b:org"): 0.1, ("a:company", "b:org"): 0.5},
            **{("a:place", "b:gpe"): 0.7, ("c:date", "b:gpe"): 0.3},
        },
    )


def test_three_sources() -> None:
    path = greedy_merge_path(three_sources(), lam=0.5, tau=0.34)
    first, second = path.steps
    assert (first.sources, first.target, first.sum_empirical) == (("c",), "a", 0.9)
    assert (second.sources, second.target) == (("c", "a"), "b")
    assert [(d.group, d.candidate, d.merged) for d in first.decisions] == [
        (group("c:firm"), ref("a:company"), True),
        (group("c:date"), None, False),
    ]
    company, place, date = second.decisions
    # the counts of company and firm are added up, their semantic similarities averaged by support
    assert company.group == group("a:company", "c:firm")
    assert (company.matched, company.predicted) == (15, 30)
    assert company.semantic == pytest.approx((30 * 0.5 + 10 * 0.1) / 40)
    assert company.similarity == pytest.approx((0.4 + 0.5) / 2)
    assert (company.candidate, company.merged) == (ref("b:org"), True)
    assert (place.candidate, place.similarity, place.merged) == (ref("b:gpe"), 0.35, True)
    assert (date.candidate, date.similarity, date.merged) == (ref("b:gpe"), 0.15, False)
    assert second.sum_empirical == pytest.approx(15 / 30 + 1 / 30)
    assert path.groups == (
        group("b:org", "a:company", "c:firm"),
        group("b:gpe", "a:place"),
        group("c:date"),
    )
    assert (first.merged, second.merged) == (1, 2)


def test_the_next_target_has_the_highest_sum_with_everything_merged_so_far() -> None:
    matrix = make_matrix(
        {"a:w": 1, "b:x": 1, "c:y": 1, "d:z": 1},
        {
            **{("a:w", "b:x"): (10, 10), ("a:w", "c:y"): (6, 10), ("b:x", "c:y"): (0, 30)},
            **{("a:w", "d:z"): (2, 10), ("b:x", "d:z"): (9, 30)},
        },
        {},
    )
    merged = greedy_merge_path(matrix, lam=1.0, tau=0.5)
    # as one group w and x have 6/40 with y and 11/40 with z
    assert [step.target for step in merged.steps] == ["b", "d", "c"]
    assert [step.sum_empirical for step in merged.steps] == [1.0, 0.275, 0.15]
    # apart, their sums are 0.6 + 0 with y and 0.2 + 0.3 with z
    apart = greedy_merge_path(matrix, lam=1.0, tau=1.0)
    assert [step.target for step in apart.steps] == ["b", "c", "d"]
    assert [step.sum_empirical for step in apart.steps] == [1.0, 0.6, 0.5]


@pytest.mark.parametrize("order", [(4, 5, 2, 3, 0, 1), (2, 3, 4, 5, 0, 1)])
def test_the_order_of_sources_plays_no_part_and_every_label_ends_in_one_group(order: tuple[int, ...]) -> None:
    matrix, moved = three_sources(), list(order)
    shuffled = SimilarityMatrix(
        tuple(matrix.labels[i] for i in moved),
        matrix.support[moved],
        *(cells[np.ix_(moved, moved)] for cells in (matrix.matched, matrix.predicted, matrix.semantic)),
    )
    for tau in (-1.0, 0.2, 0.34, 0.6, 1.0):
        path = greedy_merge_path(matrix, 0.5, tau)
        assert greedy_merge_path(shuffled, 0.5, tau) == path
        assert sorted(m for g in path.groups for m in g) == sorted(matrix.labels)


def test_one_source_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least two"):
        greedy_merge_path(make_matrix({"a:x": 1, "a:y": 1}, {}, {}), 0.4, 0.4)


@pytest.mark.parametrize("target_schema", [["org"], {"org": ["b:org"]}, {"org": ["b:org", "a:company"]}])
def test_every_step_counts_the_sources_that_define_the_schema(target_schema: Any) -> None:
    matrix = three_sources()
    constraints = build_constraints(matrix.labels, target_schema)
    path, seen = MergeHistory(), {label.source for label in constraints.names}
    while (step := next_step(matrix, path.steps, constraints)) is not None:
        path = MergeHistory((*path.steps, merge_step(step, matrix, 0.5, 0.34, constraints)))
        seen |= set(step.sources)
        assert set(path.sources) == seen
        mapping = mapping_from_history(path, matrix, constraints)
        mapping.check_fits(label for label in matrix.labels if label.source in path.sources)
    assert seen == {"a", "b", "c"}
    assert path.groups[0] == group("b:org", "a:company", "c:firm")


def test_further_labels_of_the_sources_that_define_a_schema_are_there_to_be_joined() -> None:
    matrix = make_matrix(
        {"a:loc": 9, "a:per": 9, "b:city": 5, "b:person": 5},
        {},
        {("a:loc", "b:city"): 0.8, ("a:per", "b:person"): 0.8, ("a:loc", "b:person"): 0.5},
    )
    path = greedy_merge_path(matrix, 0.4, 0.4, build_constraints(matrix.labels, {"LOC": ["a:loc"]}))
    assert set(path.groups) == {group("a:loc", "b:city"), group("a:per", "b:person")}
    assert [step.sources for step in path.steps] == [("b",), ("a",)]


def test_a_schema_that_takes_in_every_label_leaves_nothing_to_decide() -> None:
    matrix = make_matrix({"a:x": 1, "b:y": 1}, {}, {("a:x", "b:y"): 0.5})
    path = greedy_merge_path(matrix, 0.4, 0.4, build_constraints(matrix.labels, {"X": ["a:x", "b:y"]}))
    assert path.groups == (group("a:x", "b:y"),)
    assert [step.decisions for step in path.steps] == [()]


def test_wishes_between_the_sources_that_define_a_schema_hold_in_every_step() -> None:
    matrix = make_matrix({"a:x": 1, "a:p": 1, "b:y": 1, "b:q": 2, "c:r": 3}, {}, {})
    wishes = SchemaSettings(names={"a:p": "P", "b:q": "P"})
    constraints = build_constraints(matrix.labels, {"X": ["a:x", "b:y"]}, wishes)
    step = next_step(matrix, (), constraints)
    assert step is not None
    path = MergeHistory((merge_step(step, matrix, 0.4, 0.4, constraints),))
    assert group("b:q", "a:p") in path.groups
    assert mapping_from_history(path, matrix, constraints).members("P") == (ref("a:p"), ref("b:q"))


@pytest.mark.parametrize(
    ("counts", "lam", "merged"),
    [
        # Neither tagger ever finds the other's label: vectors alone decide nothing.
        ({}, 0.4, False),
        ({("a:x", "b:y"): (0, 3)}, 0.1, True),
        ({("b:y", "a:x"): (2, 3)}, 0.4, True),
        ({}, 0.0, True),  # by vectors alone, as asked for
    ],
)
def test_what_is_never_found_is_not_merged_by_vectors_alone(
    counts: dict[tuple[str, str], tuple[int, int]], lam: float, merged: bool
) -> None:
    support = {"a:x": 9, "a:per": 9, "b:y": 20, "b:per": 20}
    people = {("a:per", "b:per"): (9, 10), ("b:per", "a:per"): (9, 10)}
    vectors = {("a:x", "b:y"): 0.95, ("a:per", "b:per"): 0.9}
    history = greedy_merge_path(make_matrix(support, {**people, **counts}, vectors), lam, 0.4)
    assert sorted(decision.merged for decision in history.steps[0].decisions) == [merged, True]
    # Where nothing was counted at all, as without taggers, vectors are all there is.
    bare = greedy_merge_path(make_matrix(support, {}, vectors), lam, 0.4)
    assert all(decision.merged for decision in bare.steps[0].decisions)
