"""The command that shows and prunes the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import refusal
from esnera_hf._internal.cache import Artifact
from esnera_hf.cli.main import main


def made(kind: str, **identity: object) -> Artifact:
    artifact = Artifact(kind, identity)
    artifact.make(lambda folder: (folder / "file").write_bytes(b"x" * 2000) and None)
    return artifact


def test_where_it_is_and_what_it_holds(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.startswith(f"{cache_folder}: 0 B\nIt is empty.\n")
    made("taggers", a=1)
    made("light_heads", a=1, versions={"torch": "1.0"})
    assert main(["cache", "show"]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown[1] == "kind number size last used first to go of other versions".split()
    assert shown[2][:4] == ["light_heads", "1", "2", "kB"]
    assert shown[2][-3:] == ["1,", "2", "kB"]
    assert shown[3][0] == "taggers"
    assert shown[3][-1] == "-"


def test_prune(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, other = made("taggers", a=1), made("taggers", a=1, versions={"torch": "1.0"})
    for dry in (True, False):
        assert main(["cache", "prune", "--other-versions", *["--dry-run"] * dry]) == 0
        shown = capsys.readouterr().out
        assert f"{other.folder.parent}  2 kB" in shown
        assert ("would be removed" if dry else "removed") + ": 1 of 2; 2 kB left" in shown
        assert (kept.exists, other.exists) == (True, dry)
    assert main(["cache", "prune", "--max-size", "0"]) == 0
    assert not kept.exists


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("cache prune", "`esnera-hf cache prune` with --older-than AGE"),
        ("cache --older-than 3d", "`esnera-hf cache prune` with --older-than AGE"),
        ("cache --dry-run", "`esnera-hf cache prune` with --older-than AGE"),
        ("cache prune --older-than soon", "'soon': expected a number and a unit"),
        ("cache prune --max-size -1", "'-1': expected a number and a unit"),
        ("cache prune --max-size all", "'all': expected a number and a unit"),
    ],
)
def test_nothing_is_removed_by_mistake(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = made("taggers", a=1)
    assert message in refusal(capsys, *command.split())
    assert kept.exists
