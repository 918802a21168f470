"""Lines of text files: what ends one, what damages one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import write
from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.text import Line, read_lines


def test_line_ends_and_byte_order_mark(tmp_path):
    path = write(tmp_path / "a.txt", "\ufeffa\u2028b\r\nc\u0085d\n\ne\rf")
    assert list(read_lines(path)) == [
        Line(1, "a\u2028b", False),
        Line(2, "c\u0085d", False),
        Line(3, "", False),
        Line(4, "e\rf", False),
    ]


def test_a_byte_order_mark_elsewhere_is_text(tmp_path):
    path = write(tmp_path / "a.txt", "a\n\ufeffb")
    assert [line.text for line in read_lines(path)] == ["a", "\ufeffb"]


def test_undecodable_bytes_are_marked(tmp_path):
    path = write(tmp_path / "a.txt", "北京\n".encode() + b"\xb1\xb1a\n" + b"z")
    assert list(read_lines(path)) == [
        Line(1, "北京", False),
        Line(2, "\ufffd\ufffda", True),
        Line(3, "z", False),
    ]


def test_an_empty_file(tmp_path):
    path = write(tmp_path / "a.txt", "")
    with pytest.raises(SourceError, match=r"a\.txt: the file is empty"):
        list(read_lines(path))


def test_nul_bytes_name_their_line(tmp_path):
    path = write(tmp_path / "a.txt", "a\nb\nc\0\n")
    with pytest.raises(SourceError, match=r"a\.txt, line 3: a NUL byte"):
        list(read_lines(path))


@given(lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0\ufeff")), min_size=1))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_survive(tmp_path_factory, end, lines):
    path = write(tmp_path_factory.getbasetemp() / "lines.txt", end.join([*lines, ""]))
    assert list(read_lines(path)) == [Line(number, text, False) for number, text in enumerate(lines, 1)]


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("gb18030", "not UTF-8, most lines cannot be read. Perhaps it is gb18030: `iconv -f gb18030"),
        ("utf-16", "line 1: a NUL byte. Expected a text file in UTF-8; UTF-16 can be converted"),
        ("utf-16-le", "line 1: a NUL byte"),
    ],
)
def test_other_encodings(tmp_path, encoding, message):
    path = write(tmp_path / "a.txt", ("北\tB-LOC\n京\tI-LOC\n" * 10).encode(encoding))
    with pytest.raises(SourceError, match=rf"a\.txt.*{message}"):
        list(read_lines(path))


def test_no_text_at_all(tmp_path):
    path = write(tmp_path / "a.bin", bytes(range(1, 256)) * 20)
    with pytest.raises(SourceError, match=r"not UTF-8, most lines cannot be read\. Is it a text"):
        list(read_lines(path))


def test_a_few_damaged_lines_do_not_condemn_a_file(tmp_path):
    path = write(tmp_path / "a.txt", ("京\n" * 20).encode() + b"\xb1\n" * 6)
    assert sum(line.damaged for line in read_lines(path)) == 6


def test_a_missing_file_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_lines(tmp_path / "a.txt.gz"))
