"""Trying a mapping: train on the merged data it gives, and compare with the sources' own taggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from esnera_hf.alignment import Constraints, LabelMapping, MergeHistory, SearchSettings, mapping_from_history
from esnera_hf.augmentation import PseudoLabels, pseudo_labels
from esnera_hf.candidates import CandidateLabels, PartialAnnotation
from esnera_hf.comparison import Comparison
from esnera_hf.console import say
from esnera_hf.evidence import Evidence
from esnera_hf.leaks import Leak, find_leaks, left_out_of_train
from esnera_hf.merging import as_source, merge_sources
from esnera_hf.scoring import MergedScores, PredictionPair, score_in_own_labels, score_projected
from esnera_hf.sources import NerSource
from esnera_hf.tagger_plan import TaggerPlan
from esnera_hf.taggers import (
    CachedTagger,
    cached_tagger,
)


@dataclass(frozen=True)
class Training:
    """A tagger trained on what a mapping merges, and how it compares.

    Attributes:
        projected: own taggers (before) and the merged one (after) on the
            validation splits, projected through the mapping.
        own_labels: the same in each source's own labels.
        tagger: the merged tagger.
        pseudo: number of pseudo-labels it was trained with.
    """

    projected: MergedScores
    own_labels: MergedScores
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
    settings: SearchSettings
    training: Training

    @property
    def pooled(self) -> Comparison:
        """The pooled F1 that the bound is for."""
        projected = self.settings.scoring == "projected"
        return (self.training.projected if projected else self.training.own_labels).pooled

    @property
    def drop(self) -> float:
        """By how much the pooled micro-F1 falls, as a share."""
        return -(self.pooled.change.value or 0.0)

    @property
    def holds(self) -> bool:
        """Whether the tagger's F1 falls by less than the bound allows."""
        return self.drop < self.settings.max_drop


@dataclass(frozen=True)
class Trials:
    """Tries mappings of some sources: trains on what they merge and scores.

    Attributes:
        sources: the sources.
        plan: how the merged taggers are made.
        evidence: similarities and the sources' own taggers.
        search: the bound.
        floor: smallest confidence of pseudo-labels, ``None`` for none.
        constraints: names and labels left out.
    """

    sources: Sequence[NerSource]
    plan: TaggerPlan
    evidence: Evidence
    search: SearchSettings
    floor: float | None
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
        verdict = "holds" if outcome.holds else f"is broken: more than {self.search.max_drop} lower"
        say(f"  {_told(outcome)} merged: the bound {verdict}")
        return outcome

    def _train(self, sources: Sequence[NerSource], mapping: LabelMapping, leaks: Sequence[Leak]) -> Training:
        pseudo = None
        if self.floor is not None:
            pseudo = pseudo_labels(
                sources, mapping, self.evidence.predictions, self.floor, left_out_of_train(leaks)
            )
        tagger = train_merged(sources, mapping, leaks, pseudo, self.plan)
        predictions = both_predictions(sources, self.evidence.taggers, tagger, "validation")
        return Training(
            score_projected(sources, mapping, predictions, "validation"),
            score_in_own_labels(sources, mapping, predictions, "validation"),
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


def candidate_labels(mapping: LabelMapping, sources: Sequence[str]) -> dict[str, CandidateLabels]:
    """Return what the annotation of each source leaves open under a mapping."""
    labels = mapping.unified_labels
    parts = {label: mapping.descendants(label) for label in labels}
    found = {}
    for name in sources:
        annotated = mapping.scope(name)
        covered = [label for label in labels if mapping.tree.covered(label, annotated)]
        found[name] = CandidateLabels.of(labels, mapping.projection(name), covered, parts)
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
