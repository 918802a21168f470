"""Lines of ``token/tag`` pairs: whole segments, characters, words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import PREFIXED_SCHEMES, annotated, encode, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.readers.inline import SlashedFile
from esnera_hf.sources.readers.text import UNDECODABLE


def read(path, **options):
    return [
        ("|".join(s.tokens), [(e.start, e.end, e.label) for e in s.spans])
        for s in SlashedFile(path, **options)()
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("在/o 中国/ns 人民/o", ("在|中|国|人|民", [(1, 3, "ns")])),
        ("中国/ns 北京/ns 在/o", ("中|国|北|京|在", [(0, 2, "ns"), (2, 4, "ns")])),
        ("中/B-LOC 国/I-LOC 人/O", ("中|国|人", [(0, 2, "LOC")])),
        ("中国/B-LOC 人/O", ("中|国|人", [(0, 2, "LOC")])),
        ("EU/B-ORG rejects/O 1/2/O", ("EU|rejects|1/2", [(0, 1, "ORG")])),
        ("CPU/nz 在/o", ("CPU|在", [(0, 1, "nz")])),
        ("他/S-PER 中/B-LOC 间/M-LOC 国/E-LOC", ("他|中|间|国", [(0, 1, "PER"), (1, 4, "LOC")])),
    ],
)
def test_lines(tmp_path, line, expected):
    path = write(tmp_path / "a.txt", f"\n{line}\r\n")
    assert detect_format(path) == "slashed"
    assert read(path) == [expected]


@pytest.mark.parametrize("scheme", PREFIXED_SCHEMES)
@given(
    corpus=st.lists(annotated(st.sampled_from(["a", "b/c", "北"]), ["PER", "a-b"]), min_size=1, max_size=3)
)
def test_sentences_survive(tmp_path_factory, scheme, corpus):
    lines = [
        " ".join(map("/".join, zip(tokens, encode(len(tokens), entities, scheme), strict=True)))
        for tokens, entities in corpus
    ]
    path = write(tmp_path_factory.getbasetemp() / f"{scheme}.slashed", "\n".join(lines))
    found = list(SlashedFile(path)())
    assert [(s.tokens, s.spans, s.repairs) for s in found] == [(t, e, []) for t, e in corpus]


def test_damage_and_place(tmp_path):
    path = write(tmp_path / "a.txt", "好/o\n".encode() + b"\n\xff/nr\n")
    assert [(s.where, s.repairs) for s in SlashedFile(path)()] == [
        ("a.txt, line 1", []),
        ("a.txt, line 3", [UNDECODABLE]),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("中国", "line 2: expected token/tag pairs, found '中国'"),
        ("中国/", "line 2: expected token/tag pairs"),
        ("/ns", "line 2: expected token/tag pairs"),
        ("a/S-x", "line 2: tag 'S-x' is not of scheme IOB2"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, message):
    path = write(tmp_path / "a.txt", f"中/B-x\n{line}\n")
    with pytest.raises(SourceError, match=message):
        read(path, scheme="IOB2")
