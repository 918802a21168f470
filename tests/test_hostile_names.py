"""Names of labels and sources that are paths, YAML, HTML, templates, formulas, control sequences or very long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from datasets import DatasetDict

from esnera_hf import MergeResult
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_diff import MappingDifference
from esnera_hf.cli.main import main
from esnera_hf.errors import SourceError
from esnera_hf.merging.export import EXPORT_FORMATS, export
from esnera_hf.sources.load import load_source
from results import make_result

NAMES = (
    "../../etc/passwd",
    "/tmp/esnera-evil",
    "C:\\Windows\\con",
    "- !!python/object/apply:os.system ['true']",
    "a: {b: [c]} # *d &e",
    "<img src=x onerror=alert(1)>",
    "{{ ''.__class__.__mro__ }}{% include '/etc/passwd' %}",
    '=HYPERLINK("http://example.org","x")',
    "$\\frac{1}{0}$ \\input{x} $",
    "\x1b[2J\x1b]0;title\x07",
    "\u202ecba\u2066",
    "%s %(name)s {0} {name!r}",
    "e\u0301",
    "B-PER",
    "..",
    "NO",
    "l" * 10_000,
)


def saved(result: MergeResult, folder: Path) -> Path:
    result.save(folder)
    return folder


def files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*")}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:12]))
def test_a_result_is_saved_and_loaded_with_any_name_of_a_label(tmp_path: Path, name: str) -> None:
    usual = saved(make_result(), tmp_path / "usual")
    result = make_result(label=name)
    folder = saved(result, tmp_path / "out")
    assert files(folder) == files(usual)
    assert {file.name for file in tmp_path.iterdir()} == {"usual", "out"}
    loaded = MergeResult.load(folder)
    assert loaded.mapping == result.mapping
    assert loaded.report == result.report
    for split, rows in result.dataset.items():
        assert loaded.dataset[split].features == rows.features
        assert loaded.dataset[split][:] == rows[:]
    text = (folder / "mapping.yaml").read_text(encoding="utf-8")
    assert LabelMapping.from_yaml(text) == result.mapping
    assert name in {entry["label"] for entry in yaml.safe_load(text)["labels"]}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<img" not in page.replace('<img src="data:', "")
    assert "\x1b" not in page
    splits = DatasetDict({f"train{name}": rows for rows in loaded.dataset.values()})
    for shown in (replace(loaded, dataset=splits), loaded.mapping, loaded.report, loaded.similarity):
        assert "<img" not in shown._repr_html_()
    card = str(result.card("owner/name"))
    assert yaml.safe_load(card.split("\n---\n")[0])["tags"]
    assert "\x1b" not in card


# The small result is made from names that are parted at their colon.
@pytest.mark.parametrize(
    "name", [name for name in NAMES if ":" not in name], ids=lambda name: ascii(name[:12])
)
def test_no_file_lies_elsewhere_whatever_a_source_is_called(tmp_path: Path, name: str) -> None:
    result = make_result(first=name)
    folder = saved(result, tmp_path / "out")
    usual = saved(make_result(), tmp_path / "usual")
    assert {file.name for file in tmp_path.iterdir()} == {"usual", "out"}
    assert set(files(folder)) == set(files(usual))
    assert MergeResult.load(folder).mapping == result.mapping


@pytest.mark.parametrize("form", EXPORT_FORMATS)
@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:12]))
def test_what_is_exported_reads_back(tmp_path: Path, name: str, form: str) -> None:
    if form == "spacy":
        pytest.importorskip("spacy", reason="needs the extra spacy")
    result = make_result(label=name)
    unified = [
        tag[2:] for tag in result.dataset["train"].features["ner_tags"].feature.names if tag[:2] == "B-"
    ]
    if form == "label-studio" and "\x1b" in name:
        with pytest.raises(SourceError, match="Rename the label"):
            export(result.dataset, tmp_path / "out", form)
        return
    export(result.dataset, tmp_path / "out", form)  # type: ignore[arg-type]
    assert {file.name for file in tmp_path.iterdir()} == {"out"}
    printable = {"".join(c if c.isprintable() else "\ufffd" for c in label) for label in unified}
    expected = {label.replace("e\u0301", "\xe9") for label in printable}
    assert set(load_source(tmp_path / "out", name="again").labels) == expected


@pytest.mark.parametrize("name", ["\x1b[2J\x1b]0;title\x07", "\u202ecba"])
def test_what_is_printed_holds_no_control_character(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = make_result(label=name)
    one, two = result.mapping, make_result(first="beta2", label=name).mapping
    gone = LabelMapping(one.unified_labels, tuple(replace(e, unified=None) for e in one.entries))
    printed = [str(one), repr(result), str(result.report)]
    printed += [str(MappingDifference(one, other)) for other in (two, gone)]
    printed += [str(moved) for moved in MappingDifference(one, gone).moved]
    files = [tmp_path / "one.yaml", tmp_path / "gone.yaml"]
    one.save(files[0])
    gone.save(files[1])
    assert main(["diff", *map(str, files)]) == 0
    files[1].write_text(files[1].read_text(encoding="utf-8").replace("unified: null", "unified: nowhere", 1))
    assert main(["diff", *map(str, files)]) == 1
    printed += [*capsys.readouterr()]
    assert "\ufffd" in "".join(printed)
    for text in printed:
        assert all(line.isprintable() for line in text.split("\n"))
