"""Taggers of sources: trained once, cached, joint or separate, checked in one place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_source, row, toy_rows, toy_source
from esnera_hf._internal.cache import Artifact
from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling import training
from esnera_hf.modeling.joint import JointTagger
from esnera_hf.modeling.mention_vectors import MentionEncoder
from esnera_hf.sources.leakage import find_leaks, without_leaks
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.identity import (
    CHINESE_ENCODER,
    MULTILINGUAL_ENCODER,
    default_encoder,
    encoder_identity,
)
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.taggers.settings import TaggerSettings
from esnera_hf.taggers.source_taggers import (
    CachedTagger,
    JointHead,
    SourceTagger,
    pretrained_vectors,
    train_cached,
    train_source_taggers,
)

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 1, "seed": 42}


def corpora() -> list[NerSource]:
    return [
        toy_source("beta", {"PERSON": "name", "PLACE": "city", "FIRM": "firm"}, seed=2, train=60),
        toy_source("alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1, train=60),
        toy_source("gamma", {"PERSON": "human", "PLACE": "town"}, seed=3, train=60),
    ]


def train(sources: list[NerSource], encoder: Path | str, settings: TaggerSettings) -> dict[str, SourceTagger]:
    return train_source_taggers(sources, str(encoder), settings, find_leaks(sources))


#: The cache after a joint tagger of two sources and one of a third, and the taggers.
Trained = tuple[Path, dict[str, SourceTagger]]


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fit_tagger", "fit_joint_tagger"):
        monkeypatch.setattr(training, name, lambda *arguments: pytest.fail("a training started"))


@pytest.fixture(scope="module")
def trained(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    cache = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(cache))
        settings = TaggerSettings(training=TRAINING, joint_of=("alpha", "beta"))
        return cache, train(corpora(), encoder_folder, settings)


@pytest.fixture
def warm(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(trained[0]))
    return trained[0]


@pytest.mark.usefixtures("warm")
class TestJoint:
    @pytest.mark.usefixtures("no_training")
    def test_each_training_happens_once(
        self, trained: Trained, encoder_folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cache, taggers = trained
        made = {kind: len(list(cache.glob(f"{kind}/*"))) for kind in ("joint_taggers", "joint_encoders")}
        assert made == {"joint_taggers": 1, "joint_encoders": 1}
        assert list(taggers) == ["beta", "alpha", "gamma"]
        assert all(tagger.seconds > 0 for tagger in taggers.values())
        again = train(corpora()[:2][::-1], encoder_folder, TaggerSettings(training=TRAINING))
        assert [(name, tagger.seconds) for name, tagger in again.items()] == [("alpha", 0), ("beta", 0)]
        assert "joint tagger of alpha, beta trained before, reused" in capsys.readouterr().err

    def test_heads_predict_as_the_loaded_taggers_do_in_one_pass(
        self, trained: Trained, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        passes = []
        read = JointTagger.read
        monkeypatch.setattr(JointTagger, "read", lambda *given: passes.append(1) or read(*given))
        source = corpora()[2]
        tokens = [sentence.tokens for sentence in source.sentences("test")]
        heads = {name: trained[1][name] for name in ("alpha", "beta")}
        actual = {name: list(head.predict(source, "test")) for name, head in heads.items()}
        assert passes == [1]
        for name, head in heads.items():
            assert isinstance(head, JointHead)
            expected = list(head.load().predict(tokens))
            assert actual[name] == expected
            scores = [[entity.score for row in rows for entity in row] for rows in (actual[name], expected)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-4)
            assert set(head.record) >= {"history", "arguments", "validation"}

    def test_vectors_of_all_sources_come_from_the_joint_encoder(
        self, trained: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A word's first piece alone is compared with all its pieces, so that they differ a little."""
        cache, taggers = trained
        (joint,) = cache.glob("joint_taggers/*/made")
        JointTagger.from_pretrained(joint).save_encoder(tmp_path)
        encoder = MentionEncoder(str(tmp_path))
        monkeypatch.setattr(MentionEncoder, "__init__", None)
        for source in corpora():
            vectors = taggers[source.name].mention_vectors(source)
            assert vectors.count == source.summary.entities["train"]
            expected = LabelCentroids.of(encoder.mention_vectors(source.sentences("train")))
            for label, total in vectors.total.items():
                other = expected.total[label]
                assert total @ other / (np.linalg.norm(total) * np.linalg.norm(other)) > 0.8

    def test_a_later_source_begins_with_the_joint_encoder(
        self, trained: Trained, encoder_folder: Path
    ) -> None:
        """After one epoch its tagger has learned more than one that begins with the pretrained encoder."""
        tagger, source = trained[1]["gamma"], corpora()[2]
        cold = train_cached(str(encoder_folder), TRAINING, source)
        assert tagger.record["history"][0]["loss"] < cold.record["history"][0]["loss"]
        f1 = tagger.record["validation"]["micro"]["f1"]
        assert tagger.scores(source, "validation").micro.f1 == pytest.approx(f1, abs=1e-6)

    def test_a_record_that_is_damaged_names_its_file(self, trained: Trained, tmp_path: Path) -> None:
        tagger = trained[1]["gamma"]
        assert isinstance(tagger, CachedTagger)
        artifact = Artifact(tagger.artifact.kind, {"copy": 1})
        artifact.make(lambda folder: (folder / "training_history.json").write_text("{"))
        with pytest.raises(ConfigurationError, match=r"taggers/.* cannot be read"):
            _ = CachedTagger(tagger.name, artifact, 0.0, tagger.mention_vectors).record


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand-ins for trainings, which keep what they would be trained on."""
    asked: list[Any] = []

    def stop(*arguments: Any) -> Any:
        asked.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit_tagger", stop)
    monkeypatch.setattr(training, "fit_joint_tagger", stop)
    return asked


def asked_for(cache: Path) -> set[str]:
    """The keys of taggers whose training began."""
    return {path.name for kind in ("taggers", "joint_taggers") for path in (cache / kind).glob("*")}


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("kind", ["separate", "joint"])
def test_what_makes_another_tagger(kind: Any, encoder_folder: Path, cache_folder: Path) -> None:
    """Their keys differ by sentences, labels and settings; not by the order of sources and what is a default."""
    alpha, beta = corpora()[1], corpora()[0]

    def key(sources: list[NerSource], **changes: Any) -> frozenset[str]:
        before = asked_for(cache_folder)
        settings = TaggerSettings(kind, {**TRAINING, **changes})
        for some in [sources] if kind == "joint" else [[source] for source in sources]:
            with pytest.raises(KeyboardInterrupt):
                train(some, encoder_folder, settings)
        return frozenset(asked_for(cache_folder) - before)

    assert len(key([alpha, beta])) == (1 if kind == "joint" else 2)
    assert key([beta, alpha]) == key([alpha, beta], weight_decay=0.01) == frozenset()
    assert key([alpha, beta], seed=7)
    assert key([alpha, beta], num_train_epochs=2)
    assert key([alpha.sample(30, 1), beta])
    assert key([replace(alpha, vocabulary=("per", "loc", "x")), beta])


def leaking_sources() -> list[NerSource]:
    """Two sources; the train and validation splits of the first hold sentences of the other's test split."""
    test = [
        row("umbrella/B-firm of quito/B-city hired felix/B-name"),
        row("hugo/B-name and greta/B-name rest"),
    ]
    rows = toy_rows({"PERSON": "per", "PLACE": "loc"}, 40, seed=1)
    leaks = [row("umbrella/B-rare of quito/B-loc hired felix/B-per"), row("hugo/B-per and greta/B-per rest")]
    others = toy_rows({"PERSON": "name", "PLACE": "city", "FIRM": "firm"}, 40, seed=2)
    return [
        make_source("alpha", {"train": [*rows[:30], leaks[0]], "validation": [*rows[30:], leaks[1]]}),
        make_source("beta", {"train": others[:30], "validation": others[30:], "test": test}),
    ]


