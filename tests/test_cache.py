"""Artefacts: made once, whole or not at all; what is damaged, or of another version, is not used."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf import cache
from esnera_hf.cache import Artefact
from esnera_hf.errors import CacheError, EncoderError
from esnera_hf.predictions import read_predictions, write_predictions
from esnera_hf.tagging import Entity

THING = Artefact("things", {"a": 1})


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
    artefact = Artefact("things", {"a": 1, "b": [2]})
    assert not artefact.exists
    assert artefact.make(write("one", calls))
    assert not Artefact("things", {"b": [2], "a": 1}).make(write("two", calls))
    assert calls == ["one"]
    assert (artefact.folder / "file").read_text() == "one"


def test_another_identity_or_kind_is_another_artefact() -> None:
    folders = {Artefact(kind, {"a": value}).folder for kind in ("x", "y") for value in (1, 2)}
    assert len(folders) == 4


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
    assert names(THING.folder) == ["deep", "deep/other", "file"]
    assert names(THING.folder.parent)[-1] == "manifest.json"


def test_what_a_killed_process_left_is_cleared_away() -> None:
    home = THING.folder.parent
    for name in ("staging", "staging.17"):
        (home / name).mkdir(parents=True)
        (home / name / "half").write_text("half")
    THING.make(write("whole"))
    assert sorted(path.name for path in home.iterdir()) == ["lock", "made", "manifest.json"]
    assert names(THING.folder) == ["deep", "deep/other", "file"]


def test_killed_between_the_last_two_steps() -> None:
    """What a training needed to go on is of no more use once the artefact is there."""
    THING.make(write("whole"))
    (THING.unfinished / "checkpoint-8").mkdir(parents=True)
    assert not THING.make(write("again"))
    assert not THING.unfinished.exists()


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


class TestDamage:
    @pytest.mark.parametrize("where", ["made/file", "made/deep/other", "manifest.json"])
    @pytest.mark.parametrize("damage", [flip, cut, Path.unlink, lambda file: file.write_bytes(b"")])
    def test_it_is_found_said_and_mended(
        self, where: str, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        calls: list[str] = []
        THING.make(write("one", calls))
        assert THING.exists
        damage(THING.folder.parent / where)
        assert not THING.exists
        assert THING.make(write("one", calls))
        assert THING.exists
        told = capsys.readouterr().err
        assert f"WARNING: {THING.folder} is damaged: " in told
        assert where.removeprefix("made/") in told
        assert calls == ["one", "one"]

    @given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
    def test_any_bit_of_any_file(self, place: int, bit: int) -> None:
        THING.make(write("one"))
        files = sorted(
            file for file in THING.folder.parent.rglob("*") if file.is_file() and file.name != "lock"
        )
        file = files[place % len(files)]
        whole = file.read_bytes()
        content = bytearray(whole)
        content[place % len(content)] ^= 1 << bit
        file.write_bytes(content)
        assert not THING.exists
        file.write_bytes(whole)

    def test_what_does_not_belong_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        THING.make(write("one"))
        (THING.folder / ".DS_Store").write_text("left by a file manager")
        assert THING.exists
        (THING.folder / "adapter_config.json").write_text("{}")
        assert not THING.exists
        assert THING.damage == "not part of it: adapter_config.json"

    def test_one_of_another_identity(self) -> None:
        other = Artefact("things", {"a": 2})
        other.make(write("two"))
        other.folder.parent.rename(THING.folder.parent)
        assert THING.damage == "manifest.json tells of something else"

    def test_files_are_read_once_a_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from esnera_hf import manifest

        THING.make(write("one"))
        assert THING.exists
        monkeypatch.setattr(manifest, "_digest", lambda file: pytest.fail(f"{file} was read again"))
        assert THING.exists
        assert not THING.make(write("one"))


class TestOtherVersions:
    def test_the_first_format(self, capsys: pytest.CaptureFixture[str]) -> None:
        old = THING.folder.parent.parent / cache.digest_of({"a": 1}) / "made"
        old.mkdir(parents=True)
        (old / "file").write_text("old")
        assert THING.make(write("new"))
        assert f"{old} was written in format 1 of the cache" in capsys.readouterr().err
        assert (old / "file").read_text() == "old"
        assert (THING.folder / "file").read_text() == "new"

    def test_a_later_format(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(cache, "CACHE_FORMAT", 3)
            later = Artefact("things", {"a": 1})
            later.make(write("later"))
        assert later.folder != THING.folder
        assert Artefact("things", {"a": 1}).make(write("now"))
        assert f"{later.folder} was written in format 3 of the cache" in capsys.readouterr().err

    def test_other_versions_of_the_libraries(self, capsys: pytest.CaptureFixture[str]) -> None:
        old = Artefact("things", {"a": 1, "versions": {"torch": "2.6", "same": "1"}})
        new = Artefact("things", {"a": 1, "versions": {"torch": "2.7", "same": "1"}})
        other = Artefact("things", {"a": 2, "versions": {"torch": "2.6", "same": "1"}})
        other.make(write("other"))
        old.make(write("old"))
        assert capsys.readouterr().err == ""
        assert new.make(write("new"))
        expected = (
            f"{old.folder} was made by other versions of the libraries (torch 2.6, now 2.7): it is not used."
        )
        assert capsys.readouterr().err.strip() == expected

    def test_a_record_that_is_put_back_from_another_format(self) -> None:
        THING.make(write("one"))
        record = THING.folder.parent / "manifest.json"
        record.write_text(record.read_text().replace('"format": 2', '"format": 1'))
        assert not THING.exists


def failing(error: Exception) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise error

    return fill


class TestAPlaceThatCannotBeWrittenTo:
    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere/model.safetensors"),
            OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
            OSError(errno.EROFS, os.strerror(errno.EROFS)),
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 34752 vs 34640"),
            RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
            RuntimeError(
                "[enforce fail at x.cc:477] . PytorchStreamWriter failed writing file data/0: file write failed"
            ),
        ],
    )
    def test_it_is_said_and_nothing_half_written_stays(self, error: Exception) -> None:
        with pytest.raises(
            CacheError, match=r"the cache cannot be written to, at .*ESNERA_CACHE_DIR"
        ) as caught:
            THING.make(failing(error))
        assert caught.value.__cause__ is error
        assert str(THING.folder.parent) in str(caught.value)
        assert names(THING.folder.parent) == ["lock"]
        assert THING.make(write("later"))

    def test_no_room_for_the_record(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(self: Path, *args: Any, **kwargs: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

        def fill(folder: Path) -> None:
            (folder / "file").write_bytes(b"whole")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", full)
            with pytest.raises(CacheError, match=r"No space left on device .*manifest\.json.new"):
                THING.make(fill)
        assert names(THING.folder.parent) == ["lock"]

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("something else"),
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/somewhere/encoder/config.json"),
            EncoderError("no such encoder"),
            KeyError("No space"),
        ],
    )
    def test_other_errors_stay_what_they_are(self, error: Exception) -> None:
        with pytest.raises(type(error)) as caught:
            THING.make(failing(error))
        assert caught.value is error

    def test_a_folder_that_is_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("ESNERA_CACHE_DIR", str(tmp_path / "file"))
        with pytest.raises(CacheError, match="Not a directory"):
            THING.make(write("one"))

    def test_a_read_only_cache_serves_what_it_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        THING.make(write("one"))

        def refuse(self: Path, *args: Any, **kwargs: Any) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

        monkeypatch.setattr(Path, "mkdir", refuse)
        assert not THING.make(write("two"))
        assert (THING.folder / "file").read_text() == "one"
        with pytest.raises(CacheError, match="Read-only file system"):
            Artefact("things", {"a": 2}).make(write("two"))
        flip(THING.folder / "file")
        with pytest.raises(CacheError, match="What is there is damaged: file holds other bytes"):
            THING.make(write("two"))
        assert THING.folder.is_dir()


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


@given(
    rows=st.lists(
        st.lists(
            st.builds(
                Entity,
                st.integers(0, 9),
                st.integers(10, 20),
                st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
                st.integers(0, 10_000).map(lambda n: n / 10_000),
            ),
            max_size=3,
        ),
        max_size=5,
    )
)
def test_predictions_survive(tmp_path_factory: pytest.TempPathFactory, rows: list[list[Entity]]) -> None:
    file = tmp_path_factory.mktemp("predictions") / "file.parquet"
    write_predictions(file, rows)
    found = list(read_predictions(file))
    assert found == rows
    assert [[e.score for e in row] for row in found] == [[e.score for e in row] for row in rows]
