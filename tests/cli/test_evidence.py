"""What `esnera-hf evidence` holds back unless it is told not to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders import write_corpus
from esnera_hf.cli.main import main
from esnera_hf.hub.evidence import Evidence


@pytest.mark.parametrize(
    ("options", "reveal", "min_support", "noise"),
    [
        ((), 0.54, 20, True),
        (("--reveal", "0.6"), 0.6, 20, True),
        (("--min-support", "100"), 0.54, 100, True),
        (("--exact",), 1.0, 3, False),
    ],
)
def test_what_is_held_back(
    options: tuple[str, ...],
    reveal: float,
    min_support: int,
    noise: bool,
    encoder_folder: Path,
    tmp_path: Path,
) -> None:
    corpus = write_corpus(tmp_path / "mine", {"PERSON": "PER", "PLACE": "LOC"}, 1)
    file = tmp_path / "mine.evidence"
    command = ["evidence", str(corpus), "--encoder", str(encoder_folder), "--output", str(file), *options]
    assert main(command) == 0
    facts = Evidence.load(file).facts
    assert (facts["reveal"], facts["min_support"], bool(facts["noise"])) == (reveal, min_support, noise)


@pytest.mark.parametrize("share", [0.04, 0.06])
def test_heads_that_find_next_to_nothing_are_said(
    share: float,
    encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    corpus = write_corpus(tmp_path / "mine", {"PERSON": "PER", "PLACE": "LOC"}, 1)
    made = Evidence.from_source(corpus, encoder=encoder_folder)
    head = replace(made.head, recall={"PER": 0.9, "LOC": share})
    bundle = Evidence(made.facts, head, made.centroids, made.forms)
    monkeypatch.setattr(Evidence, "from_source", lambda *_, **__: bundle)
    assert main(["evidence", str(corpus), "--output", str(tmp_path / "mine.evidence")]) == 0
    assert ("less than 5% of the mentions of 1 of 2 labels" in capsys.readouterr().out) == (share < 0.05)


def test_exact_and_a_bound_contradict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evidence", "x", "--exact", "--reveal", "0.6", "--output", str(tmp_path / "x.evidence")])
    assert "--reveal: not allowed with argument --exact" in capsys.readouterr().err
