"""Column files: layouts, schemes and defects met in the wild, each written small."""

from __future__ import annotations

import pytest

from corpora import column_text, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.columns import ColumnFile


def read(path, **options):
    """Return tokens and (start, end, label) of every sentence."""
    return [
        (sentence.tokens, [(e.start, e.end, e.label) for e in sentence.spans])
        for sentence in ColumnFile(path, ReadingOptions(**options))()
    ]


LAYOUTS = {
    "spaces": ("Ann B-PER\nran O\n", "Ann|ran 0-1:PER"),
    "runs of spaces": ("  Ann   B-PER \nran\tO\n", "Ann|ran 0-1:PER"),
    "space in a token": ("New York\tB-LOC\n.\tO", "New York|. 0-1:LOC"),
    "space as a token": (" \tO\n한\tB-PS\n", " |한 1-2:PS"),
    "empty token": ("\tO\na\tB-X\n", "|a 1-2:X"),
    "tab at a line's end": ("a\tB-X\t\nb\tO\n", "a|b 0-1:X"),
    "blank lines": ("a\tB-X\n\t\n \nb\tO\n", "a 0-1:X", "b"),
    "no prefixes": ("a\tLOC\nb\tO\n", "a|b 0-1:LOC"),
    "no prefixes, hyphen": ("a\tart-film\nb\tO\n", "a|b 0-1:art-film"),
    "no O anywhere": ("a\tB-X\nb\tI-X\n", "a|b 0-2:X"),
    "CoNLL-2003": ("Ann NNP B-NP B-PER\nran VBD B-VP O\n", "Ann|ran 0-1:PER"),
    "document markers": (
        "-DOCSTART- -X- O O\n\nAnn NNP I-NP I-PER\n-DOCSTART- -X- O O\nran VBD I-VP O\n",
        "Ann 0-1:PER",
        "ran",
    ),
    "UNER": ("# text = Ann ran\n1\tAnn\tB-PER\t-\t-\n2\tran\tO\t-\t-\n", "Ann|ran 0-1:PER"),
    "GermEval: layers, comments as wide as rows": (
        "#\thttp://a.b\t[2010]\t\n1\tUni\tB-ORG\tO\n2\tBonn\tI-ORG\tB-LOC\n3\tLOC\tB-LOC\tO\n4\t.\tO\tO\n",
        "Uni|Bonn|LOC|. 0-2:ORG 2-3:LOC 1-2:LOC",
    ),
    "KLUE": ("## CHAR\tNE_TAG\n## 1\t<한:PS>\n한\tB-PS\n#\tO\n", "한|# 0-1:PS"),
    "hashtags, no prefixes": ("#a\tPER\n#\tO\nb\tO\n", "#a|#|b 0-1:PER"),
    "comments as wide as rows, no prefixes": (
        "# sent id 0\nAnn N x PER\n# N x O\n\n# sent id 1\nran V x O\n",
        "Ann|# 0-1:PER",
        "ran",
    ),
    "a sign": ("#\tSYM\n1\tNUM\nrocks\tO\n", "#|1|rocks 0-1:SYM 1-2:NUM"),
    "word positions": ("口0\tB-X\n腔1\tI-X\n好0\tO\n", "口|腔|好 0-2:X"),
    "no word positions": ("A1\tB-X\nB2\tI-X\nc\tO\n", "A1|B2|c 0-2:X"),
    "zeros alone": ("口0\tB-X\n腔0\tO\n", "口0|腔0 0-1:X"),
    "numbers are no word positions": (
        "2019\tB-DATE\n2020\tB-DATE\n\n1998\tO\n12\tO\n",
        "2019|2020 0-1:DATE 1-2:DATE",
        "1998|12",
    ),
    "an empty layer": ("1\tBerlin\tB-LOC\tO\n2\tran\tO\tO\n", "Berlin|ran 0-1:LOC"),
    "a comment where nothing is annotated": ("# sent1\nfoo O\nbar O\n", "foo|bar"),
    "comments without a space": ("###MEDLINE:9\na\tB-X\n\n#12\nb\tO\n", "a 0-1:X", "b"),
    "names of the columns": ("word\tlabel\na\tLOC\nb\tO\n", "a|b 0-1:LOC"),
    "names of the columns, commas": ("Token,NER\na,B-X\nb,O\n", "a|b 0-1:X"),
    "a column of sentences": (
        "s1,Ann,B-X\ns1,ran,O\ns2,Bob,B-X\ns2,sat,O\n",
        "Ann|ran 0-1:X",
        "Bob|sat 0-1:X",
    ),
    "numbered sentences and names of the columns": (
        "sentence_id\tword\ttag\n1\tAnn\tB-X\n1\tran\tO\n2\tBob\tB-X\n2\tsat\tO\n2\tup\tO\n",
        "Ann|ran 0-1:X",
        "Bob|sat|up 0-1:X",
    ),
    "sentences named in their first row": (
        "Sentence #,Word,POS,Tag\nSentence: 1,Ann,N,B-X\n,ran,V,O\n,by,P,O\n"
        'Sentence: 2,"a, b",N,B-X\n,sat,V,O\n,up,P,O\n',
        "Ann|ran|by 0-1:X",
        "a, b|sat|up 0-1:X",
    ),
    "repeated words where blank lines part sentences": (
        "a\tN\tB-X\na\tN\tO\nb\tN\tO\nb\tN\tO\n\nb\tN\tB-X\n",
        "a|a|b|b 0-1:X",
        "b 0-1:X",
    ),
    "BIOES": ("中\tB-LOC\n国\tE-LOC\n人\tS-RACE\n好\tO\n", "中|国|人|好 0-2:LOC 2-3:RACE"),
    "BMEWO": ("中 B-LOC\n国 M-LOC\n人 E-LOC\n李 W-PER\n", "中|国|人|李 0-3:LOC 3-4:PER"),
    "Few-NERD": (
        "A\tperson-actor\nB\tperson-actor\nC\tart-film\n.\tO\n",
        "A|B|C|. 0-2:person-actor 2-3:art-film",
    ),
    "odd labels": (
        "A\tB-product name\nB\tI-product name\nC\tB-GPE.NOM\nD\tB-人名\nE\tB-a-b\n.\tO\n",
        "A|B|C|D|E|. 0-2:product name 2-3:GPE.NOM 3-4:人名 4-5:a-b",
    ),
    "CoNLL-2003, IOB1": (
        "-DOCSTART- -X- O O\n\nA N I-NP I-PER\nB N B-NP B-PER\nC N I-NP O\nD N I-NP I-PER\n",
        "A|B|C|D 0-1:PER 1-2:PER 3-4:PER",
    ),
    "CoNLL-2003, IOB2": (
        "-DOCSTART- -X- O O\n\nA N I-NP B-PER\nB N B-NP B-PER\nC N I-NP O\nD N I-NP B-PER\n",
        "A|B|C|D 0-1:PER 1-2:PER 3-4:PER",
    ),
    "kindred layers": (
        "A\tB-LOC\tO\nB\tI-LOC\tB-LOCpart\nC\tB-PER\tO\nD\tO\tO\n",
        "A|B|C|D 0-2:LOC 2-3:PER 1-2:LOCpart",
    ),
}


