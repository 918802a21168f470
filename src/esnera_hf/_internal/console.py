"""Messages and progress on standard error, for people or as JSON lines; durations; silence of the libraries."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from esnera_hf._internal.processes import is_main_process
from esnera_hf._internal.text import visible

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
#: Seconds between two lines of one step's progress: a job of a day fills no disk, and nobody waits for a sign of life.
_JSON_INTERVAL = 2.0


class _Output:
    """How much is written, and whether as JSON lines; of the whole process, as standard error is."""

    level: Level = "info"
    json = False


def configure_output(level: Level, json_lines: bool) -> None:
    """Choose the least important messages that are still written, and whether they are JSON lines.

    Args:
        level: ``debug`` adds what the libraries say; ``info`` has messages and progress bars; ``warning`` and
            ``error`` are without bars.
        json_lines: an object a line: ``time``, ``level`` and ``event``, which is ``message``, ``progress``,
            ``step`` or ``end``, and what belongs to it.
    """
    from datasets import disable_progress_bars as disable_dataset_bars
    from huggingface_hub.utils.tqdm import disable_progress_bars

    _Output.level, _Output.json = level, json_lines
    if json_lines or not _writes("info"):
        disable_dataset_bars()
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            disable_progress_bars()


def _writes(level: Level) -> bool:
    return is_main_process() and LEVELS.index(level) >= LEVELS.index(_Output.level)


def say(message: str, level: Level = "info") -> None:
    """Write a message to standard error without breaking a progress bar; of several processes one does."""
    if _Output.json:
        write_event("message", level, message=message)
    elif _writes(level):
        from tqdm.auto import tqdm

        text = "\n".join(map(visible, message.split("\n")))  # names in it may hold what steers a terminal
        with suppress(OSError):  # a message that cannot be written is no reason to lose a result
            tqdm.write(f"WARNING: {text}" if level == "warning" else text, file=sys.stderr)


def write_event(event: str, level: Level = "info", **facts: Any) -> None:
    """Write a JSON line to standard error, if the output is one of JSON lines."""
    if _Output.json and _writes(level):
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": now, "level": level, "event": event, **facts}, ensure_ascii=False)
        print(visible(line), file=sys.stderr, flush=True)


class _JsonProgress:
    """What is used of a bar of tqdm, with a JSON line now and then instead of a drawing."""

    def __init__(self, title: str, total: int, unit: str, initial: int) -> None:
        self.n = initial
        self._facts: dict[str, Any] = {"step": title, "total": total, "unit": unit}
        self._written = -1.0

    def __enter__(self) -> _JsonProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def update(self, steps: int) -> None:
        self.n += steps
        if time.monotonic() - self._written >= _JSON_INTERVAL:
            self._write()

    def set_postfix_str(self, state: str) -> None:
        self._facts["state"] = state

    def close(self) -> None:
        self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        write_event("progress", done=self.n, **self._facts)


def progress_bar(title: str, total: int, *, unit: str, initial: int = 0, delay: float = 0.0) -> Any:
    """Return a progress bar on standard error, of the main process alone.

    Args:
        title: what is done, such as ``train cluener``.
        total: steps in all.
        unit: what a step is, in the plural.
        initial: steps that were done before.
        delay: seconds after which it is drawn.
    """
    if _Output.json:
        return _JsonProgress(title, total, unit, initial)
    from tqdm.auto import tqdm

    options: dict[str, Any] = {"desc": visible(title), "total": total, "unit": f" {unit}", "initial": initial}
    return tqdm(**options, file=sys.stderr, delay=delay, disable=not _writes("info"))


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class StepTimes(dict[str, float]):
    """Wall time of each step in seconds, and of all steps so far as ``total``."""

    def __init__(self) -> None:
        super().__init__()
        self._started = self._last = time.perf_counter()

    def end(self, step: str) -> None:
        """Note the end of a step, or of another part of it, which began where the one before ended."""
        now = time.perf_counter()
        seconds = now - self._last
        self[step] = round(self.get(step, 0) + seconds, 1)
        write_event("step", step=step, seconds=round(seconds, 1))
        self["total"] = round(now - self._started, 1)
        self._last = now


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence the bars and notices of datasets, transformers and huggingface_hub that a user cannot act on."""
    if _Output.level == "debug":
        yield
        return
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    transformers_bars = transformers_logging.is_progress_bar_enabled()
    hub_bars = not are_progress_bars_disabled()
    transformers_logging.set_verbosity_error()
    # HF_HUB_DISABLE_PROGRESS_BARS has the last word on the bars of huggingface_hub, which warns of it.
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        transformers_logging.disable_progress_bar()
    try:
        with no_dataset_bars():
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            if transformers_bars:
                transformers_logging.enable_progress_bar()
            # The calls on transformers change the bars of huggingface_hub as well.
            (enable_progress_bars if hub_bars else disable_progress_bars)()


@contextmanager
def no_dataset_bars() -> Iterator[None]:
    """Keep datasets from drawing a bar for every file and step."""
    import datasets

    hidden = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not hidden:
            datasets.enable_progress_bars()
