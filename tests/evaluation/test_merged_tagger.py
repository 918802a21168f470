"""Taggers trained on merged data: what they are trained on, and how they are scored; dictionaries stand in."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import product_tree
from builders import DictionarySourceTagger, make_source, row, toy_rows, toy_source
from esnera_hf._internal.cache import Artifact
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.search import GreedySettings
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import (
    OutputSettings,
    allowed_labels,
    evaluate_taggers,
    find_pseudo_labels,
    mapping_by_name,
    train_merged_tagger,
    try_mapping,
)
from esnera_hf.merging.merge import MergedData, merge_sources
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.partial_annotation import AllowedLabels, PartialAnnotation
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.source_taggers import train_cached
from esnera_hf.tagging import LabelRef

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


def mapping_of(unified: dict[str, str | None], **facts: Any) -> LabelMapping:
    """Make a mapping from labels, written ``source:label``."""
    entries = tuple(MappedLabel(LabelRef(*label.split(":")), name) for label, name in unified.items())
    names = dict.fromkeys([*facts.get("parents", {}).values(), *filter(None, unified.values())])
    return LabelMapping(tuple(names), entries, **facts)


MAPPING = mapping_of({"one:per": "per", "one:loc": "loc", "two:firm": "firm", "two:name": "per"})
#: All labels of a source are one.
FLAT = mapping_of(dict.fromkeys(["one:per", "one:loc", "two:firm", "two:name"], "x"))


class MergedTagger(DictionarySourceTagger):
    """A dictionary that was trained, as far as anybody can tell."""

    artifact = Artifact("taggers", {"trained": True})


class Train:
    """Returns a dictionary as the tagger of merged data, and keeps what it was trained on."""

    def __init__(self, mentions: dict[tuple[str, ...], str]) -> None:
        self.mentions = mentions
        self.calls: list[tuple[NerSource, Any, PartialAnnotation | None]] = []

    def __call__(self, *arguments: Any) -> Any:
        self.calls.append(arguments)
        return MergedTagger("merged", self.mentions)


GOOD: dict[tuple[str, ...], str] = {("anna",): "per", ("bruno",): "per", ("oslo",): "loc", ("acme",): "firm"}
PERSONS = {words: label for words, label in GOOD.items() if label == "per"}


@pytest.mark.parametrize(
    ("mentions", "mapping", "settings", "drop", "holds"),
    [
        (GOOD, MAPPING, {}, 0, True),
        # Two of four mentions per source: precision 1, recall a half.
        (PERSONS, MAPPING, {"max_f1_drop": 0.3}, 1 / 3, False),
        (PERSONS, MAPPING, {"max_f1_drop": 0.34}, 1 / 3, True),
        # Only the most frequent label of a source is read back of what its labels became.
        (dict.fromkeys(GOOD, "x"), FLAT, {"max_f1_drop": 0.3}, 0.2, True),
        (dict.fromkeys(GOOD, "x"), FLAT, {"max_f1_drop": 0.3, "scoring": "native"}, 0.6, False),
    ],
)
def test_the_bound_of_a_candidate(
    mentions: Any, mapping: Any, settings: Any, drop: float, holds: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    train = Train(mentions)
    actual, (scores, count) = try_mapping(SOURCES, TAGGERS, GreedySettings(**settings), None, train, mapping)
    pooled = (scores.native if settings.get("scoring") else scores.unified).pooled
    assert pooled.change.value == pytest.approx(-drop, abs=1e-6)
    assert (actual, count) == (holds, 0)
    assert ("the bound holds" in capsys.readouterr().err) == holds
    ((corpus, _, annotation),) = train.calls
    assert (corpus.name, len(corpus.dataset["train"]), annotation) == ("one+two", 6, None)


def test_a_candidate_is_trained_with_pseudo_labels() -> None:
    train = Train(GOOD)
    _, (_, count) = try_mapping(SOURCES, TAGGERS, GreedySettings(), 0.5, train, MAPPING)
    tags = train.calls[0][0].dataset["train"]["ner_tags"][:]
    assert (count, sum(tag.startswith("B-") for row_tags in tags for tag in row_tags)) == (4, 8 + 4)


def test_leakage_is_that_of_the_sources_merged_so_far() -> None:
    """A sentence of a's train split stands in b's validation and, which counts more, in the test split of c."""
    splits = {"a": "train", "b": "validation", "c": "test"}
    corpora = [make_source(name, {split: [row("x/B-P y")]}) for name, split in splits.items()]
    taggers = {name: DictionarySourceTagger(name, {("x",): "P"}) for name in splits}
    train = Train({("x",): "P"})
    try_mapping(corpora, taggers, GreedySettings(), None, train, mapping_of({"a:P": "P", "b:P": "P"}))
    ids = {split: rows["id"][:] for split, rows in train.calls[0][0].dataset.items()}
    assert ids == {"train": [], "validation": ["b-validation-0"], "test": []}


def evaluate(train: Train, **settings: Any) -> Any:
    output = OutputSettings(**settings).for_evidence("taggers")
    pseudo = find_pseudo_labels(SOURCES, MAPPING, TAGGERS, output.threshold, ())
    merged = MergedData(merge_sources(SOURCES, MAPPING, (), pseudo), (), pseudo)
    return evaluate_taggers(SOURCES, MAPPING, merged, TAGGERS, output.for_mapping(MAPPING), train)


def test_taggers_of_sources_alone() -> None:
    train = Train(GOOD)
    taggers, *others = evaluate(train)
    assert (train.calls, others) == ([], [{}, None])
    assert {name: scores.test.micro.f1 for name, scores in taggers.items()} == {"one": 1, "two": 1}
    merged = MergedData(merge_sources(SOURCES, MAPPING))
    output = OutputSettings(pseudo_label_threshold=None)
    assert evaluate_taggers(SOURCES, MAPPING, merged, {}, output, train) == ({}, {}, None)


def test_each_system_is_trained_on_its_own_data() -> None:
    train = Train(GOOD)
    taggers, systems, folder = evaluate(
        train,
        pseudo_label_threshold=0.5,
        train_merged=True,
        baselines=("naive", "gold", "outside"),
        pseudo_label_noise=0.1,
        partial_likelihood=True,
    )
    assert [(name, system.partial_likelihood) for name, system in systems.items()] == [
        *(("merged", True), ("unknown", True), ("naive", False), ("gold", True), ("outside", False))
    ]
    corpora, scopes, annotations = zip(*train.calls, strict=True)
    merged, naive, gold, outside = corpora
    assert merged.fingerprint == outside.fingerprint != gold.fingerprint
    assert set(naive.labels) == {"per", "loc", "name", "firm"}
    # The logs of no two trainings bear one name.
    assert [corpus.name for corpus in corpora] == [
        *("one+two", "one+two (naive)", "one+two (gold)", "one+two (outside)")
    ]
    allowed = {
        "one": AllowedLabels({"per": ("per",), "loc": ("loc",)}, ("firm",)),
        "two": AllowedLabels({"per": ("per",), "firm": ("firm",)}, ("loc",)),
    }
    assert annotations == ((allowed, 0.1), None, (allowed, 0.1), None)
    annotated = {name: set(labels) for name, labels in scopes[0].items()}
    assert annotated == {"one": {"per", "loc"}, "two": {"per", "firm"}}
    assert folder == MergedTagger.artifact.folder
    for system in systems.values():
        for name, micro in system.native.sources.items():
            assert micro.before.value == taggers[name].test.micro.f1
    assert systems["merged"].native.pooled.after.value == 1


def test_the_likelihood_is_chosen_by_the_mapping() -> None:
    tree, flat = product_tree.MAPPING, replace(product_tree.MAPPING, parents={})
    for wish, expected in ((None, [True, False]), (True, [True] * 2), (False, [False] * 2)):
        chosen = OutputSettings(train_merged=True, partial_likelihood=wish).for_evidence("taggers")
        assert [chosen.for_mapping(mapping).partial_likelihood for mapping in (tree, flat)] == expected
    assert OutputSettings().for_mapping(tree) == OutputSettings()
    # Other evidence brings no pseudo-labels.
    without = OutputSettings(train_merged=True).for_evidence("frozen")
    assert (without.threshold, without.for_mapping(flat).partial_likelihood) == (None, True)
    assert OutputSettings(train_merged=True, baselines=("outside",)).partial_likelihood is True


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pseudo_label_threshold": 1.5}, "pseudo_label_threshold=1.5: expected a confidence from 0 to 1"),
        ({"baselines": ("x",), "train_merged": True}, "baselines='x': expected naive or gold or outside"),
        ({"baselines": ("gold",)}, "baselines= needs train_merged=True"),
        ({"compare": "own"}, "compare= needs train_merged=True"),
        ({"compare": "x", "train_merged": True}, "compare='x': expected own or joint"),
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
def test_settings_that_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        OutputSettings(**settings)


def test_the_labels_that_annotation_under_a_hierarchy_leaves_open() -> None:
    mapping = mapping_of(
        {
            **{"coarse:product": "PRODUCT", "fine:book": "book", "coarse:film": "film", "fine:junk": None},
            **{"wholes:city": "city", "wholes:land": "land"},
        },
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
            ("PRODUCT", "PLACE", "film", "city", "land"),
            {"PRODUCT": ("film",), "PLACE": ("city", "land")},
        ),
        "wholes": AllowedLabels(
            {"city": ("city",), "land": ("land",)},
            ("PRODUCT", "book", "film"),
            {"PRODUCT": ("book", "film")},
        ),
    }


def test_a_coarse_label_teaches_no_part_of_it(encoder_folder: Path) -> None:
    """A source calls all of them things; which of them are firms, the other source tells: with trained taggers."""
    sources = [
        toy_source("coarse", {"FIRM": "THING", "PLACE": "THING"}, seed=3),
        toy_source("fine", {"FIRM": "FIRM", "PLACE": "LOC"}, seed=4),
    ]
    mapping = replace(mapping_by_name(sources), parents={"FIRM": "THING", "LOC": "THING"})
    whole = make_source("whole", {"test": toy_rows({"FIRM": "FIRM", "PLACE": "LOC"}, 60, seed=9)})
    dataset = merge_sources(sources, mapping, find_leaks(sources))
    training = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 8, "seed": 42}
    train = partial(train_cached, str(encoder_folder), training)
    outside, open_ = (
        train_merged_tagger(mapping, dataset, train, noise).scores(whole, "test").micro.f1
        for noise in (None, 0.0)
    )
    assert open_ > max(0.85, outside + 0.1)


def test_a_tagger_is_known_by_the_source_of_each_sentence(
    encoder_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it stands between the same sentences, one without a mention is of the one source or of the other."""

    def stop(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("esnera_hf.modeling.training.fit_tagger", stop)
    train = partial(train_cached, str(encoder_folder), {"seed": 1})
    silent = row("nobody met")
    for of_people in (True, False):
        rows = {"people": [row("anna/B-PER left")], "places": [row("in oslo/B-LOC")]}
        rows["people" if of_people else "places"].insert(of_people, silent)
        sources = [
            make_source(name, dict.fromkeys(("train", "validation"), own)) for name, own in rows.items()
        ]
        mapping = mapping_by_name(sources)
        for noise in (None, 0.0, 0.5):
            with pytest.raises(KeyboardInterrupt):
                train_merged_tagger(mapping, merge_sources(sources, mapping), train, noise)
    assert len(list((cache_folder / "taggers").iterdir())) == 2 * 3
