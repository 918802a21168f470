"""The end of an alignment: the merged dataset, and on request a tagger trained on it, scored back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from datasets import DatasetDict

from esnera_hf._internal.console import lap, say
from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.greedy_path import MergeHistory
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.alignment.search import GreedySettings
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.projection import (
    MergedScores,
    PredictionPair,
    score_native,
    score_unified,
)
from esnera_hf.merging.merge import as_source, merge_sources
from esnera_hf.merging.pseudo_labels import (
    DEFAULT_THRESHOLD,
    PseudoLabels,
    check_threshold,
    pseudo_labels,
)
from esnera_hf.metrics import Comparison
from esnera_hf.similarity.evidence import Evidence
from esnera_hf.sources.leakage import Leak, find_leaks, left_out_of_train
from esnera_hf.sources.partial_annotation import AllowedLabels, PartialAnnotation, check_pseudo_noise
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.settings import TaggerPlan
from esnera_hf.taggers.source_taggers import CachedTagger, cached_tagger, own_taggers


@dataclass(frozen=True)
class Training:
    """A tagger trained on what a mapping merges, and how it compares.

    Attributes:
        unified: own taggers (before) and the merged one (after) on the
            validation splits, projected through the mapping.
        native: the same in each source's own labels.
        tagger: the merged tagger.
        pseudo: number of pseudo-labels it was trained with.
    """

    unified: MergedScores
    native: MergedScores
    tagger: CachedTagger
    pseudo: int


@dataclass(frozen=True)
class TrialOutcome:
    """A mapping and what trying it told.

    Attributes:
        mapping: of the sources merged so far.
        settings: the bound, and which scores it is for.
        training: what training told.
    """

    mapping: LabelMapping
    settings: GreedySettings
    training: Training

    @property
    def pooled(self) -> Comparison:
        """The pooled F1 that the bound is for."""
        unified = self.settings.scoring == "unified"
        return (self.training.unified if unified else self.training.native).pooled

    @property
    def drop(self) -> float:
        """By how much the pooled micro-F1 falls, as a share."""
        return -(self.pooled.change.value or 0.0)

    @property
    def holds(self) -> bool:
        """Whether the tagger's F1 falls by less than the bound allows."""
        return self.drop < self.settings.max_f1_drop


@dataclass(frozen=True)
class Trials:
    """Tries mappings of some sources: trains on what they merge and scores.

    Attributes:
        sources: the sources.
        plan: how the merged taggers are made.
        evidence: similarities and the sources' own taggers.
        search: the bound.
        threshold: smallest confidence of pseudo-labels, ``None`` for none.
        constraints: names and labels left out.
    """

    sources: Sequence[NerSource]
    plan: TaggerPlan
    evidence: Evidence
    search: GreedySettings
    threshold: float | None
    constraints: Constraints

    def __call__(self, history: MergeHistory) -> TrialOutcome:
        """Score the mapping that a merge path gives."""
        step = history.steps[-1]
        say(
            f"trying {' + '.join(step.sources)} → {step.target or 'the given schema'} with λ {step.lam}, "
            f"τ {step.tau}: {step.merged} labels merged"
        )
        sources = [source for source in self.sources if source.name in history.sources]
        mapping = mapping_from_history(history, self.evidence.matrix, self.constraints)
        mapping = mapping.restricted(history.sources)
        outcome = TrialOutcome(mapping, self.search, self._train(sources, mapping, find_leaks(sources)))
        verdict = "holds" if outcome.holds else f"is broken: more than {self.search.max_f1_drop} lower"
        say(f"  {_told(outcome)} merged: the bound {verdict}")
        return outcome

    def _train(self, sources: Sequence[NerSource], mapping: LabelMapping, leaks: Sequence[Leak]) -> Training:
        pseudo = None
        if self.threshold is not None:
            pseudo = pseudo_labels(
                sources, mapping, self.evidence.predictions, self.threshold, left_out_of_train(leaks)
            )
        tagger = train_merged(sources, mapping, leaks, pseudo, self.plan)
        predictions = both_predictions(sources, self.evidence.taggers, tagger, "validation")
        return Training(
            score_unified(sources, mapping, predictions, "validation"),
            score_native(sources, mapping, predictions, "validation"),
            tagger,
            pseudo.counts.total() if pseudo is not None else 0,
        )


def _told(outcome: TrialOutcome) -> str:
    pooled = outcome.pooled
    return f"micro-F1 {pooled.before.value:.3f} of the sources' own taggers, {pooled.after.value:.3f}"


