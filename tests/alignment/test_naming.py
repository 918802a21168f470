"""Label groups become a mapping: heads, names, order and evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import make_matrix
from esnera_hf.alignment.constraints import SchemaSettings, build_constraints
from esnera_hf.alignment.greedy_path import MergeHistory, greedy_merge_path, merge_step, next_step
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.naming import label_groups, mapping_from_history
from esnera_hf.errors import ConservationError
from esnera_hf.similarity.matrix import Agreement
from esnera_hf.tagging import LabelRef


def test_a_group_has_the_name_and_the_evidence_of_its_head() -> None:
    matrix = make_matrix(
        {"a:per": 3, "a:price": 2, "b:name": 5},
        {("a:per", "b:name"): (2, 3), ("b:name", "a:per"): (1, 4), ("b:name", "a:price"): (0, 4)},
        {("a:per", "b:name"): 0.123456, ("a:price", "b:name"): -0.25},
    )
    found = mapping_from_history(greedy_merge_path(matrix, 0.5, 0.3), matrix)
    forward, backward = Agreement(2, 3), Agreement(1, 4)
    alone = -0.25, -0.25, Agreement(0, 0), Agreement(0, 4)
    per, price, name = (LabelRef("a", "per"), LabelRef("a", "price"), LabelRef("b", "name"))
    assert found == LabelMapping(
        ("name", "price"),
        (
            MappedLabel(per, "name", 3, name, round((0.123456 + 2 / 3) / 2, 4), 0.1235, forward, backward),
            MappedLabel(name, "name", 5, per, round((0.123456 + 0.25) / 2, 4), 0.1235, backward, forward),
            MappedLabel(price, "price", 2, name, *alone),
        ),
        "greedy",
        0.5,
    )


def test_labels_that_stay_apart_never_share_a_name() -> None:
    matrix = make_matrix({"a:title": 1, "b:title": 1, "b:title@a": 1, "c:title": 1}, {}, {})
    found = mapping_from_history(greedy_merge_path(matrix, 0.4, 0.4), matrix)
    assert {str(entry.label): entry.unified for entry in found.entries} == {
        "c:title": "title",
        "b:title": "title@b",
        "b:title@a": "title@a",
        "a:title": "title@a@a",
    }
    assert found.unified_labels == ("title", "title@b", "title@a", "title@a@a")


def test_a_label_in_no_group_is_refused() -> None:
    matrix = make_matrix({"a:per": 3, "a:price": 2, "b:name": 5}, {}, {})
    (step,) = greedy_merge_path(matrix, 0.5, 0.3).steps
    groups = tuple(group for group in step.groups if group[0].label != "price")
    lost = MergeHistory((replace(step, groups=groups),))
    with pytest.raises(ConservationError, match="a:price is in no group, though nobody asked"):
        mapping_from_history(lost, matrix)


def test_a_label_is_shown_with_the_label_it_joined() -> None:
    matrix = make_matrix(
        {"a:x": 1, "b:y": 1, "c:z": 1},
        {("a:x", "b:y"): (5, 5), ("b:y", "c:z"): (4, 5)},
        {("a:x", "b:y"): 0.9, ("b:y", "c:z"): 0.9},
    )
    found = mapping_from_history(greedy_merge_path(matrix, 0.4, 0.4), matrix)
    assert found.unified_labels == ("z",)
    assert [(str(e.label), str(e.compared_with), e.similarity) for e in found.entries] == [
        ("a:x", "b:y", 0.94),
        ("b:y", "c:z", 0.86),
        ("c:z", "b:y", 0.9),
    ]


def test_similarities_are_those_at_the_lambda_of_the_last_step_that_merged_by_them() -> None:
    matrix = make_matrix(
        {"a:x": 1, "b:y": 1, "c:z": 1}, {("a:x", "b:y"): (5, 10)}, {("a:x", "b:y"): 0.9, ("b:y", "c:z"): 0.1}
    )
    steps = []
    for lam, tau in ((0.8, 0.2), (0.4, None)):
        step = next_step(matrix, steps)
        assert step is not None
        steps.append(merge_step(step, matrix, lam, tau))
    found = mapping_from_history(MergeHistory(tuple(steps)), matrix)
    assert found.lam == 0.8
    assert {str(e.label): e.similarity for e in found.entries}["a:x"] == round(0.8 * 0.5 + 0.2 * 0.9, 4)


def heads(partition: str, target_schema: Any = None, **asked: Any) -> list[str]:
    """Return the heads of groups of labels, written ``"a:x b:y, c:z"``, in order."""
    support = {"a:book": 10, "a:firm": 20, "b:work": 30, "b:org": 40, "c:title": 50, "c:company": 5}
    matrix = make_matrix(support, {}, {})
    groups = [[LabelRef(*name.split(":")) for name in group.split()] for group in partition.split(", ")]
    constraints = build_constraints(matrix.labels, target_schema, SchemaSettings(**asked))
    return [str(group[0]) for group in label_groups(groups, matrix, constraints)]


ALIKE = "a:book b:work c:title, a:firm b:org c:company"


@pytest.mark.parametrize(
    ("partition", "target_schema", "names", "expected"),
    [
        pytest.param(ALIKE, None, {}, ["b:org", "b:work"], id="b has 70 mentions, c 55"),
        pytest.param(ALIKE, "a", {}, ["a:firm", "a:book"], id="a target gives its names"),
        pytest.param("b:work c:title, a:book", "a", {}, ["a:book", "b:work"], id="and comes first"),
        pytest.param(
            "a:firm b:org c:company, b:work, c:title, a:book",
            {"TITLE": ["c:title"], "ORG": ["a:firm", "b:org"]},
            {"b:work": "TEXT"},
            ["c:title", "b:org", "b:work", "a:book"],
            id="a given schema comes first in its order",
        ),
    ],
)
def test_heads_of_groups(
    partition: str, target_schema: Any, names: dict[str, str], expected: list[str]
) -> None:
    assert heads(partition, target_schema, names=names) == expected
