"""A merged tagger scored on sources, by cases computed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import product_tree as tree
from builders import make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.evaluation.projection import names_back, score_merged
from esnera_hf.tagging import Entity, LabelRef

NATIVE, UNIFIED = True, False
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
    tuple(
        MappedLabel(LabelRef(*label.split(":")), unified)
        for label, unified in {"a:movie": "WORK", "a:book": "WORK", "a:per": "PER", "b:firm": "ORG"}.items()
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
FLAT = SOURCES, MAPPING, PREDICTIONS, "validation"
TREE = tree.SOURCES[:2], tree.MAPPING, OF_PRODUCTS, "test"
#: The same without persons.
WITHOUT = (
    SOURCES,
    replace(
        MAPPING,
        unified_labels=("WORK", "ORG"),
        entries=tuple(
            replace(entry, unified=None) if entry.unified == "PER" else entry for entry in MAPPING.entries
        ),
    ),
    PREDICTIONS,
    "validation",
)


@pytest.mark.parametrize(
    ("native", "arguments", "source", "label", "before", "after"),
    [
        # Projected, a's own tagger makes no mistake; the merged one misses the person.
        (UNIFIED, FLAT, "a", None, 1, 4 / 5),
        (UNIFIED, FLAT, "a", "WORK", 1, 1),
        (UNIFIED, FLAT, "a", "PER", 1, 0),
        # b does not annotate persons, so the one found there is no error.
        (UNIFIED, FLAT, "b", None, 2 / 3, 1),
        # Pooled over sources: 4 of 5 found with 4 predicted, and 4 of 5 with 4 predicted.
        (UNIFIED, FLAT, None, None, 8 / 9, 8 / 9),
        # In own labels a flat merge shows its loss.
        (NATIVE, FLAT, "a", None, 2 / 3, 2 / 5),
        (NATIVE, FLAT, "a", "book", 0, 0),
        (NATIVE, FLAT, "a", "movie", 2 / 3, 2 / 3),
        # A label that is left out is lost in own labels.
        (NATIVE, WITHOUT, "a", "per", 1, 0),
        # A product in text of fine is neither right nor wrong: the film is missed, nothing is found too much.
        (UNIFIED, TREE, "fine", None, 2 / 3, 2 / 3),
        (UNIFIED, TREE, "fine", "book", 1, 1),
        (UNIFIED, TREE, "fine", "film", 0, 0),
        # Books and films in text of coarse are products: two right, one too many.
        (UNIFIED, TREE, "coarse", None, 1 / 2, 4 / 5),
        (UNIFIED, TREE, "coarse", "PRODUCT", 2 / 3, 4 / 5),
        (NATIVE, TREE, "coarse", "product", 2 / 3, 4 / 5),
        (NATIVE, TREE, "fine", "Movie", 0, 0),
        (NATIVE, TREE, "fine", None, 2 / 3, 2 / 3),
    ],
)
def test_scores(
    native: bool, arguments: Any, source: str | None, label: str | None, before: float, after: float
) -> None:
    scores = score_merged(*arguments, native=native)
    comparison = scores.pooled if source is None else scores.sources[source]
    if label is not None:
        comparison = scores.by_label[source][label]
    assert (comparison.before.value, comparison.after.value) == pytest.approx((before, after), abs=1e-6)


def test_the_labels_that_are_scored() -> None:
    assert score_merged(*FLAT, native=False).pooled.support == 5
    assert sorted(score_merged(*FLAT, native=False).by_label["a"]) == ["PER", "WORK"]
    assert list(score_merged(*WITHOUT, native=False).by_label["a"]) == ["WORK"]
    assert sorted(score_merged(*TREE, native=False).by_label["fine"]) == ["book", "film"]
    assert names_back(SOURCES[0], MAPPING) == {"WORK": "movie", "PER": "per"}
    products = dict.fromkeys(("PRODUCT", "book", "film"), "product")
    assert names_back(tree.SOURCES[1], tree.MAPPING) == {"PER": "person", **products}
    assert names_back(tree.SOURCES[0], tree.MAPPING) == {"book": "Book", "film": "Movie"}
