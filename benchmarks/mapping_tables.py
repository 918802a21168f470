"""Tables about a saved alignment: its search, F1 by source and label, its merges against gold relations.

    python benchmarks/mapping_tables.py merged --gold gold_alignments.json

Prints Markdown. Gold relations are those of ``verified``, ``high`` and ``medium`` confidence; a merged pair that
the file does not list is counted as not listed, which is no proof that it is wrong.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np

from esnera_hf import LabelMapping, MergeResult
from esnera_hf.evaluation.projection import MergedScores
from esnera_hf.report.report import MergeReport
from esnera_hf.report.tables import step_target
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

_CONFIDENT = ("verified", "high", "medium")


def main() -> None:
    """Print all tables of one result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=Path, help="folder written by `esnera-hf align --output`")
    parser.add_argument("--gold", type=Path, help="relations between labels of two corpora, as JSON")
    options = parser.parse_args()
    result = MergeResult.load(options.result)
    report = result.report
    print(*search_table(report), "", sep="\n")
    tables = {name: system.native for name, system in report.systems.items()}
    tried = [trial.outcome[0] for trial in report.trials if trial.chosen and trial.outcome is not None]
    if tried:
        tables["trial, validation"] = tried[-1].native
    for name, scores in tables.items():
        print(*f1_table(name, scores), "", sep="\n")
    if options.gold is not None:
        gold = json.loads(options.gold.read_text(encoding="utf-8"))
        print(*gold_table(result.mapping, read_gold(gold)), "", sep="\n")
    if result.similarity is not None:
        print(*matrices(result.similarity), sep="\n")


def search_table(report: MergeReport) -> Iterator[str]:
    """Yield a row for each mapping that was tried."""
    yield "| step | λ, τ | merged | F1 in unified labels | F1 in own labels | |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for trial in report.trials:
        if trial.outcome is not None:
            ways = [trial.outcome[0].unified.pooled, trial.outcome[0].native.pooled]
            figures = " | ".join(f"{w.before.value:.3f} → {w.after.value:.3f}" for w in ways)
            verdict = "holds" if trial.chosen else "broken"
            step, (lam, tau) = trial.step, trial.settings[0]
            head = f"{' + '.join(step.sources)} → {step_target(step)}"
            yield f"| {' | '.join((head, f'{lam}, {tau}', str(step.merged), figures, verdict))} |"


def f1_table(name: str, scores: MergedScores) -> Iterator[str]:
    """Yield F1 of a source's own tagger and another one, by source and label."""
    yield f"| {name}: label | entities | own tagger | merged | change, 95 % interval |"
    yield "| --- | --- | --- | --- | --- |"
    for source, micro in scores.sources.items():
        for label, row in [("**all**", micro), *scores.by_label[source].items()]:
            yield (
                f"| {source}: {label} | {row.support} | {number(row.before.value)} | "
                f"{number(row.after.value)} | {number(row.change.low)} to {number(row.change.high)} |"
            )


def read_gold(entries: list[dict[str, str]]) -> dict[frozenset[LabelRef], str]:
    """Return the relation of each pair; which of the two is the part does not matter here."""
    return {
        frozenset((LabelRef(e["a"], e["label_a"]), LabelRef(e["b"], e["label_b"]))): e["relation"]
        for e in entries
        if e["confidence"] in _CONFIDENT
    }


def gold_table(mapping: LabelMapping, gold: dict[frozenset[LabelRef], str]) -> Iterator[str]:
    """Yield what became of the pairs of labels of different sources, by gold relation."""
    yield "| gold relation | pairs merged | pairs apart |"
    yield "| --- | --- | --- |"
    found: dict[str, tuple[list[str], list[str]]] = {}
    for one, other in combinations([entry.label for entry in mapping.entries], 2):
        if one.source != other.source:
            relation = gold.get(frozenset((one, other)), "not listed")
            columns = found.setdefault(relation, ([], []))
            columns[0 if mapping.are_one(one, other) else 1].append(f"{one} – {other}")
    for relation, (merged, apart) in sorted(found.items()):
        shown = f"{len(apart)}" if relation == "not listed" else f"{len(apart)}: {', '.join(apart)}"
        yield f"| {relation} | {len(merged)}: {', '.join(merged)} | {shown} |"


def matrices(matrix: SimilarityMatrix) -> Iterator[str]:
    """Yield each pair of sources: S_sem, and S_emp in both directions, in one cell."""
    for one, other in combinations(sorted(matrix.sources), 2):
        rows, columns = matrix.indices(one), matrix.indices(other)
        yield f"| {one} / {other} | " + " | ".join(matrix.labels[j].label for j in columns) + " |"
        yield "| --- |" + " --- |" * len(columns)
        for i in rows:
            cells = ((matrix.semantic[i, j], matrix.empirical[i, j], matrix.empirical[j, i]) for j in columns)
            text = " | ".join(" ".join(number(v, 2) for v in cell) for cell in cells)
            yield f"| {matrix.labels[i].label} | {text} |"
        yield ""


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure, ``?`` where it is unknown."""
    return "?" if value is None or np.isnan(value) else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
