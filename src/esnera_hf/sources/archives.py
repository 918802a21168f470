"""Archives, unpacked into a folder for as long as they are read; what tells the content of files."""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from esnera_hf.disk import write_problem
from esnera_hf.errors import SourceError

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
#: Bytes; more is a mistake or a bomb, and whoever means it can unpack it.
_LARGEST_ARCHIVE = 8 << 30
#: Bytes of files that are read in about half a second: less is not worth a copy in the cache.
_WORTH_CACHING = 1 << 20


def content_digest(path: Path) -> str | None:
    """Return a digest of the names and bytes of a file or folder; ``None`` where it is small or cannot be read."""
    digest = hashlib.sha256()
    try:
        files = sorted(file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
        if sum(file.stat().st_size for file in files) < _WORTH_CACHING:
            return None
        for file in files:
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{file.relative_to(path.parent)}\0{content}\0".encode("utf-8", "surrogateescape"))
    except OSError:  # perhaps of a file that holds no data
        return None
    return digest.hexdigest()


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
        except (*_DAMAGE, RuntimeError, OSError) as error:
            if problem := write_problem(error, Path(folder)):
                raise SourceError(
                    f"{path}: the archive cannot be unpacked into {folder}: {problem}. Make room, or set TMPDIR to "
                    "a folder with more."
                ) from error
            if isinstance(error, SourceError) or getattr(error, "errno", None) is not None:
                raise
            raise SourceError(
                f"{path}: the archive cannot be unpacked: {error}. "
                "Fetch it again, or unpack it yourself and pass the folder."
            ) from error
        yield Path(folder)


def _unpack(path: Path, folder: Path) -> None:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            _check(path, {member.filename: member.file_size for member in archive.infolist()})
            archive.extractall(folder)
        return
    with tarfile.open(path) as tar:
        _check(path, {member.name: member.size for member in tar.getmembers()})
        tar.extractall(folder, filter="data")
        # To tarfile a damaged header is the end, and damaged bytes are sound until there.
        file: Any = tar.fileobj
        file.seek(tar.offset)
        while chunk := file.read(1 << 20):
            if chunk.strip(b"\0"):
                raise tarfile.ReadError("a part of it is damaged, and what lies behind that was not read")


def _check(path: Path, sizes: Mapping[str, int]) -> None:
    if sum(sizes.values()) > _LARGEST_ARCHIVE:
        raise SourceError(
            f"{path}: would unpack to {sum(sizes.values()) >> 30} GiB. Unpack it yourself and pass the folder."
        )
    for name in sizes:
        inside = PurePosixPath(name.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts:
            raise SourceError(f"{path}: holds {name!r}, which leads outside the archive. Do not trust it.")
