"""What is said of the entries of an edited mapping that an alignment does not keep."""

from __future__ import annotations

from dataclasses import replace

from esnera_hf.alignment import LabelMapping, MappedLabel, decided_anew
from esnera_hf.labels import LabelRef

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
