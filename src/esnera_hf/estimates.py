"""The F1 that a merged tagger would reach, estimated from predictions that are there: nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from esnera_hf.alignment import LabelMapping
from esnera_hf.scoring import MergedScores, score_in_own_labels, score_projected
from esnera_hf.similarity import CrossPredictions
from esnera_hf.sources import NerSource
from esnera_hf.tagging import Entity

#: How much more a mention of a sentence's own source weighs than one of another source. A merged tagger sees
#: both, and text of the source itself decides; docs/search.md has the measurements.
OWN_WEIGHT = 8.0


@dataclass(frozen=True)
class EstimatedScores:
    """Scores of own taggers (before) and of the tagger that a mapping would give, as estimated (after)."""

    projected: MergedScores
    own_labels: MergedScores


def estimate_scores(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    predictions: CrossPredictions,
    split: str,
    own_weight: float = OWN_WEIGHT,
) -> EstimatedScores:
    """Estimate how a tagger trained on the merged sources would score on each of them.

    The taggers of all sources stand in for it: each votes for what it finds with
    its confidence, weighted by how many mentions of the unified label its source
    would contribute to training. A part of a label that the source annotates is a
    vote for that label. What gets half of the votes of the taggers that annotate
    the label is taken; of entities that share tokens the one with the
    larger share stays.

    Args:
        sources: the sources.
        mapping: covers all of their labels.
        predictions: of each source's tagger on that split of each source.
        split: the split.
        own_weight: how much more a mention of the sentence's own source weighs.
    """
    pairs = {}
    for source in sources:
        rows = {tagger.name: list(predictions(tagger.name, source)) for tagger in sources}
        merged = list(_vote(source, sources, mapping, rows, own_weight))
        pairs[source.name] = (rows[source.name], merged)
    return EstimatedScores(
        score_projected(sources, mapping, pairs, split), score_in_own_labels(sources, mapping, pairs, split)
    )


def _vote(
    source: NerSource,
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    rows: Mapping[str, Sequence[Sequence[Entity]]],
    own_weight: float,
) -> Iterator[list[Entity]]:
    """Yield what the taggers together find in each sentence of a source, in unified labels it annotates."""
    projection = mapping.projection(source.name)
    counted = {
        (entry.label.source, entry.label.label): projection.get(entry.unified or "")
        for entry in mapping.entries
    }
    scope = mapping.scope(source.name)
    weights = {
        (tagger.name, label): _mentions(tagger, counted, label) * (own_weight if tagger is source else 1.0)
        for tagger in sources
        for label in scope
    }
    totals = {label: sum(weights[tagger.name, label] for tagger in sources) for label in scope}
    for sentence in zip(*(rows[tagger.name] for tagger in sources), strict=True):
        shares: dict[Entity, float] = {}
        for tagger, found in zip(sources, sentence, strict=True):
            for entity in found:
                label = counted.get((tagger.name, entity.label))
                if label is not None and totals.get(label):
                    voted = Entity(entity.start, entity.end, label)
                    share = weights[tagger.name, label] * entity.score / totals[label]
                    shares[voted] = shares.get(voted, 0.0) + share
        yield _most_voted(shares)


def _mentions(source: NerSource, counted: Mapping[tuple[str, str], str | None], unified: str) -> float:
    mentions = source.summary.entities["train"].items()
    return float(sum(count for label, count in mentions if counted.get((source.name, label)) == unified))


def _most_voted(shares: Mapping[Entity, float]) -> list[Entity]:
    chosen: list[Entity] = []
    for entity, share in sorted(shares.items(), key=lambda item: (-item[1], item[0])):
        free = not any(other.start < entity.end and entity.start < other.end for other in chosen)
        if share >= 0.5 and free:
            chosen.append(entity)
    return sorted(chosen)
