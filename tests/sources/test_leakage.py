"""Sentences that stand in more than one split: which of them are left out, and because of which others."""

from __future__ import annotations

from itertools import permutations

import pytest

from builders import make_source, row
from esnera_hf.sources.leakage import find_leaks, left_out_ids, left_out_of_train, without_leaks
from esnera_hf.sources.source import SPLITS

LONG = "the quick brown fox jumps over the lazy dog near the old river bank"


def test_what_is_found_and_left_out() -> None:
    oslo, anna = row("oslo/B-loc is far"), row("anna/B-per left")
    left = {
        "train": [anna, row(LONG), oslo, row("nothing")],
        "validation": [oslo, row("bruno/B-per stays")],
        "test": [anna],
    }
    right = {
        "train": [row("lima/B-城市 wins")],
        "validation": [row("oslo/B-城市 is far"), row(LONG + " today")],
        "test": [row("Anna/B-name left !"), row("lima/B-城市 wins"), row("bruno/B-name stays")],
    }
    a, b = make_source("a", left), make_source("b", right)
    leaks = find_leaks([a, b])
    assert [(leak.first.id, leak.second.id, leak.exact, leak.across_sources) for leak in leaks] == [
        ("a-train-0", "a-test-0", True, False),
        ("a-train-0", "b-test-0", True, True),
        ("a-train-1", "b-validation-1", False, True),
        ("a-train-2", "a-validation-0", True, False),
        ("a-train-2", "b-validation-0", True, True),
        ("a-validation-1", "b-test-2", True, True),
        ("b-train-0", "b-test-1", True, False),
    ]
    train = {"a-train-0", "a-train-1", "a-train-2"}
    assert left_out_of_train(leaks) == {"a": train}
    assert left_out_ids(leaks) == {("a", "train"): train, ("a", "validation"): {"a-validation-1"}}
    without, same = without_leaks([a, b], leaks)
    assert same is b
    assert (without.labels, without.dataset["train"]["id"][:]) == (("loc", "per"), ["a-train-3"])
    assert "without 4 sentences that stand in a later split of another source" in without.notes
    assert find_leaks([]) == ()


@pytest.mark.parametrize("test", ["x/B-P y", LONG])
def test_test_sentences_come_before_validation_sentences(test: str) -> None:
    """Even where the test sentence is only nearly the same."""
    a = make_source("a", {"train": [row(test)]})
    near = test if test != LONG else LONG + " today"
    b = make_source("b", {"validation": [row(test)], "test": [row(near)]})
    leaks = [(leak.second.id, leak.exact) for leak in find_leaks([a, b]) if leak.across_sources]
    assert leaks == [("b-test-0", near == test)]


@pytest.mark.parametrize(("one", "other"), list(permutations(SPLITS, 2)))
def test_of_two_sentences_that_of_the_earlier_split_is_left_out(one: str, other: str) -> None:
    sources = [make_source(name, {split: [row("x/B-P y")]}) for name, split in (("a", one), ("b", other))]
    (leak,) = find_leaks(sources)
    earlier = min(leak.first, leak.second, key=lambda place: SPLITS.index(place.split))
    assert (leak.first, leak.across_sources) == (earlier, True)
    assert {leak.first.id, leak.second.id} == {f"a-{one}-0", f"b-{other}-0"}
