"""Strict entity scores against hand counts and against seqeval."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from esnera_hf.metrics import (
    RESAMPLES,
    LabelScore,
    Scores,
    calibration_error,
    compare,
    count_matches,
    f1,
    renamed,
    resample,
    scoped,
    score_entities,
    score_tags,
    strict_entities,
)
from esnera_hf.tagging import Entity

#: Two of three PER found, one of them cut short; one LOC found, one called ORG; one ORG too many.
GOLD = [["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "B-PER", "I-PER"], ["O", "B-LOC"]]
PREDICTED = [["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "B-PER", "O"], ["B-ORG", "B-ORG"]]
NOTHING = Scores(LabelScore(0.0, 0.0, 0.0, 0), 0.0, {})


def assert_equal(actual: Scores, expected: Scores) -> None:
    assert list(actual.by_label) == list(expected.by_label)
    assert actual.macro_f1 == pytest.approx(expected.macro_f1)
    labels = zip(actual.by_label.values(), expected.by_label.values(), strict=True)
    for a, b in [(actual.micro, expected.micro), *labels]:
        assert (a.precision, a.recall, a.f1) == pytest.approx((b.precision, b.recall, b.f1))
        assert a.support == b.support


def test_a_hand_count() -> None:
    scores = score_tags(GOLD, PREDICTED)
    expected = Scores(
        LabelScore(3 / 6, 3 / 5, 2 * 3 / 11, 5),
        (2 / 3 + 2 / 3 + 0) / 3,
        {
            "LOC": LabelScore(1.0, 0.5, 2 / 3, 2),
            "ORG": LabelScore(0.0, 0.0, 0.0, 0),
            "PER": LabelScore(2 / 3, 2 / 3, 2 / 3, 3),
        },
    )
    assert_equal(scores, expected)
    assert str(scores) == "micro-F1 0.545, macro-F1 0.444 on 5 entities"


@pytest.mark.parametrize(
    "labels", [("-LOC", "LOC-", "-"), ("地点", "组织", "人"), ("a-b", "a_b", "I-x"), ("O", "B", "I")]
)
def test_names_of_labels_play_no_part(labels: tuple[str, str, str]) -> None:
    names = dict(zip(("LOC", "ORG", "PER"), labels, strict=True))

    def named(rows: list[list[str]]) -> list[list[str]]:
        return [[tag if tag == "O" else tag[:2] + names[tag[2:]] for tag in row] for row in rows]

    actual = score_tags(named(GOLD), named(PREDICTED))
    assert actual.by_label == {names[k]: v for k, v in score_tags(GOLD, PREDICTED).by_label.items()}
    assert list(actual.by_label) == sorted(labels)
    assert actual.micro == score_tags(GOLD, PREDICTED).micro


TAG = st.sampled_from(["O", "O", *(f"{prefix}-{label}" for prefix in "BI" for label in ("a", "b", "c"))])
ROW = st.lists(st.tuples(TAG, TAG), min_size=1, max_size=8)


@given(rows=st.lists(ROW, min_size=1, max_size=4))
def test_any_tags_score_as_seqeval_scores_them(rows: list[list[tuple[str, str]]]) -> None:
    gold = [[a for a, _ in row] for row in rows]
    predicted = [[b for _, b in row] for row in rows]
    actual = score_tags(gold, predicted)
    if not any(tag.startswith("B-") for row in (*gold, *predicted) for tag in row):
        assert actual == NOTHING
        return
    options = {"output_dict": True, "mode": "strict", "scheme": IOB2, "zero_division": 0}
    scores = {
        label: LabelScore(row["precision"], row["recall"], row["f1-score"], row["support"])
        for label, row in classification_report(gold, predicted, **options).items()
    }
    micro, macro, _ = (scores.pop(name) for name in ("micro avg", "macro avg", "weighted avg"))
    assert_equal(actual, Scores(micro, macro.f1, scores))


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        ("B-X I-X O", [(0, 2, "X")]),
        ("B-X I-Y I-Y", [(0, 1, "X")]),  # an inside tag of another label ends the entity and begins none
        ("I-X B-X B-X", [(1, 2, "X"), (2, 3, "X")]),
    ],
)
def test_entities_that_strict_scoring_counts(tags: str, entities: list[tuple[int, int, str]]) -> None:
    assert strict_entities(tags.split()) == [Entity(*entity) for entity in entities]


def test_figures_are_plain_numbers_and_survive_json() -> None:
    scores = score_tags(GOLD, PREDICTED)
    assert Scores.from_dict(json.loads(json.dumps(scores.to_dict()))) == scores
    assert score_tags([["O"]], [["O"]]) == score_tags([], []) == NOTHING
    frame = scores.to_pandas()
    assert frame["label"].tolist() == ["(micro)", "LOC", "ORG", "PER"]
    assert frame["support"].tolist() == [5, 2, 0, 3]
    assert "<table" in scores._repr_html_()


def test_what_counts_in_a_sentence_of_a_source() -> None:
    actual = [Entity(0, 1, "book", 0.5), Entity(1, 2, "PRODUCT"), Entity(2, 3, "PER")]
    assert scoped(actual, "a", None) == actual
    assert scoped(actual, "a", {"a": {"book", "PER"}}) == [actual[0], actual[2]]
    counted = scoped(actual, "a", {"a": {"book": "PRODUCT", "PRODUCT": "PRODUCT"}})
    assert counted == [Entity(0, 1, "PRODUCT"), Entity(1, 2, "PRODUCT")]
    assert counted[0].score == 0.5
    assert renamed(actual, {"book": "x", "PER": None}) == [Entity(0, 1, "x")]


#: Two taggers on the same sentences.
LABELS = ("x", "y")


SENTENCES = st.lists(
    st.dictionaries(
        st.sampled_from([0, 2, 4]), st.tuples(st.sampled_from([1, 2]), st.sampled_from(LABELS)), max_size=3
    ).map(lambda spans: [Entity(start, start + width, label) for start, (width, label) in spans.items()]),
    min_size=6,
    max_size=6,
)


@given(gold=SENTENCES, predicted=SENTENCES)
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
    # Each resample has as many sentences as there are.
    resampled = resample(np.ones((37, 2, 3), dtype=np.int32))
    assert (resampled.shape, (resampled == 37).all()) == ((RESAMPLES, 2, 3), True)


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([["O"]], [], "1 reference sentences and 0 predicted"),
        ([["O"], ["O", "O"]], [["O"], ["O"]], "sentence 1: 2 reference tags and 1 predicted"),
        ([["PER"]], [["O"]], "'PER'"),
    ],
)
def test_what_cannot_be_scored(gold: list[list[str]], predicted: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_tags(gold, predicted)
    with pytest.raises(ValueError, match="expected the same sentences"):
        compare(*(np.zeros((n, 2, 3), dtype=np.int32) for n in (1, 2)), LABELS)


@pytest.mark.parametrize("sentences", [0, 1])
def test_nothing_to_measure_is_unknown(sentences: int) -> None:
    nothing = count_matches([[]] * sentences, [[]] * sentences, LABELS)
    micro, by_label = compare(nothing, nothing, LABELS)
    assert set(by_label) == set(LABELS)
    for comparison in (micro, *by_label.values()):
        assert comparison.support == 0
        assert comparison.before.value is comparison.after.low is comparison.change.high is None


@pytest.mark.parametrize(
    ("confidences", "right", "error"),
    [
        ([1.0, 1.0], [True, True], 0.0),
        ([0.0, 1.0], [True, False], 1.0),
        # In one bin they are right on average, in two not.
        ([0.5, 0.5], [True, False], 0.0),
        ([0.2, 0.9], [True, False], 0.85),
        ([0.9, 0.9, 0.9, 0.3], [True, True, False, False], (3 * (0.9 - 2 / 3) + 0.3) / 4),
        ([], [], math.nan),
    ],
)
def test_calibration_error(confidences: list[float], right: list[bool], error: float) -> None:
    assert calibration_error(confidences, right) == pytest.approx(error, nan_ok=True)
