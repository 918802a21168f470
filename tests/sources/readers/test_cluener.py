"""CLUENER JSON lines: inclusive offsets, wrong surfaces, lines without annotation."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import write
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.json import JsonFile
from esnera_hf.sources.readers.offsets import TRIMMED
from esnera_hf.sources.readers.text import UNDECODABLE


def line(text, label=None):
    record = {"text": text} if label is None else {"text": text, "label": label}
    return json.dumps(record, ensure_ascii=False) + "\n"


def read_cluener(path):
    return JsonFile(path, ReadingOptions(format="cluener"))()


def read(path):
    return [
        ("".join(s.tokens), s.spans and [(e.start, e.end, e.label) for e in s.spans])
        for s in read_cluener(path)
    ]


def test_ends_are_inclusive(tmp_path):
    path = write(
        tmp_path / "a.json",
        line(
            "王五去了上海，王五又走了。", {"name": {"王五": [[0, 1], [7, 8]]}, "address": {"上海": [[4, 5]]}}
        ),
    )
    assert read(path) == [("王五去了上海，王五又走了。", [(0, 2, "name"), (7, 9, "name"), (4, 6, "address")])]


@given(
    text=st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=12),
    data=st.data(),
)
def test_spans_survive(tmp_path_factory, text, data):
    bounds = st.lists(st.integers(0, len(text) - 1), min_size=2, max_size=2).map(sorted)
    spans = data.draw(st.lists(st.tuples(bounds, st.sampled_from(["name", "scene"]))))
    label = {}
    for (start, last), kind in spans:
        label.setdefault(kind, {}).setdefault(text[start : last + 1], []).append([start, last])
    path = write(tmp_path_factory.getbasetemp() / "a.json", line(text, label))
    (sentence,) = read_cluener(path)
    assert "".join(sentence.tokens) == text
    assert sorted((e.start, e.end, e.label) for e in sentence.spans) == sorted(
        (start, last + 1, kind) for (start, last), kind in spans
    )


def test_no_label_is_no_annotation_and_an_empty_one_is(tmp_path):
    path = write(tmp_path / "a.json", line("北京") + "\n" + line("上海", {}) + line("", {}))
    assert read(path) == [("北京", None), ("上海", [])]


def test_separators_bom_crlf_and_damage(tmp_path):
    content = "\ufeff" + line("a\u2028b\u0085", {"x": {"b\u0085": [[2, 3]]}}).replace("\n", "\r\n")
    path = write(tmp_path / "a.json", content.encode() + line("c?", {}).encode().replace(b"?", b"\xff"))
    first, second = read_cluener(path)
    assert (first.tokens, first.repairs, first.where) == (
        ["a", "\u2028", "b", "\u0085"],
        [TRIMMED],
        "a.json, line 1",
    )
    assert [(e.start, e.end) for e in first.spans] == [(2, 3)]
    assert (second.tokens, second.repairs) == (["c", "\ufffd"], [UNDECODABLE])


@pytest.mark.parametrize(
    "offsets",
    [[0, 2], [1, 2], [0, 0], [-5, -4], [0, 40], [4, 5], [9, 10]],
    ids=["exclusive end", "shifted", "short", "negative", "past the end", "other place", "outside"],
)
def test_offsets_must_hold_their_surface(tmp_path, offsets):
    path = write(tmp_path / "a.json", line("好") + line("王五在这", {"name": {"王五": [offsets]}}))
    with pytest.raises(SourceError) as caught:
        read(path)
    assert str(caught.value).startswith(
        f"{path}, line 2: offsets [{offsets[0]}, {offsets[1]}] of 'name' hold"
    )
    assert "expected '王五' (CLUENER ends are inclusive)" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "surface", "offsets"), [("王五", "王五", [0, 7]), ("王五", "", [1, 0]), ("王五", "王", [-2, -2])]
)
def test_offsets_that_slice_to_the_surface_by_chance(tmp_path, text, surface, offsets):
    path = write(tmp_path / "a.json", line(text, {"name": {surface: [offsets]}}))
    with pytest.raises(SourceError, match="line 1: offsets"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"', "expected a JSON record"),
        ("[1]", "expected an object with text and spans"),
        ('{"text": 3}', r"expected a text \(text"),
        ('{"text": "a", "label": ["x"]}', r"expected \[start, end, label\]"),
        ('{"text": "a", "label": {"x": {"a": 0}}}', 'expected "label" as'),
        ('{"text": "a", "label": {"x": {"a": [[0, "0"]]}}}', 'expected "label" as'),
        ('{"text": "a", "label": {"x": {"a": [[0]]}}}', 'expected "label" as'),
        ('{"text": "\\ud83d"}', "half of a surrogate pair"),
        ('{"text": "a", "label": {"\\udc00": {"a": [[0, 0]]}}}', "half of a surrogate pair"),
        ('{"text": ' + "[" * 100_000, "expected a JSON record"),
    ],
)
def test_a_broken_line_is_named(tmp_path, content, message):
    path = write(tmp_path / "a.json", line("好") + "\n" + content + "\n")
    with pytest.raises(SourceError, match=rf"a\.json, line 3: {message}"):
        read(path)


def test_escaped_pairs_are_characters(tmp_path):
    path = write(
        tmp_path / "a.json", '{"text": "\\ud83d\\ude00\\u4e2d", "label": {"x": {"\\u4e2d": [[1, 1]]}}}'
    )
    assert read(path) == [("😀中", [(1, 2, "x")])]
