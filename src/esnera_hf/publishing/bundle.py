"""The files of a published dataset: data or recipe, mapping, report, pictures; all but its card."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, DatasetDict

from esnera_hf.alignment import LabelMapping
from esnera_hf.console import no_dataset_bars
from esnera_hf.publishing.recipe import Recipe
from esnera_hf.publishing.repository import MERGED, RECIPE, files_in
from esnera_hf.report import Report
from esnera_hf.report.files import write_report
from esnera_hf.similarity import SimilarityMatrix

DATA_FOLDER = "data"

_SHARD_BYTES = 500 << 20


@dataclass(frozen=True)
class Publication:
    """What is published of an alignment.

    Attributes:
        dataset: the merged dataset.
        mapping: what it was made by.
        similarity: the similarities, if any were measured.
        report: the account.
    """

    dataset: DatasetDict
    mapping: LabelMapping
    similarity: SimilarityMatrix | None
    report: Report


def dataset_configs(dataset: DatasetDict, by_source: bool) -> dict[str, DatasetDict]:
    """Return the configurations of a repository by name: ``merged``, and, if asked, one a source, relabelled.

    Names hold letters, digits and ``_`` only; two sources never share one.
    """
    configs = {MERGED: dataset}
    if by_source:
        sources = sorted({source for part in dataset.values() for source in part.unique("source")})
        for source in sources:
            name = _config_name(source, configs)
            configs[name] = DatasetDict({split: _of_source(part, source) for split, part in dataset.items()})
    return configs


def _config_name(source: str, taken: Mapping[str, object]) -> str:
    base = re.sub(r"\W+", "_", source, flags=re.ASCII).strip("_") or "source"
    if base in ("data", "default", RECIPE):
        base = f"source_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


def _of_source(part: Dataset, source: str) -> Dataset:
    column = part.with_format("numpy", columns=["source"])["source"][:] if len(part) else []
    return part.select([index for index, name in enumerate(column) if name == source])


def write_bundle(
    publication: Publication, configs: Mapping[str, DatasetDict], folder: Path, *, text: bool
) -> dict[str, Path]:
    """Write the files of a publication.

    Args:
        publication: what is published; its report as it may be seen.
        configs: the configurations, ``merged`` among them.
        folder: an empty folder.
        text: whether the dataset itself is published, or its recipe.

    Returns:
        The files by their path in the repository.
    """
    report = publication.report
    write_report(folder, report, publication.mapping, publication.similarity)
    if text:
        with no_dataset_bars():
            for name, splits in configs.items():
                _write_data(splits, folder / DATA_FOLDER / name)
    else:
        Recipe.of(publication.dataset, publication.mapping, report.sources).write(folder)
    return files_in(folder)


def _write_data(splits: DatasetDict, folder: Path) -> None:
    folder.mkdir(parents=True)
    for split, rows in splits.items():
        shards = max(1, -(-rows.data.nbytes // _SHARD_BYTES))
        for index, shard in enumerate(_shards(rows, shards)):
            shard.to_parquet(folder / f"{split}-{index:05d}-of-{shards:05d}.parquet")


def _shards(rows: Dataset, shards: int) -> Iterator[Dataset]:
    for index in range(shards):
        yield rows.shard(shards, index, contiguous=True)
