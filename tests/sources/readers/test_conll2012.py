"""CoNLL-2012 brackets: a document, and a folder as the shared task lays it out."""

from __future__ import annotations

from corpora import bracket_rows, write
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.load import load_source
from esnera_hf.sources.readers.columns import read_bracket_file

DOCUMENT = (
    "#begin document (bc/d); part 000\n"
    + bracket_rows(
        *(("the", "(ORG*"), ("Bank", "*"), ("of", "*"), ("China", "(GPE))"), ("Ann", "(PERSON)"), (".", "*"))
    )
    + "\n"
    + bracket_rows(("no", "*"))
    + "\n#end document\n"
)


def test_a_document(tmp_path):
    path = write(tmp_path / "a.v4_gold_conll", DOCUMENT)
    assert detect_format(path) == "brackets"
    first, second = read_bracket_file(path)
    assert first.tokens == ["the", "Bank", "of", "China", "Ann", "."]
    assert [(e.start, e.end, e.label) for e in first.spans] == [
        (3, 4, "GPE"),
        (0, 4, "ORG"),
        (4, 5, "PERSON"),
    ]
    assert (second.tokens, second.spans) == (["no"], [])
    assert [first.where, second.where] == ["a.v4_gold_conll, line 2", "a.v4_gold_conll, line 9"]


def test_a_folder_as_the_shared_task_lays_it_out(tmp_path):
    for split in ("train", "development", "test"):
        for part in "01":
            folder = tmp_path / "v4" / "data" / split / "data" / "chinese" / "annotations" / "bc"
            write(folder / f"cctv_000{part}.v4_gold_conll", DOCUMENT.replace("Ann", f"李{split}"))
            write(folder / f"cctv_000{part}.v4_gold_parse", "(TOP)")
    source = load_source(f"ontonotes={tmp_path / 'v4'}")
    assert source.summary.sentences == {"train": 4, "validation": 4, "test": 4}
    assert source.summary.dropped == {"nested in a longer span": 6}
