"""``hf esnera``: with a manifest, the console script ``hf-esnera`` is an extension of ``hf``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

import esnera_hf

SCRIPTS = Path(sysconfig.get_path("scripts"))
#: As ``hf extensions install`` writes it.
MANIFEST = {
    **{"owner": "_local", "repo": "hf-esnera", "repo_id": "_local/hf-esnera", "short_name": "esnera"},
    **{"executable_path": str(SCRIPTS / "hf-esnera"), "type": "python", "commit_sha": None},
    **{"installed_at": "2026-01-01T00:00:00+00:00", "description": "Align labels"},
}


@pytest.mark.slow
def test_it_runs_keeps_its_exit_code_and_is_listed(tmp_path: Path) -> None:
    folder = tmp_path / ".local" / "share" / "hf" / "extensions" / "hf-esnera"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "COLUMNS": "120"}

    def hf(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(SCRIPTS / "hf"), *arguments]
        return subprocess.run(command, env={**os.environ, **offline, **home}, capture_output=True, text=True)

    shown = hf("esnera", "--version")
    assert (shown.returncode, shown.stdout) == (0, f"esnera-hf {esnera_hf.__version__}\n")
    refused = hf("esnera", "no-such-command")
    assert refused.returncode == 2
    assert "invalid choice: 'no-such-command'" in refused.stderr
    assert re.search(r"esnera +Align labels.*\[extension _local/hf-esnera\]", hf("--help").stdout)
