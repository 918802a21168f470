"""Text files: compression, byte order marks, line ends, undecodable bytes."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, cast

from esnera_hf.errors import SourceError

#: The number of a line from 1, its text without line end, and whether bytes of it were not UTF-8.
Line = tuple[int, str, bool]

#: The number of a line, its cells, and whether bytes of it were not UTF-8.
Row = tuple[int, list[str], bool]

UNDECODABLE = "bytes that are not UTF-8, read as Windows-1252 where that gives words, else as U+FFFD"

#: Files with these suffixes are unpacked while they are read.
COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_OTHER_ENCODINGS = ("gb18030", "big5", "shift_jis", "euc_kr", "cp1252")
_SNIFFED = 200
_SURROGATE = re.compile(r"[\ud800-\udfff]")
#: What spreadsheets and editors on Windows begin UTF-16 with; without it nothing tells UTF-16 from other bytes.
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: Of Windows-1252, which extends Latin-1: what texts in English have of other languages, and marks of typography.
_WESTERN_LETTERS = frozenset("àáâãäåæçèéêëìíîïñòóôõöøœùúûüÿßÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØŒÙÚÛÜ")
_WESTERN_MARKS = frozenset("‘’“”–—…€£§°·«»½²³™®©\xa0¿¡")


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file in UTF-8, or UTF-16 with a byte order mark, unpacked if it is compressed.

    Lines end at LF or CRLF only: other separators that ``str.splitlines``
    honours (U+0085, U+2028) occur inside real tokens.

    Raises:
        SourceError: the file is empty, holds NUL bytes (it is no text), is
            damaged, or is in another encoding throughout.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty. Expected annotated sentences.")
    try:
        with open_file(path) as stream:
            is_utf8 = _check_encoding(path, list(islice(_raw_lines(stream), _SNIFFED)))
        with open_file(path) as stream:
            for number, raw in enumerate(_raw_lines(stream), 1):
                yield _decode(path, number, raw, western=not is_utf8)
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: the UTF-16 is damaged: {error.reason}. Fetch it again.") from None
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the file system; damaged gzip and bzip2 streams raise OSError without a number
        raise SourceError(f"{path}: the compressed file is damaged: {error}. Fetch it again.") from error


def read_blocks(path: Path, cells_of: Callable[[str, str], list[str] | None]) -> Iterator[list[Row]]:
    """Yield the rows between blank lines, without comments.

    Args:
        path: a file in which comments begin with ``#``.
        cells_of: gives the cells of a line, whose file and number messages name; ``None`` for a line to be passed over.
    """
    rows: list[Row] = []
    for number, text, damaged in read_lines(path):
        if not text.strip():
            if rows:
                yield rows
            rows = []
        elif not text.startswith("#") and (cells := cells_of(text, f"{path}, line {number}")) is not None:
            rows.append((number, cells, damaged))
    if rows:
        yield rows


def check_characters(text: str, place: str) -> None:
    """Check that no half of a character beyond the BMP stands in a text: no file and no Arrow column can hold it.

    Raises:
        SourceError: one does, as JSON and Python write it by an escape.
    """
    if _SURROGATE.search(text):
        raise SourceError(f"{place}: half of a surrogate pair is no character. Mend the \\u escapes.")


def marks_of(path: Path) -> list[str]:
    """Return what an uncompressed text file begins and ends its lines with, where that is not plain LF."""
    if path.suffix.lower() in COMPRESSED:
        return []
    with path.open("rb") as stream:
        first = stream.readline()
    if first.startswith(_UTF_16):
        return ["UTF-16, read as such"]
    marks = ["a byte order mark, left out"] if first.startswith(codecs.BOM_UTF8) else []
    return marks + (["CRLF line ends"] if first.endswith(b"\r\n") else [])


def open_file(path: Path) -> BufferedReader:
    """Open a file to read its bytes, unpacked if it is compressed."""
    return cast(BufferedReader, COMPRESSED.get(path.suffix.lower(), open)(path, "rb"))


def _raw_lines(stream: BufferedReader) -> Iterator[bytes]:
    """Yield the lines in UTF-8."""
    if not stream.peek(2).startswith(_UTF_16):
        return iter(stream)
    return (line.encode() for line in TextIOWrapper(stream, "utf-16", newline="\n"))


def _decode(path: Path, number: int, raw: bytes, *, western: bool) -> Line:
    try:
        text, whole = raw.decode(), True
    except UnicodeDecodeError:
        text, whole = raw.decode(errors="replace"), False
    if western and "\ufffd" in text and (read := _western(raw)):
        return number, read.removesuffix("\n").removesuffix("\r"), True
    if "\0" in text:
        raise SourceError(
            f"{path}, line {number}: a NUL byte. Expected a text file in UTF-8; UTF-16 without a byte order mark can "
            "be converted with `iconv -f utf-16 -t utf-8`."
        )
    if number == 1:
        text = text.removeprefix("\ufeff")
    return number, text.removesuffix("\n").removesuffix("\r"), not whole


def _western(raw: bytes) -> str | None:
    """Read a line in Windows-1252, if its foreign bytes are then letters in words, in the case of these, or marks."""
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        return None
    for place, char in enumerate(text):
        if char.isascii() or char in _WESTERN_MARKS:
            continue
        before, after = text[place - 1 : place] if place else "", text[place + 1 : place + 2]
        # Damaged UTF-8 is a capital Ã or Â behind a small letter, or letters and signs in a row.
        in_word = (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha())
        if not in_word or char not in _WESTERN_LETTERS or (char.isupper() and before.islower()):
            return None
    return text


def _check_encoding(path: Path, lines: list[bytes]) -> bool:
    """Tell whether there are characters in UTF-8 beyond ASCII; refuse a file of which most lines are not UTF-8."""
    foreign = [line for line in lines if not line.isascii()]
    broken = [line for line in foreign if not _decodes(line, "utf-8")]
    # A few broken lines are damage, which is counted; most of them, an encoding that is not ours.
    if len(broken) > 5 and 2 * len(broken) > len(foreign) and not any(b"\0" in line for line in lines):
        likely = [name for name in _OTHER_ENCODINGS if all(_decodes(line, name) for line in broken)]
        advice = f"Perhaps it is {likely[0]}: `iconv -f {likely[0]} -t utf-8`." if likely else "Is it a text?"
        raise SourceError(f"{path}: not UTF-8, most lines cannot be read. {advice}")
    return len(broken) < len(foreign)


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
