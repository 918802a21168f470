"""A warm start: trials and the final tagger begin with what the joint tagger knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import toy_source
from esnera_hf import AlignSettings, EvidenceSettings, FinalSettings, NerSource, align
from esnera_hf.alignment import LabelMapping, MappedLabel
from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.source_taggers import own_taggers
from esnera_hf.starts import start_artefact, warm_training
from esnera_hf.tagger_plan import TaggerPlan
from esnera_hf.trials import train_merged

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 6, "seed": 42}
MAPPING = LabelMapping(
    ("per", "loc"),
    (
        MappedLabel(LabelRef("alpha", "per"), "per"),
        MappedLabel(LabelRef("alpha", "loc"), "loc"),
        MappedLabel(LabelRef("beta", "name"), "per"),
        MappedLabel(LabelRef("beta", "city"), "loc"),
    ),
)


@pytest.fixture(scope="module")
def sources() -> list[NerSource]:
    return [
        toy_source("alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1),
        toy_source("beta", {"PERSON": "name", "PLACE": "city"}, seed=2),
    ]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(tmp_path_factory.mktemp("starts")))
        yield


def test_a_short_training_from_the_joint_tagger_is_not_one_from_the_encoder(
    sources: list[NerSource],
    encoder_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = TaggerPlan(str(encoder_folder), TRAINING, "joint", warm_start=0.2)
    own = own_taggers(sources, plan)
    warm = train_merged(sources, MAPPING, (), None, plan, own=own)
    once = TaggerPlan(str(encoder_folder), {**TRAINING, "num_train_epochs": 1})
    cold = train_merged(sources, MAPPING, (), None, once)
    assert [entry["epoch"] for entry in warm.record["history"]] == [1]
    assert warm.record["history"][0]["loss"] < cold.record["history"][0]["loss"] / 2
    assert warm.artefact.key != cold.artefact.key
    assert start_artefact(sources, MAPPING, own).exists
    monkeypatch.setattr("esnera_hf.modeling.cost._timed", lambda work: 60.0)
    capsys.readouterr()
    train_merged(sources, MAPPING, (), None, plan, own=own)
    assert "At most about" not in capsys.readouterr().err


def test_of_one_training_the_epochs_are_at_least_one(encoder_folder: Path) -> None:
    plan = TaggerPlan(str(encoder_folder), TRAINING, "joint", warm_start=0.01)
    assert warm_training(plan, 100) == {**TRAINING, "num_train_epochs": 1}
    half = TaggerPlan(str(encoder_folder), {"seed": 1}, "joint", warm_start=0.5)
    assert warm_training(half, 100) == {"seed": 1, "num_train_epochs": 10}


def test_an_alignment_begins_its_final_tagger_so(sources: list[NerSource], encoder_folder: Path) -> None:
    evidence = EvidenceSettings(training=TRAINING, taggers="joint", warm_start=0.34)
    settings = AlignSettings(evidence, final=FinalSettings(tagger=True, augment=None), merge="typed")
    result = align(sources, encoder=encoder_folder, settings=settings)
    assert result.mapping["alpha", "per"] == result.mapping["beta", "name"]
    assert len(result.load_tagger().record["history"]) == 2
    merged = result.report.systems["merged"]["own_labels"]["pooled"]
    assert merged["after"]["value"] > 0.9


def test_separate_taggers_are_nothing_to_begin_with(sources: list[NerSource], encoder_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="taggers='joint'"):
        EvidenceSettings(taggers="separate", warm_start=0.2)
    with pytest.raises(ConfigurationError, match="above 0"):
        EvidenceSettings(taggers="joint", warm_start=0.0)
    plan = TaggerPlan(str(encoder_folder), {**TRAINING, "num_train_epochs": 1})
    with pytest.raises(ConfigurationError, match="one joint tagger"):
        start_artefact(sources, MAPPING, own_taggers(sources, plan))