def test_the_joint_tagger_is_not_trained_on_what_it_is_tested_on(
    untrained: list[Any], encoder_folder: Path
) -> None:
    sources = leaking_sources()
    with pytest.raises(KeyboardInterrupt):
        train(sources, encoder_folder, TaggerSettings(training=TRAINING))
    seen = untrained[0][0]
    expected = without_leaks(sources, find_leaks(sources))
    assert [source.fingerprint for source in seen] == [source.fingerprint for source in expected]
    assert [source.labels for source in seen] == [source.labels for source in sources]
    ids = {*seen[0].dataset["train"]["id"], *seen[0].dataset["validation"]["id"]}
    assert not ids & {"alpha-train-30", "alpha-validation-10"}
    assert "rare" not in seen[0].summary.entities["train"]


def test_a_joint_tagger_of_some_sources_is_not_told_of_the_others(
    untrained: list[Any], encoder_folder: Path
) -> None:
    """Else a corpus that comes later would make another joint tagger of a finished alignment."""
    first, second = leaking_sources()
    splits = {"train": [row("oslo/B-town rests")], "validation": [row("lima/B-town rests")]}
    settings = TaggerSettings(training=TRAINING, joint_of=("alpha", "gamma"))
    with pytest.raises(KeyboardInterrupt):
        train([first, second, make_source("gamma", splits)], encoder_folder, settings)
    assert untrained[0][0][0] is first


