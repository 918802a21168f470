"""What an alignment is made with when something, or nothing, is set."""

from __future__ import annotations

import json
from typing import Any

import pytest

from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    GreedySettings,
    LabelMapping,
    OutputSettings,
    SchemaSettings,
)
from esnera_hf.errors import ConfigurationError


@pytest.mark.parametrize(
    ("given", "lam", "tau", "merge"),
    [
        ({}, None, None, "typed"),
        ({"search": GreedySettings(max_samples=100)}, None, None, "typed"),
        ({}, 0.4, None, "flat"),
        ({}, None, 0.4, "flat"),
        ({"search": GreedySettings(max_f1_drop=0.1)}, None, None, "flat"),
        ({"merge": "flat"}, None, None, "flat"),
    ],
)
def test_merging_is_typed_unless_something_of_the_path_is_set(
    given: dict[str, Any], lam: float | None, tau: float | None, merge: str
) -> None:
    assert AlignSettings(**given).completed(lam, tau, 1).merge == merge


def test_lambda_tau_and_seed_are_filled_in() -> None:
    settings = AlignSettings().completed(0.3, None, 7)
    assert settings.search == GreedySettings(lam=0.3)
    assert settings.evidence.training == {"seed": 7}
    own = AlignSettings(EvidenceSettings(training={"seed": 3})).completed(None, 0.2, 7)
    assert own.search.tau == 0.2
    assert own.evidence.training == {"seed": 3}


@pytest.mark.parametrize(
    ("search", "lam", "tau"),
    [
        (GreedySettings(), 0.4, None),
        (GreedySettings(), None, 0.4),
        (GreedySettings(max_f1_drop=0.1), None, None),
    ],
)
def test_typed_merging_knows_neither_lambda_nor_tau_nor_a_search(
    search: GreedySettings, lam: float | None, tau: float | None
) -> None:
    with pytest.raises(ConfigurationError, match="merge='typed', which knows none of them"):
        AlignSettings(search=search, merge="typed").completed(lam, tau, 1)


@pytest.mark.parametrize("lam", [None, 0.4])
def test_what_a_report_keeps_can_be_used_again(lam: float | None) -> None:
    settings = AlignSettings().completed(lam, None, 1)
    kept = json.loads(json.dumps(settings.to_dict()))
    again = AlignSettings(
        EvidenceSettings(**kept["evidence"]),
        GreedySettings(**kept["search"]),
        SchemaSettings(**kept["schema"]),
        OutputSettings(**kept["final"]),
        kept["merge"],
    )
    assert again.search == settings.search
    assert again.completed(lam, None, 1).merge == settings.merge


def test_another_way_of_merging_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="merge='deep': expected flat or typed"):
        AlignSettings(merge="deep")  # type: ignore[arg-type]


def test_a_locked_mapping_is_named_by_its_file() -> None:
    locked = LabelMapping(("x",), (), file="old/mapping.yaml")
    for schema, file, named in (
        (SchemaSettings(), None, None),
        (SchemaSettings(locked="mine.yaml"), "mine.yaml", "mine.yaml"),
        (SchemaSettings(locked=locked), "old/mapping.yaml", "old/mapping.yaml"),
        (SchemaSettings(locked=LabelMapping(("x",), ())), None, "mapping.yaml"),
    ):
        settings = AlignSettings(schema=schema)
        assert settings.locked_file == file
        assert settings.to_dict()["schema"]["locked"] == named
