"""Merging by equivalence: equal labels become one, parts become children."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_matrix, random_relations, with_relations
from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints, SchemaSettings, build_constraints
from esnera_hf.alignment.equivalence_merge import contained_groups, merge_equivalent
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.shared_sentences import RELATIONS
from esnera_hf.tagging import LabelRef

SUPPORT = {"fine:book": 60, "fine:film": 60, "fine:name": 90, "coarse:work": 200, "coarse:PERSON": 150}


def related(
    support: dict[str, int],
    equal: dict[str, float],
    subset: dict[str, float],
    plain: SimilarityMatrix | None = None,
) -> SimilarityMatrix:
    """Return a matrix of probabilities that two labels, ``"a:x b:y"``, are equal, or the first a part of the second."""
    plain = plain or make_matrix(support, {}, {})
    squares = np.zeros((2, len(support), len(support)))
    for square, pairs in zip(squares, (equal, subset), strict=True):
        for pair, probability in pairs.items():
            i, j = map(list(support).index, pair.split())
            square[i, j] = probability
    return with_relations(plain, squares[0] + squares[0].T, squares[1])


def matrix() -> SimilarityMatrix:
    """Return evidence by which books and films are works and names are persons."""
    counts = {("fine:book", "coarse:work"): (55, 60), ("fine:film", "coarse:work"): (50, 60)}
    return related(
        SUPPORT,
        {"fine:name coarse:PERSON": 0.9},
        {"fine:book coarse:work": 0.8, "fine:film coarse:work": 0.7},
        make_matrix(SUPPORT, counts, {("fine:name", "coarse:PERSON"): 0.9}),
    )


def mapped(constraints: Constraints = NO_CONSTRAINTS) -> LabelMapping:
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


@pytest.mark.parametrize(
    ("equal", "subset", "expected"),
    [
        ({}, {"a:book b:art": 0.7, "a:book c:work": 0.9}, {"book": "work"}),
        ({}, {"a:book b:art": 0.9, "a:book c:work": 0.7}, {"book": "art"}),
        # more probably apart
        ({}, {"a:book b:art": 0.45}, {}),
        # of labels that may contain each other the one that does so more probably; and no circle
        ({}, {"a:x b:y": 0.5, "b:y a:x": 0.3}, {"x": "y"}),
        ({}, {"a:x b:y": 0.9, "b:y c:z": 0.8, "c:z a:x": 0.7}, {"x": "y", "y": "z"}),
        # A chance of being equal that is too small says nothing of parts: knowing that they are not, it is a part.
        ({"a:x b:y": 0.4}, {"a:x b:y": 0.35}, {"x": "y"}),
        # Of labels that are one the mean decides, and those with more mentions weigh more.
        ({"a:x b:x": 0.9}, {"a:x c:z": 0.9, "b:x c:z": 0.3}, {"x": "z"}),
        ({"a:many b:few": 0.9}, {"a:many c:z": 0.6}, {"many": "z"}),
        ({"a:many b:few": 0.9}, {"b:few c:z": 0.9}, {}),
    ],
)
def test_the_parent_is_the_label_that_each_is_most_probably_a_part_of(
    equal: dict[str, float], subset: dict[str, float], expected: dict[str, str]
) -> None:
    names = sorted({name for pair in (*equal, *subset) for name in pair.split()})
    support = {name: {"a:many": 900, "b:few": 9}.get(name, 50) for name in names}
    assert dict(merge_equivalent(related(support, equal, subset)).parents) == expected


LABELS = ("a:u", "a:v", "b:w", "b:x", "c:y", "c:z")


@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_groups_are_related_as_their_labels_are_on_average(seed: int, numbers: list[int]) -> None:
    mentions = np.random.default_rng(seed).integers(0, 900, 6).tolist()
    found = random_relations(make_matrix(dict(zip(LABELS, mentions, strict=True)), {}, {}), seed)
    homes: dict[int, list[LabelRef]] = {}
    for label, number in zip(found.labels, numbers, strict=True):
        homes.setdefault(number, []).append(label)
    groups = list(homes.values())
    subset, contained = contained_groups(found, groups)
    for (i, one), (j, other) in product(enumerate(groups), repeat=2):
        means = np.zeros(len(RELATIONS) - 1)
        total = 0.0
        for a, b in product(one, other):
            if i != j and a.source != b.source:
                row, column = found.index[a], found.index[b]
                unequal = found.probabilities[row, column, 1:]
                weight = math.sqrt(max(mentions[row], 1) * max(mentions[column], 1))
                means += weight * unequal / unequal.sum()
                total += weight
        means /= total or 1.0
        assert subset[i, j] == pytest.approx(means[0])
        assert contained[i, j] == (means[0] > 0 and means.argmax() == 0)


def test_more_is_merged_where_less_precision_is_asked_for() -> None:
    equal = {"a:u b:w": 0.9, "a:v b:x": 0.6, "a:t c:z": 0.3}
    found = related(dict.fromkeys((*LABELS, "a:t"), 50), equal, {})
    merged = [
        sum(len(mapping.members(name)) - 1 for name in mapping.unified_labels)
        for mapping in (
            merge_equivalent(found, min_precision=precision) for precision in (0.95, 0.9, 0.75, 0.6)
        )
    ]
    assert merged == [0, 1, 2, 3]


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


@given(st.integers(0, 10_000), st.permutations(range(3)))
def test_the_order_of_the_sources_plays_no_part(seed: int, sources: list[int]) -> None:
    found = random_relations(make_matrix(dict.fromkeys(LABELS, 50), {}, {}), seed)
    order = [2 * source + place for source in sources for place in (0, 1)]
    plain = make_matrix({LABELS[index]: 50 for index in order}, {}, {})
    cells = found.probabilities[np.ix_(order, order)]
    one, other = (
        merge_equivalent(found),
        merge_equivalent(with_relations(plain, cells[..., 0], cells[..., 1])),
    )
    assert one.parents == other.parents
    assert {e.label: e.unified for e in one.entries} == {e.label: e.unified for e in other.entries}
