"""What is published without text holds no word of any source, and no path of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from esnera_hf import MergeResult, apply
from esnera_hf.alignment.questions import Question
from esnera_hf.evaluation.merged_tagger import mapping_by_name
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.load import load_source
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity, LabelRef

#: Begins every word of the sources and nothing else.
SECRET = "qzw"


def write_corpus(folder: Path, start: int) -> None:
    """Sentences of words that stand nowhere else, with spans that cross; one test sentence is one of all sources."""
    folder.mkdir()
    for offset, split in enumerate(("train", "dev", "test")):
        lines = []
        for sentence in range(5):
            first = 0 if (split, sentence) == ("test", 0) or (split, sentence) == ("train", 1) else start
            words = [f"{SECRET}{first}x{offset * first}y{sentence * first}z{n}" for n in range(8)]
            ends = [len(" ".join(words[: n + 1])) for n in range(8)]
            spans = [(0, ends[1], "person"), (ends[0] + 1, ends[2], "place"), (ends[4] + 1, ends[5], "place")]
            entities = [{"start": s, "end": e, "label": label} for s, e, label in spans]
            lines.append(json.dumps({"text": " ".join(words), "entities": entities}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


def make_result(home: Path) -> MergeResult:
    """A result with everything that a report can tell: examples, questions, dropped spans, leaks, pseudo-labels."""
    for start, name in enumerate(("one", "two"), 1):
        write_corpus(home / name, start)
    sources = [load_source(home / name) for name in ("one", "two")]
    result = apply(mapping_by_name(sources), sources)
    leaks = find_leaks(sources)
    assert result.report.dropped
    assert result.report.examples
    assert leaks
    kept = _first_train_sentence(sources[0])
    added = PseudoLabels(0.5, {"one": {kept: [Entity(6, 8, "place", 0.75)]}})
    question = Question(
        *(LabelRef("one", "person"), LabelRef("two", "person"), "apart", 0.5, 0.1, 0.1, 5),
        ((f"{SECRET}1", "person", None),),
    )
    result = replace(result, report=replace(result.report, questions=(question,)))
    return replace(result, dataset=merge_sources(sources, result.mapping, leaks, added))


def _first_train_sentence(source: NerSource) -> str:
    return next(iter(source.sentences("train"))).id


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what every file holds, tables as text, too."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            table = pq.read_table(file) if file.suffix == ".parquet" else None
            yield file.name, file.read_bytes() + (b"" if table is None else str(table.to_pylist()).encode())


@pytest.mark.parametrize("text", [True, False])
def test_words_of_sources_and_paths(tmp_path: Path, text: bool) -> None:
    home = tmp_path / "home"
    home.mkdir()
    result = make_result(home)
    result.save_for_hub(tmp_path / "out", text=text, may_share=["one", "two"] if text else [])
    holding = {name for name, content in contents(tmp_path / "out") if SECRET.encode() in content}
    data = {f"{split}-00000-of-00001.parquet" for split in ("train", "validation", "test")}
    assert holding == ({"README.md", "report.html", "report.json", *data} if text else set())
    assert [name for name, content in contents(tmp_path / "out") if str(tmp_path).encode() in content] == []
    assert SECRET in str(result.card("me/x", may_share=["one", "two"]))
    assert SECRET not in str(result.card("me/x", text=False))
