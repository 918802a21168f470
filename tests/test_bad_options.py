"""Options and settings that contradict each other, or what they are given for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builders import toy_rows
from esnera_hf.cli import main
from esnera_hf.errors import ConfigurationError
from esnera_hf.final import FinalSettings
from esnera_hf.modeling import Tagger
from esnera_hf.result import check_free
from results import make_result


@pytest.fixture
def corpora(tmp_path: Path) -> list[str]:
    """Two corpora in columns."""
    folders = []
    for seed, (name, label) in enumerate({"alpha": "per", "beta": "name"}.items()):
        folder = tmp_path / name
        folder.mkdir()
        for split in ("train", "dev", "test"):
            rows = toy_rows({"PERSON": label}, 20, seed)
            blocks = ["\n".join(f"{word} {tag}" for word, tag in zip(*row, strict=True)) for row in rows]
            (folder / f"{split}.txt").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
        folders.append(str(folder))
    return folders


def refusal(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """Run a command that must be refused, and return what it says."""
    assert main(command) == 1
    return capsys.readouterr().err.removeprefix("esnera-hf: ").strip()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--into", "alpha", "--into-labels", "per"), "--into and --into-labels: expected one of the two."),
        (("--name", "alpha:per"), "--name alpha:per: expected source:label=name."),
        (("--name", "=PERSON"), "--name =PERSON: expected source:label=name."),
    ],
)
def test_align(
    corpora: list[str], options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(capsys, "align", *corpora, "--encoder", "none", *options) == message


def test_evaluate_with_a_tagger_of_other_labels(
    corpora: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tagger = SimpleNamespace(labels=("city", "firm"))
    monkeypatch.setattr(Tagger, "from_pretrained", lambda path: tagger)
    assert refusal(capsys, "evaluate", "tagger", corpora[0]) == (
        "the tagger predicts city, firm, alpha annotates per: no label in common, so every score would be 0. Give "
        "the tagger a corpus of its own labels."
    )


def test_push_a_tagger_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_result().save(tmp_path / "merged")
    assert refusal(capsys, "push", str(tmp_path / "merged"), "me/merged", "--tagger", "me/tagger") == (
        f"{tmp_path / 'merged'} holds no tagger. Align or apply with --tagger, or leave --tagger out."
    )


@pytest.mark.parametrize(
    "options",
    [("--no-text",), ("--by-source",), ("--may-share", "alpha"), ("--tagger", "me/other")],
    ids=lambda options: options[0],
)
def test_push_a_tagger_with_what_is_for_datasets(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert refusal(capsys, "push", str(tmp_path), "me/tagger", *options) == (
        f"{options[0]}: {tmp_path} is a tagger, and this is for datasets. Leave it out."
    )


def test_launched_together_what_cannot_share_its_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert refusal(capsys, "sources") == (
        "3 processes were launched, and each would do all that `sources` does. Run it without a launcher; align, "
        "apply, train share their work."
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tagger": True, "compare": ("nobody",)}, "compare='nobody': expected "),
        ({"compare": ("gold",)}, "compare= needs tagger=True: there is nothing to compare with"),
        (
            {"tagger": True, "compare": ("outside",), "partial": False},
            "compare='outside' and partial=False: that is the merged tagger itself",
        ),
    ],
)
def test_what_is_made_of_the_merged_dataset(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        FinalSettings(**settings)


def test_an_output_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ConfigurationError, match=r"file is no folder that can be written to\. Choose another one"
    ):
        check_free(tmp_path / "file" / "out")
