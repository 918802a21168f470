"""Artifacts in the cache: trained taggers and their predictions, in folders named by what decides their content."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from filelock import FileLock, Timeout

from esnera_hf._internal.cache_contents import (
    CACHE_VARIABLE,
    LOCK_FILE,
    RECORD_FILE,
    artifact_key,
    cache_folder,
    keep_bound,
    mark_used,
    read_record,
)
from esnera_hf._internal.checks import from_plain
from esnera_hf._internal.console import say
from esnera_hf._internal.files import write_problem
from esnera_hf.errors import ConfigurationError

#: What files that are damaged make json, numpy, pyarrow and safetensors raise.
_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RecursionError,
    BadZipFile,
    zlib.error,
)
#: Seconds after which whoever waits for another process is told so.
_WAIT = 2.0


class Artifact:
    """A folder of files that are made once.

    It lies in the folder of its kind. Its identity is everything that decides its
    content, as JSON can hold it; ``key`` is a digest of that.
    """

    def __init__(self, kind: str, identity: Mapping[str, Any]) -> None:
        self.kind, self.identity, self.key = kind, identity, artifact_key(identity)

    @property
    def folder(self) -> Path:
        """The folder of its files, once they are made."""
        return self._home / "made"

    @property
    def unfinished(self) -> Path:
        """A folder for what is needed to go on after an interruption."""
        return self._home / "unfinished"

    @property
    def exists(self) -> bool:
        """Whether it has been made and all its files are there in their sizes; who asks is about to use it."""
        there = self.folder.is_dir() and not self._damage()
        if there:
            mark_used(self._home / RECORD_FILE)
        return there

    def make(self, fill: Callable[[Path], None]) -> bool:
        """Make the artifact unless it is there; return whether it had to be made.

        It is written aside, into the empty folder that ``fill`` is given, and renamed
        into place. A second process that wants the same artifact waits and takes it. One
        with missing or shortened files is thrown away and made again, with a warning.

        Raises:
            ConfigurationError: the cache cannot be written to; nothing half-written stays.
        """
        if self.exists:
            if self.unfinished.exists():  # the process was killed between the last two steps of _fill
                shutil.rmtree(self.unfinished, ignore_errors=True)
            return False
        with ExitStack() as stack:
            stack.push(self._explain_unwritable)
            self._home.mkdir(parents=True, exist_ok=True)
            with _locked(self._home / LOCK_FILE, f"{self.kind}/{self.key}"):
                if self.exists:
                    return False
                if self.folder.is_dir():
                    say(f"{self.folder} is damaged: {self._damage()}. It is made again.", "warning")
                    shutil.rmtree(self.folder)
                self._say_other_versions()
                self._fill(fill)
        keep_bound()
        return True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Say which artifact it is that does not load, instead of any error about the content of files."""
        try:
            yield
        except _DAMAGE as error:
            raise ConfigurationError(
                f"{self.folder} cannot be read: {type(error).__name__}: {error}. Delete {self._home} and run the same "
                "command again: it makes the files anew. If this happens often, check the disk."
            ) from error

    @property
    def _home(self) -> Path:
        return cache_folder() / self.kind / self.key

    def _damage(self) -> str:
        try:
            listed = read_record(self._home / RECORD_FILE)[1]
        except ConfigurationError as error:
            return f"{RECORD_FILE} cannot be read ({str(error)[:200]})"
        sizes = _sizes(self.folder)
        wrong = sorted(name for name in {*listed, *sizes} if sizes.get(name) != listed.get(name))
        return f"{', '.join(wrong)}: missing, added, or not of the size that was written" if wrong else ""

    def _fill(self, fill: Callable[[Path], None]) -> None:
        staging = self._home / "staging"
        shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
        record = self._home / f"{RECORD_FILE}.new"
        staging.mkdir()
        try:
            fill(staging)
            facts = {"identity": self.identity, "files": _sizes(staging)}
            record.write_text(json.dumps(facts, indent=1), encoding="utf-8")
            # The folder comes last: without it, the record counts for nothing.
            record.replace(self._home / RECORD_FILE)
            staging.rename(self.folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            record.unlink(missing_ok=True)
        shutil.rmtree(self.unfinished, ignore_errors=True)

    def _say_other_versions(self) -> None:
        """Tell why a tagger that seems to be there is trained again: other libraries made it."""
        own: dict[str, Any] = json.loads(json.dumps(self.identity))
        ours = own.pop("versions", {})
        for file in sorted(self._home.parent.glob(f"*/{RECORD_FILE}")):
            try:
                other = read_record(file)[0]
                theirs = from_plain(dict[str, str], other.pop("versions", {}), "versions")
            except ConfigurationError:
                continue
            if theirs != ours and other == own:
                names = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
                changed = (f"{name} {theirs.get(name)}, now {ours.get(name)}" for name in names)
                say(
                    f"{file.parent / 'made'} was made by other versions of the libraries ({', '.join(changed)}): "
                    "it is not used."
                )

    def _explain_unwritable(self, kind: object, error: BaseException | None, traceback: object) -> None:
        # That a disk is full torch, safetensors and pyarrow say in classes of their own, and tokenizers by Exception
        # itself: an error is looked at as it passes, not caught.
        if why := write_problem(error, cache_folder()):
            raise ConfigurationError(
                f"the cache cannot be written to, at {self._home}: {why}. Free space there, or allow writing, or set "
                f"{CACHE_VARIABLE} to a folder elsewhere. What was finished before is kept, and the same command goes "
                "on from there."
            ) from error


def _sizes(folder: Path) -> dict[str, int]:
    """Return the size in bytes of each file below a folder, hidden ones left out: file managers leave those."""
    return {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    }


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
