"""The same result twice: whatever the order of sources and files and the hash seed; and again from a report."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict, concatenate_datasets, load_from_disk

from builders import make_source, row, toy_rows, toy_source
from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    FinalSettings,
    LabelMapping,
    LabelRef,
    MergeResult,
    ReadingOptions,
    SchemaSettings,
    SearchSettings,
    align,
    apply,
    export,
    load_source,
    reproduce,
)
from esnera_hf.alignment import MappedLabel
from esnera_hf.cli import main
from esnera_hf.errors import ConfigurationError, ReproductionError
from esnera_hf.report.fingerprints import dataset_fingerprint
from esnera_hf.report.replay import python_call, without_times

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 3}
SETTINGS = AlignSettings(
    EvidenceSettings(training=TRAINING, taggers="separate"),
    SearchSettings(lambdas=(0.4,), taus=(0.2,), max_drop=0.9),
    final=FinalSettings(augment=0.5, tagger=True),
)
#: What a saved result holds of times, and nothing else does.
TIMED = ("report.json", "report.html")


@dataclass(frozen=True)
class Made:
    """Corpora as files, and what aligning them gave."""

    corpora: Path
    encoder: Path
    saved: Path
    cache: Path

    def again(self, *names: str) -> MergeResult:
        return align([self.corpora / name for name in names], encoder=self.encoder, settings=SETTINGS)


@pytest.fixture(scope="module")
def made(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    made = Made(folder / "corpora", folder / "encoder", folder / "saved", folder / "cache")
    shutil.copytree(encoder_folder, made.encoder)
    export(toy_source("beta", {"PERSON": "name", "PLACE": "city"}, seed=2, train=60), made.corpora / "beta")
    export(toy_source("alpha", {"PERSON": "per", "FIRM": "firm"}, seed=1, train=60), made.corpora / "alpha")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(made.cache))
        made.again("beta", "alpha").save(made.saved)
    return made


@pytest.fixture
def warm(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the cache that holds the taggers already."""
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(made.cache))


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of each file but the reports, and the report without its times."""
    files = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in TIMED
    }
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {**files, "report.json": json.dumps(without_times(report), sort_keys=True)}


class TestTheSameTwice:
    def test_from_an_empty_cache_in_another_order(self, made: Made, tmp_path: Path) -> None:
        """Every file, the weights of the tagger too; times are the only fields of the report that differ."""
        made.again("alpha", "beta").save(tmp_path / "again")
        assert contents(tmp_path / "again") == contents(made.saved)
        assert any(name.startswith("dataset/train/") for name in contents(made.saved))
        assert "tagger/model.safetensors" in contents(made.saved)

    @pytest.mark.usefixtures("warm")
    @pytest.mark.parametrize("lam", [None, 0.4])
    def test_of_the_default_way_of_merging(self, made: Made, tmp_path: Path, lam: float | None) -> None:
        """Nothing of the search is set, or λ alone: what the report keeps of it must read as the same."""
        settings = AlignSettings(EvidenceSettings(training=TRAINING))
        sources = [made.corpora / name for name in ("alpha", "beta")]
        first = align(sources, encoder=made.encoder, lam=lam, settings=settings)
        assert first.report.settings["merge"] == ("typed" if lam is None else "flat")
        first.save(tmp_path / "first")
        again = reproduce(tmp_path / "first")
        assert again.same
        again.result.save(tmp_path / "again")
        assert contents(tmp_path / "again") == contents(tmp_path / "first")

    @pytest.mark.parametrize("seed", ["0", "1"])
    @pytest.mark.slow
    def test_whatever_the_hash_seed(self, made: Made, tmp_path: Path, seed: str) -> None:
        code = (
            "import sys; from esnera_hf.reproducing import reproduce; "
            "reproduce(sys.argv[1]).result.save(sys.argv[2])"
        )
        environment = {**os.environ, "PYTHONHASHSEED": seed, "ESNERA_CACHE_DIR": str(tmp_path / "cache")}
        subprocess.run(
            [sys.executable, "-c", code, str(made.saved), str(tmp_path / "again")],
            env=environment,
            check=True,
            capture_output=True,
        )
        assert contents(tmp_path / "again") == contents(made.saved)

    def test_whatever_the_order_of_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A folder of several files a split, one of a file a document, and whatever the system lists first."""
        words = toy_rows({"PERSON": "per"}, 30, seed=1)
        folders = [tmp_path / "columns", tmp_path / "brat"]
        for split in ("train", "dev", "test"):
            for number in range(3):
                rows = words[number * 5 : number * 5 + 5]
                text = "\n\n".join("\n".join(map("\t".join, zip(*each, strict=True))) for each in rows)
                place = folders[0] / split / f"part-{number}.conll"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text + "\n")
        for number in range(4):
            folders[1].mkdir(exist_ok=True)
            (folders[1] / f"{number}.txt").write_text(f"anna met bruno in room {number}")
            (folders[1] / f"{number}.ann").write_text("T1\tPER 0 4\tanna\nT2\tPER 9 14\tbruno\n")
        usual = [load_source(folder).fingerprint for folder in folders]
        for function in ("scandir", "listdir"):
            monkeypatch.setattr(os, function, backwards(getattr(os, function)))
        assert next(path.name for path in folders[1].iterdir()) != sorted(os.listdir(folders[1]))[0]
        assert [load_source(folder).fingerprint for folder in folders] == usual


