"""Folders that appear when all is written, and errors of writing: full disks, refusals, killed processes."""

from __future__ import annotations

import errno
import glob
import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esnera_hf.errors import ConfigurationError, EsneraError

#: Errors of a disk where nothing more can be written, and of a folder that refuses.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR, errno.EEXIST)
#: Bytes that a file system takes for a name, and those that the hidden folder adds to it.
_LONGEST_NAME = 255
_STAGING_LENGTH = len(f".esnera--{platform.node()}-{1 << 22}-") + 8
#: torch raises a RuntimeError that has no number.
_TORCH_WRITE_ERRORS = ("PytorchStreamWriter failed writing file", ". unexpected pos ")


def write_problem(error: BaseException | None, place: Path) -> str:
    """Say why writing to a folder failed, if an error is about that; ``""`` if it is about something else.

    Refusals elsewhere, such as of a file that is read, are something else.
    """
    if not isinstance(error, Exception) or isinstance(error, EsneraError):
        return ""
    if isinstance(error, OSError):
        name = error.filename if error.filename2 is None else error.filename2
        where = "" if name is None else os.fsdecode(name)
        inside = bool(where) and Path(where).absolute().is_relative_to(place.absolute())
        if error.errno in _FULL or (error.errno in _REFUSED and inside):
            return os.strerror(error.errno) + (f" ({where})" if where else "")
    # Libraries that are not written in Python put it into words.
    text = str(error)
    if any(words in text for words in _TORCH_WRITE_ERRORS):
        return "a file could not be written"
    return next((words for words in map(os.strerror, _FULL) if words in text), "")


def staging_folder(target: Path) -> Path:
    """Make a hidden folder beside a folder that is to be written, and clear away those of killed processes."""
    prefix = f".esnera-{target.name}-{platform.node()}-"
    for left in target.parent.glob(f"{glob.escape(prefix)}*"):
        process = left.name.removeprefix(prefix).partition("-")[0]
        if process.isdecimal() and not _runs(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    # Not by tempfile, whose folders only their owner may open: this one follows the umask.
    folder = target.parent / f"{prefix}{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir()
    return folder


def _runs(process: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is no question
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        pass
    return True


def check_free(path: Path) -> None:
    """Check that an output folder is not there yet, and that it can be made."""
    # os.path says of names that are too long that nothing is there, where Path raises.
    if os.path.lexists(path):
        raise _taken(path)
    longest = max(len(part.encode("utf-8", "surrogatepass")) for part in path.absolute().parts)
    if longest > _LONGEST_NAME - _STAGING_LENGTH or any(
        c == "\0" or "\ud800" <= c < "\udc80" for c in str(path)
    ):
        raise ConfigurationError(
            f"{str(path)[:80]!a}: expected a name of at most {_LONGEST_NAME - _STAGING_LENGTH} bytes, without NUL. "
            "Choose another one."
        )
    parent = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ConfigurationError(f"{path}: {parent} is no folder that can be written to. Choose another one.")


def _taken(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} exists already; nothing was written. Choose another name or remove it yourself."
    )


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes ``target`` at the end and vanishes if anything goes wrong.

    Raises:
        ConfigurationError: ``target`` exists; nothing is written. Where another process made it meanwhile, what was
            written stays beside it, under a name that the message says.
        ConfigurationError: it cannot be written to; nothing half-written stays.
    """
    check_free(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = staging_folder(target)
    try:
        yield staging
        _follow_umask(staging)
        _put_in_place(staging, target)
    except OSError as error:
        why = write_problem(error, target.parent)
        if not why:
            raise
        raise ConfigurationError(
            f"{target} cannot be written: {why}. Nothing was left there. Free space or choose another folder, and "
            "run the same again: finished trainings are kept."
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)  # there only if something went wrong


@contextmanager
def _written_aside(file: Path, content: bytes) -> Iterator[Path]:
    """Give a hidden file beside another one, with its content down on the disk, which is gone afterwards."""
    staging = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        with staging.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield staging
    finally:
        staging.unlink(missing_ok=True)


def replace_file(file: Path, text: str) -> None:
    """Write a text file in one go: whoever reads it finds the old text or the new one, never half of it."""
    with _written_aside(file, text.encode("utf-8")) as staging:
        staging.replace(file)


def check_new_file(file: Path, suffix: str) -> None:
    """Check that a file is not there yet, can be made, and has the ending that it is told by."""
    if file.suffix != suffix:
        raise ConfigurationError(f"{file}: expected a name that ends in {suffix}. Add it.")
    check_free(file)


def write_new_file(file: Path, content: bytes) -> None:
    """Write a file that is not there yet: it is complete or not there.

    Raises:
        ConfigurationError: it exists, or cannot be written; nothing half-written stays.
    """
    check_free(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _written_aside(file, content) as staging:
            try:
                os.link(staging, file)  # unlike a renaming, it replaces no file that came meanwhile
            except FileExistsError:
                raise
            except OSError:  # no hard links on this file system, as on exFAT: the name is taken first
                file.open("xb").close()
                staging.replace(file)
    except FileExistsError as error:
        raise _taken(file) from error
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be written: {error.strerror or error}. Nothing was left there. Choose another place."
        ) from error


def _follow_umask(folder: Path) -> None:
    """Give files the rights of a file that is made here; libraries write some for their owner alone."""
    rights = folder.stat().st_mode & 0o666
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(rights)


def _put_in_place(staging: Path, target: Path) -> None:
    # A folder that another process has put there meanwhile, even an empty one, is neither replaced nor mixed with.
    if not os.path.lexists(target):
        try:
            staging.rename(target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
                raise
    other = target.with_name(f"{target.name}-{secrets.token_hex(4)}")
    staging.rename(other)
    raise ConfigurationError(
        f"{target} was made by another process meanwhile, and is left as it is. What was to be written there is in "
        f"{other}. Rename it as you like."
    )
