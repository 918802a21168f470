"""Tables with a sentence a row: how cells are written, which columns count, what is refused."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.sentence_rows import sentence_rows_reader

ROWS = [
    (["Mara", "Quill", "left"], ["B-PER", "I-PER", "O"]),
    (["Osk", "'s", '"'], ["B-LOC", "O", "O"]),
    (["Rain"], ["O"]),
]
READ = [(tokens, [tag[2:] for tag in tags if tag.startswith("B-")]) for tokens, tags in ROWS]
WRITTEN = {
    "JSON": json.dumps,
    "Python": str,
    "NumPy": lambda parts: str(np.array(parts)),
    "spaces": " ".join,
    "NumPy, one a line": lambda parts: str(np.array(parts)).replace(" ", "\n "),
}


def table(rows, separator=",", names=()):
    """Return rows of cells as a table."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([names, *rows] if names else rows)
    return out.getvalue()


def read(path, **options):
    reader = sentence_rows_reader(path, ReadingOptions(**options))
    return [(sentence.tokens, [span.label for span in sentence.spans or ()]) for sentence in reader()]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("names", [(), ("tokens", "ner_tags"), ("Sentence", "Tag"), ("Wort", "Etikett")])
def test_cells_however_they_are_written(tmp_path, separator, form, names):
    write_cell = WRITTEN[form]
    path = write(
        tmp_path / "a.csv", table([map(write_cell, (map(list, row))) for row in ROWS], separator, names)
    )
    assert detect_format(path) == ("rows" if names or form != "spaces" else "columns")
    assert read(path) == READ


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1), min_size=1))
def test_tokens_of_lists_come_back_as_they_were(tmp_path_factory, tokens):
    folder = tmp_path_factory.mktemp("rows")
    rows = [(tokens, ["B-X", *["O"] * (len(tokens) - 1)]), (["a", "b"], ["O", "O"])]
    for write_cell in (json.dumps, str):
        path = write(folder / "a.csv", table([map(write_cell, row) for row in rows]))
        assert [sentence.tokens for sentence in sentence_rows_reader(path, ReadingOptions())()] == [
            tokens,
            ["a", "b"],
        ]


def test_cells_may_be_long(tmp_path):
    limit, size = csv.field_size_limit(), 17_000
    path = write(tmp_path / "a.csv", table([(["left"] * size, ["B-PER"] + ["O"] * (size - 1))]))
    assert detect_format(path) == "rows"
    assert [(len(tokens), labels) for tokens, labels in read(path)] == [(size, ["PER"])]
    assert csv.field_size_limit() == limit


def test_a_column_of_words_and_one_of_parts_of_speech_are_told_by_their_names(tmp_path):
    rows = [(n, " ".join(tokens), ["X"] * len(tokens), tags) for n, (tokens, tags) in enumerate(ROWS)]
    named = write(tmp_path / "named.csv", table(rows, names=("Sentence #", "Sentence", "POS", "Tag")))
    assert read(named) == READ
    layout = sentence_rows_reader(named, ReadingOptions()).layout
    assert layout == "tokens: column 1 'Sentence'\ntags: column 3 'Tag'"
    bare = write(tmp_path / "bare.csv", table(rows))
    with pytest.raises(SourceError, match=r"tokens in column 1 or column 2 and tags in column 3\. Name the"):
        read(bare)
    assert read(bare, token_column=1) == READ
    with pytest.raises(SourceError, match=r"token_column='X'.*expected column 1, column 2\. Name one"):
        read(bare, token_column="X")