def backwards(listing: Any) -> Any:
    """Let the system list a folder from its end."""

    class Listed(list[Any]):
        def __enter__(self) -> Iterator[Any]:
            return iter(self)

        def __exit__(self, *error: object) -> None:
            return None

        def close(self) -> None:
            return None

    def listed(*arguments: Any) -> Any:
        found = list(listing(*arguments))
        return Listed(sorted(found, key=lambda entry: getattr(entry, "name", entry), reverse=True))

    return listed


@pytest.mark.usefixtures("warm")
class TestReproduce:
    def test_the_same(self, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        output = tmp_path / "again"
        assert main(["reproduce", str(made.saved / "report.json"), "--output", str(output)]) == 0
        printed = capsys.readouterr()
        assert "the same mapping and the same dataset" in printed.out
        assert "WARNING" not in printed.err
        assert contents(output) == contents(made.saved)

    def test_from_elsewhere(self, made: Made, tmp_path: Path) -> None:
        """Sources and encoder may lie at other places, under the names they have in the report."""
        shutil.copytree(made.corpora, tmp_path / "moved")
        shutil.copytree(made.encoder, tmp_path / "encoder")
        places = [f"alpha={tmp_path / 'moved' / 'alpha'}", f"beta={tmp_path / 'moved' / 'beta'}"]
        done = reproduce(made.saved, places, encoder=tmp_path / "encoder")
        assert done.same
        assert done.differences == ()

    def test_apply_with_an_edited_mapping(self, made: Made, tmp_path: Path) -> None:
        mapping = tmp_path / "mapping.yaml"
        text = (made.saved / "mapping.yaml").read_text()
        mapping.write_text(text.replace("unified: firm", "unified: null"))
        apply(mapping, [made.corpora / "alpha", made.corpora / "beta"], sentences=20).save(
            tmp_path / "applied"
        )
        mapping.unlink()
        done = reproduce(tmp_path / "applied")
        assert done.same
        assert done.differences == ()
        assert done.result.mapping["alpha", "firm"] is None

    def test_another_corpus_is_named(self, made: Made, tmp_path: Path) -> None:
        shutil.copytree(made.corpora, tmp_path / "moved")
        file = tmp_path / "moved" / "beta" / "test.jsonl"
        lines = file.read_text().splitlines()
        file.write_text("\n".join(lines[1:]) + "\n")
        places = [tmp_path / "moved" / "alpha", tmp_path / "moved" / "beta"]
        with pytest.raises(ReproductionError, match=r"^beta: not the corpus of the report"):
            reproduce(made.saved, places)

    @pytest.mark.parametrize(
        ("names", "message"),
        [(["alpha"], "missing: beta"), (["alpha", "beta", "c=beta2"], "not in the report: c")],
    )
    def test_the_sources_of_the_report(
        self, made: Made, tmp_path: Path, names: list[str], message: str
    ) -> None:
        export(toy_source("beta2", {"PERSON": "name"}, seed=9, train=60), made.corpora / "beta2")
        places = [f"{n.partition('=')[0]}={made.corpora / n.rpartition('=')[2]}" for n in names]
        try:
            with pytest.raises(ReproductionError, match=message):
                reproduce(made.saved, places)
        finally:
            shutil.rmtree(made.corpora / "beta2")

    def test_another_encoder(self, made: Made, tmp_path: Path) -> None:
        shutil.copytree(made.encoder, tmp_path / "encoder")
        weights = tmp_path / "encoder" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
        with pytest.raises(ReproductionError, match="not the encoder of the report"):
            reproduce(made.saved, encoder=tmp_path / "encoder")

    def test_a_copy_of_an_encoder_of_the_hub(self, made: Made, tmp_path: Path) -> None:
        shutil.copytree(made.saved, tmp_path / "saved")
        change(
            tmp_path / "saved" / "report.json",
            lambda report: report["fingerprints"].update(encoder="hfl/something@0123abc"),
        )
        assert reproduce(tmp_path / "saved", encoder=made.encoder).same
        change(tmp_path / "saved" / "report.json", lambda report: report["fingerprints"].pop("encoder_files"))
        with pytest.raises(ReproductionError, match="not the encoder of the report"):
            reproduce(tmp_path / "saved", encoder=made.encoder)

    def test_with_lines_that_were_locked(
        self, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        firm = MappedLabel(LabelRef("alpha", "firm"), None, locked=True)
        settings = replace(
            SETTINGS,
            search=SearchSettings(),
            schema=SchemaSettings(locked=LabelMapping((), (firm,))),
            final=FinalSettings(augment=None),
            merge="typed",
        )
        places = [made.corpora / "alpha", made.corpora / "beta"]
        align(places, encoder=made.encoder, settings=settings).save(tmp_path / "saved")
        monkeypatch.chdir(tmp_path)
        done = reproduce(tmp_path / "saved")
        assert done.same, done
        assert done.result.mapping["alpha", "firm"] is None
        (tmp_path / "saved" / "mapping.yaml").unlink()
        with pytest.raises(ReproductionError, match=r"mapping\.yaml: expected the mapping as it was written"):
            reproduce(tmp_path / "saved")

    def test_another_outcome_is_told_and_fails(
        self, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.copytree(made.saved, tmp_path / "saved")
        change(
            tmp_path / "saved" / "report.json",
            lambda report: report["settings"].update({"tau": 0.9, "lambda": 0.4}),
        )
        assert main(["reproduce", str(tmp_path / "saved")]) == 1
        told = capsys.readouterr().err
        assert "NOT the same as the report tells" in told
        assert "mapping: " in told
        assert "dataset: its rows, columns or label names differ" in told

    def test_figures_that_differ_are_told(self, made: Made, tmp_path: Path) -> None:
        shutil.copytree(made.saved, tmp_path / "saved")
        change(
            tmp_path / "saved" / "report.json", lambda report: report["taggers"]["alpha"].update(history=[])
        )
        done = reproduce(tmp_path / "saved")
        assert done.same
        assert done.differences == ("report: taggers differ",)

    def test_other_versions_are_told(
        self, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.copytree(made.saved, tmp_path / "saved")

        def age(report: dict[str, Any]) -> None:
            report["versions"]["torch"] = "1.0"
            report["machine"]["threads"] = 99

        change(tmp_path / "saved" / "report.json", age)
        assert reproduce(tmp_path / "saved").same
        told = capsys.readouterr().err
        assert "WARNING: other versions than in the report (torch 1.0, now " in told
        assert "WARNING: threads: 99 in the report, " in told

    def test_data_in_memory_has_to_be_handed_over(self, tmp_path: Path) -> None:
        sources = [
            make_source("one", {s: [row(f"anna/B-per met {s}")] for s in ("train", "validation", "test")}),
            make_source("two", {s: [row(f"in lima/B-loc {s}")] for s in ("train", "validation", "test")}),
        ]
        align_free = tmp_path / "mapping.yaml"
        from esnera_hf.final import mapping_by_name

        mapping_by_name(sources).save(align_free)
        apply(align_free, sources).save(tmp_path / "applied")
        with pytest.raises(ReproductionError, match="one: the report does not tell where it is"):
            reproduce(tmp_path / "applied")
        assert reproduce(tmp_path / "applied", sources).same

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "no such file"),
            ("{", "the file is damaged"),
            ('{"settings": {}, "sources": []}', "do not tell whether it was align or apply"),
            ('{"settings": {"call": "align"}, "sources": []}', "has no fingerprints"),
            ('{"settings": {}, "sources": [], "colour": 1}', "no report of this version: .* found .*colour"),
        ],
    )
    def test_what_is_no_report(self, tmp_path: Path, text: str | None, message: str) -> None:
        if text is not None:
            (tmp_path / "report.json").write_text(text)
        with pytest.raises((ReproductionError, ConfigurationError), match=message):
            reproduce(tmp_path / "report.json")

    def test_settings_of_a_later_version(self, made: Made, tmp_path: Path) -> None:
        folder = shutil.copytree(made.saved, tmp_path / "saved")
        change(folder / "report.json", lambda report: report["settings"].update(mood="good"))
        with pytest.raises(
            ReproductionError, match=r"does not know: .*'mood'\. Use the version that wrote it"
        ):
            reproduce(folder)


def change(file: Path, edit: Any) -> None:
    report = json.loads(file.read_text())
    edit(report)
    file.write_text(json.dumps(report))


def test_how_sources_were_read_is_kept(made: Made, tmp_path: Path) -> None:
    export(load_source(made.corpora / "alpha"), tmp_path / "alpha", "conll")
    options = ReadingOptions(format="columns", scheme="IOB2", strict=True)
    from esnera_hf.final import mapping_by_name

    source = load_source(f"first={tmp_path / 'alpha'}", options=options)
    assert source.given == f"first={tmp_path / 'alpha'}"
    result = apply(mapping_by_name([source]), [source])
    settings = result.report.settings
    assert settings["sources"] == [source.given]
    assert settings["reading"] == [{"format": "columns", "scheme": "IOB2", "strict": True}]
    assert result.report.places == [source.given]
    assert (
        f"[esnera_hf.load_source({source.given!r}, options=esnera_hf.ReadingOptions(format='columns', "
        "scheme='IOB2', strict=True))]"
    ) in python_call(settings)
    result.save(tmp_path / "saved")
    assert reproduce(tmp_path / "saved").same
    shutil.copytree(tmp_path / "alpha", tmp_path / "lang=zh" / "alpha")
    other = load_source(tmp_path / "lang=zh" / "alpha")
    assert apply(mapping_by_name([other]), [other]).report.places == [str(tmp_path / "lang=zh" / "alpha")]


class TestDatasetFingerprint:
    @pytest.fixture
    def dataset(self) -> DatasetDict:
        source = toy_source("toy", {"PERSON": "per", "PLACE": "loc"}, seed=1)
        from esnera_hf.final import mapping_by_name

        return apply(mapping_by_name([source]), [source]).dataset

    def test_however_it_is_kept(self, dataset: DatasetDict, tmp_path: Path) -> None:
        expected = dataset_fingerprint(dataset)
        dataset.save_to_disk(tmp_path / "saved", num_shards={"train": 3, "validation": 1, "test": 1})
        assert dataset_fingerprint(load_from_disk(tmp_path / "saved")) == expected
        halves = DatasetDict(
            {
                s: concatenate_datasets([d.select(range(7)), d.select(range(7, len(d)))])
                for s, d in dataset.items()
            }
        )
        assert dataset_fingerprint(halves) == expected
        backwards_twice = DatasetDict(
            {s: d.select(range(len(d))[::-1]).select(range(len(d))[::-1]) for s, d in dataset.items()}
        )
        assert dataset_fingerprint(backwards_twice) == expected

    def test_whatever_changes(self, dataset: DatasetDict) -> None:
        def changed(column: str, value: Any) -> str:
            rows = dataset["train"].to_list()
            rows[5][column] = value
            features = dataset["train"].features
            return dataset_fingerprint(
                DatasetDict({**dataset, "train": dataset["train"].from_list(rows, features)})
            )

        first = dataset["train"][5]
        seen = {dataset_fingerprint(dataset), changed("id", "x"), changed("source", "other")}
        seen.add(changed("tokens", [first["tokens"][0] + first["tokens"][1], "", *first["tokens"][2:]]))
        seen.add(changed("ner_tags", [*first["ner_tags"][:-1], (first["ner_tags"][-1] + 1) % 5]))
        seen.add(changed("origin", [1, *first["origin"][1:]]))
        seen.add(changed("confidence", [0.5, *first["confidence"][1:]]))
        names = replace_names(dataset, ["O", "B-a", "I-a", "B-b", "I-b"])
        seen.add(dataset_fingerprint(names))
        assert len(seen) == 8


def replace_names(dataset: DatasetDict, names: list[str]) -> DatasetDict:
    from datasets import ClassLabel, List

    return DatasetDict(
        {s: d.cast_column("ner_tags", List(ClassLabel(names=names))) for s, d in dataset.items()}
    )
