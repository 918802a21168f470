"""The same sources give the same bytes, wherever, whenever and in whatever order they are aligned."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders import write_corpus
from esnera_hf.report.files import RUN_FILE
from world import World

#: Different in each run: locale and encoding, time zone, hash seed, width of the terminal, umask, order of sources.
RUNS = [
    (
        {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "COLUMNS": "80"},
        0o022,
        ("alpha", "gamma", "beta"),
    ),
    (
        {
            "LC_ALL": "C",
            "PYTHONCOERCECLOCALE": "0",
            "PYTHONUTF8": "0",
            "TZ": "Pacific/Kiritimati",
            "PYTHONHASHSEED": "4242",
            "COLUMNS": "300",
        },
        0o077,
        ("beta", "alpha", "gamma"),
    ),
]


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of every file but that of the times."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.name != RUN_FILE
    }


@pytest.mark.slow
@pytest.mark.parametrize("options", ["", "--evidence surface --no-pseudo-labels"])
def test_a_result(options: str, world: World, tmp_path: Path) -> None:
    places = {
        "alpha": write_corpus(tmp_path / "alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1),
        "beta": write_corpus(tmp_path / "beta", {"PERSON": "name", "PLACE": "city"}, seed=2),
        "gamma": write_corpus(tmp_path / "gamma", {"PERSON": "人", "FIRM": "机构"}, seed=3),
    }
    results = []
    for number, (variables, umask, order) in enumerate(RUNS):
        # A working directory, a cache and a folder for temporary files of its own.
        folder = tmp_path / f"run {number}"
        (folder / "tmp").mkdir(parents=True)
        own = {"ESNERA_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder / "tmp")}
        own["PYTHONPATH"] = os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place)
        command = [sys.executable, "-m", "esnera_hf", "align", *(str(places[name]) for name in order)]
        command += ["--encoder", str(world.encoder), "--output", "out", *options.split()]
        environment = {**os.environ, **own, **variables}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, umask=umask, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        results.append((digests(folder / "out"), done.stdout))
    (first, said), (second, _) = results
    assert {"report.json", "report.html", "flow.svg", "mapping.yaml", "similarity.json"} <= first.keys()
    assert first == second
    assert said
