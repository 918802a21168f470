"""Splits under one set of names, and the missing ones cut by text."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict

from esnera_hf._internal.arrow import text_digests
from esnera_hf.errors import SourceError

_NAMES = {
    name: split
    for split, names in (
        ("train", "train training"),
        # CoNLL-2003 calls its validation split testa.
        ("validation", "dev devel development valid validation val testa"),
        ("test", "test testing testb"),
    )
    for name in names.split()
}
_WORDS = re.compile(r"[a-z]+", re.IGNORECASE)

VALIDATION_SHARE = TEST_SHARE = 0.1


def canonical_split(name: str) -> str | None:
    """Return ``train``, ``validation`` or ``test`` for the name of a split, ``None`` for any other."""
    return _NAMES.get(name.lower())


def canonical_splits(splits: Collection[str], name: str) -> dict[str, str]:
    """Return the split of each canonical name; a single one of any name is ``train``.

    Raises:
        SourceError: a split has an unusual name, or two have the same meaning.
    """
    by_name: dict[str, str] = {}
    for split in splits:
        canonical = canonical_split(split) or ("train" if len(splits) == 1 else None)
        if canonical is None or canonical in by_name:
            raise SourceError(
                f"{name}: split {split!r} is none of train, validation, test (or dev, devel, valid), "
                "or one of them twice. Rename or leave out splits: DatasetDict({'train': …, 'test': …})."
            )
        by_name[canonical] = split
    return by_name


def split_of_file(path: Path) -> str | None:
    """Tell the split from the words of a file name (``weibo.conll.dev``, ``en_ewt-ud-test.iob2``)."""
    # The last word counts: of "conll_test_dev.txt", what stands before is the corpus.
    words = reversed(_WORDS.findall(path.name))
    return next(filter(None, map(canonical_split, words)), None)


def complete_splits(labelled: dict[str, Dataset], seed: int) -> tuple[DatasetDict, tuple[str, ...]]:
    """Cut the splits that are missing of those under canonical names; return all three, and a note for every cut.

    A missing test split is half of validation; a missing validation split is
    cut from train; a missing train split is cut from validation; a lone split
    becomes all three. Sentences of one text always go to one side, chosen by a
    seeded hash of the text, so the cut does not depend on their order.
    """
    splits, notes = dict(labelled), []
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
    return DatasetDict({name: splits[name] for name in ("train", "validation", "test")}), tuple(notes)


def cut_by_text(rows: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Part a split in two, about ``share`` of its sentences in the first; equal texts stay together.

    A text goes to the first part if at least half of its copies fit in there.
    """
    # Half of a digest tells texts apart; two that share it, one pair in 10^19, would only stay together.
    _, text, copies = np.unique(text_digests(rows, seed, 16)[:, 0], return_inverse=True, return_counts=True)
    size, taken = round(share * len(rows)), 0
    fits = np.zeros(len(copies), dtype=bool)
    for index, count in enumerate(copies.tolist()):
        if taken + count / 2 <= size:
            fits[index] = True
            taken += count
    first = fits[text]
    return rows.select(np.flatnonzero(first)), rows.select(np.flatnonzero(~first))
