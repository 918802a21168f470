"""Trying a mapping: train on the merged data it gives, and compare with the sources' own taggers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from esnera_hf.alignment import Constraints, LabelMapping, MergePath, SearchSettings, mapping_from_path
from esnera_hf.augmentation import PseudoLabels, pseudo_labels
from esnera_hf.console import say
from esnera_hf.evidence import Evidence, EvidenceSettings
from esnera_hf.merging import Leak, as_source, find_leaks, left_out_of_train, merge_sources
from esnera_hf.scoring import MergedScores, Predictions, score_in_own_labels, score_projected
from esnera_hf.sources import NerSource
from esnera_hf.taggers import CachedTagger, cached_tagger


@dataclass(frozen=True)
class TrialOutcome:
    """A mapping, the tagger trained on what it merges, and how that compares.

    Attributes:
        mapping: of the sources merged so far.
        projected: own taggers (before) and the merged one (after) on the
            validation splits, projected through the mapping.
        own_labels: the same in each source's own labels.
        settings: the bound, and which of the two it is for.
        tagger: the merged tagger.
        pseudo: number of pseudo-labels it was trained with.
    """

    mapping: LabelMapping
    projected: MergedScores
    own_labels: MergedScores
    settings: SearchSettings
    tagger: CachedTagger
    pseudo: int

    @property
    def scores(self) -> MergedScores:
        """The scores that the bound is for."""
        return self.projected if self.settings.scoring == "projected" else self.own_labels

    @property
    def drop(self) -> float:
        """By how much the pooled micro-F1 falls, as a share."""
        return -(self.scores.pooled.change.value or 0.0)

    @property
    def holds(self) -> bool:
        """Whether it falls by less than the bound allows."""
        return self.drop < self.settings.max_drop


@dataclass
class Trials:
    """Tries mappings of some sources; ``trained`` counts the taggers that had to be trained for it."""

    sources: Sequence[NerSource]
    encoder: str
    evidence: Evidence
    settings: EvidenceSettings
    search: SearchSettings
    floor: float | None
    constraints: Constraints
    trained: int = 0
    _leaks: tuple[Leak, ...] | None = field(default=None, repr=False)

    def __call__(self, path: MergePath) -> TrialOutcome:
        """Train and score the mapping that a merge path gives."""
        chosen = set(path.sources)
        sources = [source for source in self.sources if source.name in chosen]
        mapping = mapping_from_path(path, self.evidence.matrix, self.constraints)
        pseudo = None
        if self.floor is not None:
            left_out = left_out_of_train(_between(self.leaks, chosen))
            pseudo = pseudo_labels(sources, mapping, self.evidence.predictions, self.floor, left_out)
        stage = path.stages[-1]
        say(
            f"trying {' + '.join(stage.sources)} → {stage.target} with λ {stage.lam}, τ {stage.tau}: "
            f"{stage.merged} labels merged"
        )
        tagger = train_merged(sources, mapping, self.leaks, pseudo, self.encoder, self.settings)
        self.trained += tagger.trained
        predictions = self._predictions(sources, tagger)
        outcome = TrialOutcome(
            mapping,
            score_projected(sources, mapping, predictions, "validation"),
            score_in_own_labels(sources, mapping, predictions, "validation"),
            self.search,
            tagger,
            pseudo.counts.total() if pseudo is not None else 0,
        )
        pooled = outcome.scores.pooled
        say(
            f"  micro-F1 {pooled.before.value:.3f} of the sources' own taggers, {pooled.after.value:.3f} merged: "
            + (
                "the bound holds"
                if outcome.holds
                else f"more than {self.search.max_drop} lower, the bound is broken"
            )
        )
        return outcome

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """Sentences that stand in a later split, too."""
        if self._leaks is None:
            self._leaks = find_leaks(self.sources)
        return self._leaks

    def _predictions(
        self, sources: Sequence[NerSource], merged: CachedTagger
    ) -> dict[str, tuple[Predictions, Predictions]]:
        return {
            source.name: (
                list(self.evidence.taggers[source.name].predictions(source, "validation")),
                list(merged.predictions(source, "validation")),
            )
            for source in sources
        }


def train_merged(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    leaks: Sequence[Leak],
    pseudo: PseudoLabels | None,
    encoder: str,
    settings: EvidenceSettings,
) -> CachedTagger:
    """Merge sources and train a tagger on the result; each source's validation counts on what it annotates."""
    names = {source.name for source in sources}
    mapping = mapping.restricted(names)
    dataset = merge_sources(sources, mapping, _between(leaks, names), pseudo)
    merged = as_source("+".join(sorted(names)), dataset)
    scope = {name: mapping.scope(name) for name in sorted(names)}
    return cached_tagger(merged, encoder, settings.training, scope)


def _between(leaks: Sequence[Leak], names: set[str]) -> list[Leak]:
    """Return the leaks between some of the sources."""
    return [leak for leak in leaks if {leak.place.source, leak.because.source} <= names]
