"""The report as one HTML file that needs no network, and in which the mapping can be changed.

Labels, texts and names come from outside: the template escapes everything, the
script writes them as text only, and unprintable characters, among them those that turn
the direction of writing, are made visible. The policy of the page allows its own style
and script, by their digests, and nothing else.
"""

from __future__ import annotations

import json
import shlex
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from esnera_hf._internal.checks import to_plain
from esnera_hf._internal.text import counted, shorten, visible
from esnera_hf.alignment.flow import draw_flow
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.alignment.mapping_yaml import HEADER, LEFT_OUT, PARENTS_HEADER, VERSION, evidence_data
from esnera_hf.report import evidence, tables
from esnera_hf.report.format import agreement, figure, interval, merge_setting, sign
from esnera_hf.report.report import MergeReport
from esnera_hf.similarity.explanation import EQUAL
from esnera_hf.similarity.matrix import SimilarityMatrix

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("model.js", "picture.js", "page.js")
_LONGEST = 200
#: Pairs of sources whose similarities are shown: twenty sources have 190.
_MOST_PAIRS = 50
_TITLES = {
    "questions": "What to check",
    "disagreements": "Where the taggers disagree",
    "labels": "What became of the labels",
    "near": "What stayed apart",
    "steps": "How labels were merged",
    "trials": "The search",
    "scores": "F1 before and after",
    "similarities": "Similarities",
    "sources": "Sources",
    "again": "How to run it again",
}


def render_report(
    report: MergeReport,
    mapping: LabelMapping,
    similarity: SimilarityMatrix | None,
    *,
    served: bool = False,
) -> str:
    """Return the report as a page of HTML.

    Args:
        report: the facts.
        mapping: what is shown and can be changed.
        similarity: ``None`` where nothing was measured.
        served: whether the page is served by ``esnera-hf review``, to which it may give the changed mapping.
    """
    content: dict[str, Any] = {
        "questions": list(_questions(report, mapping)),
        "disagreements": report.disagreements,
        "labels": list(_labels(report, mapping)),
        "near": report.near,
        "steps": report.steps,
        "trials": report.trials,
        "scores": tables.score_tables(report),
        "similarities": [] if similarity is None else list(_similarities(similarity, mapping.lam)),
        "sources": report.sources,
        "again": report.call or report.versions,
    }
    present = [key for key, value in content.items() if value]
    examples: dict[Any, list[Any]] = {}
    for label, *context in report.examples:
        examples.setdefault(label, []).append(context)
    pairs = 0 if similarity is None else comb(len(similarity.sources), 2)
    style = _TEMPLATES.joinpath("page.css").read_text(encoding="utf-8")
    parts = (_TEMPLATES.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = "\n".join(['"use strict";\n(() => {', *parts, "})();\n"])
    main = tables.main_scores(report)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            content,
            report=report,
            mapping=mapping,
            tables=tables,
            shows=evidence,
            verdict=evidence.verdict(report, mapping),
            measured=None if main is None else main[2].pooled,
            measured_split=None if main is None else main[1],
            flow=draw_flow(mapping),
            sections={key: {"number": n, "title": _TITLES[key]} for n, key in enumerate(present, 1)},
            equivalence=mapping.method == "equivalence",
            score=tables.score_name(mapping),
            examples_of=lambda label: examples.get(label, []),
            losses=tables.large_losses(next(iter(content["scores"]), None), mapping),
            unshown=max(pairs - _MOST_PAIRS, 0),
            left_out=LEFT_OUT,
            settings=_as_json(to_plain(report.call)),
            style=style,
            script=script,
            policy=page_policy(style, script) + "; connect-src 'self'" * served,
            served=served,
            command=apply_command(report, mapping),
            model=_as_json(_model(mapping, served)).replace("<", "\\u003c"),
        )
    )


def apply_command(report: MergeReport, mapping: LabelMapping, file: str = MAPPING_FILE) -> str:
    """Return the command that applies a changed mapping to the sources of a report whose text was there."""
    sources = report.call.sources if report.call is not None and report.call.sources else mapping.sources
    if len(sources) == len(report.sources):
        pairs = zip(sources, report.sources, strict=True)
        sources = tuple(name for name, source in pairs if any(source.sentences.values()))
    names = shlex.join(sources) if sources else "SOURCE"
    return f"esnera-hf apply {shlex.quote(file)} {names} --output edited"


