"""The readers on real corpora: published counts, and a reference made by other code."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from esnera_hf.sources.catalogue import NAMED_SOURCES
from esnera_hf.sources.files import file_reader
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.columns import ColumnFile
from esnera_hf.sources.readers.json import json_reader

DATA_DIR = os.environ.get("ESNERA_DATA_DIR", "")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA_DIR, reason="ESNERA_DATA_DIR does not name a folder of corpora"),
]

CROSSNER = ("ai", "literature", "music", "politics", "science")
BIOMEDICAL = {
    "bc5cdr": "BC5CDR-IOB",
    "bc5cdr_chem": "BC5CDR-chem-IOB",
    "bc5cdr_disease": "BC5CDR-disease-IOB",
    "ncbi_disease": "NCBI-disease-IOB",
}
UNER = {
    "en_ewt": ("dev", "test"),
    "pt_bosque": ("train", "dev", "test"),
    "zh_gsdsimp": ("train", "dev", "test"),
}
COLUMN_FILES = {
    **{
        f"crossner_{domain}.{split}": f"crossner/ner_data/{domain}/{split}.txt"
        for domain in CROSSNER
        for split in ("train", "dev", "test")
    },
    **{
        f"{name}.{split}": f"{name}/data/{folder}/{file}.tsv"
        for name, folder in BIOMEDICAL.items()
        for split, file in (("train", "train"), ("dev", "devel"), ("test", "test"))
    },
    **{
        f"uner_{name}.{split}": f"uner_{name}/{name}-ud-{split}.iob2"
        for name, splits in UNER.items()
        for split in splits
    },
    **{f"btc.sec_{section}": f"btc/data/BTC/CONLL-format/data/{section}.conll" for section in "abefgh"},
    **{f"germeval14.{split}": f"germeval14/GermEval2014/NER-de-{split}.tsv" for split in ("dev", "test")},
    **{f"danplus.{split}": f"danplus/data/da_news_{split}.tsv" for split in ("train", "dev", "test")},
    **{f"weibo_v1.{split}": f"weibo/data/weiboNER.conll.{split}" for split in ("train", "dev", "test")},
    **{
        f"danplus.{part}_{split}": f"danplus/data/da_{part}_{split}.tsv"
        for part in ("arto", "twitter")
        for split in ("dev", "test")
    },
    "klue_ko.dev": "klue_ko/klue_benchmark/klue-ner-v1.1/klue-ner-v1.1_dev.tsv",
    "wikigold.all": "wikigold/data/wikigold/CONLL-format/data/wikigold.conll.txt",
    "wnut17.train": "wnut17/wnut17train.conll",
    "wnut17.dev": "wnut17/emerging.dev.conll",
    "wnut17.test": "wnut17/emerging.test.annotated",
}


def raw(path):
    file = Path(DATA_DIR) / path
    if not file.exists():
        pytest.skip(f"{file} is not there")
    return file


def reference(name):
    path = Path(DATA_DIR).parent / "jsonl" / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        records = [json.loads(line) for line in stream]
    return [(record["tokens"], sorted(map(tuple, record["spans"]))) for record in records]


def read(sentences):
    return [(s.tokens, sorted((e.start, e.end, e.label) for e in s.spans)) for s in sentences]


@pytest.mark.parametrize("name", COLUMN_FILES)
def test_column_files_read_as_the_reference_does(name):
    # A span of the same label in two layers is one.
    expected = [(tokens, sorted(set(spans))) for tokens, spans in reference(name)]
    assert read(ColumnFile(raw(COLUMN_FILES[name]))()) == expected


@pytest.mark.parametrize(("split", "positions"), [("train", 24), ("dev", 7), ("test", 7)])
def test_weibo_reads_as_the_reference_but_for_long_positions(split, positions):
    found = read(ColumnFile(raw(f"weibo/data/weiboNER_2nd_conll.{split}"))())
    expected = reference(f"weibo.{split}")
    assert [spans for _, spans in found] == [spans for _, spans in expected]
    assert {token for tokens, _ in found for token in tokens if len(token) != 1} == {"\ufffd\ufffd"}
    stripped = [[token[0] if token[-1].isdigit() else token for token in tokens] for tokens, _ in expected]
    assert [tokens for tokens, _ in found] == stripped
    assert sum(one[0] != other[0] for one, other in zip(found, expected, strict=True)) == positions


@pytest.mark.parametrize("split", ["train", "dev"])
def test_cluener_reads_as_the_reference_does(split):
    assert read(json_reader(raw(f"cluener/{split}.json"))()) == reference(f"cluener.{split}")


@pytest.mark.parametrize(("split", "files"), [("train", "train_*.json"), ("test", "test_*.json")])
def test_event_arguments_read_as_the_reference_does(split, files):
    found = sorted(raw("fewfc/rearranged").glob(files))
    assert read(file_reader(found, ReadingOptions(format="json"))()) == reference(f"fewfc.{split}")


def test_stockmark_reads_as_the_reference_does():
    assert read(json_reader(raw("stockmark_ja/ner.json"))()) == reference("stockmark_ja.all")


@pytest.mark.parametrize("name", NAMED_SOURCES)
def test_named_sources(name):
    known = NAMED_SOURCES[name]
    if not any(known.find_files(Path(DATA_DIR) / folder) for folder in known.folders):
        pytest.skip(f"no copy of {name}")
    source = load_source(name)
    assert set(source.labels) <= set(known.labels)
    assert not [note for note in source.notes if note.startswith("labels that")]
    spans = sum(sum(counts.values()) for counts in source.summary.entities.values())
    assert spans > 0
    read_spans = sum(
        len(sentence.spans or ())
        for folder in known.folders
        for files in known.find_files(Path(DATA_DIR) / folder).values()
        for sentence in file_reader(files, ReadingOptions(format=known.format))()
    )
    assert spans + len(source.dropped) == read_spans
    if not any("cut by text" in note for note in source.notes):
        for split, sentences in known.sentences.items():
            assert source.summary.sentences[split] == sentences


def test_cluener_counts():
    raw("cluener/train.json")
    source = load_source("cluener")
    entities = {split: sum(counts.values()) for split, counts in source.summary.entities.items()}
    dropped = {
        split: sum(drop.split == split for drop in source.dropped) for split in ("train", "validation")
    }
    assert entities["train"] + dropped["train"] == 23_972
    assert entities["validation"] + entities["test"] + dropped["validation"] == 3_072
    assert source.summary.sentences["train"] == 10_748
    assert source.summary.sentences["validation"] + source.summary.sentences["test"] == 1_343
    assert len(source.labels) == 10
    assert len(source.dropped) == source.summary.dropped["nested in a longer span"] == 2
    assert "test carries no annotation: not loaded" in source.notes


def test_weibo_counts():
    raw("weibo/data")
    source = load_source("weibo")
    assert source.summary.sentences == {"train": 1_350, "validation": 270, "test": 270}
    assert [sum(counts.values()) for counts in source.summary.entities.values()] == [1_895, 389, 418]
    assert source.repairs["inside tag without a begin tag"] == 14
    assert source.dropped == ()
