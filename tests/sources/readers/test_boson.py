"""Boson markup: nested, unclosed, with colons and spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import annotated, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.inline import read_boson
from esnera_hf.sources.readers.offsets import EMPTY, TRIMMED
from esnera_hf.sources.readers.text import UNDECODABLE


def read(path):
    return [
        ("".join(s.tokens), [(e.start, e.end, e.label) for e in s.spans], s.repairs) for s in read_boson(path)
    ]


def markup(tokens, entities):
    pieces = list(tokens)
    for entity in entities:
        pieces[entity.start] = f"{{{{{entity.label}:{pieces[entity.start]}"
        pieces[entity.end - 1] += "}}"
    return "".join(pieces)


@given(
    st.lists(
        annotated(st.sampled_from("北京ab:：。"), ["person_name", "时间", "a-b"]), min_size=1, max_size=4
    )
)
def test_paragraphs_survive(tmp_path_factory, corpus):
    text = "\r\n\n".join(markup(tokens, entities) for tokens, entities in corpus)
    path = write(tmp_path_factory.getbasetemp() / "boson.txt", text)
    assert [(s.tokens, s.spans, s.repairs) for s in read_boson(path)] == [(t, e, []) for t, e in corpus]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{{time:8:30}}到", ("8:30到", [(0, 4, "time")], [])),
        ("{{time：8：30}}到", ("8：30到", [(0, 4, "time")], [])),
        ("{{ time : 8}}", (" 8", [(1, 2, "time")], [TRIMMED])),
        ("在{{location: 北京 }}。", ("在 北京 。", [(2, 4, "location")], [TRIMMED])),
        ("a{{x:}}b{{x: }}c", ("ab c", [], [EMPTY, EMPTY])),
        ("{{org:{{loc:北京}}大学}}", ("北京大学", [(0, 2, "loc"), (0, 4, "org")], [])),
        ("{{a:x{{b:y{{c:z}}}}}}", ("xyz", [(2, 3, "c"), (1, 3, "b"), (0, 3, "a")], [])),
        ("{{a:x}}{{a:y}}", ("xy", [(0, 1, "a"), (1, 2, "a")], [])),
        ("  没有标记  ", ("没有标记", [], [])),
        ("花{括}号{{a:x}}", ("花{括}号x", [(5, 6, "a")], [])),
    ],
)
def test_lines(tmp_path, line, expected):
    assert read(write(tmp_path / "a.txt", f"\n{line}\n")) == [expected]


def test_blank_lines_are_skipped_and_damage_is_counted(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbf{{a:x}}\r\n\r\n \n\xff{{a:y}}\n")
    assert read(path) == [("x", [(0, 1, "a")], []), ("\ufffdy", [(1, 2, "a")], [UNDECODABLE])]
    assert [s.where for s in read_boson(path)] == ["a.txt, line 1", "a.txt, line 4"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("在{{location:北京", "'{{location:' is never closed by '}}'"),
        ("{{a:x{{b:y}}", "'{{a:' is never closed by '}}'"),
        ("在北京}}", "'}}' closes no '{{label:' at '在北京}}'"),
        ("{{a:x}}}}", "'}}' closes no '{{label:' at '{{a:x}}}}'"),
        ("{{location北京}}", "'}}' closes no '{{label:'"),
        ("{{:北京}}", "'}}' closes no '{{label:'"),
    ],
)
def test_unbalanced_markup_names_file_and_line(tmp_path, line, message):
    path = write(tmp_path / "a.txt", f"好\n{line}\n")
    with pytest.raises(SourceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, line 2: {message}")
