"""What a push would commit, written to a folder; and a result loaded again."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import load_dataset, load_from_disk

import esnera_hf
from builders import make_source, row
from esnera_hf import MergeResult
from esnera_hf.cli.main import main
from esnera_hf.errors import LicenseError, OutputExistsError
from hub_server import HubServer, clients_inside
from results import make_result

SPLITS = ("train", "validation", "test")


@pytest.mark.parametrize("options", [{}, {"text": False}, {"by_source": True}], ids=str)
def test_the_same_files_as_a_push(options: dict[str, bool], tmp_path: Path) -> None:
    result = make_result()
    with HubServer() as hub, clients_inside(hub, tmp_path / "home", token=hub.tokens["write"]):
        result.push_to_hub("me/merged", **options)  # type: ignore[arg-type]
        pushed = hub.repo("dataset", "me/merged").files()
    result.save_for_hub(tmp_path / "out", repo_id="me/merged", **options)  # type: ignore[arg-type]
    files = {
        file.relative_to(tmp_path / "out").as_posix(): file.read_bytes()
        for file in (tmp_path / "out").rglob("*")
        if file.is_file()
    }
    assert files == pushed


def test_the_command_and_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_result().save(tmp_path / "merged")
    folder = tmp_path / "look"
    push = ["push", str(tmp_path / "merged"), "--no-text", "--to-folder", str(folder)]
    assert main(push) == 0
    assert capsys.readouterr().out == f"written to {folder}, nothing was published\n"
    assert "look" in (folder / "README.md").read_text()
    sources = [
        make_source("alpha", {split: [([f"in-{split}", "oslo"], ["O", "B-city"])] for split in SPLITS}),
        make_source("beta", {split: [row("met anna/B-per in lima/B-place")] for split in SPLITS}),
    ]
    comparison = esnera_hf.apply(folder, sources).comparison
    assert str(comparison) == "the same dataset as the published one"
    assert main(push) == 1
    assert "exists already; nothing was written" in capsys.readouterr().err
    assert main(["push", str(tmp_path / "merged")]) == 1
    assert (
        "expected REPO, owner/name on the Hub. Or write the files with --to-folder" in capsys.readouterr().err
    )
    assert main([*push, "--pr", "--private"]) == 1
    assert "--private or --public, --pr: --to-folder calls no Hub" in capsys.readouterr().err


def test_terms_and_folders_are_heeded(tmp_path: Path) -> None:
    with pytest.raises(LicenseError):
        make_result(licenses=("unknown", "mit")).save_for_hub(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputExistsError):
        make_result().save_for_hub(tmp_path / "out")


def test_what_the_readme_says_of_loading(tmp_path: Path) -> None:
    result = make_result()
    result.save(tmp_path / "merged")
    assert MergeResult.load(tmp_path / "merged").mapping == result.mapping
    assert (
        load_from_disk(str(tmp_path / "merged/dataset"))["train"].to_list()
        == result.dataset["train"].to_list()
    )
    with pytest.raises(OutputExistsError):
        result.save(tmp_path / "merged")
    result.save_for_hub(tmp_path / "out")
    loaded = load_dataset(str(tmp_path / "out"), "merged", cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].to_list() == result.dataset["train"].to_list()
