"""Taggers and similarities of a set of sources: everything an alignment rests on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from esnera_hf.console import say
from esnera_hf.errors import ConfigurationError
from esnera_hf.report import TaggerReport
from esnera_hf.similarity import (
    Centre,
    SimilarityMatrix,
    SpanMatch,
    cross_predictions,
    semantic_similarity,
    sum_mentions,
)
from esnera_hf.sources import NerSource

if TYPE_CHECKING:
    from esnera_hf.modeling import Tagger

CACHE_VARIABLE = "ESNERA_CACHE_DIR"


@dataclass(frozen=True)
class EvidenceSettings:
    """How similarities are measured.

    Attributes:
        match: how a predicted and a gold span match: ``exact`` boundaries or
            any ``overlap``.
        centre: which mean is subtracted from mention vectors: that of each
            ``source``, or one over ``all``.
        training: arguments of ``TaggerTrainingArguments`` that override what is
            chosen for the encoder and the corpus.
    """

    match: SpanMatch = "exact"
    centre: Centre = "source"
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.match not in ("exact", "overlap"):
            raise ConfigurationError(f"match={self.match!r}: expected 'exact' or 'overlap'.")
        if self.centre not in ("source", "all"):
            raise ConfigurationError(f"centre={self.centre!r}: expected 'source' or 'all'.")


@dataclass(frozen=True)
class Evidence:
    """The similarity matrices, how good the taggers behind them are, and what they took."""

    matrix: SimilarityMatrix
    taggers: dict[str, TaggerReport]
    seconds: dict[str, float]


def cache_folder() -> Path:
    """Return the folder for trained taggers: ``ESNERA_CACHE_DIR``, else ``~/.cache/esnera_hf``."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "esnera_hf")


def gather_evidence(sources: Sequence[NerSource], encoder: str, settings: EvidenceSettings) -> Evidence:
    """Train a tagger a source, then measure both similarities of all pairs of labels.

    A tagger trained before on the same sentences, encoder and settings is taken
    from the cache; an interrupted training goes on.

    Args:
        sources: two or more sources.
        encoder: folder or Hub id of a pretrained encoder.
        settings: how to measure.
    """
    from esnera_hf.modeling import MentionEncoder

    started = time.perf_counter()
    seconds: dict[str, float] = {}

    def lap(step: str) -> None:
        nonlocal started
        now = time.perf_counter()
        seconds[step], started = now - started, now

    taggers: dict[str, Tagger] = {}
    reports: dict[str, TaggerReport] = {}
    for source in sources:
        taggers[source.name], reports[source.name] = own_tagger(source, encoder, settings.training)
    lap("training")
    labels = [ref for source in sources for ref in source.label_refs]
    matched, predicted = cross_predictions(taggers, sources, labels, settings.match)
    lap("empirical similarity")
    mentions = MentionEncoder(encoder)
    sums = {source.name: sum_mentions(source, mentions) for source in sources}
    semantic = semantic_similarity(sums, labels, settings.centre)
    lap("semantic similarity")
    by_name = {source.name: source.summary.entities["train"] for source in sources}
    support = np.array([by_name[ref.source].get(ref.label, 0) for ref in labels], dtype=np.int64)
    matrix = SimilarityMatrix(tuple(labels), support, matched, predicted, semantic)
    return Evidence(matrix, reports, seconds)


def check_trainable(source: NerSource) -> None:
    """Check that a tagger can be trained on a source and its epoch chosen.

    Raises:
        ConfigurationError: its train or validation split is without entities.
    """
    for split in ("train", "validation"):
        if not sum(source.summary.entities[split].values()):
            raise ConfigurationError(
                f"{source.name}: its {split} split holds {source.summary.sentences[split]} sentences and no "
                "entity. A tagger needs both splits, with sentences of different texts: give it more of them."
            )


def own_tagger(source: NerSource, encoder: str, training: Mapping[str, Any]) -> tuple[Tagger, TaggerReport]:
    """Return the tagger of a source, trained or from the cache, and its scores."""
    from esnera_hf.modeling.training import load_result, save_result, train_tagger

    check_trainable(source)
    finished = tagger_folder(source, encoder, training)
    unfinished = finished.parent / "checkpoints"
    started = time.perf_counter()
    seconds = 0.0
    finished.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(finished.parent / "lock"):  # a second run of the same training waits and takes the tagger
        if finished.is_dir():
            result = load_result(finished)
            say(f"{source.name}: tagger trained before, reused ({result.validation})")
        else:
            result = train_tagger(source, encoder, unfinished, training)
            seconds = time.perf_counter() - started
            staging = finished.parent / f"tagger.{os.getpid()}"
            save_result(result, staging)
            staging.rename(finished)
            shutil.rmtree(unfinished, ignore_errors=True)
            say(f"{source.name}: tagger trained in {seconds:.0f} s, validation {result.validation}")
    test = result.tagger.evaluate(source.sentences("test"))
    report = TaggerReport(result.validation, test, result.history, result.arguments, seconds)
    return result.tagger, report


def tagger_folder(source: NerSource, encoder: str, training: Mapping[str, Any]) -> Path:
    """Return where the tagger of a source is kept: a folder named by everything that decides its weights."""
    from esnera_hf.modeling.arguments import recommended_settings
    from esnera_hf.modeling.pretrained import hidden_size

    settings = {**recommended_settings(hidden_size(encoder), len(source.dataset["train"])), **training}
    identity = {
        "sentences": source.fingerprint,
        "encoder": encoder_identity(encoder),
        "training": {name: repr(value) for name, value in sorted(settings.items())},
        "versions": {name: version(name) for name in ("esnera-hf", "torch", "transformers")},
    }
    key = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=16).hexdigest()
    return cache_folder() / "taggers" / key / "tagger"


def encoder_identity(encoder: str) -> str:
    """Return what identifies an encoder's weights: a digest of a folder's files, or id and commit of a Hub model."""
    from esnera_hf.modeling.pretrained import resolved_commit

    folder = Path(encoder)
    if not folder.is_dir():
        return f"{encoder}@{resolved_commit(encoder)}"
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".safetensors", ".txt", ".model"):
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
