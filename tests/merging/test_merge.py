"""Relabelled and concatenated: ids that mean what they meant, entities conserved."""

from __future__ import annotations

from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConservationError, MappingError
from esnera_hf.merging import merge as merging
from esnera_hf.merging.merge import check_conserved, merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.sources.duplicates import Duplicate
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.levelled_texts import Place, normalize
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity, LabelRef

SPLITS = ("train", "validation", "test")


def mapping(*pairs: tuple[str, str]) -> LabelMapping:
    entries = tuple(MappedLabel(LabelRef(*name.split(":", 1)), target) for name, target in pairs)
    return LabelMapping(tuple(dict.fromkeys(target for _, target in pairs)), entries)


@pytest.fixture
def sources() -> list[NerSource]:
    return [
        make_source(
            "a",
            {
                "train": [row("anna/B-per smith/I-per left"), row("nothing")],
                "validation": [row("oslo/B-loc oslo/B-loc")],
                "test": [row("anna/B-per")],
            },
        ),
        make_source(
            "b",
            {
                "train": [row("lima/B-城市")],
                "validation": [row("bruno/B-name"), row("in lima/B-城市")],
                "test": [row("bruno/B-name clara/I-name")],
            },
        ),
    ]


MAPPING = mapping(("a:loc", "GPE"), ("b:城市", "GPE"), ("b:name", "PERSON"), ("a:per", "PERSON"))
NAMES = ["O", "B-GPE", "I-GPE", "B-PERSON", "I-PERSON"]


def test_rows(sources: list[NerSource]) -> None:
    merged = merge_sources(sources, MAPPING)
    assert list(merged) == list(SPLITS)
    for rows in merged.values():
        assert rows.features == {
            "id": Value("string"),
            "tokens": List(Value("string")),
            "ner_tags": List(ClassLabel(names=NAMES)),
            "source": Value("string"),
            "source_tags": List(Value("string")),
            "origin": List(ClassLabel(names=["gold", "pseudo"])),
            "confidence": List(Value("float32")),
        }
    train = merged["train"]
    assert {column: train[column][:] for column in train.column_names} == {
        "id": ["a-train-0", "a-train-1", "b-train-0"],
        "tokens": [["anna", "smith", "left"], ["nothing"], ["lima"]],
        "ner_tags": [[3, 4, 0], [0], [1]],
        "source": ["a", "a", "b"],
        "source_tags": [["B-per", "I-per", "O"], ["O"], ["B-城市"]],
        "origin": [[0, 0, 0], [0], [0]],
        "confidence": [[1.0, 1.0, 1.0], [1.0], [1.0]],
    }
    assert merged["validation"]["ner_tags"][:] == [[1, 1], [3], [0, 1]]
    assert merged["test"]["ner_tags"][:] == [[3], [3, 4]]


def test_a_label_left_out_is_refused(sources: list[NerSource]) -> None:
    with pytest.raises(MappingError, match="leaves out a:per"):
        merge_sources(sources, mapping(("a:loc", "GPE"), ("b:城市", "GPE"), ("b:name", "PERSON")))


@pytest.mark.parametrize(
    ("split", "changes", "difference"),
    [
        ("train", {"ner_tags": [0, 0, 0]}, {"a:PERSON": -1}),
        ("train", {"ner_tags": [3, 3, 0]}, {"a:PERSON": 1}),
        ("train", {"ner_tags": [1, 2, 0]}, {"a:GPE": 1, "a:PERSON": -1}),
        ("train", {"origin": [1, 1, 0]}, {"a:PERSON": -1, "a:PERSON (pseudo)": 1}),
        ("test", {"source": "b"}, {"a:PERSON": -1, "b:PERSON": 1}),
    ],
)
def test_a_tampered_dataset_is_noticed(
    sources: list[NerSource], split: str, changes: dict[str, Any], difference: dict[str, int]
) -> None:
    merged = merge_sources(sources, MAPPING)
    check_conserved(sources, MAPPING, merged)
    rows = merged[split].to_list()
    rows[0] |= changes
    tampered = DatasetDict({**merged, split: Dataset.from_list(rows, features=merged[split].features)})
    with pytest.raises(ConservationError, match=f"split {split}: entities gained or lost") as caught:
        check_conserved(sources, MAPPING, tampered)
    assert str(difference) in str(caught.value)


def test_merging_checks_itself(sources: list[NerSource], monkeypatch: pytest.MonkeyPatch) -> None:
    relabel = merging._Merging._relabelled

    def lose_sentences(merging: Any, source: NerSource, split: str) -> Dataset:
        relabelled = relabel(merging, source, split)
        return relabelled.select(range(len(relabelled) - 1)) if source.name == "b" else relabelled

    monkeypatch.setattr(merging._Merging, "_relabelled", lose_sentences)
    with pytest.raises(ConservationError, match="'b:GPE': -1"):
        merge_sources(sources, MAPPING)


