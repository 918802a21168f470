"""Likelihood of partial annotation: the probability of any tag sequence that the annotation allows.

Bellare and McCallum 2007, Tsuboi et al. 2008 (marginal CRF likelihood);
Greenberg et al. 2018 (datasets of different labels).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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


def partial_losses(crf: ConstrainedCRF, emissions: Tensor, evidence: Tensor, mask: Tensor) -> Tensor:
    """Return the negative log-likelihood of partial annotation, shape (batch,), never below 0.

    −log p(allowed) = log Z(all) − log Z(allowed): the scores of all tag
    sequences, and of those that the annotation allows, are summed in one pass.

    Args:
        crf: over the tags.
        emissions: shape (batch, words, tags).
        evidence: the logarithm of how far a tag is allowed, in (−∞, 0]; shape
            (batch, words, tags). At least one legal tag sequence of each row
            must be allowed.
        mask: bool, shape (batch, words), True on a prefix of each row.
    """
    emissions = emissions.float()
    # A finite score for what is forbidden keeps gradients finite: exp(-1e4) is 0 in single precision.
    both = torch.cat([emissions + evidence.clamp(min=FORBIDDEN), emissions])
    allowed, everything = crf.log_partition(both, torch.cat([mask, mask])).chunk(2)
    return everything - allowed


class AllowedTags:
    """The tags that annotated tags may stand for, by source: scores to add to emissions.

    Args:
        tags: the IOB2 tags, by id; ``O`` first.
        allowed: the labels that the annotation of each source allows.
        pseudo_label_noise: probability of tags that contradict a pseudo-label, relative
            to that of tags that agree with it.

    Raises:
        ConfigurationError: a label that is allowed has no tags.
    """

    def __init__(
        self, tags: Sequence[str], allowed: Mapping[str, AllowedLabels], pseudo_label_noise: float = 0.0
    ) -> None:
        self.sources = {name: index for index, name in enumerate(sorted(allowed))}
        self._ids = {tag: index for index, tag in enumerate(tags)}
        noise = math.log(pseudo_label_noise) if pseudo_label_noise else FORBIDDEN
        self._contradiction = max(noise, FORBIDDEN)
        shape = (len(allowed), len(tags), len(tags))
        #: Shape (sources, annotated tag, tag).
        self.evidence = torch.full(shape, FORBIDDEN)
        #: What it costs to go on inside an entity after its annotated end, shape (sources, tag of its last token).
        self.overrun = torch.zeros(shape[:2])
        self.inside = torch.tensor([tag.startswith("I-") for tag in tags])
        for name, index in self.sources.items():
            self._fill(self.evidence[index], self.overrun[index], allowed[name])

    def _fill(self, evidence: Tensor, overrun: Tensor, allowed: AllowedLabels) -> None:
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

    def to(self, device: torch.device) -> AllowedTags:
        """Move the scores to a device."""
        for name in ("evidence", "overrun", "inside"):
            setattr(self, name, getattr(self, name).to(device))
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
    allowed_tags: AllowedTags

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        word_positions: Tensor | None = None,
        labels: Tensor | None = None,
        sources: Tensor | None = None,
    ) -> TokenClassifierOutput:
        """Compute emissions and, given labels, the loss, a mean over words.

        Args:
            input_ids: as for :class:`CrfTagger`, as are those that follow.
            attention_mask: shape (batch, pieces).
            word_positions: shape (batch, words).
            labels: tag ids, shape (batch, words).
            sources: index of each row's source, shape (batch,), whose annotation
                it has; the annotation is taken for whole if not given.
        """
        if labels is None or word_positions is None or sources is None:
            return super().forward(input_ids, attention_mask, word_positions, labels)
        emissions = super().forward(input_ids, attention_mask, word_positions).logits
        evidence = self.allowed_tags.to(emissions.device)(sources, labels.clamp(min=0))
        mask = word_positions >= 0
        losses = partial_losses(self.crf, emissions, evidence, mask)
        return TokenClassifierOutput(loss=losses.sum() / mask.sum(), logits=emissions)

    def trained(self) -> CrfTagger:
        """Return the tagger without what training needed; it shares the weights."""
        tagger = CrfTagger(self.config, self.encoder)
        tagger.classifier, tagger.crf = self.classifier, self.crf
        return tagger


def partial_rows(data: TrainingData, model: PartialTagger, annotation: PartialAnnotation) -> Dataset:
    """Return the training rows with the source of each, and set the tags that the model is to allow.

    Labels without a mention have no tags, and are not allowed.

    Args:
        data: of a merged corpus.
        model: to train on them.
        annotation: the labels that each source allows.

    Raises:
        ConfigurationError: it lacks a source of the rows.
    """
    labels = data.source.labels
    by_source, noise = annotation
    allowed = {name: own.restricted(labels) for name, own in by_source.items()}
    model.allowed_tags = AllowedTags(data.tags, allowed, noise)
    indices = model.allowed_tags.sources
    sources = data.source.dataset["train"]["source"]
    if unknown := sorted(set(sources) - set(indices)):
        raise ConfigurationError(
            f"partial annotation: no allowed labels of {', '.join(unknown)}: expected those of every source, "
            f"found {', '.join(indices)}."
        )
    rows = data.rows("train")
    return rows.add_column("sources", [indices[sources[index]] for index in rows["sentence"]])
