"""What an alignment gives back, and its form on disk."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datasets import DatasetDict, load_from_disk
from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from esnera_hf.alignment import LabelMapping
from esnera_hf.errors import ConfigurationError, MappingError, OutputExistsError, SourceNotFoundError
from esnera_hf.report import Report, render_report, save_heatmaps
from esnera_hf.similarity import SimilarityMatrix
from esnera_hf.tagging import iob2_tag_set

DATASET_FOLDER = "dataset"
MAPPING_FILE = "mapping.yaml"
SIMILARITY_FILE = "similarity.json"
REPORT_FILE = "report.json"
REPORT_PAGE = "report.html"
HEATMAP_FOLDER = "heatmaps"


@dataclass(frozen=True)
class MergeResult:
    """The merged dataset and how it came about.

    Attributes:
        dataset: splits ``train``, ``validation``, ``test``; ``ner_tags`` are ids
            of one ``ClassLabel`` schema.
        mapping: source labels to unified labels.
        similarity: both similarities of all pairs of labels; ``None`` where a
            mapping was applied and nothing measured.
        report: sources, taggers, decisions, search, scores, times.
    """

    dataset: DatasetDict = field(repr=False)
    mapping: LabelMapping
    similarity: SimilarityMatrix | None
    report: Report

    def __repr__(self) -> str:
        sentences = ", ".join(f"{split} {len(rows):,}" for split, rows in self.dataset.items())
        head = (
            f"MergeResult: {len(self.mapping.entries)} labels of {len(self.mapping.sources)} sources → "
            f"{len(self.mapping.unified_labels)} unified labels; sentences: {sentences}"
        )
        return "\n".join([head, *("  " + line for line in str(self.mapping).split("\n"))])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write dataset, mapping, similarities, heatmaps and report (data and HTML) to a new folder.

        Everything is written aside and renamed into place, so the folder is
        either complete or not there.

        Raises:
            OutputExistsError: the folder exists; nothing is written.
        """
        with new_folder(Path(path)) as folder:
            self._write(folder)

    def _write(self, folder: Path) -> None:
        showed_progress = is_progress_bar_enabled()
        disable_progress_bar()
        try:
            self.dataset.save_to_disk(folder / DATASET_FOLDER)
        finally:
            if showed_progress:
                enable_progress_bar()
        self.mapping.save(folder / MAPPING_FILE)
        _write_json(self.report.to_dict(), folder / REPORT_FILE)
        page = render_report(self.report, self.mapping, self.similarity)
        (folder / REPORT_PAGE).write_text(page, encoding="utf-8", errors="replace")
        if self.similarity is not None:
            _write_json(self.similarity.to_dict(), folder / SIMILARITY_FILE)
            save_heatmaps(self.similarity, self.mapping.lam, folder / HEATMAP_FOLDER)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MergeResult:
        """Read a folder written by :meth:`save`.

        Raises:
            SourceNotFoundError: the folder holds no saved result.
            MappingError: its mapping has been edited into something invalid.
        """
        folder = Path(path)
        missing = [
            name for name in (DATASET_FOLDER, MAPPING_FILE, REPORT_FILE) if not (folder / name).exists()
        ]
        if missing:
            raise SourceNotFoundError(
                f"{folder}: no saved result, {', '.join(missing)} not found. Expected a folder written by "
                "MergeResult.save or `esnera-hf align --output`."
            )
        dataset, mapping = (
            load_from_disk(str(folder / DATASET_FOLDER)),
            LabelMapping.load(folder / MAPPING_FILE),
        )
        _check_agreement(dataset, mapping, folder)
        similarity = None
        if (folder / SIMILARITY_FILE).exists():
            similarity = SimilarityMatrix.from_dict(_read_json(folder / SIMILARITY_FILE))
        return cls(dataset, mapping, similarity, Report.from_dict(_read_json(folder / REPORT_FILE)))


def _check_agreement(dataset: DatasetDict, mapping: LabelMapping, folder: Path) -> None:
    for split, rows in dataset.items():
        if rows.features["ner_tags"].feature.names != iob2_tag_set(mapping.unified_labels):
            raise MappingError(
                f"{folder / MAPPING_FILE}: its unified labels are not those of the {split} split beside it. "
                "The dataset was made with another mapping: apply the edited one to the sources "
                "(`esnera-hf apply mapping.yaml SOURCE … --output DIR`), or undo the edit."
            )


def check_free(path: Path) -> None:
    """Check that an output folder is not there yet.

    Raises:
        OutputExistsError: it is.
    """
    if path.exists() or path.is_symlink():
        raise OutputExistsError(
            f"{path} exists already; nothing was written. Choose another folder or remove it yourself."
        )
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ConfigurationError(f"{path}: {parent} is no folder that can be written to. Choose another one.")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes ``target`` at the end and vanishes if anything goes wrong.

    Raises:
        OutputExistsError: ``target`` exists; nothing is written.
    """
    check_free(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".esnera-", dir=target.parent))
    try:
        yield staging
        staging.chmod(0o755)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)  # there only if something went wrong


def _write_json(data: object, file: Path) -> None:
    file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(file: Path) -> dict[str, object]:
    data: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    return data
