"""Wishes about the unified schema: what they do to a merge path, and which contradict each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_matrix
from esnera_hf.alignment.constraints import SchemaSettings, build_constraints
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

SUPPORT = {"a:book": 10, "a:firm": 20, "b:work": 30, "b:org": 40, "c:title": 5, "c:company": 50}


def matrix() -> SimilarityMatrix:
    """book ~ work ~ title and firm ~ org ~ company; everything else is unlike."""
    works = {"a:book", "b:work", "c:title"}
    pairs = [(one, other) for one in SUPPORT for other in SUPPORT if one[0] < other[0]]
    return make_matrix(SUPPORT, {}, {pair: 0.8 * (len(works & set(pair)) != 1) for pair in pairs})


def aligned(target_schema: Any = None, **wishes: Any) -> dict[str, set[str]]:
    found = matrix()
    constraints = build_constraints(found.labels, target_schema, SchemaSettings(**wishes))
    mapping = mapping_from_history(greedy_merge_path(found, 0.4, 0.4, constraints), found, constraints)
    return {
        str(unified): {str(member) for member in mapping.members(unified)}
        for unified in (*mapping.unified_labels, None)
        if mapping.members(unified)
    }


STRANGE = LabelMapping((), (MappedLabel(LabelRef("d", "book"), None, locked=True),))
UNKNOWN = LabelMapping((), (MappedLabel(LabelRef("a", "film"), None, locked=True),))
PAIR = ["a:book", "b:org"]
WORKS, FIRMS = {"a:book", "b:work", "c:title"}, {"a:firm", "b:org", "c:company"}


@pytest.mark.parametrize(
    ("target_schema", "asked", "expected"),
    [
        (None, {}, {"title": WORKS, "company": FIRMS}),
        (None, {"names": {"a:firm": "ORG"}}, {"title": WORKS, "ORG": FIRMS}),
        (
            None,
            {"names": {"a:book": "X", "b:work": "Y"}},
            {"Y": {"b:work", "c:title"}, "X": {"a:book"}, "company": FIRMS},
        ),
        (
            None,
            {"names": {"a:book": "X", "c:company": "X"}},
            {"X": {"a:book", "b:work", *FIRMS}, "title": {"c:title"}},
        ),
        ("a", {}, {"book": WORKS, "firm": FIRMS}),
        (["WORK", "Company"], {}, {"WORK": WORKS, "Company": FIRMS}),
        ({"ORG": ["a:firm", "c:company"]}, {}, {"ORG": FIRMS, "title": WORKS}),
        ({"WORK": "b:work"}, {}, {"WORK": WORKS, "org": FIRMS}),
    ],
)
def test_what_is_asked_for_comes_out(
    target_schema: Any, asked: dict[str, Any], expected: dict[str, set[str]]
) -> None:
    assert aligned(target_schema, **asked) == expected


def test_a_whole_class_stays_apart() -> None:
    labels = [LabelRef(*name) for name in ("ax", "by", "cz", "dw", "ev")]
    a, b, c, d, e = labels
    asked = SchemaSettings(must_link=[["a:x", "b:y"], ["c:z", "d:w"]], cannot_link=[["a:x", "c:z"]])
    constraints = build_constraints(labels, None, asked)
    pairs = {frozenset(pair) for pair in ((a, c), (a, d), (b, c), (b, d))}
    assert constraints.cannot_link == constraints.unrelated == pairs
    assert constraints.allow([a], [e])
    assert not constraints.allow([b], [d])
    # Each class waits for the rest of it, which may have to stay apart in a later source.
    assert not replace(constraints, cannot_link=frozenset()).allow([b, e], [d])


def test_two_rows_that_are_to_stay_apart_do_not_meet_in_one_column() -> None:
    alike = make_matrix(
        {"a:x": 1, "a:y": 1, "b:p": 1, "b:q": 1},
        {},
        {("a:x", "b:p"): 0.9, ("a:y", "b:p"): 0.8, ("a:x", "b:q"): 0.1, ("a:y", "b:q"): 0.5},
    )
    constraints = build_constraints(alike.labels, None, SchemaSettings(cannot_link=[["a:x", "a:y"]]))
    path = greedy_merge_path(alike, 0.4, 0.4, constraints)
    assert [sorted(map(str, group)) for group in path.groups] == [["a:x", "b:p"], ["a:y", "b:q"]]


@pytest.mark.parametrize(
    ("name", "labels", "defining"),
    [
        ("title", ["a:TITLE", "b:title", "c:Title"], {"b:title"}),
        ("US", ["a:US", "a:us", "b:us"], {"a:US"}),
        ("Us", ["a:US", "b:us"], {"a:US", "b:us"}),
    ],
)
def test_a_name_is_borne_by_the_labels_that_are_spelt_so_if_there_are_any(
    name: str, labels: list[str], defining: set[str]
) -> None:
    refs = [LabelRef(*label.split(":")) for label in labels]
    assert {str(ref) for ref in build_constraints(refs, [name]).names} == defining


def test_locked_entries_are_kept_and_left_out_labels_stay_so(tmp_path: Path) -> None:
    entries = (
        MappedLabel(LabelRef("a", "book"), "BOOK", locked=True),
        MappedLabel(LabelRef("b", "work"), "WORK", locked=True),
        MappedLabel(LabelRef("c", "title"), None, locked=True),
        MappedLabel(LabelRef("a", "firm"), "anything"),
    )
    mapping = LabelMapping(("BOOK", "WORK", "anything"), entries)
    expected = {"WORK": {"b:work"}, "BOOK": {"a:book"}, "None": {"c:title"}, "company": FIRMS}
    assert aligned(locked=mapping) == expected
    mapping.save(tmp_path / "mapping.yaml")
    assert aligned(locked=tmp_path / "mapping.yaml") == expected


@pytest.mark.parametrize("target_schema", [["book"], {"book": ["a:book"]}])
def test_what_is_together_with_a_label_of_the_schema_goes_there_too(target_schema: Any) -> None:
    found = aligned(target_schema, must_link=[["a:book", "a:firm"]])
    assert found["book"] >= {"a:book", "a:firm"}
    assert set().union(*found.values()) == set(SUPPORT)


def test_labels_that_are_written_alike() -> None:
    labels = [LabelRef("a", "b:c"), LabelRef("a:b", "c"), LabelRef("d", "e")]
    for wishes in ({"names": {"a:b:c": "X"}}, {"must_link": [["a:b:c", "d:e"]]}):
        with pytest.raises(ConfigurationError, match="'a:b:c' is 'b:c' of 'a' and 'c' of 'a:b'"):
            build_constraints(labels, None, SchemaSettings(**wishes))  # type: ignore[arg-type]
    mapping = LabelMapping((), (MappedLabel(labels[0], None, locked=True),))
    assert build_constraints(labels, None, SchemaSettings(locked=mapping)).left_out == {labels[0]}


def test_locked_lines_stay_locked() -> None:
    found = matrix()
    constraints = build_constraints(found.labels, None, SchemaSettings(names={"a:firm": "ORG"}))
    mapping = mapping_from_history(greedy_merge_path(found, 0.4, 0.4, constraints), found, constraints)
    again = build_constraints(found.labels, None, SchemaSettings(locked=mapping))
    assert again.names == {LabelRef("a", "firm"): "ORG"}


@given(data=st.data())
def test_wishes_are_met_whatever_the_similarities(data: st.DataObject) -> None:
    labels = list(SUPPORT)
    pairs = st.lists(st.sampled_from(labels), min_size=2, max_size=2, unique=True)
    defining = st.fixed_dictionaries({"X": st.lists(st.sampled_from(labels), min_size=1, max_size=2)})
    target_schema = data.draw(st.none() | st.sampled_from("abc") | defining)
    together = data.draw(st.lists(pairs, max_size=2))
    apart = data.draw(st.lists(pairs, max_size=3))
    found = matrix()
    try:
        constraints = build_constraints(found.labels, target_schema, SchemaSettings({}, together, apart))
    except ConfigurationError:
        return
    tau = data.draw(st.sampled_from([-1.0, -0.1, 0.4, 0.9]))
    path = greedy_merge_path(found, 0.4, tau, constraints)
    home = {str(member): index for index, group in enumerate(path.groups) for member in group}
    assert sorted(home) == sorted(labels)
    assert all(home[one] == home[other] for one, other in together)
    assert all(home[one] != home[other] for one, other in apart)
    mapping = mapping_from_history(path, found, constraints)
    assert all(entry.unified is not None for entry in mapping.entries)


@pytest.mark.parametrize(
    ("target_schema", "wishes", "message"),
    [
        ("d", {}, "target_schema='d': expected one of the sources, a, b, c"),
        (["WORK", "nothing"], {}, "no label of the sources is called 'nothing'"),
        ([], {}, "target_schema: found no name, expected at least one"),
        ({}, {}, "target_schema: found no name, expected at least one"),
        (
            None,
            {"must_link": [["a:book"]]},
            "must_link: found a group of a:book, expected two labels or more",
        ),
        (None, {"cannot_link": [[]]}, "cannot_link: found a group of no label, expected two labels or more"),
        (None, {"must_link": PAIR}, "must_link: found 'a:book', expected a list of groups of labels"),
        (None, {"cannot_link": PAIR}, "cannot_link: found 'a:book', expected a list of groups of labels"),
        ({"X": []}, {}, "no label of the sources is called 'X'"),
        ({"X": ["a:none"]}, {}, "target_schema, X: 'a:none' is no label of the sources"),
        (None, {"names": {"book": "X"}}, "names: 'book' is no label of the sources. Expected source:label"),
        (None, {"names": {"a:book": "O"}}, "a:book: its unified name is 'O'"),
        (None, {"must_link": [["a:book", "x"]]}, "must_link: 'x' is no label"),
        (
            None,
            {"locked": STRANGE},
            "mapping, locked: 'd:book' is of 'd', which is none of the sources: a, b, c. Give",
        ),
        (None, {"locked": UNKNOWN}, "mapping, locked: 'a:film' is no label of the sources. Expected source:"),
        (
            None,
            {"must_link": [["a:book", "b:org"]], "cannot_link": [["b:org", "a:book"]]},
            "a:book and b:org are to become one",
        ),
        ({"X": ["a:book"]}, {"names": {"a:book": "Y"}}, "a:book is to be called 'X' and 'Y'"),
        (
            None,
            {"names": {"a:book": "X", "b:org": "Y"}, "must_link": [["a:book", "b:org"]]},
            "are to become one label and to stay apart",
        ),
    ],
)
def test_what_cannot_be_met_is_refused(target_schema: Any, wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_constraints(matrix().labels, target_schema, SchemaSettings(**wishes))
    assert message in str(caught.value)


def test_a_name_of_two_labels_of_a_source_but_for_their_case_is_refused() -> None:
    labels = [LabelRef("a", "US"), LabelRef("a", "us"), LabelRef("b", "US")]
    with pytest.raises(ConfigurationError, match=r"'Us' is .* several labels of a, .*: a:US, a:us\. Name"):
        build_constraints(labels, ["Us"])
