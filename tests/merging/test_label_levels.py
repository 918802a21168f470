"""A merged dataset with a tree of labels: its columns, its views, nothing lost, and flat ones as before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, List, load_dataset, load_from_disk
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConfigurationError, ConservationError, SourceError
from esnera_hf.merging.label_levels import Grain, view
from esnera_hf.merging.merge import check_conserved, merge_sources, merged_features
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.sources.duplicates import Duplicate
from esnera_hf.tagging import Entity, LabelRef, entities_from_tags
from product_tree import COARSE_TAGS, MAPPING, PARENTS, SOURCES, TAGS

NO_LEAKS: tuple[Duplicate, ...] = ()
#: Found by fine's tagger in books' train sentence.
PSEUDO = PseudoLabels(0.9, {"books": {"books-train-0": [Entity(2, 3, "film", 0.95)]}})
FLAT = replace(MAPPING, parents={})


@pytest.fixture
def merged() -> DatasetDict:
    return merge_sources(SOURCES, MAPPING, NO_LEAKS, PSEUDO)


def names_of(rows: Dataset, column: str = "ner_tags") -> list[list[str]]:
    names = rows.features[column].feature.names
    return [[names[tag] for tag in tags] for tags in rows[column]]


def test_rows(merged: DatasetDict) -> None:
    assert names_of(merged["train"]) == [
        ["B-book", "I-book", "B-film", "B-book"],
        ["O", "O"],
        ["B-PER", "O", "B-PRODUCT", "I-PRODUCT"],
        ["O", "B-PRODUCT"],
        ["B-book", "O", "B-film", "O"],
    ]
    assert names_of(merged["train"], "coarse_tags") == [
        ["B-PRODUCT", "I-PRODUCT", "B-PRODUCT", "B-PRODUCT"],
        ["O", "O"],
        ["B-PER", "O", "B-PRODUCT", "I-PRODUCT"],
        ["O", "B-PRODUCT"],
        ["B-PRODUCT", "O", "B-PRODUCT", "O"],
    ]
    assert names_of(merged["test"], "coarse_tags")[0] == ["B-PRODUCT", "B-PRODUCT", "O"]
    assert merged["train"][4]["origin"] == [0, 0, 1, 0]


def test_a_flat_merge_is_as_before(merged: DatasetDict) -> None:
    flat = merge_sources(SOURCES, FLAT, NO_LEAKS, PSEUDO)
    for split, rows in flat.items():
        assert "coarse_tags" not in rows.column_names
        without = merged[split].remove_columns("coarse_tags")
        assert (rows.to_list(), rows.features) == (without.to_list(), without.features)
        for grain in ("fine", "coarse"):
            same = view(rows, grain)
            assert (same.to_list(), same.features) == (rows.to_list(), rows.features)


def test_a_split_without_sentences_has_the_columns() -> None:
    mapping = MAPPING.restricted(["books", "coarse"])
    merged = merge_sources(SOURCES[1:], mapping)
    assert len(merged["validation"]) == 1
    alone = merge_sources(SOURCES[2:], mapping.restricted(["books"]))
    assert len(alone["validation"]) == 0
    assert alone["validation"].features == alone["train"].features
    for grain in ("fine", "coarse", "original"):
        seen = view(alone, grain)
        assert seen["validation"].features == seen["train"].features


class TestViews:
    def test_fine_and_coarse(self, merged: DatasetDict) -> None:
        for grain, column, tags in (("fine", "ner_tags", TAGS), ("coarse", "coarse_tags", COARSE_TAGS)):
            for split, rows in view(merged, grain).items():
                assert rows.column_names == list(merged_features(FLAT))
                assert rows.features["ner_tags"] == merged[split].features[column]
                assert rows.features["ner_tags"] == List(ClassLabel(names=tags))
                assert names_of(rows) == names_of(merged[split], column)
                others = ["id", "tokens", "source", "source_tags", "origin", "confidence"]
                assert rows.select_columns(others).to_list() == merged[split].select_columns(others).to_list()

    def test_original(self, merged: DatasetDict) -> None:
        original = view(merged, "original")
        labels = ("books:odd", "books:title", "coarse:person", "coarse:product", "fine:Book", "fine:Movie")
        tags = ["O", *(prefix + label for label in labels for prefix in ("B-", "I-"))]
        for split, rows in original.items():
            assert rows.column_names == ["id", "tokens", "ner_tags", "source"]
            assert rows.features["ner_tags"] == List(ClassLabel(names=tags))
            assert rows["tokens"][:] == merged[split]["tokens"][:]
        assert names_of(original["train"]) == [
            ["B-fine:Book", "I-fine:Book", "B-fine:Movie", "B-fine:Book"],
            ["O", "O"],
            ["B-coarse:person", "O", "B-coarse:product", "I-coarse:product"],
            ["O", "B-coarse:product"],
            ["B-books:title", "B-books:odd", "O", "O"],
        ]

    def test_medium_and_a_number_of_labels(self, merged: DatasetDict) -> None:
        under = replace(
            MAPPING,
            unified_labels=(*MAPPING.unified_labels, "THING"),
            parents={**PARENTS, "PRODUCT": "THING"},
        )
        data = merge_sources(SOURCES, under, NO_LEAKS, PSEUDO)
        medium = view(data, "medium", mapping=under)
        for split, rows in medium.items():
            assert rows.features["ner_tags"] == List(ClassLabel(names=COARSE_TAGS))
            assert names_of(rows) == names_of(merged[split], "coarse_tags")
            assert rows.column_names == list(merged_features(FLAT))
        assert names_of(view(data["test"], "coarse"))[0] == ["B-THING", "B-THING", "O"]
        for labels, tags in ((4, TAGS), (3, COARSE_TAGS), (2, COARSE_TAGS)):
            seen = view(data, mapping=under, labels=labels)["train"]
            assert seen.features["ner_tags"].feature.names == tags
        alone = view(
            merge_sources(SOURCES[2:], under.restricted(["books"])),
            mapping=under.restricted(["books"]),
            labels=1,
        )
        assert alone["validation"].features == alone["train"].features
        with pytest.raises(ConfigurationError, match="labels=1: the tree of labels has 2 outermost labels"):
            view(data, mapping=under, labels=1)
        with pytest.raises(ConfigurationError, match="found grain 'coarse' and labels=3"):
            view(data, "coarse", mapping=under, labels=3)
        with pytest.raises(ConfigurationError, match="need the mapping that the dataset was merged by"):
            view(data, "medium")
        with pytest.raises(SourceError, match="train: expected the labels of the mapping, PER, PRODUCT,"):
            view(data, "medium", mapping=MAPPING)
        with pytest.raises(SourceError, match="a view of one: A merged dataset with its medium labels"):
            view(medium, "coarse")
        flat = merge_sources(SOURCES, FLAT, NO_LEAKS, PSEUDO)
        assert view(flat, "medium", mapping=FLAT)["train"].to_list() == flat["train"].to_list()

    def test_of_some_rows_and_with_other_columns(self, merged: DatasetDict) -> None:
        some = merged["train"].select([4, 0])
        assert names_of(view(some, "coarse")) == [names_of(merged["train"], "coarse_tags")[i] for i in (4, 0)]
        more = some.add_column("mine", [7, 8])
        for grain in ("fine", "coarse", "original"):
            assert view(more, grain)["mine"][:] == [7, 8]
        assert names_of(view(more, "original"))[0] == ["B-books:title", "B-books:odd", "O", "O"]

    def test_of_what_was_loaded_back(self, merged: DatasetDict, tmp_path: Path) -> None:
        merged.save_to_disk(tmp_path / "saved")
        for split, rows in merged.items():
            rows.to_parquet(tmp_path / f"{split}.parquet")
        before = sorted((tmp_path / "saved").rglob("*"))
        parquet = load_dataset("parquet", data_files={s: str(tmp_path / f"{s}.parquet") for s in merged})
        for loaded in (load_from_disk(str(tmp_path / "saved")), parquet):
            for grain in ("fine", "coarse", "original"):
                expected, found = view(merged, grain), view(loaded, grain)
                for split, rows in expected.items():
                    assert found[split].to_list() == rows.to_list()
                    assert found[split].features == rows.features
        assert sorted((tmp_path / "saved").rglob("*")) == before

    @pytest.mark.parametrize("seen", ["fine", "coarse", "original"])
    def test_a_view_has_one_grain(self, merged: DatasetDict, tmp_path: Path, seen: Grain) -> None:
        first = view(merged, seen)
        first.save_to_disk(tmp_path / "view")
        some = first["train"].select([1, 0]).filter(lambda row: row["id"])
        for data in (first, load_from_disk(str(tmp_path / "view")), some):
            with pytest.raises(SourceError, match="view the merged dataset itself"):
                view(data, "coarse")
        assert not merged["train"].info.description

    def test_what_is_wrong_is_said(self, merged: DatasetDict) -> None:
        with pytest.raises(
            ConfigurationError, match="grain 'rough': expected one of coarse, medium, fine, original"
        ):
            view(merged, "rough")  # type: ignore[arg-type]
        with pytest.raises(SourceError, match="train: expected a merged dataset, columns missing: ner_tags"):
            view(DatasetDict({"train": Dataset.from_dict({"tokens": [["x"]]})}), "coarse")

    def test_source_and_label_that_are_written_alike(self) -> None:
        one, other = (
            make_source("a:b", {"train": [row("x/B-c")]}),
            make_source("a", {"train": [row("x/B-b:c")]}),
        )
        entries = tuple(MappedLabel(ref, "P") for source in (one, other) for ref in source.label_refs)
        with pytest.raises(SourceError, match="a:b:c is the name of two labels"):
            view(merge_sources([one, other], LabelMapping(("P",), entries)), "original")


class TestConservation:
    @pytest.mark.parametrize(
        ("coarse", "message"),
        [
            *[
                ([tag], "split train: 1 coarse_tags are not of the outermost")
                for tag in ("O", "I-PRODUCT", "B-PER")
            ],
            (["B-PRODUCT"] * 3, "not as many coarse_tags as ner_tags"),
        ],
    )
    def test_a_coarse_tag_that_is_another_is_noticed(
        self, merged: DatasetDict, coarse: list[str], message: str
    ) -> None:
        rows = merged["train"].to_list()
        ids = [COARSE_TAGS.index(tag) for tag in coarse]
        rows[0]["coarse_tags"] = [*ids, *rows[0]["coarse_tags"][1:]]
        train = Dataset.from_list(rows, features=merged["train"].features)
        with pytest.raises(ConservationError, match=message):
            check_conserved(SOURCES, MAPPING, DatasetDict({**merged, "train": train}), NO_LEAKS, PSEUDO)

    def test_a_column_of_another_mapping_is_noticed(self, merged: DatasetDict) -> None:
        less = replace(MAPPING, parents={"book": "PRODUCT"})
        for mapping, dataset in [
            (FLAT, merged),
            (less, merged),
            (MAPPING, merge_sources(SOURCES, FLAT, NO_LEAKS, PSEUDO)),
        ]:
            with pytest.raises(ConservationError, match="the column coarse_tags is not the one"):
                check_conserved(SOURCES, mapping, dataset, NO_LEAKS, PSEUDO)

    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def test_every_entity_is_there_at_every_grain(self, data: st.DataObject) -> None:
        labels = ["p", "q", "-r-", "人"]
        names = data.draw(st.lists(st.sampled_from("ABCDEF"), min_size=1, unique=True))
        parents = {
            name: data.draw(st.sampled_from(names[:index]))
            for index, name in enumerate(names)
            if index and data.draw(st.booleans())
        }
        gold: dict[str, list[list[tuple[int, int, str]]]] = {"a": [], "b": []}
        for source in gold:
            for _ in range(data.draw(st.integers(1, 3))):
                spans = data.draw(st.sets(st.sampled_from([(0, 1), (1, 3), (3, 4), (4, 6)]), max_size=4))
                sentence = [(start, end, data.draw(st.sampled_from(labels))) for start, end in sorted(spans)]
                gold[source].append(sentence)
        sources = [make_source(name, {"train": [tagged(s) for s in gold[name]]}) for name in gold]
        refs = [ref for source in sources for ref in source.label_refs]
        targets = {ref: data.draw(st.none() | st.sampled_from(names)) for ref in refs}
        schema = tuple(data.draw(st.permutations(names)))
        entries = tuple(MappedLabel(ref, target) for ref, target in targets.items())
        mapping = LabelMapping(schema, entries, parents=parents)
        merged = merge_sources(sources, mapping)["train"]

        def expected(grain: str) -> Counter[tuple[str, Entity]]:
            found: Counter[tuple[str, Entity]] = Counter()
            for source, sentences in gold.items():
                for index, sentence in enumerate(sentences):
                    for start, end, label in sentence:
                        name = targets[LabelRef(source, label)]
                        chain = [name, *mapping.ancestors(name)] if name is not None else []
                        if chain and grain == "coarse":
                            name = chain[-1]
                        if chain and grain == "medium":
                            name = [above for above in chain if above in targets.values()][-1]
                        if grain == "original":
                            name = f"{source}:{label}"
                        if name is not None:
                            found[f"{source}-train-{index}", Entity(start, end, name)] += 1
            return found

        for grain in get_args(Grain):
            seen = view(merged, grain, mapping=mapping)
            tags = zip(seen["id"], names_of(seen), strict=True)
            assert expected(grain) == Counter((i, e) for i, row in tags for e in entities_from_tags(row)[0])


def tagged(sentence: list[tuple[int, int, str]]) -> tuple[list[str], list[str]]:
    tags = ["O"] * 6
    for start, end, label in sentence:
        tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
    return list("abcdef"), tags
