"""Light heads: what a frozen encoder knows of the labels of a source, measured in seconds.

A *light head* is a logistic regression on the mean states of spans: the mentions
of a source, and as many spans that are none. The encoder is not trained, so the
labels of no source touch what another one's head says.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.console import progress_bar
from esnera_hf._internal.processes import process_count, process_index
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.taggers.identity import encoder_identity, library_versions
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.tagging import Entity

#: What stands for the label of a span that is no mention; no source has such a label.
NO_MENTION = ""
#: Encoder layers. Two tell equal labels apart as well as three or four, but not how unequal ones relate: their log loss
#: with whole languages left out is 0.090, 0.086 and 0.086 with 2, 3 and 4 layers.
LAYERS = 3
#: Sentences that are read of every source as they come; then, among so many more, those with labels that have fewer
#: mentions than enough, the rarest label first, while there is room. Parts are often rare labels, and sentences that
#: only repeat the frequent ones cost as much.
LEAST_SENTENCES, LOOKED_THROUGH, ENOUGH_MENTIONS, MOST_TOKENS = 200, 3000, 100, 24_000
#: Labels of fewer mentions are neither fitted nor have a centroid: a direction in space cannot be told from so few.
FEWEST = 3
#: Strong, as there are about as many mentions as dimensions. From 0.02 to 0.2 nothing changes.
INVERSE_REGULARIZATION = 0.05
_FOLDS = 2
_FILE = "head.npz"


@dataclass(frozen=True)
class LightHead:
    """The light head of a source, and the spans that it was fitted on.

    Attributes:
        labels: those it tells apart, :data:`NO_MENTION` among them; none if there was too little to fit.
        weights: shape (labels, dimensions).
        bias: shape (labels,).
        gold: the label of each span that was read.
        vectors: shape (spans, dimensions), around the mean of the spans that are no mentions.
        recall: by label, the share of its mentions that a head finds which has not seen their sentences.
        sentences: the number of the sentence of each span; empty if nobody asks for it.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    gold: tuple[str, ...]
    vectors: NDArray[np.float32]
    recall: dict[str, float]
    sentences: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    def predict(self, vectors: NDArray[np.float32]) -> list[str]:
        """Return the label of each span, shape (spans, dimensions): :data:`NO_MENTION` for none."""
        if not self.labels:
            return [NO_MENTION] * len(vectors)
        best = (vectors @ self.weights.T + self.bias).argmax(axis=1)
        return [self.labels[index] for index in best.tolist()]

    @cached_property
    def gold_numbers(self) -> tuple[list[str], NDArray[np.intp]]:
        """The labels of the spans that were read, and the number of each span's label among them."""
        labels, numbers = np.unique(np.array(self.gold, dtype=np.str_), return_inverse=True)
        return labels.tolist(), numbers

    @property
    def centroids(self) -> LabelCentroids:
        """The sums of the vectors of its mentions, by label, as an evidence bundle holds them."""
        counts = Counter(self.gold)
        chosen = [label != NO_MENTION and counts[label] >= FEWEST for label in self.gold]
        labels = [label for label in self.gold if label != NO_MENTION and counts[label] >= FEWEST]
        sums = LabelCentroids.of([(labels, self.vectors[np.array(chosen, dtype=bool)])] if labels else [])
        means = {label: in_half_precision(total / sums.count[label]) for label, total in sums.total.items()}
        return LabelCentroids.of_means(means, sums.count)

    @property
    def read(self) -> dict[str, int]:
        """The number of mentions that were read, by label."""
        return dict(
            sorted((label, count) for label, count in Counter(self.gold).items() if label != NO_MENTION)
        )

    @property
    def digest(self) -> str:
        """What tells it from another head."""
        digest = blake2b(json.dumps(self.labels).encode(), digest_size=16)
        digest.update(self.weights.astype(np.float32).tobytes() + self.bias.astype(np.float32).tobytes())
        return digest.hexdigest()

    def without_spans(self) -> LightHead:
        """Return the head alone, as an evidence bundle holds it: without the spans that it was fitted on."""
        weights, bias = in_half_precision(self.weights), in_half_precision(self.bias)
        return LightHead(self.labels, weights, bias, (), self.vectors[:0], self.recall)

    def count_on(self, spans: LightHead) -> Counter[tuple[str, str]]:
        """Count what it predicts on the spans of another source, as pairs of the predicted and the gold label.

        :data:`NO_MENTION` is no prediction, but may be the gold label.
        """
        if not self.labels:
            return Counter()
        golds, columns = spans.gold_numbers
        counts = np.zeros((len(self.labels), len(golds)), dtype=np.int64)
        np.add.at(counts, ((spans.vectors @ self.weights.T + self.bias).argmax(axis=1), columns), 1)
        return Counter(
            {
                (self.labels[row], golds[column]): int(counts[row, column])
                for row, column in np.argwhere(counts).tolist()
                if self.labels[row] != NO_MENTION
            }
        )

    def save(self, folder: Path) -> None:
        """Write the head to a folder."""
        names = sorted(self.recall)
        np.savez(
            folder / _FILE,
            labels=np.array(self.labels, dtype=np.str_),
            weights=self.weights,
            bias=self.bias,
            gold=np.array(self.gold, dtype=np.str_),
            # Half the digits are far more than the heads can tell apart.
            vectors=self.vectors.astype(np.float16),
            recall=np.array([self.recall[name] for name in names], dtype=np.float64),
            recalled=np.array(names, dtype=np.str_),
            sentences=self.sentences,
        )

    @classmethod
    def load(cls, folder: Path) -> LightHead:
        """Read what :meth:`save` has written."""
        with np.load(folder / _FILE, allow_pickle=False) as file:
            arrays = dict(file)
        recall = dict(zip(arrays["recalled"].tolist(), arrays["recall"].tolist(), strict=True))
        return cls(
            tuple(arrays["labels"].tolist()),
            arrays["weights"],
            arrays["bias"],
            tuple(arrays["gold"].tolist()),
            arrays["vectors"].astype(np.float32),
            recall,
            arrays["sentences"].astype(np.intp),
        )


