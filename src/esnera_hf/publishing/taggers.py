"""A tagger on the Hub: weights, tokenizer, code and card appear in one commit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from esnera_hf.alignment import LabelMapping
from esnera_hf.cards import Card, ModelCardFacts, model_card
from esnera_hf.console import quiet_libraries
from esnera_hf.errors import ConfigurationError
from esnera_hf.hub import HubRepository, Published
from esnera_hf.licensing import licences_of, strictest_terms
from esnera_hf.publishing.repository import commit_with_card, files_in
from esnera_hf.publishing.shareable import public_encoder, shareable_report
from esnera_hf.report import Report
from esnera_hf.report.files import MAPPING_FILE

if TYPE_CHECKING:
    from esnera_hf.modeling import Tagger

#: ``esnera_hf.modeling.pretrained.RECORD_FILE``, named without importing torch.
RECORD_FILE = "training_history.json"


def publish_tagger(
    tagger: Tagger,
    repository: HubRepository,
    *,
    private: bool | None = None,
    message: str | None = None,
) -> Published:
    """Publish a tagger.

    Args:
        tagger: the tagger; its record tells what it was trained on.
        repository: a model repository.
        private: whether the repository is to be private.
        message: of the commit.

    Raises:
        HubError: the Hub refuses it or cannot be reached; nothing is half published.
    """
    with quiet_libraries(), tempfile.TemporaryDirectory(prefix="esnera-") as place:
        repository.prepare(private)
        card = card_of_tagger(tagger, repository.repo_id)
        folder = Path(place)
        type(tagger)(tagger.model, tagger.tokenizer).save_pretrained(folder)  # without its record
        mapping = _mapping(tagger.record)
        if mapping is not None:
            mapping.save(folder / MAPPING_FILE)
        labels = f"{len(tagger.labels)} label{'s' * (len(tagger.labels) != 1)}"
        return commit_with_card(
            repository, files_in(folder), card, message or f"Publish a CRF tagger for {labels}"
        )


def card_of_tagger(tagger: Tagger, repo_id: str) -> Card:
    """Return the card that :func:`publish_tagger` would publish.

    Raises:
        ConfigurationError: the tagger's record is not of this version.
    """
    record = tagger.record
    try:
        return _card(tagger, repo_id, record)
    except (KeyError, TypeError, ValueError, AttributeError, jinja2.UndefinedError) as error:
        raise ConfigurationError(
            f"the tagger's record ({RECORD_FILE} beside it) is not one of this version: {type(error).__name__}: "
            f"{error}. Remove the file, and the card says less."
        ) from error


def _card(tagger: Tagger, repo_id: str, record: Mapping[str, Any]) -> Card:
    report = Report.from_dict(record["report"]) if record.get("report") else None
    sources = report.sources if report is not None else record.get("sources") or []
    card = model_card(
        ModelCardFacts(
            repo_id=repo_id,
            tagger_labels=tagger.labels,
            base_encoder=str(record.get("encoder") or "") if report is None else public_encoder(report),
            report=None if report is None else shareable_report(report, text=True),
            mapping=_mapping(record),
            terms=strictest_terms(licences_of(sources)),
            record=record,
            dataset_repo=str(record.get("dataset_repo") or ""),
            sources=sources,
        )
    )
    if sources:
        return card
    # Nothing is known of what it was trained on, so nothing is said of its terms.
    said = {key: value for key, value in card.metadata.items() if not key.startswith("license")}
    return replace(card, metadata=said)


def _mapping(record: Mapping[str, Any]) -> LabelMapping | None:
    text = record.get("mapping")
    return LabelMapping.from_yaml(text) if text else None
