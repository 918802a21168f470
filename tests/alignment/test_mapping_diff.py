"""What changes between two mappings, and what an alignment decided anew of an edited one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_diff import affected_entities, compare_mappings, decided_anew
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.tagging import LabelRef
from product_tree import MAPPING


def mapping(**entries: str | None) -> LabelMapping:
    """Map labels written ``source_label``; each has 3 mentions."""
    names = dict.fromkeys(target for target in entries.values() if target is not None)
    mapped = (MappedLabel(LabelRef(*name.split("_")), target, mentions=3) for name, target in entries.items())
    return LabelMapping(tuple(names), tuple(mapped))


def ref(name: str) -> LabelRef:
    return LabelRef(*name.split("_"))


ABCD = ("a_x", "b_x", "c_x", "d_x")
FLAT = replace(MAPPING, parents={})
BEFORE = mapping(a_x="P", b_y="P", a_z="Q")


def test_nothing() -> None:
    difference = compare_mappings(BEFORE, BEFORE)
    assert not difference
    assert str(difference) == "no difference"


@pytest.mark.parametrize(
    ("before", "after", "renamed", "moved"),
    [
        ({"a_x": "P", "b_y": "P"}, {"a_x": "PER", "b_y": "PER"}, {"P": "PER"}, []),
        ({"a_x": "P", "a_z": "Q"}, {"a_x": "Q", "a_z": "P"}, {"P": "Q", "Q": "P"}, []),
        # one of four leaves
        (dict.fromkeys(ABCD, "P"), {**dict.fromkeys(ABCD, "Q"), "d_x": "R"}, {"P": "Q"}, ["d:x"]),
        # half of them leave
        ({"a_x": "P", "b_x": "P"}, {"a_x": "Q", "b_x": "R"}, {}, ["a:x", "b:x"]),
        # into a label that is there and stays
        ({"a_x": "P", "b_y": "Q"}, {"a_x": "Q", "b_y": "Q"}, {}, ["a:x"]),
        # a part of the members leaves
        ({"a_x": "P", "b_x": "P", "c_x": "P"}, {"a_x": "Q", "b_x": "Q", "c_x": "P"}, {}, ["a:x", "b:x"]),
    ],
)
def test_what_is_a_new_name_and_what_a_move(
    before: dict[str, str], after: dict[str, str], renamed: dict[str, str], moved: list[str]
) -> None:
    difference = compare_mappings(mapping(**before), mapping(**after))
    assert dict(difference.renamed) == renamed
    assert [str(move[0]) for move in difference.moved] == moved


def test_a_chain_of_names_whose_last_one_stays() -> None:
    before = mapping(a_x="P", b_x="P", a_y="Q", b_y="Q", a_z="R")
    after = mapping(a_x="Q", b_x="Q", a_y="R", b_y="R", a_z="R")
    difference = compare_mappings(before, after)
    assert difference.renamed == (("P", "Q"),)
    assert [str(moved[0]) for moved in difference.moved] == ["a:y", "b:y"]
    gone = compare_mappings(mapping(a_x="P", b_x="P", a_y="Q"), mapping(a_x="Q", b_x="Q", a_y=None))
    assert (gone.renamed, [str(moved[0]) for moved in gone.moved]) == ((("P", "Q"),), ["a:y"])
    assert gone.reordered == ()


def test_a_name_without_members_is_a_label_of_its_own() -> None:
    before, after = mapping(a_x="P", b_y="P"), mapping(a_x="Q", b_y="Q")
    for one, other in (
        (replace(before, unified_labels=("P", "Q")), after),
        (before, replace(after, unified_labels=("P", "Q"))),
    ):
        assert compare_mappings(one, other).renamed == ()
        assert [moved[2] for moved in compare_mappings(one, other).moved] == ["Q", "Q"]


def test_another_order_gives_other_ids() -> None:
    difference = compare_mappings(BEFORE, replace(BEFORE, unified_labels=("Q", "P")))
    assert difference
    assert str(difference) == "another order, and other ids in the dataset: Q, P"
    renamed = compare_mappings(BEFORE, mapping(a_x="PER", b_y="PER", a_z="Q"))
    assert renamed.reordered == ()


def test_a_label_that_moves() -> None:
    difference = compare_mappings(BEFORE, mapping(a_x="P", b_y="Q", a_z="Q"))
    assert difference.moved == ((ref("b_y"), "P", "Q", 3),)
    assert difference.joined == ((ref("a_z"), ref("b_y")),)
    assert difference.parted == ((ref("a_x"), ref("b_y")),)
    assert str(difference).split("\n") == [
        "moved: b:y: P → Q (3 train mentions)",
        "become one: a:z and b:y",
        "no longer one: a:x and b:y",
    ]


def test_left_out_and_back() -> None:
    without = mapping(a_x="P", b_y="P", a_z=None)
    assert compare_mappings(BEFORE, without).moved == ((ref("a_z"), "Q", None, 3),)
    assert compare_mappings(without, BEFORE).moved == ((ref("a_z"), None, "Q", 3),)


def test_labels_of_one_mapping_only() -> None:
    difference = compare_mappings(BEFORE, mapping(a_x="P", b_y="P", c_w="P"))
    assert (difference.added, difference.removed) == ((ref("c_w"),), (ref("a_z"),))
    assert (difference.moved, difference.renamed) == ((), ())


def test_the_entities_affected() -> None:
    source = make_source(
        "b",
        {
            "train": [row("new/B-y york/I-y and oslo/B-y"), row("oslo/B-y")],
            "test": [row("lima/B-y rome/B-y x/B-other")],
        },
    )
    difference = compare_mappings(BEFORE, mapping(a_x="P", b_y=None, a_z="Q"))
    lines = affected_entities(difference, [source])
    assert lines == ["b:y: 3 in train, 0 in validation, 2 in test; e.g. new york, oslo, lima"]
    assert affected_entities(difference, []) == []


def test_parents() -> None:
    difference = compare_mappings(FLAT, replace(MAPPING, parents={"film": "PRODUCT"}))
    assert difference.parents == (("film", None, "PRODUCT"),)
    assert str(difference) == "parent of film: (no part of another) → PRODUCT"
    assert difference
    back = compare_mappings(MAPPING, replace(MAPPING, parents={"book": "film", "film": "PRODUCT"}))
    assert back.parents == (("book", "PRODUCT", "film"),)
    assert not compare_mappings(MAPPING, MAPPING)


def test_a_new_name_of_child_or_parent_moves_nothing() -> None:
    names = {"PRODUCT": "Ware", "book": "Buch"}
    entries = tuple(replace(e, unified=names.get(e.unified or "", e.unified)) for e in MAPPING.entries)
    renamed = LabelMapping(("PER", "Ware", "Buch", "film"), entries, parents={"Buch": "Ware", "film": "Ware"})
    difference = compare_mappings(MAPPING, renamed)
    assert dict(difference.renamed) == names
    assert difference.parents == ()


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


def test_all_locked() -> None:
    locked = replace(GIVEN, entries=tuple(replace(entry, locked=True) for entry in GIVEN.entries))
    assert decided_anew(locked, GIVEN) == "edited.yaml: 4 of 4 entries are locked and kept."


def test_nothing_changed() -> None:
    assert decided_anew(GIVEN, GIVEN) == (
        "edited.yaml: 2 of 4 entries are locked and kept, 2 decided anew, which changed none."
    )


def test_what_came_out_differently_is_named() -> None:
    entries = (GIVEN.entries[0], GIVEN.entries[1], replace(GIVEN.entries[2], unified=None))
    assert decided_anew(replace(GIVEN, file=""), replace(GIVEN, entries=entries, parents={})) == (
        "mapping: 2 of 4 entries are locked and kept, 2 decided anew; not as in the file: b:per: PER → (left out), "
        "parent of book: WORK → (no part of another). Say locked: true where you want to keep it."
    )


def test_the_first_of_many_are_named() -> None:
    labels = [LabelRef("a", str(number)) for number in range(8)]
    given = LabelMapping(("X", "Y"), tuple(MappedLabel(label, "X") for label in labels))
    told = decided_anew(given, LabelMapping(("X", "Y"), tuple(MappedLabel(label, "Y") for label in labels)))
    assert "a:4: X → Y, and 3 more. Say" in told
    assert "a:5" not in told
