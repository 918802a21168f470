"""A pattern of files is a source: the shards of tables that are larger than memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

from esnera_hf import load_source
from esnera_hf.errors import SourceNotFoundError
from esnera_hf.sources.load import source_name


def write_shards(folder: Path) -> None:
    """Write three shards of train and one of test, each with two sentences, and a file that is none of them."""
    folder.mkdir(parents=True)
    for split, count in (("train", 3), ("test", 1)):
        for number in range(count):
            rows = {
                "tokens": [["anna", "left", split, str(number), str(n)] for n in range(2)],
                "ner_tags": [["B-PER", "O", "O", "O", "O"]] * 2,
            }
            Dataset.from_dict(rows).to_parquet(folder / f"{split}-{number:05d}-of-{count:05d}.parquet")
    (folder / "other.csv").write_text("no data of it\n")


@pytest.mark.parametrize(
    ("pattern", "name", "first"),
    [
        ("{folder}/*.parquet", "news", {"train": 6, "test": 2}),
        ("{folder}/train-*.parquet", "news", {"train": 4}),
        ("mine={folder}/*.parquet", "mine", {"train": 6, "test": 2}),
        ("{folder}/../*/t*-0000?-of-*.parquet", "{parent}", {"train": 6, "test": 2}),
        ("{folder}/**/*.parquet", "news", {"train": 6, "test": 2}),
    ],
)
def test_its_files_are_read_as_those_of_a_folder(
    pattern: str, name: str, first: dict[str, int], tmp_path: Path
) -> None:
    folder = tmp_path / "in" / "news"
    write_shards(folder)
    text = pattern.format(folder=folder)
    source = load_source(text)
    assert source.name == source_name(text) == name.format(parent="in")
    sizes = {split: len(rows) for split, rows in source.dataset.items()}
    assert sizes["test"] == first.get("test", sizes["test"])
    assert sum(sizes.values()) == (8 if "test" in first else 6)
    tokens = {tuple(s.tokens) for split in source.dataset for s in source.sentences(split)}
    assert len(tokens) == sum(sizes.values())


def test_it_is_read_again_where_a_shard_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esnera_hf.sources.files._WORTH_CACHING", 0)
    write_shards(tmp_path / "news")
    pattern = str(tmp_path / "news" / "train-*.parquet")
    before = load_source(pattern).fingerprint
    assert load_source(pattern).fingerprint == before
    rows = {"tokens": [["bruno", "left"]], "ner_tags": [["B-PER", "O"]]}
    Dataset.from_dict(rows).to_parquet(tmp_path / "news" / "train-00001-of-00003.parquet")
    assert load_source(pattern).fingerprint != before


@pytest.mark.parametrize("pattern", ["nothing/*.parquet", "news/*.json", "news/[", "mine=news/x?.csv"])
def test_none_matches(pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_shards(tmp_path / "news")
    with pytest.raises(SourceNotFoundError, match="no file matches this pattern"):
        load_source(pattern)


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    file = tmp_path / "[1] corpus.conll"
    file.write_text("anna\tB-PER\nleft\tO\n\n" * 3, encoding="utf-8")
    assert load_source(file).name == "[1] corpus"
