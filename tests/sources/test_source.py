"""The canonical form: summary, fingerprint, sample."""

from __future__ import annotations

import json

import pytest

from corpora import raw_reader, sentences_of
from esnera_hf.sources.build import SourceTerms, build_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import License
from esnera_hf.tagging import LabelRef

TRAIN = [(f"text-{number}", [(0, 4, "noun")]) for number in range(30)]


def source(name="corpus", train=TRAIN, rest=(("dev", [(0, 3, "noun"), (0, 1, "letter")]),), seed=42):
    readers = {"train": raw_reader(*train), "validation": raw_reader(*rest), "test": raw_reader(*rest)}
    return build_source(
        SourceTerms(name, License("CC0", True, "do as you like"), "en"), readers, ReadingOptions(seed=seed)
    )


def test_summary():
    summary = source().summary
    assert summary.sentences == {"train": 30, "validation": 1, "test": 1}
    assert summary.tokens == {"train": 10 * 6 + 20 * 7, "validation": 3, "test": 3}
    assert summary.entities == {"train": {"noun": 30}, "validation": {"noun": 1}, "test": {"noun": 1}}
    assert str(summary).splitlines() == [
        "corpus: license CC0 (text may be shared)",
        "  train: 30 sentences, 200 tokens, 30 entities",
        "  validation: 1 sentences, 3 tokens, 1 entities",
        "  test: 1 sentences, 3 tokens, 1 entities",
        "  labels: noun 32",
        "  dropped: 2 spans (nested in a longer span)",
    ]
    plain = json.loads(json.dumps(summary.to_dict()))
    assert plain["license"] == {"name": "CC0", "text_may_be_shared": True, "clause": "do as you like"}
    assert plain["dropped"] == {"nested in a longer span": 2}


def test_labels_are_those_kept():
    assert source().labels == ("noun",)
    assert source().label_refs == (LabelRef("corpus", "noun"),)
    assert str(source().label_refs[0]) == "corpus:noun"


@pytest.mark.parametrize(
    ("shared", "words"),
    [(True, "text may be shared"), (False, "text must not be shared"), (None, "sharing not stated")],
)
def test_license(shared, words):
    assert str(License("L", shared)) == f"L ({words})"


def test_the_fingerprint_is_of_the_content():
    same = source("other name")
    text = source(train=[*TRAIN[:-1], ("text-2b", [(0, 4, "noun")])])
    label = source(train=[*TRAIN[:-1], ("text-29", [(0, 4, "name")])])
    assert source().fingerprint == same.fingerprint
    assert len({source().fingerprint, text.fingerprint, label.fingerprint}) == 3


def test_a_sample_depends_on_texts_and_seed_alone():
    def sampled(train, seed, name="corpus"):
        return {text for text, _ in sentences_of(source(name, train).sample(10, seed))}

    assert len(sampled(TRAIN, 1)) == 11
    assert sampled(TRAIN, 1) == sampled(TRAIN[::-1], 1) == sampled(TRAIN, 1, "other name")
    assert sampled(TRAIN, 1) != sampled(TRAIN, 2)


def test_a_sample_keeps_the_order_and_says_so():
    sample = source().sample(10, 5)
    ids = [int(row_id.rpartition("-")[2]) for row_id in sample.dataset["train"]["id"]]
    assert ids == sorted(ids)
    assert len(ids) == 10
    assert sample.notes == ("sampled to at most 10 sentences a split (seed 5)",)
    assert sample.summary.sentences == {"train": 10, "validation": 1, "test": 1}
    whole = source().sample(30, 5)
    assert whole.fingerprint == source().fingerprint
