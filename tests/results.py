"""A small result of an alignment, made by hand."""

from __future__ import annotations

from dataclasses import replace

from builders import make_matrix, make_source, row
from esnera_hf import MergeResult
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.merging.merge import MergedData, merge_sources
from esnera_hf.metrics import score_tags
from esnera_hf.report.build import build_report
from esnera_hf.report.call import CallFacts
from esnera_hf.report.report import TaggerScores
from esnera_hf.sources.licenses import license_from_id


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
    merged = MergedData(merge_sources(sources, mapping))
    report = build_report(sources, mapping, merged, matrix=matrix, history=path)
    scores = score_tags([["B-x"]], [["B-x"]])
    tagger = TaggerScores(scores, scores, arguments={"seed": 42})
    call = CallFacts("align", (first, second), method="greedy")
    report = replace(report, call=call, taggers={first: tagger, second: tagger}, seconds={"total": 1.2})
    return MergeResult(merged.dataset, mapping, matrix, report)
