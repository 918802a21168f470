"""A recipe gives the same dataset again, and says where copies differ."""

from __future__ import annotations

import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import DatasetDict, concatenate_datasets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import Row, make_source, row, toy_source
from esnera_hf import MergeResult, apply
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import LicenseError, MappingError, RecipeError
from esnera_hf.hub.push import DatasetSettings, save_for_hub
from esnera_hf.hub.recipe import Comparison, Recipe
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.report.report import MergeReport
from esnera_hf.sources.leakage import find_leaks, left_out_of_train
from esnera_hf.sources.licenses import license_from_id
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity, LabelRef

NAMES = {"PERSON": "PER", "PLACE": "LOC"}
OTHERS = {"PERSON": "name", "FIRM": "company"}


def make_mapping(*labels: tuple[str, str, str | None]) -> LabelMapping:
    entries = tuple(MappedLabel(LabelRef(source, label), unified) for source, label, unified in labels)
    unified = tuple(dict.fromkeys(entry.unified for entry in entries if entry.unified is not None))
    return LabelMapping(unified, entries)


MAPPING = make_mapping(("a", "LOC", "LOC"), ("a", "PER", "PER"), ("b", "company", None), ("b", "name", "PER"))


def two_sources() -> list[NerSource]:
    one, other = toy_source("a", NAMES, 1, train=40), toy_source("b", OTHERS, 2, train=30)
    # A test sentence of b stands in the train split of a: the merge leaves it out there.
    leak = one.dataset["train"].select([3])
    moved = leak.map(
        lambda _: {"id": "b-test-extra", "source": "b", "ner_tags": ["O"] * len(leak[0]["tokens"])}
    )
    test = concatenate_datasets([other.dataset["test"], moved.cast(leak.features)])
    return [one, replace(other, dataset=DatasetDict({**other.dataset, "test": test}))]


def merge(sources: list[NerSource], mapping: LabelMapping) -> tuple[DatasetDict, PseudoLabels]:
    leaks = find_leaks(sources)
    out = left_out_of_train(leaks)
    pseudo = PseudoLabels(0.5)
    choose = random.Random(0)
    for source in sources:
        added = pseudo.entities.setdefault(source.name, {})
        for sentence in source.sentences("train"):
            free = set(range(len(sentence.tokens))).difference(
                *(range(entity.start, entity.end) for entity in sentence.entities)
            )
            if free and sentence.id not in out.get(source.name, ()) and choose.random() < 0.4:
                token = choose.choice(sorted(free))
                added[sentence.id] = [Entity(token, token + 1, "LOC", choose.random())]
    return merge_sources(sources, mapping, leaks, pseudo), pseudo


def write_recipe(sources: list[NerSource], folder: Path, mapping: LabelMapping = MAPPING) -> DatasetDict:
    dataset, _ = merge(sources, mapping)
    folder.mkdir()
    publish(dataset, mapping, sources, folder, text=False)
    return dataset


def publish(
    dataset: DatasetDict, mapping: LabelMapping, sources: list[NerSource], folder: Path, *, text: bool
) -> None:
    report = MergeReport(tuple(source.summary for source in sources))
    settings = DatasetSettings(text, may_share=[source.name for source in sources])
    save_for_hub(MergeResult(dataset, mapping, None, report), folder, "me/merged", settings)


def rows_of(dataset: DatasetDict) -> dict[str, list[dict[str, object]]]:
    return {split: rows.to_list() for split, rows in dataset.items()}


def test_the_same_copies_give_the_same_dataset(tmp_path: Path) -> None:
    original = write_recipe(two_sources(), tmp_path / "recipe")
    assert any(1 in row["origin"] for row in original["train"])
    assert len(original["train"]) == 62  # of 70: the others stand in a later split of the other source
    rebuilt = apply(tmp_path / "recipe", two_sources())
    assert rows_of(rebuilt.dataset) == rows_of(original)
    assert rebuilt.dataset["train"].features == original["train"].features
    assert rebuilt.comparison == Comparison(same=True)
    assert rebuilt.mapping == MAPPING
    assert str(rebuilt.comparison) == "the same dataset as the published one"
    assert rebuilt.report.pseudo_labels.total == sum(1 in row["origin"] for row in original["train"])


