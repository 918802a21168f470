"""What identifies an encoder, a training and a tagger, so that none in the cache is taken for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.processes import process_count
from esnera_hf.metrics import Scope
from esnera_hf.sources.partial_annotation import PartialAnnotation, annotation_identity
from esnera_hf.sources.source import NerSource

CHINESE_ENCODER = "hfl/chinese-bert-wwm-ext"
MULTILINGUAL_ENCODER = "FacebookAI/xlm-roberta-base"
#: Sources of a tokenizer where there is no tokenizer.json.
_VOCABULARIES = {"vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model"}


def default_encoder(sources: Sequence[NerSource]) -> str:
    """Return the default encoder for the languages of the sources."""
    return CHINESE_ENCODER if all(s.language.startswith("zh") for s in sources) else MULTILINGUAL_ENCODER


def encoder_identity(encoder: str) -> str:
    """Return what identifies an encoder's weights: a digest of a folder's files, or id and commit of a Hub model."""
    from esnera_hf.modeling.encoders import resolved_commit

    folder = Path(encoder)
    # A branch of the Hub moves: its commit is named.
    if not folder.is_dir():
        return f"{encoder}@{resolved_commit(encoder)}"
    files = [f for f in sorted(folder.iterdir()) if f.suffix in (".json", ".safetensors", ".txt", ".model")]
    return _digest(tuple((str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files))


def encoder_files(encoder: str) -> str:
    """Return a digest of weights, configuration and tokenizer, the same for a Hub model and a copy in a folder."""
    from esnera_hf.modeling.encoders import encoder_folder

    files = sorted(encoder_folder(encoder).iterdir())
    whole = any(f.name == "tokenizer.json" for f in files)
    named = {"config.json", "tokenizer_config.json", "tokenizer.json"} | (set() if whole else _VOCABULARIES)
    relevant = [f for f in files if f.suffix == ".safetensors" or f.name in named]
    return _digest(tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in relevant))


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = blake2b(digest_size=16)
    for name, _, _ in files:
        digest.update(Path(name).name.encode())
        with open(name, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def tagger_artifact(
    encoder: str,
    training: Mapping[str, Any],
    source: NerSource,
    scope: Scope | None,
    partial: PartialAnnotation | None,
) -> Artifact:
    """Return the artifact of the tagger of a corpus, named by everything that decides its weights."""
    from esnera_hf.modeling.arguments import recommended_settings
    from esnera_hf.modeling.encoders import hidden_size

    settings = {**recommended_settings(hidden_size(encoder), len(source.dataset["train"])), **training}
    identity = {"sentences": source.fingerprint, **training_identity(encoder, settings)}
    # What follows is left out where it says nothing, so that taggers in the cache keep their keys.
    if set(source.labels) != {label for counts in source.summary.entities.values() for label in counts}:
        identity["labels"] = source.labels
    if scope is not None:
        identity["scope"] = {
            name: dict(labels) if isinstance(labels, Mapping) else sorted(labels)
            for name, labels in sorted(scope.items())
        }
    if partial is not None:
        identity["partial"] = annotation_identity(partial)
    if scope is not None or partial is not None:
        identity["source_of_rows"] = {
            split: [[name, len(list(rows))] for name, rows in groupby(source.dataset[split]["source"][:])]
            for split in ("train", "validation")
        }
    return Artifact("taggers", identity)


def training_identity(encoder: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the weights of a tagger beside its corpus; the batch is that of all processes together."""
    from esnera_hf.modeling.arguments import whole_batch

    batch = whole_batch(settings["per_device_train_batch_size"], process_count())
    plain = sorted({**settings, "per_device_train_batch_size": batch}.items())
    return {
        "encoder": encoder_identity(encoder),
        # 3 epochs are 3.0 epochs.
        "training": {n: repr(float(value)) if type(value) is int else repr(value) for n, value in plain},
        # Taggers that were cached before give others.
        "confidences": "calibrated probabilities of mentions",
        "versions": library_versions(),
    }


def library_versions() -> dict[str, str]:
    """Return the versions that decide what a model computes."""
    return {name: version(name) for name in ("esnera-hf", "torch", "transformers")}
