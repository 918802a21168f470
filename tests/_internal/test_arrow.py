"""Counts of a merged dataset, against a plain loop over its rows."""

from __future__ import annotations

from collections import Counter

import pytest
from datasets import DatasetDict, concatenate_datasets

from card_facts import Names, make_dataset_facts
from esnera_hf._internal import arrow as room
from esnera_hf._internal.arrow import count_dataset, stored_bytes
from esnera_hf.tagging import entities_from_tags


def count_slowly(merged: DatasetDict) -> tuple[Counter, Counter, Counter]:
    sentences, tokens, entities = Counter(), Counter(), Counter()
    for split, rows in merged.items():
        names = rows.features["ner_tags"].feature.names
        origins = rows.features["origin"].feature.names
        for row in rows:
            place = split, row["source"]
            sentences[place] += 1
            tokens[place] += len(row["tokens"])
            for entity in entities_from_tags([names[tag] for tag in row["ner_tags"]])[0]:
                entities[(*place, entity.label, origins[row["origin"][entity.start]])] += 1
    return sentences, tokens, entities


@pytest.mark.parametrize("batch", [1, 2, 10_000])
def test_counts_are_those_of_a_loop(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_BATCH", batch)
    merged = make_dataset_facts().merged
    merged["train"] = concatenate_datasets([merged["train"], merged["train"].select([3, 0])])
    merged["test"] = merged["test"].select([])
    found = count_dataset(merged)
    assert (found.sentences, found.tokens, found.entities) == count_slowly(merged)
    assert found.entities["train", "alpha", "per", "pseudo"] == 1
    assert found.splits == ("train", "validation", "test")


def test_counts_by_what_is_given() -> None:
    found = count_dataset(make_dataset_facts().merged)
    assert found.sources == ["alpha", "beta"]
    assert found.count() == 8
    assert found.count(split="train") == 4
    assert found.count(source="beta") == 4
    assert found.count(label="city", origin="gold") == 5
    assert found.count(split="train", origin="pseudo") == 1
    assert found.count(label="no such label") == 0


def test_stored_bytes_do_not_depend_on_batches_or_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = make_dataset_facts(Names(first="阿尔法")).merged["train"]
    size = stored_bytes(rows)
    monkeypatch.setattr(room, "_BATCH", 1)
    assert stored_bytes(rows) == size
    assert stored_bytes(rows.select([3, 2, 1, 0])) == size
    assert stored_bytes(rows.select([0])) + stored_bytes(rows.select([1, 2, 3])) == size
    assert stored_bytes(rows.select([])) == 0


def test_stored_bytes_by_hand() -> None:
    rows = make_dataset_facts().merged["train"].select([0])
    # met oslo-secret: two tokens, each with a tag (8), source tag, origin (8) and confidence (4).
    strings = [
        *("alpha-train-0", "alpha"),
        *("met", "oslo-secret"),
        *("O", "B-city"),
    ]
    assert stored_bytes(rows) == sum(4 + len(s) for s in strings) + 5 * 4 + 2 * (8 + 8 + 4)
