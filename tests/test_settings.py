"""Settings of an alignment: what goes together, and what a report holds of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from esnera_hf._internal.checks import from_plain, to_plain
from esnera_hf.alignment.constraints import SchemaSettings
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.search import GreedySettings
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import OutputSettings
from esnera_hf.settings import AlignSettings
from esnera_hf.similarity.evidence import EvidenceSettings
from esnera_hf.taggers.settings import TaggerSettings


def test_the_seed_of_the_training_is_that_of_the_call_unless_it_has_one() -> None:
    assert AlignSettings().checked("equivalence", None, 7).taggers.training == {"seed": 7}
    own = AlignSettings(taggers=TaggerSettings(training={"seed": 3}))
    assert own.checked("greedy", None, 7).taggers.training == {"seed": 3}


@pytest.mark.parametrize("taggers", [TaggerSettings("separate"), TaggerSettings(joint_of=["a"])])
def test_settings_of_taggers_are_refused_where_none_is_trained(taggers: TaggerSettings) -> None:
    settings = AlignSettings(taggers=taggers)
    with pytest.raises(ConfigurationError, match="no tagger of a source is trained"):
        settings.checked("equivalence", None, 1)
    for checked in (
        settings.checked("equivalence", "taggers", 1),
        settings.checked("greedy", "frozen", 1),
        AlignSettings(taggers=taggers, output=OutputSettings(train_merged=True, compare="joint")).checked(
            "equivalence", None, 1
        ),
    ):
        assert checked.taggers.kind == taggers.kind


@pytest.mark.parametrize("greedy", [GreedySettings(lam=0.4), GreedySettings(max_samples=100)])
def test_equivalence_knows_no_settings_of_the_greedy_path(greedy: GreedySettings) -> None:
    with pytest.raises(ConfigurationError, match="method='equivalence', which knows none of them"):
        AlignSettings(greedy=greedy).checked("equivalence", None, 1)
    assert AlignSettings(greedy=greedy).checked("greedy", None, 1).greedy == greedy


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AlignSettings().checked("deep", None, 1), r"method='deep': expected 'equivalence' or 'greedy'"),  # type: ignore[arg-type]
        (lambda: AlignSettings(output=GreedySettings()), r"output=GreedySettings\(.*: expected OutputSettings\(…\)"),  # type: ignore[arg-type]
        (
            lambda: AlignSettings(EvidenceSettings(embeddings="tuned"), TaggerSettings("separate")),
            "embeddings='tuned' needs joint taggers",
        ),
    ],
)  # fmt: skip
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_what_a_report_holds_can_be_used_again() -> None:
    settings = AlignSettings(
        EvidenceSettings("taggers", "overlap", "all", "pretrained"),
        TaggerSettings("joint", {"num_train_epochs": 3}, ("a", "b")),
        GreedySettings(lam=0.4, tau=(0.1, 0.2), max_samples=9),
        SchemaSettings({"a:x": "X"}, (("a:x", "b:y"),), (), "mapping.yaml", (("a:x", "b:z"),)),
        OutputSettings(None, True, ("gold",), "own", True, 0.5),
    ).checked("greedy", None, 5)
    plain = json.loads(json.dumps(to_plain(settings)))
    assert from_plain(AlignSettings, plain, "settings") == settings


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("taggers.training", {"output_dir": "/"}, "output_dir cannot be set"),
        ("taggers.training", {"num_train_epochs": "9"}, "num_train_epochs='9'"),
        ("taggers.encoder", "x", "settings.taggers: unknown: encoder"),
        ("greedy.lam", "0.4", "settings.greedy.lam='0.4'"),
        ("output.train_merged", 1, "settings.output.train_merged=1: expected bool"),
        ("push_to_hub", True, "settings: unknown: push_to_hub"),
    ],
)
def test_a_stranger_sets_nothing_else(path: str, value: Any, message: str) -> None:
    plain = json.loads(json.dumps(to_plain(AlignSettings())))
    *parents, name = path.split(".")
    place = plain
    for parent in parents:
        place = place[parent]
    place[name] = value
    with pytest.raises(ConfigurationError, match=message):
        from_plain(AlignSettings, plain, "settings")


def test_a_locked_mapping_is_named_by_its_file() -> None:
    for locked, name in (
        (None, None),
        ("mine.yaml", "mine.yaml"),
        (LabelMapping(("x",), (), file="old/mapping.yaml"), "old/mapping.yaml"),
        (LabelMapping(("x",), ()), "mapping.yaml"),
    ):
        assert AlignSettings(schema=SchemaSettings(locked=locked)).recorded().schema.locked == name
