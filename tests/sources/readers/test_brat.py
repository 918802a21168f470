"""brat standoff: text and annotation in two files."""

from __future__ import annotations

import pytest

from corpora import compact, sentences_of, write
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.files import path_readers
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.brat import read_brat
from esnera_hf.sources.readers.offsets import CUT, EMPTY, TRIMMED
from esnera_hf.sources.readers.spans import DISCONTINUOUS
from esnera_hf.sources.readers.text import UNDECODABLE


def document(folder, text, ann, name="d"):
    write(folder / f"{name}.txt", text)
    return write(folder / f"{name}.ann", ann)


def read(path):
    return [(compact(sentence), *sentence.repairs) for sentence in read_brat([path])]


def test_lines_become_sentences(tmp_path):
    ann = "T1\tPER 0 3\tAnn\n#1\tAnnotatorNotes T1\tx\nR1\tr Arg1:T1 Arg2:T2\nT2\tLOC 12 18\tNew Yo\nE1\tPER:T1\n"
    path = document(tmp_path, "Ann ran.\r\n\r\nNew York\n", ann)
    assert read(path) == [("Ann|ran|. 0-1:PER",), ("New|Yo|rk 0-2:LOC", CUT)]
    assert [s.where for s in read_brat([path])] == ["d.txt, line 1", "d.txt, line 3"]


@pytest.mark.parametrize(
    ("text", "ann", "expected"),
    [
        ("a b c\n", "T1\tX 0 1;4 5\ta c\n", [("a|b|c 0-3:X", DISCONTINUOUS)]),
        ("a b\nc d\n", "T1\tX 2 5\tb c\n", [("a|b|c|d 1-3:X",)]),
        ("a b\n", "T1\tX 0 2\ta \n", [("a|b 0-1:X", TRIMMED)]),
        ("a  b\n", "T1\tX 1 3\t  \n", [("a|b", EMPTY)]),
        ("a\n", "", [("a",)]),
        ("北京\n \n好", "T1\tX 0 2\t北京\n", [("北|京 0-2:X",), ("好",)]),
        (b"a\xff b", "T1\tX 0 1\ta", [("a|\ufffd|b 0-1:X", UNDECODABLE)]),
        ("a \ufffd", "T1\tX 0 1\ta", [("a|\ufffd 0-1:X",)]),
    ],
)
def test_documents(tmp_path, text, ann, expected):
    assert read(document(tmp_path, text, ann)) == expected


def test_documents_without_entities_and_with_any_name_are_read(tmp_path):
    for number in range(4):
        document(tmp_path / "c", f"Ann {number}", "T1\tPER 0 3\tAnn", f"LICENSE_{number}")
        document(tmp_path / "c", f"nobody {number}", "", f"empty_{number}")
    write(tmp_path / "c" / "loose.txt", "no annotation beside it")
    source = load_source(tmp_path / "c")
    assert sum(source.summary.sentences.values()) == 8
    assert source.notes[0] == "not read: loose.txt (no annotation of brat)"
    with pytest.raises(ConfigurationError, match="the folder is read as brat, which has no tag columns"):
        load_source(tmp_path / "c", options=ReadingOptions(tag_column="x"))


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        ("dev test train", "validation test train"),
        ("dev/1 test/1 train/1", "validation test train"),
        ("test_case test_run other", "train train train"),
    ],
)
def test_splits_are_told_by_folders_or_the_names_of_all_documents(tmp_path, names, splits):
    for name in names.split():
        path = tmp_path / "c" / name
        document(path.parent, f"Ann in {name}", "T1\tPER 0 3\tAnn", path.name)
    write(tmp_path / "c" / "annotation.conf", "[entities]")
    readers, _ = path_readers(tmp_path / "c", "c", ReadingOptions())
    read_as = {"".join(s.tokens[2:]): split for split, reader in readers.items() for s in reader()}
    assert read_as == dict(zip(names.split(), splits.split(), strict=True))


def test_a_stray_empty_annotation_makes_no_brat_folder(tmp_path):
    for name in ("train.txt", "dev.txt", "test.txt"):
        write(tmp_path / "c" / name, f"Ann\tB-PER\n{name}\tO\n")
    for name in ("x.ann", "train.ann"):
        write(tmp_path / "c" / name, "")
    texts = [text for text, _ in sentences_of(load_source(tmp_path / "c"))]
    assert texts == ["Anntrain.txt", "Anndev.txt", "Anntest.txt"]


@pytest.mark.parametrize(
    ("ann", "message"),
    [
        ("T1\tX 0 9\tAnn", r"d\.ann, line 1: \[0, 9\) lies outside the text of 3 characters"),
        ("T1\tX 2 2\t", r"line 1: \[2, 2\) lies outside"),
        ("\nT1\tX 0 2\tAnn", "line 2: offsets hold 'An', expected 'Ann'"),
        ("T1 X 0 3 Ann", "line 1: expected 'T1<TAB>LABEL START END<TAB>mention'"),
        ("T1\tX a b\tAnn", "line 1: expected 'T1<TAB>"),
    ],
)
def test_a_broken_annotation_is_named(tmp_path, ann, message):
    path = document(tmp_path, "Ann", ann)
    with pytest.raises(SourceError, match=message):
        read(path)
    path.with_suffix(".txt").unlink()
    with pytest.raises(SourceError, match=r"d\.ann: no d\.txt beside it"):
        read(path)
