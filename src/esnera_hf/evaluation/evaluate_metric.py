"""The strict entity metric as an ``evaluate`` metric, usable offline, on tags as they are or under a mapping."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import evaluate

from esnera_hf._internal.text import hint
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConfigurationError, MappingError
from esnera_hf.metrics import (
    Scores,
    check_lengths,
    renamed,
    score_entities,
    score_tags,
    strict_entities,
)
from esnera_hf.tagging import OUTSIDE, Entity, LabelRef, split_tag

#: A mapping, the path of a mapping file, or ``{source: {label: unified label or None}}``.
MappingLike = LabelMapping | str | os.PathLike[str] | Mapping[str, Mapping[str, str | None]]
Tags = Sequence[Sequence[str]]

_DESCRIPTION = """\
Entity-level precision, recall and F1 over IOB2 tags, strict (boundaries and label agree), by label with
support, computed by seqeval; also under a label mapping, which renames the labels of the sources.
"""
_INPUTS = """
predictions and references: IOB2 tags, a list a sentence.
mapping: from the labels of each source to unified labels; scores are on unified labels then. With it
    source or sources: whose labels the references are in, for all sentences or a list with one a sentence;
    predictions_source: the same for predictions that are not in unified labels.
"""
_CITATION = """\
@misc{seqeval, title={seqeval: A Python framework for sequence labeling evaluation},
  url={https://github.com/chakki-works/seqeval}, author={Hiroki Nakayama}, year={2018}}
"""


class StrictNer(evaluate.Metric):  # type: ignore[misc]
    """``StrictNer().compute(predictions=[[tag, …], …], references=[[tag, …], …])``.

    Returns ``precision``, ``recall``, ``f1`` (micro), ``macro_f1``, ``support``
    and ``by_label`` with the same figures for every label.

    Under a mapping, ``compute(…, mapping=…, source=…)``, scores are on unified
    labels. Entities are read before labels are renamed, so that two neighbours
    never become one. Those of a label that the mapping leaves out are left out,
    and so are predictions of a unified label that the sentence's source does not
    annotate; one that is a part of a label that it annotates counts as that. Options
    of ``compute``:

    - ``mapping``: a :class:`~esnera_hf.alignment.LabelMapping`, the path of a
      mapping file or ``{source: {label: unified label or None}}``.
    - ``source``: the source of all sentences, in whose labels the references are.
    - ``sources``: instead, the source of each sentence, in the order they were
      added; ``by_source`` is returned too, with the same figures for every source.
    - ``predictions_source``: the source in whose labels the predictions are, a
      name or a list with one a sentence; without it they are in unified labels.

    Raises:
        ConfigurationError: the options contradict each other or the sentences.
        MappingError: the mapping cannot be read or lacks a source or label.
        ValueError: sentences differ in length, or a tag is not of IOB2.
    """

    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.List(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(
        self,
        predictions: list[list[str]],
        references: list[list[str]],
        mapping: MappingLike | None = None,
        source: str | None = None,
        sources: Sequence[str] | None = None,
        predictions_source: str | Sequence[str] | None = None,
    ) -> dict[str, Any]:
        if mapping is None:
            if not source is sources is predictions_source is None:
                raise ConfigurationError(
                    "source, sources and predictions_source say how to read labels through a mapping, and "
                    "there is none. Give mapping= too, or leave them out."
                )
            return _figures(score_tags(references, predictions))
        if (source is None) == (sources is None):
            raise ConfigurationError(
                "expected either source= (of all sentences) or sources= (a list with one a sentence), found "
                f"{'neither' if source is None else 'both'}. Give the one that applies."
            )
        check_lengths(references, predictions)
        reader = _Reader(_as_mapping(mapping))
        names = _one_a_sentence(source if sources is None else sources, len(references), "sources")
        gold = reader.entities(references, names, "references")
        if predictions_source is None:
            found = reader.unified_entities(predictions, "predictions")
        else:
            owners = _one_a_sentence(predictions_source, len(predictions), "predictions_source")
            found = reader.entities(predictions, owners, "predictions")
        found = [renamed(row, reader.projection(name)) for row, name in zip(found, names, strict=True)]
        rows = _Rows(gold, found, [len(row) for row in references])
        figures = _figures(rows.scores(range(len(names))))
        return figures if sources is None else {**figures, "by_source": _by_source(rows, names)}


@dataclass(frozen=True)
class _Rows:
    """Entities on unified labels, a list a sentence, and the sentences' lengths in tokens."""

    gold: list[list[Entity]]
    found: list[list[Entity]]
    lengths: list[int]

    def scores(self, sentences: Sequence[int]) -> Scores:
        """Score some of the sentences."""
        return score_entities(
            [self.gold[index] for index in sentences],
            [self.found[index] for index in sentences],
            [self.lengths[index] for index in sentences],
        )


@dataclass(frozen=True)
class _Labels:
    """The labels that tags may hold, their unified labels, and what to say of any other."""

    names: Mapping[str, str | None]
    wrong: str
    advice: str

    def entities(self, tags: Sequence[str], where: str) -> list[Entity]:
        """Read tags as entities on unified labels."""
        for tag in tags:
            label = split_tag(tag, "IOB2")[1]
            if tag != OUTSIDE and label not in self.names:
                raise MappingError(
                    f"{where}: {label!r} is no {self.wrong}, which has {_listed(self.names)}."
                    f"{hint(label, self.names)} {self.advice}"
                )
        return renamed(strict_entities(tags), self.names)


class _Reader:
    """Reads tags as entities on the unified labels of a mapping."""

    def __init__(self, mapping: LabelMapping) -> None:
        self._unified = _Labels(
            {label: label for label in mapping.unified_labels},
            "unified label of the mapping",
            "If the predictions are in the labels of a source, say which by predictions_source=.",
        )
        self._of_source = {source: _source_labels(mapping, source) for source in mapping.sources}
        self._projections = {source: mapping.projection(source) for source in mapping.sources}

    def projection(self, source: str) -> Mapping[str, str]:
        """Return the unified label that a source has for what a unified label means."""
        return self._projections[source]

    def entities(self, rows: Tags, sources: Sequence[str], what: str) -> list[list[Entity]]:
        """Read tags in the labels of sources, the source of each sentence given."""
        found = []
        for index, (row, source) in enumerate(zip(rows, sources, strict=True)):
            where = f"{what}, sentence {index}"
            if source not in self._of_source:
                raise MappingError(
                    f"{where}: {source!r} is no source of the mapping, which has {_listed(self._of_source)}."
                    f"{hint(str(source), self._of_source)} Give the name it has there."
                )
            found.append(self._of_source[source].entities(row, where))
        return found

    def unified_entities(self, rows: Tags, what: str) -> list[list[Entity]]:
        """Read tags in unified labels."""
        return [self._unified.entities(row, f"{what}, sentence {index}") for index, row in enumerate(rows)]


def _source_labels(mapping: LabelMapping, source: str) -> _Labels:
    return _Labels(
        {entry.label.label: entry.unified for entry in mapping.entries if entry.label.source == source},
        f"label of source {source!r} in the mapping",
        "Give the source that the tags are of, or add the label to the mapping.",
    )


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"


def _as_mapping(mapping: MappingLike) -> LabelMapping:
    if isinstance(mapping, LabelMapping):
        return mapping
    if isinstance(mapping, str | os.PathLike):
        return LabelMapping.load(mapping)
    entries = []
    for source, labels in _items(mapping, "mapping"):
        for label, unified in _items(labels, f"mapping[{source!r}]"):
            if not isinstance(unified, str | None):
                raise MappingError(
                    f"mapping[{source!r}][{label!r}]: expected a unified label, or None to leave it out, found "
                    f"{unified!r}. Correct it."
                )
            entries.append(MappedLabel(LabelRef(source, label), unified))
    names = dict.fromkeys(entry.unified for entry in entries if entry.unified is not None)
    return LabelMapping(tuple(names), tuple(entries))


def _items(mapping: object, what: str) -> list[tuple[str, Any]]:
    if not isinstance(mapping, Mapping) or not all(isinstance(key, str) for key in mapping):
        raise MappingError(
            f"{what}: expected {{source: {{label: unified label or None}}}}, with names that are text, a "
            f"LabelMapping or the path of a mapping file, found {mapping!r:.80}. Correct it."
        )
    return list(mapping.items())


def _one_a_sentence(names: str | Sequence[str] | None, sentences: int, option: str) -> list[str]:
    if isinstance(names, str):
        return [names] * sentences
    listed = list(names or ())
    if len(listed) != sentences:
        raise ConfigurationError(
            f"{option}: expected a name for each of the {sentences} sentences, found {len(listed)}. Give one "
            "for each, in the order in which the sentences were added."
        )
    return listed


def _by_source(rows: _Rows, names: Sequence[str]) -> dict[str, Any]:
    sentences: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        sentences.setdefault(name, []).append(index)
    return {name: _figures(rows.scores(sentences[name])) for name in sorted(sentences)}


def _figures(scores: Scores) -> dict[str, Any]:
    data = scores.to_dict()
    return {**data["micro"], "macro_f1": data["macro_f1"], "by_label": data["by_label"]}
