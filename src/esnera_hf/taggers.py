"""Taggers and their predictions, made once and kept: what every similarity and every score rests on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.cache import Artefact
from esnera_hf.candidates import PartialAnnotation
from esnera_hf.console import duration, quiet_libraries, say
from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scope, Scores, score_entities
from esnera_hf.processes import process_count
from esnera_hf.shares import Predict, make_by_all, make_predictions, read_cached
from esnera_hf.sources import NerSource
from esnera_hf.tagging import Entity

if TYPE_CHECKING:
    from esnera_hf.modeling import Tagger

CHINESE_ENCODER = "hfl/chinese-bert-wwm-ext"
MULTILINGUAL_ENCODER = "FacebookAI/xlm-roberta-base"
_PREDICTIONS_FILE = "predictions.parquet"
#: What a tokenizer is made from where there is no tokenizer.json.
_VOCABULARIES = {"vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model"}


@dataclass(frozen=True)
class CachedTagger:
    """A trained tagger in the cache; it is loaded only when something new has to be predicted.

    Attributes:
        name: of the corpus it was trained on.
        artefact: where it lies.
        seconds: how long training took; 0 if it had been trained before.
    """

    name: str
    artefact: Artefact
    seconds: float

    @property
    def trained(self) -> bool:
        """Whether it had to be trained."""
        return self.seconds > 0

    @cached_property
    def record(self) -> dict[str, Any]:
        """How the training went: ``history``, ``arguments``, ``validation``."""
        from esnera_hf.modeling.pretrained import RECORD_FILE

        record: dict[str, Any] = json.loads((self.artefact.folder / RECORD_FILE).read_text(encoding="utf-8"))
        return record

    def load(self) -> Tagger:
        """Load the tagger itself."""
        from esnera_hf.modeling import Tagger

        with quiet_libraries():
            return Tagger.from_pretrained(self.artefact.folder)

    def predictions(self, source: NerSource, split: str) -> Iterator[list[Entity]]:
        """Yield the predicted entities of each sentence, with confidences; predicted once and kept."""
        identity = {"tagger": self.artefact.key, "sentences": source.fingerprint, "split": split}
        artefact = Artefact("predictions", identity)

        def loaded() -> Predict:
            tagger = self.load()
            return lambda chunk: ((found,) for found in tagger.predict(chunk, scores=True))

        tokens = (sentence.tokens for sentence in source.sentences(split))
        bar = len(source.dataset[split]), f"{self.name} tagger reads {source.name} {split}"
        make_predictions(artefact, [_PREDICTIONS_FILE], loaded, tokens, bar)
        return read_cached(artefact, _PREDICTIONS_FILE)

    def scores(self, source: NerSource, split: str) -> Scores:
        """Score it on a split of a source with the same labels."""
        gold = list(source.sentences(split))
        predicted = list(self.predictions(source, split))
        return score_entities([s.entities for s in gold], predicted, [len(s.tokens) for s in gold])


def cached_tagger(
    source: NerSource,
    encoder: str,
    training: Mapping[str, Any],
    scope: Scope | None = None,
    partial: PartialAnnotation | None = None,
) -> CachedTagger:
    """Return the tagger of a corpus, trained now or before; an interrupted training goes on.

    Args:
        source: the corpus.
        encoder: folder or Hub id of a pretrained encoder.
        training: overrides of the training arguments.
        scope: for a merged corpus, the labels that count in validation, by
            source of a sentence.
        partial: for a merged corpus, what its sources leave open.

    Raises:
        ConfigurationError: the corpus has nothing to train on or to choose by.
        EncoderError: the encoder cannot be loaded.
    """
    check_trainable(source)
    from esnera_hf.modeling.training import fit_tagger

    artefact = tagger_artefact(source, encoder, training, scope, partial)
    started = time.perf_counter()

    def train() -> Tagger:
        return fit_tagger(source, encoder, artefact.unfinished, training, scope, partial)

    trained = make_by_all(artefact, train, lambda fitted, folder: fitted.save_pretrained(folder))
    tagger = CachedTagger(source.name, artefact, time.perf_counter() - started if trained else 0.0)
    how = f"trained in {duration(tagger.seconds)}" if trained else "trained before, reused"
    say(f"{source.name}: tagger {how}; validation {Scores.from_dict(tagger.record['validation'])}")
    return tagger


def default_encoder(sources: Sequence[NerSource]) -> str:
    """Return the default encoder for the languages of the sources."""
    return CHINESE_ENCODER if all(s.language.startswith("zh") for s in sources) else MULTILINGUAL_ENCODER


def check_trainable(source: NerSource) -> None:
    """Check that a tagger can be trained on a source and its epoch chosen.

    Raises:
        ConfigurationError: its train or validation split is without entities.
    """
    for split in ("train", "validation"):
        if not sum(source.summary.entities[split].values()):
            notes = f" ({'; '.join(source.notes)})" if source.notes else ""
            raise ConfigurationError(
                f"{source.name}: its {split} split holds {source.summary.sentences[split]} sentences and no "
                f"entity{notes}. A tagger needs both splits, with sentences of different texts: give it more of them."
            )


def tagger_artefact(
    source: NerSource,
    encoder: str,
    training: Mapping[str, Any],
    scope: Scope | None = None,
    partial: PartialAnnotation | None = None,
) -> Artefact:
    """Return where the tagger of a corpus is kept, by everything that decides its weights."""
    from esnera_hf.modeling.arguments import recommended_settings
    from esnera_hf.modeling.pretrained import hidden_size

    settings = {**recommended_settings(hidden_size(encoder), len(source.dataset["train"])), **training}
    identity: dict[str, Any] = {
        "sentences": source.fingerprint,
        "encoder": encoder_identity(encoder),
        "training": deciding(settings),
        "versions": library_versions(),
    }
    if set(source.labels) != {label for counts in source.summary.entities.values() for label in counts}:
        identity["labels"] = source.labels
    if scope is not None:
        identity["scope"] = {
            name: dict(labels) if isinstance(labels, Mapping) else sorted(labels)
            for name, labels in sorted(scope.items())
        }
    if partial is not None:
        identity["partial"] = partial.identity()
    if scope is not None or partial is not None:
        identity["source_of_rows"] = {
            split: [[name, len(list(rows))] for name, rows in groupby(source.dataset[split]["source"][:])]
            for split in ("train", "validation")
        }
    return Artefact("taggers", identity)


def deciding(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a training as they tell its tagger from others, with the batch that is really taken."""
    from esnera_hf.modeling.arguments import whole_batch

    known = {name: repr(value) for name, value in sorted(settings.items())}
    batch = settings["per_device_train_batch_size"]
    if isinstance(batch, int):
        known["per_device_train_batch_size"] = repr(whole_batch(batch, process_count()))
    return known


