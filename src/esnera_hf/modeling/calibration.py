"""Calibration: the temperature at which a tagger's confidences are the shares of its mentions that are right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from esnera_hf.metrics import Scope, scoped
from esnera_hf.modeling.hub_code.crf import ConstrainedCRF
from esnera_hf.modeling.hub_code.windows import SpanReader
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import batches_by_length, device
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.tagging import Entity

#: One number is fitted, for which more sentences are of no use.
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
def fit_temperature(
    tagger: Tagger, sentences: Iterable[AnnotatedSentence], scope: Scope | None = None
) -> float:
    """Return the temperature of the CRF at which confidences fit best to which predicted mentions are right.

    It has the highest likelihood (Guo et al. 2017), where the data are whether each predicted mention is annotated.

    Args:
        tagger: its own temperature is not looked at.
        sentences: that it was not trained on, with their gold entities.
        scope: the labels that are judged, by source of a sentence; all if not given.

    Returns:
        Above 1 for a tagger that is too sure of itself; 1 where it finds nothing.
    """
    model = tagger.model.to(device()).eval()
    sample = list(sentences)
    sample = sample[:: max(1, -(-len(sample) // _MOST_SENTENCES))]
    windows = tagger.words.windows([sentence.tokens for sentence in sample])
    read = SpanReader(model.config.tags)
    batches, right = list[Read](), list[float]()
    for batch in batches_by_length(windows):
        part = [windows[index] for index in batch]
        emissions, mask = tagger.emissions(part)
        paths = model.crf.viterbi(emissions, mask)
        batches.append((emissions, paths, mask, read.places(paths)))
        for window, spans in zip(part, read(part, paths), strict=True):
            sentence = sample[window.sentence]
            for span in spans:
                judged = scoped([Entity(*span)], sentence.source, scope)
                right.append(judged[0] in sentence.entities if judged else np.nan)
    return best_temperature(model.crf, batches, right)


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

    def loss(temperature: float) -> float:
        logs = np.concatenate([_log_probabilities(crf, batch, temperature) for batch in batches])
        chances = np.clip(np.exp(logs), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        likelihood = np.where(outcomes == 1, np.log(chances), np.log1p(-chances))[np.isfinite(outcomes)]
        return float(np.log(temperature) ** 2 / (2 * _PRIOR_DEVIATION**2) - likelihood.sum())

    return _lowest([loss(temperature) for temperature in _TEMPERATURES.tolist()])


def _log_probabilities(crf: ConstrainedCRF, batch: Read, temperature: float) -> NDArray[np.float64]:
    emissions, paths, mask, (rows, starts, ends, _) = batch
    factors = crf.path_probabilities(emissions, paths, mask, temperature)[1].cpu().double()
    sums = nn.functional.pad(factors.cumsum(1), (1, 0))
    logarithms: NDArray[np.float64] = (sums[rows, ends] - sums[rows, starts]).numpy()
    return logarithms


def _lowest(losses: list[float]) -> float:
    """Return the temperature at the lowest point of the parabola through the lowest loss and its neighbours."""
    logs = np.log(_TEMPERATURES)
    middle = min(max(int(np.argmin(losses)), 1), len(losses) - 2)
    before, lowest, after = losses[middle - 1 : middle + 2]
    curvature = before - 2 * lowest + after
    shift = 0.5 * (before - after) / curvature if curvature > 0 else 0.0
    step = logs[1] - logs[0]
    # Four digits, as further ones differ from machine to machine.
    return round(float(np.exp(logs[middle] + step * min(max(shift, -1.0), 1.0))), 4)