def train_merged(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    leaks: Sequence[Leak],
    pseudo: PseudoLabels | None,
    plan: TaggerPlan,
    *,
    pseudo_noise: float | None = None,
) -> CachedTagger:
    """Merge sources and train a tagger on the result; each source's validation counts on what it annotates.

    Args:
        sources: the sources.
        mapping: covers every label of every source.
        leaks: of the sources.
        pseudo: pseudo-labels to train with.
        plan: encoder and training arguments.
        pseudo_noise: train on what each source says, and no more, with pseudo-labels
            that much in doubt; what a source does not annotate is ``O`` if not given.
    """
    names = sorted(source.name for source in sources)
    merged = as_source("+".join(names), merge_sources(sources, mapping, leaks, pseudo))
    scope = {name: mapping.projection(name) if mapping.parents else mapping.scope(name) for name in names}
    partial = None
    if pseudo_noise is not None:
        partial = PartialAnnotation(candidate_labels(mapping, names), pseudo_noise)
    return cached_tagger(merged, plan.encoder, plan.training, scope, partial)


def candidate_labels(mapping: LabelMapping, sources: Sequence[str]) -> dict[str, AllowedLabels]:
    """Return what the annotation of each source leaves open under a mapping."""
    labels = mapping.unified_labels
    parts = {label: mapping.descendants(label) for label in labels}
    found = {}
    for name in sources:
        annotated = mapping.scope(name)
        covered = [label for label in labels if mapping.tree.covered(label, annotated)]
        found[name] = AllowedLabels.of(labels, mapping.projection(name), covered, parts)
    return found


def both_predictions(
    sources: Sequence[NerSource], own: Mapping[str, CachedTagger], merged: CachedTagger, split: str
) -> dict[str, PredictionPair]:
    """Return, by source, what its own tagger and a merged one predict on a split."""
    return {
        source.name: (
            list(own[source.name].predictions(source, split)),
            list(merged.predictions(source, split)),
        )
        for source in sources
    }


Baseline = Literal["naive", "gold", "outside"]


@dataclass(frozen=True)
class OutputSettings:
    """What is made of the mapping.

    Attributes:
        pseudo_label_threshold: smallest confidence of pseudo-labels; ``None`` adds none.
        tagger: train a tagger on the merged dataset and score it.
        baselines: other taggers to train and score beside it: ``naive``, on the
            union where same names merge and missing types are ``O``; ``gold``, on
            the same mapping without pseudo-labels; ``outside``, on the same
            dataset without the partial likelihood.
        partial: train the tagger on the likelihood of what each source says, so
            that what it does not annotate is left open instead of ``O``;
            ``False`` for the likelihood of the whole annotation. If ``None``, it is
            chosen by the mapping: the partial one where labels are parts of others,
            since an entity that one source gives the coarse label may be any of its
            parts.
        pseudo_noise: with ``partial``, the probability of tags that contradict a
            pseudo-label, relative to that of tags that agree with it, in [0, 1]: 0
            takes pseudo-labels for gold, 1 ignores them.

    Raises:
        ConfigurationError: a parameter is out of range, or concerns a tagger that
            is not asked for.
    """

    pseudo_label_threshold: float | None = DEFAULT_THRESHOLD
    tagger: bool = False
    baselines: Sequence[Baseline] = ()
    partial: bool | None = None
    pseudo_noise: float = 0.0

    @property
    def needs_taggers(self) -> bool:
        """Whether the sources' own taggers are needed."""
        return self.pseudo_label_threshold is not None or self.tagger

    def __post_init__(self) -> None:
        check_threshold(self.pseudo_label_threshold)
        check_pseudo_noise(self.pseudo_noise)
        if self.partial is None and "outside" in self.baselines:
            object.__setattr__(self, "partial", True)
        if self.partial not in (True, False, None):
            raise ConfigurationError(f"partial={self.partial!r}: expected True, False or None.")
        if self.pseudo_noise and not self.partial:
            raise ConfigurationError(
                "pseudo_noise= needs partial=True: other trainings take pseudo-labels for gold."
            )
        if self.partial and not self.tagger:
            raise ConfigurationError("partial= needs tagger=True: there is nothing to train.")
        for name in self.baselines:
            if name not in get_args(Baseline):
                raise ConfigurationError(f"baselines={name!r}: expected {' or '.join(get_args(Baseline))}.")
        if self.baselines and not self.tagger:
            raise ConfigurationError("compare= needs tagger=True: there is nothing to compare with.")
        if "outside" in self.baselines and self.partial is False:
            raise ConfigurationError(
                "baselines='outside' and partial=False: that is the merged tagger itself. Drop one of the two."
            )

    def for_mapping(self, mapping: LabelMapping) -> OutputSettings:
        """Return the settings with what they leave to the mapping chosen."""
        if self.partial is not None or not self.tagger:
            return self
        return replace(self, partial=bool(mapping.parents))


