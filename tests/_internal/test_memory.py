"""What a run needs is said where it is more than is free."""

from __future__ import annotations

from pathlib import Path

import pytest

from esnera_hf._internal import memory
from esnera_hf._internal.memory import free_memory, needed_memory, warn_of_memory

GIB = 1 << 30


def system(folder: Path, available: int | None, groups: dict[str, tuple[str, int, int]], own: str) -> Path:
    """Write what Linux says of a machine: bytes that are available; of groups limit, use and cached pages."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(f"0::/{own}\n")
    if available is not None:
        (folder / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {available // 1024} kB\n")
    for name, (limit, used, cached) in groups.items():
        group = folder / "sys/fs/cgroup" / name
        group.mkdir(parents=True, exist_ok=True)
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    return folder


@pytest.mark.parametrize(
    ("available", "groups", "own", "free"),
    [
        (8 * GIB, {}, "", 8 * GIB),
        (8 * GIB, {"": (str(4 * GIB), GIB, 0)}, "", 3 * GIB),
        (8 * GIB, {"": (str(4 * GIB), 2 * GIB, GIB)}, "", 3 * GIB),
        (8 * GIB, {"": ("max", GIB, 0)}, "", 8 * GIB),
        # Slurm limits the job, and the step below it inherits that.
        (8 * GIB, {"job": (str(2 * GIB), GIB, 0), "job/step": ("max", GIB, 0)}, "job/step", GIB),
        (8 * GIB, {"job": (str(GIB), 2 * GIB, 0)}, "job", 0),
        (2 * GIB, {"": (str(4 * GIB), GIB, 0)}, "", 2 * GIB),
        (None, {}, "", None),
    ],
)
def test_what_is_free(
    available: int | None, groups: dict[str, tuple[str, int, int]], own: str, free: int | None, tmp_path: Path
) -> None:
    assert free_memory(system(tmp_path, available, groups, own)) == free


def test_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x" * 1000)
    without = needed_memory(10**6, None, trains=False)
    assert list(without) == ["libraries", "1,000,000 sentences"]
    assert sum(needed_memory(10**7, None, trains=False).values()) > 5 * sum(without.values())
    frozen, trained = (needed_memory(10, str(tmp_path), trains=trains)["encoder"] for trains in (False, True))
    assert (frozen, trained) == (1000, 4000 + memory._ACTIVATIONS)
    assert needed_memory(10, "owner/encoder", trains=False)["encoder"] == memory._ENCODER


@pytest.mark.parametrize(("free", "said"), [(4 * GIB, False), (GIB, True), (None, False)])
def test_it_is_said_before(
    free: int | None, said: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    warn_of_memory({"libraries": GIB, "2,000,000 sentences": 2 * GIB})
    shown = capsys.readouterr().err
    assert (
        "WARNING: this needs about 3.2 GB of memory (libraries 1.1 GB, 2,000,000 sentences" in shown
    ) == said