def test_order_splits_and_ids_of_a_copy_do_not_matter(tmp_path: Path) -> None:
    sources = two_sources()
    original = write_recipe(sources, tmp_path / "recipe")
    copies = []
    for source in sources:
        everything = concatenate_datasets(list(source.dataset.values())).shuffle(seed=5)
        numbered = everything.map(lambda _, i: {"id": f"other-{i}"}, with_indices=True)
        third = len(numbered) // 3
        splits = {
            "train": numbered.select(range(third)),
            "validation": numbered.select(range(third, 2 * third)),
            "test": numbered.select(range(2 * third, len(numbered))),
        }
        copies.append(replace(source, dataset=DatasetDict(splits)))
    rebuilt = apply(tmp_path / "recipe", copies[::-1])
    assert rows_of(rebuilt.dataset) == rows_of(original)
    assert rebuilt.comparison.same


def test_differences_are_told_apart(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    splits: dict[str, list[Row]] = {
        "train": [row("anna/B-PER met bruno"), row("in paris"), row("anna/B-PER left")],
        "validation": [row("emma/B-PER")],
        "test": [row("hugo/B-PER met")],
    }
    write_recipe([make_source("a", splits)], tmp_path / "recipe", make_mapping(("a", "PER", "PER")))
    copy = {
        "train": [row("anna/B-PER met bruno/B-PER"), row("anna/B-PER left"), row("something new")],
        "validation": splits["validation"],
        "test": splits["test"],
    }
    rebuilt = apply(tmp_path / "recipe", [make_source("a", copy)])
    assert rebuilt.comparison.differences == (
        ("annotated otherwise", "a", "train", "a-train-0"),
        ("missing", "a", "train", "a-train-1"),
    )
    assert not rebuilt.comparison.same
    assert [r["tokens"] for r in rebuilt.dataset["train"]] == [["anna", "met", "bruno"], ["anna", "left"]]
    names = rebuilt.dataset["train"].features["ner_tags"].feature.names
    assert [names[tag] for tag in rebuilt.dataset["train"][0]["ner_tags"]] == ["B-PER", "O", "B-PER"]
    told = capfd.readouterr().err
    assert "NOT the dataset that was published" in told
    assert "a: 1 annotated otherwise: a-train-0" in told


def test_a_copy_with_more_sentences_is_the_same_dataset(tmp_path: Path) -> None:
    splits = {
        "train": [row("anna/B-PER met")],
        "validation": [row("emma/B-PER")],
        "test": [row("hugo/B-PER met")],
    }
    original = write_recipe(
        [make_source("a", splits)], tmp_path / "recipe", make_mapping(("a", "PER", "PER"))
    )
    more = {**splits, "train": [row("new one"), *splits["train"]]}
    rebuilt = apply(tmp_path / "recipe", [make_source("a", more)])
    assert rows_of(rebuilt.dataset) == rows_of(original)
    assert rebuilt.comparison == Comparison(same=True)


def test_repeated_sentences_annotated_differently_find_their_own(tmp_path: Path) -> None:
    train = [row("anna met"), row("anna/B-PER met"), row("anna met"), row("anna/B-PER met/I-PER")]
    splits = {"train": train, "validation": [row("emma/B-PER")], "test": [row("hugo/B-PER")]}
    original = write_recipe(
        [make_source("a", splits)], tmp_path / "recipe", make_mapping(("a", "PER", "PER"))
    )
    rebuilt = apply(tmp_path / "recipe", [make_source("a", {**splits, "train": train[::-1]})])
    assert rows_of(rebuilt.dataset) == rows_of(original)


def test_a_pseudo_label_gives_way_to_gold_of_the_copy(tmp_path: Path) -> None:
    sources = two_sources()
    dataset = write_recipe(sources, tmp_path / "recipe")
    pseudo = next(r for r in dataset["train"] if r["source"] == "a" and 1 in r["origin"])
    token = pseudo["origin"].index(1)

    def annotate(sentence: dict[str, object]) -> dict[str, object]:
        tags = list(sentence["ner_tags"])  # type: ignore[call-overload]
        if sentence["id"] == pseudo["id"]:
            tags[token] = "B-PER"
        return {"ner_tags": tags}

    train = sources[0].dataset["train"].map(annotate)
    copy = replace(sources[0], dataset=DatasetDict({**sources[0].dataset, "train": train}))
    rebuilt = apply(tmp_path / "recipe", [copy, sources[1]])
    assert [(d.kind, d.id) for d in rebuilt.comparison.differences] == [("annotated otherwise", pseudo["id"])]
    found = next(r for r in rebuilt.dataset["train"] if r["id"] == pseudo["id"])
    assert found["origin"][token] == 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], r"the recipe needs b\. Name each source as the recipe does"),
        (["a", "c"], r"the recipe needs b; it does not know c"),
        (["a", "b", "c"], "the recipe has all it needs; it does not know c"),
    ],
)
def test_sources_must_be_those_of_the_recipe(tmp_path: Path, names: list[str], message: str) -> None:
    write_recipe(two_sources(), tmp_path / "recipe")
    given = [toy_source(name, NAMES, seed) for seed, name in enumerate(names, 1)]
    with pytest.raises(RecipeError, match=message):
        apply(tmp_path / "recipe", given)


