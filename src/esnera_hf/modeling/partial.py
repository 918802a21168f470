"""Likelihood of partial annotation: the probability of any tag sequence that the annotation allows.

Bellare and McCallum 2007, Tsuboi et al. 2008 (marginal CRF likelihood);
Greenberg et al. 2018 (datasets of different labels).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from datasets import Dataset
from torch import Tensor
from transformers.modeling_outputs import TokenClassifierOutput

from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.hub_code.crf import FORBIDDEN, ConstrainedCRF
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.training_data import TrainingData
from esnera_hf.sources.partial_annotation import AllowedLabels, PartialAnnotation
from esnera_hf.tagging import OUTSIDE


class Partitions(NamedTuple):
    """Logarithms of summed scores, each of shape (batch,): of the tag sequences allowed, and of all."""

    allowed: Tensor
    all: Tensor


def partitions(crf: ConstrainedCRF, emissions: Tensor, evidence: Tensor, mask: Tensor) -> Partitions:
    """Sum the scores of the tag sequences that are allowed, and of all, in one pass.

    The log-likelihood of the annotation is the difference: log p(allowed) =
    log Z(allowed) − log Z(all), never above 0.

    Args:
        crf: over the tags.
        emissions: shape (batch, words, tags).
        evidence: bool, True where a tag is allowed, or the logarithm of how far
            it is, in (−∞, 0]; shape (batch, words, tags). At least one legal tag
            sequence of each row must be allowed.
        mask: bool, shape (batch, words), True on a prefix of each row.
    """
    emissions = emissions.float()
    if evidence.dtype == torch.bool:
        evidence = torch.where(evidence, 0.0, FORBIDDEN)
    # A finite score for what is forbidden keeps gradients finite: exp(-1e4) is 0 in single precision.
    both = torch.cat([emissions + evidence.clamp(min=FORBIDDEN), emissions])
    allowed, everything = crf.log_partition(both, torch.cat([mask, mask])).chunk(2)
    return Partitions(allowed, everything)


class CandidateTags:
    """What annotated tags may stand for, by source: scores to add to emissions.

    Args:
        tags: the IOB2 tags, by id; ``O`` first.
        candidates: what the annotation of each source leaves open.
        pseudo_noise: relative probability of what contradicts a pseudo-label.

    Raises:
        ConfigurationError: candidates name a label that has no tags.
    """

    def __init__(
        self, tags: Sequence[str], candidates: Mapping[str, AllowedLabels], pseudo_noise: float = 0.0
    ) -> None:
        self.sources = {name: index for index, name in enumerate(sorted(candidates))}
        self._ids = {tag: index for index, tag in enumerate(tags)}
        self._contradiction = max(math.log(pseudo_noise), FORBIDDEN) if pseudo_noise else FORBIDDEN
        shape = (len(candidates), len(tags), len(tags))
        #: Shape (sources, annotated tag, tag).
        self.evidence = torch.full(shape, FORBIDDEN)
        #: What it costs to go on inside an entity after its annotated end, shape (sources, tag of its last token).
        self.overrun = torch.zeros(shape[:2])
        self.inside = torch.tensor([tag.startswith("I-") for tag in tags])
        for name, index in self.sources.items():
            self._fill(self.evidence[index], self.overrun[index], candidates[name])

    def _fill(self, evidence: Tensor, overrun: Tensor, candidates: AllowedLabels) -> None:
        outside = [
            0,
            *(self._id(prefix + label) for label in candidates.unannotated for prefix in ("B-", "I-")),
        ]
        for tag, index in self._ids.items():
            if tag == OUTSIDE:
                evidence[index, outside] = 0.0
            elif tag[2:] in candidates.entities:
                labels = candidates.entities[tag[2:]]
                evidence[index, [self._id(tag[:2] + label) for label in labels]] = 0.0
                overrun[index] = FORBIDDEN
            else:  # the source does not annotate it: a pseudo-label
                evidence[index, outside] = self._contradiction
                agreeing = (tag[2:], *candidates.parts.get(tag[2:], ()))
                evidence[index, [self._id(tag[:2] + label) for label in agreeing]] = 0.0
                overrun[index] = self._contradiction

    def _id(self, tag: str) -> int:
        if tag not in self._ids:
            raise ConfigurationError(
                f"candidates: {tag[2:]!r} is no label of the tagger: expected one of {', '.join(self._ids)}."
            )
        return self._ids[tag]

    def to(self, device: torch.device) -> CandidateTags:
        """Move the scores to a device."""
        self.evidence, self.overrun, self.inside = (
            scores.to(device) for scores in (self.evidence, self.overrun, self.inside)
        )
        return self

    def __call__(self, sources: Tensor, labels: Tensor) -> Tensor:
        """Return the evidence of annotated tags for all tags, shape (batch, words, tags).

        Args:
            sources: index of each row's source, shape (batch,).
            labels: ids of annotated tags, shape (batch, words).
        """
        evidence = self.evidence[sources.unsqueeze(1), labels]
        ended = ~self.inside[labels[:, 1:]]
        cost = self.overrun[sources.unsqueeze(1), labels[:, :-1]] * ended
        after = torch.nn.functional.pad(cost, (1, 0)).unsqueeze(2) * self.inside
        return (evidence + after).clamp(min=FORBIDDEN)


class PartialTagger(CrfTagger):
    """A :class:`CrfTagger` while it is trained on partial annotation; :meth:`trained` gives that."""

    # It stays in this process: its file is not to be copied beside a checkpoint.
    _auto_class = None

    #: Set before training.
    candidate_tags: CandidateTags

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        word_positions: Tensor | None = None,
        labels: Tensor | None = None,
        candidates: Tensor | None = None,
    ) -> TokenClassifierOutput:
        """Compute emissions and, given labels, the loss, a mean over words.

        Args:
            input_ids: as for :class:`CrfTagger`, as are those that follow.
            attention_mask: shape (batch, pieces).
            word_positions: shape (batch, words).
            labels: tag ids, shape (batch, words).
            candidates: index of each row's source, shape (batch,), which says what
                its labels leave open; nothing if not given.
        """
        if labels is None or word_positions is None or candidates is None:
            return super().forward(input_ids, attention_mask, word_positions, labels)
        emissions = super().forward(input_ids, attention_mask, word_positions).logits
        evidence = self.candidate_tags.to(emissions.device)(candidates, labels.clamp(min=0))
        mask = word_positions >= 0
        sums = partitions(self.crf, emissions, evidence, mask)
        return TokenClassifierOutput(loss=(sums.all - sums.allowed).sum() / mask.sum(), logits=emissions)

    def trained(self) -> CrfTagger:
        """Return the tagger without what training needed; it shares the weights."""
        tagger = CrfTagger(self.config, self.encoder)
        tagger.classifier, tagger.crf = self.classifier, self.crf
        return tagger


def partial_rows(data: TrainingData, model: PartialTagger, annotation: PartialAnnotation) -> Dataset:
    """Return the training rows with the source of each, and tell the model what sources leave open.

    Labels without a mention have no tags, and are no candidates.

    Args:
        data: of a merged corpus.
        model: to train on them.
        annotation: what is left open.

    Raises:
        ConfigurationError: it does not tell of a source of the rows.
    """
    labels = data.source.labels
    candidates = {name: known.restricted(labels) for name, known in annotation.allowed.items()}
    tags = CandidateTags(data.tags, candidates, annotation.pseudo_noise)
    sources = data.source.dataset["train"]["source"]
    unknown = sorted(set(sources) - set(tags.sources))
    if unknown:
        raise ConfigurationError(
            f"partial annotation: no candidate labels of {', '.join(unknown)}: expected those of every source, "
            f"found {', '.join(tags.sources)}."
        )
    rows = data.rows("train")
    model.candidate_tags = tags
    return rows.add_column("candidates", [tags.sources[sources[index]] for index in rows["sentence"]])
