"""A merged dataset, its recipe, or a tagger on the Hub: all files are written to a folder and appear in one commit."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

import jinja2
from datasets import Dataset, DatasetDict
from huggingface_hub import DatasetCard, ModelCard, RepoCard

from esnera_hf._internal.checks import from_plain, to_plain
from esnera_hf._internal.console import no_dataset_bars, quiet_libraries
from esnera_hf._internal.text import counted, visible
from esnera_hf.alignment.flow import draw_flow
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.errors import ConfigurationError
from esnera_hf.hub.cards import MERGED, dataset_card, model_card
from esnera_hf.hub.readme import plain_data, write_readme
from esnera_hf.hub.recipe import Recipe
from esnera_hf.hub.repository import MANIFEST, README, HubRepository, Published
from esnera_hf.merging.corrections import count_corrected
from esnera_hf.metrics import Scores
from esnera_hf.report.call import CallFacts
from esnera_hf.report.files import write_report
from esnera_hf.report.report import MergeReport
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.licenses import check_names, check_text_may_be_published, licenses_of
from esnera_hf.sources.source import License, SourceSummary

if TYPE_CHECKING:
    from esnera_hf.modeling.tagger import Tagger

#: 500 MiB, what ``datasets`` cuts shards to: the Hub shows and streams files of that size well.
_SHARD_BYTES = 500 << 20
_RECORD_FILE = "training_history.json"


class Publishable(Protocol):
    """What is published of an alignment: a ``MergeResult``."""

    @property
    def dataset(self) -> DatasetDict: ...
    @property
    def mapping(self) -> LabelMapping: ...
    @property
    def similarity(self) -> SimilarityMatrix | None: ...
    @property
    def report(self) -> MergeReport: ...


@dataclass(frozen=True)
class DatasetSettings:
    """How a dataset is published.

    Attributes:
        text: whether the dataset is published, or the recipe to make it again.
        may_share: sources whose text the user states to hold the right to pass on.
        by_source: add a configuration per source, relabelled.

    Raises:
        ConfigurationError: configurations are added, and all text is held back.
    """

    text: bool = True
    may_share: Collection[str] = ()
    by_source: bool = False

    def __post_init__(self) -> None:
        if self.by_source and not self.text:
            raise ConfigurationError(
                "by_source=True adds data, and text=False holds it back: choose one of the two."
            )

    def check(self, licenses: Mapping[str, License]) -> None:
        """Check the terms of the sources.

        Raises:
            LicenseError: the terms of a source forbid to publish its text.
            ConfigurationError: ``may_share`` names no source.
        """
        check_names(licenses, self.may_share)
        if self.text:
            check_text_may_be_published(licenses, self.may_share)


def push_dataset(
    result: Publishable,
    repository: HubRepository,
    settings: DatasetSettings,
    *,
    private: bool | None = None,
    message: str | None = None,
) -> Published:
    """Publish a merged dataset or its recipe; see ``MergeResult.push_to_hub``."""
    settings.check(_licenses_of_text(result.report))
    repository.prepare(private)
    mapping = result.mapping
    default = (
        f"Publish the {'' if settings.text else 'recipe of a '}merged dataset: "
        f"{counted(len(mapping.entries), 'label')} of "
        f"{counted(len(mapping.sources), 'source')}, "
        f"{counted(len(mapping.unified_labels) - len(mapping.umbrellas), 'unified label')}"
    )
    with tempfile.TemporaryDirectory(prefix="esnera-") as folder:
        save_for_hub(result, Path(folder), repository.repo_id, settings)
        return repository.publish(Path(folder), message or default)


def _licenses_of_text(report: MergeReport) -> dict[str, License]:
    """Return the terms of the sources of which sentences are merged, not of those that came as evidence bundles."""
    return licenses_of(source for source in report.sources if any(source.sentences.values()))


def save_for_hub(result: Publishable, folder: Path, repo_id: str, settings: DatasetSettings) -> None:
    """Write all files that :func:`push_dataset` commits to an empty repository to an empty folder."""
    if not settings.text and (corrected := count_corrected(result.dataset, result.mapping)):
        raise ConfigurationError(
            "text=False publishes how to make the dataset from its sources. It was corrected by hand since (sentences: "
            f"{corrected:,}), which nobody could make again. Publish the text, or what was there before."
        )
    # The card first: it refuses text that may not be published before any of it is written.
    card = card_of_dataset(result, repo_id, settings)
    report = shareable_report(result.report, text=settings.text)
    write_report(folder, report, result.mapping, result.similarity)
    if settings.text:
        with no_dataset_bars():
            for name, splits in dataset_configs(result.dataset, settings.by_source).items():
                _write_data(splits, folder / "data" / name)
    else:
        sources = {source.name: source.provenance.homepage for source in report.sources}
        Recipe.of(result.dataset, result.mapping, sources).write(folder)
    write_card(folder, card)


def card_of_dataset(result: Publishable, repo_id: str, settings: DatasetSettings) -> DatasetCard:
    """Return the card that :func:`push_dataset` publishes.

    Raises:
        LicenseError: the terms of a source forbid to publish its text.
    """
    settings.check(_licenses_of_text(result.report))
    report = shareable_report(result.report, text=settings.text)
    configs = dataset_configs(result.dataset, settings.by_source)
    return dataset_card(repo_id, report, result.mapping, configs, text=settings.text)


def dataset_configs(dataset: DatasetDict, by_source: bool) -> dict[str, DatasetDict]:
    """Return the configurations of a repository by name: ``merged``, and, if asked, one per source, relabelled.

    Names hold letters, digits and ``_`` only; two sources never share one.
    """
    configs = {MERGED: dataset}
    sources = (
        {source for part in dataset.values() for source in part.unique("source")} if by_source else set()
    )
    for source in sorted(sources):
        base = re.sub(r"\W+", "_", source, flags=re.ASCII).strip("_") or "source"
        # These names mean something else to the Hub and to a recipe.
        base = f"source_{base}" if base in ("data", "default", "recipe") else base
        name, number = base, 2
        while name in configs:
            name, number = f"{base}_{number}", number + 1
        configs[name] = DatasetDict({split: _of_source(part, source) for split, part in dataset.items()})
    return configs


def _of_source(part: Dataset, source: str) -> Dataset:
    column = part.with_format("numpy", columns=["source"])["source"][:] if len(part) else []
    return part.select([index for index, name in enumerate(column) if name == source])


def _write_data(splits: DatasetDict, folder: Path) -> None:
    folder.mkdir(parents=True)
    for split, rows in splits.items():
        shards = max(1, -(-rows.data.nbytes // _SHARD_BYTES))
        for index in range(shards):
            shard = rows.shard(shards, index, contiguous=True)
            shard.to_parquet(folder / f"{split}-{index:05d}-of-{shards:05d}.parquet")


def write_card(folder: Path, card: RepoCard) -> None:
    """Write README and manifest beside the files of a publication."""
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    manifest = {"metadata": plain_data(card.data), "files": sorted([*files, MANIFEST])}
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_bytes(text.encode("utf-8", "replace"))
    (folder / README).write_bytes(write_readme(card).encode("utf-8", "replace"))


def push_tagger(
    tagger: Tagger, repository: HubRepository, *, private: bool | None = None, message: str | None = None
) -> Published:
    """Publish a tagger: weights, tokenizer, code and card; see ``Tagger.push_to_hub``."""
    repository.prepare(private)
    card = card_of_tagger(tagger, repository.repo_id)
    labels = counted(len(tagger.labels), "label")
    with quiet_libraries(), tempfile.TemporaryDirectory(prefix="esnera-") as place:
        folder = Path(place)
        type(tagger)(tagger.model, tagger.tokenizer).save_pretrained(folder)  # without its record
        if tagger.record.get("mapping"):
            LabelMapping.from_yaml(tagger.record["mapping"]).save(folder / MAPPING_FILE)
        write_card(folder, card)
        return repository.publish(folder, message or f"Publish a CRF tagger for {labels}")


def card_of_tagger(tagger: Tagger, repo_id: str) -> ModelCard:
    """Return the card that :func:`push_tagger` publishes.

    Raises:
        ConfigurationError: the tagger's record is not of this version.
    """
    record = tagger.record
    try:
        encoder = record.get("encoder")
        if record.get("report"):
            report = MergeReport.from_dict(record["report"])
            encoder = (report.call.encoder if report.call else None) or ""
            # A folder of somebody's is no base_model, and its name is nobody's business.
            encoder = "" if encoder in report.local_paths or _looks_like_a_place(encoder) else encoder
        else:
            sources = from_plain(tuple[SourceSummary, ...], record.get("sources") or [], "sources")
            report = MergeReport(sources)
        scores = {
            split: from_plain(Scores, record[split], split)
            for split in ("validation", "test")
            if record.get(split)
        }
        return model_card(
            repo_id,
            tagger.labels,
            {**record, **scores, "encoder": encoder},
            report=shareable_report(report, text=True),
            mapping=LabelMapping.from_yaml(record["mapping"]) if record.get("mapping") else None,
        )
    except (
        ConfigurationError,
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        RecursionError,
        jinja2.UndefinedError,
    ) as error:
        raise ConfigurationError(
            f"the tagger's record ({_RECORD_FILE} beside it) is not one of this version: {type(error).__name__}: "
            f"{error}. Remove the file, and the card says less."
        ) from error


def html_of_tagger(tagger: Tagger) -> str:
    """Return what a notebook shows of a tagger: its flow picture if it is of merged data, and scores on test."""
    parts = [f"<p>{escape(visible(repr(tagger)))}</p>"]
    record = tagger.record
    if record.get("mapping"):
        parts.append(draw_flow(LabelMapping.from_yaml(record["mapping"])))
    if record.get("test"):
        parts.append(from_plain(Scores, record["test"], "test")._repr_html_())
    return "".join(parts)


def shareable_report(report: MergeReport, *, text: bool) -> MergeReport:
    """Return a report as it may be published: without paths, and without mentions and contexts unless ``text``."""
    call = report.call
    if call is not None:
        call = from_plain(CallFacts, _without_places(to_plain(call), report.local_paths), "call")
    shared = replace(report, call=call, local_paths=(), seconds={})
    questions = tuple(replace(question, examples=()) for question in report.questions)
    return shared if text else replace(shared, examples=(), dropped={}, questions=questions)


def _without_places(value: Any, places: Collection[str]) -> Any:
    """Replace places by the name of what lies there, and ``name=place`` by the name."""
    if isinstance(value, Mapping):
        return {key: _without_places(item, places) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_places(item, places) for item in value]
    if not isinstance(value, str):
        return value
    name, equals, place = value.partition("=")
    named = equals and not any(mark in name for mark in ("/", os.sep, "\\"))
    if named and (value in places or _looks_like_a_place(place)):
        return name
    return PurePath(value).name if value in places or _looks_like_a_place(value) else value


def _looks_like_a_place(text: str) -> bool:
    starts = ("~", f".{os.sep}", f"..{os.sep}")
    return "\n" not in text and (os.path.isabs(text) or text.startswith(starts) or "\\" in text)
