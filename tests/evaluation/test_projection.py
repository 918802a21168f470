"""A merged tagger scored on sources, by cases computed by hand."""

from __future__ import annotations

import pytest

import product_tree as tree
from builders import make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.evaluation.projection import names_back, score_native, score_unified
from esnera_hf.tagging import Entity, LabelRef

SOURCES = [
    make_source(
        "a",
        {
            "train": [row("m/B-movie b/B-book"), row("m/B-movie")],
            "validation": [row("m/B-movie b/B-book p/B-per")],
        },
    ),
    make_source("b", {"train": [row("f/B-firm")], "validation": [row("f/B-firm f/B-firm p")]}),
]
MAPPING = LabelMapping(
    ("WORK", "PER", "ORG"),
    (
        MappedLabel(LabelRef("a", "movie"), "WORK"),
        MappedLabel(LabelRef("a", "book"), "WORK"),
        MappedLabel(LabelRef("a", "per"), "PER"),
        MappedLabel(LabelRef("b", "firm"), "ORG"),
    ),
)
#: a's own tagger takes the book for a movie; the merged one finds both works, and a person in b.
PREDICTIONS = {
    "a": (
        [[Entity(0, 1, "movie"), Entity(1, 2, "movie"), Entity(2, 3, "per")]],
        [[Entity(0, 1, "WORK"), Entity(1, 2, "WORK"), Entity(2, 3, "ORG")]],
    ),
    "b": ([[Entity(0, 1, "firm")]], [[Entity(0, 1, "ORG"), Entity(1, 2, "ORG"), Entity(2, 3, "PER")]]),
}


def test_projected() -> None:
    scores = score_unified(SOURCES, MAPPING, PREDICTIONS, "validation")
    a, b, labels = scores.sources["a"], scores.sources["b"], scores.by_label["a"]
    assert sorted(labels) == ["PER", "WORK"]
    # projected, a's own tagger makes no mistake; the merged one misses the person
    assert (a.before.value, a.after.value) == (1.0, pytest.approx(0.8))
    assert (labels["WORK"].after.value, labels["PER"].after.value) == (1.0, 0.0)
    # b does not annotate persons, so the one found there is no error
    assert (b.before.value, b.after.value) == (pytest.approx(2 / 3, abs=1e-6), 1.0)
    # pooled over sources: 4 of 5 found with 4 predicted, and 4 of 5 with 4 predicted
    assert (scores.pooled.before.value, scores.pooled.after.value) == (
        pytest.approx(8 / 9, abs=1e-6),
        pytest.approx(8 / 9, abs=1e-6),
    )
    assert scores.pooled.support == 5


def test_in_own_labels_a_flat_merge_shows_its_loss() -> None:
    assert names_back(SOURCES[0], MAPPING) == {"WORK": "movie", "PER": "per"}
    scores = score_native(SOURCES, MAPPING, PREDICTIONS, "validation")
    a, labels = scores.sources["a"], scores.by_label["a"]
    assert labels["book"].after.value == 0.0
    assert labels["movie"].after.value == pytest.approx(2 / 3, abs=1e-6)
    assert (a.before.value, a.after.value) == (
        pytest.approx(2 / 3, abs=1e-6),
        pytest.approx(2 / 5),
    )


def test_a_label_left_out_is_not_scored_when_projected_and_lost_in_own_labels() -> None:
    entries = tuple(
        MappedLabel(entry.label, None if entry.label.label == "per" else entry.unified)
        for entry in MAPPING.entries
    )
    mapping = LabelMapping(("WORK", "ORG"), entries)
    assert list(score_unified(SOURCES, mapping, PREDICTIONS, "validation").by_label["a"]) == ["WORK"]
    person = score_native(SOURCES, mapping, PREDICTIONS, "validation").by_label["a"]["per"]
    assert (person.before.value, person.after.value) == (1.0, 0.0)


#: The merged tagger: for fine, the book, the film as a product, and a product more; for coarse, books and a film.
OF_PRODUCTS = {
    "fine": (
        [[Entity(0, 1, "Book")]],
        [[Entity(0, 1, "book"), Entity(1, 2, "PRODUCT"), Entity(2, 3, "PRODUCT")]],
    ),
    "coarse": (
        [[Entity(0, 1, "product"), Entity(2, 3, "person")]],
        [[Entity(0, 1, "book"), Entity(1, 2, "film"), Entity(2, 3, "book")]],
    ),
}


class TestTree:
    """One source knows books and films, one only products."""

    def test_projected(self) -> None:
        scores = score_unified(tree.SOURCES[:2], tree.MAPPING, OF_PRODUCTS, "test")
        fine, coarse = scores.by_label["fine"], scores.by_label["coarse"]
        assert sorted(fine) == ["book", "film"]
        # a product in text of fine is neither right nor wrong: the film is missed, nothing is found too much
        assert (fine["book"].after.value, fine["film"].after.value) == (1.0, 0.0)
        assert scores.sources["fine"].after.value == pytest.approx(2 / 3, abs=1e-6)
        # books and films in text of coarse are products: two right, one too many
        assert coarse["PRODUCT"].after.value == pytest.approx(4 / 5)
        assert scores.sources["coarse"].before.value == pytest.approx(2 * 1 / (2 + 2))

    def test_in_own_labels(self) -> None:
        coarse = tree.SOURCES[1]
        assert names_back(coarse, tree.MAPPING) == {
            "PER": "person",
            "PRODUCT": "product",
            "book": "product",
            "film": "product",
        }
        assert names_back(tree.SOURCES[0], tree.MAPPING) == {"book": "Book", "film": "Movie"}
        scores = score_native(tree.SOURCES[:2], tree.MAPPING, OF_PRODUCTS, "test")
        assert scores.by_label["coarse"]["product"].after.value == pytest.approx(4 / 5)
        assert scores.by_label["fine"]["Movie"].after.value == 0.0
        assert scores.sources["fine"].after.value == pytest.approx(2 / 3, abs=1e-6)