def in_half_precision(numbers: NDArray[Any]) -> NDArray[np.float32]:
    """Round numbers to the eleven bits that an evidence bundle holds of each: no head tells more of them apart."""
    most = float(np.finfo(np.float16).max)
    return np.asarray(np.clip(numbers, -most, most).astype(np.float16), dtype=np.float32)


def make_light_heads(
    sources: Sequence[NerSource], encoder: str, seed: int, *, times: int = 1
) -> dict[str, Artifact]:
    """Return the artifact of the light head of each source, by name, made now or before.

    Each source has an artifact of its own, so another source later costs no more
    than itself. The processes of a launch share the sources out.

    Args:
        sources: the sources.
        encoder: folder or Hub id of a pretrained encoder.
        seed: of the choice of sentences and of spans that are no mentions.
        times: as much is read of a source as for an alignment.

    Raises:
        EncoderError: the encoder cannot be loaded.
    """
    identity: dict[str, Any] = {
        "encoder": encoder_identity(encoder),
        "layers": LAYERS,
        "read": [LEAST_SENTENCES, *(times * most for most in (LOOKED_THROUGH, ENOUGH_MENTIONS, MOST_TOKENS))],
        "holds": "sentences",
        "order": "by content",
        "seed": seed,
        "versions": library_versions(),
    }
    artifacts = {
        source.name: Artifact("light_heads", {**identity, "sentences": source.fingerprint})
        for source in sources
    }
    # Of all sources: which ones are missing may look different to a process that starts later.
    own = [s for s in sources[process_index() :: process_count()] if not artifacts[s.name].exists]
    if own:
        from esnera_hf.modeling.mention_vectors import MentionEncoder

        model = MentionEncoder(encoder, LAYERS)
        for source in own:
            artifacts[source.name].make(lambda folder, s=source: _fit(s, model, seed, times).save(folder))  # type: ignore[misc]
    if process_count() > 1:
        from esnera_hf.modeling.distributed import wait_for_all

        wait_for_all()
    return artifacts


def load_light_head(artifact: Artifact) -> LightHead:
    """Return the light head of an artifact.

    Raises:
        ConfigurationError: its file does not load.
    """
    with artifact.reading():
        return LightHead.load(artifact.folder)


def sentences_to_read(source: NerSource, seed: int, times: int = 1) -> list[AnnotatedSentence]:
    """Return sentences of the train split: some at random, then those with labels that lack mentions.

    What goes beyond the tokens that may be read is passed over, unless nothing else is there.
    """
    sentences = _in_random_order(source.sample(times * LOOKED_THROUGH, seed).sentences("train"), seed)
    occurring = Counter(entity.label for sentence in sentences for entity in sentence.entities)
    first, rest = sentences[:LEAST_SENTENCES], sentences[LEAST_SENTENCES:]
    rest = [sentence for sentence in rest if sentence.entities]
    rest.sort(key=lambda sentence: min(occurring[entity.label] for entity in sentence.entities))
    missing = Counter({label: min(count, times * ENOUGH_MENTIONS) for label, count in occurring.items()})
    chosen: list[AnnotatedSentence] = []
    room = times * MOST_TOKENS
    for number, sentence in enumerate([*first, *rest]):
        if number >= LEAST_SENTENCES and all(missing[entity.label] <= 0 for entity in sentence.entities):
            continue
        if len(sentence.tokens) > room:
            continue
        room -= len(sentence.tokens)
        chosen.append(sentence)
        missing.subtract(entity.label for entity in sentence.entities)
    return chosen or first[:1]


