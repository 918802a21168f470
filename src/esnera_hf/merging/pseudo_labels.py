"""Label augmentation: what one source's tagger finds in the text of another that does not annotate it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from esnera_hf._internal.checks import within
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import renamed
from esnera_hf.similarity.empirical import CrossPredictions
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity

#: High, since a wrong pseudo-label costs more than a missing one: what is missing can be left open in training.
DEFAULT_THRESHOLD = 0.9


@dataclass(frozen=True)
class PseudoLabels:
    """Predicted entities to be added to the train splits of sources.

    Attributes:
        threshold: the confidence they have at least.
        entities: unified entities by source and sentence id; ``score`` is the confidence.
        counts: source of the text, unified label, source of the tagger, and number of entities, sorted.
        rejected: predictions of missing labels that were not added, by reason.
    """

    threshold: float
    entities: dict[str, dict[str, list[Entity]]] = field(default_factory=dict)
    counts: tuple[tuple[str, str, str, int], ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(entities for *_, entities in self.counts)

    def of(self, source: str) -> dict[str, list[Entity]]:
        """Return the entities to be added to a source, by sentence id."""
        return self.entities.get(source, {})


def check_threshold(threshold: float | None) -> None:
    """Check a threshold of confidence.

    Raises:
        ConfigurationError: it is outside [0, 1].
    """
    if threshold is not None and not within(threshold, 0, 1):
        raise ConfigurationError(
            f"pseudo_label_threshold={threshold!r}: expected a confidence from 0 to 1, or None for no pseudo-labels."
        )


def pseudo_labels(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    predictions: CrossPredictions,
    threshold: float,
    left_out: Mapping[str, Collection[str]] | None = None,
) -> PseudoLabels:
    """Find pseudo-labels for the train split of every source (method, Label augmentation).

    A prediction of another source's tagger is added where its unified label is one that the source does not annotate,
    its confidence reaches the threshold, and it shares no token with a gold entity. Of predictions that share tokens
    the most confident one stays; of those of one span, where one label is a part of the other, the finer.

    A source that annotates a label annotates its parts, too: they are never added. One that annotates all of several
    parts of a label is taken to annotate the label; one that annotates some of them, or the only one, is not.

    Args:
        sources: the sources.
        mapping: covers every label of every source.
        predictions: the taggers' predictions on each other's train splits.
        threshold: smallest confidence.
        left_out: ids of train sentences that the merge leaves out, by source.
    """
    entities: dict[str, dict[str, list[Entity]]] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    rejected: Counter[str] = Counter()
    for source in sources:
        taggers = [other.name for other in sources if other is not source]
        rows = [predictions(name, source) for name in taggers]
        names = [_missing(mapping, name, source.name) for name in taggers]
        by_id = entities.setdefault(source.name, {})
        skipped = (left_out or {}).get(source.name, ())
        for sentence, *read in zip(source.sentences("train"), *rows, strict=True):
            offered = [
                (entity, tagger)
                for tagger, row, new in zip(taggers, read, names, strict=True)
                for entity in renamed(row, new)
            ]
            # After the predictions were read: they come in the order of all sentences.
            if sentence.id in skipped:
                continue
            if mapping.parents:
                offered = _finest(offered, mapping, threshold, rejected)
            added = list(_choose(offered, sentence.entities, threshold, rejected))
            if added:
                by_id[sentence.id] = sorted(entity for entity, _ in added)
                counts.update((source.name, entity.label, tagger) for entity, tagger in added)
    by_tagger = tuple((*key, number) for key, number in sorted(counts.items()))
    return PseudoLabels(threshold, entities, by_tagger, dict(sorted(rejected.items())))


def _missing(mapping: LabelMapping, tagger: str, source: str) -> dict[str, str | None]:
    """Return the unified labels of a tagger's source that another source does not annotate, by source label."""
    annotated = mapping.scope(source)
    return {
        entry.label.label: entry.unified
        for entry in mapping.entries
        if entry.label.source == tagger
        and entry.unified is not None
        and not mapping.tree.covered(entry.unified, annotated)
    }


def _finest(
    offered: list[tuple[Entity, str]], mapping: LabelMapping, threshold: float, rejected: Counter[str]
) -> list[tuple[Entity, str]]:
    """Leave out what another prediction of the same span, sure enough, says in a finer label."""
    sure = {(entity.start, entity.end): set[str]() for entity, _ in offered}
    for entity, _ in offered:
        if entity.score >= threshold:
            sure[entity.start, entity.end].update(mapping.ancestors(entity.label))
    finest = [(e, tagger) for e, tagger in offered if e.label not in sure[e.start, e.end]]
    if len(finest) < len(offered):
        rejected["found as a finer label by another tagger"] += len(offered) - len(finest)
    return finest


def _choose(
    offered: list[tuple[Entity, str]], gold: Sequence[Entity], threshold: float, rejected: Counter[str]
) -> Iterator[tuple[Entity, str]]:
    taken = [(entity.start, entity.end) for entity in gold]
    annotated = len(taken)
    # The most confident first; then by place and tagger, so that the order of the sources decides nothing.
    for entity, tagger in sorted(offered, key=lambda o: (-o[0].score, o[0], o[1])):
        hits = [
            index for index, (start, end) in enumerate(taken) if start < entity.end and entity.start < end
        ]
        if entity.score < threshold:
            rejected["below the threshold"] += 1
        elif hits and hits[0] < annotated:
            rejected["shares tokens with a gold entity"] += 1
        elif hits:
            rejected["shares tokens with a more confident one"] += 1
        else:
            taken.append((entity.start, entity.end))
            yield entity, tagger
