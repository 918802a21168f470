"""Archives, unpacked into a folder for as long as they are read; members and bytes are counted while they come."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

from esnera_hf._internal.files import write_problem
from esnera_hf.errors import SourceError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
#: zipfile raises RuntimeError for encrypted members and NotImplementedError for unknown compression.
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, RuntimeError, OSError, ValueError),
)
#: Bytes and members; more is a mistake or a bomb, and whoever means it can unpack it. The largest corpus known here has
#: 14,000 files; members without content cost a millisecond each.
_LARGEST = 8 << 30
_MOST_MEMBERS = 20_000
_BLOCK = 1 << 20
#: Bytes of a header, such as a long name, and of padding; those of GNU tar have thousands.
_LARGEST_HEADER = 32 << 20
_COMPRESSIONS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give a file or folder as it is, an archive as a folder that lasts as long as the context.

    Raises:
        SourceError: the archive is damaged or encrypted, holds paths that lead
            outside or stand twice, more than 20,000 members, or more than 8 GiB.
    """
    if not path.is_file() or not path.name.lower().endswith(SUFFIXES):
        yield path
        return
    with TemporaryDirectory(prefix="esnera-") as folder:
        try:
            _unpack(path, Path(folder))
        except SourceError:
            raise
        except _DAMAGE as error:
            if problem := write_problem(error, Path(folder)):
                raise SourceError(
                    f"{path}: the archive cannot be unpacked into {folder}: {problem}. Make room, or set TMPDIR to a "
                    "folder with more; if a name in it is the trouble, unpack it yourself and pass the folder."
                ) from error
            raise SourceError(
                f"{path}: the archive cannot be unpacked: {error}. Fetch it again, or unpack it yourself and pass "
                "the folder."
            ) from error
        yield Path(folder)


class _Counter:
    """Counts what comes out of an archive and refuses too much, before it is written."""

    def __init__(self, path: Path) -> None:
        self.path, self.names, self.bytes = path, set[str](), 0

    def member(self, name: str, size: int) -> None:
        """Count a member by its header; raise if it is one too many."""
        inside = PurePosixPath(name.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts:
            raise SourceError(
                f"{self.path}: holds {name!r:.200}, which leads outside the archive. Do not trust it."
            )
        if str(inside) in self.names:
            raise SourceError(
                f"{self.path}: holds {name!r:.200} twice. Unpack it yourself, keep one, and pass the folder."
            )
        self.names.add(str(inside))
        if len(self.names) > _MOST_MEMBERS:
            raise SourceError(
                f"{self.path}: holds more than {_MOST_MEMBERS:,} members. Unpack it yourself and pass the folder."
            )
        self.bytes += size
        if self.bytes > _LARGEST:
            raise SourceError(
                f"{self.path}: would unpack to more than {_LARGEST >> 30} GiB. Unpack it yourself and pass the folder."
            )


class _Stream:
    """What tarfile reads of an archive, which for a header takes as much into memory as the header says."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.tell, self.seek = stream.tell, stream.seek

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._stream.read(size)


def _unpack(path: Path, folder: Path) -> None:
    counter = _Counter(path)
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                counter.member(entry.filename, entry.file_size)
            archive.extractall(folder)
        return
    with path.open("rb") as raw:
        begin = raw.read(8)
    decompress = next((kind for magic, kind in _COMPRESSIONS.items() if begin.startswith(magic)), open)
    with decompress(path, "rb") as stream, tarfile.open(fileobj=cast(Any, _Stream(stream)), mode="r:") as tar:
        # By their headers: nothing is unpacked yet, and of an archive that is refused nothing ever is.
        for member in tar:
            counter.member(member.name, member.size)
        # The filter refuses links that lead outside, devices and absolute names.
        tar.extractall(folder, filter="data")
        _check_rest(stream, tar.offset)


def _check_rest(stream: IO[bytes], end: int) -> None:
    """Check that nothing but padding follows; to tarfile a damaged header is the end."""
    stream.seek(end)
    padding = 0
    while chunk := stream.read(_BLOCK):
        padding += len(chunk)
        if chunk.strip(b"\0"):
            raise tarfile.ReadError("a part of it is damaged, and what lies behind that was not read")
        if padding > _LARGEST_HEADER:
            raise tarfile.ReadError(
                f"more than {_LARGEST_HEADER >> 20} MiB of nothing behind its last member"
            )
