"""Sums of mention vectors, worked out by all processes of a launch, a chunk of sentences at a time, and kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from esnera_hf.cache import Artefact
from esnera_hf.processes import is_main_process
from esnera_hf.shares import make_by_all, own_chunks, own_share, shares
from esnera_hf.similarity import LabelSums, add_sums, sum_vectors
from esnera_hf.sources import NerSource
from esnera_hf.taggers import encoder_identity, library_versions

_CHUNKS = "sums"
_SUMS_FILE = "sums.npz"
_LABELS_FILE = "labels.json"


def pretrained_sums(sources: Sequence[NerSource], encoder: str) -> dict[str, LabelSums]:
    """Return the sums of a pretrained encoder's mention vectors of each source's train split, by name.

    Only what was not encoded before is encoded.

    Args:
        sources: the corpora.
        encoder: folder or Hub id.

    Raises:
        EncoderError: the encoder cannot be loaded.
    """
    encoders: list[Any] = []

    def load_encoder() -> Any:
        from esnera_hf.modeling import MentionEncoder

        if not encoders:
            encoders.append(MentionEncoder(encoder))
        return encoders[0]

    return {source.name: _cached_sums(source, encoder, load_encoder) for source in sources}


def _cached_sums(source: NerSource, encoder: str, load_encoder: Callable[[], Any]) -> LabelSums:
    artefact = Artefact(
        "mentions",
        {
            "sentences": source.fingerprint,
            "encoder": encoder_identity(encoder),
            "versions": library_versions(),
        },
    )

    def work() -> None:
        share = own_share(artefact)
        bar = tqdm(
            source.sentences("train"),
            total=len(source.dataset["train"]),
            desc=f"semantic similarity {source.name}",
            unit=" sentences",
            delay=2,
            disable=not is_main_process(),
        )
        for number, chunk in own_chunks(sentence for sentence in bar if sentence.entities):
            keep_chunk(sum_vectors(load_encoder().mention_vectors(chunk)), share, number)

    make_by_all(artefact, work, lambda _, folder: add_chunks(artefact, folder))
    return read_cached_sums(artefact)


def keep_chunk(sums: LabelSums, share: Path, number: int) -> None:
    """Write the sums of a chunk of sentences to what this process contributes to an artefact.

    Args:
        sums: of the chunk.
        share: the folder of :func:`own_share`.
        number: of the chunk among all.
    """
    folder = share / _CHUNKS / f"{number:09d}"
    folder.mkdir(parents=True)
    _write_sums(sums, folder)


def add_chunks(artefact: Artefact, folder: Path) -> None:
    """Write the sums of all chunks, added in their order, whichever processes contributed them."""
    chunks = [chunk for share in shares(artefact) for chunk in (share / _CHUNKS).glob("*")]
    _write_sums(add_sums(map(read_sums, sorted(chunks, key=lambda chunk: chunk.name))), folder)


def _write_sums(sums: LabelSums, folder: Path) -> None:
    labels = sorted(sums.total)
    np.savez(
        folder / _SUMS_FILE,
        total=np.array([sums.total[label] for label in labels]),
        count=np.array([sums.count[label] for label in labels], dtype=np.int64),
    )
    (folder / _LABELS_FILE).write_text(json.dumps(labels), encoding="utf-8")


def read_cached_sums(artefact: Artefact) -> LabelSums:
    """Read the sums of an artefact.

    Raises:
        CacheError: they do not load.
    """
    with artefact.reading():
        return read_sums(artefact.folder)


def read_sums(folder: Path) -> LabelSums:
    """Read what :func:`add_chunks` has written."""
    labels = json.loads((folder / _LABELS_FILE).read_text(encoding="utf-8"))
    with np.load(folder / _SUMS_FILE, allow_pickle=False) as arrays:
        total, count = arrays["total"], arrays["count"]
    return LabelSums(dict(zip(labels, total, strict=True)), dict(zip(labels, count.tolist(), strict=True)))
