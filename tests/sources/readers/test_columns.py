"""Column files: layouts, schemes and defects met in the wild, each written small."""

from __future__ import annotations

import pytest

from corpora import bracket_rows, compact, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.brackets import read_bracket_file
from esnera_hf.sources.readers.columns import ColumnFile


def read(path, **options):
    return [*map(compact, ColumnFile(path, ReadingOptions(**options))())]


WORD = [f"{char}{position}" for position, char in enumerate("abcdefghij1x")]
LAYOUTS = {
    "spaces": ("Ann B-PER\nran O\n", "Ann|ran 0-1:PER"),
    "runs of spaces": ("  Ann   B-PER \nran\tO\n", "Ann|ran 0-1:PER"),
    "space in a token": ("New York\tB-LOC\n.\tO", "New York|. 0-1:LOC"),
    "space as a token": (" \tO\n한\tB-PS\n", " |한 1-2:PS"),
    "empty token": ("\tO\na\tB-X\n", "|a 1-2:X"),
    "tab at a line's end": ("a\tB-X\t\nb\tO\n", "a|b 0-1:X"),
    "blank lines": ("a\tB-X\n\t\n \nb\tO\n", "a 0-1:X", "b"),
    "no prefixes": ("a\tLOC\nb\tO\n", "a|b 0-1:LOC"),
    "no O anywhere": ("a\tB-X\nb\tI-X\n", "a|b 0-2:X"),
    "CoNLL-2003": ("Ann NNP B-NP B-PER\nran VBD B-VP O\n", "Ann|ran 0-1:PER"),
    "document markers": (
        "-DOCSTART- -X- O\n\nAnn NNP I-PER\n-DOCSTART- -X- O\nran VBD O\n",
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
    "wide comments, no prefixes": ("# id 0\nAnn x PER\n# x O\n\n# id 1\nran x O\n", "Ann|# 0-1:PER", "ran"),
    "a sign": ("#\tSYM\n1\tNUM\nrocks\tO\n", "#|1|rocks 0-1:SYM 1-2:NUM"),
    "word positions": ("口0\tB-X\n腔1\tI-X\n好0\tO\n", "口|腔|好 0-2:X"),
    "no word positions": ("A1\tB-X\nB2\tI-X\nc\tO\n", "A1|B2|c 0-2:X"),
    "zeros alone": ("口0\tB-X\n腔0\tO\n", "口0|腔0 0-1:X"),
    "numbers are no word positions": (
        "2019\tB-X\n2020\tB-X\n\n19\tO\n12\tO\n\nof\tO\n",
        "2019|2020 0-1:X 1-2:X",
        "19|12",
        "of",
    ),
    "an empty layer": ("1\tBerlin\tB-LOC\tO\n2\tran\tO\tO\n", "Berlin|ran 0-1:LOC"),
    "a comment where nothing is annotated": ("# sent1\nfoo O\nbar O\n", "foo|bar"),
    "comments without a space": ("###MEDLINE:9\na\tB-X\n\n#12\nb\tO\n", "a 0-1:X", "b"),
    "names of the columns": ("word\tlabel\na\tLOC\nb\tO\n", "a|b 0-1:LOC"),
    "names of the columns, commas": ("Token,NER\na,B-X\nb,O\n", "a|b 0-1:X"),
    "a column of sentences": ("s,Ann,B-X\ns,ran,O\nt,Bob,B-X\nt,sat,O\n", "Ann|ran 0-1:X", "Bob|sat 0-1:X"),
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
    "Few-NERD": ("A\tx-actor\nB\tx-actor\nC\tart-film\n.\tO\n", "A|B|C|. 0-2:x-actor 2-3:art-film"),
    "odd labels": (
        "A\tB-product name\nB\tI-product name\nC\tB-GPE.NOM\nD\tB-人名\nE\tB-a-b\n.\tO\n",
        "A|B|C|D|E|. 0-2:product name 2-3:GPE.NOM 3-4:人名 4-5:a-b",
    ),
    "kindred layers": ("A\tB-X\tO\nB\tI-X\tB-Xpart\nC\tB-Y\tO\nD\tO\tO\n", "A|B|C|D 0-2:X 2-3:Y 1-2:Xpart"),
    "word positions of more digits": (
        "".join(f"{token}\tO\n" for token in [*WORD, "10", "东0"]) + "51\tB-X\n",
        "a|b|c|d|e|f|g|h|i|j|1|x|1|东|5 14-15:X",
    ),
    "a digit that begins a word after ten characters": (
        "".join(f"{token}\tO\n" for token in [*WORD[:10], "10"]) + "b1\tB-X\n",
        "a|b|c|d|e|f|g|h|i|j|1|b 11-12:X",
    ),
    "IOB1": ("a\tO\nb\tI-X\nc\tB-X\nd\tI-Y\n", "a|b|c|d 1-2:X 2-3:X 3-4:Y"),
    "tags before tokens": ("O\tin\nB-LOC\tRome\n\n", "in|Rome 1-2:LOC"),
    **{
        f"separator {mark}": (f'Ann{mark}B-PER\n"{mark}"{mark}O\nran{mark}O\n', f"Ann|{mark}|ran 0-1:PER")
        for mark in ",;|"
    },
    **{
        f"separators of other scripts inside tokens, {separator!r}": (
            f"a\u2028b{separator}B-X\n\u3000{separator}O\nc\u0085{separator}O\n\u00a0{separator}O\n",
            "a\u2028b|\u3000|c\u0085|\u00a0 0-1:X",
        )
        for separator in "\t "
    },
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path, layout):
    assert read(write(tmp_path / "a.txt", layout[0])) == [*layout[1:]]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("a B-NP B-X\nb I-NP O\n", {"tag_column": 1}, "a|b 0-2:NP"),
        ("a B-NP B-X\nb I-NP O\n", {"tag_column": -2}, "a|b 0-2:NP"),
        ("a B-NP B-X\nb I-NP O\n", {"scheme": "none"}, "a|b 0-1:B-X"),
        ("a\tPER\nb\tLOC\n", {"tag_column": 1, "scheme": "none"}, "a|b 0-1:PER 1-2:LOC"),
        ("O\tin\nB-LOC\tRome\n", {"tag_column": 0}, "in|Rome 1-2:LOC"),
    ],
)
def test_columns_and_scheme_can_be_named(tmp_path, text, options, expected):
    assert read(write(tmp_path / "a.txt", text), **options) == [expected]