def _in_random_order(sentences: Iterable[AnnotatedSentence], seed: int) -> list[AnnotatedSentence]:
    """Return sentences ordered by a keyed hash of each, so that one less leaves the order of the others as it is."""
    copies: Counter[str] = Counter()
    placed = []
    for sentence in sentences:
        text = "\x1f".join(sentence.tokens)
        # Of sentences with the same tokens each has a place of its own.
        content = f"{seed}\n{copies[text]}\n{text}".encode("utf-8", "surrogatepass")
        placed.append((blake2b(content, digest_size=16).digest(), sentence))
        copies[text] += 1
    return [sentence for _, sentence in sorted(placed, key=lambda one: one[0])]


def with_other_spans(sentence: AnnotatedSentence, seed: int) -> AnnotatedSentence:
    """Return a sentence with as many spans that are no mentions, as long as its mentions, but two at least."""
    generator = random.Random(repr((seed, sentence.tokens)))  # the same whatever else is read
    taken = {(entity.start, entity.end) for entity in sentence.entities}
    lengths = [end - start for start, end in sorted(taken)] or [1, 2]
    wanted = max(2, len(taken))
    others: set[tuple[int, int]] = set()
    for _ in range(4 * wanted):  # a short sentence may not have as many
        length = generator.choice(lengths)
        start = generator.randrange(max(len(sentence.tokens) - length + 1, 1))
        if start + length <= len(sentence.tokens) and (start, start + length) not in taken:
            others.add((start, start + length))
        if len(others) == wanted:
            break
    spans = [Entity(start, end, NO_MENTION) for start, end in sorted(others)]
    return replace(sentence, entities=[*sentence.entities, *spans])


def _fit(source: NerSource, model: Any, seed: int, times: int) -> LightHead:
    """Read a source with a frozen encoder and fit its head, and one for each half on the other half."""
    sentences = [with_other_spans(sentence, seed) for sentence in sentences_to_read(source, seed, times)]
    sentences = [sentence for sentence in sentences if sentence.entities]
    gold: list[str] = []
    parts: list[NDArray[np.float32]] = []
    places: list[int] = []
    with progress_bar(f"reading {source.name}", len(sentences), unit="sentences", delay=2) as bar:
        read: set[int] = set()
        # Both halves at once: the more sentences there are, the more are of like length, and the less is padding.
        for labels, vectors, numbers in model.located_mentions(sentences):
            gold += labels
            parts.append(vectors)
            places += numbers
            bar.update(len({*numbers} - read))
            read.update(numbers)
    if not parts:
        empty = np.zeros((0, 1), dtype=np.float32)
        return LightHead((), empty, np.zeros(0, dtype=np.float32), (), empty, {})
    names, sentence_of, vectors = np.array(gold), np.array(places), np.concatenate(parts)
    fold_of = sentence_of % _FOLDS
    others = names == NO_MENTION
    vectors = vectors - vectors[others if others.any() else slice(None)].mean(axis=0)
    vectors /= vectors.std(axis=0).mean() + 1e-6
    guessed = np.full(len(names), NO_MENTION, dtype=names.dtype)
    for fold in range(_FOLDS):
        seen = fold_of != fold
        labels, weights, bias = _regression(vectors[seen], names[seen])
        if labels and not seen.all():
            best = (vectors[~seen] @ weights.T + bias).argmax(axis=1)
            guessed[~seen] = np.array(labels)[best]
    mentioned = sorted(set(gold) - {NO_MENTION})
    recall = {label: float((guessed[names == label] == label).mean()) for label in mentioned}
    return LightHead(*_regression(vectors, names), tuple(gold), vectors, recall, sentence_of)


def _regression(
    vectors: NDArray[np.float32], names: NDArray[np.str_]
) -> tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.float32]]:
    """Return labels, weights and bias of a multinomial logistic regression; no label where there are not two."""
    from sklearn.linear_model import LogisticRegression  # tenths of a second that only this has a use for

    counts = Counter(names.tolist())
    fitted = np.array([name == NO_MENTION or counts[name] >= FEWEST for name in names.tolist()], dtype=bool)
    if len(set(names[fitted].tolist())) < 2:
        return (), np.zeros((0, vectors.shape[1]), dtype=np.float32), np.zeros(0, dtype=np.float32)
    model = LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=200, tol=1e-3)
    model.fit(vectors[fitted], names[fitted])
    weights, bias = model.coef_, model.intercept_
    if len(weights) == 1:  # of two classes it keeps the second alone
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return tuple(model.classes_.tolist()), weights.astype(np.float32), bias.astype(np.float32)
