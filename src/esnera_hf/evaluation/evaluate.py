"""Scores of a saved tagger: on a corpus in its own labels or in unified ones, and on a merged dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from datasets import DatasetDict

from esnera_hf._internal.console import say
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.projection import names_back
from esnera_hf.merging.export import exported_sentences, splits_of
from esnera_hf.metrics import Scores
from esnera_hf.sources.source import NerSource

if TYPE_CHECKING:
    from esnera_hf.modeling.tagger import Tagger


#: Strict scores, the number of sentences, and in words the labels that they are on, empty where those of tagger and
#: corpus are the same.
Evaluated = tuple[Scores, int, str]


def mapping_of(tagger: Tagger, folder: Path) -> LabelMapping | None:
    """Return the mapping that a tagger of merged data was trained by: of its record, or beside it as published.

    Raises:
        MappingError: the file beside it cannot be read.
    """
    if tagger.record.get("mapping"):
        return LabelMapping.from_yaml(tagger.record["mapping"])
    beside = folder / MAPPING_FILE
    return LabelMapping.load(beside) if beside.is_file() else None


def evaluate_on_source(
    tagger: Tagger, source: NerSource, split: str, mapping: LabelMapping | None = None
) -> Evaluated:
    """Score a tagger on a split of a corpus.

    Under a mapping that knows the corpus by its name and labels, predictions are
    read back as its own labels (:func:`~esnera_hf.evaluation.projection.names_back`), as in
    the report, and a tagger that knows how the corpus is annotated is told its name.
    A corpus of unified labels is scored in those that it annotates; a part of one of
    them counts as it.

    Args:
        mapping: that the tagger was trained by, if it was trained on merged data.

    Raises:
        ConfigurationError: the tagger knows no label of the corpus.
    """
    names, labels, is_own = _names(tagger, source, mapping)
    if is_own and source.name in tagger.sources:
        tagger = tagger.for_source(source.name)
        labels += ", which it annotates as that source does"
    predicted = set(names.values())
    if not predicted & set(source.labels):
        advice = "Give the tagger a corpus of its own labels."
        if mapping is not None:
            advice = (
                "Give the tagger a corpus of its own labels, or one of its sources under the name that it has there, "
                f"name=path: {', '.join(mapping.sources)}."
            )
        raise ConfigurationError(
            f"the tagger predicts {', '.join(tagger.labels)}, {source.name} annotates "
            f"{', '.join(source.labels)}: no label in common, so every score would be 0. {advice}"
        )
    # They stay in the scores: a tagger that lacks a label is no better for it.
    unknown = [label for label in source.labels if label not in predicted]
    if unknown:
        named = ""
        if mapping is not None and source.name not in mapping.sources:
            named = f" Is it {' or '.join(mapping.sources)}? Then name it so: name=path."
        say(
            f"{source.name}: the tagger does not know {', '.join(unknown)}; what is annotated so counts as missed."
            f"{named}"
        )
    sentences = list(source.sentences(split))
    return tagger.evaluate(sentences, {source.name: names}), len(sentences), labels


def evaluate_on_merged(tagger: Tagger, dataset: DatasetDict, mapping: LabelMapping, split: str) -> Evaluated:
    """Score a tagger on a split of a merged dataset, in unified labels.

    In each sentence those labels count that its source annotates; a part of one
    of them counts as it.

    Raises:
        ConfigurationError: the tagger knows no label of the merged dataset.
    """
    if not set(tagger.labels) & set(mapping.unified_labels):
        raise ConfigurationError(
            f"the tagger predicts {', '.join(tagger.labels)}, the merged dataset annotates "
            f"{', '.join(mapping.unified_labels)}: no label in common, so every score would be 0. Give the tagger that "
            "was trained on it."
        )
    scope = {source: mapping.projection(source) for source in mapping.sources}
    labels = f"unified labels{_level(mapping, 'the source of a sentence')}"
    sentences = [sentence for sentence, _ in exported_sentences(splits_of(dataset)[split])]
    return tagger.evaluate(sentences, scope), len(sentences), labels


def _names(
    tagger: Tagger, source: NerSource, mapping: LabelMapping | None
) -> tuple[Mapping[str, str], str, bool]:
    """Return what each predicted label counts as in a corpus, that in words, and whether it is one of the sources."""
    if mapping is None:
        return {label: label for label in tagger.labels}, "", False
    own = {entry.label.label for entry in mapping.entries if entry.label.source == source.name}
    unified = set(mapping.unified_labels)
    annotated = set(source.labels)
    # A unified label may have the name of a native one, and a file may lack labels of its source: more names decide.
    if own and len(annotated & own) >= len(annotated & unified):
        words = f"labels of {source.name}, read back through the mapping of the tagger"
        return names_back(source, mapping), words, True
    names = {label: label for label in unified} | mapping.tree.nearest(annotated)
    return names, f"unified labels{_level(mapping, source.name)}", False


def _level(mapping: LabelMapping, annotator: str) -> str:
    return f", the finest that {annotator} annotates: a part of one counts as it" if mapping.parents else ""
