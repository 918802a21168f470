"""Arguments of the wrong type: loaded where they name sources, refused with what is expected elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import esnera_hf
from builders import make_source, row
from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    GreedySettings,
    OutputSettings,
)
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConfigurationError, SourceNotFoundError
from esnera_hf.merging.export import export
from esnera_hf.tagging import LabelRef
from results import make_result


@pytest.fixture
def corpora(tmp_path: Path) -> list[str]:
    """Two corpora in columns."""
    rows = "".join(f"w{index}\tO\nanna\tB-PER\n\n" for index in range(20))
    for name in ("one", "two"):
        (tmp_path / f"{name}.conll").write_text(rows.replace("w", name))
    return [str(tmp_path / "one.conll"), str(tmp_path / "two.conll")]


def test_names_and_paths_are_loaded(corpora: list[str], tmp_path: Path) -> None:
    loaded = [esnera_hf.load_source(path) for path in corpora]
    assert str(esnera_hf.inspect(corpora[0])) == str(esnera_hf.inspect(loaded[0]))
    assert str(esnera_hf.inspect(corpora)) == str(esnera_hf.inspect(loaded))
    assert esnera_hf.find_duplicates(corpora) == esnera_hf.find_duplicates(loaded)
    files = export(Path(corpora[0]), tmp_path / "out", "conll")
    assert [file.name for file in files] == ["train.conll", "validation.conll", "test.conll"]


SOURCES = [make_source(name, {"train": [row("anna/B-PER " + name)]}) for name in ("a", "b")]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: esnera_hf.inspect(3), "source 3: expected a known name, a path, "),
        (lambda: esnera_hf.inspect(SOURCES[0].dataset), "has no name of its own: pass load_source"),
        (
            lambda: esnera_hf.find_duplicates(SOURCES[0]),
            "expected a list of sources. Put a single one in brackets",
        ),
        (lambda: export({"train": []}, "out"), "a dict has no name"),
        (lambda: esnera_hf.align({"a": "b", "c": "d"}), "expected a list of at least two sources"),
        (lambda: esnera_hf.align([SOURCES[0], None]), "source None: expected a known name"),
        (lambda: esnera_hf.align(SOURCES, settings={"merge": "flat"}), "expected AlignSettings\\(…"),
        (
            lambda: esnera_hf.align(SOURCES, settings=EvidenceSettings()),
            "expected AlignSettings\\(…",
        ),
        (lambda: GreedySettings(lam="0.4"), "λ = '0.4': expected a number from 0"),
        (lambda: GreedySettings(tau="0.4"), "τ = '0.4': expected a number from -1"),
        (lambda: esnera_hf.align(SOURCES, max_samples="9"), "max_samples='9': expected a positive number"),
        (lambda: esnera_hf.align(SOURCES, seed="1"), "seed='1': expected a whole number"),
        (
            lambda: esnera_hf.apply("mapping.yaml", SOURCES, output={"train_merged": True}),
            "expected OutputSettings",
        ),
        (lambda: AlignSettings(GreedySettings()), "evidence=GreedySettings.*: expected EvidenceSettings"),
        (lambda: AlignSettings(output={"x": 1}), "output={'x': 1}: expected OutputSettings"),
        (
            lambda: OutputSettings(train_merged=True, partial_likelihood="yes"),
            "partial_likelihood='yes': expected True, False or None",
        ),
        (
            lambda: OutputSettings(pseudo_label_threshold="0.9"),
            "pseudo_label_threshold='0.9': expected a confidence",
        ),
        (lambda: GreedySettings(max_f1_drop="0.1"), "max_f1_drop='0.1': expected a share"),
        (lambda: GreedySettings(max_samples="10"), "greedy max_samples='10': expected a whole number"),
        (
            lambda: OutputSettings(train_merged=True, partial_likelihood=True, pseudo_label_noise="0"),
            "pseudo_label_noise='0': expected a number",
        ),
        (lambda: OutputSettings(train_merged=True, pseudo_label_noise=0.1), "pseudo_label_noise= needs"),
    ],
)
def test_what_is_of_no_use_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        call()


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(SourceNotFoundError):
        esnera_hf.inspect("nowhere/x.conll")


def test_a_label_as_it_is_written() -> None:
    mapping = make_result().mapping
    assert mapping["alpha:city"] == mapping[LabelRef("alpha", "city")] == mapping["alpha", "city"]
    with pytest.raises(
        KeyError, match=r"'alpha:citty'.*'source:label' or \(source, label\); found 'alpha:city'"
    ):
        mapping["alpha:citty"]
    entries = [MappedLabel(LabelRef(*ref), "X") for ref in (("a", "b:c"), ("a:b", "c"))]
    with pytest.raises(KeyError, match=r"found LabelRef\(source='a', label='b:c'\), LabelRef"):
        esnera_hf.LabelMapping(("X",), tuple(entries))["a:b:c"]
