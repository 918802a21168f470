"""What was published is made again from copies of the sources, which say where they differ."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict, concatenate_datasets

from builders import make_source, row, toy_source
from card_facts import merge_with_pseudo_labels
from esnera_hf import MergeResult, apply
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import LicenseError, MappingError
from esnera_hf.hub.push import DatasetSettings, save_for_hub
from esnera_hf.hub.recipe import Comparison, Recipe
from esnera_hf.merging.merge import merge_sources
from esnera_hf.report.report import MergeReport
from esnera_hf.sources.licenses import license_from_id
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import LabelRef

NAMES, OTHERS = {"PERSON": "PER", "PLACE": "LOC"}, {"PERSON": "name", "FIRM": "company"}
SPLITS = ("train", "validation", "test")


def make_mapping(*labels: tuple[str, str, str | None]) -> LabelMapping:
    entries = tuple(MappedLabel(LabelRef(source, label), unified) for source, label, unified in labels)
    unified = tuple(dict.fromkeys(entry.unified for entry in entries if entry.unified is not None))
    return LabelMapping(unified, entries)


MAPPING = make_mapping(("a", "LOC", "LOC"), ("a", "PER", "PER"), ("b", "company", None), ("b", "name", "PER"))
PERSONS = make_mapping(("a", "PER", "PER"))


def two_sources() -> list[NerSource]:
    one, other = toy_source("a", NAMES, 1, train=40), toy_source("b", OTHERS, 2, train=30)
    # A test sentence of b stands in the train split of a: the merge leaves it out there.
    leak = one.dataset["train"].select([3])
    tags = ["O"] * len(leak[0]["tokens"])
    moved = leak.map(lambda _: {"id": "b-test-extra", "source": "b", "ner_tags": tags}).cast(leak.features)
    test = concatenate_datasets([other.dataset["test"], moved])
    return [one, replace(other, dataset=DatasetDict({**other.dataset, "test": test}))]


def publish(
    folder: Path, sources: list[NerSource], mapping: LabelMapping = MAPPING, *, text: bool = False
) -> DatasetDict:
    dataset = merge_with_pseudo_labels(sources, mapping)
    folder.mkdir()
    report = MergeReport(tuple(source.summary for source in sources))
    options = DatasetSettings(text, may_share=[source.name for source in sources])
    save_for_hub(MergeResult(dataset, mapping, None, report), folder, "me/merged", options)
    return dataset


def rows_of(dataset: DatasetDict) -> dict[str, list[dict[str, Any]]]:
    return {split: rows.to_list() for split, rows in dataset.items()}


def shuffled(source: NerSource) -> NerSource:
    """The same sentences in another order, in other splits, under other ids."""
    everything = concatenate_datasets(list(source.dataset.values())).shuffle(seed=5)
    numbered = everything.map(lambda _, i: {"id": f"other-{i}"}, with_indices=True)
    thirds = {split: numbered.shard(3, index) for index, split in enumerate(SPLITS)}
    return replace(source, dataset=DatasetDict(thirds))


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("change", [list, lambda sources: [shuffled(s) for s in sources[::-1]]])
def test_copies_give_the_same_dataset(
    tmp_path: Path, text: bool, change: Callable[[list[NerSource]], list[NerSource]]
) -> None:
    original = publish(tmp_path / "published", two_sources(), text=text)
    assert any(1 in row["origin"] for row in original["train"])
    assert len(original["train"]) == 62  # of 70: the others stand in a later split of the other source
    again = apply(tmp_path / "published", change(two_sources()))
    assert rows_of(again.dataset) == rows_of(original)
    assert again.dataset["train"].features == original["train"].features
    assert again.mapping == MAPPING
    assert again.comparison == Comparison(same=True)
    assert str(again.comparison) == "the same dataset as the published one"
    assert again.report.pseudo_labels is not None
    assert again.report.pseudo_labels.total == sum(1 in row["origin"] for row in original["train"])


def test_differences_are_told_apart(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rest = {"validation": [row("emma/B-PER")], "test": [row("hugo/B-PER met")]}
    train = [row("anna/B-PER met bruno"), row("in paris"), row("anna/B-PER left")]
    folder = tmp_path / "recipe"
    publish(folder, [make_source("a", {"train": train, **rest})], PERSONS)
    other = [row("anna/B-PER met bruno/B-PER"), row("anna/B-PER left"), row("something new")]
    again = apply(folder, [make_source("a", {"train": other, **rest})])
    assert again.comparison is not None
    assert again.comparison.differences == (
        ("annotated otherwise", "a", "train", "a-train-0"),
        ("missing", "a", "train", "a-train-1"),
    )
    assert [r["tokens"] for r in again.dataset["train"]] == [["anna", "met", "bruno"], ["anna", "left"]]
    assert again.dataset["train"]["source_tags"][0] == ["B-PER", "O", "B-PER"]
    told = capfd.readouterr().err
    assert "NOT the dataset that was published" in told
    assert "a: 1 annotated otherwise: a-train-0" in told


@pytest.mark.parametrize(
    "copy",
    [
        ["anna/B-PER met/I-PER", "anna met", "anna/B-PER met", "anna met"],
        ["anna met", "new one", "anna met", "anna/B-PER met", "anna/B-PER met/I-PER"],
    ],
)
def test_sentences_that_repeat_find_their_own(tmp_path: Path, copy: list[str]) -> None:
    train = ["anna met", "anna/B-PER met", "anna met", "anna/B-PER met/I-PER"]
    rest = {"validation": [row("emma/B-PER")], "test": [row("hugo/B-PER")]}
    published, mine = (make_source("a", {"train": list(map(row, rows)), **rest}) for rows in (train, copy))
    original = publish(tmp_path / "recipe", [published], PERSONS)
    again = apply(tmp_path / "recipe", [mine])
    assert (rows_of(again.dataset), again.comparison) == (rows_of(original), Comparison(same=True))


def test_a_sentence_annotated_otherwise_takes_no_copy_that_is_alike_to_another(tmp_path: Path) -> None:
    train, copy = ["anna/B-PER met", "anna met"], ["anna met", "anna/B-PER met/I-PER"]
    rest = {"validation": [row("emma/B-PER")], "test": [row("hugo/B-PER")]}
    published, mine = (make_source("a", {"train": list(map(row, rows)), **rest}) for rows in (train, copy))
    publish(tmp_path / "recipe", [published], PERSONS)
    again = apply(tmp_path / "recipe", [mine])
    assert again.dataset["train"]["source_tags"][:] == [["B-PER", "I-PER"], ["O", "O"]]
    assert again.comparison is not None
    assert again.comparison.differences == (("annotated otherwise", "a", "train", "a-train-0"),)


def test_a_pseudo_label_gives_way_to_gold_of_the_copy(tmp_path: Path) -> None:
    sources = two_sources()
    dataset = publish(tmp_path / "recipe", sources)
    pseudo = next(r for r in dataset["train"] if r["source"] == "a" and 1 in r["origin"])
    token = pseudo["origin"].index(1)

    def annotate(sentence: dict[str, Any]) -> dict[str, Any]:
        gold = {token: "B-PER"} if sentence["id"] == pseudo["id"] else {}
        return {"ner_tags": [gold.get(place, tag) for place, tag in enumerate(sentence["ner_tags"])]}

    train = sources[0].dataset["train"].map(annotate)
    copy = replace(sources[0], dataset=DatasetDict({**sources[0].dataset, "train": train}))
    again = apply(tmp_path / "recipe", [copy, sources[1]])
    assert again.comparison is not None
    assert again.comparison.differences == (("annotated otherwise", "a", "train", pseudo["id"]),)
    assert next(r for r in again.dataset["train"] if r["id"] == pseudo["id"])["origin"][token] == 0


def other_corpus(name: str, label: str = "name") -> NerSource:
    return make_source(name, {s: [row(f"quite/B-{label} another {s}")] for s in SPLITS})


@pytest.mark.parametrize(
    ("copies", "message"),
    [
        (lambda a, b: [a], r"the recipe needs b\. Name each source as the recipe does"),
        (lambda a, b: [a, other_corpus("c")], "the recipe needs b; it does not know c"),
        (lambda a, b: [a, b, other_corpus("c")], "has all it needs; it does not know c"),
        (lambda a, b: [a, other_corpus("b")], "b: none of the 110 sentences .* in this copy"),
        (lambda a, b: [a, with_label(b, "NEW")], "b:NEW"),
    ],
)
def test_sources_must_be_those_of_the_recipe(
    tmp_path: Path, copies: Callable[..., list[NerSource]], message: str
) -> None:
    publish(tmp_path / "recipe", two_sources())
    with pytest.raises(MappingError, match=message):
        apply(tmp_path / "recipe", copies(*two_sources()))


def with_label(source: NerSource, label: str) -> NerSource:
    """Call the persons of a source otherwise."""
    renamed = {f"{prefix}-name": f"{prefix}-{label}" for prefix in "BI"}
    dataset = source.dataset.map(lambda r: {"ner_tags": [renamed.get(tag, tag) for tag in r["ner_tags"]]})
    return replace(source, dataset=dataset)


def edit(file: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_text(change((folder / file).read_text())) and None


def rewrite(change: Callable[[Recipe], Recipe | None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        recipe = Recipe.read(folder)
        recipe = change(recipe) or recipe
        shutil.rmtree(folder / "recipe")
        recipe.write(folder)

    return damage


def pseudo(**change: Any) -> Callable[[Path], None]:
    def damage(recipe: Recipe) -> None:
        for entity in (entity for each in recipe.rows["train"] for entity in each["pseudo"]):
            entity.update(change)

    return rewrite(damage)


def cut(folder: Path) -> None:
    table = folder / "recipe" / "train.parquet"
    table.write_bytes(table.read_bytes()[:-30])


SWAPPED = {"PER": "LOC", "LOC": "PER"}
DAMAGES: list[tuple[Callable[[Path], Any], str]] = [
    (edit("recipe.json", lambda text: text.replace('"version": 2', '"version": 7')), "a recipe of version '7'"),
    (edit("recipe.json", lambda text: text[:-20]), "the file is damaged"),
    (edit("recipe.json", lambda text: text.replace('"salt"', '"sald"')), "it is damaged: ValueError: unknown: sald"),
    (edit("recipe.json", lambda text: text.replace('"train"', '"../train"', 1)), "damaged: ValueError: splits"),
    (edit("recipe.json", lambda text: re.sub('"dataset": "[^"]*"', '"dataset": 7', text)), "dataset=7"),
    (edit("recipe.json", lambda text: text.replace('"a": ""', '"a": 7')), "sources.a=7"),
    (lambda folder: (folder / "recipe.json").unlink(), r"recipe\.json is missing"),
    (lambda folder: (folder / "mapping.yaml").unlink(), r"mapping\.yaml is missing"),
    (cut, "it is damaged"),
    (pseudo(end=99), r"a pseudo-label of \S+ is 'LOC' at \d+ to 99; expected a unified label within"),
    (pseudo(start=-1), r"is 'LOC' at -1 to \d+"),
    (pseudo(label="company"), r"is 'company' at \d+ to \d+"),
    (pseudo(label=None), r"it is damaged: ValueError: train\.parquet: found empty fields"),
    # its rows in another order than that of its sources
    (
        rewrite(lambda recipe: replace(recipe, rows={s: rows[::-1] for s, rows in recipe.rows.items()})),
        "the recipe contradicts itself, .* Ask whoever published it",
    ),
    (
        edit("mapping.yaml", lambda text: re.sub("unified: (PER|LOC)", lambda m: f"unified: {SWAPPED[m[1]]}", text)),
        "the recipe contradicts itself, .* its mapping or",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_what_is_damaged_is_refused(tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    publish(tmp_path / "recipe", two_sources())
    damage(tmp_path / "recipe")
    with pytest.raises(MappingError, match=message):
        apply(tmp_path / "recipe", two_sources())


def test_a_recipe_cannot_allow_what_a_copy_forbids(tmp_path: Path) -> None:
    stated = [replace(source, license=license_from_id("mit")) for source in two_sources()]
    publish(tmp_path / "recipe", stated)
    copies = [replace(stated[0], license=license_from_id("cc-by-nd-4.0")), stated[1]]
    result = apply(tmp_path / "recipe", copies)
    assert [source.license.name for source in result.report.sources] == ["cc-by-nd-4.0", "mit"]
    with pytest.raises(LicenseError, match=r"a: cc-by-nd-4\.0 forbids"):
        result.push_to_hub("me/leak")
    unknown = apply(tmp_path / "recipe", two_sources())
    assert {source.license.name for source in unknown.report.sources} == {"unknown"}


def test_fingerprints_of_two_recipes_cannot_be_compared() -> None:
    """The same sentence in two datasets, of which somebody knows one."""
    shared = {split: [row(f"anna/B-PER {split}")] for split in SPLITS}
    recipes = [
        Recipe.of(merge_sources([make_source("a", splits)], PERSONS), PERSONS, {})
        for splits in (shared, {**shared, "test": [row("hugo/B-PER")]})
    ]
    first, second = (recipe.rows["train"][0] for recipe in recipes)
    assert first["text"] != second["text"]
    assert first["annotation"] != second["annotation"]
