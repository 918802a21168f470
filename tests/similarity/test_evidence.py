"""Evidence from a joint tagger: the same mapping from one training and one pass a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_source, row, toy_rows, toy_source
from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    GreedySettings,
    MergeResult,
    NerSource,
    OutputSettings,
    align,
)
from esnera_hf._internal.cache import cache_folder
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.encoders import MentionEncoder
from esnera_hf.modeling.joint import JointTagger
from esnera_hf.similarity.evidence import gather_evidence
from esnera_hf.similarity.semantic import semantic_similarity, sum_vectors
from esnera_hf.sources.leakage import find_leaks, without_leaks
from esnera_hf.taggers.settings import TaggerPlan
from esnera_hf.taggers.source_taggers import CachedHead, announce_own_taggers, joint_artifact, own_taggers

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 6, "seed": 42}
EVIDENCE = EvidenceSettings(training=TRAINING, taggers="joint")


@pytest.fixture(scope="module")
def sources() -> list[NerSource]:
    return [
        toy_source("beta", {"PERSON": "name", "PLACE": "city", "FIRM": "firm"}, seed=2),
        toy_source("alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1),
    ]


@pytest.fixture(scope="module")
def cached(
    sources: list[NerSource], encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, MergeResult, list[str]]:
    """The cache after one alignment, its result, and the names of the separate taggers it trained."""
    folder = tmp_path_factory.mktemp("joint")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(folder))
        separate = recorded_trainings(patch)
        final = OutputSettings(tagger=True)
        result = align(
            sources, encoder=encoder_folder, lam=0.9, tau=0.5, settings=AlignSettings(EVIDENCE, final=final)
        )
    return folder, result, separate


def recorded_trainings(patch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of what separate taggers are trained on."""
    from esnera_hf.modeling import training

    names: list[str] = []
    train = training.fit_tagger

    def recording(source: NerSource, *args: Any) -> Any:
        names.append(source.name)
        return train(source, *args)

    patch.setattr(training, "fit_tagger", recording)
    return names


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a training started")

    monkeypatch.setattr("esnera_hf.modeling.training.fit_tagger", fail)
    monkeypatch.setattr("esnera_hf.modeling.training.fit_joint_tagger", fail)
    return


def test_the_labels_that_mean_the_same_become_one(cached: tuple[Path, MergeResult, list[str]]) -> None:
    result = cached[1]
    groups = {frozenset(map(str, result.mapping.members(name))) for name in result.mapping.unified_labels}
    assert groups == {
        frozenset({"alpha:per", "beta:name"}),
        frozenset({"alpha:loc", "beta:city"}),
        frozenset({"beta:firm"}),
    }
    assert result.report.call is not None
    assert result.report.call.setting("evidence", "taggers") == "joint"


def test_one_training_serves_evidence_pseudo_labels_and_scores(
    cached: tuple[Path, MergeResult, list[str]],
) -> None:
    folder, result, separate = cached
    assert separate == ["alpha+beta"]
    assert len(list((folder / "joint_taggers").iterdir())) == 1
    assert result.report.pseudo_labels is not None
    assert [counts[:3] for counts in result.report.pseudo_labels.counts] == [("alpha", "firm", "beta")]
    assert sorted(result.report.taggers) == ["alpha", "beta"]
    for name, tagger in result.report.taggers.items():
        assert tagger.seconds >= 0
        assert tagger.test.micro.f1 > 0.9
        assert set(tagger.history[0]) == {"epoch", "loss", "f1", "precision", "recall"}
        scores = [entry["f1"] for entry in tagger.history]
        # Training leaves out a validation sentence that the other source tests on.
        assert any(abs(tagger.validation.micro.f1 - score) < 0.02 for score in scores), name
    own = result.report.systems["merged"].native.sources
    for name, tagger in result.report.taggers.items():
        assert own[name].micro.before.value == pytest.approx(tagger.test.micro.f1)


@pytest.mark.usefixtures("no_training")
def test_a_second_run_trains_nothing_and_predicts_nothing(
    cached: tuple[Path, MergeResult, list[str]],
    sources: list[NerSource],
    encoder_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(cached[0]))
    monkeypatch.setattr(JointTagger, "from_pretrained", None)
    settings = AlignSettings(EVIDENCE, final=OutputSettings(tagger=True))
    again = align(sources[::-1], encoder=str(encoder_folder), lam=0.9, tau=0.5, settings=settings)
    assert again.mapping == cached[1].mapping
    assert again.similarity.to_dict() == cached[1].similarity.to_dict()
    assert [tagger.seconds for tagger in again.report.taggers.values()] == [0.0, 0.0]


