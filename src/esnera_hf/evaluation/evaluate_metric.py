"""The strict entity metric as an ``evaluate`` metric, usable offline, on tags as they are or under a mapping."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import evaluate

from esnera_hf._internal.text import hint
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConfigurationError, MappingError
from esnera_hf.metrics import Scores, check_lengths, renamed, score_entities, score_tags, strict_entities
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
        # Text and not class labels, whose ids mean something else in each source.
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
        # Options that would do nothing are refused: a forgotten mapping would else go unnoticed.
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
        # Labels that become one would join neighbours, so tags are read as entities before they are renamed.
        chosen = _as_mapping(mapping)
        names = _per_sentence(source if sources is None else sources, len(references), "sources")
        gold = _read(references, names, chosen, "references")
        owners: Sequence[str] | None = None
        if predictions_source is not None:
            owners = _per_sentence(predictions_source, len(predictions), "predictions_source")
        projections = {name: chosen.projection(name) for name in set(names)}
        predicted = [
            renamed(row, projections[name])
            for row, name in zip(_read(predictions, owners, chosen, "predictions"), names, strict=True)
        ]
        rows = list(zip(names, gold, predicted, map(len, references), strict=True))
        figures = _scored(rows)
        if sources is not None:
            figures["by_source"] = {
                name: _scored([row for row in rows if row[0] == name]) for name in sorted(set(names))
            }
        return figures


def _scored(rows: Sequence[tuple[str, list[Entity], list[Entity], int]]) -> dict[str, Any]:
    return _figures(
        score_entities([row[1] for row in rows], [row[2] for row in rows], [row[3] for row in rows])
    )


def _read(rows: Tags, owners: Sequence[str] | None, mapping: LabelMapping, what: str) -> list[list[Entity]]:
    """Read tags as entities on unified labels, from those of each sentence's owner, or from unified ones."""
    names: dict[str, dict[str, str | None]] = {source: {} for source in mapping.sources}
    for entry in mapping.entries:
        names[entry.label.source][entry.label.label] = entry.unified
    unified: dict[str, str | None] = {label: label for label in mapping.unified_labels}
    read = []
    for index, tags in enumerate(rows):
        where, labels = f"{what}, sentence {index}", unified
        wrong = "unified label of the mapping"
        advice = "If the predictions are in the labels of a source, say which by predictions_source=."
        if owners is not None:
            owner = owners[index]
            if owner not in names:
                raise MappingError(
                    f"{where}: {owner!r} is no source of the mapping, which has {_listed(names)}."
                    f"{hint(str(owner), names)} Give the name it has there."
                )
            labels, wrong = names[owner], f"label of source {owner!r} in the mapping"
            advice = "Give the source that the tags are of, or add the label to the mapping."
        for tag in tags:
            label = split_tag(tag, "IOB2")[1]
            if tag != OUTSIDE and label not in labels:
                raise MappingError(
                    f"{where}: {label!r} is no {wrong}, which has {_listed(labels)}.{hint(label, labels)} {advice}"
                )
        read.append(renamed(strict_entities(tags), labels))
    return read


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


def _per_sentence(names: str | Sequence[str] | None, sentences: int, option: str) -> list[str]:
    if isinstance(names, str):
        return [names] * sentences
    # `evaluate` keeps tags added in batches, but no names: only their number shows whether they fit.
    listed = list(names or ())
    if len(listed) != sentences:
        raise ConfigurationError(
            f"{option}: expected a name for each of the {sentences} sentences, found {len(listed)}. Give one "
            "for each, in the order in which the sentences were added."
        )
    return listed


def _figures(scores: Scores) -> dict[str, Any]:
    data = scores.to_dict()
    return {**data["micro"], "macro_f1": data["macro_f1"], "by_label": data["by_label"]}
