"""The files that a report is kept in beside a dataset: mapping, data, page, similarities, picture, times."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from esnera_hf._internal.checks import from_plain
from esnera_hf._internal.json import read_json
from esnera_hf.alignment.flow import draw_flow
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.errors import ConfigurationError
from esnera_hf.report.html import render_report
from esnera_hf.report.report import MergeReport
from esnera_hf.similarity.matrix import SimilarityMatrix

Facts = TypeVar("Facts", MergeReport, SimilarityMatrix)
SIMILARITY_FILE = "similarity.json"
REPORT_FILE = "report.json"
REPORT_PAGE = "report.html"
#: What differs from run to run; all other files of a result are the same, byte for byte.
RUN_FILE = "run.json"
#: The picture of the mapping; its card shows it.
FLOW_PICTURE = "flow.svg"


def write_report(
    folder: Path, report: MergeReport, mapping: LabelMapping, similarity: SimilarityMatrix | None
) -> None:
    """Write a report and what it is about to a folder; :func:`read_report` reads them."""
    mapping.save(folder / MAPPING_FILE)
    if report.seconds:
        write_json({"seconds": report.seconds}, folder / RUN_FILE)
    report = replace(report, seconds={})
    write_json(report.to_dict(), folder / REPORT_FILE)
    page = render_report(report, mapping, similarity)
    (folder / REPORT_PAGE).write_text(page, encoding="utf-8", errors="replace")
    (folder / FLOW_PICTURE).write_text(draw_flow(mapping), encoding="utf-8")
    if similarity is not None:
        write_json(similarity.to_dict(), folder / SIMILARITY_FILE)


def read_report(folder: Path) -> tuple[MergeReport, LabelMapping, SimilarityMatrix | None]:
    """Read what :func:`write_report` wrote.

    Raises:
        MappingError: the mapping has been edited into something invalid.
        ConfigurationError: the report is of another version, or it or the similarities are damaged.
    """
    similarity = None
    if (folder / SIMILARITY_FILE).exists():
        similarity = _read(SimilarityMatrix, folder / SIMILARITY_FILE)
    report = _read(MergeReport, folder / REPORT_FILE)
    if (folder / RUN_FILE).exists():
        times = from_plain(dict[str, dict[str, float]], read_json(folder / RUN_FILE), RUN_FILE)
        report = replace(report, seconds=times.get("seconds", {}))
    return report, LabelMapping.load(folder / MAPPING_FILE), similarity


def _read(kind: type[Facts], file: Path) -> Facts:
    data = read_json(file)
    try:
        return kind.from_dict(data)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from None


def write_json(data: object, file: Path) -> None:
    """Write data as JSON for people to read."""
    file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