def library_versions() -> dict[str, str]:
    """Return the versions that decide what a model computes."""
    return {name: version(name) for name in ("esnera-hf", "torch", "transformers")}


def encoder_identity(encoder: str) -> str:
    """Return what identifies an encoder's weights: a digest of a folder's files, or id and commit of a Hub model."""
    from esnera_hf.modeling.pretrained import resolved_commit

    folder = Path(encoder)
    if not folder.is_dir():
        return f"{encoder}@{resolved_commit(encoder)}"
    files = [f for f in sorted(folder.iterdir()) if f.suffix in (".json", ".safetensors", ".txt", ".model")]
    return _digest(tuple((str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files))


def encoder_files(encoder: str) -> str:
    """Return a digest of weights, configuration and tokenizer, the same for a Hub model and a copy in a folder.

    Raises:
        EncoderError: the encoder cannot be found.
    """
    from esnera_hf.modeling.pretrained import encoder_folder

    files = sorted(encoder_folder(encoder).iterdir())
    whole = any(f.name == "tokenizer.json" for f in files)
    named = {"config.json", "tokenizer_config.json", "tokenizer.json"} | (set() if whole else _VOCABULARIES)
    kept = [f for f in files if f.suffix == ".safetensors" or f.name in named]
    return _digest(tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in kept))


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = blake2b(digest_size=16)
    for name, _, _ in files:
        digest.update(Path(name).name.encode())
        with open(name, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
