"""Figures of a split worked out on Arrow arrays, a batch at a time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Set
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from esnera_hf.tagging import split_tag

_BATCH = 10_000


def batches(rows: Dataset, *columns: str) -> Iterator[list[Any]]:
    """Yield some columns as Arrow arrays, a batch at a time."""
    if len(rows):
        for table in rows.select_columns(list(columns)).with_format("arrow").iter(batch_size=_BATCH):
            yield [table[name].combine_chunks() for name in columns]


def list_offsets(lists: Any) -> NDArray[np.int64]:
    """Return where the items of each list begin among all of them, and their number."""
    ends = np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False), dtype=np.int64)
    return np.concatenate([np.zeros(1, dtype=np.int64), ends])


def count_tokens_and_entities(rows: Dataset) -> tuple[int, Counter[str]]:
    """Count the tokens of a split, and its entities by label; broken tags are read as they always are.

    Raises:
        TagError: a tag is not of IOB2.
    """
    total = 0
    counts: Counter[str] = Counter()
    for tokens, tags in batches(rows, "tokens", "ner_tags"):
        total += int(list_offsets(tokens)[-1])
        encoded = pc.list_flatten(tags).dictionary_encode()
        pairs = [split_tag(tag, "IOB2") for tag in encoded.dictionary.to_pylist()]
        labels = list(dict.fromkeys(label for _, label in pairs))
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        role = np.array([role for role, _ in pairs], dtype="U1")[codes]
        label = np.array([labels.index(label) for _, label in pairs], dtype=np.int64)[codes]
        continues = np.zeros(len(codes), dtype=bool)
        continues[1:] = (role[1:] == "I") & (role[:-1] != "O") & (label[1:] == label[:-1])
        starts = list_offsets(tags)[:-1]
        continues[starts[starts < len(codes)]] = False
        found = np.bincount(label[(role != "O") & ~continues], minlength=len(labels)).tolist()
        counts.update({name: number for name, number in zip(labels, found, strict=True) if number})
    return total, counts


def text_digests(rows: Dataset, seed: int, size: int) -> NDArray[np.uint64]:
    """Return a seeded digest of the text of each sentence, most significant part first.

    Args:
        rows: the sentences.
        seed: another one gives other digests.
        size: bytes of a digest, a multiple of 8.

    Returns:
        Shape (sentences, size / 8).
    """
    digests = np.empty((len(rows), size // 8), dtype=np.uint64)
    seeded = hashlib.blake2b(f"{seed}\n".encode(), digest_size=size)
    start = 0
    for (tokens,) in batches(rows, "tokens"):
        found = b"".join(_digest(seeded, text) for text in pc.binary_join(tokens, "\x1f").to_pylist())
        digests[start : start + len(tokens)] = np.frombuffer(found, dtype=">u8").reshape(-1, size // 8)
        start += len(tokens)
    return digests


def rows_with_ids(rows: Dataset, ids: Set[str]) -> NDArray[np.bool_]:
    """Return for each row of a split whether its id is one of some."""
    wanted = pa.array(sorted(ids), pa.string())
    found = [pc.is_in(own, wanted).to_numpy(zero_copy_only=False) for (own,) in batches(rows, "id")]
    return np.concatenate(found) if found else np.empty(0, dtype=bool)


def _digest(seeded: Any, text: str) -> bytes:
    digest = seeded.copy()
    digest.update(text.encode("utf-8", "surrogatepass"))
    found: bytes = digest.digest()
    return found
