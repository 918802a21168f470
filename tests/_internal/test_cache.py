"""Artifacts: made once, whole or not at all; what is damaged, or of another version, is not used."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from zipfile import BadZipFile

import pytest

from esnera_hf._internal import cache
from esnera_hf._internal.cache import Artifact
from esnera_hf.errors import ConfigurationError, EncoderError

THING = Artifact("things", {"a": 1})
WHOLE = ["artifact.json", "lock", "made", "made/deep", "made/deep/other", "made/file"]


def write(text: str, calls: list[str] | None = None) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        if calls is not None:
            calls.append(text)
        (folder / "file").write_text(text)
        (folder / "deep").mkdir()
        (folder / "deep" / "other").write_text(text * 1000)

    return fill


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_made_once() -> None:
    calls: list[str] = []
    artifact = Artifact("things", {"a": 1, "b": [2]})
    assert not artifact.exists
    assert artifact.make(write("one", calls))
    assert not Artifact("things", {"b": [2], "a": 1}).make(write("two", calls))
    assert calls == ["one"]
    assert (artifact.folder / "file").read_text() == "one"
    assert len({Artifact(kind, {"a": value}).folder for kind in ("x", "y") for value in (1, 2)}) == 4


def test_what_fails_leaves_nothing_behind_but_what_it_needs_to_go_on() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        THING.unfinished.mkdir()
        (THING.unfinished / "checkpoint").write_text("kept")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        THING.make(fail)
    assert not THING.exists
    assert names(THING.folder.parent) == ["lock", "unfinished", "unfinished/checkpoint"]
    THING.make(write("whole"))
    assert names(THING.folder.parent) == WHOLE


def test_what_a_killed_process_left_is_cleared_away() -> None:
    home = THING.folder.parent
    (home / "staging").mkdir(parents=True)
    (home / "staging" / "half").write_text("half")
    THING.make(write("whole"))
    assert names(home) == WHOLE
    # Killed between the last two steps: what a training needed to go on is of no more use.
    (THING.unfinished / "checkpoint-8").mkdir(parents=True)
    assert not THING.make(write("again"))
    assert not THING.unfinished.exists()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


class TestDamage:
    @pytest.mark.parametrize(
        ("where", "damage"),
        [
            *product(("made/file", "made/deep/other", "artifact.json"), (cut, Path.unlink, empty)),
            ("made/adapter_config.json", Path.touch),
        ],
    )
    def test_it_is_found_said_and_mended(
        self, where: str, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        calls: list[str] = []
        THING.make(write("one", calls))
        (THING.folder / ".DS_Store").write_text("left by a file manager")
        assert THING.exists
        damage(THING.folder.parent / where)
        assert not THING.exists
        assert THING.make(write("one", calls))
        assert THING.exists
        warning = capsys.readouterr().err
        assert f"WARNING: {THING.folder} is damaged: " in warning
        assert where.removeprefix("made/") in warning
        assert calls == ["one", "one"]

    @pytest.mark.parametrize(
        "record",
        ["[]", '{"files": 3, "identity": {}}', '{"files": ["made"], "identity": {}}', "[" * 5000 + "]" * 5000]
        + [f'{{"files": {{}}, "identity": {value}}}' for value in ("3", "[3]", '"x"', "null")],
    )
    def test_a_record_that_somebody_edited(self, record: str, capsys: pytest.CaptureFixture[str]) -> None:
        calls: list[str] = []
        THING.make(write("one", calls))
        (THING.folder.parent / "artifact.json").write_text(record)
        other = Artifact("things", {**THING.identity, "versions": {"torch": "0"}})
        assert other.make(write("other", calls))  # looks at the records of all others
        assert not THING.exists
        assert THING.make(write("one", calls))
        assert THING.exists
        assert "artifact.json cannot be read" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("no JSON"),
            OSError("no block"),
            KeyError("labels"),
            BadZipFile("no zip"),
            EOFError("cut"),
        ],
    )
    def test_a_file_that_does_not_load(self, error: Exception) -> None:
        expected = r"things/.*/made cannot be read: .*Delete .*things/"
        with pytest.raises(ConfigurationError, match=expected), THING.reading():
            raise error


def test_other_versions_of_the_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    old = Artifact("things", {"a": 1, "versions": {"torch": "2.6", "same": "1"}})
    new = Artifact("things", {"a": 1, "versions": {"torch": "2.7", "same": "1"}})
    other = Artifact("things", {"a": 2, "versions": {"torch": "2.6", "same": "1"}})
    other.make(write("other"))
    old.make(write("old"))
    assert capsys.readouterr().err == ""
    assert new.make(write("new"))
    versions = "other versions of the libraries (torch 2.6, now 2.7): it is not used."
    expected = f"{old.folder} was made by {versions}"
    assert capsys.readouterr().err.strip() == expected


class TestAPlaceThatCannotBeWrittenTo:
    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere/model.safetensors"), True),
            (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), True),
            (OSError(errno.EROFS, os.strerror(errno.EROFS)), True),
            (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 34752 vs 34640"), True),
            (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), True),
            (
                RuntimeError("[enforce fail at x.cc:477] . PytorchStreamWriter failed writing file data/0"),
                True,
            ),
            # Other errors stay what they are.
            (ValueError("something else"), False),
            (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/elsewhere/config.json"), False),
            (EncoderError("no such encoder"), False),
            (KeyError("No space"), False),
        ],
    )
    def test_it_is_said_and_nothing_half_written_stays(self, error: Exception, told: bool) -> None:
        def fill(folder: Path) -> None:
            (folder / "half").write_text("half")
            raise error

        with pytest.raises(ConfigurationError if told else type(error)) as caught:
            THING.make(fill)
        if told:
            assert caught.value.__cause__ is error
            text = str(caught.value)
            assert f"the cache cannot be written to, at {THING.folder.parent}: " in text
            assert "ESNERA_CACHE_DIR" in text
        else:
            assert caught.value is error
        assert names(THING.folder.parent) == ["lock"]
        assert THING.make(write("later"))

    def test_no_room_for_the_record(self, monkeypatch: pytest.MonkeyPatch) -> None:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "artifact.json.new")
        monkeypatch.setattr(Path, "write_text", Mock(side_effect=full))
        with pytest.raises(ConfigurationError, match=r"No space left on device .*artifact\.json.new"):
            THING.make(lambda folder: (folder / "file").touch())
        assert names(THING.folder.parent) == ["lock"]

    def test_a_folder_that_is_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("ESNERA_CACHE_DIR", str(tmp_path / "file"))
        with pytest.raises(ConfigurationError, match="Not a directory"):
            THING.make(write("one"))

    def test_a_read_only_cache_serves_what_it_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        THING.make(write("one"))
        refused = OSError(errno.EROFS, os.strerror(errno.EROFS), str(THING.folder))
        monkeypatch.setattr(Path, "mkdir", Mock(side_effect=refused))
        assert not THING.make(write("two"))
        assert (THING.folder / "file").read_text() == "one"
        with pytest.raises(ConfigurationError, match="Read-only file system"):
            Artifact("things", {"a": 2}).make(write("two"))


def _make_slowly(folder: str, log: str) -> None:
    os.environ["ESNERA_CACHE_DIR"] = folder

    def fill(staging: Path) -> None:
        with open(log, "a") as stream:
            stream.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        (staging / "file").write_text("made")

    THING.make(fill)
    if (THING.folder / "file").read_text() != "made" or not THING.exists:
        raise SystemExit(1)


def test_processes_that_share_a_cache_do_the_work_once(cache_folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_make_slowly, args=(str(cache_folder), str(log))) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(log.read_text().split()) == 1


def test_whoever_waits_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cache, "_WAIT", 0.05)
    home = THING.folder.parent
    home.mkdir(parents=True)
    waiting: list[str] = []

    class Other(cache.FileLock):  # type: ignore[misc]
        """Free only at the second try."""

        def acquire(self, timeout: float | None = None, **kwargs: Any) -> Any:
            if timeout is not None:
                raise cache.Timeout("lock")
            waiting.append("acquired")
            return super().acquire(**kwargs)

    monkeypatch.setattr(cache, "FileLock", Other)
    assert THING.make(write("one"))
    assert waiting == ["acquired"]
    assert f"waiting for another process, which is making things/{THING.key}" in capsys.readouterr().err
