"""``align`` and ``apply``: the whole method. Dictionaries stand in for models; one run of both is a trained one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import DictionarySourceTagger, make_source, row, toy_source
from esnera_hf import api
from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.checks import from_plain
from esnera_hf.alignment.constraints import SchemaSettings
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.search import GreedySettings
from esnera_hf.api import align, apply
from esnera_hf.errors import ConfigurationError, EncoderError, MappingError, SourceNotFoundError
from esnera_hf.evaluation.merged_tagger import OutputSettings
from esnera_hf.modeling import training
from esnera_hf.result import MergeResult
from esnera_hf.settings import AlignSettings
from esnera_hf.similarity.evidence import EvidenceSettings
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.settings import TaggerSettings
from esnera_hf.tagging import LabelRef
from world import World

PEOPLE = ("anna", "bruno", "clara", "dario", "emma", "felix")
PLACES = ("oslo", "lima", "quito", "cairo", "paris", "vienna")
FIRMS = ("acme", "globex", "initech", "umbrella", "hooli", "vandelay")
KINDS = {"PER": PEOPLE, "LOC": PLACES, "ORG": FIRMS}
NAMES = {"alpha": {"PER": "per", "LOC": "loc"}, "beta": {"PER": "name", "LOC": "city", "ORG": "firm"}}


def corpus(name: str, labels: dict[str, str]) -> NerSource:
    """Twelve sentences per split, none of which stands in another; kinds without a label are not annotated."""

    def word(kind: str, index: int) -> str:
        text = KINDS[kind][index % 6]
        return f"{text}/B-{labels[kind]}" if kind in labels else text

    splits = {
        split: [
            row(
                f"{name} {split} {n} : {word('PER', n)} of {word('ORG', n + n // 6)} met in {word('LOC', 2 * n + 1)}"
            )
            for n in range(12)
        ]
        for split in ("train", "validation", "test")
    }
    return make_source(name, splits)


def mentions(labels: dict[str, str]) -> dict[tuple[str, ...], str]:
    return {(word,): label for kind, label in labels.items() for word in KINDS[kind]}


VECTORS = {"PER": [1.0, 0.0, 0.1], "LOC": [0.0, 1.0, 0.1], "ORG": [0.1, 0.1, 1.0]}


def tagger_of(name: str) -> DictionarySourceTagger:
    vectors = {label: VECTORS[kind] for labels in NAMES.values() for kind, label in labels.items()}
    return DictionarySourceTagger(name, mentions(NAMES[name]), vectors)


UNIFIED = {"per": "per", "name": "per", "loc": "loc", "city": "loc", "firm": "firm"}
MAPPING = LabelMapping(
    ("per", "loc", "firm"),
    tuple(
        MappedLabel(LabelRef(source, label), UNIFIED[label])
        for source, labels in NAMES.items()
        for label in sorted(labels.values())
    ),
)


class MergedTagger(DictionarySourceTagger):
    artifact = Artifact("taggers", {"merged": True})


class Calls:
    """What align and apply ask of the room that trains."""

    def __init__(self) -> None:
        self.sources: list[list[NerSource]] = []
        self.arguments: list[tuple[Any, ...]] = []
        self.merged: list[NerSource] = []

    def train_source_taggers(
        self, sources: list[NerSource], encoder: str, settings: TaggerSettings, leakage: Any
    ) -> dict[str, DictionarySourceTagger]:
        self.sources.append(list(sources))
        self.arguments.append((encoder, settings))
        # Each reads the words that the other annotates by another name.
        return {source.name: tagger_of(source.name) for source in sources}

    def train_cached(self, encoder: str, settings: Any, source: NerSource, *arguments: Any) -> MergedTagger:
        self.merged.append(source)
        label = {
            kind: next((name for name in source.labels if name in known), source.labels[0])
            for kind, known in KIND_OF.items()
        }
        return MergedTagger("merged", mentions(label))


KIND_OF = {kind: {labels[kind] for labels in NAMES.values() if kind in labels} for kind in KINDS}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr(api, "train_source_taggers", calls.train_source_taggers)
    monkeypatch.setattr(api, "train_cached", calls.train_cached)
    return calls


@pytest.fixture(scope="module")
def sources() -> list[NerSource]:
    return [corpus("beta", NAMES["beta"]), corpus("alpha", NAMES["alpha"])]


def groups(mapping: LabelMapping) -> set[frozenset[str]]:
    return {frozenset(map(str, mapping.members(name))) for name in mapping.unified_labels}


def rows_of(result: MergeResult) -> dict[str, Any]:
    return {split: rows.to_list() for split, rows in result.dataset.items()}


ALIKE = {
    frozenset({"alpha:per", "beta:name"}),
    frozenset({"alpha:loc", "beta:city"}),
    frozenset({"beta:firm"}),
}
GREEDY = AlignSettings(greedy=GreedySettings(lam=0.4, tau=0.5))
TAGGERS = AlignSettings(EvidenceSettings("taggers"))


class TestAlign:
    @pytest.mark.parametrize(("method", "settings"), [("equivalence", TAGGERS), ("greedy", GREEDY)])
    def test_labels_that_mean_the_same_become_one(
        self,
        calls: Calls,
        sources: list[NerSource],
        encoder_folder: Path,
        method: Any,
        settings: AlignSettings,
    ) -> None:
        result = align(sources, encoder=encoder_folder, method=method, settings=settings)
        assert groups(result.mapping) == ALIKE
        assert result.mapping.method == method
        assert [source.name for source in calls.sources[0]] == ["alpha", "beta"]
        assert result.similarity is not None
        assert result.similarity.sources == ("alpha", "beta")
        again = align(sources[::-1], encoder=encoder_folder, method=method, settings=settings)
        assert again.mapping == result.mapping
        assert rows_of(again) == rows_of(result)

    def test_every_sentence_and_entity_is_in_the_result_and_pseudo_labels_fill_gaps(
        self, calls: Calls, sources: list[NerSource], encoder_folder: Path
    ) -> None:
        result = align(sources, encoder=encoder_folder, evidence="taggers")
        counts: Counter[tuple[str, str, str]] = Counter()
        for split, rows in result.dataset.items():
            names, origins = (rows.features[column].feature.names for column in ("ner_tags", "origin"))
            ordered = (sentence.id for source in sources[::-1] for sentence in source.sentences(split))
            assert rows["id"][:] == list(ordered)
            for sentence in rows:
                for tag, origin in zip(sentence["ner_tags"], sentence["origin"], strict=True):
                    counts[sentence["source"], names[tag], f"{split} {origins[origin]}"] += 1
        pseudo_labels = {key: n for key, n in counts.items() if key[2].endswith("pseudo")}
        assert pseudo_labels == {("alpha", "B-firm", "train pseudo"): 12}
        for source in sources:
            gold = [
                n
                for key, n in counts.items()
                if (key[0], key[1][0], key[2][-4:]) == (source.name, "B", "gold")
            ]
            assert sum(gold) == sum(sum(split.values()) for split in source.summary.entities.values())
        pseudo = result.report.pseudo_labels
        assert pseudo is not None
        assert pseudo.counts == (("alpha", "firm", "beta", 12),)

    @pytest.mark.parametrize(("evidence", "listed"), [("surface", ["alpha:loc"]), ("taggers", [])])
    def test_taggers_that_are_trained_anyway_are_asked_for_a_second_opinion(
        self, calls: Calls, tmp_path: Path, encoder_folder: Path, evidence: Any, listed: list[str]
    ) -> None:
        """The sources share no mention, and names tell of persons alone; the taggers know the mentions of both."""
        texts = {
            "alpha": "{split} {n} {person}/B-per met in {place}/B-loc",
            "beta": "from {place}/B-city came , {n} {split} , old {person}/B-name",
        }
        sources = [
            make_source(
                name,
                {
                    split: [
                        row(
                            text.format(
                                split=split,
                                n=n,
                                person=PEOPLE[n % 3 + 3 * half],
                                place=PLACES[n % 3 + 3 * half],
                            )
                        )
                        for n in range(12)
                    ]
                    for split in ("train", "validation", "test")
                },
            )
            for half, (name, text) in enumerate(texts.items())
        ]
        settings = AlignSettings(output=OutputSettings(pseudo_label_threshold=0.5))
        result = align(sources, encoder=encoder_folder, evidence=evidence, settings=settings)
        assert len(calls.sources) == 1
        result.save(tmp_path / "saved")
        disagreements = MergeResult.load(tmp_path / "saved").report.disagreements
        assert disagreements == result.report.disagreements
        assert [str(pair.one) for pair in disagreements] == listed

    def test_the_report_holds_the_call_and_the_scores(
        self, calls: Calls, sources: list[NerSource], encoder_folder: Path
    ) -> None:
        report = align(
            sources, encoder=encoder_folder, method="greedy", max_samples=10, seed=7, settings=GREEDY
        ).report
        call = report.call
        assert call is not None
        facts = (call.function, call.sources, call.encoder, call.method, call.max_samples, call.seed)
        assert facts == ("align", ("alpha", "beta"), str(encoder_folder), "greedy", 10, 7)
        assert call.setting("taggers", "training") == {"seed": 7}
        settings = from_plain(AlignSettings, call.settings, "settings")
        assert settings.greedy == GREEDY.greedy
        assert report.local_paths == (str(encoder_folder),)
        assert {name: scores.test.micro.f1 for name, scores in report.taggers.items()} == {
            "alpha": 1,
            "beta": 1,
        }
        assert report.encoder_fingerprint
        assert set(report.seconds) == {
            *("reading", "training", "similarity", "merging labels", "merging", "evaluation", "total")
        }
        assert [len(source.dataset["train"]) for source in calls.sources[0]] == [10, 10]
        assert calls.arguments[0] == (str(encoder_folder), settings.taggers)

    def test_a_target_schema_and_locked_lines(
        self,
        calls: Calls,
        sources: list[NerSource],
        encoder_folder: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        first = align(
            sources, encoder=encoder_folder, target_schema={"PERSON": ["beta:name"], "CITY": ["beta:city"]}
        )
        assert {"PERSON", "CITY"} <= set(first.mapping.unified_labels)
        file = tmp_path / "mapping.yaml"
        file.write_text(first.mapping.to_yaml(), encoding="utf-8")
        settings = AlignSettings(schema=SchemaSettings(names={"alpha:per": "HUMAN"}, locked=file))
        result = align(sources, encoder=encoder_folder, settings=settings)
        assert result.mapping[LabelRef("alpha", "per")] == "HUMAN"
        assert result.mapping[LabelRef("beta", "name")] == "PERSON"
        assert "2 of 5 entries are locked and kept" in capsys.readouterr().err
        assert result.report.call is not None
        assert result.report.call.setting("schema", "locked") == str(file)
        assert str(file) in result.report.local_paths

    def test_a_search_trains_until_the_bound_holds(
        self, calls: Calls, sources: list[NerSource], encoder_folder: Path
    ) -> None:
        settings = AlignSettings(
            greedy=GreedySettings(lam=0.4, tau=(-0.9, 0.5), scoring="native"),
            output=OutputSettings(train_merged=True, baselines=("naive", "gold")),
        )
        result = align(
            sources, encoder=encoder_folder, method="greedy", target_schema="alpha", settings=settings
        )
        assert groups(result.mapping) == ALIKE
        broken, chosen = result.report.trials
        assert (broken.chosen, chosen.chosen) == (False, True)
        assert None not in (broken.outcome, chosen.outcome)
        assert list(result.report.systems) == ["merged", "naive", "gold"]
        assert [corpus.name for corpus in calls.merged] == ["alpha+beta"] * 3 + [
            "alpha+beta (naive)",
            "alpha+beta (gold)",
        ]
        assert result.tagger_folder == MergedTagger.artifact.folder

    def test_nothing_holds_the_bound(
        self, calls: Calls, sources: list[NerSource], encoder_folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings = AlignSettings(greedy=GreedySettings(lam=0.4, tau=(-0.9,), scoring="native"))
        result = align(
            sources, encoder=encoder_folder, method="greedy", target_schema="alpha", settings=settings
        )
        assert len(result.mapping.unified_labels) == 5
        assert "WARNING: " in capsys.readouterr().err
        assert "NOTHING MERGED" in str(result.report)

    def test_a_greedy_sample_measures_and_all_is_merged(
        self, calls: Calls, sources: list[NerSource], encoder_folder: Path
    ) -> None:
        settings = AlignSettings(greedy=GreedySettings(lam=0.4, tau=0.5, max_samples=6))
        result = align(sources, encoder=encoder_folder, method="greedy", settings=settings)
        assert [[len(source.dataset["train"]) for source in given] for given in calls.sources] == [
            [6, 6],
            [12, 12],
        ]
        assert len(result.dataset["train"]) == 24
        assert sum(entry.mentions for entry in result.mapping.entries) == 12 * 5
        assert result.similarity is not None
        assert result.similarity.support.sum() == 6 * 5


class TestEvidence:
    """Light heads, and names and forms alone: no tagger is trained unless one is asked for."""

    @pytest.mark.parametrize("evidence", [None, "surface"])
    def test_nothing_is_trained(
        self, sources: list[NerSource], encoder_folder: Path, cache_folder: Path, evidence: Any
    ) -> None:
        result = align(sources, encoder=encoder_folder, evidence=evidence)
        made = {"light_heads"} if evidence is None else set()
        assert {folder.name for folder in cache_folder.iterdir()} == made
        assert {frozenset({"alpha:loc", "beta:city"}), frozenset({"alpha:per", "beta:name"})} <= groups(
            result.mapping
        )
        matrix, call = result.similarity, result.report.call
        assert matrix is not None
        assert call is not None
        assert (matrix.read.sum() > 0, np.isfinite(matrix.semantic).any()) == (evidence is None,) * 2
        assert call.setting("evidence", "kind") == (evidence or "frozen")
        assert call.encoder == (str(encoder_folder) if evidence is None else None)
        assert bool(result.report.encoder_fingerprint) == (evidence is None)
        assert (result.report.taggers, result.report.pseudo_labels) == ({}, None)
        again = align(sources[::-1], encoder=encoder_folder, evidence=evidence)
        assert again.mapping == result.mapping
        assert rows_of(again) == rows_of(result)

    def test_names_and_forms_need_no_encoder(self, sources: list[NerSource], tmp_path: Path) -> None:
        one = align(sources, encoder=tmp_path / "missing", evidence="surface")
        assert one.mapping == align(sources, evidence="surface").mapping

    @pytest.mark.parametrize("evidence", ["frozen", "surface"])
    @pytest.mark.parametrize(
        ("output", "trained"),
        [
            (OutputSettings(), 0),
            (OutputSettings(pseudo_label_threshold=None), 0),
            (OutputSettings(pseudo_label_threshold=0.5), 1),
            (OutputSettings(train_merged=True), 0),
            (OutputSettings(train_merged=True, compare="joint"), 1),
            (OutputSettings(train_merged=True, compare="own"), 1),
        ],
    )
    def test_taggers_are_trained_once_they_are_asked_for(
        self,
        calls: Calls,
        sources: list[NerSource],
        encoder_folder: Path,
        evidence: Any,
        output: OutputSettings,
        trained: int,
    ) -> None:
        result = align(
            sources, encoder=encoder_folder, evidence=evidence, settings=AlignSettings(output=output)
        )
        assert len(calls.sources) == trained
        assert len(calls.merged) == int(output.train_merged)
        threshold = output.threshold
        assert (result.report.pseudo_labels is not None) == (threshold is not None)
        call = result.report.call
        assert call is not None
        assert call.setting("output", "pseudo_label_threshold") == threshold
        assert (call.encoder is not None) == bool(evidence == "frozen" or trained or output.train_merged)
        assert len(result.report.taggers) == 2 * trained
        kinds = {settings.kind for _, settings in calls.arguments}
        assert kinds == ({"separate" if output.compare == "own" else "joint"} if trained else set())
        if output.train_merged:
            before = result.report.systems["merged"].native.pooled.before.value
            assert (before is None) == (output.compare is None)
            assert ("own tagger → this one" in str(result.report)) == (output.compare == "own")

    def test_less_is_merged_where_it_must_be_more_precise(self, sources: list[NerSource]) -> None:
        merged = []
        for precision in (0.5, None, 1.0):
            settings = AlignSettings(schema=SchemaSettings(min_precision=precision))
            result = align(sources, evidence="surface", settings=settings)
            merged.append(5 - len([name for name in groups(result.mapping) if name]))
            (step,) = result.report.steps
            assert result.similarity is not None
            assert step.tau == round(result.similarity.threshold(precision), 4)
        assert merged[0] >= merged[1] == 2 > merged[2] == 0


class TestApply:
    def test_without_output_nothing_is_trained(
        self, calls: Calls, sources: list[NerSource], tmp_path: Path
    ) -> None:
        file = tmp_path / "mapping.yaml"
        file.write_text(MAPPING.to_yaml(), encoding="utf-8")
        result = apply(file, sources, max_samples=5)
        assert calls.sources == []
        assert (result.similarity, result.tagger_folder, result.report.pseudo_labels) == (None, None, None)
        assert len(result.dataset["train"]) == 10
        assert {str(entry.label): entry.mentions for entry in result.mapping.entries}["alpha:per"] == 5
        call = result.report.call
        assert call is not None
        assert (call.function, call.encoder, call.mapping, call.max_samples) == ("apply", None, str(file), 5)
        assert result.report.local_paths == (str(file),)

    def test_pseudo_labels_and_a_merged_tagger(
        self, calls: Calls, sources: list[NerSource], encoder_folder: Path
    ) -> None:
        output = OutputSettings(pseudo_label_threshold=0.5, train_merged=True)
        taggers = TaggerSettings("separate", {"num_train_epochs": 2})
        result = apply(MAPPING, sources, encoder=encoder_folder, seed=3, output=output, taggers=taggers)
        assert calls.arguments[0] == (
            str(encoder_folder),
            TaggerSettings("separate", {"seed": 3, "num_train_epochs": 2}),
        )
        assert result.report.systems["merged"].native.pooled.after.value == 1
        assert result.report.call is not None
        assert result.report.call.setting("output", "partial_likelihood") is False

    def test_a_mapping_may_map_more_than_there_is_but_not_less(self, sources: list[NerSource]) -> None:
        assert apply(MAPPING, sources[1:]).mapping.sources == ("alpha",)
        with pytest.raises(MappingError, match="firm"):
            apply(MAPPING.restricted(["alpha"]), sources)


@pytest.mark.usefixtures("calls")
class TestRefusedBeforeAnyTraining:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"seed": -1}, "seed=-1: expected a whole number from 0 to 4294967295"),
            ({"max_samples": 0}, "max_samples=0: expected"),
            ({"settings": GREEDY}, "method='equivalence', which knows none of them"),
            ({"evidence": "thawed"}, "evidence='thawed': expected 'frozen' or 'taggers' or 'surface'"),
            (
                {"settings": AlignSettings(EvidenceSettings(match="overlap"))},
                "match='overlap': this is of taggers, and evidence='frozen'",
            ),
            (
                {"settings": AlignSettings(EvidenceSettings(embeddings="pretrained")), "evidence": "surface"},
                "embeddings='pretrained': this is of taggers, and evidence='surface'",
            ),
            (
                {"settings": AlignSettings(schema=SchemaSettings(min_precision=0.9)), "method": "greedy"},
                "min_precision=0.9: method='greedy' merges by λ and τ",
            ),
            ({"target_schema": "gamma"}, "gamma"),
        ],
    )
    def test_a_bad_setting(
        self,
        calls: Calls,
        sources: list[NerSource],
        encoder_folder: Path,
        arguments: dict[str, Any],
        message: str,
    ) -> None:
        with pytest.raises(ConfigurationError, match=message):
            align(sources, encoder=encoder_folder, **arguments)
        assert calls.sources == []

    def test_sources(self, sources: list[NerSource], tmp_path: Path) -> None:
        twins = [toy_source(name, {"PERSON": "per"}, seed=1) for name in ("one", "two")]
        nameless: Any = sources[0].dataset
        for given, error, message in (
            (sources[:1], ConfigurationError, "at least two sources"),
            ("cluener", ConfigurationError, "at least two sources"),
            ([*sources, sources[0]], ConfigurationError, "two sources are called 'beta'"),
            (["some/path", "some/path"], ConfigurationError, "given twice: some/path"),
            (twins, ConfigurationError, "'one' and 'two' hold the same sentences"),
            ([sources[1], nameless], ConfigurationError, "has no name: pass"),
            ([sources[0], tmp_path / "missing"], SourceNotFoundError, "missing"),
        ):
            with pytest.raises(error, match=message):
                align(given)  # type: ignore[arg-type]


def test_sentences_that_sources_share_are_evidence_of_an_alignment() -> None:
    cities = ("rome", "oslo", "bern", "lima", "cairo", "quito")
    one, other, third = (
        make_source(name, {"train": [row(f"we saw {city}/B-{label} {verb} again") for city in cities]})
        for name, label, verb in (("a", "x", "once"), ("b", "y", "once"), ("c", "z", "twice"))
    )
    assert align([one, other], evidence="surface").similarity.shared_same.tolist() == [[0, 6], [6, 0]]
    assert not align([one, third], evidence="surface").similarity.shared.any()


def test_an_encoder_that_is_not_there(sources: list[NerSource], tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be loaded"):
        align(sources, encoder=tmp_path / "missing")


class TestTrained:
    """With models: results of the world, and the same again without any training."""

    @pytest.fixture(autouse=True)
    def no_training(self, warm_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("fit_tagger", "fit_joint_tagger"):
            monkeypatch.setattr(training, name, lambda *arguments: pytest.fail("a training started"))

    @pytest.mark.parametrize("kind", ["joint", "separate"])
    def test_a_second_run_trains_nothing_and_gives_the_same(self, world: World, kind: str) -> None:
        again = world.align_jointly() if kind == "joint" else world.align_separately()
        first = MergeResult.load(world.joint if kind == "joint" else world.separate)
        assert again.mapping == first.mapping
        assert rows_of(again) == rows_of(first)
        assert again.similarity is not None
        assert first.similarity is not None
        assert again.similarity.to_dict() == first.similarity.to_dict()
        assert {name: scores.test for name, scores in again.report.taggers.items()} == {
            name: scores.test for name, scores in first.report.taggers.items()
        }

    def test_counts_and_vectors_are_there(self, world: World) -> None:
        result = MergeResult.load(world.joint)
        matrix = result.similarity
        assert matrix is not None
        assert matrix.predicted.sum() > matrix.matched.sum() > 0
        one, other = (matrix.indices(name) for name in ("alpha", "beta"))
        assert np.isfinite(matrix.semantic[np.ix_(one, other)]).all()
        left_out = [leak for leak in find_leaks(world.sources) if leak.across_sources]
        assert sum(leak.sentences for leak in result.report.leakage if leak.left_out) == len(left_out)

    def test_the_merged_tagger_is_saved(self, world: World) -> None:
        tagger = MergeResult.load(world.separate).load_tagger()
        assert set(tagger.labels) == set(MergeResult.load(world.separate).mapping.unified_labels)


@pytest.mark.parametrize("trains", [False, True])
def test_memory_is_reckoned_for_whatever_is_trained(trains: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(needed: dict[str, int]) -> None:
        raise MemoryError("encoder" in needed)

    monkeypatch.setattr(api, "warn_of_memory", stop)
    sources = [corpus(name, labels) for name, labels in NAMES.items()]
    output = OutputSettings(train_merged=trains)
    with pytest.raises(MemoryError, match=str(trains)):
        align(sources, encoder="an/encoder", evidence="surface", settings=AlignSettings(output=output))
    with pytest.raises(MemoryError, match=str(trains)):
        apply(MAPPING, sources, encoder="an/encoder", output=output)
