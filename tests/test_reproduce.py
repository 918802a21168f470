"""The same result twice: whatever the order of sources and files and the hash seed; and again from a report."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders import toy_rows, toy_source
from esnera_hf import (
    AlignSettings,
    GreedySettings,
    LabelMapping,
    MergeResult,
    OutputSettings,
    ReadingOptions,
    SchemaSettings,
    align,
    apply,
    load_source,
)
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.api import reproduce
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import mapping_by_name
from esnera_hf.merging.export import export
from esnera_hf.taggers.settings import TaggerSettings
from esnera_hf.tagging import LabelRef

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 3}
SETTINGS = AlignSettings(
    taggers=TaggerSettings("separate", TRAINING),
    greedy=GreedySettings(lam=(0.4,), tau=(0.2,), max_f1_drop=0.9),
    output=OutputSettings(pseudo_label_threshold=0.5, train_merged=True),
)
#: What a saved result holds of times, and no other file does.
TIMED = "run.json"


@dataclass(frozen=True)
class Made:
    """Corpora as files, and what aligning them gave."""

    corpora: Path
    encoder: Path
    saved: Path
    cache: Path

    @property
    def sources(self) -> list[Path]:
        return [self.corpora / "alpha", self.corpora / "beta"]

    def again(self, *names: str) -> MergeResult:
        return align(
            [self.corpora / name for name in names], encoder=self.encoder, method="greedy", settings=SETTINGS
        )


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
    """Return a digest of each file but the times."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.name != TIMED
    }


class TestTheSameTwice:
    def test_from_an_empty_cache_in_another_order(self, made: Made, tmp_path: Path) -> None:
        """Every file, the weights of the tagger too; times are the only fields of the report that differ."""
        made.again("alpha", "beta").save(tmp_path / "again")
        assert contents(tmp_path / "again") == contents(made.saved)
        assert any(name.startswith("dataset/train/") for name in contents(made.saved))
        assert "tagger/model.safetensors" in contents(made.saved)

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
        __enter__, close = list.__iter__, list.clear
        __exit__ = lambda self, *_: None  # noqa: E731

    def listed(*arguments: Any) -> Any:
        entries = listing(*arguments)
        return Listed(sorted(entries, key=lambda entry: getattr(entry, "name", entry), reverse=True))

    return listed


