"""Annotation inside the line: pairs with slashes, and Boson's markup."""

from __future__ import annotations

import pytest

from corpora import compact, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.readers.inline import SlashedFile, read_boson
from esnera_hf.sources.readers.offsets import EMPTY, TRIMMED


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("在/o 中国/ns 人民/o", "在|中|国|人|民 1-3:ns"),
        ("中国/ns 北京/ns 在/o", "中|国|北|京|在 0-2:ns 2-4:ns"),
        ("中/B-LOC 国/I-LOC 人/O", "中|国|人 0-2:LOC"),
        ("中国/B-LOC 人/O", "中|国|人 0-2:LOC"),
        ("EU/B-ORG rejects/O 1/2/O", "EU|rejects|1/2 0-1:ORG"),
        ("CPU/nz 在/o", "CPU|在 0-1:nz"),
        ("他/S-PER 中/B-LOC 间/M-LOC 国/E-LOC", "他|中|间|国 0-1:PER 1-4:LOC"),
    ],
)
def test_pairs(tmp_path, line, expected):
    path = write(tmp_path / "a.txt", f"\n{line}\r\n")
    assert detect_format(path) == "slashed"
    assert [*map(compact, SlashedFile(path)())] == [expected]


@pytest.mark.parametrize(
    ("line", "expected", "repairs"),
    [
        ("{{time:8:30}}到", "8|:|3|0|到 0-4:time", []),
        ("{{time：8：30}}到", "8|：|3|0|到 0-4:time", []),
        ("{{ time : 8}}", " |8 1-2:time", [TRIMMED]),
        ("{{ per name : Ann}}", " |A|n|n 1-4:per name", [TRIMMED]),
        ("在{{location: 北京 }}。", "在| |北|京| |。 2-4:location", [TRIMMED]),
        ("a{{x:}}b{{x: }}c", "a|b| |c", [EMPTY, EMPTY]),
        ("{{org:{{loc:北京}}大学}}", "北|京|大|学 0-2:loc 0-4:org", []),
        ("{{a:x{{b:y{{c:z}}}}}}", "x|y|z 2-3:c 1-3:b 0-3:a", []),
        ("{{a:x}}{{a:y}}", "x|y 0-1:a 1-2:a", []),
        ("  没有标记  ", "没|有|标|记", []),
        ("花{括}号{{a:x}}", "花|{|括|}|号|x 5-6:a", []),
    ],
)
def test_markup(tmp_path, line, expected, repairs):
    (sentence,) = read_boson(write(tmp_path / "a.txt", f"\n{line}\n"))
    assert (compact(sentence), sentence.repairs) == (expected, repairs)


@pytest.mark.parametrize("line", ["{{" + " " * 100_000 + "}}", "{{" * 50_000 + "}}", "{{a" + " a" * 50_000])
def test_markup_that_never_ends_is_read_once(tmp_path, line):
    """A pattern that tries every end of it takes the cube of its length: hours."""
    with pytest.raises(SourceError, match="closes no"):
        list(read_boson(write(tmp_path / "data.txt", f"{line}\n}}}}\n")))
