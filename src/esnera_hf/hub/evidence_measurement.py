"""What an evidence bundle holds of a source, measured on its text."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from esnera_hf._internal.checks import to_plain
from esnera_hf.errors import ConfigurationError
from esnera_hf.hub.evidence_file import FORMAT, RENAME, VERSION, EvidenceFacts, checked_facts
from esnera_hf.hub.protection import EXACT, TIMES_READ, protected
from esnera_hf.sources.hashed_forms import HashedForms
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.identity import encoder_files
from esnera_hf.taggers.light_heads import (
    FEWEST,
    LAYERS,
    NO_MENTION,
    LightHead,
    load_light_head,
    make_light_heads,
)
from esnera_hf.taggers.predictions import LabelCentroids


def measured(
    loaded: NerSource, encoder: str, seed: int, *, reveal: float, least: int, salt: str | None
) -> tuple[EvidenceFacts, LightHead, LabelCentroids, HashedForms | None]:
    """Return the facts, the light head, the centroids and, with a salt, the hashed forms of a source.

    Args:
        loaded: a source with labels.
        encoder: folder or Hub id of a pretrained encoder.
        seed: of the sentences that are read.
        reveal: how well an attack may tell whether a mention was read, from 0.5 to 1.
        least: mentions of a label below which its name alone is told.
        salt: of the hashes.

    Raises:
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: the salt is too short, or a label is one that no bundle can name.
    """
    from esnera_hf.modeling.encoders import resolved_commit

    artifacts = make_light_heads([loaded], encoder, seed, times=1 if reveal == EXACT else TIMES_READ)
    spans = load_light_head(artifacts[loaded.name])
    mentions = loaded.summary.entities["train"]
    withheld = {label for label in loaded.labels if FEWEST < least > mentions.get(label, 0)}
    if reveal == EXACT:
        head, centroids = _without(spans, withheld, least)
        noise: dict[str, float] = {}
    else:
        head, centroids, noise = protected(spans, reveal, least)
    recall = head.recall
    shown = [label for label in loaded.labels if label not in withheld]
    forms = None if salt is None else HashedForms.of(loaded, salt, shown)
    is_folder = os.path.isdir(encoder)  # of which no more than its name is said
    facts: EvidenceFacts = {
        "format": FORMAT,
        "version": VERSION,
        "name": loaded.name,
        "language": loaded.language,
        "license": loaded.license,
        "provenance": loaded.provenance,
        "encoder": Path(encoder).resolve().name if is_folder else encoder,
        "encoder_revision": "" if is_folder else resolved_commit(encoder),
        "encoder_digest": encoder_files(encoder),
        "layers": LAYERS,
        "reveal": reveal,
        "min_support": least,
        "noise": noise,
        "labels": list(loaded.labels),
        "mentions": {label: 0 if label in withheld else mentions.get(label, 0) for label in loaded.labels},
        "read": {label: count for label, count in spans.read.items() if label not in withheld},
        "recall": recall,
        "lengths": _lengths(loaded, {label for label in shown if mentions.get(label, 0) >= least}),
        "heads": list(head.labels),
        "centroids": sorted(centroids.total),
        "forms": {} if forms is None else {label: len(own) for label, own in forms.hashes.items()},
        "form_lengths": [] if forms is None else list(forms.lengths),
        "salt_check": "" if forms is None else forms.salt_check,
    }
    check_readable(facts)
    return facts, head, centroids, forms


def check_readable(facts: EvidenceFacts) -> None:
    """Check that others can read a bundle, whose names are to be shown on their screens.

    Raises:
        ConfigurationError: they cannot.
    """
    try:
        checked_facts(to_plain(facts))
    except ValueError as error:
        raise ConfigurationError(
            f"{facts['name']!a}: nobody could read a bundle of it: {error}. {RENAME}"
        ) from error


def _lengths(source: NerSource, labels: set[str]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of the lengths of mentions in tokens, by label."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for sentence in source.sentences("train"):
        for entity in sentence.entities:
            if entity.label in labels:
                lengths[entity.label].append(entity.end - entity.start)
    return {
        label: (round(float(np.mean(own)), 2), round(float(np.std(own)), 2))
        for label, own in sorted(lengths.items())
    }


def _without(spans: LightHead, withheld: set[str], least: int) -> tuple[LightHead, LabelCentroids]:
    """Return head and mean vectors without labels that are withheld, or of which too few mentions were read."""
    read, head, means = spans.read, spans.without_spans(), spans.centroids
    rows = [
        row
        for row, label in enumerate(head.labels)
        if label == NO_MENTION or (label not in withheld and read[label] >= least)
    ]
    shown = {label: count for label, count in means.count.items() if label not in withheld and count >= least}
    head = replace(
        head,
        labels=tuple(head.labels[row] for row in rows),
        weights=head.weights[rows],
        bias=head.bias[rows],
        recall={label: share for label, share in head.recall.items() if label not in withheld},
    )
    return head, LabelCentroids({label: means.total[label] for label in shown}, shown)
