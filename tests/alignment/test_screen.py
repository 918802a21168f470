"""The first look: a proposal on one screen, and as a file that can be applied."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import refusal
from esnera_hf import apply
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.screen import screen
from esnera_hf.cli.demo import write_corpora
from esnera_hf.cli.main import main
from esnera_hf.sources.load import load_source


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_corpora(tmp_path_factory.mktemp("demo"), 42)


def test_the_corpora_of_the_demo_are_files_that_are_read_as_they_were_made(corpora: list[Path]) -> None:
    assert [folder.name for folder in corpora] == ["newswire", "reviews", "finance"]
    newswire = load_source(corpora[0])
    assert newswire.summary.sentences == {"train": 700, "validation": 120, "test": 120}
    assert set(newswire.labels) == {"PER", "ORG", "LOC", "WORK", "DATE", "title"}
    assert (corpora[0].parent.parent / "encoder" / "config.json").is_file()


def test_it_fits_a_screen_pairs_come_first_and_each_has_its_reason(corpora: list[Path]) -> None:
    found = screen(corpora)
    lines = str(found).split("\n")
    assert lines[0] == (
        f"17 labels of 3 sources → {len(found.mapping.unified_labels) - len(found.mapping.umbrellas)}, "
        "by names and mentions alone"
    )
    assert lines[1].startswith("the same (")
    assert len(lines) <= 45
    compared = [entry for entry in found.mapping.entries if entry.compared_with is not None]
    assert all(entry.why.startswith("P(") for entry in compared)
    pairs = [line for line in lines if " = " in line and "P(equal)" in line and "agree" in line]
    for line in pairs:
        one, other = line.strip().split(": ")[0].split(" = ")
        assert found.mapping[one] == found.mapping[other]
    asked = next(n for n, line in enumerate(lines) if line.startswith("to check"))
    first = found.questions[0]
    assert lines[asked + 1].strip().startswith(f"{first.one} ")
    for question, line in zip(found.questions, lines[asked + 1 :], strict=False):
        part = max(question.part, question.whole)
        assert f": P(equal) {question.equal:.2f}, P(part) {part:.2f}" in line
    # Sentences that stand twice have a line for two splits, not one each.
    assert sum("sentence" in line for line in lines) <= 10


def test_what_is_written_is_applied(
    corpora: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, names = tmp_path / "mapping.yaml", [str(folder) for folder in corpora]
    assert main(["screen", *names, "--output", str(file)]) == 0
    assert f"esnera-hf apply {file}" in capsys.readouterr().out
    result = apply(file, corpora)
    assert (
        result.mapping.fingerprint
        == LabelMapping.load(file).fingerprint
        == screen(corpora).mapping.fingerprint
    )
    assert "exists already" in refusal(capsys, "screen", *names, "--output", file)
    apply(file, corpora[:2])
    assert "the mapping is also of finance; not among the sources, so left out" in capsys.readouterr().err


def test_all_there_is_to_say_comes_if_asked(corpora: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(folder) for folder in corpora[:2]]
    assert main(["screen", *names]) == 0
    short = capsys.readouterr().out
    assert main(["screen", *names, "--verbose"]) == 0
    long = capsys.readouterr().out
    assert "newswire:PER    in reviews: " not in short
    assert "mentions occur" in long
    assert len(long) > len(short)


def test_too_few_or_two_of_one_name_are_refused_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "at least two" in refusal(capsys, "screen", tmp_path / "a")
    assert "two sources are called a" in refusal(capsys, "screen", tmp_path / "a", tmp_path / "b" / "a")
