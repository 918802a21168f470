"""Training a merged tagger on what each source says: what that is, what it gives, and how it is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState

import product_tree
from builders import make_source, row, toy_rows, toy_source
from esnera_hf import OutputSettings
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import candidate_labels, finish, mapping_by_name, train_merged
from esnera_hf.merging.merge import as_source, merge_sources
from esnera_hf.metrics import Scores, score_entities
from esnera_hf.modeling import training
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.training import fit_tagger
from esnera_hf.sources.partial_annotation import AllowedLabels, PartialAnnotation
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.settings import TaggerPlan
from esnera_hf.taggers.source_taggers import CachedTagger, tagger_artifact
from esnera_hf.tagging import LabelRef

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 8, "seed": 42}


@pytest.fixture(scope="module")
def sources() -> list[NerSource]:
    return [
        toy_source("people", {"PERSON": "PER"}, seed=1),
        toy_source("places", {"PLACE": "LOC", "FIRM": "FIRM"}, seed=2),
    ]


@pytest.fixture(scope="module")
def annotation(sources: list[NerSource]) -> PartialAnnotation:
    candidates = candidate_labels(mapping_by_name(sources), ["people", "places"])
    return PartialAnnotation(candidates)


def train(sources: list[NerSource], annotation: PartialAnnotation, encoder: Path, folder: Path) -> Tagger:
    merged = as_source("merged", merge_sources(sources, mapping_by_name(sources)))
    scope = {"people": {"PER"}, "places": {"LOC", "FIRM"}}
    return fit_tagger(merged, str(encoder), folder, {**TRAINING, "num_train_epochs": 3}, scope, annotation)


def test_the_candidates_of_a_tree() -> None:
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
    assert candidate_labels(mapping, ("coarse", "fine", "wholes")) == {
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


def test_missing_labels_are_found_everywhere(sources: list[NerSource], encoder_folder: Path) -> None:
    """The words of persons stand in both sources, and half of them say that they are none."""
    mapping = mapping_by_name(sources)
    plan = TaggerPlan(str(encoder_folder), TRAINING)
    kinds = {"PERSON": "PER", "PLACE": "LOC", "FIRM": "FIRM"}
    whole = make_source("whole", {"test": toy_rows(kinds, 60, seed=9)})
    outside = scored(train_merged(sources, mapping, (), None, plan), whole)
    partial = scored(train_merged(sources, mapping, (), None, plan, pseudo_noise=0.0), whole)
    assert partial.micro.f1 > 0.85
    assert partial.micro.recall > outside.micro.recall + 0.2


def scored(tagger: CachedTagger, source: NerSource) -> Scores:
    gold = list(source.sentences("test"))
    predicted = list(tagger.predictions(source, "test"))
    return score_entities([s.entities for s in gold], predicted, [len(s.tokens) for s in gold])


def test_a_coarse_label_teaches_no_part_of_it(encoder_folder: Path) -> None:
    """A source calls all of them things; which of them are firms, the other source tells."""
    coarse = toy_source("coarse", {"FIRM": "THING", "PLACE": "THING"}, seed=3)
    fine = toy_source("fine", {"FIRM": "FIRM", "PLACE": "LOC"}, seed=4)
    entries = [MappedLabel(ref, ref.label) for source in (coarse, fine) for ref in source.label_refs]
    mapping = LabelMapping(
        ("THING", "FIRM", "LOC"), tuple(entries), parents={"FIRM": "THING", "LOC": "THING"}
    )
    plan = TaggerPlan(str(encoder_folder), TRAINING)
    whole = make_source("whole", {"test": toy_rows({"FIRM": "FIRM", "PLACE": "LOC"}, 60, seed=9)})
    outside = scored(train_merged([coarse, fine], mapping, (), None, plan), whole)
    partial = scored(train_merged([coarse, fine], mapping, (), None, plan, pseudo_noise=0.0), whole)
    assert partial.micro.f1 > 0.85
    assert partial.micro.f1 > outside.micro.f1 + 0.1


def test_a_final_tagger_with_pseudo_labels_is_trained_so(
    sources: list[NerSource], encoder_folder: Path
) -> None:
    """And beside it one without pseudo-labels, and one without the likelihood."""
    settings = OutputSettings(
        pseudo_label_threshold=0.5, tagger=True, baselines=("gold", "outside"), partial=True, pseudo_noise=0.1
    )
    plan = TaggerPlan(str(encoder_folder), {**TRAINING, "num_train_epochs": 4})
    final = finish(sources, mapping_by_name(sources), (), settings, plan)
    assert final.pseudo is not None
    assert final.pseudo.counts.total() > 0
    identity = final.systems["merged"].tagger.artifact.identity["partial"]
    assert identity == {
        "pseudo_noise": 0.1,
        "allowed": {
            "people": {"entities": {"PER": ("PER",)}, "unannotated": ("FIRM", "LOC")},
            "places": {"entities": {"FIRM": ("FIRM",), "LOC": ("LOC",)}, "unannotated": ("PER",)},
        },
    }
    merged, gold, outside = (
        final.systems[name].tagger.artifact.identity for name in ("merged", "gold", "outside")
    )
    assert gold["partial"] == identity
    assert gold["sentences"] != merged["sentences"]
    assert outside["sentences"] == merged["sentences"]
    assert "partial" not in outside


def test_a_tagger_is_known_by_how_it_was_trained(
    sources: list[NerSource], annotation: PartialAnnotation, encoder_folder: Path
) -> None:
    merged = as_source("merged", merge_sources(sources, mapping_by_name(sources)))
    plain = tagger_artifact(merged, str(encoder_folder), TRAINING)
    assert "partial" not in plain.identity
    others = [
        tagger_artifact(
            merged, str(encoder_folder), TRAINING, None, PartialAnnotation(annotation.allowed, noise)
        )
        for noise in (0.0, 0.5)
    ]
    assert len({plain.key, *(other.key for other in others)}) == 3


def test_a_tagger_is_known_by_the_source_of_each_sentence(encoder_folder: Path) -> None:
    """Where it stands between the same sentences, one without a mention is of the one source or of the other."""
    keys: dict[bool, set[str]] = {False: set(), True: set()}
    for of_people in (True, False):
        silent = [row("nobody met")]
        rows = [
            [row("anna/B-PER left"), *silent * of_people],
            [*silent * (not of_people), row("in oslo/B-LOC")],
        ]
        names = ("people", "places")
        sources = [
            make_source(name, {"train": own, "validation": own})
            for name, own in zip(names, rows, strict=True)
        ]
        mapping = mapping_by_name(sources)
        merged = as_source("merged", merge_sources(sources, mapping))
        for scope in (None, {name: mapping.scope(name) for name in names}):
            keys[scope is not None].add(tagger_artifact(merged, str(encoder_folder), TRAINING, scope).key)
    assert [len(keys[scoped]) for scoped in (False, True)] == [1, 2]


class Interrupt(training.TrainingProgress):
    """Raises KeyboardInterrupt once the checkpoint of the second epoch is written."""

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.epoch is not None and state.epoch >= 2:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on(
    sources: list[NerSource],
    annotation: PartialAnnotation,
    encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = train(sources, annotation, encoder_folder, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(training, "TrainingProgress", Interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(sources, annotation, encoder_folder, tmp_path / "cut")
    again = train(sources, annotation, encoder_folder, tmp_path / "cut")
    assert again.record["history"] == whole.record["history"]
    assert type(again.model).__name__ == "CrfTagger"
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], weight), name


def test_a_source_that_nothing_is_known_of_is_refused(
    sources: list[NerSource], annotation: PartialAnnotation, encoder_folder: Path, tmp_path: Path
) -> None:
    known = PartialAnnotation({"people": annotation.allowed["people"]})
    with pytest.raises(
        ConfigurationError,
        match="no allowed labels of places: expected those of every source, found people",
    ):
        train(sources, known, encoder_folder, tmp_path)


def test_a_tagger_of_a_tree_is_trained_so_by_default(sources: list[NerSource], encoder_folder: Path) -> None:
    flat = mapping_by_name(sources)
    tree = replace(flat, parents={"FIRM": "LOC"})
    plan = TaggerPlan(str(encoder_folder), {**TRAINING, "num_train_epochs": 1})
    final = finish(sources, tree, (), OutputSettings(pseudo_label_threshold=None, tagger=True), plan)
    candidates = final.systems["merged"].tagger.artifact.identity["partial"]["allowed"]
    assert candidates["places"]["entities"]["LOC"] == ("LOC",)  # its FIRM is its own
    assert final.settings.partial is True
    apart = finish(sources, flat, (), OutputSettings(pseudo_label_threshold=None, tagger=True), plan)
    assert "partial" not in apart.systems["merged"].tagger.artifact.identity
    assert apart.settings.partial is False


def test_the_likelihood_is_chosen_by_the_mapping() -> None:
    tree, flat = product_tree.MAPPING, replace(product_tree.MAPPING, parents={})
    default = OutputSettings(tagger=True)
    assert default.for_mapping(tree).partial is True
    assert default.for_mapping(flat).partial is False
    for wish in (True, False):
        wished = OutputSettings(tagger=True, partial=wish)
        assert [wished.for_mapping(mapping).partial for mapping in (tree, flat)] == [wish] * 2
    assert OutputSettings().for_mapping(tree) == OutputSettings()
    assert OutputSettings(tagger=True, baselines=("outside",)).partial is True


def test_it_needs_a_tagger_to_train(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="partial= needs tagger=True"):
        OutputSettings(partial=True)
    assert main(["align", "cluener", "weibo", "--partial"]) == 1
    assert "partial= needs tagger=True" in capsys.readouterr().err
