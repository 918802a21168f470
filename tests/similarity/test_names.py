"""How alike names are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.labels import LabelRef
from esnera_hf.similarity.names import name_similarities, name_similarity


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


def test_the_matrix_holds_every_pair() -> None:
    labels = [LabelRef("a", "PER"), LabelRef("a", "LOC"), LabelRef("b", "PER")]
    values = name_similarities(labels)
    expected = [[name_similarity(one.label, other.label) for other in labels] for one in labels]
    np.testing.assert_allclose(values, expected)


def test_a_name_of_any_length_takes_no_time() -> None:
    assert name_similarity("x" * 100_000, "y" * 100_000) == 0.0
