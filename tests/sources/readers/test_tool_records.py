"""Records of GLiNER, B2NERD and Dataturks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from esnera_hf.errors import SourceError
from esnera_hf.sources.files import file_reader
from esnera_hf.sources.options import ReadingOptions

METADATA = {"metadata": {"status": "done", "sec_taken": 0}}


def point(start: int, end: int, text: str | None, *labels: str) -> dict[str, Any]:
    return {"label": list(labels), "points": [{"start": start, "end": end, "text": text}]}


def read(
    tmp_path: Path, *records: Any, **options: Any
) -> list[tuple[list[str], list[tuple[int, int, str]] | None]]:
    file = tmp_path / "data.json"
    file.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    sentences = file_reader([file], ReadingOptions(**options))()
    return [
        (s.tokens, None if s.spans is None else [(e.start, e.end, e.label) for e in s.spans])
        for s in sentences
    ]


@pytest.mark.parametrize(
    ("record", "tokens", "spans"),
    [
        pytest.param(
            {"tokenized_text": ["Mara", "Quill", "left", "Osk"], "ner": [[0, 1, "PER"], [3, 3, "LOC"]]},
            ["Mara", "Quill", "left", "Osk"],
            [(0, 2, "PER"), (3, 4, "LOC")],
            id="GLiNER: ends inclusive",
        ),
        pytest.param(
            {"tokenized_text": ["No"], "ner": [], "ner_negatives": ["PER"]}, ["No"], [], id="GLiNER: none"
        ),
        pytest.param({"tokenized_text": ["No"]}, ["No"], None, id="GLiNER: not annotated"),
        pytest.param(
            {"sentence": "In Osk.", "entities": [{"name": "Osk", "type": "LOC", "pos": [3, 6]}]},
            ["In", "Osk", "."],
            [(1, 2, "LOC")],
            id="B2NERD: pos is a pair",
        ),
        pytest.param(
            {"text": "In Osk.", "spans": [{"start": 3, "end": 6, "label": "LOC", "pos": "PROPN"}]},
            ["In", "Osk", "."],
            [(1, 2, "LOC")],
            id="pos is a part of speech",
        ),
        pytest.param(
            {"content": "In Osk.", "annotation": [point(3, 5, "Osk", "LOC")], "extras": None, **METADATA},
            ["In", "Osk", "."],
            [(1, 2, "LOC")],
            id="Dataturks: ends inclusive",
        ),
        pytest.param(
            {"content": "Osk Õ.", "annotation": [point(4, 4, None, "A", "B")], **METADATA},
            ["Osk", "Õ", "."],
            [(1, 2, "A"), (1, 2, "B")],
            id="Dataturks: no mention, two labels",
        ),
        pytest.param(
            {"content": "In Osk.", "annotation": None, **METADATA},
            ["In", "Osk", "."],
            [],
            id="Dataturks: none",
        ),
        pytest.param(
            {"content": "In Osk.", "annotation": None, "metadata": {"status": "notDone"}},
            ["In", "Osk", "."],
            None,
            id="Dataturks: not annotated yet",
        ),
    ],
)
def test_conventions_of_tools(
    tmp_path: Path, record: Any, tokens: list[str], spans: list[tuple[int, int, str]] | None
) -> None:
    assert read(tmp_path, record) == [(tokens, spans)]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"tokenized_text": ["Osk"], "ner": [[0, 1, "LOC"]]}, "outside the sentence of 1 tokens"),
        ({"tokenized_text": ["Osk"], "ner": [[0, "LOC"]]}, r"expected \[first token, last token, label\]"),
        ({"tokenized_text": ["Osk"], "ner": [3]}, r"expected \[first token, last token, label\]"),
        ({"tokenized_text": ["Osk"], "ner": "LOC"}, "expected a list in 'ner'"),
        ({"sentence": "Osk.", "entities": [{"name": "Rim", "type": "LOC", "pos": [0, 3]}]}, "hold 'Osk'"),
        ({"content": "Osk.", "annotation": [point(0, 2, "Rim", "LOC")], **METADATA}, "expected 'Rim'"),
        ({"content": "Osk.", "annotation": [{"label": ["LOC"]}], **METADATA}, "expected a point with start"),
        ({"content": "Osk.", "annotation": [{"label": "LOC", "points": 3}], **METADATA}, "expected a point"),
        ({"content": "Osk.", "annotation": "LOC", **METADATA}, "expected a list of objects in 'annotation'"),
        ({"content": "Osk.", "annotation": [point(0, 2, "Osk", "LOC")]}, "format='dataturks'"),
    ],
)
def test_what_no_tool_writes_is_refused(tmp_path: Path, record: Any, message: str) -> None:
    with pytest.raises(SourceError, match=f"line 1: .*{message}"):
        read(tmp_path, record)


def test_points_without_the_envelope_of_an_export_are_read_when_asked_for(tmp_path: Path) -> None:
    record = {"content": "In Osk.", "annotation": [point(3, 5, "Osk", "LOC")]}
    assert read(tmp_path, record, format="dataturks") == [(["In", "Osk", "."], [(1, 2, "LOC")])]