def page_policy(style: str, script: str) -> str:
    """Return the policy of a page that allows its own style and script, by their digests, and nothing else."""
    own = (b64encode(sha256(text.encode()).digest()).decode() for text in (style, script))
    style_digest, script_digest = (f"'sha256-{digest}'" for digest in own)
    return (
        f"default-src 'none'; style-src {style_digest}; script-src {script_digest}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _model(mapping: LabelMapping, served: bool) -> dict[str, Any]:
    """Return what the script of the page works on: the mapping as plain data."""
    entries = [
        {
            **entry.label._asdict(),
            "unified": entry.unified,
            "mentions": entry.mentions,
            "locked": entry.locked,
            "evidence": evidence_data(entry),
            **({"definition": entry.definition} if entry.definition else {}),
        }
        for entry in mapping.entries
    ]
    return {
        "header": HEADER + PARENTS_HEADER,
        "version": VERSION,
        "method": mapping.method,
        "lambda": mapping.lam,
        "unified": mapping.unified_labels,
        "parents": mapping.parents,
        "entries": entries,
        "left_out": LEFT_OUT,
        "served": served,
    }


def _questions(report: MergeReport, mapping: LabelMapping) -> Iterator[dict[str, Any]]:
    """Yield the questions of a report with the places of their labels in the mapping."""
    place = {entry.label: n for n, entry in enumerate(mapping.entries)}
    threshold = report.steps[0].tau if report.steps and report.steps[0].lam is None else None
    for number, (question, _, examples) in enumerate(tables.question_rows(report)):
        pair = tables.find_pair(report, question.one, question.other)
        if question.one in place and question.other in place:
            yield {
                "number": number,
                "question": question,
                "one": place[question.one],
                "other": place[question.other],
                "pair": pair and pair.seen_from(question.one),
                "why": pair.sentence(mapping.decision(pair.one, pair.other), threshold)
                if pair
                else f"{EQUAL} {question.equal:.2f}",
                "examples": examples,
                "disagree": any(
                    (here, there) != (question.one.label, question.other.label)
                    for _, here, there in question.examples
                ),
            }


def _labels(
    report: MergeReport, mapping: LabelMapping
) -> Iterator[tuple[str | None, list[dict[str, Any]], bool]]:
    """Yield each unified label with its source labels, and whether it is one that stays alone."""
    place = {entry.label: n for n, entry in enumerate(mapping.entries)}
    wholes = set(mapping.parents.values())
    for unified, entries in tables.label_groups(mapping):
        rows = [
            {
                "n": place[entry.label],
                "entry": entry,
                "fate": evidence.fate(mapping, entry),
                "pair": pair and pair.seen_from(entry.label),
            }
            for entry in entries
            for pair in [tables.find_pair(report, entry.label, entry.compared_with)]
        ]
        related = unified is None or unified in mapping.parents or unified in wholes
        yield unified, rows, len(rows) == 1 and not related


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": lambda value: shorten(str(value), _LONGEST),
        "visible": lambda value: visible(str(value)),
        "count": lambda value: f"{value:,}",
        "counted": counted,
        "figure": figure,
        "interval": interval,
        "sign": sign,
        "setting": merge_setting,
        "agreement": partial(agreement, never="?, never predicted"),
    }
    return environment


def _as_json(settings: Any) -> str:
    """Return settings as JSON that shows control and bidirectional characters as escapes."""
    text = json.dumps(settings, indent=1, ensure_ascii=False)
    # What is left to escape stands in strings, where this is JSON, too.
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _similarities(matrix: SimilarityMatrix, lam: float | None) -> Iterator[dict[str, Any]]:
    """Yield the tables of similarities: for pairs of sources those of meaning, then those of predictions, each way."""
    pairs = _shown_pairs(matrix, lam)
    ways = sorted(way for one, other in pairs for way in ((one, other), (other, one)))
    empirical = "empirical similarity: predicted as (row), annotated as (column)"
    shown = [(matrix.semantic, "semantic similarity", pair) for pair in pairs]
    shown += [(matrix.empirical, empirical, way) for way in ways]
    for values, title, (one, other) in shown:
        columns = matrix.indices(other)
        yield {
            "title": title,
            "row_source": one,
            "column_source": other,
            "columns": [matrix.labels[j].label for j in columns],
            "rows": [
                (
                    matrix.labels[i].label,
                    [None if np.isnan(value) else value for value in values[i, columns].tolist()],
                )
                for i in matrix.indices(one)
            ],
        }


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
