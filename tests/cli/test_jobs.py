"""What runs unattended: progress that a program can read, and an end that a scheduler may ask for at any time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builders import write_corpus
from esnera_hf.cli.main import main
from world import World

#: Trainings long enough for a signal to find them at work.
LONG = "--epochs 40 --batch-size 2"


def corpora(folder: Path) -> list[str]:
    write_corpus(folder / "a", {"PERSON": "per"}, 1, train=60, rest=20)
    write_corpus(folder / "b", {"PERSON": "name"}, 2, train=60, rest=20)
    return [str(folder / "a"), str(folder / "b")]


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_in_json_lines(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = corpora(tmp_path / "in")
    options = ["--encoder", str(world.encoder), "--output", str(tmp_path / "out"), "--json"]
    assert main(["align", *places, *options]) == 0
    shown = capsys.readouterr()
    told = events(shown.err)
    assert {event["event"] for event in told} >= {"message", "step", "progress", "end"}
    assert [event["step"] for event in told if event["event"] == "step"][:2] == ["reading", "training"]
    assert (told[-1]["event"], told[-1]["status"], told[-1]["message"]) == ("end", 0, "")
    assert "saved to " in shown.out


@pytest.mark.parametrize("command", ["--json inspect {tmp}/nothing", "inspect {tmp}/nothing --json"])
def test_a_failure_in_json_lines(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.format(tmp=tmp_path).split()) == 1
    (end,) = events(capsys.readouterr().err)
    assert (end["event"], end["level"], end["status"]) == ("end", "error", 1)
    assert "no such file or folder" in end["message"]


def test_errors_alone(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = corpora(tmp_path)
    assert main(["align", *places, "--encoder", str(world.encoder), "--log-level", "error"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["inspect", str(tmp_path / "nothing"), "--log-level", "error"]) == 1
    assert "no such file" in capsys.readouterr().err


def test_a_traceback_for_whoever_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "nothing"), "--log-level", "debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_training_that_the_same_command_goes_on_with(
    number: int, status: int, world: World, tmp_path: Path, cache_folder: Path
) -> None:
    places = corpora(tmp_path / "in")
    words = [*"--evidence taggers --taggers separate --json".split(), *LONG.split()]
    command = [sys.executable, "-m", "esnera_hf", "align", *places, *words]
    command += ["--encoder", str(world.encoder), "--output", str(tmp_path / "out")]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()

    def run(stop: bool) -> tuple[int, list[dict[str, Any]]]:
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told += events(line)
            # The second training: the first is finished and kept.
            if stop and told[-1].get("step") == "train b" and told[-1]["done"] > 100:
                process.send_signal(number)
                stop = False
        return process.wait(), told

    code, told = run(stop=True)
    assert code == status
    assert "the same command goes on where it stopped" in told[-1]["message"]
    assert told[-1]["status"] == status
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "temporary"]
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not list(cache_folder.glob("*/*/staging"))
    code, told = run(stop=False)
    assert code == 0
    assert (tmp_path / "out" / "report.json").is_file()
    steps = [event for event in told if event["event"] == "progress" and event["step"].startswith("train ")]
    assert {event["step"] for event in steps} == {"train b"}
    assert steps[0]["done"] > 30  # from a checkpoint on
