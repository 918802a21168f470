"""The mapping: lookup, checks and text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import MappingError
from esnera_hf.tagging import LabelRef
from product_tree import MAPPING, PARENTS

FLAT = replace(MAPPING, parents={})


def mapping(*pairs: tuple[str, str | None], unified: tuple[str, ...] | None = None) -> LabelMapping:
    entries = tuple(MappedLabel(LabelRef(*name.split(":", 1)), target) for name, target in pairs)
    names = dict.fromkeys(target for _, target in pairs if target is not None)
    return LabelMapping(unified or tuple(names), entries)


def test_lookup() -> None:
    made = mapping(("a:x", "P"), ("a:y", None), ("b:y", "P"), ("b:z", "Q"))
    assert [made["a", "x"], made[LabelRef("b", "y")], made["b", "z"], made["a", "y"]] == ["P", "P", "Q", None]
    assert made.members("P") == (LabelRef("a", "x"), LabelRef("b", "y"))
    assert (made.members("R"), made.members(None)) == ((), (LabelRef("a", "y"),))
    assert (made.scope("a"), mapping(("b:z", None)).scope("b")) == ({"P"}, set())
    assert not mapping(("a:y", None), ("b:z", None)).are_one(LabelRef("a", "y"), LabelRef("b", "z"))


def test_the_labels_that_fit() -> None:
    made = mapping(("a:x", "P"), ("b:y", "P"))
    made.check_fits([LabelRef("a", "x")])
    with pytest.raises(MappingError, match="leaves out a:y, b:x"):
        mapping(("a:x", "P")).check_fits([LabelRef("b", "x"), LabelRef("a", "x"), LabelRef("a", "y")])
    with pytest.raises(MappingError, match=r"a:compny is no label of that source.*Did you mean 'company'"):
        mapping(("a:compny", "P")).check_fits([LabelRef("a", "company"), LabelRef("a", "x")])


def test_what_a_notebook_shows() -> None:
    frame = MAPPING.to_pandas()
    assert frame[["source", "label", "unified", "part_of"]].values.tolist()[0] == [
        *("fine", "Book", "book", "PRODUCT")
    ]
    assert repr(MAPPING) == "LabelMapping(6 labels of fine, coarse, books → 4 unified, manual)"
    assert len(LabelMapping((), ()).to_pandas()) == 0
    hostile = mapping(("<b>:x", "P"))._repr_html_()
    assert "&lt;b&gt;" in hostile
    assert "<b>" not in hostile


@pytest.mark.parametrize(
    ("pairs", "unified", "message"),
    [
        ([("a:x", "P"), ("a:x", "Q")], ("P", "Q"), "a:x is mapped twice"),
        ([("a:x", "P")], ("Q",), "a:x goes to 'P'"),
        ([("a:x", "P")], ("P", "P"), "names a label twice"),
        ([("a:x", "O")], ("O",), "called 'O'"),
    ],
)
def test_a_contradiction_is_refused(
    pairs: list[tuple[str, str]], unified: tuple[str, ...], message: str
) -> None:
    with pytest.raises(MappingError, match=message):
        mapping(*pairs, unified=unified)


@pytest.mark.parametrize(
    ("made", "lines"),
    [
        (mapping(("a:x", "P"), ("b:y", "P"), ("b:z", "组织名")), ["P       ←  a:x, b:y", "组织名  ←  b:z"]),
        (
            LabelMapping(("b", "P", "unused"), (MappedLabel(LabelRef("s", "x"), "b"),), parents={"b": "P"}),
            ["P    ←  (its parts only)", "  b  ←  s:x"],
        ),
        (
            MAPPING,
            [
                "PER         ←  coarse:person",
                "PRODUCT     ←  coarse:product",
                "  book      ←  fine:Book, books:title",
                "  film      ←  fine:Movie",
                "(left out)  ←  books:odd",
            ],
        ),
    ],
)
def test_text(made: LabelMapping, lines: list[str]) -> None:
    assert str(made).split("\n") == lines


def test_under_which_labels_sources_annotate() -> None:
    assert MAPPING.projection("fine") == {"book": "book", "film": "film"}
    products = dict.fromkeys(("PRODUCT", "book", "film"), "PRODUCT")
    assert MAPPING.projection("coarse") == {"PER": "PER", **products}
    assert MAPPING.projection("books") == {"book": "book"}
    assert all(FLAT.projection(name) == {u: u for u in FLAT.scope(name)} for name in FLAT.sources)


def test_restricted_to_some_sources() -> None:
    fine = MAPPING.restricted(["fine"])
    assert (fine.unified_labels, fine.parents) == (("PRODUCT", "book", "film"), PARENTS)
    coarse = MAPPING.restricted(["coarse"])
    assert (coarse.unified_labels, coarse.parents) == (("PER", "PRODUCT"), {})
    books = MAPPING.restricted(["books", "coarse"])
    assert (books.unified_labels, books.parents) == (("PER", "PRODUCT", "book"), {"book": "PRODUCT"})
    assert MAPPING.restricted(MAPPING.sources) == MAPPING


def test_equality_and_hash() -> None:
    turned = replace(MAPPING, parents=dict(reversed(PARENTS.items())))
    assert (turned, hash(turned), turned.to_yaml()) == (MAPPING, hash(MAPPING), MAPPING.to_yaml())
    assert MAPPING != FLAT
    given_parents = dict(PARENTS)
    made = replace(MAPPING, parents=given_parents)
    given_parents.clear()
    assert made == MAPPING
