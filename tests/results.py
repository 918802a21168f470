"""A small result of an alignment, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from builders import make_matrix, make_source, row
from esnera_hf import MergeResult
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.evaluation.merged_tagger import OutputSettings, finish
from esnera_hf.metrics import score_tags
from esnera_hf.report.build import Account, build_report
from esnera_hf.sources.licenses import license_from_id
from esnera_hf.taggers.settings import TaggerPlan


def make_result(
    first: str = "alpha",
    second: str = "beta",
    label: str = "city",
    licenses: tuple[str, str] = ("mit", "cc-by-4.0"),
) -> MergeResult:
    """Two sources of one sentence a split; ``label`` of the first and ``place`` of the second become one."""
    splits = ("train", "validation", "test")
    sources = [
        make_source(first, {split: [([f"in-{split}", "oslo"], ["O", f"B-{label}"])] for split in splits}),
        make_source(second, {split: [row("met anna/B-per in lima/B-place")] for split in splits}),
    ]
    sources = [
        replace(source, license=license_from_id(name)) for source, name in zip(sources, licenses, strict=True)
    ]
    names = [f"{first}:{label}", f"{second}:per", f"{second}:place"]
    matrix = make_matrix(
        dict.fromkeys(names, 1),
        {(names[0], names[2]): (2, 3), (names[2], names[0]): (1, 1)},
        {(names[0], names[2]): 0.123456789, (names[0], names[1]): -0.5},
    )
    path = greedy_merge_path(matrix, 0.4, 0.2)
    mapping = mapping_from_history(path, matrix)
    final = finish(
        sources, mapping, (), OutputSettings(pseudo_label_threshold=None), TaggerPlan("no encoder")
    )
    settings = {"lambda": 0.4, "sentences": None}
    account = Account(sources, mapping, final, settings, matrix, history=path, seconds={"total": 1.23})
    report = build_report(account)
    scores = score_tags([["B-x"]], [["B-x"]]).to_dict()
    tagger = {"validation": scores, "test": scores, "history": [], "arguments": {"seed": 42}, "seconds": 1.2}
    return MergeResult(
        final.dataset, mapping, matrix, replace(report, taggers={first: tagger, second: tagger})
    )


def without_times(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report's data without the times and without what the cache held already."""
    timed = {"seconds", "trained"}
    plain: dict[str, Any] = {key: value for key, value in report.items() if key not in timed}
    for part in ("taggers", "systems"):
        plain[part] = {
            name: {key: value for key, value in facts.items() if key not in timed}
            for name, facts in report.get(part, {}).items()
        }
    plain["trials"] = [
        {key: value for key, value in trial.items() if key not in timed} for trial in report.get("trials", [])
    ]
    return plain
