"""Messages beside progress bars, durations, and silence of the libraries."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import datasets
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from tqdm.auto import tqdm

from esnera_hf._internal.processes import is_main_process


def say(message: str) -> None:
    """Write a message to standard error without breaking a progress bar; of several processes one does."""
    if is_main_process():
        tqdm.write(message, file=sys.stderr)


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
        """Note the end of a step, which began where the one before ended."""
        now = time.perf_counter()
        self[step] = round(now - self._last, 1)
        self["total"] = round(now - self._started, 1)
        self._last = now


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence the bars and notices of datasets, transformers and huggingface_hub that a user cannot act on."""
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
    hidden = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not hidden:
            datasets.enable_progress_bars()
