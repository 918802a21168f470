"""Results of stages: worked out once, the same from the cache, and worked out again where that does not serve."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esnera_hf import stages
from esnera_hf.cache import Artefact
from esnera_hf.errors import CacheError, ConfigurationError
from esnera_hf.shares import kept_by_all
from esnera_hf.stages import Form, as_json, code_digest, kept

FORM: Form[dict[str, Any]] = as_json(dict, dict)
RESULT = {"share": 0.1 + 0.2, "none": float("inf"), "text": "名\ud800"}


def worked_out(calls: list[str], identity: str = "one", keep: Any = kept) -> dict[str, Any]:
    def work() -> dict[str, Any]:
        calls.append(identity)
        return RESULT

    result: dict[str, Any] = keep(Artefact("results", {"identity": identity}), work, FORM)
    return result


@pytest.mark.parametrize("keep", [kept, kept_by_all])
def test_worked_out_once(keep: Any) -> None:
    calls: list[str] = []
    assert [worked_out(calls, keep=keep) for _ in range(3)] == [RESULT] * 3
    assert worked_out(calls, "other", keep) == RESULT
    assert calls == ["one", "other"]


def test_what_is_damaged_is_worked_out_again(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[str] = []
    worked_out(calls)
    file = Artefact("results", {"identity": "one"}).folder / "kept.json"
    file.write_text(file.read_text().replace("0.3", "0.4"))
    assert worked_out(calls) == RESULT
    assert calls == ["one", "one"]
    assert f"WARNING: {file.parent} is damaged: kept.json holds other bytes" in capsys.readouterr().err
    assert worked_out(calls) == RESULT
    assert calls == ["one", "one"]


def test_an_error_of_the_work_keeps_nothing() -> None:
    artefact = Artefact("results", {})

    def fail() -> dict[str, Any]:
        raise ConfigurationError("no")

    with pytest.raises(ConfigurationError, match=r"^no$"):
        kept(artefact, fail, FORM)
    assert not artefact.exists
    assert kept(artefact, lambda: RESULT, FORM) == RESULT


def refusing(error: int) -> Callable[..., None]:
    def refuse(self: Path, *args: Any, **kwargs: Any) -> None:
        raise OSError(error, os.strerror(error), str(self))

    return refuse


class TestACacheThatCannotBeWrittenTo:
    @pytest.mark.parametrize(
        ("method", "error"), [("mkdir", errno.EROFS), ("mkdir", errno.EACCES), ("write_text", errno.ENOSPC)]
    )
    def test_the_result_is_worked_out_once_and_it_is_said(
        self, method: str, error: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        calls: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, refusing(error))
            assert worked_out(calls) == RESULT
        assert calls == ["one"]
        told = capsys.readouterr().err
        assert (
            "WARNING: results will have to be worked out again next time: the cache cannot be written" in told
        )
        assert os.strerror(error) in told

    def test_what_taggers_need_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        monkeypatch.setattr(Path, "mkdir", refusing(errno.EROFS))
        with pytest.raises(CacheError, match="Read-only file system"):
            worked_out(calls, keep=kept_by_all)
        assert calls == []


def test_of_several_processes_the_main_one_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert worked_out(calls) == RESULT
    assert not Artefact("results", {"identity": "one"}).folder.parent.exists()
    monkeypatch.setenv("RANK", "0")
    assert worked_out(calls) == RESULT
    monkeypatch.setenv("RANK", "1")
    assert worked_out(calls) == RESULT
    assert calls == ["one", "one"]


def test_the_digest_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes with any file, its name and the libraries, and with nothing else."""
    package = tmp_path / "package"
    (package / "room").mkdir(parents=True)
    (package / "stages.py").write_text("one = 1\n")
    (package / "room" / "part.py").write_text("two = 2\n")
    monkeypatch.setattr(stages, "__file__", str(package / "stages.py"))
    digest = code_digest.__wrapped__
    found = [digest()]
    (package / "room" / "__pycache__").mkdir()
    (package / "room" / "__pycache__" / "part.pyc").write_bytes(b"compiled")
    assert digest() == found[0]
    (package / "room" / "part.py").write_text("two = 3\n")
    found.append(digest())
    (package / "room" / "part.py").rename(package / "room" / "other.py")
    found.append(digest())
    monkeypatch.setattr(stages, "version", lambda name: "0.1")
    found.append(digest())
    assert len(set(found)) == 4


def test_what_is_no_json_is_no_form() -> None:
    with pytest.raises(TypeError):
        kept(Artefact("results", {}), lambda: {"key": object()}, FORM)
    assert not Artefact("results", {}).exists
