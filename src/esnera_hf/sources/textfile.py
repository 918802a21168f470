"""Text files as they come: byte order marks, foreign line ends, undecodable bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from esnera_hf.errors import SourceError


class Line(NamedTuple):
    """One line without its line end; ``number`` counts from 1; ``damaged`` where bytes were not UTF-8."""

    number: int
    text: str
    damaged: bool


UNDECODABLE = "bytes that are not UTF-8, read as U+FFFD"


#: Files with these suffixes are unpacked while they are read.
COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_OTHER_ENCODINGS = ("gb18030", "big5", "shift_jis", "euc_kr", "cp1252")
_SNIFFED = 200


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a UTF-8 file, unpacked if it is compressed.

    Lines end at LF or CRLF only: other separators that ``str.splitlines``
    honours (U+0085, U+2028) occur inside real tokens.

    Raises:
        SourceError: the file is empty, holds NUL bytes (it is no text), is
            damaged, or is in another encoding throughout.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty. Expected annotated sentences.")
    try:
        with _open(path) as stream:
            _check_encoding(path, list(islice(stream, _SNIFFED)))
        with _open(path) as stream:
            for number, raw in enumerate(stream, 1):
                yield _decode(path, number, raw)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise SourceError(f"{path}: the compressed file is damaged: {error}. Fetch it again.") from error


def _open(path: Path) -> IO[bytes]:
    stream: IO[bytes] = COMPRESSED.get(path.suffix.lower(), open)(path, "rb")
    return stream


def _decode(path: Path, number: int, raw: bytes) -> Line:
    if b"\0" in raw:
        raise SourceError(
            f"{path}, line {number}: a NUL byte. Expected a text file in UTF-8; UTF-16 can be converted "
            "with `iconv -f utf-16 -t utf-8`."
        )
    data = raw.removesuffix(b"\n").removesuffix(b"\r")
    if number == 1:
        data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return Line(number, data.decode("utf-8"), damaged=False)
    except UnicodeDecodeError:
        return Line(number, data.decode("utf-8", errors="replace"), damaged=True)


def _check_encoding(path: Path, lines: list[bytes]) -> None:
    foreign = [line for line in lines if not line.isascii()]
    broken = [line for line in foreign if not _decodes(line, "utf-8")]
    if len(broken) > 5 and 2 * len(broken) > len(foreign):
        likely = next(
            (name for name in _OTHER_ENCODINGS if all(_decodes(x, name) for x in broken)), "unknown"
        )
        raise SourceError(
            f"{path}: not UTF-8, most lines cannot be read (perhaps {likely}). Convert it: "
            f"`iconv -f {likely} -t utf-8`."
        )


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
