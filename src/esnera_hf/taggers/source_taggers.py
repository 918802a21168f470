"""A tagger per source, trained once and cached: the basis of every similarity and every score."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.console import duration, quiet_libraries, say
from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scope, Scores, score_entities
from esnera_hf.sources.duplicates import Duplicate
from esnera_hf.sources.leakage import find_leaks, without_leaks
from esnera_hf.sources.partial_annotation import PartialAnnotation
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.taggers.identity import (
    encoder_identity,
    library_versions,
    tagger_artifact,
    training_identity,
)
from esnera_hf.taggers.predictions import (
    LabelCentroids,
    Read,
    cache_reading,
    cached_centroids,
    cached_predictions,
    make_together,
)
from esnera_hf.taggers.settings import TaggerSettings
from esnera_hf.tagging import Entity

if TYPE_CHECKING:
    from esnera_hf.modeling.joint import JointTagger
    from esnera_hf.modeling.tagger import Tagger

_PREDICTIONS_FILE = "predictions.parquet"


class SourceTagger(Protocol):
    """A tagger that was trained on one source and reads all of them."""

    @property
    def name(self) -> str:
        """The name of its source."""

    @property
    def seconds(self) -> float:
        """How long training took; 0 if it had been trained before."""

    @property
    def record(self) -> Mapping[str, Any]:
        """How the training went: ``history`` and ``arguments``."""

    def predict(self, source: NerSource, split: str) -> Iterator[list[Entity]]:
        """Yield the predicted entities of each sentence of a split, with confidences."""

    def scores(self, source: NerSource, split: str) -> Scores:
        """Return strict scores on a split of a source with the same labels."""

    def mention_vectors(self, source: NerSource) -> LabelCentroids:
        """Return the sums of the vectors of the mentions in a train split; those of all taggers of a run compare."""


class CachedTagger:
    """A trained tagger in the cache; it is loaded only when something new has to be predicted.

    Args:
        name: of the corpus it was trained on.
        artifact: the folder of its weights.
        seconds: how long training took; 0 if it had been trained before.
        mention_vectors: returns the sums of the vectors of the mentions in the train split of a source.
    """

    def __init__(
        self,
        name: str,
        artifact: Artifact,
        seconds: float,
        mention_vectors: Callable[[NerSource], LabelCentroids],
    ) -> None:
        self.name, self.artifact, self.seconds = name, artifact, seconds
        self.mention_vectors = mention_vectors

    @cached_property
    def record(self) -> dict[str, Any]:
        """How the training went: ``history``, ``arguments``, ``validation``."""
        from esnera_hf.modeling.encoders import RECORD_FILE

        with self.artifact.reading():
            record = json.loads((self.artifact.folder / RECORD_FILE).read_text(encoding="utf-8"))
            return {"history": record["history"], "arguments": record["arguments"], **record}

    def load(self) -> Tagger:
        """Load the tagger itself."""
        from esnera_hf.modeling.tagger import Tagger

        with quiet_libraries():
            return Tagger.from_pretrained(self.artifact.folder)

    def predict(self, source: NerSource, split: str, *, style: str | None = None) -> Iterator[list[Entity]]:
        """Yield the predicted entities of each sentence, with confidences; predicted once and cached.

        Args:
            style: annotate as this source of a merged corpus does.
        """
        identity = {"tagger": self.artifact.key, "sentences": source.fingerprint, "split": split}
        if style is not None:
            identity["style"] = style
        artifact = Artifact("predictions", identity)

        def load() -> Read:
            tagger = self.load() if style is None else self.load().for_source(style)

            def read(chunk: list[AnnotatedSentence]) -> tuple[Iterator[tuple[list[Entity]]], None]:
                return ((row,) for row in tagger.predict([s.tokens for s in chunk])), None

            return read

        title = f"{self.name} tagger reads {source.name} {split}"
        cache_reading(artifact, [_PREDICTIONS_FILE], load, source, split, title)
        return cached_predictions(artifact, _PREDICTIONS_FILE)

    def scores(self, source: NerSource, split: str) -> Scores:
        """Score it on a split of a source with the same labels."""
        gold = list(source.sentences(split))
        predicted = list(self.predict(source, split))
        return score_entities([s.entities for s in gold], predicted, [len(s.tokens) for s in gold])


class JointHead(CachedTagger):
    """The head of one source of a joint tagger in the cache; all heads read a split in one pass."""

    @cached_property
    def record(self) -> dict[str, Any]:
        """How the training went, as seen from this source."""
        from esnera_hf.modeling.joint import head_record

        return head_record(super().record, self.name)

    def load(self) -> Tagger:
        """Load the tagger of this source."""
        from esnera_hf.modeling.joint import JointTagger

        return JointTagger.from_pretrained(self.artifact.folder).head(self.name)

    def predict(self, source: NerSource, split: str, *, style: str | None = None) -> Iterator[list[Entity]]:
        """Yield the predicted entities of each sentence, with confidences, in the one style that it has."""
        head = _head_names(self.artifact).index(self.name)
        return cached_predictions(_joint_reading(self.artifact, source, split), _head_file(head))


def train_source_taggers(
    sources: Sequence[NerSource], encoder: str, settings: TaggerSettings, leakage: Sequence[Duplicate]
) -> dict[str, SourceTagger]:
    """Return the tagger of each source, by name, trained now or before; an interrupted training goes on.

    A joint tagger is trained without the sentences that a merge of its sources
    leaves out, as it is scored on the test splits of all of them. With a joint
    tagger of some of the sources, each of the others has a tagger of its own,
    trained on it alone from the joint tagger's encoder on.

    Args:
        encoder: folder or Hub id of a pretrained encoder.
        settings: one joint tagger or separate ones, and how they are trained.
        leakage: of the sources.

    Raises:
        ConfigurationError: a source has nothing to train on or to choose by, or
            the settings name one that is not there.
        EncoderError: the encoder cannot be loaded.
    """
    joined, others = settings.divide(sources)
    if joined:
        # Of the joined sources alone: a source that comes later must not make another joint tagger.
        joined = without_leaks(joined, leakage if not others else find_leaks(joined))
    for source in (*joined, *others):
        _check_trainable(source)
    trainings = len(others) + bool(joined)
    sentences = sum(sum(source.summary.sentences.values()) for source in sources)
    say(
        f"Taggers: {trainings} to train and {trainings * len(sources)} prediction passes over {sentences:,} sentences, "
        "but for what the cache holds. Ctrl-C is safe: the same command goes on where it stopped."
    )
    taggers: dict[str, SourceTagger] = {}
    embed = None
    if joined:
        heads = _train_joint(joined, encoder, settings.training)
        taggers.update(heads)
        first = next(iter(heads.values()))
        embed = first.mention_vectors
        if others:
            encoder = _joint_encoder(first.artifact)
    for source in others:
        taggers[source.name] = train_cached(encoder, settings.training, source, embed=embed)
    return {source.name: taggers[source.name] for source in sources}


def train_cached(
    encoder: str,
    training: Mapping[str, Any],
    source: NerSource,
    scope: Scope | None = None,
    partial: PartialAnnotation | None = None,
    embed: Callable[[NerSource], LabelCentroids] | None = None,
) -> CachedTagger:
    """Return the tagger of a corpus, trained now or before; an interrupted training goes on.

    Args:
        encoder: folder or Hub id of a pretrained encoder.
        training: settings that win over those chosen for encoder and corpus.
        source: the corpus.
        scope: for a merged corpus, the labels that count in validation, by source of a sentence.
        partial: for a merged corpus, the labels that the annotation of each source leaves open.
        embed: returns mention vectors; those of the pretrained encoder if not given.
    """
    _check_trainable(source)
    from esnera_hf.modeling.training import fit_tagger

    artifact = tagger_artifact(encoder, training, source, scope, partial)
    seconds, how = _train(
        artifact, lambda: fit_tagger(source, encoder, artifact.unfinished, training, scope, partial)
    )
    tagger = CachedTagger(
        source.name, artifact, seconds, embed or (lambda corpus: pretrained_vectors(encoder, corpus))
    )
    say(f"{source.name}: tagger {how}; validation {Scores.from_dict(tagger.record['validation'])}")
    return tagger


def pretrained_vectors(encoder: str, source: NerSource) -> LabelCentroids:
    """Return the sums of a pretrained encoder's mention vectors of a train split, computed once and cached."""
    identity = {
        "sentences": source.fingerprint,
        "encoder": encoder_identity(encoder),
        "versions": library_versions(),
    }
    artifact = Artifact("mentions", identity)

    def load() -> Read:
        from esnera_hf.modeling.mention_vectors import MentionEncoder

        model = MentionEncoder(encoder)

        def read(chunk: list[AnnotatedSentence]) -> tuple[tuple[()], LabelCentroids]:
            annotated = [sentence for sentence in chunk if sentence.entities]
            return (), LabelCentroids.of(model.mention_vectors(annotated))

        return read

    cache_reading(artifact, [], load, source, "train", f"mentions of {source.name}")
    return cached_centroids(artifact)