@pytest.mark.usefixtures("warm")
class TestReproduce:
    def test_the_same(self, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        shutil.copytree(made.corpora, tmp_path / "moved")
        copies = [f"alpha={tmp_path / 'moved' / 'alpha'}", f"beta={tmp_path / 'moved' / 'beta'}"]
        command = ["reproduce", str(made.saved / "report.json"), *copies, "--encoder", str(made.encoder)]
        assert main([*command, "--output", str(tmp_path / "again")]) == 0
        assert capsys.readouterr().out.endswith("the same mapping and the same dataset\n")
        again, before = (contents(folder) for folder in (tmp_path / "again", made.saved))
        assert {name for name in before if before[name] != again.get(name)} <= {
            *("report.json", "report.html")
        }  # paths in settings, and in the command that the page shows

    def test_apply_with_an_edited_mapping(self, made, tmp_path):
        mapping = tmp_path / "mapping.yaml"
        text = (made.saved / "mapping.yaml").read_text()
        mapping.write_text(text.replace("unified: firm", "unified: null"))
        apply(mapping, made.sources, max_samples=20).save(tmp_path / "applied")
        mapping.unlink()
        result, differing = reproduce(tmp_path / "applied", made.sources)
        assert (differing, result.mapping["alpha", "firm"]) == ([], None)

    @pytest.mark.parametrize("evidence", [None, "surface"])
    def test_without_taggers_and_with_lines_that_were_locked(
        self, made: Made, tmp_path: Path, evidence: Any
    ) -> None:
        firm = MappedLabel(LabelRef("alpha", "firm"), None, locked=True)
        schema = SchemaSettings(locked=LabelMapping((), (firm,)), min_precision=0.7)
        settings = AlignSettings(schema=schema)
        align(made.sources, encoder=made.encoder, evidence=evidence, settings=settings).save(
            tmp_path / "saved"
        )
        recorded = json.loads((tmp_path / "saved" / "report.json").read_text())["call"]["settings"]
        assert recorded["evidence"]["kind"] == (evidence or "frozen")
        assert recorded["schema"]["min_precision"] == 0.7
        encoder = None if evidence else made.encoder
        result, differing = reproduce(tmp_path / "saved", made.sources, encoder=encoder)
        assert (differing, result.mapping["alpha", "firm"]) == ([], None)
        assert result.report.call is not None
        assert result.report.call.settings == {**recorded, "schema": result.report.call.settings["schema"]}

    def test_what_differs_is_named(
        self, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.copytree(made.corpora, tmp_path / "moved")
        file = tmp_path / "moved" / "beta" / "test.jsonl"
        file.write_text("\n".join(file.read_text().splitlines()[1:]) + "\n")
        copies = [str(tmp_path / "moved" / name) for name in ("alpha", "beta")]
        assert main(["reproduce", str(made.saved), *copies, "--encoder", str(made.encoder)]) == 1
        assert "not what the report tells of: beta, " in capsys.readouterr().err


#: What a stranger may write into a report to have it done by whoever reproduces it.
TRAINING_KEY = "call.settings.taggers.training"
ATTACKS: list[tuple[str, Any, str]] = [
    *(
        (f"{TRAINING_KEY}.{name}", value, f"{name} cannot be set")
        for name, value in {
            **{"output_dir": "HOME", "push_to_hub": True, "hub_token": "hf_x", "hub_model_id": "thief/model"},
            **{"report_to": "all", "resume_from_checkpoint": "HOME", "deepspeed": "HOME/x.json"},
            "save_total_limit": 1,
        }.items()
    ),
    (TRAINING_KEY + ".num_train_epochs", "9", "num_train_epochs='9'"),
    (TRAINING_KEY + ".num_train_epochs", float("inf"), "Infinity is no finite number"),
    (TRAINING_KEY + ".num_train_epochs", True, "num_train_epochs=True"),
    (TRAINING_KEY + ".seed", 1.5, "seed=1.5"),
    (TRAINING_KEY, [["output_dir", "HOME"]], "training"),
    ("call.settings.evidence.match", "regex", "evidence.match='regex'"),
    ("call.settings.evidence.kind", "thawed", "evidence.kind='thawed'"),
    ("call.settings.schema.min_precision", "0.9", "schema.min_precision='0.9'"),
    ("call.settings.evidence.color", "red", "evidence: unknown: color"),
    ("call.settings.output.pseudo_label_threshold", "0.5", "output.pseudo_label_threshold='0.5'"),
    ("call.settings.greedy.lam", "0.5", "greedy.lam='0.5'"),
    ("call.settings.greedy", None, "greedy=None"),
    ("call.settings.schema.locked", {"file": "HOME"}, "schema.locked"),
    ("call.mood", "good", "unknown: mood"),
    ("call.function", "eval", "call.function='eval'"),
    ("call", None, "does not tell the call"),
    ("call", [], "report.call=[]"),
    ("call.seed", "42", "seed='42'"),
    ("call.sources", ["HOME/alpha", "HOME/beta"], "source 'HOME/alpha': the report names something"),
    ("call.sources", ["alpha=HOME/alpha", "b"], "source 'alpha=HOME/alpha': the report names something"),
    ("call.sources", ["~/.ssh", "b"], "source '~/.ssh': the report names something"),
    ("call.sources", ["a=../secret", "b"], "source 'a=../secret': the report names something"),
    ("call.sources", ["corpora/alpha", "corpora/beta"], "source 'corpora/alpha': the report names"),
    ("call.sources", [{"path": "HOME"}], "sources"),
    ("call.reading", [{"data_files": {"train": "/etc/passwd"}}, {}], "data_files: '/etc/passwd': expected a path"),
    ("call.reading", [{"data_files": {"train": "../../x"}}, {}], "data_files: '../../x': expected a path within"),
    ("call.reading", [{"data_files": {"train": "file://x"}}, {}], "data_files: 'file://x': expected a path within"),
    ("call.reading", [{"trust_remote_code": True}, {}], "unknown: trust_remote_code"),
    ("call.reading", [{}], "damaged settings in the report: reading"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "message"), ATTACKS, ids=[f"{a[0]}={a[1]!r:.30}" for a in ATTACKS])
def test_a_strangers_report_is_not_obeyed(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: Any, message: str
) -> None:
    monkeypatch.chdir(made.corpora.parent)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    home = tmp_path / "home"
    shutil.copytree(made.corpora, home)
    report = json.loads((made.saved / "report.json").read_text())
    report["call"]["encoder"] = "hfl/nothing"
    *path, last = key.split(".")
    place = report
    for part in path:
        place = place[part]
    place[last] = json.loads(json.dumps(value).replace("HOME", str(home)))
    (tmp_path / "report.json").write_text(json.dumps(report))
    before = {file: file.stat().st_mtime_ns for file in home.rglob("*")}
    with pytest.raises(ConfigurationError, match=re.escape(message.replace("HOME", str(home)))):
        reproduce(tmp_path / "report.json")
    assert {file: file.stat().st_mtime_ns for file in home.rglob("*")} == before


def test_an_encoder_of_a_report_is_not_opened(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"encoder .*: the report names something on the machine"):
        reproduce(made.saved, made.sources)


@pytest.mark.parametrize(("text", "message"), [(None, "no such file"), ("{", "the file is damaged")])
def test_what_is_no_report(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        reproduce(tmp_path / "report.json")


def test_how_sources_were_read_is_kept(made: Made, tmp_path: Path) -> None:
    export(load_source(made.corpora / "alpha"), tmp_path / "alpha", "conll")
    options = ReadingOptions(format="columns", scheme="IOB2", strict=True)
    source = load_source(f"first={tmp_path / 'alpha'}", options=options)
    result = apply(mapping_by_name([source]), [source])
    call = result.report.call
    assert call is not None
    assert (call.sources, call.reading) == ((f"first={tmp_path / 'alpha'}",), (options,))
    assert result.report.local_paths == (source.origin,) == call.sources
    result.save(tmp_path / "saved")
    assert reproduce(tmp_path / "saved", [source.origin])[1] == []
    place = tmp_path / "lang=zh" / "alpha"  # no name before the equals sign
    shutil.copytree(tmp_path / "alpha", place)
    other = load_source(place)
    assert apply(mapping_by_name([other]), [other]).report.local_paths == (str(place),)
