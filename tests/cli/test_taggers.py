"""``train``, ``predict`` and ``evaluate``."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builders import refusal
from esnera_hf.cli.main import main
from esnera_hf.metrics import score_tags
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.sources.source import NerSource
from world import TRAINING, World


def test_a_trained_tagger_is_evaluated_as_training_did(
    world: World, warm_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The world has trained it already, so that nothing is trained here."""
    folder, alpha = tmp_path / "tagger", str(world.folder / "alpha")
    epochs = TRAINING["num_train_epochs"]
    rates = ["--learning-rate", "0.01", "--head-learning-rate", "0.02", "--epochs", str(epochs)]
    assert main(["train", alpha, "--encoder", str(world.encoder), *rates, "--output", str(folder)]) == 0
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert lines[0].startswith("alpha: license")
    assert len([line for line in lines if line.startswith("  epoch ")]) == epochs
    assert lines[-1] == f"saved to {folder}"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in folder.iterdir()}
    for split, summary in zip(("validation", "test"), lines[-3:-1], strict=True):
        assert main(["evaluate", str(folder), alpha, "--split", split]) == 0
        head, columns, *rows = capsys.readouterr().out.rstrip("\n").split("\n")
        assert head == f"alpha, {split}: 40 sentences"
        assert columns.split() == ["label", "precision", "recall", "f1", "support"]
        assert [row.split()[0] for row in rows] == ["loc", "per", "micro"]
        f1, support = rows[-1].split()[-2:]
        assert summary.startswith(f"{split}: micro-F1 {f1}, ")
        assert summary.endswith(f"on {support} entities")
        assert sum(int(row.split()[-1]) for row in rows[:-1]) == int(support)


def test_prediction_from_a_file_and_from_standard_input(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tagger = str(world.separate / "tagger")
    text = "anna met bruno in paris\n\n  \r\nthe people of oslo met\r\n中国 x\n"
    (tmp_path / "text.txt").write_bytes(text.encode())
    assert main(["predict", tagger, str(tmp_path / "text.txt")]) == 0
    from_file = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["predict", tagger]) == 0
    assert capsys.readouterr().out == from_file
    records = [json.loads(line) for line in from_file.split("\n")[:-1]]
    assert [record["tokens"] for record in records] == [
        ["anna", "met", "bruno", "in", "paris"],
        [],
        [],
        ["the", "people", "of", "oslo", "met"],
        ["中", "国", " ", "x"],
    ]
    first, second, *_ = [(e["start"], e["end"], e["text"]) for e in records[0]["entities"]]
    assert (first, second) == ((0, 1, "anna"), (2, 3, "bruno"))
    for line, record in zip(text.split("\n"), records, strict=False):
        for entity in record["entities"]:
            assert line[entity["start_char"] : entity["end_char"]] == entity["text"]
            assert 0 < entity["score"] <= 1
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["predict", tagger]) == 0
    assert capsys.readouterr().out == ""
    # For Label Studio: the same entities as predictions, in lines that are not blank.
    assert main(["predict", tagger, str(tmp_path / "text.txt"), "--format", "label-studio"]) == 0
    tasks = json.loads(capsys.readouterr().out)
    filled = [record for record in records if record["tokens"]]
    assert [task["data"]["tokens"] for task in tasks] == [record["tokens"] for record in filled]
    for task, record in zip(tasks, filled, strict=True):
        (prediction,) = task["predictions"]
        spans = [(r["value"]["start"], r["value"]["text"], r["score"]) for r in prediction["result"]]
        assert spans == [(e["start_char"], e["text"], e["score"]) for e in record["entities"]]
        assert prediction["model_version"] == "tagger"
        assert prediction.get("score", 1) == min([e["score"] for e in record["entities"]], default=1)
    monkeypatch.setattr(sys, "stdin", io.StringIO(" \n"))
    assert main(["predict", tagger, "--format", "label-studio"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_evaluate_with_a_tagger_of_other_labels(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tagger = SimpleNamespace(labels=("city", "firm"), record={})
    monkeypatch.setattr(Tagger, "from_pretrained", lambda path: tagger)
    assert refusal(capsys, "evaluate", "tagger", world.folder / "alpha") == (
        "the tagger predicts city, firm, alpha annotates loc, per: no label in common, so every score would be 0. Give "
        "the tagger a corpus of its own labels."
    )


def test_a_tagger_of_a_sample_is_told_of_the_sample(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = score_tags([["B-x"]], [["B-x"]]).to_dict()
    trained_on = []

    def train(source: NerSource, **options: Any) -> Any:
        trained_on.append(source)
        record = {"history": [], "validation": scores, "test": scores}
        return SimpleNamespace(record=record, save_pretrained=lambda folder: None)

    monkeypatch.setattr("esnera_hf.taggers.train.train_tagger", train)
    words = ["train", str(world.folder / "alpha"), "--max-samples", "7", "--output", str(tmp_path / "out")]
    assert main(words) == 0
    assert "train: 7 sentences" in capsys.readouterr().out
    assert [len(rows) for rows in trained_on[0].dataset.values()] == [7, 7, 7]
