"""What changes between two mappings, and what an alignment decided anew of an edited one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_diff import MappingDifference, affected_entities, decided_anew
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.tagging import LabelRef
from product_tree import MAPPING


def mapping(text: str, *unified: str, **parents: str) -> LabelMapping:
    """Map labels as ``"a:x=P b:y=None"`` says; each has 3 mentions."""
    pairs = [(LabelRef(*label.split(":")), target) for label, target in (p.split("=") for p in text.split())]
    entries = tuple(MappedLabel(ref, None if name == "None" else name, mentions=3) for ref, name in pairs)
    names = dict.fromkeys(entry.unified for entry in entries if entry.unified is not None)
    return LabelMapping(unified or tuple(names), entries, parents=parents)


BEFORE = mapping("a:x=P b:y=P a:z=Q")


@pytest.mark.parametrize(
    ("before", "after", "renamed", "moved"),
    [
        ("a:x=P b:y=P", "a:x=PER b:y=PER", {"P": "PER"}, []),
        ("a:x=P a:z=Q", "a:x=Q a:z=P", {"P": "Q", "Q": "P"}, []),
        # one of four leaves, half of them leave, into a label that is there and stays, a part of the members leaves
        ("a:x=P b:x=P c:x=P d:x=P", "a:x=Q b:x=Q c:x=Q d:x=R", {"P": "Q"}, ["d:x"]),
        ("a:x=P b:x=P", "a:x=Q b:x=R", {}, ["a:x", "b:x"]),
        ("a:x=P b:y=Q", "a:x=Q b:y=Q", {}, ["a:x"]),
        ("a:x=P b:x=P c:x=P", "a:x=Q b:x=Q c:x=P", {}, ["a:x", "b:x"]),
        # a chain of names whose last one stays, or is gone
        ("a:x=P b:x=P a:y=Q b:y=Q a:z=R", "a:x=Q b:x=Q a:y=R b:y=R a:z=R", {"P": "Q"}, ["a:y", "b:y"]),
        ("a:x=P b:x=P a:y=Q", "a:x=Q b:x=Q a:y=None", {"P": "Q"}, ["a:y"]),
    ],
)
def test_what_is_a_new_name_and_what_a_move(
    before: str, after: str, renamed: dict[str, str], moved: list[str]
) -> None:
    difference = MappingDifference(mapping(before), mapping(after))
    assert difference.renamed == renamed
    assert [str(move[0]) for move in difference.moved] == moved
    assert not difference.reordered


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"P": "U", "Q": "U"}, {"P": "V", "Q": "V"}, ["renamed: U → V"]),
        # a part that leaves, an umbrella that was there and one that stays
        ({"P": "U", "Q": "U"}, {"P": "V"}, ["parent of P: U → V", "parent of Q: U → (no part of another)"]),
        ({"P": "U", "Q": "V"}, {"P": "V", "Q": "V"}, ["parent of P: U → V"]),
        ({"P": "U", "Q": "U"}, {"P": "V", "Q": "V", "V": "U"}, ["parent of P: U → V", "parent of Q: U → V"]),
    ],
)
def test_umbrellas_go_on_where_their_parts_do(
    before: dict[str, str], after: dict[str, str], lines: list[str]
) -> None:
    old, new = (
        mapping("a:x=P b:y=Q", *dict.fromkeys((*tree.values(), "P", "Q")), **tree) for tree in (before, after)
    )
    told = str(MappingDifference(old, new)).split("\n")
    assert [line for line in told if not line.startswith(("another order", "parent of V"))] == lines


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (BEFORE, BEFORE, ["no difference"]),
        (BEFORE, mapping("a:x=PER b:y=PER a:z=Q"), ["renamed: P → PER"]),
        (
            BEFORE,
            mapping("a:x=P b:y=P a:z=Q", "Q", "P"),
            ["another order, and other ids in the dataset: Q, P"],
        ),
        (
            BEFORE,
            mapping("a:x=P b:y=Q a:z=Q"),
            ["moved: b:y: P → Q (3 train mentions)", "become one: a:z and b:y", "no longer one: a:x and b:y"],
        ),
        (BEFORE, mapping("a:x=P b:y=P a:z=None"), ["moved: a:z: Q → (left out) (3 train mentions)"]),
        (
            mapping("a:x=P a:z=None", "P", "Q"),
            mapping("a:x=P a:z=Q"),
            ["moved: a:z: (left out) → Q (3 train mentions)"],
        ),
        (BEFORE, mapping("a:x=P b:y=P c:w=P"), ["new: c:w", "gone: a:z"]),
        # a name without members is a label of its own
        *(
            (
                mapping("a:x=P b:y=P", *old),
                mapping("a:x=Q b:y=Q", *new),
                [f"moved: {label}: P → Q (3 train mentions)" for label in ("a:x", "b:y")],
            )
            for old, new in ((("P", "Q"), ()), ((), ("P", "Q")))
        ),
        (
            replace(MAPPING, parents={}),
            replace(MAPPING, parents={"film": "PRODUCT"}),
            ["parent of film: (no part of another) → PRODUCT"],
        ),
        (
            MAPPING,
            replace(MAPPING, parents={"book": "film", "film": "PRODUCT"}),
            ["parent of book: PRODUCT → film"],
        ),
        # a new name of child or parent moves nothing
        (
            mapping("a:x=P b:y=Q", Q="P"),
            mapping("a:x=Ware b:y=Buch", Buch="Ware"),
            ["renamed: P → Ware", "renamed: Q → Buch"],
        ),
    ],
)
def test_the_difference_as_text(before: LabelMapping, after: LabelMapping, lines: list[str]) -> None:
    difference = MappingDifference(before, after)
    assert str(difference).split("\n") == lines
    assert bool(difference) == (lines != ["no difference"])


def test_the_entities_affected() -> None:
    train = [row("new/B-y york/I-y and oslo/B-y"), row("oslo/B-y")]
    source = make_source("b", {"train": train, "test": [row("lima/B-y rome/B-y x/B-other")]})
    difference = MappingDifference(BEFORE, mapping("a:x=P b:y=None a:z=Q"))
    lines = affected_entities(difference, [source])
    assert lines == ["b:y: 3 in train, 0 in validation, 2 in test; e.g. new york, oslo, lima"]
    assert affected_entities(difference, []) == []


GIVEN = LabelMapping(
    ("WORK", "book", "PER"),
    (
        MappedLabel(LabelRef("a", "work"), "WORK", locked=True),
        MappedLabel(LabelRef("a", "book"), "book"),
        MappedLabel(LabelRef("b", "per"), "PER"),
        MappedLabel(LabelRef("c", "date"), None, locked=True),
    ),
    parents={"book": "WORK"},
    file="edited.yaml",
)
ANEW = {"entries": (*GIVEN.entries[:2], replace(GIVEN.entries[2], unified=None)), "parents": {}}


@pytest.mark.parametrize(
    ("given", "made", "message"),
    [
        (
            {"entries": tuple(replace(entry, locked=True) for entry in GIVEN.entries)},
            {},
            "edited.yaml: 4 of 4 entries are locked and kept.",
        ),
        ({}, {}, "edited.yaml: 2 of 4 entries are locked and kept, 2 decided anew, which changed none."),
        (
            {"file": ""},
            ANEW,
            "mapping: 2 of 4 entries are locked and kept, 2 decided anew; not as in the file: b:per: PER → (left "
            "out), parent of book: WORK → (no part of another). Say locked: true where you want to keep it.",
        ),
    ],
)
def test_what_was_decided_anew(given: dict[str, Any], made: dict[str, Any], message: str) -> None:
    assert decided_anew(replace(GIVEN, **given), replace(GIVEN, **made)) == message


def test_the_first_of_many_are_named() -> None:
    before, after = (mapping(" ".join(f"a:{n}={name}" for n in range(8)), "X", "Y") for name in "XY")
    said = decided_anew(before, after)
    assert "a:4: X → Y, and 3 more. Say" in said
    assert "a:5" not in said
