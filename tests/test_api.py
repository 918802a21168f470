"""The whole method on two small generated sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_matrix, make_source, row, toy_rows, toy_source
from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    GreedySettings,
    MergeResult,
    NerSource,
    OutputSettings,
    SchemaSettings,
    align,
    apply,
)
from esnera_hf._internal.cache import cache_folder
from esnera_hf._internal.checks import to_plain
from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.greedy_path import next_step as next_stage
from esnera_hf.errors import (
    ConfigurationError,
    EncoderError,
    MappingError,
    SourceNotFoundError,
)
from esnera_hf.evaluation.merged_tagger import mapping_by_name
from esnera_hf.report.report import CallFacts
from esnera_hf.similarity.equivalence import EQUAL
from esnera_hf.similarity.evidence import Evidence
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.taggers.settings import TaggerPlan
from esnera_hf.taggers.source_taggers import (
    CHINESE_ENCODER,
    MULTILINGUAL_ENCODER,
    default_encoder,
    encoder_identity,
)
from esnera_hf.tagging import LabelRef

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 5}
LONGER = {**TRAINING, "num_train_epochs": 6}
SETTINGS = AlignSettings(EvidenceSettings(training=TRAINING, taggers="separate"))


@pytest.fixture(scope="module")
def sources() -> list[NerSource]:
    return [
        toy_source("beta", {"PERSON": "name", "PLACE": "city", "FIRM": "firm"}, seed=2),
        toy_source("alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1),
    ]


@pytest.fixture(scope="module")
def cached(
    sources: list[NerSource], encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, MergeResult]:
    """The cache after one alignment, and its result."""
    folder = tmp_path_factory.mktemp("taggers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(folder))
        return folder, align(sources, encoder=encoder_folder, lam=0.9, tau=0.5, settings=SETTINGS)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a training started")

    monkeypatch.setattr("esnera_hf.modeling.training.fit_tagger", fail)
    return


def test_the_labels_that_mean_the_same_become_one(cached: tuple[Path, MergeResult]) -> None:
    _, result = cached
    groups = {frozenset(map(str, result.mapping.members(name))) for name in result.mapping.unified_labels}
    assert groups == {
        frozenset({"alpha:per", "beta:name"}),
        frozenset({"alpha:loc", "beta:city"}),
        frozenset({"beta:firm"}),
    }


@pytest.mark.usefixtures("no_training")
def test_without_lambda_and_tau_what_means_the_same_becomes_one(
    cached: tuple[Path, MergeResult],
    sources: list[NerSource],
    encoder_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The taggers are those of the path; what they saw is read in both directions."""
    folder, along_path = cached
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(folder))
    result = align(sources, encoder=encoder_folder, settings=SETTINGS)
    groups = [
        set(mapping.members(name))
        for mapping in (result.mapping, along_path.mapping)
        for name in mapping.unified_labels
    ]
    assert all(group in groups[:3] for group in groups[3:])
    assert result.mapping.method == "equivalence"
    assert [made.report.call and made.report.call.method for made in (result, along_path)] == [
        "equivalence",
        "greedy",
    ]
    (step,) = result.report.steps
    assert (step.tau, step.merged) == (EQUAL, 2)
    assert "alpha + beta → each other, all at once (similarity in both directions above 0.67)" in str(
        result.report
    )
    assert result.report.near[0].relation is not None


def test_every_sentence_and_entity_is_in_the_result(
    cached: tuple[Path, MergeResult], sources: list[NerSource]
) -> None:
    _, result = cached
    left_out = {leak.place.id for leak in find_leaks(sources) if leak.left_out}
    assert sum(leak.sentences for leak in result.report.leakage if leak.left_out) == len(left_out) > 0
    for split in ("train", "validation", "test"):
        rows = result.dataset[split]
        names = rows.features["ner_tags"].feature.names
        origins = rows.features["origin"].feature.names
        expected = [
            (sentence.id, sentence.tokens, len(sentence.entities))
            for source in (sources[1], sources[0])
            for sentence in source.sentences(split)
            if sentence.id not in left_out
        ]
        assert [
            (
                row["id"],
                row["tokens"],
                sum(
                    names[tag].startswith("B-") and origins[origin] == "gold"
                    for tag, origin in zip(row["ner_tags"], row["origin"], strict=True)
                ),
            )
            for row in rows
        ] == expected


