"""What the cache holds, by age and size, and how to make it smaller."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from esnera_hf._internal.checks import from_plain
from esnera_hf._internal.console import say
from esnera_hf._internal.json import read_json
from esnera_hf.errors import ConfigurationError

CACHE_VARIABLE = "ESNERA_CACHE_DIR"
#: Part of every key, so that a version of this package that writes other files never reads these.
CACHE_FORMAT = 3
#: The most that the cache may hold, such as ``50GB``; what was not used for longest goes first.
BOUND_VARIABLE = "ESNERA_CACHE_MAX_SIZE"
#: The file of an artifact that says what it is; its date is that of its last use.
RECORD_FILE = "artifact.json"
LOCK_FILE = "lock"
#: Folders of sources that were read, each by the code that read it.
SOURCES = "sources"
DAY = 86_400.0
_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZES |= {f"{unit}iB": 1024**power for power, unit in enumerate("KMGT", 1)}
_AGES = {"m": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY}


class CacheEntry:
    """Something that the cache holds.

    Attributes:
        kind: the folder that it lies in: ``sources``, ``light_heads``, ``taggers``, …
        path: its folder or file.
        size: bytes of its files.
        used: when it was made or last used, in seconds since 1970.
        current: whether this version of the package and its libraries can use it.
    """

    def __init__(self, kind: str, path: Path, size: int, used: float, current: bool) -> None:
        self.kind, self.path, self.size, self.used, self.current = kind, path, size, used, current

    def remove(self) -> bool:
        """Remove it, unless another process is making it; return whether it was removed.

        Raises:
            ConfigurationError: it may not be removed.
        """
        lock = self.path / LOCK_FILE
        try:
            with FileLock(lock, timeout=0) if lock.exists() else nullcontext():
                _remove(self.path)
        except Timeout:
            say(f"{self.path} is being made by another process and stays", "warning")
            return False
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} cannot be removed: {error.strerror}. Allow writing there, or remove it as its owner."
            ) from error
        return True


def cache_folder() -> Path:
    """Return the folder of the cache: ``ESNERA_CACHE_DIR``, else ``~/.cache/esnera_hf``."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "esnera_hf")


