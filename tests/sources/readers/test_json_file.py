"""JSON files: lines or one list, tags in any scheme, characters or words."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import PREFIXED_SCHEMES, annotated, encode, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.json import JsonFile
from esnera_hf.sources.readers.text import UNDECODABLE
from esnera_hf.tagging import Entity

RECORDS = [{"text": "Ann ran.", "spans": [[0, 3, "PER"]]}, {"text": "Bob", "spans": []}]
EXPECTED = [(["Ann", "ran", "."], [(0, 1, "PER")]), (["Bob"], [])]


def read(path, **options):
    return [
        (s.tokens, s.spans and [(e.start, e.end, e.label) for e in s.spans])
        for s in JsonFile(path, ReadingOptions(**options))()
    ]


def lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


@pytest.mark.parametrize(
    "text",
    [
        lines(RECORDS),
        "\ufeff\r\n" + lines(RECORDS).replace("\n", "\r\n\r\n"),
        json.dumps(RECORDS),
        json.dumps(RECORDS, indent=1),
        json.dumps({"version": 1, "data": RECORDS}),
        json.dumps({"version": 1, "data": RECORDS}, indent=2),
        lines([[r["text"], {"entities": r["spans"]}] for r in RECORDS]),
        json.dumps([[r["text"], {"entities": r["spans"]}] for r in RECORDS]),
    ],
    ids=[
        "lines",
        "BOM and CRLF",
        "list",
        "indented",
        "object",
        "indented object",
        "spaCy lines",
        "spaCy list",
    ],
)
def test_layouts(tmp_path, text):
    path = write(tmp_path / "a.json", text)
    if "version" not in text or "\n" in text:
        assert detect_format(path) == "json"
        assert read(path) == EXPECTED


@pytest.mark.parametrize("scheme", PREFIXED_SCHEMES)
@given(
    corpus=st.lists(annotated(st.sampled_from(["a", "北", "\u2028"])), min_size=1, max_size=3),
    listed=st.booleans(),
)
def test_tags_in_any_scheme(tmp_path_factory, scheme, corpus, listed):
    records = [{"tokens": t, "ner_tags": encode(len(t), e, scheme)} for t, e in corpus]
    text = json.dumps(records) if listed else lines(records)
    path = write(tmp_path_factory.getbasetemp() / f"{scheme}.json", text)
    assert [(s.tokens, s.spans, s.repairs) for s in JsonFile(path)()] == [(t, e, []) for t, e in corpus]


@given(corpus=st.lists(annotated(st.sampled_from(["a", "北", ""])), min_size=1, max_size=3))
def test_token_spans_survive(tmp_path_factory, corpus):
    records = [{"tokens": t, "spans": [[e.start, e.end, e.label] for e in spans]} for t, spans in corpus]
    path = write(tmp_path_factory.getbasetemp() / "spans.jsonl", lines(records))
    assert [(s.tokens, s.spans) for s in JsonFile(path)()] == corpus


def test_the_script_decides_on_characters(tmp_path):
    path = write(tmp_path / "a.jsonl", lines([{"text": "在 北京", "label": [[2, 4, "loc"]]}]))
    assert read(path) == [(["在", " ", "北", "京"], [(2, 4, "loc")])]
    assert read(path, characters=False) == [(["在", "北京"], [(1, 2, "loc")])]
    english = write(tmp_path / "b.jsonl", lines(RECORDS))
    assert read(english, characters=True)[0] == (list("Ann ran."), [(0, 3, "PER")])


def test_numbers_need_names(tmp_path):
    path = write(tmp_path / "a.jsonl", lines([{"tokens": ["a", "b"], "ner_tags": [1, 0]}]))
    assert read(path, tag_names=("O", "B-x")) == [(["a", "b"], [(0, 1, "x")])]
    with pytest.raises(SourceError, match=r"a\.jsonl, line 1: the tags are numbers"):
        read(path)


def test_no_annotation_empty_texts_and_damage(tmp_path):
    content = lines([{"text": "a"}, {"text": ""}, {"text": "?", "spans": []}]).encode().replace(b"?", b"\xff")
    path = write(tmp_path / "a.jsonl", content)
    found = list(JsonFile(path)())
    assert [(s.tokens, s.spans, s.repairs) for s in found] == [
        (["a"], None, []),
        (["\ufffd"], [], [UNDECODABLE]),
    ]
    assert [s.where for s in found] == ["a.jsonl, line 1", "a.jsonl, line 3"]
    listed = write(tmp_path / "b.json", json.dumps(RECORDS, indent=1))
    assert [s.where for s in JsonFile(listed)()] == ["b.json, record 0", "b.json, record 1"]


def test_an_error_names_the_file_with_its_folder(tmp_path):
    path = write(tmp_path / "a.jsonl", lines([{"text": "a", "spans": [[0, 9, "X"]]}]))
    with pytest.raises(SourceError, match=f"^{re.escape(str(path))}, line 1: "):
        list(JsonFile(path)())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines(RECORDS) + '{"text": \n', r"a\.json, line 3: expected a JSON record, found '\{\"text\": '"),
        (lines(RECORDS) + "3\n", r"a\.json, line 3: expected an object with text and spans, found 3"),
        (lines(RECORDS) + '{"text": "\\ud800"}', r"a\.json, line 3: half of a surrogate pair"),
        ('[{"text": "\\ud800"}]', r"a\.json: .*half of a surrogate pair"),
        ('[{"text": "a"', r"a\.json: neither JSON lines nor one JSON value"),
        ("3", r"a\.json: expected a list of records, found int"),
        ("[" * 100_000, r"a\.json: neither JSON lines nor one JSON value"),
        (" \n", r"a\.json: nothing but blank lines"),
        (json.dumps([*RECORDS, 3]), r"a\.json, record 2: expected an object"),
    ],
)
def test_a_broken_file_names_its_place(tmp_path, text, message):
    with pytest.raises(SourceError, match=message):
        read(write(tmp_path / "a.json", text))


def test_the_older_form_of_doccano(tmp_path):
    path = write(tmp_path / "a.jsonl", lines([{"id": 1, "data": "Anna lives", "label": [[0, 4, "PER"]]}]))
    (sentence,) = JsonFile(path)()
    assert (sentence.tokens, sentence.spans) == (["Anna", "lives"], [Entity(0, 1, "PER")])
