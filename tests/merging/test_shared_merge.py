"""Several processes of one launch merge together, and the files are those of one process, byte for byte."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from builders import write_corpus
from esnera_hf.report.files import RUN_FILE

MAPPING = """\
version: 2
unified_labels: [PER, PLACE]
labels:
- {source: alpha, label: per, unified: PER}
- {source: alpha, label: loc, unified: PLACE}
- {source: beta, label: name, unified: PER}
- {source: beta, label: city, unified: PLACE}
"""
LAUNCHED_BY = ("MASTER_", "ACCELERATE_", "WORLD_SIZE", "RANK", "LOCAL_")


def digests(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != RUN_FILE
    }


def apply(home: Path, processes: int) -> dict[str, str]:
    """Apply the mapping in so many processes with a cache of their own; return digests of what they save."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", processes]
    launcher += ["--num_machines", 1, "--mixed_precision", "no", "--dynamo_backend", "no"]
    launcher += ["--main_process_port", port]
    output = home / f"merged by {processes}"
    command = [sys.executable, *launcher * (processes > 1), "-m", "esnera_hf", "apply", home / "mapping.yaml"]
    command += [home / "alpha", home / "beta", "--output", output]
    cache = home / f"cache of {processes}"
    rest = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHED_BY)}
    own = {"ESNERA_CACHE_DIR": str(cache), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(part) for part in command], cwd=home, env={**rest, **own}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("saved to ") == 1  # one of them writes and prints
    shares = list(cache.glob("merged/*/made/train-*.arrow"))
    assert len(shares) == (2 * processes if processes > 1 else 0)
    return digests(output)


@pytest.mark.slow
def test_four_processes_merge_as_one(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    # Validation splits smaller than the number of processes: some have no share of them.
    for name, labels, seed in (("alpha", ("per", "loc"), 1), ("beta", ("name", "city"), 2)):
        kinds = dict(zip(("PERSON", "PLACE"), labels, strict=True))
        write_corpus(tmp_path / name, kinds, seed, train=4200, rest=3)
    one, four = (apply(tmp_path, processes) for processes in (1, 4))
    assert {"dataset/train/state.json", "report.json", "report.html"} <= one.keys()
    assert one == four
