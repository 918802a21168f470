"""Every stage of an alignment is taken from the cache, and the same comes out, whatever of it is there."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from builders import make_source, row, toy_source
from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    FinalSettings,
    MergeResult,
    SearchSettings,
    align,
    evidence,
    final,
    leaks,
    taggers,
    trials,
)
from esnera_hf.augmentation import PseudoLabels, pseudo_label_form
from esnera_hf.cache import Artefact, cache_folder
from esnera_hf.exporting import export
from esnera_hf.leaks import find_leaks
from esnera_hf.manifest import Manifest
from esnera_hf.report.replay import without_times
from esnera_hf.scoring import MergedScores
from esnera_hf.sources import NerSource, kept_sources
from esnera_hf.sources.source import SOURCE_FEATURES
from esnera_hf.taggers import CachedTagger
from esnera_hf.tagging import Entity
from esnera_hf.trials import train_merged

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 3}
SETTINGS = AlignSettings(
    EvidenceSettings(training=TRAINING, taggers="separate"),
    SearchSettings(lambdas=(0.4,), taus=(0.2,), max_drop=0.9),
    final=FinalSettings(augment=0.5, tagger=True),
)
ESTIMATED = replace(SETTINGS, search=replace(SETTINGS.search, method="estimated"))
#: What works out the stages, where it is called.
WORK = (
    (kept_sources, "load_source"),
    (leaks, "find_pairs"),
    (evidence, "cross_predictions"),
    (evidence, "screen"),
    (trials, "estimate_scores"),
    (trials, "train_merged"),
    (trials, "score_projected"),
    (final, "pseudo_labels"),
    (final, "both_predictions"),
    (taggers, "score_entities"),
)


@dataclass(frozen=True)
class Made:
    """Corpora as files, a cache, and what an alignment that began with an empty one saved."""

    corpora: Path
    encoder: Path
    cache: Path
    files: dict[str, Any]

    def again(self) -> MergeResult:
        names = [f"{name}={self.corpora / name}" for name in ("alpha", "beta")]
        return align(names, encoder=self.encoder, settings=ESTIMATED)


def contents(result: MergeResult, folder: Path) -> dict[str, Any]:
    """Return a digest of each file that a result saves, and its report without times."""
    result.save(folder)
    files = dict(Manifest.of(folder).files)
    del files["report.html"], files["report.json"]
    return {**files, "report": without_times(result.report.to_dict())}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep small sources, too."""
    monkeypatch.setattr(kept_sources, "WORTH_KEEPING", 0)


