"""Text files as they come: byte order marks, foreign line ends, undecodable bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from esnera_hf.errors import SourceError


class Line(NamedTuple):
    """One line without its line end; ``number`` counts from 1; ``damaged`` where bytes were not UTF-8."""

    number: int
    text: str
    damaged: bool


UNDECODABLE = "bytes that are not UTF-8, read as U+FFFD"


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a UTF-8 file.

    Lines end at LF or CRLF only: other separators that ``str.splitlines``
    honours (U+0085, U+2028) occur inside real tokens.

    Raises:
        SourceError: the file is empty or holds NUL bytes (it is no text).
    """
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty. Expected annotated sentences.")
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            if b"\0" in raw:
                raise SourceError(f"{path}, line {number}: a NUL byte. Expected a text file in UTF-8.")
            data = raw.removesuffix(b"\n").removesuffix(b"\r")
            if number == 1:
                data = data.removeprefix(b"\xef\xbb\xbf")
            try:
                yield Line(number, data.decode("utf-8"), damaged=False)
            except UnicodeDecodeError:
                yield Line(number, data.decode("utf-8", errors="replace"), damaged=True)
