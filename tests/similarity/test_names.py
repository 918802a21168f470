"""How alike names are, against figures worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.similarity.names import name_similarities, name_similarity
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
    found = name_similarities(labels)
    expected = [[name_similarity(one.label, other.label) for other in labels] for one in labels]
    assert found.tolist() == expected
