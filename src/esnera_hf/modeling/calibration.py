"""Calibration: the temperature at which a tagger's confidences are the shares of its mentions that are right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from esnera_hf.metrics import Scope, scoped
from esnera_hf.modeling.hub_code.crf import ConstrainedCRF
from esnera_hf.modeling.hub_code.windows import SpanReader
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import batches_by_length, device, mixed_precision
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.tagging import Entity

#: Of each source: one number is fitted, for which more sentences are of no use.
_MOST_SENTENCES = 1000
#: Taggers trained on few sentences for many epochs are the surest: 2 to 3 was measured.
_TEMPERATURES = np.exp(np.linspace(np.log(0.4), np.log(5), 13))
#: Standard deviation of the logarithm of temperatures before any data is seen: a handful of mentions that all are
#: right must not make a tagger certain.
_PRIOR_DEVIATION = 0.5
_LEAST_PROBABILITY = 1e-6

#: Emissions of windows, best paths, mask, and the places of the mentions that these paths hold.
Read = tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]


@torch.no_grad()
def fit_temperatures(
    tagger: Tagger, sentences: Iterable[AnnotatedSentence], scope: Scope | None = None
) -> list[float]:
    """Return the temperatures of the CRF at which confidences fit best to which predicted mentions are right.

    They have the highest likelihood (Guo et al. 2017), where the data are whether each predicted mention is annotated.

    Args:
        tagger: its own temperatures are not looked at.
        sentences: that it was not trained on, with their gold entities.
        scope: the labels that are judged, by source of a sentence; all if not given.

    Returns:
        That of the tagger, and those of its sources in their order, each on its own sentences. Above 1 for a tagger
        that is too sure of itself; 1 where it finds nothing.
    """
    model = tagger.model.to(device()).eval()
    sample = _sample(sentences, tagger.sources)
    windows = tagger.words.windows([sentence.tokens for sentence in sample])
    # One pass of the encoder does for all.
    styles = [(None, model), *((name, model.for_source(name)) for name in tagger.sources)]
    batches: list[list[Read]] = [[] for _ in styles]
    right: list[list[float]] = [[] for _ in styles]
    for _, part in batches_by_length(windows):
        inputs = tagger.inputs(part)
        with mixed_precision():
            states = model.word_states(**inputs)
        for (name, styled), read_batches, outcomes in zip(styles, batches, right, strict=True):
            rows = [row for row, w in enumerate(part) if name in (None, sample[w.sentence].source)]
            if not rows:
                continue
            with mixed_precision():
                emissions = styled.classifier(states[rows]).float()
            mask = inputs["word_positions"][rows] >= 0
            paths = styled.crf.viterbi(emissions, mask)
            read = SpanReader(styled.config.tags)
            read_batches.append((emissions, paths, mask, read.places(paths)))
            for row, spans in zip(rows, read([part[row] for row in rows], paths), strict=True):
                outcomes += [_outcome(Entity(*span), sample[part[row].sentence], scope) for span in spans]
    return [
        best_temperature(styled.crf, read_batches, outcomes)
        for (_, styled), read_batches, outcomes in zip(styles, batches, right, strict=True)
    ]


def _sample(sentences: Iterable[AnnotatedSentence], sources: Sequence[str]) -> list[AnnotatedSentence]:
    """Return so many sentences of each source, or of all together if there are no sources."""
    by_source: dict[str | None, list[AnnotatedSentence]] = {}
    for sentence in sentences:
        by_source.setdefault(sentence.source if sources else None, []).append(sentence)
    return [sentence for part in by_source.values() for sentence in part[:: -(-len(part) // _MOST_SENTENCES)]]


def _outcome(entity: Entity, sentence: AnnotatedSentence, scope: Scope | None) -> float:
    judged = scoped([entity], sentence.source, scope)
    return float(judged[0] in sentence.entities) if judged else np.nan


def best_temperature(crf: ConstrainedCRF, batches: Sequence[Read], right: Sequence[float]) -> float:
    """Return the temperature at which the probabilities of mentions are likeliest, given which of them are right.

    Args:
        crf: has read the batches.
        batches: what it has read.
        right: 1 for a mention of the paths that is right, 0 for one that is not, NaN for what is not judged.
    """
    outcomes = np.array(right, dtype=np.float64)
    if not np.isfinite(outcomes).any():
        return 1.0
    with_mentions = [_with_mentions(batch) for batch in batches if len(batch[3][0])]

    @cache
    def loss(place: int) -> float:
        temperature = float(_TEMPERATURES[place])
        logs = np.concatenate([_log_probabilities(crf, batch, temperature) for batch in with_mentions])
        chances = np.clip(np.exp(logs), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        likelihood = np.where(outcomes == 1, np.log(chances), np.log1p(-chances))[np.isfinite(outcomes)]
        return float(np.log(temperature) ** 2 / (2 * _PRIOR_DEVIATION**2) - likelihood.sum())

    # Downhill from the middle: each place costs a pass of the CRF over all batches, and the loss has one valley.
    place = len(_TEMPERATURES) // 2
    while loss(following := min(place - 1, place + 1, key=loss)) < loss(place):
        if following in (0, len(_TEMPERATURES) - 1):
            break
        place = following
    return _lowest(place, loss(place - 1), loss(place), loss(place + 1))


def _with_mentions(batch: Read) -> Read:
    """Return what was read of the rows that hold a mention: the others say nothing about a temperature."""
    emissions, paths, mask, (rows, *places) = batch
    present, rows = torch.unique(rows, return_inverse=True)
    chosen = present.to(mask.device)
    return emissions[chosen], paths[chosen], mask[chosen], (rows, *places)


def _log_probabilities(crf: ConstrainedCRF, batch: Read, temperature: float) -> NDArray[np.float64]:
    emissions, paths, mask, (rows, starts, ends, _) = batch
    factors = crf.path_probabilities(emissions, paths, mask, temperature)[1].cpu().double()
    sums = nn.functional.pad(factors.cumsum(1), (1, 0))
    logarithms: NDArray[np.float64] = (sums[rows, ends] - sums[rows, starts]).numpy()
    return logarithms


def _lowest(place: int, before: float, lowest: float, after: float) -> float:
    """Return the temperature at the lowest point of the parabola through the losses at a place and beside it."""
    logs = np.log(_TEMPERATURES)
    curvature = before - 2 * lowest + after
    shift = 0.5 * (before - after) / curvature if curvature > 0 else 0.0
    step = logs[1] - logs[0]
    # Four digits, as further ones differ from machine to machine.
    return round(float(np.exp(logs[place] + step * min(max(shift, -1.0), 1.0))), 4)
