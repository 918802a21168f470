"""F1 before and after, against seqeval and against resampling done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.metrics import (
    Comparison,
    compare,
    count_matches,
    f1,
    in_scope,
    renamed,
    resample,
    score_entities,
)
from esnera_hf.tagging import Entity

LABELS = ("x", "y")


@st.composite
def rows(draw: st.DrawFn, sentences: int = 6) -> list[list[Entity]]:
    found = []
    for _ in range(sentences):
        starts = draw(st.lists(st.sampled_from([0, 2, 4]), unique=True, max_size=3))
        found.append(
            [
                Entity(start, start + draw(st.sampled_from([1, 2])), draw(st.sampled_from(LABELS)))
                for start in sorted(starts)
            ]
        )
    return found


@given(gold=rows(), predicted=rows())
def test_counts_give_the_f1_of_seqeval(gold: list[list[Entity]], predicted: list[list[Entity]]) -> None:
    counts = count_matches(gold, predicted, LABELS)
    assert counts.shape == (6, 2, 3)
    expected = score_entities(gold, predicted, [6] * 6)
    by_label = dict(zip(LABELS, f1(counts.sum(axis=0)), strict=True))
    for label, value in by_label.items():
        score = expected.by_label.get(label)
        assert np.isnan(value) if score is None else value == pytest.approx(score.f1)
    if expected.by_label:
        assert f1(counts.sum(axis=(0, 1))) == pytest.approx(expected.micro.f1)


def test_a_comparison() -> None:
    gold = [[Entity(0, 1, "x")], [Entity(0, 1, "x"), Entity(2, 3, "y")]]
    before = count_matches(gold, gold, LABELS)
    after = count_matches(gold, [[Entity(0, 1, "x")], [Entity(0, 1, "x")]], LABELS)
    micro, by_label = compare(before, after, LABELS)
    assert (micro.support, micro.before.value, micro.after.value, micro.change.value) == (3, 1.0, 0.8, -0.2)
    assert (by_label["x"].before.value, by_label["x"].change.value) == (1.0, 0.0)
    assert (by_label["y"].after.value, by_label["y"].change.value) == (0.0, -1.0)
    assert by_label["y"].support == 1


def test_nothing_to_measure_is_unknown() -> None:
    nothing = count_matches([[]], [[]], LABELS)
    micro, by_label = compare(nothing, nothing, LABELS)
    for comparison in (micro, *by_label.values()):
        assert comparison.support == 0
        assert comparison.before.value is comparison.after.low is comparison.change.high is None


def test_an_interval_is_that_of_the_resampled_difference() -> None:
    draw = np.random.default_rng(3)
    gold = [[Entity(0, 1, "x")] for _ in range(200)]
    wrong = [Entity(1, 2, "x")]
    before = count_matches(gold, [row if draw.random() < 0.8 else wrong for row in gold], ("x",))
    after = count_matches(gold, [row if draw.random() < 0.6 else wrong for row in gold], ("x",))
    micro, _ = compare(before, after, ("x",))
    # With one entity a sentence F1 is the share found: its standard error is known.
    shares = [counts[:, 0, 0].mean() for counts in (before, after)]
    error = np.std(after[:, 0, 0].astype(float) - before[:, 0, 0]) / np.sqrt(200)
    assert micro.change.value == pytest.approx(shares[1] - shares[0])
    assert micro.change.low == pytest.approx(micro.change.value - 1.96 * error, abs=0.02)
    assert micro.change.high == pytest.approx(micro.change.value + 1.96 * error, abs=0.02)
    assert compare(before, after, ("x",)) == (micro, {"x": micro})


def test_resampling_keeps_the_number_of_sentences() -> None:
    ones = np.ones((37, 2, 3), dtype=np.int32)
    assert (resample(ones, seed=1, resamples=120) == 37).all()
    assert resample(ones, seed=1, resamples=120).shape == (120, 2, 3)


def test_a_split_without_sentences_is_unknown() -> None:
    none = np.zeros((0, 2, 3), dtype=np.int32)
    whole, by_label = compare(none, none, ["x", "y"])
    assert (whole.support, whole.before.value, whole.change.low) == (0, None, None)
    assert set(by_label) == {"x", "y"}


def test_different_sentences_are_refused() -> None:
    one, two = (np.zeros((n, 2, 3), dtype=np.int32) for n in (1, 2))
    with pytest.raises(ValueError, match="expected the same sentences"):
        compare(one, two, LABELS)


def test_renaming_and_scope() -> None:
    entities = [Entity(0, 1, "x", 0.5), Entity(2, 3, "y"), Entity(4, 5, "z")]
    assert renamed(entities, {"x": "a", "y": None}) == [Entity(0, 1, "a")]
    assert renamed(entities, {"x": "a"})[0].score == 0.5
    assert in_scope(entities, {"y", "z"}) == entities[1:]


def test_plain_data() -> None:
    micro, _ = compare(*[count_matches([[Entity(0, 1, "x")]], [[]], ("x",))] * 2, ("x",))
    assert isinstance(micro, Comparison)
    assert micro.to_dict()["before"] == {"value": 0.0, "low": 0.0, "high": 0.0}
