"""Names of splits, and missing ones cut by text."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import split_of, texts_of
from esnera_hf.sources.splits import canonical_split, complete_splits, cut_by_text, split_of_file

TEXTS = [f"text {number}" for number in range(100)]
SPLITS = ("train", "validation", "test")


@pytest.mark.parametrize(
    ("split", "names", "files"),
    [
        ("train", "train", "train.txt train_v2.json"),
        ("validation", "Dev VALID", "messages_2nd.conll.dev devel.tsv eng.testa c.dev.jsonl.gz"),
        ("test", "testb", "en_ewt-ud-test.iob2 eng.testb"),
        (None, "all", "latest.txt constraint.txt corpus"),
    ],
)
def test_names(split, names, files):
    assert {canonical_split(name) for name in names.split()} == {split}
    assert {split_of_file(Path("test") / file) for file in files.split()} == {split}


def sizes(dataset):
    return tuple(len(dataset[split]) for split in SPLITS)


CUT = "{} of {}, cut by text (seed 7)"
ONE = "only {} is labelled: cut by text into train, validation and test (seed 7)"


@pytest.mark.parametrize(
    ("given_splits", "expected", "notes"),
    [
        ({"train": 100}, (80, 10, 10), [ONE.format("train")]),
        ({"test": 50}, (40, 5, 5), [ONE.format("test")]),
        (
            {"train": 100, "validation": 20},
            (100, 10, 10),
            [CUT.format("no labelled test split: half", "validation")],
        ),
        ({"train": 100, "test": 20}, (90, 10, 20), [CUT.format("no validation split: 10%", "train")]),
        ({"validation": 100, "test": 20}, (80, 20, 20), [CUT.format("no train split: 80%", "validation")]),
        ({"test": 3, "validation": 2, "train": 5}, (5, 2, 3), []),
    ],
)
def test_missing_splits_are_cut_and_noted(given_splits, expected, notes):
    texts = {split: [f"{split} {text}" for text in TEXTS[:size]] for split, size in given_splits.items()}
    labelled = {split: split_of(own) for split, own in texts.items()}
    dataset, found = complete_splits(labelled, seed=7)
    assert list(dataset) == list(SPLITS)
    assert sizes(dataset) == expected
    assert list(found) == notes
    assert Counter(chain(*map(texts_of, dataset.values()))) == Counter(chain(*texts.values()))
    for split, own in texts.items():
        assert len(own) != len(dataset[split]) or texts_of(dataset[split]) == own


texts = st.lists(st.text(st.sampled_from("ab"), min_size=1, max_size=3), max_size=30)


@given(texts, st.floats(0, 1), st.integers(0, 3))
def test_equal_texts_stay_together_and_none_gets_lost(corpus, share, seed):
    first, second = map(texts_of, cut_by_text(split_of(corpus), share, seed))
    assert not set(first) & set(second)
    assert Counter(first + second) == Counter(corpus)
    assert first == [text for text in corpus if text in set(first)]
    largest = max(Counter(corpus).values(), default=0)
    assert abs(len(first) - round(share * len(corpus))) <= largest / 2


@given(texts, st.randoms(use_true_random=False))
def test_the_cut_does_not_depend_on_order(corpus, random):
    shuffled = random.sample(corpus, len(corpus))
    cuts = [complete_splits({"train": split_of(rows)}, seed=1)[0] for rows in (corpus, shuffled)]
    for split in SPLITS:
        assert Counter(texts_of(cuts[0][split])) == Counter(texts_of(cuts[1][split]))


def test_the_seed_decides():
    one, same, other = (texts_of(cut_by_text(split_of(TEXTS), 0.5, seed)[0]) for seed in (1, 1, 2))
    assert one == same
    assert set(one) != set(other)


def test_one_text_many_times_stays_in_train():
    dataset, _ = complete_splits({"train": split_of(["ab"] * 20)}, seed=3)
    assert sizes(dataset) == (20, 0, 0)