def test_pseudo_labels_fill_in_what_a_source_lacks(cached: tuple[Path, MergeResult]) -> None:
    _, result = cached
    names = result.dataset["train"].features["ner_tags"].feature.names
    counts: Counter[tuple[str, str]] = Counter()
    for split, rows in result.dataset.items():
        for sentence in rows:
            columns = (
                sentence["ner_tags"],
                sentence["source_tags"],
                sentence["origin"],
                sentence["confidence"],
            )
            for tag, source_tag, origin, confidence in zip(*columns, strict=True):
                if origin == 1:
                    assert (split, source_tag) == ("train", "O")
                    assert names[tag] in ("B-firm", "I-firm")
                    assert 0.9 <= confidence <= 1
                    counts[sentence["source"], names[tag]] += 1
                else:
                    assert confidence == 1
    assert {source for source, _ in counts} == {"alpha"}
    pseudo = result.report.pseudo_labels
    assert pseudo is not None
    assert pseudo.counts == (("alpha", "firm", "beta", counts["alpha", "B-firm"]),)
    assert pseudo.total == counts["alpha", "B-firm"] > 10


def test_the_evidence_counts(cached: tuple[Path, MergeResult], sources: list[NerSource]) -> None:
    matrix = cached[1].similarity
    assert matrix.sources == ("alpha", "beta")
    beta = sources[0].summary.entities["train"]
    assert matrix.support[matrix.indices("beta")].tolist() == [beta[label] for label in sorted(beta)]
    pair = matrix.pair(LabelRef("alpha", "per"), LabelRef("beta", "name"))
    assert 0 < pair.forward.matched <= beta["name"]
    assert pair.forward.matched <= pair.forward.predicted
    assert np.isfinite(matrix.semantic[np.ix_(matrix.indices("alpha"), matrix.indices("beta"))]).all()


def test_the_report_tells_what_was_chosen(cached: tuple[Path, MergeResult], encoder_folder: Path) -> None:
    report = cached[1].report
    expected = AlignSettings().completed(0.9, 0.5, 42)
    evidence = replace(SETTINGS.evidence, training={"seed": 42, **TRAINING}, embeddings="pretrained")
    assert report.call == CallFacts(
        "align",
        ("alpha", "beta"),
        encoder=str(encoder_folder),
        method="greedy",
        settings=to_plain(replace(expected, evidence=evidence)),
    )
    assert [source.name for source in report.sources] == ["alpha", "beta"]
    assert sorted(report.taggers) == ["alpha", "beta"]
    for tagger in report.taggers.values():
        assert max(entry["f1"] for entry in tagger.history) == pytest.approx(
            tagger.validation.micro.f1, abs=1e-5
        )


@pytest.mark.usefixtures("no_training")
def test_a_second_call_reuses_the_taggers_and_order_plays_no_part(
    cached: tuple[Path, MergeResult],
    sources: list[NerSource],
    encoder_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, first = cached
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(folder))
    again = align(sources[::-1], encoder=str(encoder_folder), lam=0.9, tau=0.5, settings=SETTINGS)
    assert again.mapping == first.mapping
    assert {split: rows.to_list() for split, rows in again.dataset.items()} == {
        split: rows.to_list() for split, rows in first.dataset.items()
    }
    assert again.similarity.to_dict() == first.similarity.to_dict()
    assert [tagger.seconds for tagger in again.report.taggers.values()] == [0.0, 0.0]