@pytest.mark.parametrize("column", [2, -3])
def test_a_column_that_is_not_there(tmp_path, column):
    with pytest.raises(SourceError, match=f"a.txt: there is no column {column}, the rows have 2 columns"):
        read(write(tmp_path / "a.txt", "a O\nb B-X\n"), tag_column=column)


def test_a_layer_that_begins_after_the_first_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("esnera_hf.sources.readers.column_layout.SNIFFED_ROWS", 2)
    text = "Uni B-ORG O\nx O O\n\nUni B-ORG O\nBonn I-ORG B-LOC\n"
    assert read(write(tmp_path / "a.txt", text)) == ["Uni|x 0-1:ORG", "Uni|Bonn 0-2:ORG 1-2:LOC"]


def test_orphans_are_repaired_and_counted(tmp_path):
    path = write(tmp_path / "a.txt", "a\tO\nb\tI-X\n\nc\tB-X\nd\tI-Y\n")
    assert read(path) == ["a|b 1-2:X", "c|d 0-1:X 1-2:Y"]
    assert [s.repairs for s in ColumnFile(path)()] == [["inside tag without a begin tag"]] * 2


WORDS = ("the", "(ORG*"), ("Bank", "*"), ("of", "*"), ("China", "(GPE))"), ("Ann", "(PERSON)"), (".", "*")
NO = bracket_rows(("no", "*"))
DOCUMENT = f"#begin document (bc/d); part 000\n{bracket_rows(*WORDS)}\n{NO}\n#end document\n"


def test_a_bracket_file(tmp_path):
    path = write(tmp_path / "a.v4_gold_conll", DOCUMENT)
    assert detect_format(path) == "brackets"
    assert [(sentence.where, compact(sentence)) for sentence in read_bracket_file(path)] == [
        ("a.v4_gold_conll, line 2", "the|Bank|of|China|Ann|. 3-4:GPE 0-4:ORG 4-5:PERSON"),
        ("a.v4_gold_conll, line 9", "no"),
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
