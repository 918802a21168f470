"""Data in memory: streams, lists of records, tables of pandas; nested spans on the way into a dataset."""

from __future__ import annotations

import pandas as pd
import pytest
from datasets import Dataset, IterableDataset, IterableDatasetDict

from corpora import sentences_of
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions

ROWS = [
    {"tokens": ["Ann", "Lee", "ran"], "ner_tags": ["B-PER", "I-PER", "O"]},
    {"tokens": ["In", "Osk"], "ner_tags": ["O", "B-LOC"]},
    {"tokens": ["Nobody", "ran"], "ner_tags": ["O", "O"]},
]
EXPECTED = [
    ("Ann Lee ran", [(0, 2, "PER")]),
    ("In Osk", [(1, 2, "LOC")]),
    ("Nobody ran", []),
]
TOKENS = [
    (number, token, tag)
    for number, row in enumerate(ROWS)
    for token, tag in zip(row["tokens"], row["ner_tags"], strict=True)
]


def stream():
    return Dataset.from_list(ROWS).to_iterable_dataset()


def generated():
    return IterableDataset.from_generator(lambda: iter(ROWS))


def read(data, **options):
    """Return the sentences of a source, in the order of their texts."""
    source = load_source(data, name="s", options=ReadingOptions(**options))
    return sorted(
        (" ".join(sentence.tokens), [(e.start, e.end, e.label) for e in sentence.entities])
        for split in source.dataset
        for sentence in source.sentences(split)
    )


@pytest.mark.parametrize(
    "data",
    [
        stream(),
        generated(),
        stream().with_format("numpy"),
        IterableDatasetDict({"train": stream()}),
        ROWS,
        {"train": ROWS},
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS, index=[7, 8, 9]),
        pd.DataFrame(TOKENS, columns=["sentence_id", "words", "labels"]),
        [
            ("In Osk", {"entities": [(3, 6, "LOC")]}),
            {"text": "Ann Lee ran", "spans": [[0, 7, "PER"]]},
            ("Nobody ran", []),
        ],
    ],
    ids=[
        "stream",
        "generator",
        "formatted",
        "splits",
        "records",
        "by split",
        "frame",
        "index",
        "tokens",
        "texts",
    ],
)
def test_rows(data):
    assert read(data) == EXPECTED


def test_splits_keep_their_names():
    for data in (
        IterableDatasetDict({"train": stream(), "dev": stream(), "test": stream()}),
        dict.fromkeys(("train", "dev", "test"), ROWS),
    ):
        source = load_source(data, name="s")
        assert {split: len(rows) for split, rows in source.dataset.items()} == dict.fromkeys(
            ("train", "validation", "test"), 3
        )


def test_a_stream_is_read_once():
    """It may come over the network, and readers begin anew several times."""
    passes = []

    def rows():
        passes.append(1)
        yield from ROWS

    assert read(IterableDataset.from_generator(rows).map(lambda row: row)) == EXPECTED
    assert len(passes) <= 2  # once for the columns, if the stream does not say them, and once for the rows


def broken():
    yield ROWS[0]
    raise OSError("the line is dead")


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([3], SourceError, "s, split train, record 0: expected an object"),
        (pd.DataFrame({"tokens": []}), SourceError, "expected rows, found an empty DataFrame"),
        ({"a": ROWS, "b": ROWS}, SourceError, "split 'a' is none of train"),
        (IterableDataset.from_generator(broken), SourceError, "the stream broke off: the line is dead"),
        ({"train": 3}, ConfigurationError, "expected a known name"),
    ],
)
def test_what_cannot_be_read(data, error, message):
    with pytest.raises(error, match=message):
        load_source(data, name="s")


def test_rows_need_a_name():
    for data in (ROWS, stream(), pd.DataFrame(ROWS)):
        with pytest.raises(ConfigurationError, match="has no name of its own"):
            load_source(data)


NESTED = [
    {
        "text": "University of Osk Hospital",
        "spans": [[0, 26, "ORG"], [0, 17, "ORG"], [14, 17, "LOC"], [14, 17, "CITY"], [14, 17, "CITY"]],
    },
    {"text": "In Osk", "spans": [[3, 6, "LOC"]]},
]
HOSPITAL = "University of Osk Hospital"


def test_nested_spans():
    assert read(NESTED) == [("In Osk", [(1, 2, "LOC")]), (HOSPITAL, [(0, 4, "ORG")])]
    inner = load_source(NESTED, name="s", options=ReadingOptions(nested="innermost"))
    assert read(NESTED, nested="innermost") == [("In Osk", [(1, 2, "LOC")]), (HOSPITAL, [(2, 3, "CITY")])]
    assert inner.summary.dropped == {
        "annotated twice": 1,
        "around a shorter span": 2,
        "second label of the same span": 1,
    }
    with pytest.raises(
        ConfigurationError, match="nested='all': expected one of outermost, innermost, layers"
    ):
        ReadingOptions(nested="all")


def test_layers_keep_what_is_nested():
    source = load_source(NESTED, name="s", options=ReadingOptions(nested="layers"))
    rows = {" ".join(row["tokens"]): row for split in source.dataset.values() for row in split}
    layers = ["ner_tags", "ner_tags_2", "ner_tags_3", "ner_tags_4"]
    assert [rows[HOSPITAL][layer] for layer in layers] == [
        ["B-ORG", "I-ORG", "I-ORG", "I-ORG"],
        ["B-ORG", "I-ORG", "I-ORG", "O"],
        ["O", "O", "B-CITY", "O"],
        ["O", "O", "B-LOC", "O"],
    ]
    assert [rows["In Osk"][layer] for layer in layers] == [["O", "B-LOC"], *[["O", "O"]] * 3]
    assert source.summary.dropped == {"annotated twice": 1}
    again = load_source(source.dataset, name="fine", options=ReadingOptions(tag_column="ner_tags_2"))
    assert again.labels == ("ORG",)  # each layer is a source of its own to whoever names it
    assert sentences_of(load_source(ROWS, name="s"))