def test_the_cache_holds_a_finished_tagger_a_source(cached: tuple[Path, MergeResult]) -> None:
    folders = sorted((cached[0] / "taggers").iterdir())
    assert len(folders) == 2
    assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [
        ["artifact.json", "lock", "made"]
    ] * 2


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("change", "retrained"),
    [
        ({}, False),
        ({"lam": 0.1, "tau": 0.9}, False),
        ({"settings": AlignSettings(EvidenceSettings("overlap", "all", TRAINING, "separate"))}, False),
        ({"seed": 7}, True),
        ({"sentences": 50}, True),
        (
            {"settings": AlignSettings(EvidenceSettings(training=LONGER, taggers="separate"))},
            True,
        ),
    ],
)
def test_what_makes_another_tagger(
    cached: tuple[Path, MergeResult],
    sources: list[NerSource],
    encoder_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    retrained: bool,
) -> None:
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(cached[0]))
    settings = {"settings": SETTINGS, "encoder": encoder_folder, "lam": 0.4, "tau": 0.4, **change}
    if retrained:
        with pytest.raises(AssertionError, match="a training started"):
            align(sources, **settings)
    else:
        assert len(align(sources, **settings).report.steps) == 1


@pytest.mark.usefixtures("no_training")
class TestRefusedBeforeAnyTraining:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"lam": 1.1}, "λ = 1.1"),
            ({"lam": float("nan")}, "λ = nan"),
            ({"tau": -1.5}, "τ = -1.5"),
            ({"seed": -1}, "seed=-1: expected a whole number from 0 to 4294967295"),
            ({"sentences": 0}, "sentences=0: expected a positive number"),
            (
                {"settings": AlignSettings(EvidenceSettings(training={"num_train_epochs": -1}))},
                "num_train_epochs=-1",
            ),
        ],
    )
    def test_a_bad_setting(
        self, sources: list[NerSource], encoder_folder: Path, settings: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=message):
            align(sources, encoder=encoder_folder, **{"lam": 0.4, "tau": 0.4, **settings})

    def test_a_bad_way_to_measure(self) -> None:
        with pytest.raises(ConfigurationError, match="match='near'"):
            EvidenceSettings(match="near")  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="center='none'"):
            EvidenceSettings(center="none")  # type: ignore[arg-type]

    def test_one_source(self, sources: list[NerSource]) -> None:
        with pytest.raises(ConfigurationError, match="at least two sources"):
            align(sources[:1])
        with pytest.raises(ConfigurationError, match="at least two sources"):
            align("cluener")

    def test_a_source_twice(self, sources: list[NerSource]) -> None:
        with pytest.raises(ConfigurationError, match="two sources are called 'beta'"):
            align([sources[0], sources[1], sources[0]])
        with pytest.raises(ConfigurationError, match="given twice: some/path"):
            align(["some/path", "some/path"])

    def test_the_same_sentences_under_two_names(self) -> None:
        twins = [toy_source(name, {"PERSON": "per"}, seed=1) for name in ("one", "two")]
        with pytest.raises(ConfigurationError, match="'one' and 'two' hold the same sentences"):
            align(twins)

    def test_a_dataset_without_a_name(self, sources: list[NerSource]) -> None:
        nameless: Any = sources[0].dataset
        with pytest.raises(ConfigurationError, match="a Dataset has no name"):
            align([sources[1], nameless])

    def test_a_source_that_is_not_there(self, sources: list[NerSource], tmp_path: Path) -> None:
        with pytest.raises(SourceNotFoundError, match="missing"):
            align([sources[0], tmp_path / "missing"])

    def test_an_encoder_that_is_not_there(self, sources: list[NerSource], tmp_path: Path) -> None:
        with pytest.raises(EncoderError, match="cannot be loaded"):
            align(sources, encoder=tmp_path / "missing")


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        (("zh", "zh"), CHINESE_ENCODER),
        (("zh", "zh-Hant"), CHINESE_ENCODER),
        (("zh", "en"), MULTILINGUAL_ENCODER),
        (("zh", ""), MULTILINGUAL_ENCODER),
    ],
)
def test_the_default_encoder_depends_on_the_languages(languages: tuple[str, ...], expected: str) -> None:
    chosen = [NerSource(str(index), {}, language=code) for index, code in enumerate(languages)]  # type: ignore[arg-type]
    assert default_encoder(chosen) == expected


