"""The whole path on real corpora with a real encoder, on few sentences."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from esnera_hf import AlignSettings, EvidenceSettings, GreedySettings, MergeResult, TaggerSettings, align
from esnera_hf.tagging import LabelRef

ENCODER = Path(os.environ.get("ESNERA_ENCODER_DIR", "")) / "e5-zh-4l"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        "ESNERA_DATA_DIR" not in os.environ or not (ENCODER / "config.json").is_file(),
        reason="ESNERA_DATA_DIR and ESNERA_ENCODER_DIR do not name the corpora and encoders",
    ),
]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> MergeResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        short = AlignSettings(
            evidence=EvidenceSettings("taggers", embeddings="pretrained"),
            taggers=TaggerSettings(training={"num_train_epochs": 2}),
            greedy=GreedySettings(lam=0.4, tau=0.4),
        )
        names = ["cluener", "weibo"]
        return align(names, encoder=ENCODER, method="greedy", max_samples=150, settings=short)


def test_person_names_are_nearest_to_person_names(result: MergeResult) -> None:
    matrix = result.similarity
    row = matrix.labels.index(LabelRef("cluener", "name"))
    columns = matrix.indices("weibo")
    best = max(columns, key=lambda column: matrix.semantic[row, column])
    assert matrix.labels[best] == LabelRef("weibo", "PER.NAM")
    assert matrix.semantic[row, best] > 0.5


def test_every_label_and_sentence_is_there(result: MergeResult) -> None:
    assert len(result.mapping.entries) == 18
    assert [len(result.dataset[split]) for split in ("train", "validation", "test")] == [300, 300, 300]
    assert set(result.dataset["train"]["source"]) == {"cluener", "weibo"}


def test_saving_and_loading_gives_it_back(result: MergeResult, tmp_path: Path) -> None:
    result.save(tmp_path / "saved")
    loaded = MergeResult.load(tmp_path / "saved")
    assert loaded.mapping == result.mapping
    assert loaded.dataset["train"].features == result.dataset["train"].features
    assert loaded.dataset["test"].to_dict() == result.dataset["test"].to_dict()
