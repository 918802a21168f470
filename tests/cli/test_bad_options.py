"""Options and settings that contradict each other, or what they are given for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builders import toy_rows
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import OutputSettings
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.result import MergeResult, check_free
from esnera_hf.tagging import LabelRef
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


#: What of the search may be given as it would be anyway.
AS_BY_DEFAULT = [("--max-f1-drop", "0.02"), ("--scoring", "unified")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--target-schema", "alpha", "--target-labels", "per"),
            "--target-schema and --target-labels: expected one of the two.",
        ),
        (("--name", "alpha:per"), "--name alpha:per: expected source:label=name."),
        (("--name", "=PERSON"), "--name =PERSON: expected source:label=name."),
        (
            ("--name", "alpha:per=X", "--name", "alpha:per=Y"),
            "--name: alpha:per is to be called 'X' and 'Y'. Keep one name.",
        ),
        (
            ("--target-labels", ","),
            "into: found no name, expected at least one. Leave it out to merge without a schema.",
        ),
        (
            ("--cannot-link", "alpha:per", "--cannot-link", "beta:name"),
            "apart: found a group of alpha:per, expected two labels or more. Name all labels of a group in one list, "
            "or leave it out.",
        ),
        *(
            (
                ("--merge", "typed", *given),
                f"{given[0]}: --merge typed knows neither λ and τ nor a search. Leave them out, or say --merge flat.",
            )
            for given in AS_BY_DEFAULT
        ),
        (
            ("--lambda", "0.4", "--tau", "0.4", "--max-f1-drop", "0.02"),
            "--max-f1-drop: λ and τ are both given, so nothing is searched. Leave this out, or one of the two.",
        ),
    ],
)
def test_align(
    corpora: list[str], options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(capsys, "align", *corpora, "--encoder", "none", *options) == message


@pytest.mark.parametrize("given", [*AS_BY_DEFAULT, ("--tau", "0.4")])
def test_what_is_given_of_the_search_asks_for_flat_merging_whatever_its_value(
    given: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        "esnera_hf.api.align", lambda sources, **given: asked.append(given["settings"].merge)
    )
    monkeypatch.setattr("esnera_hf.cli.align.save_and_print", lambda result, folder: None)
    assert main(["align", "a", "b", *given]) == 0
    assert main(["align", "a", "b"]) == 0
    assert asked == ["flat", None]


@pytest.mark.parametrize(
    "given", [("--encoder", "x"), ("--taggers", "joint"), ("--epochs", "3", "--batch-size", "4")]
)
def test_apply_without_a_tagger_to_train(
    corpora: list[str], given: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ", ".join(name for name in given if name.startswith("-"))
    assert refusal(capsys, "apply", "mapping.yaml", *corpora, *given) == (
        f"{names}: no tagger is trained. Ask for pseudo-labels with --pseudo-label-threshold, or for a tagger with --train-merged, or "
        "leave this out."
    )


@pytest.mark.parametrize(
    "given", [("--strict",), ("--scheme", "IOB2"), ("--read-as", "json"), ("--tag-column", "1")]
)
def test_export_of_a_merged_dataset_with_a_way_to_read_sources(
    tmp_path: Path, given: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    make_result().save(tmp_path / "merged")
    message = refusal(capsys, "export", str(tmp_path / "merged"), "--output", str(tmp_path / "out"), *given)
    assert message.endswith("say how sources are read. Leave them out.")


def test_evaluate_with_a_tagger_of_other_labels(
    corpora: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tagger = SimpleNamespace(labels=("city", "firm"), record={})
    monkeypatch.setattr(Tagger, "from_pretrained", lambda path: tagger)
    assert refusal(capsys, "evaluate", "tagger", corpora[0]) == (
        "the tagger predicts city, firm, alpha annotates per: no label in common, so every score would be 0. Give "
        "the tagger a corpus of its own labels."
    )


def test_license_and_language_of_a_source(
    corpora: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = make_result("alpha", "beta", "per").mapping
    entries = [replace(entry, label=ref) for entry, ref in zip(mapping.entries, _REFS, strict=False)]
    replace(mapping, entries=tuple(entries)).save(tmp_path / "mapping.yaml")
    terms = ["--license", "alpha=cc-by-4.0", "--language", "alpha=fi"]
    output = tmp_path / "merged"
    assert main(["apply", str(tmp_path / "mapping.yaml"), *corpora, *terms, "--output", str(output)]) == 0
    alpha, beta = MergeResult.load(output).report.sources
    assert (str(alpha["license"]["name"]).lower(), alpha["language"]) == ("cc-by-4.0", "fi")
    assert beta["language"] != "fi"
    capsys.readouterr()
    assert refusal(capsys, "inspect", corpora[0], "--license", "gamma=mit") == (
        "--license gamma=mit: expected the name of a source, alpha, found 'gamma'."
    )
    assert refusal(capsys, "inspect", corpora[0], "--language", "fi") == (
        "--language fi: expected NAME=VALUE, the name of a source and what it is."
    )


_REFS = (LabelRef("alpha", "per"), LabelRef("beta", "name"))


def test_push_a_tagger_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_result().save(tmp_path / "merged")
    assert refusal(capsys, "push", str(tmp_path / "merged"), "me/merged", "--train-merged", "me/tagger") == (
        f"{tmp_path / 'merged'} holds no tagger. Align or apply with --train-merged, or leave --tagger out."
    )


@pytest.mark.parametrize(
    "options",
    [("--no-text",), ("--by-source",), ("--may-share", "alpha"), ("--train-merged", "me/other")],
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
        ({"tagger": True, "baselines": ("nobody",)}, "baselines='nobody': expected "),
        ({"baselines": ("gold",)}, "compare= needs tagger=True: there is nothing to compare with"),
        (
            {"tagger": True, "baselines": ("outside",), "partial": False},
            "baselines='outside' and partial=False: that is the merged tagger itself",
        ),
    ],
)
def test_what_is_made_of_the_merged_dataset(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        OutputSettings(**settings)


def test_an_output_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ConfigurationError, match=r"file is no folder that can be written to\. Choose another one"
    ):
        check_free(tmp_path / "file" / "out")
