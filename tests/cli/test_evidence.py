"""What `esnera-hf evidence` holds back unless it is told not to."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import refusal, write_corpus
from esnera_hf.cli.main import main
from esnera_hf.hub.evidence import Evidence


@pytest.mark.parametrize(
    ("options", "strength", "min_support", "noise"),
    [
        ((), 0.0005, 20, 0.25),
        (("--noise", "1"), 0.0005, 20, 1.0),
        (("--min-support", "100", "--strength", "0.01"), 0.01, 100, 0.25),
        (("--exact",), 0.05, 3, 0.0),
    ],
)
def test_what_is_held_back(
    options: tuple[str, ...],
    strength: float,
    min_support: int,
    noise: float,
    encoder_folder: Path,
    tmp_path: Path,
) -> None:
    corpus = write_corpus(tmp_path / "mine", {"PERSON": "PER", "PLACE": "LOC"}, 1)
    file = tmp_path / "mine.evidence"
    command = ["evidence", str(corpus), "--encoder", str(encoder_folder), "--output", str(file), *options]
    assert main(command) == 0
    facts = Evidence.load(file).facts
    assert (facts["strength"], facts["min_support"], facts["noise"]) == (strength, min_support, noise)


def test_exact_and_noise_contradict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "evidence", "x", "--exact", "--noise", 1, "--output", tmp_path / "x.evidence")
    assert "--noise: --exact holds nothing back" in said
