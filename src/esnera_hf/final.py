"""The end of an alignment: the merged dataset, and on request a tagger trained on it, scored back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from datasets import DatasetDict

from esnera_hf.alignment import LabelMapping, MappedLabel
from esnera_hf.augmentation import PseudoLabels, check_floor, pseudo_labels
from esnera_hf.errors import ConfigurationError
from esnera_hf.evidence import EvidenceSettings, lap, own_taggers
from esnera_hf.merging import Leak, find_leaks, left_out_of_train, merge_sources
from esnera_hf.scoring import MergedScores, score_in_own_labels, score_projected
from esnera_hf.sources import NerSource
from esnera_hf.taggers import CachedTagger
from esnera_hf.trials import train_merged

Baseline = Literal["naive", "gold"]


@dataclass(frozen=True)
class FinalSettings:
    """What is made of the mapping.

    Attributes:
        augment: smallest confidence of pseudo-labels; ``None`` adds none.
        tagger: train a tagger on the merged dataset and score it.
        compare: other taggers to train and score beside it: ``naive``, on the
            union where same names merge and missing types are ``O``; ``gold``, on
            the same mapping without pseudo-labels.
    """

    augment: float | None = None
    tagger: bool = False
    compare: Sequence[Baseline] = ()

    def __post_init__(self) -> None:
        check_floor(self.augment)
        for name in self.compare:
            if name not in get_args(Baseline):
                raise ConfigurationError(f"compare={name!r}: expected {' or '.join(get_args(Baseline))}.")
        if self.compare and not self.tagger:
            raise ConfigurationError("compare= needs tagger=True: there is nothing to compare with.")


@dataclass(frozen=True)
class ScoredTagger:
    """A tagger trained on merged data and its scores on the test splits beside the sources' own taggers.

    Attributes:
        tagger: the tagger.
        own_labels: in each source's own labels.
        projected: in unified labels.
    """

    tagger: CachedTagger
    own_labels: MergedScores
    projected: MergedScores


@dataclass(frozen=True)
class Final:
    """The merged dataset and what was made of it.

    Attributes:
        dataset: the merged dataset.
        leaks: sentences that stand in a later split, too.
        pseudo: pseudo-labels added, if asked for.
        taggers: the sources' own taggers, where they were needed.
        systems: scored taggers: ``merged`` and what was compared with it.
        seconds: wall time by step.
    """

    dataset: DatasetDict
    leaks: tuple[Leak, ...]
    pseudo: PseudoLabels | None = None
    taggers: dict[str, CachedTagger] = field(default_factory=dict)
    systems: dict[str, ScoredTagger] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def finish(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    settings: FinalSettings,
    encoder: str | None = None,
    evidence: EvidenceSettings | None = None,
) -> Final:
    """Merge sources by a mapping, add pseudo-labels, train and score taggers: what is asked for.

    Args:
        sources: all sentences of the sources.
        mapping: covers every label of every source.
        settings: what is wanted.
        encoder: of the taggers; needed for anything but the merged dataset.
        evidence: how taggers are trained.

    Raises:
        ConfigurationError: something needs an encoder and none is given.
        MappingError: mapping and sources do not fit.
    """
    mapping.check_fits(ref for source in sources for ref in source.label_refs)
    seconds: dict[str, float] = {}
    taggers: dict[str, CachedTagger] = {}
    evidence = evidence or EvidenceSettings()
    with lap(seconds, "merging"):
        leaks = find_leaks(sources)
    if settings.augment is None and not settings.tagger:
        with lap(seconds, "merging"):
            return Final(merge_sources(sources, mapping, leaks), leaks, seconds=seconds)
    if encoder is None:
        raise ConfigurationError("pseudo-labels and taggers need an encoder: pass encoder=, or augment=None.")
    with lap(seconds, "training"):
        taggers = own_taggers(sources, encoder, evidence.training)
    pseudo = None
    if settings.augment is not None:
        with lap(seconds, "pseudo-labels"):
            pseudo = pseudo_labels(
                sources,
                mapping,
                lambda name, source: taggers[name].predictions(source, "train"),
                settings.augment,
                left_out_of_train(leaks),
            )
    with lap(seconds, "merging"):
        dataset = merge_sources(sources, mapping, leaks, pseudo)
    systems: dict[str, ScoredTagger] = {}
    wanted: dict[str, tuple[LabelMapping, PseudoLabels | None]] = {}
    if settings.tagger:
        wanted["merged"] = mapping, pseudo
    if "gold" in settings.compare:
        wanted["gold"] = mapping, None
    if "naive" in settings.compare:
        wanted["naive"] = mapping_by_name(sources), None
    with lap(seconds, "final training"):
        for name, (chosen, added) in wanted.items():
            tagger = train_merged(sources, chosen, leaks, added, encoder, evidence)
            systems[name] = _scored(sources, chosen, taggers, tagger)
    return Final(dataset, leaks, pseudo, taggers, systems, seconds)


def mapping_by_name(sources: Sequence[NerSource]) -> LabelMapping:
    """Return the mapping in which labels of the same name are one."""
    labels = [ref for source in sources for ref in source.label_refs]
    names = tuple(dict.fromkeys(label.label for label in labels))
    return LabelMapping(names, tuple(MappedLabel(label, label.label) for label in labels))


def _scored(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    own: dict[str, CachedTagger],
    merged: CachedTagger,
) -> ScoredTagger:
    predictions = {
        source.name: [
            list(own[source.name].predictions(source, "test")),
            list(merged.predictions(source, "test")),
        ]
        for source in sources
    }
    pairs = {name: (first, second) for name, (first, second) in predictions.items()}
    return ScoredTagger(
        merged,
        score_in_own_labels(sources, mapping, pairs, "test"),
        score_projected(sources, mapping, pairs, "test"),
    )
