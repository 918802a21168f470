"""Typed merging: equal labels become one, held ones become children."""

from __future__ import annotations

import numpy as np

from builders import make_matrix
from esnera_hf.alignment import Constraints, LabelMapping, build_constraints, typed_mapping
from esnera_hf.alignment.constraints import SchemaSettings
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix, relate

SUPPORT = {"fine:book": 60, "fine:film": 60, "fine:name": 90, "coarse:work": 200, "coarse:PERSON": 150}


def matrix() -> SimilarityMatrix:
    """Return counts in which books and films are works and names are persons."""
    return make_matrix(
        SUPPORT,
        {
            ("fine:book", "coarse:work"): (55, 60),
            ("fine:film", "coarse:work"): (50, 60),
            ("fine:name", "coarse:PERSON"): (120, 130),
            ("coarse:work", "fine:book"): (45, 100),
            ("coarse:work", "fine:film"): (45, 100),
            ("coarse:PERSON", "fine:name"): (80, 85),
        },
        {},
        {("fine:name", "coarse:PERSON"): 0.9, ("coarse:PERSON", "fine:name"): 0.9},
    )


def mapped(constraints: Constraints | None = None) -> LabelMapping:
    return typed_mapping(relate(matrix()), constraints)


def test_equal_labels_become_one_and_parts_become_children() -> None:
    mapping = mapped()
    assert mapping["fine", "name"] == mapping["coarse", "PERSON"] == "PERSON"
    assert dict(mapping.parents) == {"book": "work", "film": "work"}
    assert set(mapping.unified_labels) == {"PERSON", "work", "book", "film"}
    assert LabelMapping.from_yaml(mapping.to_yaml()) == mapping


def test_a_part_is_shown_beside_what_holds_it() -> None:
    found = matrix()
    mapping = typed_mapping(relate(found))
    work = LabelRef("coarse", "work")
    shown = {entry.label: entry for entry in mapping.entries}
    for part in (LabelRef("fine", "book"), LabelRef("fine", "film")):
        entry = shown[part]
        assert entry.compared_with == work
        assert entry.evidence == found.pair(part, work)
    assert shown[LabelRef("fine", "name")].compared_with == LabelRef("coarse", "PERSON")


def test_wishes_hold() -> None:
    labels = matrix().labels
    wishes = build_constraints(
        labels,
        None,
        SchemaSettings(apart=[["fine:name", "coarse:PERSON"]], together=[["fine:book", "coarse:work"]]),
    )
    mapping = mapped(wishes)
    assert mapping["fine", "name"] != mapping["coarse", "PERSON"]
    assert mapping["fine", "book"] == mapping["coarse", "work"] == "work"


def test_the_order_of_the_labels_plays_no_part() -> None:
    first = matrix()
    order = [3, 4, 0, 1, 2]
    cells = np.ix_(order, order)
    turned = SimilarityMatrix(
        tuple(first.labels[i] for i in order),
        first.support[order],
        first.matched[cells],
        first.predicted[cells],
        first.semantic[cells],
        first.overlap[cells],
    )
    one, other = mapped(), typed_mapping(relate(turned))
    assert one.parents == other.parents
    assert {e.label: e.unified for e in one.entries} == {e.label: e.unified for e in other.entries}


def test_no_label_is_above_itself() -> None:
    mapping = mapped()
    for name in mapping.unified_labels:
        assert name not in mapping.ancestors(name)
    assert mapping.root("book") == "work"
    assert mapping[LabelRef("fine", "film")] == "film"