@pytest.mark.parametrize(
    ("text", "expected"), [(text, expected) for text, *expected in LAYOUTS.values()], ids=LAYOUTS
)
def test_layouts(tmp_path, text, expected):
    """A sentence is written as its tokens, parted by bars, and its spans."""
    found = [
        "|".join(tokens) + "".join(f" {start}-{end}:{label}" for start, end, label in spans)
        for tokens, spans in read(write(tmp_path / "a.txt", text))
    ]
    assert found == expected


def test_word_positions_of_more_digits(tmp_path):
    word = "abcdefghij1x"
    tokens = [f"{char}{position}" for position, char in enumerate(word)] + ["10", "东0", "51"]
    path = write(tmp_path / "a.txt", column_text([(tokens, ["O"] * 14 + ["B-X"])]))
    assert read(path) == [([*word, "1", "东", "5"], [(14, 15, "X")])]


def test_a_digit_that_begins_a_word_after_ten_characters(tmp_path):
    tokens = [f"a{position}" for position in range(10)] + ["10", "b1"]
    path = write(tmp_path / "a.txt", column_text([(tokens, ["O"] * 11 + ["B-X"])]))
    assert read(path)[0][0] == [*"aaaaaaaaaa", "1", "b"]


def test_separators_of_other_scripts_stay_inside_tokens(tmp_path):
    text = "a\u2028b{0}B-X\n\u3000{0}O\nc\u0085{0}O\n\u00a0{0}O\n"
    for separator in ("\t", " "):
        path = write(tmp_path / "a.txt", text.format(separator))
        assert read(path) == [(["a\u2028b", "\u3000", "c\u0085", "\u00a0"], [(0, 1, "X")])]