def test_another_corpus_is_refused(tmp_path: Path) -> None:
    write_recipe(two_sources(), tmp_path / "recipe")
    other = make_source("b", {s: [row(f"quite/B-name another {s}")] for s in ("train", "validation", "test")})
    with pytest.raises(RecipeError, match=r"b: none of the 110 sentences of the recipe is in this copy"):
        apply(tmp_path / "recipe", [two_sources()[0], other])


def test_a_label_the_mapping_does_not_know_is_refused(tmp_path: Path) -> None:
    splits = {s: [row(f"anna/B-PER {s}")] for s in ("train", "validation", "test")}
    write_recipe([make_source("a", splits)], tmp_path / "recipe", make_mapping(("a", "PER", "PER")))
    copy = {**splits, "train": [row("anna/B-NEW train")]}
    with pytest.raises(MappingError, match="a:NEW"):
        apply(tmp_path / "recipe", [make_source("a", copy)])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace('"version": 2', '"version": 7'), "a recipe of version '7'"),
        (lambda text: text[:-20], "it is damaged"),
        (
            lambda text: text.replace('"salt"', '"sald"'),
            "it is damaged: KeyError",
        ),
        (lambda text: text.replace('"train"', '"../train"', 1), "it is damaged: ValueError: splits"),
        (
            lambda text: re.sub('"dataset": "[^"]*"', '"dataset": 7', text),
            "it is damaged: ValueError: dataset 7",
        ),
        (lambda text: text.replace('"name": "a"', '"name": 7'), "it is damaged: ValueError: sources"),
    ],
)
def test_a_damaged_recipe_is_refused(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    write_recipe(two_sources(), tmp_path / "recipe")
    file = tmp_path / "recipe" / "recipe.json"
    file.write_text(damage(file.read_text()))
    with pytest.raises(RecipeError, match=message):
        apply(tmp_path / "recipe", two_sources())
    file.unlink()
    with pytest.raises(RecipeError, match=r"recipe\.json is missing"):
        apply(tmp_path / "recipe", two_sources())


def test_a_recipe_whose_mapping_was_changed_is_refused(tmp_path: Path) -> None:
    write_recipe(two_sources(), tmp_path / "recipe")
    file = tmp_path / "recipe" / "mapping.yaml"
    merged, alone = MAPPING.unified_labels[0], MAPPING.unified_labels[-1]
    other = replace(
        MAPPING,
        entries=tuple(
            replace(entry, unified={merged: alone, alone: merged}.get(entry.unified or "", entry.unified))
            for entry in MAPPING.entries
        ),
    )
    file.write_text(other.to_yaml())
    with pytest.raises(RecipeError, match=r"the recipe contradicts itself, .* its mapping or"):
        apply(tmp_path / "recipe", two_sources())


def test_a_recipe_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    """Its rows are in another order than that of its sources."""
    write_recipe(two_sources(), tmp_path / "recipe")
    recipe = Recipe.read(tmp_path / "recipe")
    rows = {split: rows[::-1] for split, rows in recipe.rows.items()}
    shutil.rmtree(tmp_path / "recipe" / "recipe")
    replace(recipe, rows=rows).write(tmp_path / "recipe")
    with pytest.raises(RecipeError, match=r"the recipe contradicts itself, .* Ask whoever published it"):
        apply(tmp_path / "recipe", two_sources())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"end": 99}, r"a pseudo-label of \S+ is 'LOC' at \d+ to 99; expected a unified label within"),
        ({"start": -1}, r"is 'LOC' at -1 to \d+"),
        ({"label": "company"}, r"is 'company' at \d+ to \d+"),
        ({"label": None}, r"it is damaged: ValueError: train\.parquet: found empty fields"),
    ],
    ids=str,
)
def test_a_damaged_pseudo_label_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    write_recipe(two_sources(), tmp_path / "recipe")
    recipe = Recipe.read(tmp_path / "recipe")
    for entity in (entity for each in recipe.rows["train"] for entity in each["pseudo"]):
        entity.update(change)
    shutil.rmtree(tmp_path / "recipe" / "recipe")
    recipe.write(tmp_path / "recipe")
    with pytest.raises(RecipeError, match=message):
        apply(tmp_path / "recipe", two_sources())


