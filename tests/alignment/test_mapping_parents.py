"""A mapping whose unified labels are parts of others: what it says, its file, and differences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.alignment import LabelMapping, MappedLabel, MovedParent, compare_mappings
from esnera_hf.errors import MappingError
from esnera_hf.labels import LabelRef
from product_tree import MAPPING, PARENTS

FLAT = replace(MAPPING, parents={})


def test_what_it_says() -> None:
    assert (MAPPING.is_flat, FLAT.is_flat) == (False, True)
    assert (MAPPING.root("book"), MAPPING.root("PER")) == ("PRODUCT", "PER")
    assert MAPPING.ancestors("film") == ("PRODUCT",)
    assert MAPPING.descendants("PRODUCT") == ("book", "film")
    assert str(MAPPING).split("\n") == [
        "PER         ←  coarse:person",
        "PRODUCT     ←  coarse:product",
        "  book      ←  fine:Book, books:title",
        "  film      ←  fine:Movie",
        "(left out)  ←  books:odd",
    ]


def test_a_label_that_only_has_parts_is_shown() -> None:
    made = LabelMapping(("b", "P", "unused"), (MappedLabel(LabelRef("s", "x"), "b"),), parents={"b": "P"})
    assert str(made) == "P    ←  (its parts only)\n  b  ←  s:x"


def test_under_which_labels_sources_annotate() -> None:
    assert MAPPING.projection("fine") == {"book": "book", "film": "film"}
    assert MAPPING.projection("coarse") == {
        "PER": "PER",
        "PRODUCT": "PRODUCT",
        "book": "PRODUCT",
        "film": "PRODUCT",
    }
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


def test_parents_outside_the_schema_or_in_a_circle_are_refused() -> None:
    with pytest.raises(MappingError, match="'game' is not in the unified schema"):
        replace(MAPPING, parents={"game": "PRODUCT"})
    with pytest.raises(MappingError, match="in a circle: 'book' → 'film' → 'book'"):
        replace(MAPPING, parents={"book": "film", "film": "book"})


class TestFile:
    def test_text(self) -> None:
        text = MAPPING.to_yaml()
        assert "\nparents:\n  book: PRODUCT\n  film: PRODUCT\nlabels:\n" in text
        read = yaml.safe_load(text)
        assert (read["version"], read["merge"], read["parents"]) == (1, "tree", PARENTS)
        assert LabelMapping.from_yaml(text) == MAPPING

    def test_a_flat_one_differs_only_in_what_parents_add(self) -> None:
        flat, tree = FLAT.to_yaml().split("\n"), MAPPING.to_yaml().split("\n")
        assert not any("parents" in line or "tree" in line for line in flat)
        more = [line for line in tree if line not in flat]
        assert [line for line in more if not line.startswith("#")] == [
            "merge: tree",
            "parents:",
            "  book: PRODUCT",
            "  film: PRODUCT",
        ]
        assert [line for line in flat if line not in tree] == ["merge: flat"]

    @given(data=st.data())
    def test_any_parents_survive(self, data: st.DataObject) -> None:
        text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6) | st.sampled_from(
            ["NO", "null", "2024", "~", "1e3", "<<", "=", "?", "- a", "a: b"]
        )
        names = data.draw(st.lists(text.filter(lambda n: n != "O"), min_size=1, max_size=6, unique=True))
        parents = {
            name: data.draw(st.sampled_from(names[:index]))
            for index, name in enumerate(names)
            if index and data.draw(st.booleans())
        }
        made = LabelMapping(tuple(data.draw(st.permutations(names))), (), parents=parents)
        assert LabelMapping.from_yaml(made.to_yaml()) == made


GOOD = """\
version: 1
merge: tree
unified_labels: [PRODUCT, book, film]
parents:
  book: PRODUCT
  film: PRODUCT
labels:
- {source: a, label: x, unified: book}
"""


def test_an_edited_file() -> None:
    assert LabelMapping.from_yaml(GOOD).parents == PARENTS
    assert LabelMapping.from_yaml(GOOD.replace("merge: tree\n", "")).parents == PARENTS
    empty = GOOD.replace("parents:\n  book: PRODUCT\n  film: PRODUCT", "parents: {}")
    assert LabelMapping.from_yaml(empty).is_flat
    assert LabelMapping.from_yaml(empty.replace("merge: tree", "merge: flat")).is_flat


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            "book: PRODUCT",
            "book: PRODUKT",
            5,
            "parents, 'book': found 'PRODUKT', expected a name of unified_labels",
        ),
        ("book: PRODUCT", "book: PRODUKT", 5, "Did you mean 'PRODUCT'?"),
        ("  book: PRODUCT", "  bok: PRODUCT", 5, "unknown key 'bok', expected one of PRODUCT, book, film"),
        ("film: PRODUCT", "book: film", 6, "the key book stands twice, first in line 5"),
        ("film: PRODUCT", "PRODUCT: book", 5, "'book' (line 5) → 'PRODUCT' (line 6) → 'book' (line 5)"),
        ("film: PRODUCT", "film: film", 6, "in a circle: 'film' (line 6) → 'film' (line 6)"),
        ("film: PRODUCT", "film: null", 6, "expected text, found null"),
        ("film: PRODUCT", "film:", 6, "expected text, found nothing"),
        ("film: PRODUCT", "film: [PRODUCT]", 6, "expected text, found a list"),
        ("parents:\n  book: PRODUCT\n  film: PRODUCT", "parents: [book]", 4, "expected a mapping"),
        ("merge: tree", "merge: flat", 2, "merge: found flat, and parents in line 5. Say tree"),
        ("merge: tree", "merge: typed", 2, "merge: expected flat or tree, found 'typed'"),
    ],
)
def test_a_bad_file_is_refused_with_the_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert old in GOOD
    file = tmp_path / "mapping.yaml"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(MappingError) as caught:
        LabelMapping.load(file)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file}, line {line}: ")


class TestDifference:
    def test_parents(self) -> None:
        difference = compare_mappings(FLAT, replace(MAPPING, parents={"film": "PRODUCT"}))
        assert difference.parents == (MovedParent("film", None, "PRODUCT"),)
        assert str(difference) == "parent of film: (no part of another) → PRODUCT"
        assert difference
        back = compare_mappings(MAPPING, replace(MAPPING, parents={"book": "film", "film": "PRODUCT"}))
        assert back.parents == (MovedParent("book", "PRODUCT", "film"),)
        assert not compare_mappings(MAPPING, MAPPING)

    def test_a_new_name_of_child_or_parent_moves_nothing(self) -> None:
        names = {"PRODUCT": "Ware", "book": "Buch"}
        entries = tuple(replace(e, unified=names.get(e.unified or "", e.unified)) for e in MAPPING.entries)
        renamed = LabelMapping(
            ("PER", "Ware", "Buch", "film"), entries, parents={"Buch": "Ware", "film": "Ware"}
        )
        difference = compare_mappings(MAPPING, renamed)
        assert dict(difference.renamed) == names
        assert difference.parents == ()