def _check_trainable(source: NerSource) -> None:
    """Check that there are entities to train on and to choose an epoch by."""
    for split in ("train", "validation"):
        if not sum(source.summary.entities[split].values()):
            notes = f" ({'; '.join(source.notes)})" if source.notes else ""
            raise ConfigurationError(
                f"{source.name}: its {split} split holds {source.summary.sentences[split]} sentences and no "
                f"entity{notes}. A tagger needs both splits, with sentences of different texts: give it more of them."
            )


def _train_joint(
    sources: Sequence[NerSource], encoder: str, training: Mapping[str, Any]
) -> dict[str, JointHead]:
    """Return the heads of the joint tagger of sources, by name, trained now or before."""
    from esnera_hf.modeling.arguments import SAMPLING_EXPONENT, recommended_settings
    from esnera_hf.modeling.encoders import hidden_size
    from esnera_hf.modeling.training import fit_joint_tagger

    # Heads stand in the order of names, so that the order of the sources plays no part.
    ordered = sorted(sources, key=lambda source: source.name)
    size = sum(len(source.dataset["train"]) for source in sources)
    settings = {**recommended_settings(hidden_size(encoder), size), "sampling_exponent": SAMPLING_EXPONENT}
    identity = {
        "sources": [[source.name, source.fingerprint, list(source.labels)] for source in ordered],
        **training_identity(encoder, {**settings, **training}),
    }
    artifact = Artifact("joint_taggers", identity)
    seconds, how = _train(artifact, lambda: fit_joint_tagger(ordered, encoder, artifact.unfinished, training))

    def embed(source: NerSource) -> LabelCentroids:
        return cached_centroids(_joint_reading(artifact, source, "train"))

    names = _head_names(artifact)
    heads = {name: JointHead(name, artifact, seconds / len(names), embed) for name in names}
    say(f"joint tagger of {', '.join(names)} {how}")
    for name, head in heads.items():
        say(f"{name}: head of the joint tagger; validation {Scores.from_dict(head.record['validation'])}")
    return heads


