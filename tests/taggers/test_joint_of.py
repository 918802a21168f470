"""Another corpus later: the joint tagger of a finished alignment stays; the new corpus has one that begins with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import toy_source
from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    MergeResult,
    NerSource,
    align,
)
from esnera_hf.errors import ConfigurationError
from esnera_hf.taggers.settings import TaggerPlan
from esnera_hf.taggers.source_taggers import cached_tagger, own_taggers

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 6, "seed": 42}
BEFORE = EvidenceSettings(training=TRAINING)
LATER = EvidenceSettings(training=TRAINING, joint_of=("alpha", "beta"))


@pytest.fixture(scope="module")
def sources() -> list[NerSource]:
    return [
        toy_source("alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1),
        toy_source("beta", {"PERSON": "name", "PLACE": "city", "FIRM": "firm"}, seed=2),
        toy_source("gamma", {"PERSON": "human", "PLACE": "town", "FIRM": "company"}, seed=3),
    ]


@pytest.fixture(scope="module")
def finished(
    sources: list[NerSource], encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, MergeResult]:
    """The cache after an alignment of the first two, and its result."""
    folder = tmp_path_factory.mktemp("later")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(folder))
        return folder, align(sources[:2], encoder=encoder_folder, settings=AlignSettings(BEFORE))


@pytest.fixture
def trained(finished: tuple[Path, MergeResult], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is trained in a test, which goes on with the cache."""
    from esnera_hf.modeling import training
    from esnera_hf.modeling import training as joint_training

    names: list[str] = []
    one, joint = training.fit_tagger, joint_training.fit_joint_tagger

    def train_one(source: NerSource, *args: Any) -> Any:
        names.append(source.name)
        return one(source, *args)

    def train_joint(sources: list[NerSource], *args: Any) -> Any:
        names.append(" and ".join(source.name for source in sources))
        return joint(sources, *args)

    monkeypatch.setattr(training, "fit_tagger", train_one)
    monkeypatch.setattr(joint_training, "fit_joint_tagger", train_joint)
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(finished[0]))
    return names


def groups(result: MergeResult) -> set[frozenset[str]]:
    return {frozenset(map(str, result.mapping.members(name))) for name in result.mapping.unified_labels}


def test_it_costs_its_own_training_and_the_others_stay(
    finished: tuple[Path, MergeResult],
    trained: list[str],
    sources: list[NerSource],
    encoder_folder: Path,
) -> None:
    result = align(sources, encoder=encoder_folder, settings=AlignSettings(LATER))
    assert trained == ["gamma"]
    assert groups(result) == {
        frozenset({"alpha:per", "beta:name", "gamma:human"}),
        frozenset({"alpha:loc", "beta:city", "gamma:town"}),
        frozenset({"beta:firm", "gamma:company"}),
    }
    before, after = finished[1].report, result.report
    for name in ("alpha", "beta"):
        assert after.taggers[name].test == before.taggers[name].test
    again = align(sources, encoder=encoder_folder, settings=AlignSettings(**round_trip(result)))
    assert trained == ["gamma"]
    assert again.report.call == result.report.call
    assert again.similarity.to_dict() == result.similarity.to_dict()


def round_trip(result: MergeResult) -> dict[str, Any]:
    """The settings of evidence as a report keeps them."""
    kept = dict(result.report.to_dict()["call"]["settings"]["evidence"])
    assert list(kept["joint_of"]) == ["alpha", "beta"]
    return {"evidence": EvidenceSettings(**{**kept, "joint_of": list(kept["joint_of"])})}


def test_its_tagger_begins_with_the_joint_one(
    trained: list[str], sources: list[NerSource], encoder_folder: Path
) -> None:
    """After one epoch it has learned more than one that begins with the pretrained encoder."""
    short = {**TRAINING, "num_train_epochs": 1, "learning_rate": 1e-3}
    plan = TaggerPlan(str(encoder_folder), short, "joint", joint_of=("alpha", "beta"))
    own = own_taggers(sources, plan)
    cold = cached_tagger(sources[2], str(encoder_folder), short)
    assert trained == ["alpha and beta", "gamma", "gamma"]
    assert own["gamma"].record["history"][0]["loss"] < cold.record["history"][0]["loss"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"joint_of": ()}, r"^joint_of=\(\): expected the names of one or more sources\.$"),
        ({"joint_of": "alpha"}, r"^joint_of='alpha': expected the names of one or more sources\.$"),
        ({"joint_of": ("alpha",), "taggers": "separate"}, r"^joint_of= needs taggers='joint'"),
    ],
)
def test_wrong_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EvidenceSettings(**options)


def test_a_source_that_is_not_there(sources: list[NerSource], encoder_folder: Path) -> None:
    settings = AlignSettings(EvidenceSettings(joint_of=("alpha", "delta")))
    with pytest.raises(
        ConfigurationError,
        match=r"^joint_of= names 'delta'; the sources are 'alpha', 'beta', 'gamma'\. Name sources of this",
    ):
        align(sources, encoder=encoder_folder, settings=settings)
