"""The command line as a whole: its commands, exit codes, messages, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import _SubParsersAction
from pathlib import Path
from typing import Any

import pytest

from builders import refusal, write_corpus
from esnera_hf import __version__
from esnera_hf.cli import main as command_line
from esnera_hf.cli.main import main
from world import World

COMMANDS = (
    "align answer apply atlas cache card check correct demo diff evaluate evidence export inspect locate predict push "
    "reproduce review screen sources train"
).split()


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a training started")

    monkeypatch.setattr("transformers.Trainer.train", fail)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_screen(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: esnera-hf {command}".rstrip())
    assert len(shown.splitlines()) <= 74


def test_the_commands() -> None:
    (action,) = (a for a in command_line.make_parser()._actions if isinstance(a, _SubParsersAction))
    assert sorted(action.choices) == COMMANDS


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_it_runs_as_a_module_and_writes_what_an_encoding_lacks_as_an_escape(tmp_path: Path) -> None:
    mapping = "version: 2\nunified_labels: [PER, 地点]\nlabels:\n- {source: a, label: x, unified: %s}\n"
    code = (
        "import runpy, sys\nfrom esnera_hf.cli.main import main\n"
        "assert main(['diff', 'one.yaml', 'two.yaml']) == 0\n"
        "sys.argv = ['esnera-hf', '--version']\nrunpy.run_module('esnera_hf', run_name='__main__')"
    )
    for name, unified in (("one", "PER"), ("two", "地点")):
        (tmp_path / f"{name}.yaml").write_text(mapping % unified, encoding="utf-8")
    command, environment = [sys.executable, "-c", code], {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    moved = "moved: a:x: PER \\u2192 \\u5730\\u70b9 (0 train mentions)"
    assert (done.stdout, done.stderr) == (f"{moved}\nesnera-hf {__version__}\n", "")


@pytest.mark.slow
def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    command = f"{sys.executable} -m esnera_hf sources | head -c 10"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("name      ", "")


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("align {alpha}", "at least two"),
        ("align {alpha} {alpha}", "given twice"),
        ("align {alpha} nowhere", "pass 'name=PATH' to a copy"),
        ("evidence {alpha} --reveal 0.4 --output {tmp}/a.evidence", "--reveal 0.4: expected"),
        ("align {alpha} copy={alpha}", "hold the same sentences"),
        ("align {alpha} {tmp}/nothing", "nothing"),
        ("align {alpha} {beta} --encoder {tmp}/nothing", "cannot be loaded"),
        ("align {alpha} {beta} --output {tmp}", "exists already"),
        ("align {alpha} {beta} --max-samples 0", "--max-samples 0: expected a positive number"),
        ("align {alpha} {beta} --epochs 0", "--epochs 0.0: expected a number above 0"),
        ("align {alpha} {beta} --method greedy --lambda 2", "--lambda 2.0: expected"),
        ("align {alpha} {beta} --method greedy --tau nan", "--tau nan: expected"),
        ("align {alpha} {beta} --method greedy --max-f1-drop 0", "--max-f1-drop 0.0: expected"),
        ("align {alpha} {beta} --tau 0.4 --scoring native", "--tau, --scoring: only --method greedy"),
        (
            "align {alpha} {beta} --match overlap",
            "--match 'overlap': this is of taggers, and --evidence 'frozen'",
        ),
        ("align {alpha} {beta} --min-precision 1.5", "--min-precision 1.5: expected"),
        (
            "align {alpha} {beta} --method greedy --min-precision 0.9",
            "--min-precision 0.9: --method 'greedy' merges",
        ),
        ("align {alpha} {beta} --pseudo-label-threshold 2", "--pseudo-label-threshold 2.0: expected"),
        ("align {alpha} {beta} --no-pseudo-labels --pseudo-label-threshold 1", "expected one of the two"),
        ("align {alpha} {beta} --baselines gold", "--baselines "),
        ("align {alpha} {beta} --name alpha:per", "--name alpha:per: expected source:label=name."),
        ("align {alpha} {beta} --name =X", "--name =X: expected source:label=name."),
        ("align {alpha} {beta} --name alpha:per=X --name alpha:per=Y", "'X' and 'Y'. Keep one name."),
        ("align {alpha} {beta} --cannot-link alpha:per", "--cannot-link: found a group of alpha:per"),
        ("align {alpha} {beta} --target-schema ,", "--target-schema: found no name, expected at least one."),
        ("align {alpha} {beta} --license gamma=mit", "gamma=mit: expected the name of a source, alpha or"),
        ("align {alpha} {beta} --license alpha=apache2", "Did you mean 'apache-2.0'?"),
        ("align {alpha} {beta} --quick --train-merged", "--quick trains nothing"),
        ("align {alpha} {beta} --quick --method greedy", "--quick trains nothing"),
        ("align {alpha} {beta} --quick --max-samples 0", "--max-samples 0: expected a positive number"),
        ("align {alpha} {beta} --language fi", "--language fi: expected NAME=VALUE"),
        ("apply {tmp}/mapping.yaml {alpha} --encoder x", "--encoder: no tagger is trained."),
        ("apply {tmp}/mapping.yaml {alpha} --taggers joint", "--taggers: no tagger is trained."),
        ("demo --output {tmp}", "exists already"),
        ("demo --seed -1", "--seed -1: expected a whole number from 0 to"),
        ("train {alpha} --output {tmp}", "exists already"),
        ("train {alpha} --output {tmp}/out --max-samples -3", "--max-samples -3: expected a positive number"),
        ("train {tmp}/nothing --output {tmp}/out", "nothing"),
        ("evaluate {tmp}/nothing {alpha}", "holds no tagger"),
        ("evaluate {encoder} {alpha}", "holds no tagger that can be loaded: it is a model of type 'bert'"),
        ("predict {tmp}/nothing", "holds no tagger"),
        (
            "predict {tmp}/merged",
            "It is a saved alignment: one made with --train-merged has a tagger in its folder",
        ),
        ("predict {tagger} {tmp}/nothing", "No such file"),
        ("predict {tagger} {tmp}", "Is a directory"),
        ("predict {tagger} {tmp}/latin.txt", "expected UTF-8 text"),
        ("inspect {tmp}/nothing", "nothing"),
        ("inspect {alpha} --tag-column 7", "there is no column 7"),
        ("inspect {alpha} {alpha}", "two sources are called alpha."),
        ("inspect {tmp}/none.jsonl", "read as keys 'text', 'labels'. Expected"),
        ("inspect {tmp}/none.jsonl", "(--tag-column) and the format (--format)."),
        ("inspect {tmp}/empty.csv", "or say what it stands for, --tag-name='=O'."),
        ("diff {tmp}/report.json {tmp}/report.json", "report.json: "),
        ("export {alpha} --output {tmp}", "exists already"),
        ("export {tmp}/nothing --output {tmp}/out", "nothing"),
    ],
)
def test_bad_input_ends_in_one_line_that_names_options_and_nothing_is_written(
    command: str, message: str, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "mapping.yaml").touch()
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (tmp_path / "none.jsonl").write_text('{"text": "some words", "labels": []}\n', encoding="utf-8")
    (tmp_path / "empty.csv").write_text(
        "token,tag\nMara,PER\nleft,O\nnow,\nOslo,LOC\nlay,O\n", encoding="utf-8"
    )
    places = {name: world.folder / name for name in ("alpha", "beta", "encoder")}
    words = command.format(tmp=tmp_path, tagger=world.separate / "tagger", **places).split()
    if words[0] in ("align", "train") and "--encoder" not in words:
        words += ["--encoder", str(world.encoder)]
    assert message in refusal(capsys, *words)
    expected = ["empty.csv", "latin.txt", "merged", "none.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected


def test_what_cannot_share_its_work_is_not_done_by_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert refusal(capsys, "sources") == (
        "3 processes were launched, and each would do all that `sources` does. Run it without a launcher; align, "
        "apply, train share their work."
    )


@pytest.mark.parametrize(
    ("command", "interrupted"),
    [
        ("align {folder}/a {folder}/b", "esnera_hf.api.align"),
        ("train {folder}/a", "esnera_hf.taggers.train.train_tagger"),
        ("train {folder}/a", "esnera_hf.modeling.tagger.Tagger.save_pretrained"),
    ],
)
def test_an_interruption_writes_nothing(
    command: str,
    interrupted: str,
    world: World,
    warm_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupted, interrupt)
    write_corpus(tmp_path / "in" / "a", {"PERSON": "per"}, 1, train=30, rest=10)
    write_corpus(tmp_path / "in" / "b", {"PERSON": "name"}, 2, train=30, rest=10)
    words = command.format(folder=tmp_path / "in").split()
    options = ["--epochs", "1", "--encoder", str(world.encoder), "--output", str(tmp_path / "out")]
    assert main([*words, *options]) == 130
    assert "interrupted. No output was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
