"""Which column is which: files of many tools are read alike, and refused with two readings where that is open."""

from __future__ import annotations

import pytest

from corpora import compact, write
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.columns import ColumnFile

SENTENCES = [
    ("Mara Quill visited Port Ellis .", "B-PER I-PER O B-LOC I-LOC O"),
    ("Tolvex Ltd hired Jon Abara in May .", "B-ORG I-ORG O B-PER I-PER O O O"),
    ("Nothing happened there .", "O O O O"),
    ("Port Ellis Mara Quill Tolvex", "B-LOC I-LOC B-PER I-PER B-ORG"),
    ("Rain fell in Osk ; said Jon .", "O O O B-LOC O O B-PER O"),
    ("Brindle Bank sued Tolvex", "B-ORG I-ORG O B-ORG"),
]
EXPECTED = [
    "Mara|Quill|visited|Port|Ellis|. 0-2:PER 3-5:LOC",
    "Tolvex|Ltd|hired|Jon|Abara|in|May|. 0-2:ORG 3-5:PER",
    "Nothing|happened|there|.",
    "Port|Ellis|Mara|Quill|Tolvex 0-2:LOC 2-4:PER 4-5:ORG",
    "Rain|fell|in|Osk|;|said|Jon|. 3-4:LOC 6-7:PER",
    "Brindle|Bank|sued|Tolvex 0-2:ORG 3-4:ORG",
]


def rows(columns, *, separator="\t", parted=True, header=""):
    """Write the sentences with columns made of word, tag, numbers of sentence, document and token, and offsets."""
    lines = [header] if header else []
    n = 0
    for s, (words, tags) in enumerate(SENTENCES):
        a = 0
        for i, (w, t) in enumerate(zip(words.split(), tags.split(), strict=True)):
            cells = {"w": w, "t": t, "s": s, "d": s // 3, "i": i, "n": n, "a": a, "b": a + len(w)}
            lines.append(separator.join(str(column(cells)) for column in columns))
            a += len(w) + 1
            n += 1
        lines += [""] * parted
    return "\n".join(lines) + "\n"


def cell(key):
    return lambda cells: cells[key]


def text(pattern):
    return lambda cells: pattern.format(**cells)


W, T, S, NUMBER, N, A, B = map(cell, "wtsinab")
POS, DOCUMENT = text("NN"), text("doc{d}")


def chunk(cells):
    return "I-NP" if cells["i"] else "B-NP"


def restarted(cells):
    return cells["s"] % 3


LAYOUTS = {
    "document, sentence and token number": ([DOCUMENT, S, NUMBER, W, T], True),
    "document and sentence that begins anew": ([DOCUMENT, restarted, W, T], False),
    "sentence that begins anew": ([restarted, W, T], False),
    "sentence and token number": ([S, NUMBER, W, T], False),
    "token number alone": ([NUMBER, W, T], False),
    "number of the row": ([N, W, T], True),
    "offsets": ([A, B, W, T], True),
    "offsets in one column": ([text("{a}-{b}"), W, T], True),
    "names of tokens": ([text("T{s}.{i}"), W, T], True),
    "sentence behind the tag": ([W, T, S], False),
    "what stands behind the word": ([W, text("{w}x"), POS, chunk, T], True),
    "chunks behind the tag": ([W, T, chunk], True),
    "the same document everywhere": ([text("a.txt"), W, A, B, T], True),
}


@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize(("columns", "parted"), LAYOUTS.values(), ids=LAYOUTS)
def test_columns_without_names(tmp_path, columns, parted, separator):
    path = write(tmp_path / "a.txt", rows(columns, parted=parted, separator=separator))
    assert [*map(compact, ColumnFile(path)())] == EXPECTED


@pytest.mark.parametrize("separator", ",\t;")
@pytest.mark.parametrize(
    ("names", "columns"),
    [
        ("sentence_id,token_id,token,label", [S, NUMBER, W, T]),
        ("Unnamed: 0,Sentence,Word,Tag", [N, S, W, T]),
        ("doc,sent,idx,form,upos,ner", [DOCUMENT, S, NUMBER, W, POS, T]),
        ("lemma,word,pos,sentence_idx,tag", [text("{w}x"), W, POS, text("{s}.0"), T]),
        ("labels,words,sentence_id", [T, W, S]),
    ],
)
def test_columns_with_names(tmp_path, names, columns, separator):
    quoted = [
        lambda cells, column=c: f'"{column(cells)}"' if separator in str(column(cells)) else column(cells)
        for c in columns
    ]
    content = rows(quoted, parted=False, separator=separator, header=names.replace(",", separator))
    assert [*map(compact, ColumnFile(write(tmp_path / "a.csv", content))())] == EXPECTED


@pytest.mark.parametrize("separator", ",;")
@pytest.mark.parametrize("names", ["", "token,label"])
def test_empty_rows_of_spreadsheets_part_sentences(tmp_path, names, separator):
    quoted = [
        lambda cells, column=c: f'"{column(cells)}"' if separator in column(cells) else column(cells)
        for c in (W, T)
    ]
    content = rows(quoted, separator=separator, header=names.replace(",", separator))
    path = write(tmp_path / "a.csv", content.replace("\n\n", f"\n{separator}\n"))
    assert [*map(compact, ColumnFile(path)())] == EXPECTED


def bare(cells):
    return cells["t"][2:] or "O"


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize(
    ("names", "columns"),
    [("Wort,Etikett", [W, T]), ("句子,字,标签", [S, W, T]), ("phrase,mot,Tag", [S, W, T])],
)
def test_names_of_columns_in_other_languages(tmp_path, names, columns, separator):
    quoted = [
        lambda cells, column=c: str(column(cells)).replace(separator, f'"{separator}"') for c in columns
    ]
    header = names.replace(",", separator)
    content = rows(quoted, parted=S not in columns, separator=separator, header=header)
    read = [*map(compact, ColumnFile(write(tmp_path / "a.csv", content))())]
    assert read == EXPECTED


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("Wort\tEtikett", None),
        ("Wort\tEtikett", {"token_column": "Wort", "tag_column": "Etikett"}),
        ("Wort\tEtikett", {"token_column": 0, "tag_column": 1}),
        ("", {}),
    ],
)
def test_a_first_row_that_may_be_names_or_a_token_with_a_bare_tag_is_asked_for(tmp_path, header, options):
    path = write(tmp_path / "a.tsv", rows([W, bare], header=header))
    if options is None:
        with pytest.raises(
            SourceError, match=r"token_column='Wort', tag_column='Etikett'.*token_column=0, tag_column=1"
        ):
            list(ColumnFile(path)())
        return
    labels = {
        span.label for sentence in ColumnFile(path, ReadingOptions(**options))() for span in sentence.spans
    }
    assert ("Etikett" in labels) == (options.get("token_column") == 0)


