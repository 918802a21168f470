"""Full disks and leftovers of killed processes, for folders that are written aside."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from esnera_hf._internal.files import new_folder, staging_folder, write_new_file, write_problem
from esnera_hf.errors import ConfigurationError, MappingError


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    target = tmp_path / "merged[1]"
    node = platform.node()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = process.pid
    left = tmp_path / f".esnera-{target.name}-{node}-{dead}-abc"
    kept = [
        tmp_path / f".esnera-{target.name}-{node}-{os.getpid()}-abc",  # still written
        tmp_path / f".esnera-{target.name}-elsewhere-{dead}-abc",  # by another machine
        tmp_path / f".esnera-other-{node}-{dead}-abc",  # of another target
        tmp_path / ".esnera-",
    ]
    for folder in (left, *kept):
        folder.mkdir()
        (folder / "half").write_text("half")
    staging = staging_folder(target)
    assert list(staging.iterdir()) == []
    assert not left.exists()
    assert all(folder.exists() for folder in kept)


FULL = r"out cannot be written: No space left .*Nothing was left"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data.arrow"), FULL),
        (OSError(28, "[Errno 28] Error writing bytes to file. Detail: No space left on device"), FULL),
        (shutil.Error([("from", "to", "[Errno 28] No space left on device: 'to'")]), FULL),
        # Other errors stay what they are.
        (FileNotFoundError(2, "No such file", "x"), None),
        (ValueError("x"), None),
        (KeyboardInterrupt(), None),
    ],
)
def test_an_output_that_cannot_be_written(tmp_path: Path, error: BaseException, message: str | None) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("half")
            raise error

    with pytest.raises(ConfigurationError if message else type(error), match=message) as caught:
        fail()
    assert message or caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_refusals_count_where_something_is_written(tmp_path: Path) -> None:
    def refused(place: Path) -> OSError:
        return PermissionError(errno.EACCES, "Permission denied", str(place))

    inside = tmp_path / "a" / "b"
    assert write_problem(refused(inside), tmp_path) == f"Permission denied ({inside})"
    assert write_problem(refused(Path("/elsewhere")), tmp_path) == ""
    assert write_problem(MappingError("No space left on device"), tmp_path) == ""
    assert write_problem(None, tmp_path) == ""


def test_a_new_folder_appears_only_when_all_is_written(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with new_folder(target) as folder:
        (folder / "file").write_text("x")
        assert not target.exists()
    assert [p.name for p in target.iterdir()] == ["file"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_folder_follows_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with new_folder(tmp_path / "out") as folder:
            (folder / "part").mkdir()
            with tempfile.NamedTemporaryFile(dir=folder / "part", delete=False):
                pass  # such files are for their owner alone
    finally:
        os.umask(before)
    modes = {
        path.is_dir(): path.stat().st_mode & 0o777
        for path in (tmp_path / "out", *(tmp_path / "out").rglob("*"))
    }
    assert modes == {True: 0o777 & ~umask, False: 0o666 & ~umask}


@pytest.mark.parametrize("theirs", ["full", "empty", "file"])
def test_of_two_that_write_to_one_place_both_keep_what_they_wrote(tmp_path: Path, theirs: str) -> None:
    target = tmp_path / "out"

    def write() -> None:
        with new_folder(target) as mine:
            (mine / "mine").touch()
            make_theirs[theirs]()

    def make_full() -> None:
        target.mkdir()
        (target / "theirs").touch()

    make_theirs = {"full": make_full, "empty": target.mkdir, "file": target.touch}
    with pytest.raises(ConfigurationError, match="was made by another process meanwhile") as error:
        write()
    (kept,) = [folder for folder in tmp_path.iterdir() if folder != target]
    assert [file.name for file in kept.iterdir()] == ["mine"]
    assert str(kept) in str(error.value)
    assert not (target / "mine").exists()


@pytest.mark.parametrize("name", ["x" * 300, "x" * 250, "a\0b", "\ud800"], ids=ascii)
def test_a_name_that_no_file_system_takes_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a name of at most"), new_folder(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "none, as on exFAT"])
def test_a_new_file_replaces_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refused(*names: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    file = tmp_path / "new" / "mine.evidence"
    write_new_file(file, b"first")
    with pytest.raises(ConfigurationError, match="exists already"):
        write_new_file(file, b"second")
    assert [(found.name, found.read_bytes()) for found in file.parent.iterdir()] == [
        ("mine.evidence", b"first")
    ]
