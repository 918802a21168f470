"""How much memory a run needs and how much is free, so that it can be said before a machine kills it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from esnera_hf._internal.cache_contents import size_text
from esnera_hf._internal.console import say

#: Bytes: Python with torch and datasets at rest; a sentence of 20 tokens, by the peaks at 10⁵ and 10⁶ of
#: benchmarks/growth.py; an encoder that is not at hand yet, of base size and many languages; activations of a batch.
_AT_REST, _SENTENCE, _ENCODER, _ACTIVATIONS = 550_000_000, 1_000, 1_100_000_000, 1_000_000_000
#: Weights, gradients and the two moments of AdamW.
_TRAINED = 4


def needed_memory(sentences: int, encoder: str | None, *, trains: bool) -> dict[str, int]:
    """Return about how many bytes an alignment needs, by what for.

    Args:
        sentences: of all sources and splits.
        encoder: folder or Hub id; ``None`` where none is loaded.
        trains: whether taggers are trained on it.
    """
    needed = {"libraries": _AT_REST, f"{sentences:,} sentences": sentences * _SENTENCE}
    if encoder is not None:
        files = [*Path(encoder).glob("*.safetensors")] if Path(encoder).is_dir() else []
        weights = sum(file.stat().st_size for file in files) or _ENCODER
        needed["encoder"] = weights * _TRAINED + _ACTIVATIONS if trains else weights
    return needed


def warn_of_memory(needed: dict[str, int]) -> None:
    """Say what a run needs where that is more than is free."""
    free, total = free_memory(), sum(needed.values())
    if free is not None and total > free:
        parts = ", ".join(f"{name} {size_text(size)}" for name, size in needed.items())
        say(
            f"this needs about {size_text(total)} of memory ({parts}), and {size_text(free)} are free: it may be "
            "killed. Use max_samples, a smaller encoder, or a machine with more; what was finished is kept.",
            "warning",
        )


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that this process may still take, by the machine and its control groups; ``None`` if unknown.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    limits = [*_of_machine(root), *_of_groups(root)]
    return max(min(limits), 0) if limits else None


def _of_machine(root: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, StopIteration):
        yield _figure(root / "proc/meminfo", "MemAvailable:") * 1024


def _of_groups(root: Path) -> Iterator[int]:
    """Yield what each control group that this process is in has left: containers and Slurm set them."""
    with suppress(OSError, ValueError, StopIteration):
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        own = next(line for line in lines if line.startswith("0::")).removeprefix("0::/")
        home = root / "sys/fs/cgroup"
        for group in (home / own, *(home / own).parents):
            if group.is_relative_to(home):
                yield from _left(group)


def _left(group: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, StopIteration):
        # Without a limit it holds "max", which is no number.
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        # Pages of files that were read are given up when memory is short.
        yield limit - used + _figure(group / "memory.stat", "inactive_file ")


def _figure(file: Path, name: str) -> int:
    lines = file.read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])
