"""What a bundle holds back: noise on the mean vectors of labels, by how much they depend on any one sentence.

Sentences are read whole. One that has ``k`` of the ``n`` mentions of a label moves its mean by the sum of their
distances from it over ``n - k``. Beside normal noise of standard deviation ``s`` along each dimension no test tells
better whether it was read than one with ``d' = shift / s``, squares adding up over the labels of the sentence; its area
under the ROC curve is ``Φ(d' / √2)`` (Dong, Roth and Su, 2022). So noise is chosen by the area that is allowed, and
falls with the number of mentions. The head follows from these means: a span is scored by how near it is.
"""

from __future__ import annotations

import os
from collections import Counter
from decimal import ROUND_UP, Context
from hashlib import blake2b
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.cache_contents import cache_folder
from esnera_hf._internal.checks import is_count, within
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.semantic import kept_directions
from esnera_hf.taggers.light_heads import FEWEST, NO_MENTION, LightHead, in_half_precision
from esnera_hf.taggers.predictions import LabelCentroids

#: The area under the ROC curve that an attack on a mention reaches by default; 0.5 is guessing, 1 is knowing.
REVEAL, EXACT = 0.54, 1.0
#: How many times as much of a source is read for a bundle with noise as for an alignment: the noise falls with the
#: number of mentions, and a bundle is made once.
TIMES_READ = 10
#: Mentions of a label below which a bundle tells no more than its name by default.
MIN_SUPPORT = 20
#: A bundle says how large its noise is. All digits of it would tell the spread of the mentions that were read, which
#: changes with each of them.
_ROUNDED = Context(prec=2, rounding=ROUND_UP)
#: The secret of the noise, in the folder of the cache, and its bytes.
KEY_FILE, _KEY = "noise.key", 32


def least_support(reveal: float, min_support: int | None) -> int:
    """Return the mentions of a label below which a bundle tells its name alone.

    Raises:
        ConfigurationError: a value is out of range.
    """
    if not within(reveal, 0.5, EXACT) or reveal == 0.5:
        raise ConfigurationError(
            f"reveal={reveal!r}: expected a number above 0.5, which is guessing, up to 1, which holds nothing back."
        )
    if min_support is None:
        return FEWEST if reveal == EXACT else MIN_SUPPORT
    check_support(min_support)
    return min_support


def check_support(min_support: int) -> None:
    """Check the least number of mentions of a label.

    Raises:
        ConfigurationError: it is out of range.
    """
    if not is_count(min_support) or min_support < FEWEST:
        raise ConfigurationError(f"min_support={min_support!r}: expected a whole number from {FEWEST} on.")


def protected(
    spans: LightHead, reveal: float, min_support: int
) -> tuple[LightHead, LabelCentroids, dict[str, float]]:
    """Return a head and mean vectors with noise, and the standard deviation of the noise of each label.

    Args:
        spans: what was read of a source.
        reveal: the area under the ROC curve that is allowed, for a mention whose sentence moves the means as far as
            the root mean square.
        min_support: mentions of a label that must have been read.

    Raises:
        ConfigurationError: the secret of the noise can neither be read nor written.
    """
    gold, read = np.array(spans.gold), spans.read
    labels = [label for label, count in read.items() if count >= min_support]
    basis = kept_directions(spans.vectors.shape[1])
    vectors = {label: spans.vectors[gold == label].astype(np.float64) @ basis for label in labels}
    sentence_of = spans.sentences if len(spans.sentences) else np.arange(len(gold))
    shifts = _shifts(vectors, {label: sentence_of[gold == label] for label in labels})
    allowed = sqrt(2) * NormalDist().inv_cdf(reveal)
    means: dict[str, NDArray[np.float32]] = {}
    noise: dict[str, float] = {}
    for label in labels:
        noise[label] = float(_ROUNDED.create_decimal_from_float(shifts[label] / allowed))
        mean = vectors[label].mean(axis=0)
        drawn = _generator(mean, reveal, label).normal(0.0, noise[label], mean.shape)
        means[label] = in_half_precision(basis @ (mean + drawn))
    centroids = LabelCentroids.of_means(means, {label: read[label] for label in labels}, noise)
    return _nearest_mean(spans, means), centroids, noise


