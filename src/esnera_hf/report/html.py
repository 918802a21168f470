"""The report as one HTML file that needs no network and no scripts.

Labels, texts and names come from outside: the template escapes everything, and
unprintable characters, among them those that turn the direction of writing, are
made visible.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import combinations, permutations
from math import comb
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.console import duration
from esnera_hf._internal.text import visible
from esnera_hf.alignment.mapping import LEFT_OUT, LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.report.flow import draw_flow
from esnera_hf.report.format import agreement, figure, merge_setting, system_title
from esnera_hf.report.report import Report
from esnera_hf.similarity.matrix import Agreement, SimilarityMatrix
from esnera_hf.tagging import LabelRef

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST = 200
#: Pairs of sources whose similarities are shown: twenty sources have 190.
_MOST_PAIRS = 50
#: A label that loses more F1 than this is pointed out.
LARGE_LOSS = 0.1
_TITLES = {
    "labels": "What became of the labels",
    "near": "What stayed apart",
    "stages": "How labels were merged",
    "trials": "The search",
    "scores": "F1 before and after",
    "similarities": "Similarities",
    "sources": "Sources",
    "again": "How to run it again",
}
#: Splits on which the sources' own taggers are scored.
_SCORED = ("validation", "test")
_WAYS = {
    "native": "in each source's own labels",
    "unified": "on unified labels, projected through the mapping",
}


def render_report(report: Report, mapping: LabelMapping, similarity: SimilarityMatrix | None) -> str:
    """Return the report as a page of HTML.

    Args:
        report: the account.
        mapping: what it is about.
        similarity: whose tables are shown; ``None`` where nothing was measured.
    """
    content = {
        "labels": list(_groups(report, mapping)),
        "near": [{**pair, **_examples_of_pair(report, pair)} for pair in report.near],
        "stages": list(_stages(report)),
        "trials": report.trials,
        "scores": list(_score_tables(report)),
        "similarities": [] if similarity is None else list(_similarities(similarity, mapping.lam)),
        "sources": list(_sources(report)),
        "again": report.settings or report.versions or report.seconds,
    }
    present = [key for key, found in content.items() if found]
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            content,
            report=report,
            flow=draw_flow(mapping),
            mapping=mapping,
            sections={key: {"number": n, "title": _TITLES[key]} for n, key in enumerate(present, 1)},
            summary=_summary(report, mapping),
            unshown=_unshown(similarity),
            losses=list(_large_losses(report, mapping)),
            large_loss=LARGE_LOSS,
            settings=_as_json(report.settings),
        )
    )


def _as_json(settings: Mapping[str, Any]) -> str:
    """Return settings as JSON that shows control and bidirectional characters as escapes."""
    text = json.dumps(settings, indent=1, ensure_ascii=False)
    # What is left to escape stands in strings, where this is JSON, too.
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": shown,
        "visible": _visible,
        "figure": figure,
        "interval": _interval,
        "sign": _sign,
        "setting": merge_setting,
        "agreement": partial(agreement, never="?, never predicted"),
        "duration": duration,
    }
    return environment


def _visible(value: object) -> str:
    return visible(str(value))


def shown(value: object) -> str:
    """Return a text with what cannot be printed made visible, cut to a readable length."""
    text = visible(str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _summary(report: Report, mapping: LabelMapping) -> dict[str, Any]:
    """Return what the head says: how much text, and the setting of each stage."""
    sentences: Counter[str] = Counter()
    for source in report.sources:
        sentences.update(source["sentences"])
    for leak in report.leaks:
        split = leak["in"].rpartition("/")[2]
        if leak["left_out"] and split in sentences:
            sentences[split] -= leak["sentences"]
    stages = [(s["sources"], s["target"], s["lambda"], s["tau"], s["merged"]) for s in report.stages]
    keys = ("sources", "target", "lam", "tau", "merged")
    return {
        "sentences": dict(sentences),
        "stages": [dict(zip(keys, stage, strict=True)) for stage in stages],
        "tried": sum(trial["scores"] is not None for trial in report.trials),
        "searched": bool(report.trials) or any(stage["tau"] is None for stage in report.stages),
        "typed": mapping.method == "equivalence" and bool(report.stages),
    }


def _stages(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the stages; ``unmerged`` says why nothing was merged by similarity though something could have been.

    That is ``broken`` or ``apart``, see :meth:`Report.why_unmerged`.
    """
    for number, stage in enumerate(report.stages):
        why = report.why_unmerged(number)
        yield {**stage, "unmerged": None if why == "wished" else why}


def _groups(report: Report, mapping: LabelMapping) -> Iterator[dict[str, Any]]:
    """Yield each unified label with its members, their evidence and examples; those left out last.

    A label is followed by its parts; ``within`` are the labels that hold it, the outermost first.
    """
    holders = set(mapping.parents.values())
    for unified in (*mapping.tree.order, None):
        entries = [entry for entry in mapping.entries if entry.unified == unified]
        if entries or unified in holders:
            yield {
                "name": LEFT_OUT if unified is None else unified,
                "within": [] if unified is None else list(reversed(mapping.ancestors(unified))),
                "left_out": unified is None,
                "mentions": sum(entry.mentions for entry in entries),
                "members": [_member(entry, report) for entry in entries],
            }