def test_evidence_takes_one_pass_a_source(
    encoder_folder: Path, sources: list[NerSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    read = JointTagger.read

    def counting(self: JointTagger, sentences: Any) -> Any:
        passes.append(len(sentences))
        return read(self, sentences)

    monkeypatch.setattr(JointTagger, "read", counting)
    third = toy_source("gamma", {"FIRM": "org"}, seed=3, train=50)
    evidence = gather_evidence([*sources, third], str(encoder_folder), EVIDENCE)
    assert sorted(passes) == [50, 120, 120]
    assert len(list((cache_folder() / "readings").iterdir())) == 3
    for name, tagger in evidence.taggers.items():
        assert isinstance(tagger, CachedHead)
        assert (tagger.name, tagger.trained) == (name, True)
        for source in (*sources, third):
            tokens = [sentence.tokens for sentence in source.sentences("train")]
            found = list(evidence.predictions(name, source))
            expected = list(tagger.load().predict(tokens, scores=True))
            assert found == expected
            scores = [[entity.score for row in rows for entity in row] for rows in (found, expected)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-4)
            assert len(scores[0]) > 10
    assert len(passes) == 3


def test_vectors_of_the_tuned_encoder_come_from_the_pass_that_predicts(
    cached: tuple[Path, MergeResult, list[str]],
    encoder_folder: Path,
    sources: list[NerSource],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(cached[0]))
    with monkeypatch.context() as patch:
        patch.setattr(JointTagger, "read", None)
        patch.setattr(MentionEncoder, "__init__", None)
        tuned = gather_evidence(sources, str(encoder_folder), EVIDENCE)
    (name,) = (folder.name for folder in (cached[0] / "joint_taggers").iterdir())
    joint = JointTagger.from_pretrained(cached[0] / "joint_taggers" / name / "made")
    for part in (joint.model.encoder, joint.tokenizer):
        part.save_pretrained(tmp_path)
    encoder = MentionEncoder(str(tmp_path))
    expected = {s.name: sum_vectors(encoder.mention_vectors(s.sentences("train"))) for s in sources}
    for source in sources:
        assert (
            tuned.sums[source.name].count == expected[source.name].count == source.summary.entities["train"]
        )
    semantic = semantic_similarity(expected, tuned.matrix.labels)
    # A word's first piece alone is compared with all its pieces.
    np.testing.assert_allclose(tuned.matrix.semantic, semantic, atol=0.2)
    pretrained = gather_evidence(sources, str(encoder_folder), replace(EVIDENCE, embeddings="pretrained"))
    assert (tuned.matrix.matched == pretrained.matrix.matched).all()
    assert np.nanmax(abs(tuned.matrix.semantic - pretrained.matrix.semantic)) > 0.1


def test_the_search_compares_with_the_heads(
    sources: list[NerSource], encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    separate = recorded_trainings(monkeypatch)
    search = GreedySettings(lam=(0.7,), tau=(0.3, 0.5))
    result = align(sources, encoder=encoder_folder, settings=AlignSettings(EVIDENCE, search))
    assert set(separate) <= {"alpha+beta"}
    assert len(result.mapping.unified_labels) == 3


def test_what_makes_another_joint_tagger(sources: list[NerSource], encoder_folder: Path) -> None:
    plan = TaggerPlan(str(encoder_folder), TRAINING, "joint")
    key = joint_artifact(sources, plan).key
    assert joint_artifact(sources[::-1], plan).key == key
    assert joint_artifact(sources, replace(plan, training={**TRAINING, "sampling_exponent": 0.7})).key == key
    others = [
        joint_artifact(sources[:1], plan),
        joint_artifact([sources[0].sample(50, 1), sources[1]], plan),
        joint_artifact([replace(sources[0], name="delta"), sources[1]], plan),
        joint_artifact([replace(sources[0], vocabulary=("x",)), sources[1]], plan),
        joint_artifact(sources, replace(plan, training={**TRAINING, "seed": 7})),
        joint_artifact(sources, replace(plan, training={**TRAINING, "sampling_exponent": 0.5})),
    ]
    assert len({key, *(artifact.key for artifact in others)}) == 7


@pytest.mark.parametrize("taggers", ["shared", ""])
def test_an_unknown_way_to_make_taggers(taggers: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"taggers='{taggers}': expected 'separate' or 'joint'"):
        EvidenceSettings(taggers=taggers)
    with pytest.raises(ConfigurationError, match=f"taggers='{taggers}'"):
        TaggerPlan("encoder", taggers=taggers)


def test_what_suits_the_taggers_is_compared() -> None:
    assert EvidenceSettings().chosen_embeddings == "tuned"
    assert replace(EvidenceSettings(), taggers="separate").chosen_embeddings == "pretrained"
    assert EvidenceSettings(embeddings="pretrained").chosen_embeddings == "pretrained"
    assert AlignSettings().completed(None, None, 1).evidence.embeddings == "tuned"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embeddings": "none"}, r"^embeddings='none': expected 'pretrained' or 'tuned'\.$"),
        ({"embeddings": "tuned", "taggers": "separate"}, r"^embeddings='tuned' needs taggers='joint'"),
    ],
)
def test_wrong_embeddings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EvidenceSettings(**options)


@pytest.mark.usefixtures("no_training")
def test_a_source_without_entities_is_refused(sources: list[NerSource], encoder_folder: Path) -> None:
    empty = toy_source("empty", {}, seed=4)
    plan = TaggerPlan(str(encoder_folder), TRAINING, "joint")
    with pytest.raises(ConfigurationError, match="empty: its train split holds 120 sentences and no entity"):
        own_taggers([*sources, empty], plan)


@pytest.mark.parametrize(
    ("options", "amount"),
    [
        ({"taggers": "separate"}, "2 to train and 4 prediction passes"),
        ({"taggers": "joint"}, "1 to train and 2 prediction passes"),
        ({"taggers": "joint", "joint_of": ("alpha",)}, "2 to train and 4 prediction passes"),
    ],
)
def test_the_amount_of_work_is_said_without_a_model(
    options: dict[str, Any], amount: str, sources: list[NerSource], capsys: pytest.CaptureFixture[str]
) -> None:
    announce_own_taggers([sources], TaggerPlan("no such encoder", **options))
    assert capsys.readouterr().err == (
        f"Taggers: {amount} over 400 sentences, but for what the cache holds. "
        "Ctrl-C is safe: the same command goes on where it stopped.\n"
    )


def test_the_option_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def fail(*args: Any, settings: AlignSettings, **kwargs: Any) -> None:
        given.append(settings.evidence.taggers)
        raise ConfigurationError("enough")

    monkeypatch.setattr("esnera_hf.api.align", fail)
    main(["align", "a", "b", "--taggers", "separate"])
    main(["align", "a", "b"])
    assert given == ["separate", "joint"]


def leaking_sources() -> list[NerSource]:
    """Two sources; the train and validation splits of the first hold sentences of the other's test split."""
    test = [
        row("umbrella/B-firm of quito/B-city hired felix/B-name"),
        row("hugo/B-name and greta/B-name rest"),
    ]
    rows = toy_rows({"PERSON": "per", "PLACE": "loc"}, 40, seed=1)
    leaks = [row("umbrella/B-rare of quito/B-loc hired felix/B-per"), row("hugo/B-per and greta/B-per rest")]
    names = {"PERSON": "name", "PLACE": "city", "FIRM": "firm"}
    others = toy_rows(names, 40, seed=2)
    return [
        make_source("alpha", {"train": [*rows[:30], leaks[0]], "validation": [*rows[30:], leaks[1]]}),
        make_source("beta", {"train": others[:30], "validation": others[30:], "test": test}),
    ]


def test_the_joint_tagger_is_not_trained_on_what_it_is_tested_on(
    encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from esnera_hf.modeling import training as joint_training

    sources = leaking_sources()
    seen: dict[str, NerSource] = {}
    train = joint_training.fit_joint_tagger

    def recording(given: list[NerSource], *args: Any) -> Any:
        seen.update((source.name, source) for source in given)
        return train(given, *args)

    monkeypatch.setattr(joint_training, "fit_joint_tagger", recording)
    plan = TaggerPlan(str(encoder_folder), {**TRAINING, "num_train_epochs": 1}, "joint")
    taggers = own_taggers(sources, plan)
    leaks = {leak.place.id for leak in find_leaks(sources) if leak.left_out}
    assert {"alpha-train-30", "alpha-validation-10"} <= leaks
    for source in sources:
        for split in ("train", "validation"):
            ids = source.dataset[split]["id"][:]
            assert seen[source.name].dataset[split]["id"][:] == [row for row in ids if row not in leaks]
        assert seen[source.name].labels == source.labels
    assert "rare" not in seen["alpha"].summary.entities["train"]
    assert len(list(taggers["beta"].predictions(sources[0], "train"))) == 31


def test_without_leaks_the_joint_tagger_stays_the_same() -> None:
    alpha = make_source("alpha", {"train": [row("anna/B-per left")], "test": [row("anna/B-per left")]})
    beta = make_source("beta", {"train": [row("oslo/B-city calls")], "test": [row("lima/B-city sleeps")]})
    assert all(
        kept is source for kept, source in zip(without_leaks([alpha, beta]), [alpha, beta], strict=True)
    )


@pytest.mark.usefixtures("no_training")
def test_a_source_that_leaks_altogether_is_refused(encoder_folder: Path) -> None:
    one = make_source("one", {"train": [row("anna/B-per left")], "validation": [row("bruno/B-per stays")]})
    two = make_source(
        "two",
        {
            "train": [row("oslo/B-city calls")],
            "validation": [row("lima/B-city sleeps")],
            "test": [row("anna/B-per left")],
        },
    )
    plan = TaggerPlan(str(encoder_folder), TRAINING, "joint")
    message = (
        r"one: its train split holds 0 sentences and no entity \(without 1 sentences that stand in a later split "
        r"of another source\)\. A tagger needs both splits"
    )
    with pytest.raises(ConfigurationError, match=message):
        own_taggers([one, two], plan)
