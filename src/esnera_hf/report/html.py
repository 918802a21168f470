"""The report as one HTML file that needs no network and no scripts.

Labels, texts and names come from outside: the template escapes everything, and
unprintable characters, among them those that turn the direction of writing, are
made visible.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import combinations, permutations
from math import comb
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.checks import to_plain
from esnera_hf._internal.text import visible
from esnera_hf.alignment.mapping import LEFT_OUT, LabelMapping
from esnera_hf.report import tables
from esnera_hf.report.flow import draw_flow
from esnera_hf.report.format import agreement, figure, interval, merge_setting, sign
from esnera_hf.report.report import MergeReport
from esnera_hf.similarity.matrix import SimilarityMatrix

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST = 200
#: Pairs of sources whose similarities are shown: twenty sources have 190.
_MOST_PAIRS = 50
_TITLES = {
    "labels": "What became of the labels",
    "questions": "What you could decide",
    "near": "What stayed apart",
    "disagreements": "Where the taggers disagree",
    "steps": "How labels were merged",
    "trials": "The search",
    "scores": "F1 before and after",
    "similarities": "Similarities",
    "sources": "Sources",
    "again": "How to run it again",
}


def render_report(report: MergeReport, mapping: LabelMapping, similarity: SimilarityMatrix | None) -> str:
    """Return the report as a page of HTML; ``similarity`` is ``None`` where nothing was measured."""
    content: dict[str, Any] = {
        "labels": list(tables.label_groups(mapping)),
        "questions": tables.question_rows(report),
        "near": report.near,
        "disagreements": report.disagreements,
        "steps": report.steps,
        "trials": report.trials,
        "scores": tables.score_tables(report),
        "similarities": [] if similarity is None else list(_similarities(similarity, mapping.lam)),
        "sources": report.sources,
        "again": report.call or report.versions or report.seconds,
    }
    present = [key for key, value in content.items() if value]
    examples: dict[Any, list[Any]] = {}
    for label, *context in report.examples:
        examples.setdefault(label, []).append(context)
    pairs = 0 if similarity is None else comb(len(similarity.sources), 2)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            content,
            report=report,
            mapping=mapping,
            tables=tables,
            flow=draw_flow(mapping),
            sections={key: {"number": n, "title": _TITLES[key]} for n, key in enumerate(present, 1)},
            equivalence=mapping.method == "equivalence",
            score=tables.score_name(mapping),
            examples_of=lambda label: examples.get(label, []),
            losses=tables.large_losses(next(iter(content["scores"]), None), mapping),
            unshown=max(pairs - _MOST_PAIRS, 0),
            left_out=LEFT_OUT,
            settings=_as_json(to_plain(report.call)),
        )
    )


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
        "visible": lambda value: visible(str(value)),
        "count": lambda value: f"{value:,}",
        "figure": figure,
        "interval": interval,
        "sign": sign,
        "setting": merge_setting,
        "agreement": partial(agreement, never="?, never predicted"),
    }
    return environment


def shown(value: object) -> str:
    """Return a text with what cannot be printed made visible, cut to a readable length."""
    text = visible(str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _as_json(settings: Any) -> str:
    """Return settings as JSON that shows control and bidirectional characters as escapes."""
    text = json.dumps(settings, indent=1, ensure_ascii=False)
    # What is left to escape stands in strings, where this is JSON, too.
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _similarities(matrix: SimilarityMatrix, lam: float | None) -> Iterator[dict[str, Any]]:
    pairs = _shown_pairs(matrix, lam)
    for one, other in pairs:
        yield _table(matrix, matrix.semantic, one, other, "semantic similarity")
    for one, other in sorted(way for pair in pairs for way in permutations(pair)):
        title = "empirical similarity: predicted as (row), annotated as (column)"
        yield _table(matrix, matrix.empirical, one, other, title)


def _shown_pairs(matrix: SimilarityMatrix, lam: float | None) -> list[tuple[str, str]]:
    """Return the pairs of sources with the most alike labels, sorted."""
    pairs = list(combinations(sorted(matrix.sources), 2))
    if len(pairs) <= _MOST_PAIRS:
        return pairs
    similarity = np.nan_to_num(matrix.merge_score(lam), nan=-np.inf)
    indices = {source: matrix.indices(source) for source in matrix.sources}

    def most_alike(pair: tuple[str, str]) -> float:
        one, other = (indices[source] for source in pair)
        return float(max(similarity[np.ix_(one, other)].max(), similarity[np.ix_(other, one)].max()))

    return sorted(sorted(pairs, key=most_alike, reverse=True)[:_MOST_PAIRS])


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
            (
                matrix.labels[i].label,
                [None if np.isnan(values[i, j]) else float(values[i, j]) for j in columns],
            )
            for i in rows
        ],
    }
