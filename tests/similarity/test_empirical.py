"""Cross-prediction counts with dictionaries for taggers."""

from __future__ import annotations

import pytest

from builders import DictionaryTagger, make_source, predictions_of, row
from esnera_hf.similarity.empirical import cross_predictions, matched_label
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity, LabelRef

GOLD = [Entity(0, 2, "p"), Entity(3, 6, "q"), Entity(6, 7, "p")]


@pytest.mark.parametrize(
    ("span", "exact", "overlap"),
    [
        ((0, 2), "p", "p"),
        ((0, 1), None, "p"),
        ((0, 3), None, "p"),
        ((2, 3), None, None),
        ((1, 6), None, "q"),
        ((5, 7), None, "q"),
        ((6, 7), "p", "p"),
        ((7, 9), None, None),
    ],
)
def test_matched_label(span: tuple[int, int], exact: str | None, overlap: str | None) -> None:
    predicted = Entity(*span, "anything")
    assert matched_label(predicted, GOLD, "exact") == exact
    assert matched_label(predicted, GOLD, "overlap") == overlap
    assert matched_label(predicted, [], "exact") is matched_label(predicted, [], "overlap") is None


def test_of_equal_overlaps_the_first_counts() -> None:
    assert matched_label(Entity(1, 3, "x"), [Entity(0, 2, "p"), Entity(2, 4, "q")], "overlap") == "p"


@pytest.fixture
def sources() -> list[NerSource]:
    """Only the train split is to be read."""
    train = [row("anna/B-per lives in oslo/B-loc"), row("oslo/B-loc")]
    other = [
        row("anna/B-name smith/I-name in oslo/B-city"),
        row("anna/B-name in oslo and lima/B-city"),
        row("oslo/B-team"),
    ]
    return [
        make_source("a", {"train": train, "test": [row("anna/B-other")] * 50}),
        make_source("b", {"train": other}),
    ]


LABELS = [LabelRef("a", n) for n in ("loc", "other", "per")] + [
    LabelRef("b", n) for n in ("city", "name", "team")
]
TAGGERS = {
    "a": DictionaryTagger({("anna",): "per", ("oslo",): "loc"}),
    "b": DictionaryTagger({("anna",): "name", ("lima",): "city", ("oslo",): "team", ("in",): "city"}),
}


def counts(sources: list[NerSource], match: str) -> tuple[dict[str, int], dict[str, int]]:
    matched, predicted = cross_predictions(predictions_of(TAGGERS), sources, LABELS, match)  # type: ignore[arg-type]
    cells = [(f"{r.label}→{c.label}", i, j) for i, r in enumerate(LABELS) for j, c in enumerate(LABELS)]
    return (
        {name: int(matched[i, j]) for name, i, j in cells if matched[i, j]},
        {name: int(predicted[i, j]) for name, i, j in cells if predicted[i, j]},
    )


PREDICTED = {
    **{f"loc→{label}": 3 for label in ("city", "name", "team")},
    **{f"per→{label}": 2 for label in ("city", "name", "team")},
    **{f"city→{label}": 1 for label in ("loc", "other", "per")},
    **{f"name→{label}": 1 for label in ("loc", "other", "per")},
    **{f"team→{label}": 2 for label in ("loc", "other", "per")},
}


@pytest.mark.parametrize(("match", "names"), [("exact", 1), ("overlap", 2)])
def test_what_taggers_predict_on_the_text_of_others(sources: list[NerSource], match: str, names: int) -> None:
    matched, predicted = counts(sources, match)
    # a:other is never predicted, and no tagger's predictions on its own text count.
    assert predicted == PREDICTED
    assert matched == {"loc→city": 1, "loc→team": 1, "per→name": names, "name→per": 1, "team→loc": 2}
    assert counts(sources[::-1], match) == (matched, predicted)


def test_one_predicted_entity_counts_once_however_many_it_touches() -> None:
    target = make_source("b", {"train": [row("a/B-p b/B-p c/B-q d/B-p")]})
    source = make_source("a", {"train": [row("z/B-x")]})
    labels = [LabelRef("a", "x"), LabelRef("b", "p"), LabelRef("b", "q")]
    taggers = {"a": DictionaryTagger({("a", "b", "c", "d"): "x"}), "b": DictionaryTagger({})}
    matched, predicted = cross_predictions(predictions_of(taggers), [source, target], labels, "overlap")
    assert matched.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert predicted.tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
