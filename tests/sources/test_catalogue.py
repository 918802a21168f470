"""The catalogue of corpora known by name."""

from __future__ import annotations

import re
from dataclasses import replace

from corpora import sentences_of, write
from esnera_hf.sources.catalogue import NAMED_SOURCES, find_named
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import FORMATS


def test_every_entry_is_whole():
    for known in NAMED_SOURCES.values():
        assert known.language
        assert known.homepage.startswith("https://")
        assert known.license.clause
        assert known.citation or known.name in ("peoples_daily", "stockmark"), known.name
        assert known.folders
        assert known.format in (None, *FORMATS), known.name
        assert {*known.files, *known.sentences} <= {"train", "validation", "test"}, known.name
        assert known.labels == tuple(sorted(known.labels)), known.name
        assert re.fullmatch(r"([\w.-]+/[\w.-]+)?", known.hub_id), known.name
        assert set(known.hub_options) <= {"config", "revision", "data_files"}, known.name
        tags = known.tag_names or ()
        assert not tags or {tag[2:] for tag in tags if tag != "O"} == set(known.labels), known.name


def test_names_and_folders():

    assert find_named("cluener").name == "cluener"
    assert find_named("klue_ko").name == "klue"
    assert find_named("crossner") is None
    assert find_named("nothing") is None


def test_the_first_pattern_that_fits_counts(tmp_path):
    patterns = {"train": ("best.json", "*.json"), "test": ("none.json",)}
    known = replace(NAMED_SOURCES["cluener"], files=patterns)
    one, other = write(tmp_path / "a" / "x.json", "{}"), write(tmp_path / "y.json", "{}")
    assert known.find_files(tmp_path) == {"train": [other, one]}
    best = write(tmp_path / "b" / "best.json", "{}")
    write(tmp_path / "a" / "backup" / "best.json", "{}")
    assert known.find_files(tmp_path) == {"train": [best]}


def test_labels_that_a_known_corpus_does_not_have(tmp_path):
    path = write(tmp_path / "c.txt", "{{LOCATION:北京}}\n{{location:上海}}{{persn_name:李}}\n{{time:今}}\n")
    source = load_source(f"boson={path}")
    assert source.notes[:2] == (
        "labels that boson is not known to annotate: LOCATION, persn_name",
        "labels that differ only in case, kept apart: LOCATION, location",
    )
    assert source.labels == ("LOCATION", "location", "persn_name", "time")


def test_numbers_of_a_known_corpus(tmp_path):
    for split in ("train", "val", "test"):
        record = '{"tokens": ["a", "b"], "ner_tags": [7, 8], "lang": "en"}\n'
        write(tmp_path / "multinerd" / f"{split}_en.jsonl", record)
    assert sentences_of(load_source(tmp_path / "multinerd")) == [("ab", [(0, 2, "ANIM")])] * 3
