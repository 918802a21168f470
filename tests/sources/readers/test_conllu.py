"""CoNLL-U with entities in MISC, and WikiNER."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpora import read_spans, write
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.readers.conllu import PARTIAL


def row(number: str, form: str, misc: str = "_") -> str:
    return "\t".join([number, form, *["_"] * 7, misc]) + "\n"


def rows(*words: str) -> str:
    """Write the rows of words, ``form MISC`` each."""
    pairs = [word.split(" ") for word in words]
    return "".join(row(str(number), *pair) for number, pair in enumerate(pairs, 1)) + "\n"


ENTITY = "# global.Entity = eid-etype-head-other\n"


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (rows("Mara NER=B-PER", "Quill NER=I-PER|SpaceAfter=No", ". NER=O"), {}, [(0, 2, "PER")]),
        (rows("Mara NER=B-PER", "Quill NER=I-PER", "left"), {}, [(0, 2, "PER")]),
        (rows("Mara ner=B-PER", "Quill ner=E-PER", "Osk ner=S-LOC"), {}, [(0, 2, "PER"), (2, 3, "LOC")]),
        (rows("Mara Entity=B-PER", "Quill Entity=I-PER", "B Gloss=B"), {}, [(0, 2, "PER")]),
        (rows("Mara NE=PER", "Quill NE=PER", "left"), {}, [(0, 2, "PER")]),
        (rows("Mara A=B-PER|C=B-X", "Quill A=I-PER|C=B-X", "."), {"tag_column": "A"}, [(0, 2, "PER")]),
        (ENTITY + rows("Mara Entity=(e1-person-1-", "Quill Entity=e1)", "Osk Entity=(e2-place-1-)"), {}, [
            (0, 2, "person"), (2, 3, "place")]),
        (ENTITY + rows("Bank Entity=(e1-org-1-(e2-org-1-)", "of", "Osk Entity=(e3-place-1-)e1)"), {}, [
            (0, 1, "org"), (0, 3, "org"), (2, 3, "place")]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_entities_in_misc(tmp_path: Path, text: str, options: Any, expected: Any, end: str) -> None:
    path = write(tmp_path / "a.conllu", "\ufeff" + text.replace("\n", end))
    assert [(spans, repairs) for _, spans, repairs in read_spans(path, **options)] == [(expected, [])]


def test_only_words_are_tokens(tmp_path: Path) -> None:
    text = (
        row("1-2", "au") + row("1", "a", "NER=O") + row("2", "le", "NER=B-LOC") + row("2.1", "x", "NER=B-LOC")
    )
    path = write(tmp_path / "a.conllu", "# text = au Mans\n" + text + row("3", "New York", "NER=I-LOC"))
    assert read_spans(path) == [(["a", "le", "New York"], [(1, 3, "LOC")], [])]


def test_mentions_that_brackets_do_not_close_are_counted(tmp_path: Path) -> None:
    text = ENTITY + rows(
        "a Entity=(e1[1/2]-person-1-)", "b Entity=e4)", "c Entity=(e3-place-1-", "d Entity=(e5)"
    )
    assert read_spans(write(tmp_path / "a.conllu", text)) == [(["a", "b", "c", "d"], [], [PARTIAL] * 4)]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (rows("Mara A=B-PER|C=B-X", "."), {}, "found 'A=B-PER', 'C=B-X'. Name it: tag_column='NER'"),
        (rows("Mara SpaceAfter=No", "."), {}, "found 'SpaceAfter=No'. Name it"),
        (rows("Mara", "."), {}, "found none. Name it"),
        (rows("Mara NER=B-PER", "."), {"tag_column": "NE"}, "MISC holds no 'NE': expected one of NER"),
        (rows("Mara Entity=(e1-person)", "."), {}, "no line '# global.Entity = ' with 'etype'"),
        (rows("Mara NER=B-PER", ". NER=PER"), {"tag_column": "NER"}, "line 2: tag 'PER'"),
        (rows("Mara NER=B-PER") + "3\tx\n", {"format": "conllu"}, "line 3: expected 10 columns"),
        (rows("Mara NER=B-PER") + row("a", "x"), {"format": "conllu"}, "line 3: expected 10 columns"),
        (rows("Mara NER=B-PER") + row("1", ""), {"format": "conllu"}, "line 3: expected 10 columns"),
    ],
)
def test_conllu_refused(tmp_path: Path, text: str, options: Any, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_spans(write(tmp_path / "a.conllu", text), **options)
    assert message in str(caught.value)


def test_a_number_is_no_attribute(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"tag_column=9: the attributes of a.conllu have names"):
        read_spans(write(tmp_path / "a.conllu", rows("Mara NER=B-PER")), tag_column=9)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("New|N|I-LOC York|N|I-LOC Rome|N|B-LOC .|.|O\n", {}, [("New York Rome .", [(0, 2, "LOC"), (2, 3, "LOC")])]),
        ("\nI|P|O\n\n||N|O b|N|I-MISC\n", {}, [("I", []), ("| b", [(1, 2, "MISC")])]),
        ("x\u2028y\u00a0z|N|O\tOsk|N|I-LOC\n", {}, [("x\u2028y\u00a0z Osk", [(1, 2, "LOC")])]),
        ("a|b|N|O Osk|N|I-LOC\n", {}, [("a|b Osk", [(1, 2, "LOC")])]),
        ("Mara|B-PER Quill|I-PER left|O\n", {"format": "wikiner"}, [("Mara Quill left", [(0, 2, "PER")])]),
        ("Mara|N|B-PER Quill|N|L-PER Osk|N|U-X\n", {"format": "wikiner"}, [
            ("Mara Quill Osk", [(0, 2, "PER"), (2, 3, "X")])]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_wikiner(tmp_path: Path, text: str, options: Any, expected: Any, end: str) -> None:
    path = write(tmp_path / "aij-wikiner-en-wp2", "\ufeff" + text.replace("\n", end))
    assert [(" ".join(tokens), spans) for tokens, spans, _ in read_spans(path, **options)] == expected


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("Mara|B-PER Quill|I-PER left|O\n", {}, "looks like token|tag .*format='wikiner'"),
        ("Mara|N|B-PER Quill|N|I-PER left|V|O\n", {}, "looks like token|tag .*format='wikiner'"),
        (
            "Mara|N|I-PER left|V|O\nx|y\n",
            {"format": "wikiner"},
            r"line 2: expected token\|part of speech\|tag",
        ),
        ("Mara|N|I-PER left|V|O\n" * 300 + "x|y\n", {}, r"line 301: expected token\|part of speech\|tag"),
        ("Mara|I-PER x\n", {"format": "wikiner"}, r"line 1: expected token\|tag, parted by spaces"),
        ("Mara|I-PER |O\n", {"format": "wikiner"}, r"line 1: expected token\|tag, parted by spaces"),
    ],
)
def test_wikiner_refused(tmp_path: Path, text: str, options: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_spans(write(tmp_path / "a.txt", text), **options)
