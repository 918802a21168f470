"""The report as one HTML file that needs no network and no scripts.

Labels, texts and names come from outside: the template escapes everything, and
unprintable characters, among them those that turn the direction of writing, are
made visible.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment import LabelMapping, MappedLabel
from esnera_hf.alignment.mapping import LEFT_OUT
from esnera_hf.console import duration
from esnera_hf.report.report import Report
from esnera_hf.similarity import Agreement, SimilarityMatrix

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST = 200
#: A label that loses more F1 than this is pointed out.
LARGE_LOSS = 0.1
_SYSTEMS = {
    "merged": "tagger trained on the merged dataset",
    "gold": "the same without pseudo-labels",
    "naive": "naive union: same names merge, missing types are O",
}


def render_report(report: Report, mapping: LabelMapping, similarity: SimilarityMatrix | None) -> str:
    """Return the report as a page of HTML.

    Args:
        report: the account.
        mapping: what it is about.
        similarity: for the heatmaps; ``None`` where nothing was measured.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": shown,
        "figure": _figure,
        "interval": _interval,
        "agreement": _agreement,
        "duration": duration,
    }
    return environment.get_template("report.html.jinja").render(
        report=report,
        mapping=mapping,
        groups=list(_groups(report, mapping)),
        unmerged=[stage for stage in report.stages if stage["tau"] is None],
        near=[{**pair, **_examples_of_pair(report, pair)} for pair in report.near],
        scores=list(_score_tables(report)),
        losses=list(_large_losses(report)),
        heatmaps=[] if similarity is None else list(_heatmaps(similarity)),
        call=_call(report.settings),
        settings=json.dumps(report.settings, indent=1, ensure_ascii=False),
    )


def shown(value: object) -> str:
    """Return a text with what cannot be printed made visible, cut to a readable length."""
    text = "".join(char if char.isprintable() else "\ufffd" for char in str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _groups(report: Report, mapping: LabelMapping) -> Iterator[dict[str, Any]]:
    """Yield each unified label with its members, their evidence and examples; those left out last."""
    for unified in (*mapping.unified_labels, None):
        entries = [entry for entry in mapping.entries if entry.unified == unified]
        if entries:
            yield {
                "name": LEFT_OUT if unified is None else unified,
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
    ways = {
        "own_labels": "in each source's own labels",
        "projected": "on unified labels, projected through the mapping",
    }
    for name, system in report.systems.items():
        for way, text in ways.items():
            title = f"Test split, {text}: own tagger against {_SYSTEMS.get(name, name)}"
            yield {"title": title, "sources": system[way]["sources"], "pooled": system[way]["pooled"]}
    for way, text in ways.items():
        if report.search_scores is not None:
            scores = report.search_scores[way]
            title = f"Validation split, {text}: own tagger against the tagger of the chosen mapping's trial"
            yield {"title": title, "sources": scores["sources"], "pooled": scores["pooled"]}


def _large_losses(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the labels that lose more than ``LARGE_LOSS`` in the first table there is, the worst first."""
    tables = list(_score_tables(report))[:1]
    lost = [
        {"source": source, "label": label, "support": row["support"], "change": row["change"]}
        for table in tables
        for source, scores in table["sources"].items()
        for label, row in scores["by_label"].items()
        if row["change"]["value"] is not None and row["change"]["value"] < -LARGE_LOSS
    ]
    yield from sorted(lost, key=lambda row: row["change"]["value"])


def _heatmaps(matrix: SimilarityMatrix) -> Iterator[dict[str, Any]]:
    for one, other in combinations(sorted(matrix.sources), 2):
        yield _heatmap(matrix, matrix.semantic, one, other, "semantic similarity")
    for one, other in permutations(sorted(matrix.sources), 2):
        title = "empirical similarity: predicted as (row), annotated as (column)"
        yield _heatmap(matrix, matrix.empirical, one, other, title)


def _heatmap(
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


def _figure(value: float | None, digits: int = 2) -> str:
    return "?" if value is None else f"{value:.{digits}f}"


def _interval(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "–"
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _agreement(counts: Mapping[str, int] | None) -> str:
    if counts is None:
        return ""
    if not counts["predicted"]:
        return "?, never predicted"
    return f"{counts['matched'] / counts['predicted']:.2f} ({counts['matched']:,} of {counts['predicted']:,})"


def _call(settings: Mapping[str, Any]) -> str:
    """Return the Python call that makes the same again."""
    if "call" not in settings:
        return ""
    known = dict(settings)
    name, sources = known.pop("call"), known.pop("sources")
    first = [repr(known.pop("mapping"))] if name == "apply" else []
    search, schema = known.pop("search", None), known.pop("schema", None)
    parts = ("match", "centre", "training")
    evidence: dict[str, Any] = {key: known.pop(key) for key in parts if key in known}
    names = {"lambda": "lam"}
    lines = [*first, repr(sources), *(f"{names.get(key, key)}={value!r}" for key, value in known.items())]
    lines += [_made("evidence", "EvidenceSettings", evidence)]
    lines += [_made("search", "SearchSettings", search)] if search else []
    lines += [_made("schema", "SchemaSettings", schema)] if schema else []
    return f"esnera_hf.{name}(\n" + "".join(f"    {line},\n" for line in lines) + ")"


def _made(keyword: str, kind: str, values: Mapping[str, Any]) -> str:
    given: Sequence[str] = [f"{key}={value!r}" for key, value in values.items()]
    return f"{keyword}=esnera_hf.{kind}({', '.join(given)})"