def _member(entry: MappedLabel, report: Report) -> dict[str, Any]:
    evidence = entry.evidence
    return {
        "label": str(entry.label),
        "mentions": entry.mentions,
        "locked": entry.locked,
        "other": None if entry.compared_with is None else str(entry.compared_with),
        "similarity": entry.similarity,
        "semantic": None if evidence is None else evidence.semantic,
        "forward": None if evidence is None else _counts(evidence.forward),
        "backward": None if evidence is None else _counts(evidence.backward),
        "examples": report.examples.get(str(entry.label), []),
    }


def _counts(agreement: Agreement) -> dict[str, int]:
    return {"matched": agreement.matched, "predicted": agreement.predicted}


def _examples_of_pair(report: Report, pair: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{side}_examples": [example["mention"] for example in report.examples.get(pair[side], [])]
        for side in ("one", "other")
    }


def _score_tables(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the tables of F1 before and after."""
    for name, system in report.systems.items():
        for way, text in _WAYS.items():
            title = f"Test split, {text}: own tagger against one {system_title(name, report.settings)}"
            yield {"title": title, **system[way]}
    for way, text in _WAYS.items():
        if report.search_scores is not None:
            title = f"Validation split, {text}: own tagger against the tagger of the chosen mapping's trial"
            yield {"title": title, **report.search_scores[way]}


def _large_losses(report: Report, mapping: LabelMapping) -> Iterator[dict[str, Any]]:
    """Yield the labels that lose more than ``LARGE_LOSS`` in the first table there is, the worst first.

    Those that the mapping leaves out stand among the labels left out.
    """
    left_out = set(mapping.members(None))
    tables = list(_score_tables(report))[:1]
    lost = [
        {"source": source, "label": label, "support": row["support"], "change": row["change"]}
        for table in tables
        for source, scores in table["sources"].items()
        for label, row in scores["by_label"].items()
        if row["change"]["value"] is not None
        and row["change"]["value"] < -LARGE_LOSS
        and LabelRef(source, label) not in left_out
    ]
    yield from sorted(lost, key=lambda row: row["change"]["value"])


def _sources(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the sources with a row a label: mentions by split, F1 of the own tagger."""
    for source in report.sources:
        tagger = report.taggers.get(source["name"])
        names = sorted({label for counts in source["entities"].values() for label in counts})
        yield {
            **source,
            "own": None if tagger is None else [tagger[split]["micro"]["f1"] for split in _SCORED],
            "labels": [
                {
                    "label": name,
                    "mentions": [counts.get(name, 0) for counts in source["entities"].values()],
                    "own": [_own_f1(tagger, split, name) for split in _SCORED],
                }
                for name in names
            ],
        }


def _own_f1(tagger: Mapping[str, Any] | None, split: str, label: str) -> float | None:
    scores = {} if tagger is None else tagger[split]["by_label"].get(label, {})
    value: float | None = scores.get("f1")
    return value


def _shown_pairs(matrix: SimilarityMatrix, lam: float | None) -> list[tuple[str, str]]:
    pairs = list(combinations(sorted(matrix.sources), 2))
    if len(pairs) <= _MOST_PAIRS:
        return pairs
    similarity = np.nan_to_num(matrix.merge_score(lam), nan=-np.inf)
    indices = {source: matrix.indices(source) for source in matrix.sources}

    def most_alike(pair: tuple[str, str]) -> float:
        one, other = (indices[source] for source in pair)
        return float(max(similarity[np.ix_(one, other)].max(), similarity[np.ix_(other, one)].max()))

    return sorted(sorted(pairs, key=most_alike, reverse=True)[:_MOST_PAIRS])


def _similarities(matrix: SimilarityMatrix, lam: float | None) -> Iterator[dict[str, Any]]:
    pairs = _shown_pairs(matrix, lam)
    for one, other in pairs:
        yield _table(matrix, matrix.semantic, one, other, "semantic similarity")
    for one, other in sorted(way for pair in pairs for way in permutations(pair)):
        title = "empirical similarity: predicted as (row), annotated as (column)"
        yield _table(matrix, matrix.empirical, one, other, title)


def _unshown(matrix: SimilarityMatrix | None) -> int:
    """Return how many pairs of sources are too many to be shown."""
    return 0 if matrix is None else max(comb(len(matrix.sources), 2) - _MOST_PAIRS, 0)


def _table(
    matrix: SimilarityMatrix, values: NDArray[np.float64], one: str, other: str, title: str
) -> dict[str, Any]:
    rows, columns = matrix.indices(one), matrix.indices(other)
    return {
        "title": title,
        "row_source": one,
        "column_source": other,
        "columns": [matrix.labels[j].label for j in columns],
        "rows": [
            {
                "label": matrix.labels[i].label,
                "cells": [None if np.isnan(values[i, j]) else float(values[i, j]) for j in columns],
            }
            for i in rows
        ],
    }


def _interval(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "–"
    value, low, high = (figure(estimate[key], 3) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _sign(change: Mapping[str, Any]) -> str:
    """Return how a change is colored: only if its interval excludes 0."""
    low, high = change["low"], change["high"]
    if low is None or high is None or low <= 0 <= high:
        return ""
    return "good" if low > 0 else "bad"
