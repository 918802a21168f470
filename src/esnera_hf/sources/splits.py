"""Splits under one set of names, and the missing ones cut by text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict

from esnera_hf._internal.arrow import text_digests

_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "devel": "validation",
    "development": "validation",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "testa": "validation",
    "test": "test",
    "testing": "test",
    "testb": "test",
}
_WORDS = re.compile(r"[a-z]+", re.IGNORECASE)

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1


def canonical_split(name: str) -> str | None:
    """Return ``train``, ``validation`` or ``test`` for the name of a split, ``None`` for any other."""
    return _NAMES.get(name.lower())


def split_of_file(path: Path) -> str | None:
    """Tell the split from the words of a file name (``weibo.conll.dev``, ``en_ewt-ud-test.iob2``)."""
    for word in reversed(_WORDS.findall(path.name)):
        split = canonical_split(word)
        if split:
            return split
    return None


def complete_splits(labelled: dict[str, Dataset], seed: int) -> tuple[DatasetDict, tuple[str, ...]]:
    """Cut the splits that are missing.

    A missing test split is half of validation; a missing validation split is
    cut from train; a missing train split is cut from validation; a lone split
    becomes all three. Sentences of one text always go to one side, chosen by a
    seeded hash of the text, so the cut does not depend on their order.

    Args:
        labelled: one to three splits under canonical names.
        seed: decides which texts are cut.

    Returns:
        The three splits and a note for every cut.
    """
    splits = dict(labelled)
    notes = []
    if len(splits) == 1:
        (name, rows), *_ = splits.items()
        test, rest = cut_by_text(rows, TEST_SHARE, seed)
        validation, train = cut_by_text(rest, VALIDATION_SHARE / (1 - TEST_SHARE), seed + 1)
        splits = {"train": train, "validation": validation, "test": test}
        notes.append(f"only {name} is labelled: cut by text into train, validation and test (seed {seed})")
    if "validation" not in splits:
        splits["validation"], splits["train"] = cut_by_text(splits["train"], VALIDATION_SHARE, seed)
        notes.append(f"no validation split: {VALIDATION_SHARE:.0%} of train, cut by text (seed {seed})")
    if "train" not in splits:
        share = 1 - VALIDATION_SHARE - TEST_SHARE
        splits["train"], splits["validation"] = cut_by_text(splits["validation"], share, seed)
        notes.append(f"no train split: {share:.0%} of validation, cut by text (seed {seed})")
    if "test" not in splits:
        splits["test"], splits["validation"] = cut_by_text(splits["validation"], 0.5, seed)
        notes.append(f"no labelled test split: half of validation, cut by text (seed {seed})")
    ordered = {name: splits[name] for name in ("train", "validation", "test")}
    return DatasetDict(ordered), tuple(notes)


def cut_by_text(rows: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Part a split in two, about ``share`` of its sentences in the first; equal texts stay together.

    A text goes to the first part if at least half of its copies fit in there.
    """
    digests = text_digests(rows, seed, 16)
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    ranked = digests[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    copies = np.diff(np.append(np.flatnonzero(new), len(order)))
    size = round(share * len(rows))
    fits = np.zeros(len(copies), dtype=bool)
    taken = 0
    for index, count in enumerate(copies.tolist()):
        if taken + count / 2 <= size:
            fits[index] = True
            taken += count
    first = np.zeros(len(rows), dtype=bool)
    first[order] = np.repeat(fits, copies)
    return rows.select(np.flatnonzero(first)), rows.select(np.flatnonzero(~first))
