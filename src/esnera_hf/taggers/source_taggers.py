"""Taggers and their predictions, made once and kept: what every similarity and every score rests on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.console import duration, quiet_libraries, say
from esnera_hf._internal.processes import is_main_process, process_count
from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scope, Scores, score_entities
from esnera_hf.similarity.semantic import LabelCentroids, add_sums, sum_vectors
from esnera_hf.sources.leakage import without_leaks
from esnera_hf.sources.partial_annotation import PartialAnnotation
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.predictions import (
    Predict,
    make_by_all,
    make_predictions,
    own_chunks,
    own_share,
    progress,
    put_together,
    read_cached,
    shares,
    write_all_predictions,
)
from esnera_hf.taggers.settings import TaggerPlan
from esnera_hf.tagging import Entity

if TYPE_CHECKING:
    from esnera_hf.modeling.joint import JointTagger
    from esnera_hf.modeling.tagger import Tagger


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
        artifact: where it lies.
        seconds: how long training took; 0 if it had been trained before.
    """

    name: str
    artifact: Artifact
    seconds: float

    @property
    def trained(self) -> bool:
        """Whether it had to be trained."""
        return self.seconds > 0

    @cached_property
    def record(self) -> dict[str, Any]:
        """How the training went: ``history``, ``arguments``, ``validation``."""
        from esnera_hf.modeling.encoders import RECORD_FILE

        record: dict[str, Any] = json.loads((self.artifact.folder / RECORD_FILE).read_text(encoding="utf-8"))
        return record

    def load(self) -> Tagger:
        """Load the tagger itself."""
        from esnera_hf.modeling.tagger import Tagger

        with quiet_libraries():
            return Tagger.from_pretrained(self.artifact.folder)

    def predictions(self, source: NerSource, split: str) -> Iterator[list[Entity]]:
        """Yield the predicted entities of each sentence, with confidences; predicted once and kept."""
        identity = {"tagger": self.artifact.key, "sentences": source.fingerprint, "split": split}
        artifact = Artifact("predictions", identity)

        def loaded() -> Predict:
            tagger = self.load()
            return lambda chunk: ((found,) for found in tagger.predict(chunk, scores=True))

        tokens = (sentence.tokens for sentence in source.sentences(split))
        bar = len(source.dataset[split]), f"{self.name} tagger reads {source.name} {split}"
        make_predictions(artifact, [_PREDICTIONS_FILE], loaded, tokens, bar)
        return read_cached(artifact, _PREDICTIONS_FILE)

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

    artifact = tagger_artifact(source, encoder, training, scope, partial)
    started = time.perf_counter()

    def train() -> Tagger:
        return fit_tagger(source, encoder, artifact.unfinished, training, scope, partial)

    trained = make_by_all(artifact, train, lambda fitted, folder: fitted.save_pretrained(folder))
    tagger = CachedTagger(source.name, artifact, time.perf_counter() - started if trained else 0.0)
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


def tagger_artifact(
    source: NerSource,
    encoder: str,
    training: Mapping[str, Any],
    scope: Scope | None = None,
    partial: PartialAnnotation | None = None,
) -> Artifact:
    """Return where the tagger of a corpus is kept, by everything that decides its weights."""
    from esnera_hf.modeling.arguments import recommended_settings
    from esnera_hf.modeling.encoders import hidden_size

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
    return Artifact("taggers", identity)


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
    from esnera_hf.modeling.encoders import resolved_commit

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
    from esnera_hf.modeling.encoders import encoder_folder

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


_CHUNKS = "sums"
_SUMS_FILE = "sums.npz"
_LABELS_FILE = "labels.json"


def pretrained_sums(sources: Sequence[NerSource], encoder: str) -> dict[str, LabelCentroids]:
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
        from esnera_hf.modeling.encoders import MentionEncoder

        if not encoders:
            encoders.append(MentionEncoder(encoder))
        return encoders[0]

    return {source.name: _cached_sums(source, encoder, load_encoder) for source in sources}


def _cached_sums(source: NerSource, encoder: str, load_encoder: Callable[[], Any]) -> LabelCentroids:
    artifact = Artifact(
        "mentions",
        {
            "sentences": source.fingerprint,
            "encoder": encoder_identity(encoder),
            "versions": library_versions(),
        },
    )

    def work() -> None:
        share = own_share(artifact)
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

    make_by_all(artifact, work, lambda _, folder: add_chunks(artifact, folder))
    return read_cached_sums(artifact)