def test_a_layer_that_begins_after_the_first_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("esnera_hf.sources.readers.columns._SNIFFED_ROWS", 2)
    text = "Uni B-ORG O\nx O O\n\nUni B-ORG O\nBonn I-ORG B-LOC\n"
    assert read(write(tmp_path / "a.txt", text)) == [
        (["Uni", "x"], [(0, 1, "ORG")]),
        (["Uni", "Bonn"], [(0, 2, "ORG"), (1, 2, "LOC")]),
    ]


def test_orphans_are_repaired_and_counted(tmp_path):
    path = write(tmp_path / "a.txt", "a\tO\nb\tI-X\n\nc\tB-X\nd\tI-Y\n")
    sentences = list(ColumnFile(path)())
    assert [len(s.spans) for s in sentences] == [1, 2]
    assert [s.repairs for s in sentences] == [["inside tag without a begin tag"]] * 2
    assert [s.where for s in sentences] == ["a.txt, line 1", "a.txt, line 4"]


def test_iob1_has_no_orphans(tmp_path):
    path = write(tmp_path / "a.txt", "a\tO\nb\tI-X\nc\tB-X\nd\tI-Y\n")
    (sentence,) = ColumnFile(path)()
    assert [(e.start, e.end, e.label) for e in sentence.spans] == [(1, 2, "X"), (2, 3, "X"), (3, 4, "Y")]
    assert sentence.repairs == []


def test_columns_and_scheme_can_be_named(tmp_path):
    path = write(tmp_path / "a.txt", "a B-NP B-X\nb I-NP O\n")
    assert read(path, tag_column=1) == read(path, tag_column=-2) == [(["a", "b"], [(0, 2, "NP")])]
    assert read(path, scheme="none") == [(["a", "b"], [(0, 1, "B-X")])]
    words = write(tmp_path / "b.txt", "a\tPER\nb\tLOC\n")
    assert read(words, tag_column=1) == [(["a", "b"], [(0, 1, "PER"), (1, 2, "LOC")])]


@pytest.mark.parametrize("column", [2, -3])
def test_a_column_that_is_not_there(tmp_path, column):
    path = write(tmp_path / "a.txt", "a O\nb B-X\n")
    with pytest.raises(SourceError, match=f"a.txt: there is no column {column}, the rows have 2 columns"):
        read(path, tag_column=column)


@pytest.mark.parametrize("separator", [",", ";", "|"])
def test_other_separators(tmp_path, separator):
    rows = [("Ann", "B-PER"), (f'"{separator}"', "O"), ("ran", "O")]
    path = tmp_path / "train.csv"
    path.write_text("".join(f"{token}{separator}{tag}\n" for token, tag in rows), encoding="utf-8")
    (sentence,) = ColumnFile(path)()
    assert sentence.tokens == ["Ann", separator, "ran"]
    assert [(e.start, e.end, e.label) for e in sentence.spans] == [(0, 1, "PER")]


def test_tags_before_tokens(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("O\tin\nB-LOC\tRome\n\n", encoding="utf-8")
    for reader in (ColumnFile(path), ColumnFile(path, ReadingOptions(tag_column=0))):
        (sentence,) = reader()
        assert sentence.tokens == ["in", "Rome"]
        assert [(e.start, e.end, e.label) for e in sentence.spans] == [(1, 2, "LOC")]
