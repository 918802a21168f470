"""The card of a tagger from whatever record lies beside it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from esnera_hf._internal.checks import to_plain
from esnera_hf.errors import ConfigurationError
from esnera_hf.hub.push import card_of_tagger
from results import make_result


def card(**record: Any) -> Any:
    return card_of_tagger(SimpleNamespace(labels=("PER",), record=record), "me/tagger")  # type: ignore[arg-type]


def test_without_a_record_nothing_is_said_of_terms_or_scores() -> None:
    found = card()
    assert not {"license", "license_name", "model-index", "base_model"} & set(found.data.to_dict())
    assert "PER" in found.text


def test_terms_are_those_of_the_sources() -> None:
    report = make_result(licenses=("mit", "cc-by-sa-4.0")).report
    assert card(sources=to_plain(report.sources)).data.to_dict()["license"] == "cc-by-sa-4.0"
    unknown = make_result(licenses=("mit", "unknown")).report
    assert card(sources=to_plain(unknown.sources)).data.to_dict()["license"] == "other"


@pytest.mark.parametrize(
    "record",
    [
        {"sources": [{"name": "a"}]},
        {"sources": [{"name": "a", "license": {"name": "mit", "more": 1}}]},
        {"report": [1]},
        {"validation": {"f1": 1}},
        {"history": [{"loss": 1}]},
        {"arguments": "abc"},
        {"mapping": "labels: 7"},
    ],
)
def test_a_record_of_another_version_is_named(record: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"the tagger's record \(training_history\.json beside it\)"):
        card(**record)
