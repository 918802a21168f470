"""Strict entity F1 under a label mapping, as an ``evaluate`` module that needs nothing of esnera_hf.

``esnera_hf.evaluation.evaluate_metric.StrictNer`` does the same with seqeval and the package's mappings and errors. The two are written apart
because this file must load where the package is not installed; tests hold them equal to the last bit.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping

import datasets
import evaluate

_DESCRIPTION = """\
Entity-level precision, recall and F1 over IOB2 tags, strict (boundaries and label agree), by label with
support, under a label mapping: the labels of several NER datasets are compared as unified labels.
"""
_INPUTS = """
predictions and references: IOB2 tags, a list a sentence.
mapping: {source: {label: unified label or None}}, or the path of a mapping.yaml of esnera_hf. With it
    source or sources: whose labels the references are in, for all sentences or a list with one a sentence;
    predictions_source: the same for predictions that are not in unified labels.
"""
_CITATION = """\
@article{zhang2025esnera,
  title = {{ESNERA}: Empirical and semantic named entity alignment for named entity dataset merging},
  author = {Zhang, Xiaobo and He, Congqing and He, Ying and Peng, Jian and Fu, Dajie and Tan, Tien-Ping},
  journal = {arXiv preprint arXiv:2508.06877},
  year = {2025},
}
"""
_VERSION = 2


class StrictNerUnderMapping(evaluate.Metric):
    """``compute(predictions=[[tag, …], …], references=[[tag, …], …], mapping=…, source=…)``.

    Returns ``precision``, ``recall``, ``f1`` (micro), ``macro_f1``, ``support``, ``by_label`` with the same
    figures for every label, and ``by_source`` where ``sources`` was given. Without a mapping, tags are compared
    as they are.

    Entities are read before labels are renamed, so that two neighbours never become one. Those of a label that
    the mapping leaves out are left out, and so are predictions of a unified label that the sentence's source does
    not annotate.
    """

    def _info(self):
        tags = datasets.List(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(
        self, predictions, references, mapping=None, source=None, sources=None, predictions_source=None
    ):
        for index, (gold, found) in enumerate(zip(references, predictions, strict=True)):
            if len(gold) != len(found):
                raise ValueError(
                    f"sentence {index}: {len(gold)} reference tags and {len(found)} predicted ones"
                )
        if mapping is None:
            if not source is sources is predictions_source is None:
                raise ValueError("source, sources and predictions_source need a mapping=. Give one.")
            return _figures([_entities(row) for row in references], [_entities(row) for row in predictions])
        if (source is None) == (sources is None):
            raise ValueError("Give either source= (of all sentences) or sources= (a list, one a sentence).")
        mapping, schema, parents = _read(mapping)
        owners = _one_a_sentence(source if sources is None else sources, len(references), "sources")
        gold = _in_unified_labels(references, owners, mapping, "references")
        if predictions_source is None:
            found = [_renamed(row, schema, f"predictions, sentence {i}") for i, row in enumerate(predictions)]
        else:
            own = _one_a_sentence(predictions_source, len(predictions), "predictions_source")
            found = _in_unified_labels(predictions, own, mapping, "predictions")
        scopes = {name: _projection(set(names.values()), parents, schema) for name, names in mapping.items()}
        found = [
            [(start, end, scopes[owner][label]) for start, end, label in row if label in scopes[owner]]
            for row, owner in zip(found, owners, strict=True)
        ]
        figures = _figures(gold, found)
        if sources is not None:
            rows = {
                name: [i for i, owner in enumerate(owners) if owner == name] for name in sorted(set(owners))
            }
            figures["by_source"] = {
                name: _figures([gold[i] for i in chosen], [found[i] for i in chosen])
                for name, chosen in rows.items()
            }
        return figures


def _split(tag):
    """Return the role (B, I, O) and the label of a tag; the label may hold any characters."""
    if tag == "O":
        return "O", ""
    if tag[:1] not in ("B", "I") or tag[1:2] not in ("-", "_") or len(tag) < 3:
        raise ValueError(f"tag {tag!r} is not of scheme IOB2 (expected O, B-LABEL, I-LABEL)")
    return tag[0], tag[2:]


def _entities(tags):
    """Return (start, end, label) of each begin tag with the inside tags of its label that follow it."""
    spans, open_span = [], None
    for index, (role, label) in enumerate(map(_split, tags)):
        if role == "B":
            open_span = [index, index + 1, label]
            spans.append(open_span)
        elif role == "I" and open_span and open_span[2] == label:
            open_span[1] = index + 1
        else:
            open_span = None
    return [tuple(span) for span in spans]


def _renamed(tags, names, where):
    """Return the entities under unified labels, without those that are left out."""
    for tag in tags:
        label = _split(tag)[1]
        if tag != "O" and label not in names:
            raise ValueError(
                f"{where}: the label {label!r} is unknown, expected one of {', '.join(names) or 'none'}. Correct "
                "the mapping, or say by source=, sources= or predictions_source= whose labels the tags are in."
            )
    return [(start, end, names[label]) for start, end, label in _entities(tags) if names[label] is not None]


def _in_unified_labels(rows, owners, mapping, what):
    found = []
    for index, (row, owner) in enumerate(zip(rows, owners, strict=True)):
        where = f"{what}, sentence {index}"
        if owner not in mapping:
            raise ValueError(
                f"{where}: {owner!r} is no source of the mapping, which has {', '.join(mapping)}."
            )
        found.append(_renamed(row, mapping[owner], where))
    return found


def _projection(annotated, parents, schema):
    """Return the label that a source has for each unified label: itself or the nearest that holds it."""
    projection = {}
    for label in schema:
        holder = label
        while holder is not None and holder not in annotated:
            holder = parents.get(holder)
        if holder is not None:
            projection[label] = holder
    return projection


def _one_a_sentence(names, sentences, option):
    names = [names] * sentences if isinstance(names, str) else list(names)
    if len(names) != sentences:
        raise ValueError(
            f"{option}: expected a name for each of the {sentences} sentences, found {len(names)}."
        )
    return names


def _figures(gold, found):
    annotated, predicted, matched = Counter(), Counter(), Counter()
    for ours, theirs in zip(gold, found, strict=True):
        annotated.update(label for _, _, label in ours)
        predicted.update(label for _, _, label in theirs)
        matched.update(label for _, _, label in set(ours) & set(theirs))
    by_label = {
        label: _score(matched[label], predicted[label], annotated[label])
        for label in sorted(annotated.keys() | predicted.keys())
    }
    micro = _score(matched.total(), predicted.total(), annotated.total())
    macro_f1 = sum(score["f1"] for score in by_label.values()) / len(by_label) if by_label else 0.0
    return {**micro, "macro_f1": macro_f1, "by_label": by_label}


def _score(matched, predicted, annotated):
    precision = matched / predicted if predicted else 0.0
    recall = matched / annotated if annotated else 0.0
    f1 = 2 * precision * recall / (precision + recall) if matched else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "support": annotated}


def _read(mapping):
    """Return {source: {label: unified label or None}}, the unified labels, each to itself, and their parents."""
    parents = {}
    if isinstance(mapping, str | os.PathLike):
        mapping, unified, parents = _read_file(mapping)
    else:
        if not isinstance(mapping, Mapping) or not all(isinstance(x, Mapping) for x in mapping.values()):
            raise ValueError(
                "mapping: expected {source: {label: unified label or None}} or the path of a file."
            )
        mapping = {source: dict(names) for source, names in mapping.items() if names}
        unified = [name for names in mapping.values() for name in names.values() if name is not None]
    wrong = [name for name in unified if not isinstance(name, str) or name in ("", "O")]
    if wrong:
        raise ValueError(
            f"mapping: {wrong[0]!r} cannot be a unified label. Expected a name, or None to leave out."
        )
    return mapping, {name: name for name in unified}, parents


def _read_file(path):
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            "Reading a mapping file needs PyYAML: pip install pyyaml. Or give the mapping as a dict."
        ) from error
    with open(path, encoding="utf-8") as stream:
        data = yaml.safe_load(stream)
    if (
        not isinstance(data, dict)
        or data.get("version") != _VERSION
        or not isinstance(data.get("labels"), list)
    ):
        raise ValueError(f"{path}: expected a mapping file of esnera_hf, version {_VERSION}.")
    entries = {}
    for entry in data["labels"]:
        if not {"source", "label", "unified"} <= entry.keys():
            raise ValueError(f"{path}: an entry needs source, label and unified: {entry}.")
        key = (entry["source"], entry["label"])
        if not all(isinstance(name, str) for name in key) or key in entries:
            raise ValueError(
                f"{path}: {key} is not text or stands twice. Put NO, null and the like in quotes."
            )
        entries[key] = entry
    mapping = {}
    for source, label in entries:
        unified = entries[source, label]["unified"]
        if unified is not None and unified not in data["unified_labels"]:
            raise ValueError(f"{path}: {source}:{label} goes to {unified!r}, which is not in unified_labels.")
        mapping.setdefault(source, {})[label] = unified
    return mapping, data["unified_labels"], _parents(data, path)


def _parents(data, path):
    """Return which unified label is a part of which."""
    parents = data.get("parents", {})
    if not isinstance(parents, dict):
        raise ValueError(f"{path}: parents: expected unified labels with the label that each is a part of.")
    for label in parents:
        seen = set()
        while label in parents:
            seen.add(label)
            label = parents[label]
            if label in seen or label not in data["unified_labels"]:
                raise ValueError(
                    f"{path}: parents: {label!r} is not in unified_labels or a part of itself. Correct it."
                )
    return parents