def keep_chunk(sums: LabelCentroids, share: Path, number: int) -> None:
    """Write the sums of a chunk of sentences to what this process contributes to an artifact.

    Args:
        sums: of the chunk.
        share: the folder of :func:`own_share`.
        number: of the chunk among all.
    """
    folder = share / _CHUNKS / f"{number:09d}"
    folder.mkdir(parents=True)
    _write_sums(sums, folder)


def add_chunks(artifact: Artifact, folder: Path) -> None:
    """Write the sums of all chunks, added in their order, whichever processes contributed them."""
    chunks = [chunk for share in shares(artifact) for chunk in (share / _CHUNKS).glob("*")]
    _write_sums(add_sums(map(read_sums, sorted(chunks, key=lambda chunk: chunk.name))), folder)


def _write_sums(sums: LabelCentroids, folder: Path) -> None:
    labels = sorted(sums.total)
    np.savez(
        folder / _SUMS_FILE,
        total=np.array([sums.total[label] for label in labels]),
        count=np.array([sums.count[label] for label in labels], dtype=np.int64),
    )
    (folder / _LABELS_FILE).write_text(json.dumps(labels), encoding="utf-8")


def read_cached_sums(artifact: Artifact) -> LabelCentroids:
    """Read the sums of an artifact.

    Raises:
        CacheError: they do not load.
    """
    with artifact.reading():
        return read_sums(artifact.folder)


def read_sums(folder: Path) -> LabelCentroids:
    """Read what :func:`add_chunks` has written."""
    labels = json.loads((folder / _LABELS_FILE).read_text(encoding="utf-8"))
    with np.load(folder / _SUMS_FILE, allow_pickle=False) as arrays:
        total, count = arrays["total"], arrays["count"]
    return LabelCentroids(
        dict(zip(labels, total, strict=True)), dict(zip(labels, count.tolist(), strict=True))
    )


@dataclass(frozen=True)
class CachedHead(CachedTagger):
    """The head of one source of a joint tagger in the cache.

    Attributes:
        name: of the source.
        artifact: where the joint tagger lies.
        seconds: its share of the training time; 0 if it had been trained before.
        names: of all heads, in order.
    """

    names: tuple[str, ...]

    @cached_property
    def record(self) -> dict[str, Any]:
        """How the training went, as seen from this source: ``history``, ``arguments``, ``validation``."""
        from esnera_hf.modeling.encoders import read_record
        from esnera_hf.modeling.joint import head_record

        return head_record(read_record(self.artifact.folder), self.name)

    def load(self) -> Tagger:
        """Load the tagger of this source."""
        from esnera_hf.modeling.joint import JointTagger

        return JointTagger.from_pretrained(self.artifact.folder).head(self.name)

    def predictions(self, source: NerSource, split: str) -> Iterator[list[Entity]]:
        """Yield the predicted entities of each sentence; all heads predict at once, and all of it is kept."""
        file = _predictions_file(self.names.index(self.name))
        return read_cached(self._reading(source, split), file)

    def mention_sums(self, source: NerSource) -> LabelCentroids:
        """Return the sums of the tuned encoder's mention vectors of a train split, from the pass that predicts."""
        return read_cached_sums(self._reading(source, "train"))

    def _reading(self, source: NerSource, split: str) -> Artifact:
        """Return what all heads find in a split, and the sums of its mentions' vectors, read now or before."""
        identity = {"joint": self.artifact.key, "sentences": source.fingerprint, "split": split}
        artifact = Artifact("readings", identity)
        files = [_predictions_file(head) for head in range(len(self.names))]
        bar = len(source.dataset[split]), f"joint tagger reads {source.name} {split}"

        def work() -> None:
            from esnera_hf.modeling.joint import JointTagger

            share = own_share(artifact)
            tagger = JointTagger.from_pretrained(self.artifact.folder)

            def rows() -> Iterator[list[list[Entity]]]:
                for number, chunk in own_chunks(source.sentences(split)):
                    predicted, vectors = tagger.read(chunk)
                    keep_chunk(sum_vectors(vectors), share, number)
                    yield from ([found[name] for name in self.names] for found in predicted)

            write_all_predictions([share / file for file in files], progress(rows(), *bar))

        def save(_: None, folder: Path) -> None:
            put_together(artifact, files, folder)
            add_chunks(artifact, folder)

        make_by_all(artifact, work, save)
        return artifact


def _predictions_file(head: int) -> str:
    return f"predictions-{head}.parquet"


