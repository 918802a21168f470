"""``align``, ``apply`` and ``diff``: what their options ask for, and what they print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    GreedySettings,
    LabelMapping,
    MergeResult,
    OutputSettings,
    SchemaSettings,
    TaggerSettings,
)
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.cli.main import main
from esnera_hf.sources.load import load_source
from esnera_hf.tagging import LabelRef
from world import TRAINING, World

ALL_OF_TRAINING = {
    **{"num_train_epochs": 2.0, "per_device_train_batch_size": 4, "use_cpu": True, "bf16": True},
    **{"learning_rate": 0.1, "head_learning_rate": 0.2},
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {}),
        ("--encoder e --max-samples 9 --seed 7", {"encoder": "e", "max_samples": 9, "seed": 7}),
        ("--method greedy", {"method": "greedy"}),
        ("--evidence surface", {"evidence": "surface"}),
        ("--min-precision 0.95", {"schema": SchemaSettings(min_precision=0.95)}),
        ("--target-schema b", {"target_schema": "b"}),
        ("--target-schema PER,LOC", {"target_schema": ["PER", "LOC"]}),
        ("--target-schema PER", {"target_schema": ["PER"]}),
        (
            "--method greedy --lambda 0.4 --tau 0.2,0.3 --max-f1-drop 0.1 --scoring native --search-max-samples 5",
            {"method": "greedy", "greedy": GreedySettings(0.4, (0.2, 0.3), 0.1, "native", 5)},
        ),
        (
            "--evidence taggers --match overlap --center all --embeddings pretrained",
            {"evidence": "taggers", "measures": EvidenceSettings(None, "overlap", "all", "pretrained")},
        ),
        (
            "--taggers separate --epochs 2 --batch-size 4 --learning-rate 0.1 --head-learning-rate 0.2 --cpu --bf16",
            {"taggers": TaggerSettings("separate", ALL_OF_TRAINING)},
        ),
        ("--joint-of a,b", {"taggers": TaggerSettings(joint_of=("a", "b"))}),
        (
            "--name a:x=X --must-link a:x,b:y --cannot-link a:x,b:z --must-link a:u,b:v --locked m.yaml "
            "--part-of a:u,b:w",
            {
                "schema": SchemaSettings(
                    {"a:x": "X"},
                    [("a:x", "b:y"), ("a:u", "b:v")],
                    [("a:x", "b:z")],
                    Path("m.yaml"),
                    [("a:u", "b:w")],
                )
            },
        ),
        ("--no-pseudo-labels", {"output": OutputSettings(pseudo_label_threshold=None)}),
        (
            "--pseudo-label-threshold 0.7 --train-merged --baselines naive,gold --no-partial-likelihood",
            {
                "output": OutputSettings(
                    pseudo_label_threshold=0.7,
                    train_merged=True,
                    baselines=("naive", "gold"),
                    partial_likelihood=False,
                )
            },
        ),
    ],
)
def test_what_align_is_asked_for(
    options: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr("esnera_hf.api.align", lambda sources, **given: asked.update(given, sources=sources))
    monkeypatch.setattr("esnera_hf.cli.align.save_and_print", lambda result, folder, verbose: None)
    assert main(["align", "a", "b", *options.split()]) == 0
    arguments = ("encoder", "evidence", "max_samples", "method", "seed", "target_schema")
    plain = {name: expected[name] for name in arguments if name in expected}
    settings = {name: value for name, value in expected.items() if name not in plain}
    if "measures" in settings:
        settings["evidence"] = settings.pop("measures")
    defaults = {
        **dict.fromkeys(("encoder", "evidence", "target_schema", "to", "max_samples")),
        "method": "equivalence",
        "seed": 42,
    }
    assert asked == {"sources": ["a", "b"], **defaults, **plain, "settings": AlignSettings(**settings)}


def test_how_sources_are_read(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("esnera_hf.api.apply", lambda mapping, sources, **given: asked.extend(sources))
    monkeypatch.setattr("esnera_hf.cli.align.save_and_print", lambda result, folder, verbose: None)
    names = [str(world.folder / "alpha"), f"b={world.folder / 'beta'}"]
    terms = ["--license", "alpha=cc-by-4.0", "--language", "b=fi"]
    assert main(["apply", "mapping.yaml", *names, *terms]) == 0
    alpha, beta = asked
    assert (alpha.name, str(alpha.license.name).lower(), alpha.language) == ("alpha", "cc-by-4.0", "")
    assert (beta.name, beta.language) == ("b", "fi")


def test_a_result_is_saved_and_printed(
    world: World, warm_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command finds the taggers of the same call in Python in the cache."""
    output = tmp_path / "new" / "merged"
    corpora = [str(world.folder / name) for name in ("beta", "alpha")]
    training = [
        *("--learning-rate", "0.01", "--head-learning-rate", "0.02"),
        *("--epochs", str(TRAINING["num_train_epochs"]), "--encoder", str(world.encoder)),
    ]
    assert main(["align", *corpora, "--evidence", "taggers", *training, "--output", str(output)]) == 0
    printed = capsys.readouterr()
    assert "reused" in printed.err
    assert printed.out.endswith(f"saved to {output}; look at {output / 'report.html'} in a browser\n")
    result = MergeResult.load(output)
    assert str(result.report) in printed.out
    assert main(["align", *corpora, "--evidence", "taggers", *training, "--verbose"]) == 0
    details, _, times = result.report.details().rpartition("\n")
    assert times.startswith("time: ")  # which differ from run to run
    assert details in capsys.readouterr().out
    assert repr(result) in printed.out
    assert result.mapping == MergeResult.load(world.joint).mapping


