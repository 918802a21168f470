"""Metadata in the vocabulary of the Hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from esnera_hf.hub.card_metadata import (
    evaluation,
    hub_ids,
    languages,
    multilinguality,
    size_category,
    source_datasets,
)
from esnera_hf.sources.source import License, Provenance, SourceSummary


def source(hub_id: str = "", language: str = "") -> SourceSummary:
    return SourceSummary(
        "a", License(), {}, {}, {}, {}, {}, (), language=language, provenance=Provenance(hub_id=hub_id)
    )


@pytest.mark.parametrize(
    ("of_sources", "given", "expected"),
    [
        (languages, "zh", ["zh"]),
        (languages, "en-GB|EN_us|de", ["de", "en"]),
        (languages, "ceb|mul|und|qaa|zxx", ["ceb"]),
        (languages, "|xx|english|z|e n", []),
        (multilinguality, "zh|zh-Hant", ["monolingual"]),
        (multilinguality, "zh|en", ["multilingual"]),
        (multilinguality, "mul", ["multilingual"]),
        (multilinguality, "zh|", []),
        (lambda sources: multilinguality([]), "", []),
    ],
)
def test_languages(of_sources: Callable[[Any], list[str]], given: str, expected: list[str]) -> None:
    assert of_sources([source(language=code) for code in given.split("|")]) == expected


def test_size_category() -> None:
    sizes = [size_category(rows) for rows in (0, 999, 1000, 9999, 10_000, 1_234_567, 10**13)]
    assert sizes == ["n<1K", "n<1K", "1K<n<10K", "1K<n<10K", "10K<n<100K", "1M<n<10M", "1B<n<10B"]


def test_sources_on_the_hub() -> None:
    found = [source("a/b"), source("a/b"), source("not an id"), source()]
    assert hub_ids(found) == ["a/b"]
    assert source_datasets(found) == ["extended|a/b", "original"]
    assert source_datasets(found[:2]) == ["extended|a/b"]
    assert source_datasets([source()]) == ["original"]
    assert source_datasets([]) == ["original"]


def test_datasets_that_share_a_repository_stay_apart() -> None:
    found = evaluation(
        [
            ("a", "o/r", "test", {"f1": 0.12345}),
            ("b", "o/r", "test", {"f1": 0.5}),
            ("人", "", "test", {"f1": 0.5}),
            ("unknown", "", "test", {"f1": None}),
        ],
    )
    told = [(entry.dataset_name, entry.dataset_type, entry.dataset_config) for entry in found]
    assert told == [("a", "o/r", None), ("b", "o/r", "2"), ("人", "dataset", None)]
    assert (found[0].metric_type, found[0].metric_value, found[0].dataset_split) == ("f1", 0.1235, "test")
    assert evaluation([("a", "", "test", {"f1": None})]) == []
