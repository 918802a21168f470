"""A merged dataset, or its recipe, on the Hub: data, mapping, report and card appear in one commit."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from datasets import DatasetDict

from esnera_hf.cards import Card, DatasetCardFacts, dataset_card
from esnera_hf.errors import ConfigurationError
from esnera_hf.hub import HubRepository, Published
from esnera_hf.licensing import check_names, check_text_may_be_published, licences_of, strictest_terms
from esnera_hf.publishing.bundle import Publication, dataset_configs, write_bundle
from esnera_hf.publishing.recipe import ROWS_FOLDER
from esnera_hf.publishing.repository import RECIPE, commit_with_card, write_card
from esnera_hf.publishing.shareable import shareable_report


@dataclass(frozen=True)
class DatasetSettings:
    """How a dataset is published.

    Attributes:
        text: whether the dataset is published, or the recipe to make it again.
        may_share: sources whose text the user states to hold the right to pass on.
        by_source: add a configuration a source, relabelled.

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


def publish_dataset(
    publication: Publication,
    repository: HubRepository,
    settings: DatasetSettings,
    *,
    private: bool | None = None,
    message: str | None = None,
) -> Published:
    """Publish a merged dataset or its recipe.

    Args:
        publication: the alignment.
        repository: a dataset repository.
        settings: how.
        private: whether the repository is to be private.
        message: of the commit.

    Raises:
        LicenceError: the terms of a source forbid to publish its text.
        HubError: the Hub refuses it or cannot be reached; nothing is half published.
    """
    shared, configs = _shared(publication, settings)
    with tempfile.TemporaryDirectory(prefix="esnera-") as folder:
        repository.prepare(private)
        files, card = _written(shared, configs, Path(folder), repository.repo_id, settings)
        return commit_with_card(repository, files, card, message or _message(shared, text=settings.text))


def write_publication(
    publication: Publication, folder: Path, repo_id: str, settings: DatasetSettings
) -> None:
    """Write the files that :func:`publish_dataset` would commit to an empty repository, without calling the Hub.

    Args:
        publication: the alignment.
        folder: an empty folder.
        repo_id: what the card calls the repository.
        settings: how.

    Raises:
        LicenceError: the terms of a source forbid to publish its text; nothing is written.
    """
    shared, configs = _shared(publication, settings)
    _, card = _written(shared, configs, folder, repo_id, settings)
    write_card(folder, card)


def _written(
    shared: Publication,
    configs: Mapping[str, DatasetDict],
    folder: Path,
    repo_id: str,
    settings: DatasetSettings,
) -> tuple[dict[str, Path], Card]:
    """Write the files but the card, and return them by their path in the repository, and the card."""
    files = write_bundle(shared, configs, folder, text=settings.text)
    return files, _card(shared, configs, repo_id, settings.text)


def card_of(publication: Publication, repo_id: str, settings: DatasetSettings) -> Card:
    """Return the card that :func:`publish_dataset` would publish.

    Raises:
        LicenceError: the terms of a source forbid to publish its text.
    """
    shared, configs = _shared(publication, settings)
    return _card(shared, configs, repo_id, settings.text)


def _shared(
    publication: Publication, settings: DatasetSettings
) -> tuple[Publication, dict[str, DatasetDict]]:
    """Return what may be published, with its configurations."""
    licences = licences_of(publication.report.sources)
    check_names(licences, settings.may_share)
    if settings.text:
        check_text_may_be_published(licences, settings.may_share)
    shared = replace(publication, report=shareable_report(publication.report, text=settings.text))
    return shared, dataset_configs(shared.dataset, settings.by_source)


def _card(
    shared: Publication,
    configs: Mapping[str, DatasetDict],
    repo_id: str,
    text: bool,
) -> Card:
    facts = DatasetCardFacts(
        repo_id=repo_id,
        report=shared.report,
        mapping=shared.mapping,
        terms=strictest_terms(licences_of(shared.report.sources)),
        configs=configs,
        similarity=shared.similarity,
        text=text,
    )
    card = dataset_card(facts)
    if text:
        return card
    # Let the Hub show the table of fingerprints, and not take report.json for data.
    tables = [f"{ROWS_FOLDER}/{split}.parquet" for split, rows in shared.dataset.items() if len(rows)]
    config = {"config_name": RECIPE, "data_files": tables}
    return replace(card, metadata={**card.metadata, "configs": [config]})


def _message(publication: Publication, *, text: bool) -> str:
    what = "merged dataset" if text else "recipe of a merged dataset"
    mapping = publication.mapping
    return (
        f"Publish the {what}: {len(mapping.entries)} labels of {len(mapping.sources)} sources, "
        f"{len(mapping.unified_labels)} unified labels"
    )
