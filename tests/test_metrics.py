"""Strict entity scores against hand counts and against seqeval."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from esnera_hf.evaluation.evaluate_metric import StrictNer
from esnera_hf.metrics import (
    LabelScore,
    Scores,
    scoped,
    score_entities,
    score_tags,
)
from esnera_hf.tagging import Entity, TagError

#: Two of three PER found, one of them cut short; one LOC found, one called ORG; one ORG too many.
GOLD = [
    ["B-PER", "I-PER", "O", "B-LOC"],
    ["B-PER", "B-PER", "I-PER"],
    ["O", "B-LOC"],
]
PREDICTED = [
    ["B-PER", "I-PER", "O", "B-LOC"],
    ["B-PER", "B-PER", "O"],
    ["B-ORG", "B-ORG"],
]
EXPECTED = Scores(
    LabelScore(3 / 6, 3 / 5, 2 * 3 / 11, 5),
    (2 / 3 + 2 / 3 + 0) / 3,
    {
        "LOC": LabelScore(1.0, 0.5, 2 / 3, 2),
        "ORG": LabelScore(0.0, 0.0, 0.0, 0),
        "PER": LabelScore(2 / 3, 2 / 3, 2 / 3, 3),
    },
)


def assert_equal(found: Scores, expected: Scores) -> None:
    assert list(found.by_label) == list(expected.by_label)
    assert found.macro_f1 == pytest.approx(expected.macro_f1)
    labels = zip(found.by_label.values(), expected.by_label.values(), strict=True)
    for a, b in [(found.micro, expected.micro), *labels]:
        assert (a.precision, a.recall, a.f1) == pytest.approx((b.precision, b.recall, b.f1))
        assert a.support == b.support


def test_a_hand_count() -> None:
    assert_equal(score_tags(GOLD, PREDICTED), EXPECTED)
    assert str(score_tags(GOLD, PREDICTED)) == "micro-F1 0.545, macro-F1 0.444 on 5 entities"


def test_entities_are_scored_as_their_tags() -> None:
    gold = [
        [Entity(0, 2, "PER"), Entity(3, 4, "LOC")],
        [Entity(0, 1, "PER"), Entity(1, 3, "PER")],
        [Entity(1, 2, "LOC")],
    ]
    predicted = [
        gold[0],
        [Entity(0, 1, "PER"), Entity(1, 2, "PER")],
        [Entity(0, 1, "ORG"), Entity(1, 2, "ORG")],
    ]
    assert_equal(score_entities(gold, predicted, [4, 3, 2]), EXPECTED)


@pytest.mark.parametrize(
    "labels", [("-LOC", "LOC-", "-"), ("地点", "组织", "人"), ("a-b", "a_b", "I-x"), ("O", "B", "I")]
)
def test_names_of_labels_play_no_part(labels: tuple[str, str, str]) -> None:
    names = dict(zip(("LOC", "ORG", "PER"), labels, strict=True))

    def renamed(rows: list[list[str]]) -> list[list[str]]:
        return [[tag if tag == "O" else tag[:2] + names[tag[2:]] for tag in row] for row in rows]

    found = score_tags(renamed(GOLD), renamed(PREDICTED))
    assert found.by_label == {names[k]: v for k, v in score_tags(GOLD, PREDICTED).by_label.items()}
    assert list(found.by_label) == sorted(labels)
    assert found.micro == score_tags(GOLD, PREDICTED).micro


TAG = st.sampled_from(["O", "O", *(f"{prefix}-{label}" for prefix in "BI" for label in ("a", "b", "c"))])
ROW = st.lists(st.tuples(TAG, TAG), min_size=1, max_size=8)


@given(rows=st.lists(ROW, min_size=1, max_size=4))
def test_any_tags_score_as_seqeval_scores_them(rows: list[list[tuple[str, str]]]) -> None:
    gold = [[a for a, _ in row] for row in rows]
    predicted = [[b for _, b in row] for row in rows]
    found = score_tags(gold, predicted)
    if not any(tag.startswith("B-") for row in (*gold, *predicted) for tag in row):
        assert found == Scores(LabelScore(0.0, 0.0, 0.0, 0), 0.0, {})
        return
    report = classification_report(
        gold, predicted, output_dict=True, mode="strict", scheme=IOB2, zero_division=0
    )
    averages = {name: report.pop(name) for name in ("micro avg", "macro avg", "weighted avg")}
    expected = {
        label: LabelScore(row["precision"], row["recall"], row["f1-score"], row["support"])
        for label, row in report.items()
    }
    micro = averages["micro avg"]
    total = LabelScore(micro["precision"], micro["recall"], micro["f1-score"], micro["support"])
    assert_equal(found, Scores(total, averages["macro avg"]["f1-score"], expected))


def test_an_inside_tag_without_a_begin_tag_is_no_entity() -> None:
    found = score_tags([["I-PER", "B-LOC"]], [["O", "B-LOC"]])
    assert found.by_label == {"LOC": LabelScore(1.0, 1.0, 1.0, 1)}
    assert found.micro.f1 == 1.0


def test_nothing_annotated_or_found() -> None:
    empty = Scores(LabelScore(0.0, 0.0, 0.0, 0), 0.0, {})
    assert score_tags([["O"]], [["O"]]) == score_tags([], []) == empty


def test_figures_are_plain_numbers_and_survive_json() -> None:
    scores = score_tags(GOLD, PREDICTED)
    assert Scores.from_dict(json.loads(json.dumps(scores.to_dict()))) == scores


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([["O"]], [], "1 reference sentences and 0 predicted"),
        ([["O"], ["O", "O"]], [["O"], ["O"]], "sentence 1: 2 reference tags and 1 predicted"),
    ],
)
def test_lengths_must_agree(gold: list[list[str]], predicted: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_tags(gold, predicted)


def test_a_tag_of_no_scheme_is_refused() -> None:
    with pytest.raises(TagError, match="'PER'"):
        score_tags([["PER"]], [["O"]])


class TestStrictNer:
    def expected(self) -> dict[str, object]:
        scores = score_tags(GOLD, PREDICTED).to_dict()
        return {**scores["micro"], "macro_f1": scores["macro_f1"], "by_label": scores["by_label"]}

    def test_compute(self, tmp_path: Path) -> None:
        found = StrictNer(cache_dir=str(tmp_path)).compute(predictions=PREDICTED, references=GOLD)
        assert found == self.expected()
        assert (found["f1"], found["support"]) == (pytest.approx(6 / 11), 5)

    @pytest.mark.parametrize("keep_in_memory", [True, False])
    def test_batches(self, tmp_path: Path, keep_in_memory: bool) -> None:
        metric = StrictNer(cache_dir=str(tmp_path), keep_in_memory=keep_in_memory)
        metric.add_batch(predictions=PREDICTED[:2], references=GOLD[:2])
        metric.add(prediction=PREDICTED[2], reference=GOLD[2])
        assert metric.compute() == self.expected()
        metric.add_batch(predictions=GOLD, references=GOLD)
        assert metric.compute()["f1"] == 1.0


def test_what_counts_in_a_sentence_of_a_source() -> None:
    found = [Entity(0, 1, "book", 0.5), Entity(1, 2, "PRODUCT"), Entity(2, 3, "PER")]
    assert scoped(found, "a", None) == found
    assert scoped(found, "a", {"a": {"book", "PER"}}) == [found[0], found[2]]
    counted = scoped(found, "a", {"a": {"book": "PRODUCT", "PRODUCT": "PRODUCT"}})
    assert counted == [Entity(0, 1, "PRODUCT"), Entity(1, 2, "PRODUCT")]
    assert counted[0].score == 0.5
