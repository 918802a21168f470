"""How alike names are, against figures worked out by hand."""

from __future__ import annotations

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.similarity.names import (
    are_akin,
    are_listed,
    by_pair,
    concepts_of,
    is_kind_of,
    meaning_similarity,
    name_similarity,
    split_off,
)
from esnera_hf.tagging import LabelRef


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("company", "company", 1.0),
        ("Company", "COMPANY", 1.0),
        ("company_name", "companyName", 1.0),
        ("company_name", "company", 14 / 18),
        ("PER", "person", 6 / 9),
        ("PER.NAM", "PER.NOM", 10 / 12),
        ("人名", "person", 0.0),
        ("--", "_", 0.0),
        ("--", "x", 0.0),
        ("--", "--", 1.0),
    ],
)
def test_letters_and_words(first: str, second: str, expected: float) -> None:
    assert name_similarity(first, second) == pytest.approx(expected)


@given(st.text(max_size=30), st.text(max_size=30))
def test_it_is_symmetric_and_a_share(first: str, second: str) -> None:
    assert 0 <= name_similarity(first, second) == name_similarity(second, first) <= 1


def test_a_name_of_any_length_takes_no_time() -> None:
    assert name_similarity("x" * 100_000, "y" * 100_000) == 0.0


def test_a_table_of_labels_is_that_of_their_names() -> None:
    labels = [LabelRef("a", "PER"), LabelRef("a", "org"), LabelRef("b", "person")]
    found = by_pair(name_similarity, labels)
    expected = [[name_similarity(one.label, other.label) for other in labels] for one in labels]
    assert found.tolist() == expected
    assert by_pair(name_similarity, []).shape == (0, 0)


@pytest.mark.parametrize(
    ("name", "concepts"),
    [
        ("PER", {"person"}),
        ("person_name", {"person"}),
        ("人名", {"person"}),
        ("Gene_or_gene_product", {"gene"}),
        ("WORK_OF_ART", {"work"}),
        ("Chemicals", {"chemical"}),
        ("Threat Actor", {"threatactor"}),
        # A word that is listed nowhere stands for itself.
        ("LOCderiv", {"location", "derived"}),
        ("obj-per", {"obj", "person"}),
        ("person-actor", {"actor"}),
        ("location-road/railway", {"road"}),
        ("building-hospital", {"facility", "hospital"}),
        ("name", {"person"}),
        ("label_type", {"label", "type"}),
        ("--", set()),
    ],
)
def test_names_are_made_of_concepts(name: str, concepts: set[str]) -> None:
    assert concepts_of(name) == concepts


@pytest.mark.parametrize(
    ("first", "second", "alike", "kind"),
    [
        ("PER", "人名", 1.0, 0.0),
        ("LOCpart", "ORGpart", 1 / 3, 0.0),
        ("writer", "PERSON", 0.0, 1.0),
        ("PERSON", "writer", 0.0, 0.0),
        ("person", "product", 0.0, 0.0),
        # A kind of a kind is a kind.
        ("cell_line", "Anatomy", 0.0, 1.0),
        ("--", "--", 1.0, 0.0),
        ("--", "_", 0.0, 0.0),
        ("qq", "qq", 1.0, 0.0),
    ],
)
def test_what_names_mean(first: str, second: str, alike: float, kind: float) -> None:
    assert meaning_similarity(first, second) == meaning_similarity(second, first) == pytest.approx(alike)
    assert is_kind_of(first, second) == kind


@pytest.mark.parametrize(
    ("first", "second", "akin"),
    [
        ("PER", "人名", True),
        ("writer", "PERSON", True),
        ("writer", "politician", True),
        ("person", "product", False),
        # A kind of a kind is a kind.
        ("cell_line", "Anatomy", True),
        # What sets a name apart is no kind of thing.
        ("LOCpart", "ORGpart", False),
        ("LOCpart", "LOC", True),
        ("--", "--", False),
        ("qq", "qq", True),
    ],
)
def test_names_of_one_kind(first: str, second: str, akin: bool) -> None:
    assert are_akin(first, second) == are_akin(second, first) == akin


def test_a_meaning_is_known_of_listed_names_and_of_one_name() -> None:
    labels = [LabelRef("a", "PER"), LabelRef("a", "qq"), LabelRef("b", "person"), LabelRef("b", "qq")]
    assert are_listed(labels)[:2, 2:].tolist() == [[True, False], [False, True]]


def test_a_label_leaves_its_kinds_to_other_labels_of_its_source() -> None:
    labels = [
        "a:person",
        "a:politician",
        "b:PER",
        "c:person",
        "c:writer",
        "c:poet_laureate",
        "d:ORG",
        "d:author",
    ]
    refs = [LabelRef(*label.split(":")) for label in labels]
    pairs = {
        (labels[i], labels[j]) for i, j in zip(*split_off(refs).nonzero(), strict=True) if refs[i] != refs[j]
    }
    assert pairs == {
        ("a:person", "b:PER"),
        ("c:person", "b:PER"),
        ("a:person", "c:person"),
        ("c:person", "a:person"),
    }


def test_every_way_of_writing_stands_for_one_concept() -> None:
    text = files("esnera_hf.similarity").joinpath("label_names.txt").read_text(encoding="utf-8")
    lines = [line.partition(":") for line in text.splitlines() if line and not line.startswith("#")]
    heads = [head.partition("<") for head, _, _ in lines]
    concepts = [name.strip() for name, _, _ in heads]
    written = [
        word for name, (_, _, words) in zip(concepts, lines, strict=True) for word in (name, *words.split())
    ]
    assert sorted(written) == sorted(set(written))
    assert {above.strip() for _, _, above in heads if above} <= set(concepts)
    assert all(word == word.casefold() and "_" not in word for word in written)