def _train(artifact: Artifact, fit: Callable[[], Tagger | JointTagger]) -> tuple[float, str]:
    """Train a tagger unless it was; return the seconds that took, and what happened in words."""
    started = time.perf_counter()
    if not make_together(artifact, fit, lambda tagger, folder: tagger.save_pretrained(folder)):
        return 0.0, "trained before, reused"
    seconds = time.perf_counter() - started
    return seconds, f"trained in {duration(seconds)}"


def _head_names(joint: Artifact) -> list[str]:
    return [name for name, *_ in joint.identity["sources"]]


def _joint_reading(joint: Artifact, source: NerSource, split: str) -> Artifact:
    """Return the predictions of all heads on a split and the sums of its mentions' vectors, read now or before."""
    artifact = Artifact("readings", {"joint": joint.key, "sentences": source.fingerprint, "split": split})
    names = _head_names(joint)

    def load() -> Read:
        from esnera_hf.modeling.joint import JointTagger

        tagger = JointTagger.from_pretrained(joint.folder)

        def read(chunk: list[AnnotatedSentence]) -> tuple[Iterator[list[list[Entity]]], LabelCentroids]:
            predicted, vectors = tagger.read(chunk)
            return ([row[name] for name in names] for row in predicted), LabelCentroids.of(vectors)

        return read

    files = [_head_file(head) for head in range(len(names))]
    cache_reading(artifact, files, load, source, split, f"joint tagger reads {source.name} {split}")
    return artifact


def _head_file(head: int) -> str:
    return f"predictions-{head}.parquet"


def _joint_encoder(joint: Artifact) -> str:
    """Return the folder of a joint tagger's encoder, saved as any pretrained encoder is."""
    from esnera_hf.modeling.joint import JointTagger

    artifact = Artifact("joint_encoders", {"joint": joint.key})
    make_together(artifact, lambda: JointTagger.from_pretrained(joint.folder), JointTagger.save_encoder)
    return str(artifact.folder)
