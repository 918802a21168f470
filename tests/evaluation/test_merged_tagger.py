"""Taggers trained on merged data: what they are trained on, and how they are scored; dictionaries stand in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

import product_tree
from builders import DictionarySourceTagger, make_matrix, make_source, row, toy_rows, toy_source
from esnera_hf._internal.cache import Artifact
from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.greedy_path import MergeHistory, greedy_merge_path, merge_step, next_step
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.search import GreedySettings
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import (
    MergedTaggerObjective,
    OutputSettings,
    allowed_labels,
    evaluate_taggers,
    find_pseudo_labels,
    mapping_by_name,
    train_merged_tagger,
)
from esnera_hf.merging.merge import MergedData, merge_sources
from esnera_hf.metrics import Scores, score_entities
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.partial_annotation import AllowedLabels, PartialAnnotation
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.source_taggers import CachedTagger, train_cached
from esnera_hf.tagging import Entity, LabelRef

SENTENCES = ["anna/PER met oslo/LOC", "acme/ORG hired bruno/PER", "oslo/LOC waits for acme/ORG"]


def source(name: str, names: dict[str, str]) -> NerSource:
    """A source of three sentences per split, which differ by a word; a kind without a name is not annotated."""
    splits = {}
    for split in ("train", "validation", "test"):
        texts = [f"{name} {split} {text}" for text in SENTENCES]
        for kind in ("PER", "LOC", "ORG"):
            tag = f"/B-{names[kind]}" if kind in names else ""
            texts = [text.replace(f"/{kind}", tag) for text in texts]
        splits[split] = [row(text) for text in texts]
    return make_source(name, splits)


ONE, TWO = {"PER": "per", "LOC": "loc"}, {"PER": "name", "ORG": "firm"}
SOURCES = [source("one", ONE), source("two", TWO)]
TAGGERS = {
    "one": DictionarySourceTagger("one", {("anna",): "per", ("bruno",): "per", ("oslo",): "loc"}),
    "two": DictionarySourceTagger("two", {("anna",): "name", ("bruno",): "name", ("acme",): "firm"}),
}
MATRIX = make_matrix(
    {"one:loc": 2, "one:per": 2, "two:firm": 2, "two:name": 2},
    {("two:name", "one:per"): (2, 2), ("one:per", "two:name"): (2, 2), ("two:firm", "one:per"): (0, 2)},
    {("one:per", "two:name"): 0.9, ("one:loc", "two:firm"): -0.5, ("one:loc", "two:name"): -0.4},
)
MAPPING = LabelMapping(
    ("per", "loc", "firm"),
    tuple(
        MappedLabel(LabelRef(*label.split(":")), unified)
        for label, unified in {
            "one:loc": "loc",
            "one:per": "per",
            "two:firm": "firm",
            "two:name": "per",
        }.items()
    ),
)


class MergedTagger(DictionarySourceTagger):
    """A dictionary that was trained, as far as anybody can tell."""

    artifact = Artifact("taggers", {"trained": True})


class Train:
    """Returns a dictionary as the tagger of merged data, and keeps what it was trained on."""

    def __init__(self, mentions: dict[tuple[str, ...], str]) -> None:
        self.mentions = mentions
        self.corpora: list[NerSource] = []
        self.scopes: list[Any] = []
        self.annotations: list[PartialAnnotation | None] = []

    def __call__(self, corpus: NerSource, scope: Any, annotation: PartialAnnotation | None) -> Any:
        self.corpora.append(corpus)
        self.scopes.append(scope)
        self.annotations.append(annotation)
        return MergedTagger("merged", self.mentions)


#: Under the names that the greedy path gives.
FOUND: dict[tuple[str, ...], str] = {
    ("anna",): "name",
    ("bruno",): "name",
    ("oslo",): "loc",
    ("acme",): "firm",
}
PERSONS = {words: label for words, label in FOUND.items() if label == "name"}
GOOD: dict[tuple[str, ...], str] = {("anna",): "per", ("bruno",): "per", ("oslo",): "loc", ("acme",): "firm"}


class TestObjective:
    def trial(
        self, mentions: dict[tuple[str, ...], str], threshold: float | None = None, **settings: Any
    ) -> Any:
        self.train = Train(mentions)
        objective = MergedTaggerObjective(
            SOURCES, TAGGERS, MATRIX, Constraints(), GreedySettings(**settings), threshold, self.train
        )
        return objective(greedy_merge_path(MATRIX, 0.4, 0.5))

    def test_a_merged_tagger_that_is_as_good_holds_the_bound(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        trial = self.trial(FOUND)
        assert (trial.drop, trial.holds, trial.pseudo_labels) == (0, True, 0)
        pooled = trial.scores.unified.pooled
        assert (pooled.before.value, pooled.after.value) == (1, 1)
        assert self.train.corpora[0].name == "one+two"
        assert len(self.train.corpora[0].dataset["train"]) == 6
        assert self.train.annotations == [None]
        assert (
            "micro-F1 1.000 of the sources' taggers, 1.000 merged: the bound holds" in capsys.readouterr().err
        )

    def test_one_that_finds_half_breaks_it(self) -> None:
        """Two of four mentions per source: precision 1, recall a half."""
        trial = self.trial(PERSONS, max_f1_drop=0.3)
        assert trial.drop == pytest.approx(1 / 3, abs=1e-6)
        assert not trial.holds
        assert self.trial(PERSONS, max_f1_drop=0.34).holds

    def test_native_labels_see_what_unified_ones_do_not(self) -> None:
        """With all labels of a source merged into one, natively only the most frequent can be read back."""
        history = greedy_merge_path(MATRIX, 0.4, -0.9)
        train = Train({**FOUND, ("oslo",): "name"})
        trials = {
            scoring: MergedTaggerObjective(
                SOURCES, TAGGERS, MATRIX, Constraints(), GreedySettings(scoring=scoring), None, train
            )(history)
            for scoring in ("unified", "native")
        }
        assert (trials["unified"].drop, trials["native"].drop) == pytest.approx((1 / 9, 1 / 3), abs=1e-6)
        assert trials["unified"].scores == trials["native"].scores

    def test_pseudo_labels_are_trained_with(self) -> None:
        trial = self.trial(FOUND, 0.5)
        assert trial.pseudo_labels == 4
        tags = self.train.corpora[0].dataset["train"]["ner_tags"][:]
        assert sum(tag.startswith("B-") for tags_of_one in tags for tag in tags_of_one) == 8 + 4

    def test_leakage_is_that_of_the_sources_merged_so_far(self) -> None:
        """A sentence of a's train split stands in b's validation and, which counts more, in the test split of c."""
        splits = {"a": "train", "b": "validation", "c": "test"}
        corpora = [make_source(name, {split: [row("x/B-P y")]}) for name, split in splits.items()]
        matrix = make_matrix({"a:P": 1, "b:P": 1, "c:P": 1}, {("a:P", "b:P"): (1, 1)}, {})
        taggers = {name: DictionarySourceTagger(name, {("x",): "P"}) for name in splits}
        train = Train({("x",): "P"})
        objective = MergedTaggerObjective(
            corpora, taggers, matrix, Constraints(), GreedySettings(), None, train
        )
        step = next_step(matrix, ())
        assert step is not None
        assert {*step.sources, step.target} == {"a", "b"}
        objective(MergeHistory((merge_step(step, matrix, 0.4, 0.4),)))
        assert {split: rows["id"][:] for split, rows in train.corpora[0].dataset.items()} == {
            "train": [],
            "validation": ["b-validation-0"],
            "test": [],
        }


class TestEvaluation:
    def evaluate(self, **settings: Any) -> Any:
        self.train = Train(GOOD)
        output = OutputSettings(**settings)
        pseudo = find_pseudo_labels(SOURCES, MAPPING, TAGGERS, output.pseudo_label_threshold, ())
        merged = MergedData(merge_sources(SOURCES, MAPPING, (), pseudo), (), pseudo)
        return evaluate_taggers(SOURCES, MAPPING, merged, TAGGERS, output.for_mapping(MAPPING), self.train)

    def test_taggers_of_sources_alone(self) -> None:
        taggers, systems, folder = self.evaluate()
        assert self.train.corpora == []
        assert (systems, folder) == ({}, None)
        assert {name: scores.test.micro.f1 for name, scores in taggers.items()} == {
            "one": 1,
            "two": 1,
        }

    def test_each_system_is_trained_on_its_own_data(self) -> None:
        taggers, systems, folder = self.evaluate(
            pseudo_label_threshold=0.5,
            train_merged=True,
            baselines=("naive", "gold", "outside"),
            pseudo_label_noise=0.1,
            partial_likelihood=True,
        )
        assert list(systems) == ["merged", "naive", "gold", "outside"]
        merged, naive, gold, outside = self.train.corpora
        assert merged.fingerprint == outside.fingerprint != gold.fingerprint
        assert set(naive.labels) == {"per", "loc", "name", "firm"}
        allowed = {
            "one": AllowedLabels({"per": ("per",), "loc": ("loc",)}, ("firm",)),
            "two": AllowedLabels({"per": ("per",), "firm": ("firm",)}, ("loc",)),
        }
        annotation = (allowed, 0.1)
        assert self.train.annotations == [annotation, None, annotation, None]
        assert {name: set(labels) for name, labels in self.train.scopes[0].items()} == {
            "one": {"per", "loc"},
            "two": {"per", "firm"},
        }
        assert [system.partial_likelihood for system in systems.values()] == [
            True,
            False,
            True,
            False,
        ]
        assert folder == MergedTagger.artifact.folder
        for system in systems.values():
            for name, scores in system.native.sources.items():
                assert scores.micro.before.value == taggers[name].test.micro.f1
        assert systems["merged"].native.pooled.after.value == 1

    def test_without_taggers_there_are_no_scores(self) -> None:
        merged = MergedData(merge_sources(SOURCES, MAPPING))
        output = OutputSettings(pseudo_label_threshold=None)
        assert evaluate_taggers(SOURCES, MAPPING, merged, {}, output, Train({})) == ({}, {}, None)


class TestOutputSettings:
    def test_the_likelihood_is_chosen_by_the_mapping(self) -> None:
        tree, flat = product_tree.MAPPING, replace(product_tree.MAPPING, parents={})
        default = OutputSettings(train_merged=True)
        assert default.for_mapping(tree).partial_likelihood is True
        assert default.for_mapping(flat).partial_likelihood is False
        for wish in (True, False):
            chosen = OutputSettings(train_merged=True, partial_likelihood=wish)
            assert [chosen.for_mapping(mapping).partial_likelihood for mapping in (tree, flat)] == [wish] * 2
        assert OutputSettings().for_mapping(tree) == OutputSettings()
        assert OutputSettings(train_merged=True, baselines=("outside",)).partial_likelihood is True

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (
                {"pseudo_label_threshold": 1.5},
                "pseudo_label_threshold=1.5: expected a confidence from 0 to 1",
            ),
            (
                {"baselines": ("silver",), "train_merged": True},
                "baselines='silver': expected naive or gold or outside",
            ),
            ({"baselines": ("gold",)}, "baselines= needs train_merged=True"),
            ({"partial_likelihood": True}, "partial_likelihood= needs train_merged=True"),
            ({"partial_likelihood": "yes"}, "partial_likelihood='yes': expected True, False or None"),
            ({"pseudo_label_noise": 0.5}, "pseudo_label_noise= needs partial_likelihood=True"),
            ({"pseudo_label_noise": 2}, "expected a number from 0 to 1"),
            (
                {"baselines": ("outside",), "partial_likelihood": False, "train_merged": True},
                "that is the merged tagger itself",
            ),
        ],
    )
    def test_refused(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            OutputSettings(**settings)


def test_the_labels_that_annotation_under_a_hierarchy_leaves_open() -> None:
    goes_to = {
        ("coarse", "product"): "PRODUCT",
        ("coarse", "film"): "film",
        ("fine", "book"): "book",
        ("fine", "junk"): None,
        ("wholes", "city"): "city",
        ("wholes", "land"): "land",
    }
    mapping = LabelMapping(
        ("PRODUCT", "book", "film", "PLACE", "city", "land"),
        tuple(MappedLabel(LabelRef(*label), unified) for label, unified in goes_to.items()),
        parents={"book": "PRODUCT", "film": "PRODUCT", "city": "PLACE", "land": "PLACE"},
    )
    assert allowed_labels(mapping, ("coarse", "fine", "wholes")) == {
        "coarse": AllowedLabels(
            {"PRODUCT": ("PRODUCT", "book"), "film": ("film",)},
            ("PLACE", "city", "land"),
            {"PLACE": ("city", "land")},
        ),
        "fine": AllowedLabels(
            {"book": ("book",)},
            ("PRODUCT", "film", "PLACE", "city", "land"),
            {"PRODUCT": ("film",), "PLACE": ("city", "land")},
        ),
        "wholes": AllowedLabels(
            {"city": ("city",), "land": ("land",)},
            ("PRODUCT", "book", "film"),
            {"PRODUCT": ("book", "film")},
        ),
    }


class TestTrained:
    """With models: two corpora, trained with types that a source does not annotate left open, and taken for none."""

    TRAINING: ClassVar[dict[str, Any]] = {
        "learning_rate": 1e-2,
        "head_learning_rate": 2e-2,
        "num_train_epochs": 8,
        "seed": 42,
    }

    def scores(self, sources: list[NerSource], mapping: LabelMapping, whole: NerSource, encoder: Path) -> Any:
        dataset = merge_sources(sources, mapping, find_leaks(sources))
        train = partial(train_cached, str(encoder), self.TRAINING)
        for noise in (None, 0.0):
            yield self.scored(train_merged_tagger(mapping, dataset, train, noise), whole)

    def scored(self, tagger: CachedTagger, whole: NerSource) -> Scores:
        gold = list(whole.sentences("test"))
        predicted: Iterator[list[Entity]] = tagger.predict(whole, "test")
        return score_entities([s.entities for s in gold], list(predicted), [len(s.tokens) for s in gold])

    def test_missing_labels_are_found_everywhere(self, encoder_folder: Path) -> None:
        """The words of persons stand in both sources, and half of them say that they are none."""
        sources = [
            toy_source("people", {"PERSON": "PER"}, seed=1),
            toy_source("places", {"PLACE": "LOC", "FIRM": "FIRM"}, seed=2),
        ]
        kinds = {"PERSON": "PER", "PLACE": "LOC", "FIRM": "FIRM"}
        whole = make_source("whole", {"test": toy_rows(kinds, 60, seed=9)})
        outside, open_ = self.scores(sources, mapping_by_name(sources), whole, encoder_folder)
        assert open_.micro.f1 > 0.85
        assert open_.micro.recall > outside.micro.recall + 0.2

    def test_a_coarse_label_teaches_no_part_of_it(self, encoder_folder: Path) -> None:
        """A source calls all of them things; which of them are firms, the other source tells."""
        coarse = toy_source("coarse", {"FIRM": "THING", "PLACE": "THING"}, seed=3)
        fine = toy_source("fine", {"FIRM": "FIRM", "PLACE": "LOC"}, seed=4)
        entries = tuple(MappedLabel(ref, ref.label) for source in (coarse, fine) for ref in source.label_refs)
        mapping = LabelMapping(("THING", "FIRM", "LOC"), entries, parents={"FIRM": "THING", "LOC": "THING"})
        whole = make_source("whole", {"test": toy_rows({"FIRM": "FIRM", "PLACE": "LOC"}, 60, seed=9)})
        outside, open_ = self.scores([coarse, fine], mapping, whole, encoder_folder)
        assert open_.micro.f1 > 0.85
        assert open_.micro.f1 > outside.micro.f1 + 0.1


def test_a_tagger_is_known_by_the_source_of_each_sentence(
    encoder_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it stands between the same sentences, one without a mention is of the one source or of the other."""

    def stop(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("esnera_hf.modeling.training.fit_tagger", stop)
    train = partial(train_cached, str(encoder_folder), {"seed": 1})
    for of_people in (True, False):
        silent = [row("nobody met")]
        rows = [
            [row("anna/B-PER left"), *silent * of_people],
            [*silent * (not of_people), row("in oslo/B-LOC")],
        ]
        sources = [
            make_source(name, {"train": own, "validation": own})
            for name, own in zip(("people", "places"), rows, strict=True)
        ]
        mapping = mapping_by_name(sources)
        for noise in (None, 0.0, 0.5):
            with pytest.raises(KeyboardInterrupt):
                train_merged_tagger(mapping, merge_sources(sources, mapping), train, noise)
    assert len(list((cache_folder / "taggers").iterdir())) == 2 * 3
