"""One family of exceptions, and a page that lists every message."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import esnera_hf
from error_catalogue import HEADING, PAGE, Site, error_names, never_provoked, section, sites
from esnera_hf import errors
from esnera_hf.errors import EsneraError

PACKAGE = Path(esnera_hf.__file__).parent
#: Words by which a message says what it expects, or what to do. One that ends with … says so in what is filled in.
ADVICE = re.compile(
    r"expected|needs|choose|goes on from there|; then …|"
    r"(^|[.:;,…—] *|or |and |then )(add|align|allow|apply|ask|check|compare|copy|correct|count|delete|do not trust|"
    r"drop|export|fetch|free|get|give|keep|launch|leave|load|log in|look|make|mend|name|part|pass|please report|put|"
    r"publish|raise|read|remove|rename|run|say|set|try|unpack|unset|update|use|write)\b|…$",
    re.IGNORECASE,
)


def test_every_exception_is_of_one_family() -> None:
    for module in pkgutil.walk_packages(esnera_hf.__path__, "esnera_hf."):
        if module.name.endswith("__main__") or ".hub_code" in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(value) and value.__module__ == module.name and issubclass(value, Exception):
                assert issubclass(value, EsneraError) or name.startswith("_"), f"{module.name}.{name}"


@pytest.mark.skipif(not PAGE.exists(), reason="the page is not part of an installed package")
@pytest.mark.parametrize("name", error_names())
def test_every_exception_says_when_it_is_raised_and_what_to_do(name: str) -> None:
    assert getattr(errors, name).__doc__
    rows = [
        line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    (row,) = [row for row in rows if row[1].strip() == f"`{name}`"]
    assert len(row) == 6
    assert all(cell.strip() for cell in row[1:-1])


def test_every_message_is_on_the_page() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert HEADING + written.partition(HEADING)[2] == section(PACKAGE), (
        "messages have changed: run `python tests/error_catalogue.py` and read the difference"
    )


@pytest.mark.parametrize("error", error_names())
def test_every_message_says_what_to_do(error: str) -> None:
    messages = {" ".join(site.message.split()) for site in sites(PACKAGE) if site.error == error}
    silent = [message for message in sorted(messages) if not ADVICE.search(message)]
    assert silent == []


@pytest.mark.parametrize(
    "message",
    ["…: no such file.", "…: there is no column …, the rows have … columns.", "the address is wrong"],
)
def test_a_message_that_only_complains_says_not_what_to_do(message: str) -> None:
    assert not ADVICE.search(message)


MODULE = """
from esnera_hf.errors import MappingError, SourceError

def read(path, line):
    if line:
        raise SourceError(f"{path}, line {line}: "
                          "no tag. Add one.")
    raise AssertionError  # SourceError("not this")

def never():
    raise SourceError("unreachable")  # pragma: no cover

def document(node):
    return document.error(node, f"found {node}. Correct it.")
"""


def test_places_and_what_of_them_was_never_provoked(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "reader.py").write_text(MODULE)
    (tmp_path / "alignment.py").write_text(MODULE.partition("def document")[0])
    (tmp_path / "alignment").mkdir()
    (tmp_path / "alignment" / "file.py").write_text("def document" + MODULE.partition("def document")[2])
    found = [
        Site("alignment.py", 6, 7, "SourceError", "…, line …: no tag. Add one."),
        Site("alignment/file.py", 2, 2, "MappingError", "…line …: found …. Correct it."),
        Site("sources/reader.py", 6, 7, "SourceError", "…, line …: no tag. Add one."),
    ]
    assert sorted(sites(tmp_path), key=lambda site: site.file) == found
    assert {site.room for site in found} == {"alignment", "sources"}
    seen = {"sources/reader.py SourceError: …, line …: no tag. Add one."}
    assert {site.file for site in never_provoked(tmp_path, seen)} == {"alignment.py", "alignment/file.py"}


TESTS = """
import pytest
from esnera_hf import LabelMapping, MergeResult
from esnera_hf.errors import EsneraError

def test_a_mapping():
    with pytest.raises(EsneraError):
        LabelMapping.from_yaml("")
"""


def test_a_run_notes_which_messages_it_provokes(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    record = tmp_path / "build" / "provoked.json"
    for _ in range(2):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "provoked",
                "--provoked",
                str(record),
                str(tmp_path),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (key,) = (
            site.key for site in sites(PACKAGE) if "found nothing, expected a mapping file" in site.message
        )
        assert json.loads(record.read_text(encoding="utf-8")) == {key: "test_some.py::test_a_mapping"}
