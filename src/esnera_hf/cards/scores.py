"""What cards say of scores: F1 of the sources' own taggers (before) and of a merged one (after)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from esnera_hf.alignment import LabelMapping
from esnera_hf.labels import LabelRef
from esnera_hf.report import Report
from esnera_hf.report.html import LARGE_LOSS
from esnera_hf.report.systems import system_title

_OWN = "own_labels"


def main_scores(report: Report) -> dict[str, Any] | None:
    """Return the scores in the sources' own labels that say most, with the split they are on.

    Those on test of the tagger trained on the merged dataset; else those on
    validation of the tagger that was trained to try the chosen mapping.
    """
    if "merged" in report.systems:
        return {"split": "test", **report.systems["merged"][_OWN]}
    if report.search_scores is not None:
        return {"split": "validation", **report.search_scores[_OWN]}
    return None


def score_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row a source, and one over all of them if there are several."""
    rows = [{"name": name, "all": False, **found["micro"]} for name, found in scores["sources"].items()]
    return rows + [{"name": "", "all": True, **scores["pooled"]}] * (len(rows) > 1)


def system_rows(report: Report) -> list[dict[str, Any]]:
    """Return a row a tagger scored on test, pooled over the sources; none if there is nothing to compare."""
    if len(report.systems) < 2:
        return []
    return [
        {
            "name": system_title(name, report.settings),
            _OWN: system[_OWN]["pooled"]["after"],
            "projected": system["projected"]["pooled"]["after"],
        }
        for name, system in report.systems.items()
    ]


def label_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row a source and label of its own that is annotated on the split."""
    return [
        {"source": source, "label": label, **row}
        for source, found in scores["sources"].items()
        for label, row in found["by_label"].items()
        if row["support"]
    ]


def large_losses(scores: Mapping[str, Any] | None, mapping: LabelMapping | None) -> list[dict[str, Any]]:
    """Return the labels that lose more F1 than is let pass, the worst first; not those that are left out."""
    rows = [] if scores is None else label_rows(scores)
    left_out = set() if mapping is None else set(mapping.members(None))
    lost = [
        row
        for row in rows
        if row["change"]["value"] is not None
        and row["change"]["value"] < -LARGE_LOSS
        and LabelRef(row["source"], row["label"]) not in left_out
    ]
    return sorted(lost, key=lambda row: row["change"]["value"])


def own_taggers(report: Report) -> Iterator[dict[str, Any]]:
    """Yield micro-F1 of the sources' own taggers on validation and test."""
    for name, tagger in report.taggers.items():
        yield {
            "source": name,
            **{split: tagger[split]["micro"]["f1"] for split in ("validation", "test")},
            "support": tagger["test"]["micro"]["support"],
        }
