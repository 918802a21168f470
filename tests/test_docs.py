"""Pages that people read: commands that exist, links that lead somewhere, a reference that is up to date."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from esnera_hf.cli.main import make_parser

ROOT = Path(__file__).parents[1]
RESULTS = (ROOT / "benchmarks" / "results").glob("*.md")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *RESULTS])
_COMMAND = re.compile(r"^ {4}(?:.*\| )?esnera-hf (.+?)(?:\s{2,}#.*| &)?$", re.M)


def commands(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [command.split("   # ")[0] for command in _COMMAND.findall(text)]


def test_every_command_of_the_docs_exists_with_its_options() -> None:
    parser = make_parser()
    shown = [(page, command) for page in PAGES for command in commands(page)]
    assert len(shown) > 20
    for page, command in shown:
        try:
            parser.parse_args(shlex.split(command, comments=True))
        except SystemExit:
            pytest.fail(f"{page.relative_to(ROOT)}: esnera-hf {command}")


def test_every_link_of_the_docs_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_script_of_the_docs_is_there() -> None:
    """Figures are those of a command that can be run again."""
    scripts = {
        (page.name, script)
        for page in PAGES
        for script in re.findall(
            r"\b(?:benchmarks|hub_scripts)/[\w/]+\.\w+", page.read_text(encoding="utf-8")
        )
    }
    assert len(scripts) > 20
    assert [item for item in sorted(scripts) if not (ROOT / item[1]).exists()] == []


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="argparse words its help otherwise in other versions"
)
def test_the_reference_is_up_to_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["make_reference.py", "--check"])
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "docs" / "make_reference.py"), run_name="__main__")
    assert end.value.code in (0, False), capsys.readouterr().out
