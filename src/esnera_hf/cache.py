"""What takes long is made once: artefacts in folders named by everything that decides their content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from esnera_hf.console import say
from esnera_hf.disk import write_problem
from esnera_hf.errors import CacheError
from esnera_hf.manifest import Manifest

CACHE_VARIABLE = "ESNERA_CACHE_DIR"
#: Of the artefacts: they are found again only by versions of this package that write the same.
CACHE_FORMAT = 2
_MANIFEST_FILE = "manifest.json"
_WAIT = 2.0


def cache_folder() -> Path:
    """Return the folder for artefacts: ``ESNERA_CACHE_DIR``, else ``~/.cache/esnera_hf``."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "esnera_hf")


@dataclass(frozen=True)
class Artefact:
    """Something that is made once and kept.

    Attributes:
        kind: the folder it is kept in.
        identity: everything that decides its content, as JSON can hold it.
    """

    kind: str
    identity: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """A digest of the identity and of the format it is kept in."""
        return digest_of({"format": CACHE_FORMAT, "identity": self.identity})

    @property
    def folder(self) -> Path:
        """Where the artefact lies once it is made."""
        return self._home / "made"

    @property
    def unfinished(self) -> Path:
        """Where whoever makes it may keep what is needed to go on after an interruption."""
        return self._home / "unfinished"

    @property
    def _home(self) -> Path:
        return cache_folder() / self.kind / self.key

    @property
    def exists(self) -> bool:
        """Whether it has been made and is whole."""
        return self.folder.is_dir() and not self.damage

    @property
    def damage(self) -> str:
        """What is wrong with it, where it has been made; ``""`` if nothing is."""
        try:
            text = (self._home / _MANIFEST_FILE).read_text(encoding="utf-8")
            record = json.loads(text)
            if text != _record_text(record):
                return f"{_MANIFEST_FILE} holds other bytes than were written"
            if record["format"] != CACHE_FORMAT or record["identity"] != _plain(self.identity):
                return f"{_MANIFEST_FILE} tells of something else"
            return Manifest.from_dict(record["files"]).damage(self.folder)
        except FileNotFoundError as error:
            return f"missing: {Path(error.filename).name}"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{_MANIFEST_FILE} cannot be read ({type(error).__name__}: {error})"

    def make(self, fill: Callable[[Path], None]) -> bool:
        """Make the artefact unless it is there; return whether it had to be made.

        It is written aside and renamed into place. A second process that wants
        the same artefact waits and takes it. One that is damaged is thrown away
        and made again, which is said.

        Args:
            fill: writes the artefact into the empty folder it is given.

        Raises:
            CacheError: the cache cannot be written to; nothing half-written stays.
        """
        if self.exists:
            if self.unfinished.exists():  # killed between the last two steps of making it
                shutil.rmtree(self.unfinished, ignore_errors=True)
            return False
        with _Writing(self):
            self._home.mkdir(parents=True, exist_ok=True)
            with _locked(self._home / "lock", f"{self.kind}/{self.key}"):
                if self.exists:
                    return False
                self._clear()
                self._fill(fill)
        return True

    def _clear(self) -> None:
        """Throw away what is there and cannot be used, and say why nothing is taken from the cache."""
        if self.folder.is_dir():
            say(
                f"WARNING: {self.folder} is damaged: {self.damage}. It is not used: it is thrown away and made "
                "again. If this happens often, check the disk."
            )
            shutil.rmtree(self.folder)
        for note in self._notes_on_others():
            say(note)

    def _fill(self, fill: Callable[[Path], None]) -> None:
        for left in self._home.glob("staging*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        staging = self._home / "staging"
        record = self._home / f"{_MANIFEST_FILE}.new"
        staging.mkdir()
        try:
            fill(staging)
            facts = {"format": CACHE_FORMAT, "identity": self.identity}
            files = Manifest.of(staging).to_dict()
            record.write_text(_record_text({**facts, "files": files}), encoding="utf-8")
            record.replace(self._home / _MANIFEST_FILE)
            staging.rename(self.folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)  # there only if something went wrong
            record.unlink(missing_ok=True)
        shutil.rmtree(self.unfinished, ignore_errors=True)

    def _notes_on_others(self) -> Iterator[str]:
        """Yield why what looks like this artefact is not used: other versions made it."""
        first = cache_folder() / self.kind / digest_of(self.identity)  # format 1 had no manifests
        if (first / "made").is_dir():
            yield _other_format(first, "format 1")
        for file in sorted(self._home.parent.glob(f"*/{_MANIFEST_FILE}")):
            try:
                record = json.loads(file.read_text(encoding="utf-8"))
                other, made_in = dict(record["identity"]), record["format"]
            except (OSError, ValueError, KeyError, TypeError):
                continue  # it is looked at, and spoken of, by whoever wants to use it
            if file.parent == self._home or _versionless(other) != _versionless(_plain(self.identity)):
                continue
            if made_in != CACHE_FORMAT:
                yield _other_format(file.parent, f"format {made_in}")
            elif other != _plain(self.identity):
                yield (
                    f"{file.parent / 'made'} was made by other versions of the libraries "
                    f"({_differing(other['versions'], self.identity['versions'])}): it is not used."
                )


class _Writing:
    """Explains errors of a place that cannot be written to.

    Args:
        artefact: what is written.
    """

    def __init__(self, artefact: Artefact) -> None:
        self.artefact = artefact

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        why = write_problem(error, cache_folder())
        if not why:
            return
        folder = self.artefact.folder
        damaged = f" What is there is damaged: {self.artefact.damage}." if folder.is_dir() else ""
        raise CacheError(
            f"the cache cannot be written to, at {folder.parent}: {why}.{damaged} Free space there, or allow "
            f"writing, or set {CACHE_VARIABLE} to a folder elsewhere. What was finished before is kept, and "
            "the same command goes on from there."
        ) from error


def digest_of(data: object) -> str:
    """Return a digest of plain data."""
    text = json.dumps(data, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@contextmanager
def _locked(file: Path, what: str) -> Iterator[None]:
    lock = FileLock(file)
    try:
        lock.acquire(timeout=_WAIT)
    except Timeout:
        say(f"waiting for another process, which is making {what}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _record_text(record: Mapping[str, Any]) -> str:
    """Return what the file of a record holds, with a digest of its own, so that no bit of it can flip unseen."""
    facts = {name: value for name, value in record.items() if name != "digest"}
    return json.dumps({**facts, "digest": digest_of(facts)}, indent=1) + "\n"


def _plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity as its file gives it back."""
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def _versionless(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name != "versions"}


def _differing(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    names = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
    return ", ".join(f"{name} {theirs.get(name)}, now {ours.get(name)}" for name in names)


def _other_format(home: Path, made_in: str) -> str:
    return (
        f"{home / 'made'} was written in {made_in} of the cache by another version of this package, which now "
        f"has format {CACHE_FORMAT}: it is not used. You may delete it."
    )