def fine(cells):
    return cells["t"] if cells["t"] == "O" else f"{cells['t']}-fine"


def twice(cells):
    return cells["t"] if cells["t"] == "O" else f"{cells['t']}|{cells['t']}-x"


def predicted(cells):
    return cells["t"] if cells["n"] % 3 else "O"


@pytest.mark.parametrize(
    ("columns", "header", "message"),
    [
        ([W, T, fine], "", "column of tags: 2 readings fit.*tags in column 2 .tag_column=2.*tag_layer=.all."),
        ([W, T, predicted], "", "column of tags: 2 readings fit"),
        ([W, text("B-A0"), T], "", "column of tags: 2 readings fit"),
        ([W, T, fine], "token\tner_coarse\tner_fine", "tag_column='ner_fine' or tag_column='ner_coarse'"),
        (
            [N, S, W, T],
            "\tsentence\tword\ttag",
            "not column 0, as where pandas writes its index.*token_column='word'",
        ),
        ([N, T], "", "no reading fits well.*against it: none of its cells has a letter: '0', '1'"),
        ([text("{w} x"), T], "", "cells hold spaces, as pieces of text that are no tokens"),
        ([text("##{w}"), T], "", "are pieces of words"),
        ([text("{w} {w}"), text("{t} {t}")], "", "each row holds a whole sentence"),
        ([W, twice], "", "several tags in a cell.*tag_layer=0.*tag_layer=.all."),
    ],
)
def test_two_readings_are_shown(tmp_path, columns, header, message):
    with pytest.raises(SourceError, match=f"(?s){message}"):
        list(ColumnFile(write(tmp_path / "a.txt", rows(columns, header=header)))())


@pytest.mark.parametrize(
    ("columns", "header", "options"),
    [
        ([W, T, fine], "", {"tag_column": 1}),
        ([POS, W, T], "", {"token_column": 1}),
        ([N, S, W, T], "\tsentence\tword\ttag", {"token_column": "word", "tag_column": "tag"}),
        ([W, twice], "", {"tag_layer": 0}),
        ([W, text("{t}=")], "", {"tag_names": {f"{t}=": t for _, ts in SENTENCES for t in ts.split()}}),
    ],
)
def test_options_decide(tmp_path, columns, header, options):
    path = write(tmp_path / "a.txt", rows(columns, header=header))
    assert [*map(compact, ColumnFile(path, ReadingOptions(**options))())] == EXPECTED


def test_layers_are_read_if_asked_for(tmp_path):
    columns = ColumnFile(write(tmp_path / "a.txt", "a B-X B-Y\nb O I-Y\n"), ReadingOptions(tag_layer="all"))
    cells = ColumnFile(write(tmp_path / "b.txt", "a B-X|B-Y\nb I-Y\n"), ReadingOptions(tag_layer="all"))
    assert [sorted(s.spans) for s in columns()] == [sorted(s.spans) for s in cells()]
    assert compact(next(cells())) == "a|b 0-1:X 0-2:Y"


def test_a_column_that_no_row_names(tmp_path):
    path = write(tmp_path / "a.txt", rows([W, T]))
    with pytest.raises(ConfigurationError, match=r"the columns of a\.txt have numbers, not names"):
        list(ColumnFile(path, ReadingOptions(token_column="word"))())


def test_other_columns_are_kept_by_sentence(tmp_path):
    names = "doc_id\tsentence_id\tlang\ttoken\tpos\tner"
    path = write(
        tmp_path / "a.tsv", rows([DOCUMENT, S, text("en"), W, text("{w}x"), T], parted=False, header=names)
    )
    source = load_source(path)
    kept = {
        row["sentence_id"]: (row["doc_id"], row["lang"]) for split in source.dataset.values() for row in split
    }
    assert kept == {str(s): (f"doc{s // 3}", "en") for s in range(6)}
    assert source.reading == (
        "tokens: column 3 'token'",
        "tags: column 5 'ner'",
        "sentences: columns 0 'doc_id', 1 'sentence_id'",
        "kept: columns 0 'doc_id', 1 'sentence_id', 2 'lang'",
        "not read: column 4 'pos'",
    )