LONG = "the quick brown fox jumps over the lazy dog near the old river bank"


def leaking_sources() -> list[NerSource]:
    """Sentences of b's validation and test splits in a's train and validation splits, and one inside b."""
    splits = {
        "a": (
            ["anna/B-per left", LONG, "oslo/B-loc is far", "kept/B-loc here"],
            ["oslo/B-loc is far", "bruno/B-per stays"],
            ["anna/B-per left"],
        ),
        "b": (
            ["lima/B-城市 wins"],
            ["oslo/B-城市 is far", LONG + " today"],
            ["Anna/B-name left !", "lima/B-城市 wins", "bruno/B-name stays"],
        ),
    }
    return [
        make_source(name, {split: list(map(row, rows)) for split, rows in zip(SPLITS, parts, strict=True)})
        for name, parts in splits.items()
    ]


class TestLeaks:
    def test_leaks_between_sources_are_left_out(self) -> None:
        sources = leaking_sources()
        leaks = find_leaks(sources)
        merged = merge_sources(sources, MAPPING, leaks)
        assert merged["train"]["id"][:] == ["a-train-3", "b-train-0"]
        assert merged["validation"]["id"][:] == ["a-validation-0", "b-validation-0", "b-validation-1"]
        assert len(merged["test"]) == 4
        assert merged["train"].features == merge_sources(sources, MAPPING)["train"].features
        check_conserved(sources, MAPPING, merged, leaks)
        with pytest.raises(ConservationError, match="gained or lost"):
            check_conserved(sources, MAPPING, merged)

    def test_a_sentence_without_entities_is_conserved_too(self) -> None:
        sources = leaking_sources()
        leak = [leak for leak in find_leaks(sources) if leak.first.id == "a-train-1"]
        with pytest.raises(ConservationError, match="split train: expected 4 sentences, found 5"):
            check_conserved(sources, MAPPING, merge_sources(sources, MAPPING), leak)

    def test_leaks_of_other_sources_are_refused(self) -> None:
        sources = leaking_sources()
        stranger = Duplicate(Place("a", "train", "a-train-9"), Place("b", "test", "b-test-0"), True)
        with pytest.raises(ConservationError, match="1 sentences to leave out, 0 found"):
            merge_sources(sources, MAPPING, [stranger])

    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def test_no_text_of_a_later_split_is_left_in_another_source(self, data: st.DataObject) -> None:
        sentence = st.lists(st.sampled_from(["x/B-P", "y", "z"]), min_size=1, max_size=2).map(" ".join)
        splits = st.fixed_dictionaries({split: st.lists(sentence.map(row), max_size=4) for split in SPLITS})
        sources = [make_source(name, data.draw(splits)) for name in "abc"]
        leaks = find_leaks(sources)
        pairs = mapping(*[(str(ref), "P") for source in sources for ref in source.label_refs])
        merged = merge_sources(sources, pairs, leaks)
        kept = {
            (source, split, normalize("".join(tokens)))
            for split, rows in merged.items()
            for source, tokens in zip(rows["source"], rows["tokens"], strict=True)
        }
        given_texts = {
            (source.name, split, normalize("".join(sentence.tokens)))
            for source in sources
            for split in SPLITS
            for sentence in source.sentences(split)
        }
        for source, split, text in given_texts:
            later = SPLITS[SPLITS.index(split) + 1 :]
            leaks_out = any((o, s, text) in given_texts for o in "abc" if o != source for s in later)
            assert ((source, split, text) in kept) is not leaks_out


@pytest.mark.parametrize(("start", "end"), [(0, 2), (-1, 1), (1, 1)])
def test_pseudo_labels_of_other_sentences_are_refused(sources: list[NerSource], start: int, end: int) -> None:
    """The second training sentence of a is of one token."""
    pseudo = PseudoLabels(0.5, {"a": {"a-train-1": [Entity(start, end, "GPE", 0.9)]}})
    with pytest.raises(
        ConservationError, match=r"a-train-1: the pseudo-label .* sentence of 1 tokens\. Pass pseudo"
    ):
        merge_sources(sources, MAPPING, (), pseudo)


def test_a_pseudo_label_of_several_tokens_covers_all_of_them() -> None:
    source = make_source(
        "a", {"train": [row("met new york city on anna/B-per")], "validation": [row("x/B-loc")]}
    )
    pseudo = PseudoLabels(0.5, {"a": {"a-train-0": [Entity(1, 4, "GPE", 0.75)]}})
    first = merge_sources([source], MAPPING.restricted(["a"]), (), pseudo)["train"][0]
    assert [NAMES[tag] for tag in first["ner_tags"]] == ["O", "B-GPE", "I-GPE", "I-GPE", "O", "B-PERSON"]
    assert first["origin"] == [0, 1, 1, 1, 0, 0]
    assert first["confidence"] == [1, 0.75, 0.75, 0.75, 1, 1]