@pytest.fixture(scope="module")
def made(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    export(toy_source("beta", {"PERSON": "name", "PLACE": "city"}, seed=2, train=60), folder / "beta")
    export(toy_source("alpha", {"PERSON": "per", "FIRM": "firm"}, seed=1, train=60), folder / "alpha")
    made = Made(folder, encoder_folder, folder / "cache", {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_sources, "WORTH_KEEPING", 0)
        patch.setenv("ESNERA_CACHE_DIR", str(made.cache))
        made.files.update(contents(made.again(), folder / "saved"))
    return made


@pytest.fixture
def warm(made: Made, cache_folder: Path) -> Path:
    """A cache that holds every stage."""
    shutil.copytree(made.cache, cache_folder, dirs_exist_ok=True)
    return cache_folder


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many artefacts of each kind are made."""
    found: Counter[str] = Counter()
    make = Artefact.make

    def noted(self: Artefact, fill: Callable[[Path], None]) -> bool:
        made = make(self, fill)
        found[self.kind] += made
        return made

    monkeypatch.setattr(Artefact, "make", noted)
    return found


def test_what_is_there_is_not_worked_out_again(
    made: Made, warm: Path, kinds: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in WORK:
        monkeypatch.setattr(module, name, lambda *a, name=name, **k: pytest.fail(f"{name} was called again"))
    # the final tagger is asked for by name, which takes the merged sentences
    monkeypatch.setattr(final, "train_merged", trained_before)
    assert contents(made.again(), tmp_path / "again") == made.files
    assert kinds.total() == 0


def trained_before(*arguments: Any) -> CachedTagger:
    tagger = train_merged(*arguments)
    assert not tagger.trained
    return tagger


@pytest.mark.parametrize(
    "kind",
    [
        "sources",
        "leaks",
        "agreements",
        "overlaps",
        "estimates",
        "trials",
        "pseudo_labels",
        "scores",
        "merged_scores",
    ],
)
def test_a_stage_that_is_missing_is_made_again_and_no_other(
    made: Made, warm: Path, kinds: Counter[str], tmp_path: Path, kind: str
) -> None:
    were = len(list((warm / kind).glob("*/made")))
    assert were > 0
    shutil.rmtree(warm / kind)
    assert contents(made.again(), tmp_path / "again") == made.files
    assert +kinds == {kind: were}


def test_with_the_scores_alone(made: Made, warm: Path, kinds: Counter[str], tmp_path: Path) -> None:
    """Predictions that everything was made of already are not needed, nor are the taggers of trials."""
    shutil.rmtree(warm / "predictions")
    assert contents(made.again(), tmp_path / "again") == made.files
    assert kinds.total() == 0


def test_everything_is_damaged(
    made: Made, warm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in warm.glob("*/*/made/*.json"):
        file.write_text(file.read_text().replace("0", "1", 1) + " ")
    assert contents(made.again(), tmp_path / "again") == made.files
    told = capsys.readouterr().err
    for kind in ("sources", "agreements", "overlaps", "estimates", "trials", "scores", "merged_scores"):
        assert f"{warm / kind}" in told


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("trials", replace(ESTIMATED, final=replace(ESTIMATED.final, augment=0.6))),
        ("pseudo_labels", replace(ESTIMATED, final=replace(ESTIMATED.final, augment=0.6))),
        ("agreements", replace(ESTIMATED, evidence=replace(ESTIMATED.evidence, match="overlap"))),
    ],
)
def test_other_settings_are_other_artefacts(
    made: Made, warm: Path, kinds: Counter[str], kind: str, change: AlignSettings
) -> None:
    names = [f"{name}={made.corpora / name}" for name in ("alpha", "beta")]
    align(names, encoder=made.encoder, settings=change)
    assert kinds[kind] == 1
    assert kinds["leaks"] == kinds["sources"] == kinds["overlaps"] == 0


class TestLeaks:
    def sources(self, ids: str = "{}") -> list[NerSource]:
        a = make_source(
            "a", {"train": [row("one two"), row("hello there/B-x you")], "test": [row("one two")]}
        )
        b = make_source("b", {"validation": [row("x y"), row("hello there you/B-y")]})
        renamed = {
            split: Dataset.from_dict(
                {**rows[:], "id": [ids.format(row_id) for row_id in rows["id"]]}, SOURCE_FEATURES
            )
            for split, rows in a.dataset.items()
        }
        return [replace(a, dataset=DatasetDict(renamed)), b]

    def test_ids_are_those_of_the_sources_at_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are not part of what is kept."""
        found = find_leaks(self.sources())
        assert [(leak.place.id, leak.because.id, leak.exact) for leak in found] == [
            ("a-train-0", "a-test-0", True),
            ("a-train-1", "b-validation-1", True),
        ]
        monkeypatch.setattr(leaks, "find_pairs", lambda sources: pytest.fail("searched again"))
        assert find_leaks(self.sources()) == found
        again = find_leaks(self.sources("new-{}"))
        assert [leak.place.id for leak in again] == ["new-a-train-0", "new-a-train-1"]
        assert [leak.because.id for leak in again] == ["new-a-test-0", "b-validation-1"]

    def test_sources_in_another_order_are_searched(self) -> None:
        one, other = self.sources()
        assert {*find_leaks([one, other])} == {*find_leaks([other, one])}
        assert len(list((cache_folder() / "leaks").glob("*/made"))) == 2

    def test_there_are_none(self) -> None:
        none = [make_source("a", {"train": [row("one two/B-x")]})]
        assert find_leaks(none) == find_leaks(none) == ()


def test_the_form_of_pseudo_labels(tmp_path: Path) -> None:
    sources = [
        make_source("a", {"train": [row("one two three")] * 3}),
        make_source("b", {"train": [row("four")]}),
        make_source("c", {"test": [row("five")]}),
    ]
    pseudo = PseudoLabels(0.5, {"a": {}, "b": {}, "c": {}})
    pseudo.entities["a"]["a-train-2"] = [Entity(0, 1, "X", 0.5123), Entity(1, 3, "名", 1.0)]
    pseudo.entities["b"]["b-train-0"] = [Entity(0, 1, "X", 0.9999)]
    pseudo.counts.update({("a", "X", "b"): 1, ("a", "名", "b"): 1, ("b", "X", "a"): 1})
    pseudo.rejected["below the confidence floor"] = 7
    form = pseudo_label_form(sources, 0.5)
    form.write(pseudo, tmp_path)
    again = form.read(tmp_path)
    assert again == pseudo
    assert list(again.entities["a"]) == ["a-train-2"]


def test_the_form_of_scores(made: Made, warm: Path) -> None:
    """Every digit of a score stays."""
    (system,) = [made.again().report.systems["merged"]]
    for scores in (system["own_labels"], system["projected"]):
        assert MergedScores.from_dict(scores).to_dict() == scores


def test_the_form_of_matrices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not known stays unknown."""
    sources = [make_source("a", {"train": [row("x/B-l")]}), make_source("b", {"train": [row("y/B-m")]})]
    labels = [ref for source in sources for ref in source.label_refs]
    once, again = evidence._overlap(sources, labels), evidence._overlap(sources, labels)
    assert np.array_equal(once, again, equal_nan=True)
    assert again.dtype == np.float64
    assert np.isnan(again).all()
    assert evidence._square([], np.int64).shape == (0, 0)
