"""The command line: exit codes, messages, and a round trip."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from argparse import _SubParsersAction
from pathlib import Path
from typing import Any

import pytest

from builders import write_corpus
from esnera_hf import LabelMapping, MergeResult, __version__
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.cli import data as corpora_commands
from esnera_hf.cli import main as cli
from esnera_hf.cli.main import main
from esnera_hf.merging.export import EXPORT_FORMATS
from esnera_hf.sources.catalogue import NAMED_SOURCES
from esnera_hf.sources.load import load_source
from esnera_hf.tagging import LabelRef

TRAINING = ("--learning-rate", "0.01", "--head-learning-rate", "0.02", "--epochs", "4")


def commands() -> dict[str, Any]:
    (action,) = (a for a in cli._parser()._actions if isinstance(a, _SubParsersAction))
    return action.choices


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    write_corpus(folder / "alpha", {"PERSON": "per", "PLACE": "地点"}, seed=1)
    write_corpus(folder / "beta", {"PERSON": "name", "PLACE": "city"}, seed=20)
    return folder


@pytest.fixture(scope="module")
def trained(
    corpora: Path, encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A tagger trained on alpha by the command, and what the command printed."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(folder / "cache"))
        output = io.StringIO()
        patch.setattr(sys, "stdout", output)
        arguments = [str(corpora / "alpha"), "--encoder", str(encoder_folder), *TRAINING]
        assert main(["train", *arguments, "--output", str(folder / "tagger")]) == 0
    return folder / "tagger", output.getvalue()


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a training started")

    monkeypatch.setattr("esnera_hf.modeling.training.fit_tagger", fail)


@pytest.mark.parametrize("command", ["", *commands()])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: esnera-hf {command}".rstrip())


def test_the_commands() -> None:
    assert set(commands()) == {
        *("align", "apply", "demo", "diff", "export", "inspect", "screen", "sources"),
        *("train", "predict", "evaluate", "push", "card", "reproduce"),
    }


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "esnera_hf", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"esnera-hf {__version__}\n"


@pytest.mark.slow
def test_what_an_encoding_lacks_is_written_as_an_escape(tmp_path: Path) -> None:
    mapping = "version: 2\nunified_labels: [PER, 地点]\nlabels:\n- {source: a, label: x, unified: %s}\n"
    for name, unified in (("one", "PER"), ("two", "地点")):
        (tmp_path / f"{name}.yaml").write_text(mapping % unified, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "esnera_hf", "diff", "one.yaml", "two.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "moved: a:x: PER \\u2192 \\u5730\\u70b9 (0 train mentions)\n"


@pytest.mark.usefixtures("no_training")
class TestBadInput:
    """Exit code 1, one message, no traceback, nothing trained and nothing written."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("align {alpha}", "at least two"),
            ("align {alpha} {alpha}", "given twice"),
            ("align {alpha} copy={alpha}", "hold the same sentences"),
            ("align {alpha} {beta} --lambda 2", "λ = 2.0"),
            ("align {alpha} {beta} --tau nan", "τ = nan"),
            ("align {alpha} {beta} --max-samples 0", "sentences=0: expected a positive number"),
            ("align {alpha} {beta} --epochs 0", "num_train_epochs=0.0: expected a number above 0"),
            ("align {alpha} {beta} --encoder {tmp}/nothing", "cannot be loaded"),
            ("align {alpha} {beta} --output {tmp}", "exists already"),
            ("align {alpha} {tmp}/nothing", "nothing"),
            ("demo --output {tmp}", "exists already"),
            ("train {alpha} --output {tmp}", "exists already"),
            ("train {alpha} --output {tmp}/out --max-samples -3", "sentences=-3: expected a positive number"),
            ("train {tmp}/nothing --output {tmp}/out", "nothing"),
            ("evaluate {tmp}/nothing {alpha}", "holds no tagger"),
            (
                "evaluate {encoder} {alpha}",
                "holds no tagger that can be loaded: it is a model of type 'bert'",
            ),
            ("predict {tmp}/nothing", "holds no tagger"),
            ("predict {tagger} {tmp}/nothing", "No such file"),
            ("predict {tagger} {tmp}", "Is a directory"),
            ("predict {tagger} {tmp}/latin.txt", "expected UTF-8 text"),
            ("screen {alpha}", "at least two sources"),
            ("screen {alpha} {alpha}", "two or more of different names"),
            ("inspect {tmp}/nothing", "nothing"),
            ("export {alpha} --output {tmp}", "exists already"),
            ("export {tmp}/nothing --output {tmp}/out", "nothing"),
            ("inspect {alpha} --tag-column 7", "there is no column 7"),
        ],
    )
    def test_a_message(
        self,
        arguments: str,
        message: str,
        corpora: Path,
        trained: tuple[Path, str],
        encoder_folder: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
        words = arguments.format(
            alpha=corpora / "alpha",
            beta=corpora / "beta",
            tmp=tmp_path,
            encoder=encoder_folder,
            tagger=trained[0],
        ).split()
        if words[0] in ("align", "train") and "--encoder" not in words:
            words += ["--encoder", str(encoder_folder)]
        assert main(words) == 1
        printed = capsys.readouterr()
        assert printed.err.split("\n")[-2].startswith("esnera-hf: ")
        assert message in printed.err
        assert "Traceback" not in printed.err
        assert printed.out == ""
        assert [path.name for path in tmp_path.iterdir()] == ["latin.txt"]


@pytest.mark.parametrize(
    ("command", "training"),
    [("align", "joint_training.fit_joint_tagger"), ("train", "training.fit_tagger")],
)
def test_an_interruption_writes_nothing(
    command: str,
    training: str,
    corpora: Path,
    encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"esnera_hf.modeling.{training}", interrupt)
    sources = [str(corpora / name) for name in ("alpha", "beta")][: 2 if command == "align" else 1]
    arguments = [*sources, "--encoder", str(encoder_folder), "--output", str(tmp_path / "out")]
    assert main([command, *arguments]) == 130
    assert "interrupted. No output was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_while_saving_a_tagger_writes_nothing(
    corpora: Path, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from esnera_hf.modeling.tagger import Tagger

    save = Tagger.save_pretrained

    def interrupt(self: Tagger, path: Path) -> None:
        save(self, path)
        if path.parent == tmp_path:
            raise KeyboardInterrupt

    monkeypatch.setattr(Tagger, "save_pretrained", interrupt)
    arguments = [str(corpora / "alpha"), "--encoder", str(encoder_folder), *TRAINING]
    assert main(["train", *arguments, "--epochs", "1", "--output", str(tmp_path / "out")]) == 130
    assert list(tmp_path.iterdir()) == []


class TestRoundTrip:
    def test_training_prints_source_history_and_scores(self, trained: tuple[Path, str]) -> None:
        folder, printed = trained
        lines = printed.split("\n")
        assert lines[0].startswith("alpha: license")
        assert len([line for line in lines if line.startswith("  epoch ")]) == 4
        assert lines[-4].startswith("validation: micro-F1 ")
        assert lines[-3].startswith("test: micro-F1 ")
        assert lines[-2] == f"saved to {folder}"
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in folder.iterdir()}

    def test_evaluation_agrees_with_training(
        self, trained: tuple[Path, str], corpora: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder, printed = trained
        for split in ("validation", "test"):
            assert main(["evaluate", str(folder), str(corpora / "alpha"), "--split", split]) == 0
            head, columns, *rows = capsys.readouterr().out.rstrip("\n").split("\n")
            assert head == f"alpha, {split}: 40 sentences"
            assert columns.split() == ["label", "precision", "recall", "f1", "support"]
            assert [row.split()[0] for row in rows] == ["per", "地点", "micro"]
            f1, support = rows[-1].split()[-2:]
            summary = next(line for line in printed.split("\n") if line.startswith(f"{split}: "))
            assert summary.startswith(f"{split}: micro-F1 {f1}, ")
            assert summary.endswith(f"on {support} entities")
            assert sum(int(row.split()[-1]) for row in rows[:-1]) == int(support)

    def test_prediction_from_a_file_and_from_standard_input(
        self,
        trained: tuple[Path, str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        text = "anna met bruno in paris\n\n  \r\nthe people of oslo met\r\n中国 x\n"
        (tmp_path / "text.txt").write_bytes(text.encode())
        assert main(["predict", str(trained[0]), str(tmp_path / "text.txt")]) == 0
        from_file = capsys.readouterr().out
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        assert main(["predict", str(trained[0])]) == 0
        assert capsys.readouterr().out == from_file
        records = [json.loads(line) for line in from_file.split("\n")[:-1]]
        assert [record["tokens"] for record in records] == [
            ["anna", "met", "bruno", "in", "paris"],
            [],
            [],
            ["the", "people", "of", "oslo", "met"],
            ["中", "国", " ", "x"],
        ]
        found = [(e["start"], e["end"], e["label"], e["text"]) for e in records[0]["entities"]]
        assert found == [(0, 1, "per", "anna"), (2, 3, "per", "bruno"), (4, 5, "地点", "paris")]
        for line, record in zip(text.split("\n"), records, strict=False):
            for entity in record["entities"]:
                assert line[entity["start_char"] : entity["end_char"]] == entity["text"]
        assert all(0 < entity["score"] <= 1 for record in records for entity in record["entities"])

    def test_nothing_to_predict(
        self,
        trained: tuple[Path, str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        assert main(["predict", str(trained[0])]) == 0
        assert capsys.readouterr().out == ""

    def test_align(
        self, corpora: Path, encoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "new" / "merged"
        arguments = [f"b={corpora / 'beta'}", str(corpora / "alpha"), "--encoder", str(encoder_folder)]
        settings = ["--lambda", "0.9", "--tau", "0.5", "--match", "overlap", "--center", "all", *TRAINING]
        assert main(["align", *arguments, *settings, "--output", str(output)]) == 0
        printed = capsys.readouterr().out
        assert printed.endswith(f"saved to {output}; look at {output / 'report.html'} in a browser\n")
        result = MergeResult.load(output)
        assert str(result.report) in printed
        assert repr(result) in printed
        (stage,) = result.report.stages
        assert (result.mapping.lam, stage["lambda"], stage["tau"]) == (0.9, 0.9, 0.5)
        chosen = result.report.settings
        assert (chosen["evidence"]["match"], chosen["evidence"]["center"], chosen["seed"]) == (
            "overlap",
            "all",
            42,
        )
        assert chosen["evidence"]["training"]["num_train_epochs"] == 4.0
        groups = {frozenset(map(str, result.mapping.members(u))) for u in result.mapping.unified_labels}
        assert groups == {frozenset({"alpha:per", "b:name"}), frozenset({"alpha:地点", "b:city"})}
        leaks = [leak for leak in result.report.leaks if leak["left_out"]]
        assert {split: len(rows) for split, rows in result.dataset.items()} == {
            split: total - sum(leak["sentences"] for leak in leaks if leak["in"].endswith(f"/{split}"))
            for split, total in {"train": 240, "validation": 80, "test": 80}.items()
        }
        assert (
            f"{leaks[0]['in']}: {leaks[0]['sentences']} sentences stand in {leaks[0]['also_in']}" in printed
        )
        assert main(["export", str(output), "--format", "conll", "--output", str(tmp_path / "conll")]) == 0
        again = load_source(tmp_path / "conll")
        assert {split: len(rows) for split, rows in again.dataset.items()} == {
            split: len(rows) for split, rows in result.dataset.items()
        }
        assert set(again.labels) == set(result.mapping.unified_labels)


class TestMappings:
    @pytest.fixture
    def mappings(self, tmp_path: Path) -> tuple[Path, Path]:
        """Two mappings of alpha and beta: the second leaves beta's cities out."""
        before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
        labels = (
            ("alpha", "per", "PER"),
            ("alpha", "地点", "LOC"),
            ("beta", "name", "PER"),
            ("beta", "city", "LOC"),
        )
        made = LabelMapping(
            ("PER", "LOC"),
            tuple(MappedLabel(LabelRef(source, label), name) for source, label, name in labels),
        )
        made.save(before)
        after.write_text(
            before.read_text().replace("label: city\n  unified: LOC", "label: city\n  unified: null")
        )
        return before, after

    def test_diff(
        self, corpora: Path, mappings: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        before, after = map(str, mappings)
        assert main(["diff", before, after, str(corpora / "beta")]) == 0
        lines = capsys.readouterr().out.strip().split("\n")
        counts = load_source(corpora / "beta").summary.entities
        cities = ", ".join(f"{labels['city']} in {split}" for split, labels in counts.items())
        assert lines[:3] == [
            "moved: beta:city: LOC → (left out) (0 train mentions)",
            "no longer one: alpha:地点 and beta:city",
            "entities affected:",
        ]
        assert lines[3].strip().startswith(f"beta:city: {cities}; e.g. ")
        assert main(["diff", before, before]) == 0
        assert capsys.readouterr().out == "no difference\n"

    def test_diff_with_a_source_that_is_in_neither(
        self, corpora: Path, mappings: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["diff", *map(str, mappings), f"gamma={corpora / 'beta'}"]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "gamma is in neither mapping; they map alpha, beta" in printed.err

    def test_apply(
        self, corpora: Path, mappings: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        sources = [str(corpora / name) for name in ("alpha", "beta")]
        assert main(["apply", str(mappings[1]), *sources, "--output", str(tmp_path / "out")]) == 0
        result = MergeResult.load(tmp_path / "out")
        assert repr(result) in capsys.readouterr().out
        assert result.mapping.members(None) == (LabelRef("beta", "city"),)
        names = result.dataset["train"].features["ner_tags"].feature.names
        assert names == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


class TestCorpora:
    def test_the_known_sources(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "weibo").mkdir()
        (tmp_path / "weibo" / "weiboNER_2nd_conll.train").write_text("x\tO\n", encoding="utf-8")
        monkeypatch.setenv("ESNERA_DATA_DIR", str(tmp_path))
        assert main(["sources"]) == 0
        lines = capsys.readouterr().out.split("\n")
        assert lines[0].split() == ["name", "language", "license", "found"]
        names = [line.split()[0] for line in lines[1:-1]]
        assert names == sorted(NAMED_SOURCES)
        found = {line.split()[0]: line.split("  ")[-1].strip() for line in lines[1:-1]}
        assert found["weibo"] == str(tmp_path / "weibo")
        assert found["cluener"].startswith("Hub: ")

    def test_inspect(self, corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", str(corpora / "alpha")]) == 0
        assert capsys.readouterr().out.startswith("alpha: license unknown")

    @pytest.mark.parametrize("command", ["inspect", "screen"])
    def test_sources_side_by_side(
        self, command: str, corpora: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([command, str(corpora / "alpha"), str(corpora / "beta")]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("alpha:per   in beta: ")
        assert "alpha/train and beta/test: " in printed

    @pytest.mark.parametrize("form", EXPORT_FORMATS)
    def test_export(
        self, form: str, corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "out"
        assert main(["export", str(corpora / "alpha"), "--format", form, "--output", str(output)]) == 0
        assert capsys.readouterr().out.startswith(f"{output / 'train.'}")
        assert load_source(output).summary.entities == load_source(corpora / "alpha").summary.entities

    def test_the_formats_are_those_of_the_function(self) -> None:
        assert corpora_commands._FORMATS == EXPORT_FORMATS

    def test_reading_options(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "x.txt"
        file.write_text("a I-P B-Q\nb I-P O\n\nc O O\n" * 20, encoding="utf-8")
        assert main(["inspect", str(file), "--strict", "--scheme", "IOB2", "--tag-column", "1"]) == 1
        assert "inside tag without a begin tag" in capsys.readouterr().err
        assert main(["inspect", str(file), "--tag-column", "2"]) == 0
        assert "labels: Q 20" in capsys.readouterr().out
        assert main(["inspect", str(file), "--tag-column", "1", "--scheme", "IOB1"]) == 0
        assert "labels: P 20" in capsys.readouterr().out


@pytest.mark.slow
def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    command = f"{sys.executable} -m esnera_hf sources | head -c 10"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "name      "
    assert done.stderr == ""