def leaking_altogether() -> list[NerSource]:
    rows = {"train": [row("anna/B-per left")], "validation": [row("bruno/B-per stays")]}
    others = {"train": [row("oslo/B-city calls")], "validation": [row("lima/B-city sleeps")]}
    return [make_source("one", rows), make_source("two", {**others, "test": rows["train"]})]


WITHOUT_ENTITIES = r"empty: its train split holds \d+ sentences and no entity"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("options", "sources", "message"),
    [
        ({"kind": "separate"}, [*corpora(), toy_source("empty", {}, seed=4)], WITHOUT_ENTITIES),
        ({"kind": "joint"}, [*corpora(), toy_source("empty", {}, seed=4)], WITHOUT_ENTITIES),
        (
            {},
            leaking_altogether(),
            r"one: its train split holds 0 sentences and no entity \(without 1 sentence that stands in a later split "
            r"of another source\)\. A tagger needs both splits",
        ),
        (
            {"joint_of": ("alpha", "delta")},
            corpora(),
            r"^joint_of= names 'delta'; the sources are 'beta', 'alpha', 'gamma'\. Name sources of this",
        ),
    ],
)
def test_sources_that_are_refused(options: Any, sources: Any, message: str, encoder_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        train(sources, encoder_folder, TaggerSettings(training=TRAINING, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "shared"}, r"^kind='shared': expected 'joint' or 'separate'\.$"),
        ({"joint_of": ()}, r"^joint_of=\(\): expected the names of one or more sources\.$"),
        ({"joint_of": "alpha"}, r"^joint_of='alpha': expected the names of one or more sources\.$"),
        ({"joint_of": ("alpha",), "kind": "separate"}, r"^joint_of= needs kind='joint'"),
        ({"training": {"output_dir": "x"}}, "output_dir cannot be set"),
        ({"training": {"epochs": 3}}, "epochs cannot be set"),
    ],
)
def test_settings_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TaggerSettings(**options)


@pytest.mark.parametrize(
    ("options", "amount"),
    [
        ({"kind": "separate"}, "2 to train and 4 prediction passes"),
        ({"kind": "joint"}, "1 to train and 2 prediction passes"),
        ({"kind": "joint", "joint_of": ("alpha",)}, "2 to train and 4 prediction passes"),
    ],
)
@pytest.mark.usefixtures("untrained")
def test_the_amount_of_work_is_said_first(
    options: dict[str, Any], amount: str, encoder_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(corpora()[:2], encoder_folder, TaggerSettings(training=TRAINING, **options))
    assert capsys.readouterr().err.startswith(
        f"Taggers: {amount} over 280 sentences, but for what the cache holds. "
        "Ctrl-C is safe: the same command goes on where it stopped.\n"
    )


def test_pretrained_vectors_are_those_of_annotated_sentences(encoder_folder: Path) -> None:
    rows = [row("anna/B-per met"), row("nobody met"), row("the oslo/B-loc of anna/B-per")]
    source = make_source("alpha", {"train": rows})
    vectors = pretrained_vectors(str(encoder_folder), source)
    encoder = MentionEncoder(str(encoder_folder))
    expected = LabelCentroids.of(encoder.mention_vectors(source.sentences("train")))
    assert vectors.count == expected.count == {"per": 2, "loc": 1}
    for label, total in vectors.total.items():
        np.testing.assert_allclose(total, expected.total[label], rtol=1e-5)
    assert pretrained_vectors(str(encoder_folder), make_source("none", {"train": rows[1:2]})).count == {}


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
    sources = [NerSource(str(index), {}, language=code) for index, code in enumerate(languages)]  # type: ignore[arg-type]
    assert default_encoder(sources) == expected


def test_an_encoder_folder_is_known_by_its_weights(encoder_folder: Path, tmp_path: Path) -> None:
    for file in encoder_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert encoder_identity(str(tmp_path)) == encoder_identity(str(encoder_folder))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert encoder_identity(str(tmp_path)) != encoder_identity(str(encoder_folder))