@pytest.fixture
def mappings(tmp_path: Path) -> list[str]:
    """Two mappings of alpha and beta: the second leaves beta's cities out."""
    files = []
    for name, last in (("before", "LOC"), ("after", None)):
        labels = {
            "alpha:per": "PER",
            "alpha:loc": "LOC",
            "beta:name": "PER",
            "beta:city": last,
            "beta:firm": None,
        }
        entries = [MappedLabel(LabelRef(*ref.split(":")), unified) for ref, unified in labels.items()]
        LabelMapping(("PER", "LOC"), tuple(entries)).save(tmp_path / f"{name}.yaml")
        files.append(str(tmp_path / f"{name}.yaml"))
    return files


def test_diff(world: World, mappings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    beta = world.folder / "beta"
    assert main(["diff", *mappings, str(beta)]) == 0
    lines = capsys.readouterr().out.strip().split("\n")
    counts = load_source(beta).summary.entities
    cities = ", ".join(f"{labels['city']} in {split}" for split, labels in counts.items())
    assert lines[:3] == [
        "moved: beta:city: LOC → (left out) (120 train mentions)",
        "no longer one: alpha:loc and beta:city",
        "entities affected:",
    ]
    assert lines[3].strip().startswith(f"beta:city: {cities}; e.g. ")
    assert main(["diff", mappings[0], mappings[0]]) == 0
    assert capsys.readouterr().out == "no difference\n"
    assert main(["diff", *mappings, f"gamma={beta}"]) == 1
    assert "gamma is in neither mapping; they map alpha, beta" in capsys.readouterr().err


def test_apply(world: World, mappings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [str(world.folder / name) for name in ("alpha", "beta")]
    assert main(["apply", mappings[1], *sources, "--output", str(tmp_path / "out")]) == 0
    result = MergeResult.load(tmp_path / "out")
    assert repr(result) in capsys.readouterr().out
    assert result.mapping.members(None) == (LabelRef("beta", "city"), LabelRef("beta", "firm"))
    names = result.dataset["train"].features["ner_tags"].feature.names
    assert names == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    assert main(["apply", mappings[1], *sources, "--verbose"]) == 0
    assert result.details() in capsys.readouterr().out