def _shifts(
    vectors: dict[str, NDArray[np.float64]], sentences: dict[str, NDArray[np.intp]]
) -> dict[str, float]:
    """Return how far a sentence moves the mean of each label, by the root mean square over mentions.

    A sentence moves the means of several labels. All are enlarged by the root of how many those are, on average, so
    that noise in proportion to them hides all of these moves together.

    Args:
        vectors: of the mentions of each label, shape (mentions, dimensions).
        sentences: the number of the sentence of each of them.
    """
    number = 1 + max((int(places.max()) for places in sentences.values()), default=0)
    together, mentions = np.zeros(number), np.zeros(number)
    squares: dict[str, float] = {}
    for label, own in vectors.items():
        count = np.bincount(sentences[label], minlength=number)
        moved = np.zeros((number, own.shape[1]))
        np.add.at(moved, sentences[label], own - own.mean(axis=0))
        square = (moved**2).sum(axis=1) / np.maximum(len(own) - count, 1) ** 2
        alone = ((own - own.mean(axis=0)) ** 2).sum() / len(own) / (len(own) - 1) ** 2
        # Of a label of one sentence nothing else is left that it could move.
        squares[label] = max(float(count @ square) / len(own), alone)
        together += square / (squares[label] or 1.0)
        mentions += count
    labels = max(1.0, float(mentions @ together) / max(mentions.sum(), 1))
    return {label: sqrt(square * labels) for label, square in squares.items()}


def _nearest_mean(spans: LightHead, means: dict[str, NDArray[np.float32]]) -> LightHead:
    """Return the head that scores spans by their distance to means, spans that are no mention lying around 0.

    The discriminant of normal distributions with a variance of 1 along each dimension, which is what vectors are
    scaled to.
    """
    if not means:
        return LightHead((), *_nothing(spans), (), spans.vectors[:0], {})
    counts, gold = Counter(spans.gold), np.array(spans.gold)
    labels = (NO_MENTION, *means)
    weights = np.stack([np.zeros_like(next(iter(means.values()))), *means.values()])
    share = np.array([max(counts[label], 1) for label in labels]) / len(spans.gold)
    bias = in_half_precision(np.log(share) - (weights.astype(np.float64) ** 2).sum(axis=1) / 2)
    head = LightHead(labels, weights, bias, (), spans.vectors[:0], {})
    guessed = np.array(head.predict(spans.vectors))
    recall = {label: float((guessed[gold == label] == label).mean()) for label in means}
    return LightHead(labels, weights, bias, (), spans.vectors[:0], recall)


def _nothing(spans: LightHead) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.zeros((0, spans.vectors.shape[1]), dtype=np.float32), np.zeros(0, dtype=np.float32)


def _generator(mean: NDArray[np.float64], reveal: float, label: str) -> np.random.Generator:
    """Return the source of noise of a mean: the same for the same mean, so that asking again averages nothing away.

    By the mean alone, whoever guesses it could repeat the noise, so a secret has a part in it. Noise that were the same
    for another mean, or the same but for its size, would fall out of their difference.
    """
    digest = blake2b(f"{reveal!r}\n{label}\n".encode(), key=_secret(), digest_size=32)
    digest.update(mean.tobytes())
    return np.random.default_rng(int.from_bytes(digest.digest(), "big"))


def _secret() -> bytes:
    """Return the secret of the noise of all bundles that are made here; it is drawn once."""
    file = cache_folder() / KEY_FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
                new.write(os.urandom(_KEY))
        except FileExistsError:
            pass
        secret = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{file}: the secret of the noise can neither be read nor written: {error.strerror or error}. Allow both, "
            "or set ESNERA_CACHE_DIR to another folder."
        ) from error
    if len(secret) != _KEY:
        raise ConfigurationError(
            f"{file}: expected {_KEY} bytes, found {len(secret)}. Remove it, and a new secret is drawn."
        )
    return secret
