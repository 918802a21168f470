"""Archives, unpacked into a folder for as long as they are read."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from esnera_hf.disk import write_problem
from esnera_hf.errors import SourceError

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_LARGEST_ARCHIVE = 8 << 30


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give a file or folder as it is, an archive as a folder that lasts as long as the context.

    Raises:
        SourceError: the archive is damaged or encrypted, holds paths that lead
            outside, or would unpack to more than 8 GiB.
    """
    if not path.is_file() or not path.name.lower().endswith(_ARCHIVES):
        yield path
        return
    with TemporaryDirectory(prefix="esnera-") as folder:
        try:
            _unpack(path, Path(folder))
        # zipfile raises RuntimeError for encrypted members and unknown compression
        except (
            tarfile.TarError,
            zipfile.BadZipFile,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            RuntimeError,
        ) as error:
            raise SourceError(
                f"{path}: the archive cannot be unpacked: {error}. "
                "Fetch it again, or unpack it yourself and pass the folder."
            ) from error
        except OSError as error:
            if problem := write_problem(error, Path(folder)):
                raise SourceError(
                    f"{path}: the archive cannot be unpacked into {folder}: {problem}. Make room, or set TMPDIR to "
                    "a folder with more."
                ) from error
            if error.errno is not None:
                raise
            raise SourceError(f"{path}: the archive is damaged: {error}. Fetch it again.") from error
        yield Path(folder)


def _unpack(path: Path, folder: Path) -> None:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check(path, sum(member.file_size for member in members), (member.filename for member in members))
            archive.extractall(folder)
    else:
        with tarfile.open(path) as tar:
            files = tar.getmembers()
            _check(path, sum(member.size for member in files), (member.name for member in files))
            tar.extractall(folder, filter="data")
            _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Read on to the end: to tarfile a damaged header is the end, and damaged bytes are sound until there.

    Raises:
        tarfile.ReadError, OSError, zlib.error, lzma.LZMAError, EOFError: the archive is damaged.
    """
    file: Any = tar.fileobj
    file.seek(tar.offset)
    while chunk := file.read(1 << 20):
        if chunk.strip(b"\0"):
            raise tarfile.ReadError("a part of it is damaged, and what lies behind that was not read")


def _check(path: Path, size: int, names: Iterable[str]) -> None:
    if size > _LARGEST_ARCHIVE:
        raise SourceError(
            f"{path}: would unpack to {size >> 30} GiB. Unpack it yourself and pass the folder."
        )
    for name in names:
        inside = PurePosixPath(name.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts:
            raise SourceError(f"{path}: holds {name!r}, which leads outside the archive. Do not trust it.")
