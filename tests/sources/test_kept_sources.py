"""Sources from the cache: the same as read from files, down to the bytes of what is merged of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esnera_hf.alignment import LabelMapping, MappedLabel
from esnera_hf.cache import cache_folder
from esnera_hf.leaks import find_leaks
from esnera_hf.manifest import Manifest
from esnera_hf.merging import merge_sources
from esnera_hf.report import Report
from esnera_hf.result import MergeResult
from esnera_hf.sources import NerSource, kept_sources, row_writer
from esnera_hf.sources.kept_sources import load_kept

#: A repair (I- at the beginning), and two labels that differ in case alone.
TRAIN = "".join(
    f"Word{n}\tO\nAnna{n % 7}\t{'I' if n % 5 == 0 else 'B'}-per\nin\tO\nOslo\tB-{'LOC' if n % 3 else 'loc'}\n\n"
    for n in range(60)
)
TEST = "Bruno\tB-per\nleft\tO\n\nAnna6\tB-per\nin\tO\n\n"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep small sources, too; their larger splits lie in files nonetheless."""
    monkeypatch.setattr(kept_sources, "WORTH_KEEPING", 0)
    monkeypatch.setattr(row_writer, "CHUNK", 20)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "train.conll").write_text(TRAIN)
    (folder / "test.conll").write_text(TEST)
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read from files."""
    found: list[str] = []
    load = kept_sources.load_source

    def noted(text: str) -> NerSource:
        found.append(text)
        return load(text)

    monkeypatch.setattr(kept_sources, "load_source", noted)
    return found


def facts(source: NerSource) -> dict[str, Any]:
    rows = {split: [rows[:], rows.features, rows._fingerprint] for split, rows in source.dataset.items()}
    kept = {name: value for name, value in vars(source).items() if name != "dataset"}
    return {**kept, "rows": rows, "summary": source.summary, "fingerprint": source.fingerprint}


def merged_files(source: NerSource, folder: Path) -> dict[str, tuple[int, str]]:
    mapping = LabelMapping(
        tuple(source.labels), tuple(MappedLabel(ref, ref.label) for ref in source.label_refs)
    )
    merged = merge_sources([source], mapping, find_leaks([source]))
    MergeResult(merged, mapping, None, Report({}, [])).save(folder)
    return dict(Manifest.of(folder).files)


def test_the_same_as_read(corpus: Path, reads: list[str], tmp_path: Path) -> None:
    first, again = load_kept(corpus), load_kept(corpus)
    assert reads == [str(corpus)]
    assert first.repairs
    assert first.notes
    assert first.given == str(corpus)
    assert facts(again) == facts(first)
    assert merged_files(again, tmp_path / "again") == merged_files(first, tmp_path / "first")


def test_read_twice_from_files_it_gives_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    """Wherever the rows of large splits lay in between."""
    one, other = kept_sources.load_source(corpus), kept_sources.load_source(corpus)
    assert one.dataset["train"].cache_files != other.dataset["train"].cache_files
    assert merged_files(one, tmp_path / "one") == merged_files(other, tmp_path / "other")


def test_what_is_made_of_its_rows_does_not_touch_it(corpus: Path, reads: list[str]) -> None:
    load_kept(corpus)
    again = load_kept(corpus)
    again.dataset["train"].map(lambda row: {"length": len(row["tokens"])})
    load_kept(corpus)
    assert reads == [str(corpus)]


@pytest.mark.parametrize("given", ["{}", "name={}", "{}/train.conll"])
def test_another_name_or_place_is_another_source(corpus: Path, reads: list[str], given: str) -> None:
    text = given.format(corpus)
    assert load_kept(text).name == load_kept(text).name
    assert load_kept(f"other={corpus}").name == "other"
    assert reads == [text, f"other={corpus}"]


def test_files_that_changed_are_read_again(corpus: Path, reads: list[str]) -> None:
    before = load_kept(corpus)
    file = corpus / "train.conll"
    file.write_text(TRAIN.replace("Oslo", "Rome"))  # as many bytes
    assert load_kept(corpus).fingerprint != before.fingerprint
    (corpus / "dev.conll").write_text(TEST.replace("Bruno", "Clara"))
    assert len(load_kept(corpus).dataset["validation"]) == 2
    file.write_text(TRAIN)
    (corpus / "dev.conll").unlink()
    assert load_kept(corpus).fingerprint == before.fingerprint
    assert len(reads) == 3


def test_damage_is_found_and_mended(
    corpus: Path, reads: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = facts(load_kept(corpus))
    (file,) = cache_folder().glob("sources/*/made/train.arrow")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert facts(load_kept(corpus)) == before
    assert len(reads) == 2
    assert "is damaged: train.arrow holds other bytes" in capsys.readouterr().err


def test_what_is_small_is_not_kept(corpus: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(file.stat().st_size for file in corpus.iterdir())
    monkeypatch.setattr(kept_sources, "WORTH_KEEPING", size + 1)
    load_kept(corpus)
    load_kept(corpus)
    assert len(reads) == 2
    assert not (cache_folder() / "sources").exists()
    monkeypatch.setattr(kept_sources, "WORTH_KEEPING", size)
    load_kept(corpus)
    load_kept(corpus)
    assert len(reads) == 3


def test_a_known_corpus_where_the_variable_says(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESNERA_DATA_DIR", str(tmp_path))
    (tmp_path / "cluener").mkdir()
    line = '{"text": "abcd", "label": {"name": {"ab": [[0, 1]]}}}\n'
    for split in ("train", "dev"):
        (tmp_path / "cluener" / f"{split}.json").write_text(line.replace("cd", split))
    assert facts(load_kept("cluener")) == facts(load_kept("cluener"))
    assert reads == ["cluener"]


def test_a_file_that_may_not_be_read_and_does_not_count(
    corpus: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path) -> str:
        raise PermissionError(str(file))

    monkeypatch.setattr(kept_sources, "_digest", refuse)
    assert load_kept(corpus).name == "corpus"
    assert reads == [str(corpus)]