def test_numbers_of_tags_want_names(tmp_path):
    path = write(tmp_path / "a.csv", table([(["Mara", "left"], [1, 0]), (["Rain", "fell"], [0, 0])]))
    with pytest.raises(SourceError, match="the tags are numbers"):
        read(path)
    source = load_source(path, name="a", options=ReadingOptions(tag_names=("O", "B-PER")))
    assert source.labels == ("PER",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b,O O\nc d,B-X O\ne,O O\n", r"line 3: 1 tokens and 2 tags\. Each token needs its tag"),
        ("a b,O O\nc d,B-X O\ne\n", r"line 3: 1 cells, expected at least 2\. Mend the row"),
        (
            "c d,B-X O\n" * 300 + "e" * 2_000_000 + ",O\n",
            r"line 300: no row of a table follows \(field larger",
        ),
        ("a,O\nb,B-X\n", "expected a sentence a row"),
        (f"{'e ' * 600_000},O\n", "expected a sentence a row, .* of at most 1,048,576 characters each"),
        (
            "text,labels\na b.,B-X O O\nc d e.,O O O O\n",
            r"column 0 'text' has not as many words as column 1 'labels' has tags\. Give the tokens",
        ),
        ('[1 2],O O\n[\'c\' \'d\'],B-X O\n"[""\\ud800""]",O\n', "line 3: half of a surrogate pair"),
        (
            "['a' 'b'],B-X O\n['a' 'b'],O O\n['c' ... 'd'],B-X O O\n",
            r"line 3, column 0: expected a list .* found .\['c' \.\.\. 'd",
        ),
        ("['a' 'b'],['O' 'X']\n" + "['a' 'b'],['B-X' 'O']\n" * 2, "line 1: tag 'X' is not of"),  # no name
        (
            "words\ttags\n" + "a b\tO B-X\n" * 3 + '"\tO\nc "\tO O\n',
            "line 6, column 0 'words': expected words in one",
        ),
        (
            "text,pos,ner\na b.,N N .,B-X O O\n",
            r"Against what fits speaks: column 1 'pos': its name says otherwise\.",
        ),
        (
            "text,tags\na b,B-NP O\n",
            r"as many tags of entities as tokens\. .*column 1 'tags': its labels are those of",
        ),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(SourceError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ('"a" b\tO B-X\n"c d"\tO O\ne f\tO O\n', [['"a"', "b"], ['"c', 'd"'], ["e", "f"]]),
        ('a b\tO B-X\n"c" d\tO O\n', [["a", "b"], ['"c"', "d"]]),
        ('a b\tO B-X\n"c d"\tO O\ne f\tO O\n', [["a", "b"], ['"c', 'd"'], ["e", "f"]]),
        ('" a "\tO B-X O\nb c d\tO O O\n', [['"', "a", '"'], ["b", "c", "d"]]),
        ('"a b"\t"O B-X"\n"c d"\t"O O"\n', [["a", "b"], ["c", "d"]]),  # all are between marks
        ('"a ""\t"" b"\tO B-X O O\nc d\tO O\n', [["a", '"', '"', "b"], ["c", "d"]]),
        ("[np.str_('a'), np.str_(\"b's\")]\t[np.int64(0), np.int64(1)]\n", [["a", "b's"]]),
        (
            "[ a ]\t['O', 'B-X', 'O']\nb c\t['O', 'O']\nd e\t['O', 'O']\n",
            [["[", "a", "]"], ["b", "c"], ["d", "e"]],
        ),
    ],
)
def test_marks_that_are_tokens_stay_and_those_around_cells_go(tmp_path, text, tokens):
    records = sentence_rows_reader(write(tmp_path / "a.tsv", text), ReadingOptions(tag_names=("O", "B-X")))
    assert [sentence.tokens for sentence in records()] == tokens


@pytest.mark.parametrize(
    "text",
    [
        "a,O\nb,B-X\n",  # a token a row
        "token\ttag\na\tB-X I-Y\nb\tO\nc\tO\n",
        "a\tB-X I-Y\nb\tO\nc\tB-X B-Y\n",  # several tags of a token
        "a,b c\nd,e f\n",  # no tags
        "token\ttags\na\tB-X I-Y\nb c\tO O\nd\tB-X B-Y\n",  # the same, with names
        "a b.,B-X O O\nc d e.,O O O O\n",  # neither as many nor named
        "B-X O\t" * 20_000 + "\n" + "a b\t" * 20_000,  # reading it would take hours
        '"\tO\n' + "ab\tO\n" * 40_000,  # the mark is a token
    ],
)
def test_what_is_none(tmp_path, text):
    assert detect_format(write(tmp_path / "a.csv", text)) != "rows"
