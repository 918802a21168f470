"""Counts and digests of datasets, against plain loops over their rows."""

from __future__ import annotations

from collections import Counter

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, concatenate_datasets

from esnera_hf._internal import arrow
from esnera_hf._internal.arrow import (
    Statistics,
    dataset_fingerprint,
    rows_with_ids,
    stored_bytes,
    text_digests,
)
from esnera_hf.tagging import entities_from_tags

FEATURES = Features(
    {
        "id": Value("string"),
        "tokens": List(Value("string")),
        "ner_tags": List(ClassLabel(names=["O", "B-per", "I-per", "B-city", "I-city"])),
        "source": Value("string"),
        "origin": List(ClassLabel(names=["gold", "pseudo"])),
    }
)
ROWS = [
    ("a-0", ["met", "oslo"], [0, 3], "alpha", [0, 0]),
    ("a-1", ["anna", "smith", "bob"], [1, 2, 1], "alpha", [1, 1, 0]),
    ("b-0", ["阿尔法", "北京"], [3, 3], "beta", [0, 0]),
    ("b-1", ["nothing"], [0], "beta", [0]),
]


def split(*numbers: int) -> Dataset:
    columns = {name: [ROWS[number][index] for number in numbers] for index, name in enumerate(FEATURES)}
    return Dataset.from_dict(columns, features=FEATURES)


def merged() -> DatasetDict:
    return DatasetDict({"train": split(0, 1, 2, 3, 3, 1), "validation": split(2), "test": split()})


def count_slowly(dataset: DatasetDict) -> tuple[Counter, Counter, Counter]:
    sentences, tokens, entities = Counter(), Counter(), Counter()
    for name, rows in dataset.items():
        tags, origins = (rows.features[column].feature.names for column in ("ner_tags", "origin"))
        for entry in rows:
            place = name, entry["source"]
            sentences[place] += 1
            tokens[place] += len(entry["tokens"])
            for entity in entities_from_tags([tags[tag] for tag in entry["ner_tags"]])[0]:
                entities[(*place, entity.label, origins[entry["origin"][entity.start]])] += 1
    return sentences, tokens, entities


@pytest.mark.parametrize("batch", [1, 2, 10_000])
def test_counts_are_those_of_a_loop(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "_BATCH", batch)
    counts = Statistics(merged())
    assert (counts.sentences, counts.tokens, counts.entities) == count_slowly(merged())
    assert counts.splits == ("train", "validation", "test")
    assert counts.sources == ["alpha", "beta"]


def test_counts_by_what_is_asked() -> None:
    counts = Statistics(merged())
    assert counts.count() == 9
    assert counts.count(split="train") == 7
    assert counts.count(source="beta") == 4
    assert counts.count(label="city", origin="gold") == 5
    assert counts.count(split="train", origin="pseudo") == 2
    assert counts.count(label="no such label") == 0


@pytest.mark.parametrize("batch", [1, 10_000])
def test_stored_bytes_do_not_depend_on_batches_or_order(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "_BATCH", batch)
    # Two tokens, each with a tag and an origin of 8 bytes; 4 bytes for where each list and each text ends.
    first = sum(4 + len(text) for text in ("a-0", "met", "oslo", "alpha")) + 3 * 4 + 2 * (8 + 8)
    assert stored_bytes(split(0)) == first
    assert stored_bytes(split(3, 1, 0)) == stored_bytes(split(1, 3)) + first
    assert stored_bytes(split()) == 0


def test_a_fingerprint_is_that_of_the_rows_however_they_lie() -> None:
    whole = dataset_fingerprint(merged())
    pieces = merged()
    pieces["train"] = concatenate_datasets([split(0, 1), split(3, 2).select([1, 0]), split(3, 1)])
    assert dataset_fingerprint(pieces) == whole
    others = [merged() for _ in range(3)]
    others[0]["train"] = split(1, 0, 2, 3, 3, 1)
    others[1]["test"] = others[1].pop("validation")
    others[2]["train"] = others[2]["train"].cast_column("origin", List(ClassLabel(names=["gold", "silver"])))
    changes = ("id", "x"), ("source", "other"), ("ner_tags", [0, 4]), ("origin", [0, 1])
    for column, value in (*changes, ("tokens", ["metoslo", ""])):  # the same letters
        rows = merged()["train"].to_list()
        rows[0][column] = value
        others.append(DatasetDict({**merged(), "train": Dataset.from_list(rows, FEATURES)}))
    assert len({whole, *map(dataset_fingerprint, others)}) == 9


def test_text_digests_and_rows_of_ids() -> None:
    rows = split(0, 1, 1)
    one, other = text_digests(rows, 1, 16), text_digests(rows, 2, 16)
    assert one.shape == (3, 2)
    assert (one[1] == one[2]).all()
    assert (one[0] != one[1]).any()
    assert (one[0] != other[0]).any()
    assert (text_digests(rows, 1, 8)[:, 0] != one[:, 0]).all()
    assert rows_with_ids(rows, {"a-1", "x"}).tolist() == [False, True, True]
    assert rows_with_ids(split(), {"a-1"}).tolist() == []