def artifact_key(identity: Mapping[str, Any]) -> str:
    """Return the name of the folder of an artifact, a digest of all that decides its content."""
    text = json.dumps({"format": CACHE_FORMAT, "identity": identity}, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@cache
def reading_code() -> str:
    """Return a digest of the code that reads sources: what older code cached is read again."""
    package = Path(__file__).parents[1]
    files = [*sorted((package / "sources").rglob("*.py")), package / "tagging.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``20GB`` or ``512MiB``.

    Raises:
        ConfigurationError: it is none.
    """
    return int(_quantity(text, {unit.upper(): size for unit, size in _SIZES.items()}, "20GB, 512MiB or 1000"))


def parse_age(text: str) -> float:
    """Return the seconds of an age such as ``30d`` or ``12h``.

    Raises:
        ConfigurationError: it is none.
    """
    return _quantity(text, {unit.upper(): seconds for unit, seconds in _AGES.items()}, "30d, 12h, 45m or 2w")


def _quantity(text: str, units: Mapping[str, float], expected: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in units:
        raise ConfigurationError(f"{text!r}: expected a number and a unit, such as {expected}.")
    return float(match[1]) * units[match[2].upper()]


def size_text(size: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def mark_used(file: Path) -> None:
    """Note that what a file belongs to is used now; a cache that may only be read stays as it is."""
    with suppress(OSError):
        os.utime(file)


def cache_entries() -> list[CacheEntry]:
    """Return what the cache holds, by kind and then by last use, the latest first."""
    folder = cache_folder()
    entries = [*_artifacts(folder), *_sources(folder), *_notes(folder)]
    return sorted(entries, key=lambda entry: (entry.kind, -entry.used, entry.path))


def _artifacts(folder: Path) -> Iterator[CacheEntry]:
    homes = [lock.parent for lock in sorted(folder.glob(f"*/*/{LOCK_FILE}"))]
    identities = {home: _identity(home) for home in homes}
    outdated = {
        home.name
        for home, identity in identities.items()
        if identity is None
        or artifact_key(identity) != home.name
        or not _installed(identity.get("versions", {}))
    }
    for home, identity in identities.items():
        # Predictions name the tagger that they are of, and have no versions of their own.
        of_outdated = not outdated.isdisjoint(v for v in (identity or {}).values() if isinstance(v, str))
        unfinished = identity is None and (home / "unfinished").is_dir()
        current = unfinished or (home.name not in outdated and not of_outdated)
        yield from _entry(
            home.parent.name, home, current, [home / RECORD_FILE] if identity is not None else []
        )


def _entry(kind: str, path: Path, current: bool, dated: Sequence[Path] = ()) -> Iterator[CacheEntry]:
    """Yield what lies at a path, if anything; it was used when some files were written, its own if not given."""
    inside = [path] if path.is_file() else path.rglob("*")
    files = [file for file in inside if file.is_file() and file.name != LOCK_FILE]
    if files:
        size = sum(file.lstat().st_size for file in files if file.exists())
        used = max((file.stat().st_mtime for file in dated or files if file.exists()), default=0.0)
        yield CacheEntry(kind, path, size, used, current)


def read_record(file: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the identity of an artifact, and the sizes of its files.

    Raises:
        ConfigurationError: the record is missing or damaged.
    """
    record = read_json(file)
    identity = from_plain(dict[str, Any], record.get("identity"), "identity")
    return identity, from_plain(dict[str, int], record.get("files"), "files")


def _identity(home: Path) -> dict[str, Any] | None:
    try:
        return read_record(home / RECORD_FILE)[0]
    except ConfigurationError:
        return None


def _installed(versions: Any) -> bool:
    try:
        return all(version(name) == wanted for name, wanted in dict(versions).items())
    except (PackageNotFoundError, TypeError, ValueError):
        return False


def _sources(folder: Path) -> Iterator[CacheEntry]:
    # Before each folder was named by its code, "generator" stood in its place.
    for pattern in (f"{SOURCES}/*/generator/*", f"{SOURCES}/generator/*"):
        for place in sorted(folder.glob(pattern)):
            dated = [place, *(file for file in place.rglob("*") if file.is_file())]
            yield from _entry(SOURCES, place, place.parents[1].name == reading_code(), dated)


def _notes(folder: Path) -> Iterator[CacheEntry]:
    for file in sorted(folder.glob("hub/*")):
        yield from _entry("hub", file, current=True)


def choose_entries(
    entries: Sequence[CacheEntry],
    *,
    older_than: float | None = None,
    max_size: int | None = None,
    other_versions: bool = False,
) -> list[CacheEntry]:
    """Return the entries to remove, those that were not used for longest first.

    Those go that were not used for so many seconds, that only other versions can use, and
    then as many as it takes to leave at most so many bytes.
    """
    oldest_first = sorted(entries, key=lambda entry: (entry.used, entry.path))
    now, left = time.time(), sum(entry.size for entry in entries)
    chosen = []
    for entry in oldest_first:
        aged = older_than is not None and now - entry.used > older_than
        if aged or (other_versions and not entry.current):
            chosen.append(entry)
            left -= entry.size
    for entry in oldest_first:
        if max_size is not None and left > max_size and entry not in chosen:
            chosen.append(entry)
            left -= entry.size
    return chosen


def _remove(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
    elif (path / LOCK_FILE).exists():
        # The record first: without it the rest counts for nothing. The lock stays, as others may wait for it.
        for part in sorted(path.iterdir(), key=lambda part: part.name != RECORD_FILE):
            if part.name != LOCK_FILE:
                _remove(part)
    else:
        shutil.rmtree(path)


def keep_bound() -> None:
    """Remove what was not used for longest where the cache holds more than ``ESNERA_CACHE_MAX_SIZE``.

    Nothing that was used within a day is removed: a run that goes on may need it.
    """
    text = os.environ.get(BOUND_VARIABLE)
    if not text:
        return
    try:
        bound = parse_size(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{BOUND_VARIABLE}: {error}") from None
    entries = cache_entries()
    recent = [entry for entry in entries if time.time() - entry.used < DAY]
    older = [entry for entry in entries if entry not in recent]
    needed = sum(entry.size for entry in recent)
    chosen = choose_entries(older, max_size=max(bound - needed, 0))
    removed = [entry for entry in chosen if entry.remove()]
    if removed:
        size = size_text(sum(entry.size for entry in removed))
        say(f"removed {len(removed):,} results of {size} from the cache, as {BOUND_VARIABLE}={text} says")
    if needed > bound:
        say(
            f"the cache holds {size_text(needed)}, more than {BOUND_VARIABLE}={text}; all of it was used within a day "
            "and stays. `esnera-hf cache prune` removes it.",
            "warning",
        )
