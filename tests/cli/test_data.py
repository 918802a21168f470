"""``sources``, ``inspect`` and ``export``."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import refusal
from esnera_hf import MergeResult
from esnera_hf.alignment.mapping_exchange import MAPPING_FORMATS
from esnera_hf.cli import data
from esnera_hf.cli.main import main
from esnera_hf.merging.export import EXPORT_FORMATS
from esnera_hf.sources.catalogue import NAMED_SOURCES
from esnera_hf.sources.load import load_source
from esnera_hf.tagging import WRITTEN_SCHEMES
from results import make_result
from world import World


def test_the_known_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weibo").mkdir()
    (tmp_path / "weibo" / "weiboNER_2nd_conll.train").write_text("x\tO\n", encoding="utf-8")
    monkeypatch.setenv("ESNERA_DATA_DIR", str(tmp_path))
    assert main(["sources"]) == 0
    head, *rows = capsys.readouterr().out.rstrip("\n").split("\n")
    assert head.split() == ["name", "language", "license", "found"]
    found = {row.split()[0]: row.split("  ")[-1].strip() for row in rows}
    assert list(found) == sorted(NAMED_SOURCES)
    assert found["weibo"] == str(tmp_path / "weibo")
    assert found["cluener"].startswith("Hub: ")


def test_inspect(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    corpora = [str(world.folder / name) for name in ("alpha", "beta")]
    assert main(["inspect", corpora[0]]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("read as tokens: column 0\n        tags: column 1\nfirst   ")
    assert "\nalpha: license unknown" in printed
    assert main(["inspect", *corpora]) == 0
    printed = capsys.readouterr().out
    assert "alpha:per  in beta: " in printed
    assert "of alpha/train stand in beta/test, too" in printed
    assert len(printed.split("\n")) <= 40
    assert main(["inspect", *corpora, "--verbose"]) == 0
    printed = capsys.readouterr().out
    assert "alpha/train and beta/test: " in printed


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_export(form: str, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if form == "spacy":
        pytest.importorskip("spacy", reason="needs the extra spacy")
    corpus, output = world.folder / "alpha", tmp_path / "out"
    assert main(["export", str(corpus), "--format", form, "--output", str(output)]) == 0
    assert capsys.readouterr().out.startswith(f"{output / 'train.'}")
    assert load_source(output).summary.entities == load_source(corpus).summary.entities


def test_a_saved_result_is_exported(world: World, tmp_path: Path) -> None:
    output = tmp_path / "conll"
    assert main(["export", str(world.separate), "--format", "conll", "--output", str(output)]) == 0
    result, again = MergeResult.load(world.separate), load_source(output)
    assert {split: len(rows) for split, rows in again.dataset.items()} == {
        split: len(rows) for split, rows in result.dataset.items()
    }
    assert set(again.labels) == set(result.mapping.unified_labels)


@pytest.mark.parametrize(
    ("form", "file", "starts"),
    [("sssom", "mapping.sssom.tsv", "#mapping_set_id: "), ("flair", "label_name_map.json", '{\n "alpha": {')],
)
def test_a_mapping_is_exported_from_its_folder_and_its_file(
    form: str, file: str, starts: str, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for number, place in enumerate((world.separate, world.separate / "mapping.yaml")):
        output = tmp_path / str(number)
        assert main(["export", str(place), "--format", form, "--output", str(output)]) == 0
        assert capsys.readouterr().out == f"{output / file}\n"
        texts.append((output / file).read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert texts[0].startswith(starts)
    for idle in (["--grain", "coarse"], ["--labels", "3"], ["--gold-only"], ["--source-scheme", "IOB2"]):
        said = refusal(
            capsys, "export", world.separate, "--format", form, *idle, "--output", tmp_path / "idle"
        )
        assert "writes the mapping alone" in said


def test_the_formats_are_those_of_the_function() -> None:
    assert data._FORMATS == EXPORT_FORMATS
    assert data._SCHEMES == WRITTEN_SCHEMES
    assert data._MAPPING_FORMATS == MAPPING_FORMATS


def test_reading_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.txt"
    file.write_text("a I-P B-Q\nb I-P O\n\nc O O\n" * 20, encoding="utf-8")
    assert main(["inspect", str(file), "--strict", "--scheme", "IOB2", "--tag-column", "1"]) == 1
    assert "inside tag without a begin tag" in capsys.readouterr().err
    for column, scheme, labels in (("2", "IOB2", "labels: Q 20"), ("1", "IOB1", "labels: P 20")):
        assert main(["inspect", str(file), "--tag-column", column, "--scheme", scheme]) == 0
        assert labels in capsys.readouterr().out


@pytest.mark.parametrize(
    "option", [("--strict",), ("--source-scheme", "IOB2"), ("--source-format", "json"), ("--tag-column", "1")]
)
def test_a_merged_dataset_is_not_read_as_sources_are(
    option: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_result().save(tmp_path / "merged")
    message = refusal(capsys, "export", tmp_path / "merged", "--output", tmp_path / "out", *option)
    assert message.endswith("say how sources are read. Leave them out.")
