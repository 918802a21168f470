"""Annotation inside the line: pairs with slashes, and Boson's markup."""

from __future__ import annotations

import pytest

from corpora import write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.readers.inline import SlashedFile, read_boson
from esnera_hf.sources.readers.offsets import EMPTY, TRIMMED


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        ("在/o 中国/ns 人民/o", "在|中|国|人|民", [(1, 3, "ns")]),
        ("中国/ns 北京/ns 在/o", "中|国|北|京|在", [(0, 2, "ns"), (2, 4, "ns")]),
        ("中/B-LOC 国/I-LOC 人/O", "中|国|人", [(0, 2, "LOC")]),
        ("中国/B-LOC 人/O", "中|国|人", [(0, 2, "LOC")]),
        ("EU/B-ORG rejects/O 1/2/O", "EU|rejects|1/2", [(0, 1, "ORG")]),
        ("CPU/nz 在/o", "CPU|在", [(0, 1, "nz")]),
        ("他/S-PER 中/B-LOC 间/M-LOC 国/E-LOC", "他|中|间|国", [(0, 1, "PER"), (1, 4, "LOC")]),
    ],
)
def test_pairs(tmp_path, line, text, expected):
    path = write(tmp_path / "a.txt", f"\n{line}\r\n")
    assert detect_format(path) == "slashed"
    (sentence,) = SlashedFile(path)()
    assert "|".join(sentence.tokens) == text
    assert [(e.start, e.end, e.label) for e in sentence.spans] == expected


@pytest.mark.parametrize(
    ("line", "text", "expected", "repairs"),
    [
        ("{{time:8:30}}到", "8:30到", [(0, 4, "time")], []),
        ("{{time：8：30}}到", "8：30到", [(0, 4, "time")], []),
        ("{{ time : 8}}", " 8", [(1, 2, "time")], [TRIMMED]),
        ("{{ per name : Ann}}", " Ann", [(1, 4, "per name")], [TRIMMED]),
        ("在{{location: 北京 }}。", "在 北京 。", [(2, 4, "location")], [TRIMMED]),
        ("a{{x:}}b{{x: }}c", "ab c", [], [EMPTY, EMPTY]),
        ("{{org:{{loc:北京}}大学}}", "北京大学", [(0, 2, "loc"), (0, 4, "org")], []),
        ("{{a:x{{b:y{{c:z}}}}}}", "xyz", [(2, 3, "c"), (1, 3, "b"), (0, 3, "a")], []),
        ("{{a:x}}{{a:y}}", "xy", [(0, 1, "a"), (1, 2, "a")], []),
        ("  没有标记  ", "没有标记", [], []),
        ("花{括}号{{a:x}}", "花{括}号x", [(5, 6, "a")], []),
    ],
)
def test_markup(tmp_path, line, text, expected, repairs):
    (sentence,) = read_boson(write(tmp_path / "a.txt", f"\n{line}\n"))
    assert ("".join(sentence.tokens), sentence.repairs) == (text, repairs)
    assert [(e.start, e.end, e.label) for e in sentence.spans] == expected


@pytest.mark.parametrize("line", ["{{" + " " * 100_000 + "}}", "{{" * 50_000 + "}}", "{{a" + " a" * 50_000])
def test_markup_that_never_ends_is_read_once(tmp_path, line):
    """A pattern that tries every end of it takes the cube of its length: hours."""
    with pytest.raises(SourceError, match="closes no"):
        list(read_boson(write(tmp_path / "data.txt", f"{line}\n}}}}\n")))
