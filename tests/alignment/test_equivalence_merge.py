"""Typed merging: equal labels become one, held ones become children."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import make_matrix, with_relations
from esnera_hf.alignment.constraints import Constraints, SchemaSettings, build_constraints
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

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
    return merge_equivalent(matrix(), constraints)


def test_equal_labels_become_one_and_parts_become_children() -> None:
    mapping = mapped()
    assert mapping["fine", "name"] == mapping["coarse", "PERSON"] == "PERSON"
    assert dict(mapping.parents) == {"book": "work", "film": "work"}
    assert set(mapping.unified_labels) == {"PERSON", "work", "book", "film"}
    # A part is shown beside what contains it.
    shown = {entry.label.label: entry for entry in mapping.entries}
    work, found = LabelRef("coarse", "work"), matrix()
    for part in ("book", "film"):
        entry = shown[part]
        assert entry.compared_with == work
        assert (entry.semantic, entry.forward, entry.backward) == found.pair(entry.label, work)
    assert shown["name"].compared_with == LabelRef("coarse", "PERSON")


def test_what_contains_two_labels_of_a_source_is_above_both_though_each_seems_as_large() -> None:
    labels = dict.fromkeys(("a:artist", "a:other", "a:band", "b:PER", "c:person", "c:group"), 50)
    found = make_matrix(labels, {}, {})
    covered, mutual = np.full((6, 6), np.nan), np.full((6, 6), np.nan)
    artist, other, band, per, person, group = range(6)
    across = np.array([[one.source != two.source for two in found.labels] for one in found.labels])
    covered[across], mutual[across] = 0.1, 0.2
    mutual[per, person] = mutual[person, per] = 0.9
    for whole in (per, person):
        covered[artist, whole], covered[whole, artist] = 0.8, 0.75
        covered[other, whole] = 0.7
    covered[band, group], covered[group, band] = 0.8, 0.75
    mapping = merge_equivalent(with_relations(found, mutual, covered))
    assert mapping["b", "PER"] == mapping["c", "person"]
    assert dict(mapping.parents) == dict.fromkeys(
        (mapping["a", "artist"], mapping["a", "other"]), mapping["b", "PER"]
    )
    # What a label is one with covers no further label by that.
    mutual[other, per] = mutual[per, other] = mutual[other, person] = mutual[person, other] = 0.9
    assert not merge_equivalent(with_relations(found, mutual, covered)).parents


def parents(covered: dict[str, float]) -> dict[str, str]:
    """Return the parents of labels that nothing makes equal, by how much the first covers the second, ``"a:x b:y"``."""
    names = sorted({name for pair in covered for name in pair.split()})
    found = make_matrix(dict.fromkeys(names, 50), {}, {})
    across = ~found.same_source
    coverage, equal = np.where(across, 0.1, np.nan), np.where(across, 0.2, np.nan)
    for pair, share in covered.items():
        part, whole = (names.index(name) for name in pair.split())
        coverage[part, whole] = share
    return dict(merge_equivalent(with_relations(found, equal, coverage)).parents)


ONE_WAY = {"a:x b:y": 0.8, "a:z b:y": 0.8, "b:y a:x": 0.7}


@pytest.mark.parametrize(
    ("covered", "expected"),
    [
        ({"a:book b:art": 0.7, "a:book c:work": 0.9}, {"book": "work"}),
        ({"a:book b:art": 0.9, "a:book c:work": 0.7}, {"book": "art"}),
        # of labels that contain each other neither is a part
        (ONE_WAY, {"x": "y", "z": "y"}),
        ({**ONE_WAY, "b:w a:x": 0.8}, {"z": "y", "w": "x"}),
    ],
)
def test_the_parent_is_the_label_that_covers_most(
    covered: dict[str, float], expected: dict[str, str]
) -> None:
    assert parents(covered) == expected


def test_constraints_hold() -> None:
    labels = matrix().labels
    asked = SchemaSettings({}, [["fine:book", "coarse:work"]], [["fine:name", "coarse:PERSON"]])
    mapping = mapped(build_constraints(labels, None, asked))
    assert mapping["fine", "name"] != mapping["coarse", "PERSON"]
    assert mapping["fine", "book"] == mapping["coarse", "work"] == "work"


def locked(mapping: LabelMapping, *unlocked: str) -> Constraints:
    """Return constraints that keep a mapping, but for some labels."""
    entries = tuple(replace(entry, locked=entry.label.label not in unlocked) for entry in mapping.entries)
    return build_constraints(matrix().labels, None, SchemaSettings(locked=replace(mapping, entries=entries)))


def edited(parents: dict[str, str], *added: str) -> LabelMapping:
    mapping = mapped()
    return replace(mapping, unified_labels=(*mapping.unified_labels, *added), parents=parents)


@pytest.mark.parametrize(
    ("parents", "added"),
    [
        ({}, ()),
        ({"book": "work"}, ()),
        ({"film": "work", "book": "film"}, ()),
        ({"book": "THING", "work": "THING"}, ("THING",)),
        ({"book": "work", "film": "work", "work": "THING", "THING": "ALL"}, ("THING", "ALL")),
    ],
)
def test_a_locked_mapping_keeps_its_tree(parents: dict[str, str], added: tuple[str, ...]) -> None:
    mapping = mapped(locked(edited(parents, *added)))
    assert dict(mapping.parents) == parents
    assert set(mapping.unified_labels) == {"PERSON", "work", "book", "film", *added}


def test_a_label_that_is_not_locked_gets_its_parent_anew() -> None:
    assert dict(mapped(locked(edited({}), "film")).parents) == {"film": "work"}
    assert dict(mapped(locked(edited({"film": "PERSON"}), "film", "name", "PERSON")).parents) == {
        "film": "work"
    }


def test_no_other_label_takes_the_name_of_a_locked_one_that_none_bears() -> None:
    mapping = mapped(locked(edited({"book": "film@fine", "film@fine": "PERSON"}, "film@fine"), "film"))
    assert mapping["fine", "film"] == "film"
    named = replace(edited({}), unified_labels=("PERSON", "work", "book", "film"), parents={"book": "film"})
    entries = tuple(
        replace(entry, unified="work") if entry.unified == "film" else entry for entry in named.entries
    )
    mapping = mapped(locked(replace(named, entries=entries), "film"))
    assert mapping["fine", "film"] == "film@fine"
    assert mapping.parents["book"] == "film"


def test_greedy_merging_keeps_a_locked_tree_too() -> None:
    constraints = locked(edited({"book": "THING", "THING": "PERSON"}, "THING"))
    path = greedy_merge_path(matrix(), 0.4, 0.4, constraints)
    mapping = mapping_from_history(path, matrix(), constraints)
    assert dict(mapping.parents) == {"book": "THING", "THING": "PERSON"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (SchemaSettings(cannot_link=[["fine:book", "coarse:work"]]), {"film": "work"}),
        (SchemaSettings({"fine:book": "X", "coarse:work": "Y"}), {"X": "Y", "film": "Y"}),
    ],
)
def test_what_is_to_stay_apart_is_no_part_either(asked: SchemaSettings, expected: dict[str, str]) -> None:
    assert dict(mapped(build_constraints(matrix().labels, None, asked)).parents) == expected


@pytest.mark.parametrize(
    ("tree", "pair", "expected"),
    [
        ({"work": "PERSON"}, {("fine", "film"), ("coarse", "PERSON")}, {"work": "PERSON"}),
        ({"PERSON": "film"}, {("fine", "name"), ("coarse", "work")}, {"PERSON": "film"}),
        ({"PERSON": "film"}, set(), {"PERSON": "film", "film": "work"}),
        # a work is not put round what it is a part of
        ({"work": "film"}, set(), {"work": "film"}),
    ],
)
def test_what_is_to_stay_apart_is_no_part_by_way_of_others(
    tree: dict[str, str], pair: set[tuple[str, str]], expected: dict[str, str]
) -> None:
    unrelated = frozenset({frozenset(LabelRef(*name) for name in pair)} if pair else ())
    asked = replace(locked(edited(tree), "film"), unrelated=unrelated)
    assert dict(mapped(asked).parents) == expected


def test_the_order_of_the_labels_plays_no_part() -> None:
    found, order = matrix(), [3, 4, 0, 1, 2]
    squares = (found.matched, found.predicted, found.semantic, found.overlap)
    cells = (square[np.ix_(order, order)] for square in squares)
    turned = SimilarityMatrix(tuple(found.labels[i] for i in order), found.support[order], *cells)
    one, other = mapped(), merge_equivalent(turned)
    assert one.parents == other.parents
    assert {e.label: e.unified for e in one.entries} == {e.label: e.unified for e in other.entries}
