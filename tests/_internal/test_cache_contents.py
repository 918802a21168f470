"""What the cache holds, by last use and size, and what of it is removed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from builders import write_corpus
from esnera_hf import load_source
from esnera_hf._internal import cache_contents
from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.cache_contents import (
    BOUND_VARIABLE,
    DAY,
    CacheEntry,
    cache_entries,
    choose_entries,
    keep_bound,
    parse_age,
    parse_size,
)
from esnera_hf.errors import ConfigurationError


def made(kind: str, name: str, size: int = 1000, days: float = 0.0, **identity: object) -> Artifact:
    """Return an artifact of a size that was last used so many days ago."""
    artifact = Artifact(kind, {"name": name, **identity})
    artifact.make(lambda folder: (folder / "file").write_bytes(b"x" * size) and None)
    age(artifact, days)
    return artifact


def age(artifact: Artifact, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(artifact.folder.parent / "artifact.json", (then, then))


def shown() -> dict[str, tuple[int, bool]]:
    """Return by kind how many entries there are, and whether all of them are of use."""
    entries = cache_entries()
    kinds = {entry.kind for entry in entries}
    return {
        kind: (sum(e.kind == kind for e in entries), all(e.current for e in entries if e.kind == kind))
        for kind in kinds
    }


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_size, "20GB", 20 * 10**9),
        (parse_size, "1.5 gib", 3 * 2**29),
        (parse_size, "1000", 1000),
        (parse_age, "30d", 30 * DAY),
        (parse_age, "1.5h", 5400.0),
        (parse_age, "2w", 14 * DAY),
    ],
)
def test_sizes_and_ages(parse: object, text: str, value: float) -> None:
    assert parse(text) == value  # type: ignore[operator]


@pytest.mark.parametrize(
    ("parse", "text"),
    [(parse_size, "20 apples"), (parse_size, "-1GB"), (parse_size, ""), (parse_age, "30"), (parse_age, "1y")],
)
def test_what_is_no_size_or_age(parse: object, text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a number and a unit"):
        parse(text)  # type: ignore[operator]


def test_everything_is_listed_with_its_last_use() -> None:
    made("taggers", "old", days=40)
    half = Artifact("taggers", {"name": "interrupted"})
    with pytest.raises(KeyboardInterrupt):
        half.make(_interrupted(half))
    entries = {entry.path.name: entry for entry in cache_entries()}
    old = entries[Artifact("taggers", {"name": "old"}).key]
    assert (old.kind, old.current, round((time.time() - old.used) / DAY)) == ("taggers", True, 40)
    assert old.size > 1000
    assert entries[half.key].size == 4
    assert entries[half.key].current
    assert Artifact("taggers", {"name": "old"}).exists  # who asks uses it
    assert time.time() - next(e for e in cache_entries() if e.path == old.path).used < DAY / 2


def _interrupted(artifact: Artifact):  # type: ignore[no-untyped-def]
    def fill(folder: Path) -> None:
        artifact.unfinished.mkdir()
        (artifact.unfinished / "checkpoint").write_text("kept")
        raise KeyboardInterrupt

    return fill


def test_what_only_other_versions_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    made("taggers", "now", versions={"torch": cache_contents.version("torch")})
    old = made("taggers", "then", versions={"torch": "1.0"})
    gone = made("taggers", "uninstalled", versions={"no-such-package": "1.0"})
    read = made("predictions", "of then", tagger=old.key)
    made("predictions", "of now", tagger="anything")
    assert shown() == {"taggers": (3, False), "predictions": (2, False)}
    chosen = {entry.path.name for entry in choose_entries(cache_entries(), other_versions=True)}
    assert chosen == {old.key, gone.key, read.key}
    monkeypatch.setattr(cache_contents, "CACHE_FORMAT", -1)
    assert len(choose_entries(cache_entries(), other_versions=True)) == 5


def test_corpora_that_older_code_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esnera_hf.sources.files._WORTH_CACHING", 0)
    corpus = write_corpus(tmp_path / "alpha", {"PERSON": "per"}, 1)
    load_source(corpus)
    assert shown() == {"sources": (3, True)}
    monkeypatch.setattr("esnera_hf.sources.build.reading_code", lambda: "0" * 16)
    load_source(corpus)
    assert shown() == {"sources": (6, False)}
    assert all(entry.remove() for entry in choose_entries(cache_entries(), other_versions=True))
    assert shown() == {"sources": (3, True)}


@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        ({}, "abcd"),
        ({"older_than": 25 * DAY}, "cd"),
        ({"older_than": 0.5 * DAY}, ""),
        ({"max_size": 10_000}, "abcd"),
        ({"max_size": 2500}, "cd"),
        ({"max_size": 0}, ""),
        ({"older_than": 35 * DAY, "max_size": 2000}, "cd"),
    ],
)
def test_what_goes_is_what_was_not_used_for_longest(criteria: dict[str, float], left: str) -> None:
    now = time.time()
    days = {"c": 20, "a": 40, "d": 10, "b": 30}
    entries = [CacheEntry("taggers", Path(name), 1000, now - age * DAY, True) for name, age in days.items()]
    chosen = choose_entries(entries, **criteria)  # type: ignore[arg-type]
    assert "".join(sorted(set(days) - {str(entry.path) for entry in chosen})) == left
    assert [entry.used for entry in chosen] == sorted(entry.used for entry in chosen)


def test_what_another_process_makes_stays(capsys: pytest.CaptureFixture[str]) -> None:
    busy, free = made("taggers", "busy"), made("taggers", "free")
    with FileLock(busy.folder.parent / "lock"):
        removed = [entry for entry in cache_entries() if entry.remove()]
    assert [entry.path.name for entry in removed] == [free.key]
    assert "is being made by another process and stays" in capsys.readouterr().err
    assert (busy.exists, free.exists) == (True, False)
    assert free.make(lambda folder: None)


class TestABound:
    def test_it_is_kept_whenever_something_is_made(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        old, older = made("taggers", "old", days=3), made("taggers", "older", days=4)
        monkeypatch.setenv(BOUND_VARIABLE, "3KB")
        new = made("taggers", "new")
        assert (older.exists, old.exists, new.exists) == (False, True, True)
        said = capsys.readouterr().err
        assert "removed 1 results" in said
        assert f"{BOUND_VARIABLE}=3KB" in said

    def test_what_was_used_within_a_day_stays(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        artifacts = [made("taggers", name, days=0.5) for name in "abc"]
        monkeypatch.setenv(BOUND_VARIABLE, "1KB")
        keep_bound()
        assert all(artifact.exists for artifact in artifacts)
        assert "all of it was used within a day" in capsys.readouterr().err

    def test_one_that_is_no_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(BOUND_VARIABLE, "much")
        with pytest.raises(ConfigurationError, match=f"{BOUND_VARIABLE}: 'much': expected"):
            keep_bound()
