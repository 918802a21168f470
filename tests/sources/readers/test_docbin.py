"""spaCy's DocBin, where spaCy is installed."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from corpora import read_spans
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.readers.docbin import MISSING


def test_without_spacy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    monkeypatch.setitem(sys.modules, "spacy.tokens", None)
    path = tmp_path / "a.spacy"
    path.write_bytes(b"x")
    with pytest.raises(SourceError, match=r"a.spacy: .*pip install 'esnera-hf\[spacy\]'"):
        read_spans(path)


def stored(path: Path, *docs: Any) -> Path:
    spacy = pytest.importorskip("spacy", reason="needs the extra spacy")
    spacy.tokens.DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


def doc(*words: str, ents: list[str] | None = None, starts: list[bool] | None = None) -> Any:
    spacy = pytest.importorskip("spacy", reason="needs the extra spacy")
    return spacy.tokens.Doc(spacy.vocab.Vocab(), words=list(words), ents=ents, sent_starts=starts)


def test_documents_and_marked_sentences(tmp_path: Path) -> None:
    path = stored(
        tmp_path / "a.spacy",
        doc("Mara", "Quill", "\n", "left", "Osk", ents=["B-PER", "I-PER", "O", "O", "B-LOC"]),
        doc("Rain", ".", "Osk", "fell", ents=["O", "O", "B-LOC", "O"], starts=[True, False, True, False]),
        doc("Bank", "of", "Osk", ents=["B-ORG", "I-ORG", "I-ORG"], starts=[True, False, True]),
        doc("\n", ents=["O"]),
    )
    assert read_spans(path) == [
        (["Mara", "Quill", "left", "Osk"], [(0, 2, "PER"), (3, 4, "LOC")], []),
        (["Rain", "."], [], []),
        (["Osk", "fell"], [(0, 1, "LOC")], []),
        (["Bank", "of", "Osk"], [(0, 3, "ORG")], []),
    ]


def test_groups_of_spans_and_missing_annotation(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy", reason="needs the extra spacy")
    grouped = doc("Bank", "of", "Osk")
    grouped.spans["sc"] = [spacy.tokens.Span(grouped, 0, 3, "ORG"), spacy.tokens.Span(grouped, 2, 3, "LOC")]
    path = stored(tmp_path / "a.spacy", grouped)
    assert read_spans(path, tag_column="sc") == [(["Bank", "of", "Osk"], [(0, 3, "ORG"), (2, 3, "LOC")], [])]
    with pytest.raises(SourceError, match=r"doc.ents are empty, and these groups of doc.spans are not: 'sc'"):
        read_spans(path)
    with pytest.raises(SourceError, match=r"no group of doc.spans is called 'x': expected one of sc"):
        read_spans(path, tag_column="x")
    with pytest.raises(ConfigurationError, match="tag_column=1: the groups of spans"):
        read_spans(path, tag_column=1)
    partly = doc("Osk", "fell")
    partly.set_ents([spacy.tokens.Span(partly, 0, 1, "LOC")], default="missing")
    assert read_spans(stored(tmp_path / "b.spacy", partly)) == [(["Osk", "fell"], [(0, 1, "LOC")], [MISSING])]


@pytest.mark.parametrize("content", [b"", b"x", zlib.compress(b"\x80"), zlib.compress(b"\x81\xa5attrs\x90")])
def test_what_is_no_docbin_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("spacy", reason="needs the extra spacy")
    path = tmp_path / "a.spacy"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"a.spacy: spaCy cannot read it as a DocBin"):
        read_spans(path)
