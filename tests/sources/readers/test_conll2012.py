"""CoNLL-2012 brackets: one line, several, nested, unbalanced."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import annotated, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.load import load_source
from esnera_hf.sources.readers.conll2012 import read_bracket_file
from esnera_hf.sources.readers.text import UNDECODABLE


def rows(*pairs):
    return "".join(
        f"bc/d   0   {i}   {word}   NN   (NP*)   -   -   -   A   {cell}   *   -\n"
        for i, (word, cell) in enumerate(pairs)
    )


DOCUMENT = (
    "#begin document (bc/d); part 000\n"
    + rows(("the", "(ORG*"), ("Bank", "*"), ("of", "*"), ("China", "(GPE))"), ("Ann", "(PERSON)"), (".", "*"))
    + "\n"
    + rows(("no", "*"))
    + "\n#end document\n"
)


def read(path):
    return [(s.tokens, [(e.start, e.end, e.label) for e in s.spans]) for s in read_bracket_file(path)]


def test_a_document(tmp_path):
    path = write(tmp_path / "a.v4_gold_conll", DOCUMENT)
    assert detect_format(path) == "brackets"
    assert read(path) == [
        (["the", "Bank", "of", "China", "Ann", "."], [(3, 4, "GPE"), (0, 4, "ORG"), (4, 5, "PERSON")]),
        (["no"], []),
    ]
    assert [s.where for s in read_bracket_file(path)] == [
        "a.v4_gold_conll, line 2",
        "a.v4_gold_conll, line 9",
    ]


@given(corpus=st.lists(annotated(st.sampled_from(["a", "北", "(", "*"])), min_size=1, max_size=3))
def test_sentences_survive(tmp_path_factory, corpus):
    text = ""
    for tokens, entities in corpus:
        cells = ["*"] * len(tokens)
        for e in entities:
            label = re.sub(r"[()*\s]", "", e.label)
            cells[e.start] = f"({label}" + cells[e.start]
            cells[e.end - 1] += ")"
        text += rows(*zip(tokens, cells, strict=True)) + "\n"
    path = write(tmp_path_factory.getbasetemp() / "brackets.txt", text)
    assert [[(e.start, e.end) for e in s.spans] for s in read_bracket_file(path)] == [
        [(e.start, e.end) for e in entities] for _, entities in corpus
    ]


def test_a_folder_as_the_shared_task_lays_it_out(tmp_path):
    for split in ("train", "development", "test"):
        for part in "01":
            folder = tmp_path / "v4" / "data" / split / "data" / "chinese" / "annotations" / "bc"
            write(folder / f"cctv_000{part}.v4_gold_conll", DOCUMENT.replace("Ann", f"李{split}"))
            write(folder / f"cctv_000{part}.v4_gold_parse", "(TOP)")
    source = load_source(f"ontonotes={tmp_path / 'v4'}")
    assert source.summary.sentences == {"train": 4, "validation": 4, "test": 4}
    assert source.summary.dropped == {"nested in a longer span": 6}


def test_damage_is_counted(tmp_path):
    path = write(tmp_path / "a", rows(("?", "(X)")).encode().replace(b"?", b"\xff"))
    assert [s.repairs for s in read_bracket_file(path)] == [[UNDECODABLE]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rows(("a", "(X*"), ("b", "*")), r"line 1: '\(X' is not closed in its sentence"),
        (rows(("a", "*"), ("b", "*)")), r"line 2: '\)' closes no entity of its sentence"),
        (rows(("a", "B-X")), "line 1: expected an entity in brackets .* found 'B-X'"),
        (rows(("a", "*")) + "b * *\n", "line 2: expected at least 11 columns, found 3"),
    ],
)
def test_a_broken_row_is_named(tmp_path, text, message):
    with pytest.raises(SourceError, match=message):
        read(write(tmp_path / "a", text))
