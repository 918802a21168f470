"""``train_tagger``: a tagger of a single source."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from esnera_hf._internal.checks import to_plain
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.sources.load import SourceLike, load_sources
from esnera_hf.taggers.encoder_fit import measure_fits
from esnera_hf.taggers.identity import default_encoder
from esnera_hf.taggers.settings import TrainingLike, training_settings
from esnera_hf.taggers.source_taggers import train_cached

if TYPE_CHECKING:
    from esnera_hf.modeling.tagger import Tagger


def train_tagger(
    source: SourceLike,
    *,
    encoder: str | os.PathLike[str] | None = None,
    max_samples: int | None = None,
    seed: int = 42,
    training: TrainingLike | None = None,
) -> Tagger:
    """Train a CRF tagger on one source, and score it.

    The tagger is taken from the cache if it was trained before; an interrupted
    training goes on. Its ``record`` holds the scores on ``validation`` and
    ``test`` and all that its card tells.

    Args:
        source: as for :func:`~esnera_hf.align`.
        encoder: folder or Hub id of a pretrained encoder; chosen by language if
            not given.
        max_samples: use at most so many sentences per split.
        seed: for the choice of sentences and for training.
        training: settings by name, or ``TrainingArguments``, that win over those
            chosen for the encoder and the corpus.

    Raises:
        SourceNotFoundError, SourceError: the source cannot be found or read.
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: there is nothing to train on, or a parameter is out
            of range.
    """
    overrides = {"seed": seed, **training_settings(training or {})}
    with quiet_libraries():
        (loaded,) = load_sources([source], max_samples, seed)
        name = os.fspath(encoder) if encoder is not None else default_encoder([loaded])
        measure_fits([loaded], name, seed)
        cached = train_cached(name, overrides, loaded)
        scores = {split: cached.scores(loaded, split).to_dict() for split in ("validation", "test")}
        return cached.load().with_record(
            **{**cached.record, **scores},
            encoder="" if os.path.isdir(name) else name,
            sources=[to_plain(loaded.summary)],
        )
