"""Lines of text files: what ends one, what damages one."""

from __future__ import annotations

import pytest

from corpora import write
from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.text import read_lines


@pytest.mark.parametrize(
    ("content", "texts", "damaged"),
    [
        ("\ufeffa\u2028b\r\nc\u0085d\n\ne\rf".encode(), ["a\u2028b", "c\u0085d", "", "e\rf"], []),
        ("a\n\ufeffb".encode(), ["a", "\ufeffb"], []),
        ("a\u2028北\r\n\n😀".encode("utf-16"), ["a\u2028北", "", "😀"], []),
        (b"\xfe\xff" + "北\n".encode("utf-16-be"), ["北"], []),
        ("北京\n".encode() + b"\xb1\xb1a\n" + b"z", ["北京", "\ufffd\ufffda", "z"], [2]),
        ("京\n".encode() * 20 + b"\xb1\n" * 6, ["京"] * 20 + ["\ufffd"] * 6, [*range(21, 27)]),
    ],
)
def test_lines(tmp_path, content, texts, damaged):
    path = write(tmp_path / "a.txt", content)
    expected = [(number, text, number in damaged) for number, text in enumerate(texts, 1)]
    assert list(read_lines(path)) == expected


CHINESE = "北\tB-LOC\n京\tI-LOC\n" * 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the file is empty"),
        (b"a\nb\nc\0\n", ", line 3: a NUL byte"),
        (CHINESE.encode("gb18030"), ": not UTF-8, most lines cannot be read. Perhaps it is gb18030: `iconv"),
        (CHINESE.encode("utf-16")[:-1], ": the UTF-16 is damaged: truncated data"),
        (CHINESE.encode("utf-32"), ", line 1: a NUL byte"),
        (
            CHINESE.encode("utf-16-le"),
            ", line 1: a NUL byte. Expected a text file in UTF-8; UTF-16 without a",
        ),
        (bytes(range(1, 256)) * 20, r": not UTF-8, most lines cannot be read\. Is it a text"),
    ],
)
def test_no_text(tmp_path, content, message):
    path = write(tmp_path / "a.txt", content)
    with pytest.raises(SourceError, match=rf"a\.txt{message}"):
        list(read_lines(path))
    with pytest.raises(FileNotFoundError):
        list(read_lines(tmp_path / "missing.txt.gz"))
