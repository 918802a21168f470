"""The merged tagger before its first step: the joint tagger's encoder, its heads put together by the mapping."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from esnera_hf.labels import LabelRef
from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.joint import JointTagger
from esnera_hf.tagging import OUTSIDE, iob2_tag_set


@torch.no_grad()
def merged_start(
    tagger: JointTagger,
    unified_labels: Sequence[str],
    unified: Mapping[LabelRef, str | None],
    mentions: Mapping[LabelRef, int],
) -> CrfTagger:
    """Return a tagger of the unified labels that knows what a joint tagger's heads know.

    A unified tag starts as the mean of the tags that go to it, each weighted by
    its label's mentions. Scores are taken relative to those of ``O``, as heads
    differ by a constant that no tagging depends on. Transitions between labels
    that no source has both start at 0. The joint tagger stays as it is.

    Args:
        tagger: trained on the sources, and perhaps on others.
        unified_labels: the unified schema, in order.
        unified: where each label of the sources goes; ``None`` leaves it out.
        mentions: gold mentions of each label in the train splits.
    """
    tags = iob2_tag_set(unified_labels)
    sources = {label.source for label in unified}
    place = {tag: index for index, tag in enumerate(tags)}
    width = tagger.head(tagger.names[0]).model.classifier.in_features
    sums = {
        "weight": _WeightedMean((len(tags), width), 1),
        "bias": _WeightedMean((len(tags),), 1),
        "start": _WeightedMean((len(tags),), 1),
        "end": _WeightedMean((len(tags),), 1),
        "transitions": _WeightedMean((len(tags), len(tags)), 2),
    }
    for name in tagger.names:
        if name not in sources:
            continue
        head = tagger.head(name).model
        targets = _targets(name, head.config.tags, unified)
        kept = list(targets)
        where = torch.tensor([place[tag] for tag in targets.values()])
        labels = [LabelRef(name, head.config.tags[position][2:]) for position in kept]
        share = torch.tensor([float(max(mentions.get(label, 0), 1)) for label in labels])
        for key, scores in _scores_of_tags(head).items():
            sums[key].add((scores - scores[0])[kept], where, share)
        moves = head.crf.transitions - head.crf.transitions[0, 0]
        sums["transitions"].add(moves[kept][:, kept], where, share)
    config = CrfTaggerConfig(
        encoder_config=dict(tagger.model.config.encoder_config),
        tags=tags,
        classifier_dropout=tagger.model.config.classifier_dropout,
        window_length=tagger.model.config.window_length,
    )
    model = CrfTagger(config, copy.deepcopy(tagger.model.encoder))
    for key, scores in _scores_of_tags(model).items():
        scores.copy_(sums[key].value)
    model.crf.transitions.copy_(sums["transitions"].value)
    return model


def _targets(name: str, tags: Sequence[str], unified: Mapping[LabelRef, str | None]) -> dict[int, str]:
    """Return the unified tag of each tag of a head, by its position, without those that are left out."""
    targets = {}
    for position, tag in enumerate(tags):
        target = OUTSIDE if tag == OUTSIDE else unified[LabelRef(name, tag[2:])]
        if target is not None:
            targets[position] = tag if tag == OUTSIDE else f"{tag[:2]}{target}"
    return targets


def _scores_of_tags(model: CrfTagger) -> dict[str, Tensor]:
    """Return the parameters of a tagger that have a row a tag, by name."""
    return {
        "weight": model.classifier.weight,
        "bias": model.classifier.bias,
        "start": model.crf.start_transitions,
        "end": model.crf.end_transitions,
    }


@torch.no_grad()
def take_over(model: CrfTagger, start: CrfTagger) -> None:
    """Copy the weights of a tagger into one whose tags are among its own, in whatever order.

    Raises:
        ValueError: the encoders differ, or a tag is missing.
    """
    places = [start.config.tags.index(tag) for tag in model.config.tags]
    model.encoder.load_state_dict(start.encoder.state_dict())
    model.classifier.weight.copy_(start.classifier.weight[places])
    model.classifier.bias.copy_(start.classifier.bias[places])
    model.crf.start_transitions.copy_(start.crf.start_transitions[places])
    model.crf.end_transitions.copy_(start.crf.end_transitions[places])
    model.crf.transitions.copy_(start.crf.transitions[places][:, places])


class _WeightedMean:
    """The mean of scores of tags (or pairs of tags) that are added one head at a time; 0 where none was."""

    def __init__(self, shape: tuple[int, ...], tag_axes: int) -> None:
        self._sum = torch.zeros(shape)
        self._weight = torch.zeros(shape[:tag_axes])
        self._tag_axes = tag_axes

    def add(self, scores: Tensor, places: Tensor, shares: Tensor) -> None:
        """Add the scores of tags, shape (tags, …) or (tags, tags), at their places in the unified tag set."""
        scores = scores.detach().float().cpu()
        if self._tag_axes == 2:
            weight = shares[:, None] * shares[None, :]
            rows, columns = places[:, None].expand_as(weight), places[None, :].expand_as(weight)
            self._sum.index_put_((rows, columns), weight * scores, accumulate=True)
            self._weight.index_put_((rows, columns), weight, accumulate=True)
            return
        weight = shares.view(-1, *[1] * (scores.ndim - 1))
        self._sum.index_add_(0, places, weight * scores)
        self._weight.index_add_(0, places, shares)

    @property
    def value(self) -> Tensor:
        """The means, in the shape of the sums."""
        weight = self._weight.view(*self._weight.shape, *[1] * (self._sum.ndim - self._weight.ndim))
        return torch.where(weight > 0, self._sum / weight.clamp(min=1e-9), torch.zeros(()))
