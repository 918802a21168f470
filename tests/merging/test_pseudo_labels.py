"""Pseudo-labels from dictionary taggers: what is added, what is refused, what is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

import product_tree as tree
from builders import make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConfigurationError, ConservationError
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels, check_threshold, pseudo_labels
from esnera_hf.similarity.empirical import CrossPredictions
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity, LabelRef

SOURCES = [
    make_source(
        "a", {"train": [row("anna/B-per left acme group"), row("acme left")], "test": [row("acme left")]}
    ),
    make_source("b", {"train": [row("bruno of globex/B-firm"), row("anna")]}),
    make_source("c", {"train": [row("hugo paid ten/B-money euros/I-money")]}),
]
MAPPING = LabelMapping(
    ("PER", "ORG", "MONEY"),
    (
        MappedLabel(LabelRef("a", "per"), "PER"),
        MappedLabel(LabelRef("b", "firm"), "ORG"),
        MappedLabel(LabelRef("c", "money"), "MONEY"),
    ),
)
#: By tagger and source, the predictions on each train sentence.
FOUND: dict[tuple[str, str], list[list[Entity]]] = {
    ("b", "a"): [[Entity(0, 1, "firm", 0.99), Entity(2, 4, "firm", 0.95)], [Entity(0, 1, "firm", 0.5)]],
    ("c", "a"): [[Entity(3, 4, "money", 0.97)], []],
    ("a", "b"): [[Entity(0, 1, "per", 0.92)], [Entity(0, 1, "per", 0.9)]],
    ("c", "b"): [[], []],
    ("a", "c"): [[Entity(0, 1, "per", 0.91)]],
    ("b", "c"): [[Entity(2, 3, "firm", 1.0)]],
}


def predict(tagger: str, source: NerSource) -> Iterator[Sequence[Entity]]:
    return iter(FOUND[tagger, source.name])


def test_what_is_added() -> None:
    found = pseudo_labels(SOURCES, MAPPING, predict, 0.9)
    assert found.of("a") == {"a-train-0": [Entity(3, 4, "MONEY")]}
    assert found.of("b") == {"b-train-0": [Entity(0, 1, "PER")], "b-train-1": [Entity(0, 1, "PER")]}
    assert found.of("c") == {"c-train-0": [Entity(0, 1, "PER")]}
    assert found.of("a")["a-train-0"][0].score == 0.97
    assert found.counts == (("a", "MONEY", "c", 1), ("b", "PER", "a", 2), ("c", "PER", "a", 1))
    assert found.rejected == {
        "below the threshold": 1,
        "shares tokens with a gold entity": 2,
        "shares tokens with a more confident one": 1,
    }


@pytest.mark.parametrize(("threshold", "total"), [(0.0, 5), (0.9, 4), (0.91, 3), (0.95, 1), (1.0, 0)])
def test_the_threshold(threshold: float, total: int) -> None:
    assert pseudo_labels(SOURCES, MAPPING, predict, threshold).total == total


def test_sentences_left_out_get_none() -> None:
    found = pseudo_labels(SOURCES, MAPPING, predict, 0.9, {"b": {"b-train-1"}})
    assert ("b", "PER", "a", 1) in found.counts
    assert "b-train-1" not in found.of("b")


def test_they_are_marked_in_the_merged_dataset() -> None:
    found = pseudo_labels(SOURCES, MAPPING, predict, 0.9)
    merged = merge_sources(SOURCES, MAPPING, pseudo=found)
    names = merged["train"].features["ner_tags"].feature.names
    first = merged["train"][0]
    assert [names[tag] for tag in first["ner_tags"]] == ["B-PER", "O", "O", "B-MONEY"]
    assert first["source_tags"] == ["B-per", "O", "O", "O"]
    assert first["origin"] == [0, 0, 0, 1]
    assert first["confidence"] == pytest.approx([1, 1, 1, 0.97])
    assert sum(any(found_row["origin"]) for found_row in merged["train"]) == 4
    assert not any(1 in found_row["origin"] for found_row in merged["test"])


def test_one_over_gold_is_noticed() -> None:
    over = PseudoLabels(0.0, {"a": {"a-train-0": [Entity(0, 1, "ORG")]}})
    with pytest.raises(ConservationError, match=r"a:PER.: -1"):
        merge_sources(SOURCES, MAPPING, pseudo=over)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_out_of_range(threshold: float) -> None:
    with pytest.raises(ConfigurationError, match="expected a confidence from 0 to 1"):
        check_threshold(threshold)


class TestTree:
    """fine annotates books and films, coarse products and persons, books only books."""

    @staticmethod
    def predict(found: dict[tuple[str, str], dict[int, list[Entity]]]) -> CrossPredictions:
        def predict(tagger: str, source: NerSource) -> Iterator[Sequence[Entity]]:
            rows = found.get((tagger, source.name), {})
            return (rows.get(index, []) for index in range(len(source.dataset["train"])))

        return predict

    @pytest.mark.parametrize(
        ("tagger", "source", "label", "unified"),
        [
            ("coarse", "fine", "product", None),  # it annotates all parts of it
            ("coarse", "books", "product", "PRODUCT"),  # it annotates one part of it
            ("coarse", "books", "person", "PER"),
            ("fine", "coarse", "Book", None),  # it annotates the whole
            ("fine", "books", "Book", None),
            ("fine", "books", "Movie", "film"),
            ("books", "coarse", "title", None),
            ("books", "fine", "title", None),  # it annotates the same
            ("books", "coarse", "odd", None),  # left out
        ],
    )
    def test_what_is_missing(self, tagger: str, source: str, label: str, unified: str | None) -> None:
        index = next(i for i, s in enumerate(tree.SOURCES) if s.name == source)
        row_index = len(tree.SOURCES[index].dataset["train"]) - 1
        token = 0 if source != "books" else 3
        predict = self.predict({(tagger, source): {row_index: [Entity(token, token + 1, label, 0.95)]}})
        found = pseudo_labels(tree.SOURCES, tree.MAPPING, predict, 0.9)
        assert found.counts == (() if unified is None else ((source, unified, tagger, 1),))

    def test_a_coarse_one_over_a_fine_gold_entity_collides(self) -> None:
        predict = self.predict({("coarse", "books"): {0: [Entity(0, 1, "product", 0.99)]}})
        found = pseudo_labels(tree.SOURCES, tree.MAPPING, predict, 0.9)
        assert not found.counts
        assert found.rejected == {"shares tokens with a gold entity": 1}

    def test_of_one_span_the_finer_label_stays(self) -> None:
        bare = make_source("bare", {"train": [row("alien and dune")]})
        predict = self.predict(
            {
                ("coarse", "bare"): {0: [Entity(0, 1, "product", 0.99), Entity(2, 3, "product", 0.99)]},
                ("fine", "bare"): {0: [Entity(0, 1, "Movie", 0.91), Entity(2, 3, "Book", 0.8)]},
            }
        )
        found = pseudo_labels([*tree.SOURCES, bare], tree.MAPPING, predict, 0.9)
        assert found.of("bare") == {"bare-train-0": [Entity(0, 1, "film"), Entity(2, 3, "PRODUCT")]}
        assert found.of("bare")["bare-train-0"][0].score == 0.91
        assert found.rejected == {"found as a finer label by another tagger": 1, "below the threshold": 1}
        merged = merge_sources([*tree.SOURCES, bare], tree.MAPPING, pseudo=found)["train"]
        coarse = merged.features["coarse_tags"].feature.names
        last = merged[len(merged) - 1]
        assert [coarse[tag] for tag in last["coarse_tags"]] == ["B-PRODUCT", "O", "B-PRODUCT"]