@dataclass(frozen=True)
class ScoredTagger:
    """A tagger trained on merged data and its scores on the test splits beside the sources' own taggers.

    Attributes:
        tagger: the tagger.
        native: in each source's own labels.
        unified: in unified labels.
    """

    tagger: CachedTagger
    native: MergedScores
    unified: MergedScores


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
        settings: what was asked for, and chosen for the mapping.
    """

    dataset: DatasetDict
    leaks: tuple[Leak, ...]
    pseudo: PseudoLabels | None = None
    taggers: dict[str, CachedTagger] = field(default_factory=dict)
    systems: dict[str, ScoredTagger] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    settings: OutputSettings = field(default_factory=OutputSettings)


def finish(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    leaks: Sequence[Leak],
    settings: OutputSettings,
    plan: TaggerPlan,
    pseudo: PseudoLabels | None = None,
) -> Final:
    """Merge sources by a mapping, add pseudo-labels, train and score taggers: what is asked for.

    Args:
        sources: all sentences of the sources.
        mapping: covers every label of every source.
        leaks: of the sources.
        settings: what is wanted.
        plan: how taggers are made.
        pseudo: pseudo-labels that are there already; found by taggers if the settings ask for them.

    Raises:
        MappingError: mapping and sources do not fit.
    """
    mapping.check_fits(ref for source in sources for ref in source.label_refs)
    settings = settings.for_mapping(mapping)
    seconds: dict[str, float] = {}
    taggers: dict[str, CachedTagger] = {}
    if settings.needs_taggers:
        with lap(seconds, "training"):
            taggers = own_taggers(sources, plan)
    if settings.pseudo_label_threshold is not None:
        with lap(seconds, "pseudo-labels"):
            pseudo = pseudo_labels(
                sources,
                mapping,
                lambda name, source: taggers[name].predictions(source, "train"),
                settings.pseudo_label_threshold,
                left_out_of_train(leaks),
            )
    with lap(seconds, "merging"):
        dataset = merge_sources(sources, mapping, leaks, pseudo)
    systems: dict[str, ScoredTagger] = {}
    with lap(seconds, "final training"):
        for name, (chosen, added, noise) in _systems(sources, mapping, pseudo, settings).items():
            tagger = train_merged(sources, chosen, leaks, added, plan, pseudo_noise=noise)
            predictions = both_predictions(sources, taggers, tagger, "test")
            systems[name] = ScoredTagger(
                tagger,
                score_native(sources, chosen, predictions, "test"),
                score_unified(sources, chosen, predictions, "test"),
            )
    return Final(dataset, tuple(leaks), pseudo, taggers, systems, seconds, settings)


def with_mentions(mapping: LabelMapping, sources: Sequence[NerSource]) -> LabelMapping:
    """Return a mapping that says how often each label of some sources is annotated in their train splits."""
    counts = {source.name: source.summary.entities["train"] for source in sources}
    entries = (
        replace(entry, mentions=counts[entry.label.source].get(entry.label.label, 0))
        if entry.label.source in counts
        else entry
        for entry in mapping.entries
    )
    return replace(mapping, entries=tuple(entries))


def _systems(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    pseudo: PseudoLabels | None,
    settings: OutputSettings,
) -> dict[str, tuple[LabelMapping, PseudoLabels | None, float | None]]:
    """Return mapping, pseudo-labels and their noise, if the likelihood is partial, of each tagger asked for."""
    noise = settings.pseudo_noise if settings.partial else None
    known = {
        "merged": (mapping, pseudo, noise),
        "gold": (mapping, None, noise),
        "outside": (mapping, pseudo, None),
        "naive": (mapping_by_name(sources), None, None),
    }
    return {name: known[name] for name in (*["merged"] * settings.tagger, *settings.baselines)}


def mapping_by_name(sources: Sequence[NerSource]) -> LabelMapping:
    """Return the mapping in which labels of the same name are one."""
    labels = [ref for source in sources for ref in source.label_refs]
    names = tuple(dict.fromkeys(label.label for label in labels))
    return LabelMapping(names, tuple(MappedLabel(label, label.label) for label in labels))
