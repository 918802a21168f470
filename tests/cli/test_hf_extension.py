"""``hf esnera``: the documented manifest makes the installed console script an extension of ``hf``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import esnera_hf

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[1] / "docs" / "hub.md"
HF = Path(sysconfig.get_path("scripts"), "hf")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A fresh home in which the code of the docs was run."""
    (section,) = re.findall(
        r"^## hf esnera\n(.*?)(?=^## |\Z)", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    subprocess.run([sys.executable, "-c", code], env=environment(tmp_path), check=True)
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {**os.environ, **offline, "HOME": str(home), "USERPROFILE": str(home), "COLUMNS": "120"}


def hf(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HF), *arguments], env=environment(home), capture_output=True, text=True)


def test_it_runs_and_is_listed(home: Path) -> None:
    run = hf(home, "esnera", "--version")
    assert (run.returncode, run.stdout) == (0, f"esnera-hf {esnera_hf.__version__}\n")
    listed = hf(home, "--help").stdout
    assert re.search(
        r"esnera +Align the label schemes of NER datasets.*\[extension _local/hf-esnera\]", listed
    )


def test_its_exit_code_is_kept(home: Path) -> None:
    run = hf(home, "esnera", "no-such-command")
    assert run.returncode == 2
    assert "invalid choice: 'no-such-command'" in run.stderr


def test_it_can_be_removed(home: Path) -> None:
    """Not run afterwards: ``hf`` looks for unknown commands on GitHub."""
    assert hf(home, "extensions", "remove", "esnera").returncode == 0
    assert "esnera" not in hf(home, "--help").stdout