def joint_taggers(sources: Sequence[NerSource], plan: TaggerPlan) -> dict[str, CachedHead]:
    """Return the heads of the joint tagger of sources, trained now or before; an interrupted training goes on.

    Raises:
        ConfigurationError: a source has nothing to train on or to choose by.
        EncoderError: the encoder cannot be loaded.
    """
    for source in sources:
        check_trainable(source)
    from esnera_hf.modeling.training import fit_joint_tagger

    ordered = _in_order(sources)
    artifact = joint_artifact(sources, plan)
    started = time.perf_counter()

    def train() -> JointTagger:
        return fit_joint_tagger(ordered, plan.encoder, artifact.unfinished, plan.training)

    trained = make_by_all(artifact, train, lambda fitted, folder: fitted.save_pretrained(folder))
    seconds = time.perf_counter() - started if trained else 0.0
    names = tuple(source.name for source in ordered)
    heads = {name: CachedHead(name, artifact, seconds / len(names), names) for name in names}
    how = f"trained in {duration(seconds)}" if trained else "trained before, reused"
    say(f"joint tagger of {', '.join(names)} {how}")
    for name in names:
        say(
            f"{name}: head of the joint tagger; validation {Scores.from_dict(heads[name].record['validation'])}"
        )
    return heads


def joint_artifact(sources: Sequence[NerSource], plan: TaggerPlan) -> Artifact:
    """Return where the joint tagger of sources is kept, by everything that decides its weights."""
    from esnera_hf.modeling.arguments import joint_settings
    from esnera_hf.modeling.encoders import hidden_size

    sentences = sum(len(source.dataset["train"]) for source in sources)
    settings = {**joint_settings(hidden_size(plan.encoder), sentences), **plan.training}
    identity = {
        "sources": [[source.name, source.fingerprint, list(source.labels)] for source in _in_order(sources)],
        "encoder": encoder_identity(plan.encoder),
        "training": deciding(settings),
        "versions": library_versions(),
    }
    return Artifact("joint_taggers", identity)


def _in_order(sources: Sequence[NerSource]) -> list[NerSource]:
    """Return sources in the order of their names, which is that of the heads."""
    return sorted(sources, key=lambda source: source.name)


def own_taggers(sources: Sequence[NerSource], plan: TaggerPlan) -> dict[str, CachedTagger]:
    """Return the tagger of each source, by name, trained now or before; an interrupted training goes on.

    A joint tagger is trained without the sentences that a merge of its sources
    leaves out, as it is scored on the test splits of all of them. With a joint
    tagger of some of the sources, each of the others has a tagger of its own,
    trained on it alone from the joint tagger's encoder on.

    Raises:
        ConfigurationError: a source has nothing to train on or to choose by, or
            the plan names one that is not there.
        EncoderError: the encoder cannot be loaded.
    """
    if plan.taggers == "separate":
        return {source.name: cached_tagger(source, plan.encoder, plan.training) for source in sources}
    for source in sources:
        check_trainable(source)
    joined, later = plan.joined_and_later(sources)
    heads = joint_taggers(without_leaks(joined), plan)
    taggers: dict[str, CachedTagger] = {**heads}
    if later:
        encoder = _joint_encoder(next(iter(heads.values())))
        taggers.update({source.name: cached_tagger(source, encoder, plan.training) for source in later})
    return {source.name: taggers[source.name] for source in sources}


def _joint_encoder(head: CachedHead) -> str:
    """Return the folder of a joint tagger's encoder, saved as any pretrained encoder is."""
    from esnera_hf.modeling.joint import JointTagger

    artifact = Artifact("joint_encoders", {"joint": head.artifact.key})

    def save(tagger: JointTagger, folder: Path) -> None:
        tagger.save_encoder(folder)

    make_by_all(artifact, lambda: JointTagger.from_pretrained(head.artifact.folder), save)
    return str(artifact.folder)


def announce_own_taggers(groups: Sequence[Sequence[NerSource]], plan: TaggerPlan) -> None:
    """Say how much is trained and predicted, but for what lies in the cache.

    Args:
        groups: sources that are aligned with each other; taggers are trained
            for each group.
        plan: how taggers are made.
    """
    trainings = passes = 0
    for group in groups:
        apart = len(group) if plan.taggers == "separate" else 1 + len(plan.joined_and_later(group)[1])
        trainings += apart
        passes += apart * len(group)
    sentences = sum(sum(source.summary.sentences.values()) for group in groups for source in group)
    say(
        f"Taggers: {trainings} to train and {passes} prediction passes over {sentences:,} sentences, but for what the "
        "cache holds. Ctrl-C is safe: the same command goes on where it stopped."
    )
