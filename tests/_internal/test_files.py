"""Full disks and leftovers of killed processes, for folders that are written aside."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from esnera_hf._internal.files import new_folder, staging_folder, write_problem
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
