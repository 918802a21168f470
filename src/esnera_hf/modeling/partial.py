"""Partial annotation as evidence: the tags that the annotated ones may stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.hub_code.crf import FORBIDDEN
from esnera_hf.sources.partial_annotation import AllowedLabels, PartialAnnotation
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import OUTSIDE, iob2_tag_set


class AllowedTags:
    """The tags that annotated tags may stand for, by source: scores to add to emissions.

    Args:
        tags: the IOB2 tags, by id; ``O`` first.
        allowed: the labels that the annotation of each source allows.
        pseudo_label_noise: probability of tags that contradict all words of a pseudo-label,
            relative to that of tags that agree with it.

    Raises:
        ConfigurationError: a label that is allowed has no tags.
    """

    def __init__(
        self, tags: Sequence[str], allowed: Mapping[str, AllowedLabels], pseudo_label_noise: float = 0.0
    ) -> None:
        self.sources = {name: index for index, name in enumerate(sorted(allowed))}
        #: Name of each source and the labels that it annotates, in the order of their indices.
        self.annotated = [(name, sorted(allowed[name].entities)) for name in self.sources]
        self._ids = {tag: index for index, tag in enumerate(tags)}
        noise = math.log(pseudo_label_noise) if pseudo_label_noise else FORBIDDEN
        self._contradiction = max(noise, FORBIDDEN)
        shape = (len(allowed), len(tags), len(tags))
        #: Shape (sources, annotated tag, tag).
        self.evidence = torch.full(shape, FORBIDDEN)
        #: What it costs to go on inside an entity after its annotated end, shape (sources, tag of its last token).
        self.overrun = torch.zeros(shape[:2])
        #: Whether a source does not annotate the label of a tag, which is then a pseudo-label's, shape (sources, tags).
        self.pseudo = torch.zeros(shape[:2], dtype=torch.bool)
        self.inside = torch.tensor([tag.startswith("I-") for tag in tags])
        for name, index in self.sources.items():
            self._fill(index, allowed[name])

    def _fill(self, source: int, allowed: AllowedLabels) -> None:
        evidence, overrun = self.evidence[source], self.overrun[source]
        open_tags = (prefix + label for label in allowed.unannotated for prefix in ("B-", "I-"))
        outside = [0, *map(self._id, open_tags)]
        for tag, index in self._ids.items():
            if tag == OUTSIDE:
                evidence[index, outside] = 0.0
            elif tag[2:] in allowed.entities:
                labels = allowed.entities[tag[2:]]
                evidence[index, [self._id(tag[:2] + label) for label in labels]] = 0.0
                overrun[index] = FORBIDDEN
            else:  # the source does not annotate it: a pseudo-label
                self.pseudo[source, index] = True
                evidence[index, outside] = self._contradiction
                agreeing = (tag[2:], *allowed.parts.get(tag[2:], ()))
                evidence[index, [self._id(tag[:2] + label) for label in agreeing]] = 0.0
                overrun[index] = self._contradiction

    def _id(self, tag: str) -> int:
        if tag not in self._ids:
            raise ConfigurationError(
                f"allowed labels: {tag[2:]!r} is no label of the tagger: expected one of {', '.join(self._ids)}."
            )
        return self._ids[tag]

    def __call__(self, sources: Tensor, labels: Tensor) -> Tensor:
        """Return the evidence of annotated tags for all tags, shape (batch, words, tags).

        Args:
            sources: index of each row's source, shape (batch,).
            labels: ids of annotated tags, shape (batch, words).
        """
        evidence = self.evidence[sources.unsqueeze(1), labels]
        going_on = self.inside[labels]
        cost = self.overrun[sources.unsqueeze(1), labels]
        if self._contradiction > FORBIDDEN:
            # A mention contradicted in all its words costs the noise once, however many they are.
            mention = (~going_on).cumsum(1)
            words = torch.zeros_like(mention).scatter_add(1, mention - 1, torch.ones_like(mention))
            share = torch.where(self.pseudo[sources.unsqueeze(1), labels], words.gather(1, mention - 1), 1)
            evidence, cost = evidence / share.unsqueeze(2), cost / share
        after = torch.nn.functional.pad((cost[:, :-1] * ~going_on[:, 1:]), (1, 0)).unsqueeze(2) * self.inside
        return (evidence + after).clamp(min=FORBIDDEN)


def allowed_tags(corpus: NerSource, annotation: PartialAnnotation) -> AllowedTags:
    """Return the tags of a merged corpus that those of its sources may stand for.

    Labels without a mention have no tags, and are not allowed.

    Raises:
        ConfigurationError: the annotation lacks a source of the corpus.
    """
    by_source, noise = annotation
    allowed = {name: own.restricted(corpus.labels) for name, own in by_source.items()}
    if unknown := sorted(set(corpus.dataset["train"]["source"]) - set(allowed)):
        raise ConfigurationError(
            f"partial annotation: no allowed labels of {', '.join(unknown)}: expected those of every source, "
            f"found {', '.join(sorted(allowed))}."
        )
    return AllowedTags(iob2_tag_set(corpus.labels), allowed, noise)
