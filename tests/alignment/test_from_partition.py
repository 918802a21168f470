"""A partition becomes a mapping: heads, names, order and evidence."""

from __future__ import annotations

from typing import Any

import pytest

from builders import make_matrix
from esnera_hf.alignment import (
    LabelMapping,
    LabelPartition,
    MappedLabel,
    MappingStage,
    SchemaSettings,
    build_constraints,
    mapping_from_partition,
    partition_labels,
    symmetric_weights,
)
from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import Agreement, PairEvidence, SimilarityMatrix

NOTHING = Agreement(0, 0)
SUPPORT = {"a:book": 10, "a:firm": 20, "b:work": 30, "b:org": 40, "c:title": 50, "c:company": 5}


def matrix() -> SimilarityMatrix:
    """book ~ work ~ title and firm ~ org ~ company; everything else is unlike."""
    alike = [("a:book", "b:work"), ("a:book", "c:title"), ("b:work", "c:title")]
    alike += [("a:firm", "b:org"), ("a:firm", "c:company"), ("b:org", "c:company")]
    names = list(SUPPORT)
    semantic = {(one, other): 0.0 for one in names for other in names if one[0] < other[0]}
    return make_matrix(SUPPORT, {}, {**semantic, **dict.fromkeys(alike, 0.8)})


def aligned(found: SimilarityMatrix, into: Any = None, **wishes: Any) -> LabelMapping:
    constraints = build_constraints(found.labels, into, SchemaSettings(**wishes))
    partition = partition_labels(found.labels, symmetric_weights(found, 0.4, 0.4), constraints)
    return mapping_from_partition(partition, found, found.merged(0.4), 0.4, constraints)


def members(mapping: LabelMapping) -> dict[str, str]:
    return {
        str(unified): " ".join(map(str, mapping.members(unified)))
        for unified in (*mapping.unified_labels, None)
    }


WORKS, FIRMS = "a:book b:work c:title", "a:firm b:org c:company"


def test_names_are_those_of_the_source_with_most_mentions() -> None:
    """b has 70 mentions, c 55, though no label has as many as title."""
    mapping = aligned(matrix())
    assert members(mapping) == {"org": FIRMS, "work": WORKS, "None": ""}
    assert mapping.unified_labels == ("org", "work")
    assert mapping.stages == (MappingStage(("a", "b", "c"), "(all at once)", None, 0.4),)
    assert LabelMapping.from_yaml(mapping.to_yaml()) == mapping


def test_the_order_of_sources_plays_no_part() -> None:
    found = matrix()
    names = list(reversed(SUPPORT))
    semantic = {
        (one, other): float(found.semantic[i, j])
        for i, one in enumerate(SUPPORT)
        for j, other in enumerate(SUPPORT)
        if i < j
    }
    moved = aligned(make_matrix({name: SUPPORT[name] for name in names}, {}, semantic))
    assert moved.unified_labels == aligned(found).unified_labels
    for unified in moved.unified_labels:
        assert set(moved.members(unified)) == set(aligned(found).members(unified))


def test_a_target_gives_its_names_and_comes_first() -> None:
    mapping = aligned(matrix(), into="a", apart=[["b:work", "a:book"]])
    assert members(mapping) == {"firm": FIRMS, "book": "a:book c:title", "work": "b:work", "None": ""}
    assert mapping.unified_labels == ("firm", "book", "work")
    assert mapping.stages == (MappingStage(("b", "c"), "a", None, 0.4),)


def test_a_given_schema_comes_first_in_its_order() -> None:
    mapping = aligned(
        matrix(), into={"WORK": ["c:title"], "ORG": ["a:firm", "b:org"]}, names={"b:work": "TEXT"}
    )
    assert mapping.unified_labels[:2] == ("WORK", "ORG")
    assert members(mapping)["ORG"] == FIRMS
    assert "b:work" in members(mapping)["TEXT"]
    assert [str(entry.label) for entry in mapping.entries if entry.locked] == [
        "c:title",
        "a:firm",
        "b:org",
        "b:work",
    ]


def test_left_out_labels_go_nowhere() -> None:
    locked = LabelMapping((), (MappedLabel(LabelRef("c", "title"), None, locked=True),))
    mapping = aligned(matrix(), locked=locked)
    assert members(mapping) == {"org": FIRMS, "work": "a:book b:work", "None": "c:title"}
    assert mapping.entries[-1].locked


def test_labels_that_stay_apart_never_share_a_name() -> None:
    mapping = aligned(make_matrix({"a:title": 1, "b:title": 3, "c:title": 3, "c:title@a": 9}, {}, {}))
    assert {entry.unified: str(entry.label) for entry in mapping.entries} == {
        "title@a": "c:title@a",
        "title": "b:title",
        "title@c": "c:title",
        "title@a@a": "a:title",
    }


def test_entries_show_the_most_similar_label_of_their_group_or_else_of_all() -> None:
    matrix = make_matrix(
        {"a:per": 3, "a:price": 2, "b:name": 5, "c:person": 4},
        {("a:per", "b:name"): (2, 4), ("b:name", "a:per"): (1, 4)},
        {
            ("a:per", "b:name"): 0.123456,
            ("a:per", "c:person"): 0.9,
            ("b:name", "c:person"): 0.8,
            ("a:price", "b:name"): -0.25,
        },
    )
    groups = (
        (LabelRef("a", "per"), LabelRef("b", "name")),
        (LabelRef("a", "price"),),
        (LabelRef("c", "person"),),
    )
    mapping = mapping_from_partition(LabelPartition(groups, ()), matrix, matrix.merged(0.5), 0.2)
    per, price, name, person = matrix.labels
    forward, backward = Agreement(2, 4), Agreement(1, 4)
    assert mapping.entries == (
        MappedLabel(person, "person", "equal", 4, per, 0.9, PairEvidence(0.9, NOTHING, NOTHING)),
        MappedLabel(per, "per", "equal", 3, name, 0.3117, PairEvidence(0.1235, forward, backward)),
        MappedLabel(name, "per", "equal", 5, per, 0.1867, PairEvidence(0.1235, backward, forward)),
        MappedLabel(price, "price", "equal", 2, name, -0.25, PairEvidence(-0.25, NOTHING, NOTHING)),
    )


def test_a_partition_of_other_labels_is_refused() -> None:
    found = matrix()
    groups = tuple((label,) for label in found.labels[1:])
    with pytest.raises(
        ConfigurationError, match="a:book is in the partition or in the similarities, not in both"
    ):
        mapping_from_partition(LabelPartition(groups, ()), found, found.merged(0.4), 0.4)