def test_a_recipe_cannot_allow_what_a_copy_forbids(tmp_path: Path) -> None:
    stated = [replace(source, license=license_from_id("mit")) for source in two_sources()]
    write_recipe(stated, tmp_path / "recipe")
    copies = [replace(stated[0], license=license_from_id("cc-by-nd-4.0")), stated[1]]
    result = apply(tmp_path / "recipe", copies)
    assert [source.license.name for source in result.report.sources] == ["cc-by-nd-4.0", "mit"]
    with pytest.raises(LicenseError, match=r"a: cc-by-nd-4\.0 forbids"):
        result.push_to_hub("me/leak")
    unknown = apply(tmp_path / "recipe", two_sources())
    assert {source.license.name for source in unknown.report.sources} == {"unknown"}


def test_fingerprints_of_two_recipes_cannot_be_compared() -> None:
    """The same sentence in two datasets, of which somebody knows one."""
    shared = {split: [row(f"anna/B-PER {split}")] for split in ("train", "validation", "test")}
    mapping = make_mapping(("a", "PER", "PER"))
    recipes = [
        Recipe.of(merge_sources([make_source("a", splits)], mapping), mapping, [])
        for splits in (shared, {**shared, "test": [row("hugo/B-PER")]})
    ]
    first, second = (recipe.rows["train"][0] for recipe in recipes)
    assert first["text"] != second["text"]
    assert first["annotation"] != second["annotation"]


def test_a_truncated_table_is_refused(tmp_path: Path) -> None:
    write_recipe(two_sources(), tmp_path / "recipe")
    table = tmp_path / "recipe" / "recipe" / "train.parquet"
    table.write_bytes(table.read_bytes()[:-30])
    with pytest.raises(RecipeError, match="it is damaged"):
        apply(tmp_path / "recipe", two_sources())


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=4), st.integers(0, 3))
def test_a_recipe_is_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, tokens: list[str], seed: int
) -> None:
    splits = {s: [(tokens, ["B-x"] + ["O"] * (len(tokens) - 1))] for s in ("train", "validation", "test")}
    source = make_source("a", splits)
    mapping = make_mapping(("a", "x", "x"))
    dataset = merge_sources([source], mapping)
    recipe = Recipe.of(dataset, mapping, [{"name": "a"}])
    folder = tmp_path_factory.mktemp("recipe")
    recipe.write(folder)
    mapping.save(folder / "mapping.yaml")
    assert Recipe.read(folder) == recipe
    assert Recipe.of(dataset, mapping, [{"name": "a"}]) == recipe


def test_a_dataset_published_with_its_text_is_made_again(tmp_path: Path) -> None:
    sources = two_sources()
    dataset, _ = merge(sources, MAPPING)
    publish(dataset, MAPPING, sources, tmp_path, text=True)
    again = apply(tmp_path, two_sources()[::-1])
    assert rows_of(again.dataset) == rows_of(dataset)
    assert again.comparison == Comparison(same=True)
    copies = [
        sources[0],
        replace(sources[1], dataset=sources[1].dataset.map(lambda r: {"ner_tags": ["O"] * len(r["tokens"])})),
    ]
    other = apply(tmp_path, copies).comparison
    assert not other.same
    assert {(d.kind, d.source) for d in other.differences} == {("annotated otherwise", "b")}