def test_an_encoder_folder_is_known_by_its_weights(encoder_folder: Path, tmp_path: Path) -> None:
    for file in encoder_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert encoder_identity(str(tmp_path)) == encoder_identity(str(encoder_folder))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert encoder_identity(str(tmp_path)) != encoder_identity(str(encoder_folder))


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("ESNERA_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "esnera_hf"


@pytest.fixture(scope="module")
def searched(cached: tuple[Path, MergeResult], sources: list[NerSource], encoder_folder: Path) -> MergeResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(cached[0]))
        return align(
            sources,
            encoder=encoder_folder,
            lam=0.9,
            settings=replace(
                SETTINGS,
                search=GreedySettings(max_f1_drop=0.5),
                final=OutputSettings(tagger=True, baselines=("naive", "gold")),
            ),
        )


class TestSearch:
    """The whole method, with trained taggers."""

    def test_one_trial_that_holds_ends_it(self, searched: MergeResult) -> None:
        first, *others = searched.report.trials
        assert first.chosen
        assert first.holds
        assert first.merged == max(trial.merged for trial in searched.report.trials)
        assert all(trial.scores is None and trial.holds is None for trial in others)
        points = [point for trial in searched.report.trials for point in trial.settings]
        assert len(points) == len(set(points)) <= 9
        assert {lam for lam, _ in points} == {0.9}

    def test_the_trial_is_scored_both_ways(self, searched: MergeResult) -> None:
        scores = searched.report.trials[0].scores
        assert scores is not None
        for way in (scores.unified, scores.native):
            assert set(way.sources) == {"alpha", "beta"}
            change = way.pooled.change
            values = (way.pooled.before.value, way.pooled.after.value, change.value, change.low, change.high)
            before, after, difference, low, high = (value or 0.0 for value in values)
            assert difference == pytest.approx(after - before, abs=2e-6)
            assert low <= difference <= high

    def test_the_final_tagger_is_that_of_the_last_trial(self, searched: MergeResult) -> None:
        assert set(searched.report.systems) == {"merged", "gold", "naive"}
        assert searched.report.systems["merged"].seconds == 0
        own = searched.report.systems["merged"].native.sources
        for name, tagger in searched.report.taggers.items():
            assert own[name].micro.before.value == pytest.approx(tagger.test.micro.f1, abs=1e-6)
            assert set(own[name].by_label) >= set(tagger.test.by_label)

    def test_the_naive_union_keeps_every_name(self, searched: MergeResult) -> None:
        naive = searched.report.systems["naive"].unified.sources
        assert set(naive["alpha"].by_label) == {"per", "loc"}
        assert set(naive["beta"].by_label) == {"name", "city", "firm"}

    def test_a_broken_bound_merges_nothing_and_says_so(
        self,
        cached: tuple[Path, MergeResult],
        sources: list[NerSource],
        encoder_folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("ESNERA_CACHE_DIR", str(cached[0]))
        monkeypatch.setattr("esnera_hf.evaluation.merged_tagger.TrialOutcome.holds", False)
        result = align(
            sources,
            encoder=encoder_folder,
            lam=0.9,
            settings=replace(SETTINGS, search=GreedySettings(tau=(0.1,))),
        )
        assert len(result.mapping.unified_labels) == 5
        assert result.report.steps[0].tau is None
        said = capsys.readouterr().err
        assert "WARNING: " in said
        assert "encoder may help." in said
        assert "NOTHING MERGED" in str(result.report)

    def test_a_trial_leaves_out_what_leaks_between_its_own_sources(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A sentence of a's train split stands in b's validation and, which counts more, in the test split of c."""
        from esnera_hf.evaluation import merged_tagger as trials

        left_out: list[set[str]] = []

        def stop(self: trials.Trials, used: Any, mapping: Any, leaks: Any) -> Any:
            left_out.append({leak.place.id for leak in leaks if leak.left_out})
            raise KeyboardInterrupt

        monkeypatch.setattr(trials.Trials, "_train", stop)
        splits = {"a": "train", "b": "validation", "c": "test"}
        corpora = [make_source(name, {split: [row("x/B-P y")]}) for name, split in splits.items()]
        matrix = make_matrix({"a:P": 1, "b:P": 1, "c:P": 1}, {("a:P", "b:P"): (1, 1)}, {})
        search = GreedySettings()
        run = trials.Trials(
            corpora, TaggerPlan("x"), Evidence(matrix, {}, {}, {}), search, None, Constraints()
        )
        stage = next_stage(matrix)
        assert stage is not None
        with pytest.raises(KeyboardInterrupt):
            run(stage.merge(0.4, 0.4))
        assert left_out == [{"a-train-0"}]

    def test_the_final_tagger_is_saved_and_knows_what_it_was_made_of(
        self, searched: MergeResult, sources: list[NerSource], tmp_path: Path
    ) -> None:
        searched.save(tmp_path / "merged")
        tagger = MergeResult.load(tmp_path / "merged").load_tagger()
        assert set(tagger.labels) == set(searched.mapping.unified_labels)
        tokens = [sentence.tokens for sentence in sources[0].sentences("test")]
        assert list(tagger.predict(tokens)) == list(searched.load_tagger().predict(tokens))
        card = str(tagger.card("me/tagger"))
        assert "model-index" in card
        assert all(label in card for label in tagger.labels)
        with pytest.raises(ConfigurationError, match="there is no tagger of the merged dataset"):
            replace(searched, tagger_folder=None).load_tagger()


def test_an_interrupted_search_goes_on_where_it_was(
    sources: list[NerSource], encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from esnera_hf.modeling import training

    train, trained = training.fit_tagger, []

    def train_three(source: NerSource, *rest: Any) -> Any:
        if len(trained) == 2 and source.name == "alpha+beta":
            trained.append("interrupted")
            raise KeyboardInterrupt
        trained.append(source.name)
        return train(source, *rest)

    monkeypatch.setattr(training, "fit_tagger", train_three)
    settings = replace(SETTINGS, search=GreedySettings(tau=(0.2,), max_f1_drop=0.5))
    with pytest.raises(KeyboardInterrupt):
        align(sources, encoder=encoder_folder, lam=0.9, settings=settings)
    assert trained == ["alpha", "beta", "interrupted"]
    first = align(sources, encoder=encoder_folder, lam=0.9, settings=settings)
    assert trained == ["alpha", "beta", "interrupted", "alpha+beta"]
    again = align(sources, encoder=encoder_folder, lam=0.9, settings=settings)
    assert len(trained) == 4
    assert again.mapping == first.mapping
    assert again.dataset["train"].to_list() == first.dataset["train"].to_list()


@pytest.mark.usefixtures("no_training")
def test_what_of_an_edited_mapping_is_not_kept_is_said(
    cached: tuple[Path, MergeResult],
    sources: list[NerSource],
    encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, made = cached
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(folder))
    file = tmp_path / "edited.yaml"
    made.mapping.save(file)
    file.write_text(file.read_text().replace("unified: firm", "unified: null"))
    settings = replace(SETTINGS, schema=SchemaSettings(locked=file))
    result = align(sources, encoder=encoder_folder, lam=0.9, tau=0.5, settings=settings)
    assert result.mapping == made.mapping
    told = "0 of 5 entries are locked and kept, 5 decided anew; not as in the file: beta:firm: (left out) → firm. Say"
    assert f"{file}: {told}" in capsys.readouterr().err


@pytest.mark.parametrize("target_schema", [None, ["per", "FIRM"]])
def test_a_search_on_a_sample_that_lacks_a_label(
    encoder_folder: Path, target_schema: list[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the last training sentence of alpha names a firm: a sample need not hold it, the result must."""
    rows = toy_rows({"PERSON": "per", "PLACE": "loc"}, 60, seed=1)
    rare = [row("acme/B-firm of lima/B-loc left")]
    alpha = make_source(
        "alpha",
        {
            "train": [*rows, *rare],
            "validation": toy_rows({"PERSON": "per", "PLACE": "loc"}, 30, seed=5),
            "test": toy_rows({"PERSON": "per", "PLACE": "loc"}, 30, seed=6),
        },
    )
    beta = toy_source("beta", {"PERSON": "name", "PLACE": "city"}, seed=2, train=60)
    assert "firm" not in alpha.sample(20, 42).summary.entities["train"]
    settings = replace(SETTINGS, search=GreedySettings(tau=(0.2,), max_samples=20))
    result = align(
        [alpha, beta], encoder=encoder_folder, lam=0.4, target_schema=target_schema, settings=settings
    )
    assert {entry.label for entry in result.mapping.entries} == {*alpha.label_refs, *beta.label_refs}
    assert result.mapping["alpha", "firm"] == ("firm" if target_schema is None else "FIRM")
    assert all(entry.unified is not None for entry in result.mapping.entries)
    for source in (alpha, beta):
        counts = source.summary.entities["train"]
        entries = [entry for entry in result.mapping.entries if entry.label.source == source.name]
        assert {entry.label.label: entry.mentions for entry in entries} == counts


class TestApply:
    def test_a_mapping_written_by_hand_counts_the_mentions(self, sources: list[NerSource]) -> None:
        by_hand = mapping_by_name(sources)
        assert {entry.mentions for entry in by_hand.entries} == {0}
        for entry in apply(by_hand, sources).mapping.entries:
            (source,) = (source for source in sources if source.name == entry.label.source)
            assert entry.mentions == source.summary.entities["train"][entry.label.label] > 0

    def test_an_edited_mapping(
        self, cached: tuple[Path, MergeResult], sources: list[NerSource], tmp_path: Path
    ) -> None:
        file = tmp_path / "mapping.yaml"
        cached[1].mapping.save(file)
        file.write_text(file.read_text().replace("unified: firm", "unified: null"))
        result = apply(file, sources)
        assert result.mapping["beta", "firm"] is None
        assert result.similarity is None
        names = result.dataset["train"].features["ner_tags"].feature.names
        kept = [label for label in cached[1].mapping.unified_labels if label != "firm"]
        assert names == ["O", *(f"{role}-{label}" for label in kept for role in "BI")]
        result.save(tmp_path / "out")
        assert MergeResult.load(tmp_path / "out").mapping == result.mapping

    def test_it_gives_what_align_gave(
        self,
        cached: tuple[Path, MergeResult],
        sources: list[NerSource],
        encoder_folder: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("ESNERA_CACHE_DIR", str(cached[0]))
        again = apply(
            cached[1].mapping,
            sources,
            encoder=encoder_folder,
            final=OutputSettings(),
            training=TRAINING,
            taggers="separate",
        )
        assert {split: rows.to_list() for split, rows in again.dataset.items()} == {
            split: rows.to_list() for split, rows in cached[1].dataset.items()
        }

    def test_some_of_the_sources(self, cached: tuple[Path, MergeResult], sources: list[NerSource]) -> None:
        result = apply(cached[1].mapping, sources[1:])
        assert result.mapping.sources == ("alpha",)
        assert set(result.dataset["train"]["source"]) == {"alpha"}

    def test_an_unknown_label_is_named_with_its_line(
        self, cached: tuple[Path, MergeResult], sources: list[NerSource], tmp_path: Path
    ) -> None:
        file = tmp_path / "mapping.yaml"
        cached[1].mapping.save(file)
        text = file.read_text().replace("label: firm", "label: frim", 1)
        file.write_text(text)
        line = 1 + text[: text.index("label: frim")].count("\n")
        with pytest.raises(
            MappingError, match=f"line ({line}|{line - 1}): beta:frim is no label.*mean 'firm'"
        ):
            apply(file, sources)

    def test_a_label_that_is_not_mapped(
        self, cached: tuple[Path, MergeResult], sources: list[NerSource]
    ) -> None:
        mapping = cached[1].mapping
        fewer = replace(mapping, entries=mapping.entries[1:])
        with pytest.raises(MappingError, match=f"leaves out {mapping.entries[0].label}"):
            apply(fewer, sources)
