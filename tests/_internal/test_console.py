"""Messages and progress: for people, or as JSON lines; as many as were asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from esnera_hf._internal import console
from esnera_hf._internal.console import StepTimes, configure_output, progress_bar, quiet_libraries, say


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    configure_output("info", False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", "note\nWARNING: careful\nwrong\n"),
        ("info", "note\nWARNING: careful\nwrong\n"),
        ("warning", "WARNING: careful\nwrong\n"),
        ("error", "wrong\n"),
    ],
)
def test_messages_of_a_level_and_above(level: Any, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_output(level, False)
    say("note")
    say("careful", "warning")
    say("wrong", "error")
    assert capsys.readouterr().err == expected
    assert progress_bar("train a", 3, unit="steps").disable == (level in ("warning", "error"))


def test_json_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_JSON_INTERVAL", 0.0)
    configure_output("info", True)
    say("两行\nof a message", "warning")
    with progress_bar("reading a", 3, unit="sentences") as bar:
        for _ in range(3):
            bar.update(1)
    times = StepTimes()
    times.end("reading")
    events = lines(capsys)
    assert all(event.pop("time").endswith("Z") for event in events)
    assert events[0] == {"level": "warning", "event": "message", "message": "两行\nof a message"}
    progress = [event for event in events if event["event"] == "progress"]
    assert [event["done"] for event in progress] == [1, 2, 3, 3]
    assert progress[-1] == {
        "level": "info", "event": "progress", "step": "reading a", "done": 3, "total": 3, "unit": "sentences",
    }  # fmt: skip
    assert events[-1] == {"level": "info", "event": "step", "step": "reading", "seconds": times["reading"]}


@pytest.mark.parametrize(("level", "rank"), [("warning", "0"), ("info", "1")])
def test_no_json_line_where_no_message_would_be(
    level: Any, rank: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    configure_output(level, True)
    say("note")
    progress_bar("reading a", 3, unit="sentences").close()
    assert lines(capsys) == []


def test_libraries_speak_where_all_is_asked_for() -> None:
    from transformers.utils import logging

    logging.set_verbosity_info()
    configure_output("debug", False)
    with quiet_libraries():
        assert logging.get_verbosity() == logging.INFO
    configure_output("info", False)
    with quiet_libraries():
        assert logging.get_verbosity() == logging.ERROR
    logging.set_verbosity_warning()
