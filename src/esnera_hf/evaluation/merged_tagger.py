"""Taggers trained on merged data, scored beside the taggers of the sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from datasets import DatasetDict

from esnera_hf._internal.console import say
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.search import GreedySettings
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.projection import MergedScores, score_merged
from esnera_hf.merging.label_levels import allowed_labels
from esnera_hf.merging.merge import MergedData, as_source, merge_sources
from esnera_hf.merging.pseudo_labels import DEFAULT_THRESHOLD, PseudoLabels, check_threshold, pseudo_labels
from esnera_hf.metrics import Scores
from esnera_hf.sources.duplicates import Duplicate
from esnera_hf.sources.leakage import find_leaks, left_out_of_train
from esnera_hf.sources.partial_annotation import PartialAnnotation, check_pseudo_label_noise
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.source_taggers import CachedTagger, SourceTagger

Baseline = Literal["naive", "gold", "outside"]
Compared = Literal["own", "joint"]
#: Trains a tagger on merged data: corpus, labels that count in validation by source, partial annotation.
Train = Callable[[NerSource, Mapping[str, Any], PartialAnnotation | None], CachedTagger]


@dataclass(frozen=True)
class OutputSettings:
    """What is made of the mapping.

    Attributes:
        pseudo_label_threshold: smallest confidence of pseudo-labels; ``None`` adds none;
            ``auto`` adds them, from 0.9 on, where taggers of the sources are the evidence.
        train_merged: train a tagger on the merged dataset and score it.
        baselines: other taggers to train and score beside it: ``naive``, on the
            union where same names merge and missing types are ``O``; ``gold``, on
            the same mapping without pseudo-labels; ``outside``, on the same
            dataset without the partial likelihood.
        compare: what the merged tagger is scored beside: ``own``, a tagger trained on each
            source alone, or ``joint``, the heads of a joint tagger, which are trained for
            it; if ``None``, the taggers that were trained anyway, as evidence or for pseudo-labels.
        partial_likelihood: train on the likelihood of the annotation of each
            source, so that types it does not annotate are left open instead of
            ``O``; ``False`` takes them for ``O``. If ``None``, it is chosen by the
            mapping: the partial one without pseudo-labels, and where labels are parts
            of others, since an entity that one source gives the coarse label may be
            any of its parts.
        pseudo_label_noise: with ``partial_likelihood``, the probability of tags that
            contradict a pseudo-label, relative to that of tags that agree with it,
            in [0, 1]: 0 takes pseudo-labels for gold, 1 ignores them.

    Raises:
        ConfigurationError: a setting is out of range, or concerns a tagger that is not asked for.
    """

    pseudo_label_threshold: float | Literal["auto"] | None = "auto"
    train_merged: bool = False
    baselines: Sequence[Baseline] = ()
    compare: Compared | None = None
    partial_likelihood: bool | None = None
    pseudo_label_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.pseudo_label_threshold != "auto":
            check_threshold(self.pseudo_label_threshold)
        check_pseudo_label_noise(self.pseudo_label_noise)
        for name in self.baselines:
            if name not in get_args(Baseline):
                raise ConfigurationError(f"baselines={name!r}: expected {' or '.join(get_args(Baseline))}.")
        if self.compare not in (None, *get_args(Compared)):
            raise ConfigurationError(f"compare={self.compare!r}: expected {' or '.join(get_args(Compared))}.")
        if self.partial_likelihood not in (True, False, None):
            raise ConfigurationError(
                f"partial_likelihood={self.partial_likelihood!r}: expected True, False or None."
            )
        # That baseline is the merged tagger without it, so the merged tagger has to have it.
        if self.partial_likelihood is None and "outside" in self.baselines:
            object.__setattr__(self, "partial_likelihood", True)
        if self.pseudo_label_noise and not self.partial_likelihood:
            raise ConfigurationError(
                "pseudo_label_noise= needs partial_likelihood=True: other trainings take pseudo-labels for gold."
            )
        needing = ("partial_likelihood", "baselines", "compare")
        for setting in [name for name in needing if getattr(self, name) and not self.train_merged]:
            raise ConfigurationError(f"{setting}= needs train_merged=True: no merged tagger is trained.")
        if "outside" in self.baselines and self.partial_likelihood is False:
            raise ConfigurationError(
                "baselines='outside' and partial_likelihood=False: that is the merged tagger itself. Drop one of them."
            )
        object.__setattr__(self, "baselines", tuple(self.baselines))

    @property
    def needs_taggers(self) -> bool:
        """Whether the taggers of the sources are needed."""
        return self.threshold is not None or self.compare is not None

    @property
    def trains(self) -> bool:
        """Whether anything is trained."""
        return self.needs_taggers or self.train_merged

    @property
    def threshold(self) -> float | None:
        """The smallest confidence of pseudo-labels, ``None`` for none."""
        return None if isinstance(self.pseudo_label_threshold, str) else self.pseudo_label_threshold

    def for_evidence(self, kind: str | None) -> OutputSettings:
        """Return the settings with the threshold of pseudo-labels chosen by the kind of evidence."""
        if self.pseudo_label_threshold != "auto":
            return self
        return replace(self, pseudo_label_threshold=DEFAULT_THRESHOLD if kind == "taggers" else None)

    def for_mapping(self, mapping: LabelMapping) -> OutputSettings:
        """Return the settings with the likelihood chosen that suits a mapping."""
        if self.partial_likelihood is not None or not self.train_merged:
            return self
        # Else `O` and coarse labels would teach that the types a source does not annotate, or parts, do not exist.
        return replace(self, partial_likelihood=self.threshold is None or bool(mapping.parents))


@dataclass(frozen=True)
class TaggerScores:
    """Scores and training of the tagger of a source.

    Attributes:
        validation: on the validation split of the source.
        test: on its test split.
        history: metrics by epoch.
        arguments: the settings of the training.
    """

    validation: Scores
    test: Scores
    history: tuple[dict[str, Any], ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, tagger: SourceTagger, source: NerSource) -> TaggerScores:
        """Score the tagger of a source."""
        record = tagger.record
        return cls(
            tagger.scores(source, "validation"),
            tagger.scores(source, "test"),
            tuple(record.get("history", ())),
            dict(record.get("arguments", {})),
        )


@dataclass(frozen=True)
class SystemScores:
    """Scores of a tagger trained on merged data (after) beside the taggers of the sources (before), if there are any.

    Attributes:
        native: in each source's own labels.
        unified: in unified labels.
        partial_likelihood: whether types that a source does not annotate were left open.
    """

    native: MergedScores
    unified: MergedScores
    partial_likelihood: bool = False


def try_mapping(
    sources: Sequence[NerSource],
    taggers: Mapping[str, SourceTagger],
    settings: GreedySettings,
    threshold: float | None,
    train: Train,
    mapping: LabelMapping,
) -> tuple[bool, tuple[SystemScores, int]]:
    """Train a tagger on the data that a mapping merges and score it: the objective of the search.

    Args:
        sources: all sources; those that the mapping maps are merged.
        settings: the bound, and which scores it is for.
        threshold: smallest confidence of pseudo-labels, ``None`` for none.
        mapping: of the steps so far.

    Returns:
        Whether the bound holds; the scores on validation, and the number of pseudo-labels.
    """
    merged = [source for source in sources if source.name in mapping.sources]
    # Found anew: a sentence may also stand in a source that is not merged yet, which would hide this one.
    leakage = find_leaks(merged)
    pseudo = find_pseudo_labels(merged, mapping, taggers, threshold, leakage)
    tagger = train_merged_tagger(mapping, merge_sources(merged, mapping, leakage, pseudo), train)
    scores = _scores(merged, mapping, taggers, tagger, "validation")
    pooled = (scores.unified if settings.scoring == "unified" else scores.native).pooled
    # Less than the bound, as in the paper: a drop of exactly two points breaks it.
    holds = -(pooled.change.value or 0.0) < settings.max_f1_drop
    verdict = "holds" if holds else f"is broken: more than {settings.max_f1_drop} lower"
    say(
        f"  micro-F1 {pooled.before.value:.3f} of the sources' taggers, {pooled.after.value:.3f} merged: "
        f"the bound {verdict}"
    )
    return holds, (scores, 0 if pseudo is None else pseudo.total)


def find_pseudo_labels(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    taggers: Mapping[str, SourceTagger],
    threshold: float | None,
    leakage: Sequence[Duplicate],
) -> PseudoLabels | None:
    """Return the entities that taggers of other sources add to each source; ``None`` without a threshold."""
    if threshold is None:
        return None
    return pseudo_labels(
        sources,
        mapping,
        lambda name, source: taggers[name].predict(source, "train"),
        threshold,
        left_out_of_train(leakage),
    )


def evaluate_taggers(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    merged: MergedData,
    taggers: Mapping[str, SourceTagger],
    settings: OutputSettings,
    train: Train,
) -> tuple[dict[str, TaggerScores], dict[str, SystemScores], Path | None]:
    """Train the taggers on merged data that are asked for, and score them beside those of the sources.

    Args:
        mapping: covers every label of every source.
        taggers: of the sources, by name; empty if there are none.
        settings: which taggers to train, with the likelihood chosen.

    Returns:
        Scores of the taggers of the sources, by source; those of the taggers
        trained on merged data: ``merged``, ``unknown`` (the same, which is not given the source) and
        its baselines; and the folder of the merged tagger, if it was trained.
    """
    # Without the partial likelihood, pseudo-labels are gold and types that a source does not annotate are O.
    noise = settings.pseudo_label_noise if settings.partial_likelihood else None
    systems: dict[str, SystemScores] = {}
    folder: Path | None = None
    for name in (*["merged"] * settings.train_merged, *settings.baselines):
        chosen, dataset = mapping, merged.dataset
        if name == "naive":
            chosen = mapping_by_name(sources)
        # Both have no pseudo-labels: the union is what everybody would make without this package.
        if name in ("naive", "gold"):
            dataset = merge_sources(sources, chosen, merged.leaks)
        partial = noise if name in ("merged", "gold") else None
        tagger = train_merged_tagger(chosen, dataset, train, partial, system=name)
        is_partial = partial is not None
        scores = _scores(sources, chosen, taggers, tagger, "test", with_source=is_partial)
        systems[name] = replace(scores, partial_likelihood=is_partial)
        if name == "merged":
            folder = tagger.artifact.folder
        if name == "merged" and is_partial:
            scores = _scores(sources, chosen, taggers, tagger, "test")
            systems["unknown"] = replace(scores, partial_likelihood=True)
    scored = {source.name: TaggerScores.of(taggers[source.name], source) for source in sources if taggers}
    return scored, systems, folder


def train_merged_tagger(
    mapping: LabelMapping,
    dataset: DatasetDict,
    train: Train,
    noise: float | None = None,
    system: str = "merged",
) -> CachedTagger:
    """Train a tagger on merged data; in validation each source counts with the labels that it annotates.

    Args:
        noise: train on the likelihood of the annotation of each source, with
            pseudo-labels that much in doubt; types that a source does not annotate
            are ``O`` if not given.
        system: what is trained, so that the progress of baselines has a name of its own.
    """
    # Sorted, so that the order of sources makes no other corpus of the same data.
    names = sorted(mapping.sources)
    # Labels that a source does not annotate are no errors in its sentences, in whose tags they cannot be.
    scope = {name: mapping.projection(name) if mapping.parents else mapping.scope(name) for name in names}
    partial = None if noise is None else (allowed_labels(mapping, names), noise)
    name = "+".join(names) + f" ({system})" * (system != "merged")
    return train(as_source(name, dataset), scope, partial)


def mapping_by_name(sources: Sequence[NerSource]) -> LabelMapping:
    """Return the mapping in which labels of the same name are one."""
    labels = [ref for source in sources for ref in source.label_refs]
    names = tuple(dict.fromkeys(label.label for label in labels))
    return LabelMapping(names, tuple(MappedLabel(label, label.label) for label in labels))


def _scores(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    taggers: Mapping[str, SourceTagger],
    merged: CachedTagger,
    split: str,
    *,
    with_source: bool = False,
) -> SystemScores:
    """Score a merged tagger, which is told each sentence's source if it knows how that annotates."""
    predictions = {
        source.name: (
            list(taggers[source.name].predict(source, split)) if source.name in taggers else None,
            list(merged.predict(source, split, style=source.name if with_source else None)),
        )
        for source in sources
    }
    return SystemScores(
        score_merged(sources, mapping, predictions, split, native=True),
        score_merged(sources, mapping, predictions, split, native=False),
    )
