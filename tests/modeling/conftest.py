"""A tagger trained in seconds, and sentences it has to cope with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from builders import VANISHING, toy_rows, toy_source
from esnera_hf.modeling import training
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.training import fit_tagger

NAMES = {"PERSON": "PER", "PLACE": "LOC"}
TOY = toy_source("toy", NAMES, seed=1)
#: Four epochs, with windows of 20 pieces.
FAST = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 4, "window_length": 20}


@pytest.fixture(scope="session")
def trained(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    """A tagger as it was trained."""
    return fit_tagger(TOY, str(encoder_folder), tmp_path_factory.mktemp("training"), FAST)


@pytest.fixture(scope="session")
def tagger(trained: Tagger) -> Tagger:
    """The same tagger without a record."""
    return Tagger(trained.model, trained.tokenizer)


@pytest.fixture(scope="session")
def sentences() -> list[list[str]]:
    """Sentences of one window, of several, and of none."""
    rows = [list(tokens) for tokens, _ in toy_rows(NAMES, 30, seed=5)]
    long = [word for tokens in rows[:10] for word in tokens]
    return [*rows, long, [], [VANISHING], ["", "anna", VANISHING], long[::-1]]


@pytest.fixture(scope="session")
def texts(sentences: list[list[str]]) -> list[str]:
    """Raw texts: spaced and not, with punctuation, blank, longer than a window, with what has no piece."""
    long = ". ".join(" ".join(words) for words in sentences[:8]) + "."
    return [
        "anna bruno met clara, in paris.",
        "",
        " \n\t ",
        long,
        VANISHING,
        f"anna{VANISHING} met {VANISHING} bruno",
        "「anna」在北京。",
        "中国人名上海" * 12,
        "people of madrid met\nDario's friend (oslo)",
        long.replace(". ", " "),
    ]


@pytest.fixture(scope="session")
def saved(tagger: Tagger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the saved tagger."""
    folder = tmp_path_factory.mktemp("saved") / "crf-tagger"
    tagger.save_pretrained(folder)
    return folder


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AbstractContextManager[None]]:
    """Stop a training as a user does: once the second checkpoint is written, or when nothing is made of it yet."""

    @contextmanager
    def context(event: str) -> Iterator[None]:
        def stop(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.epoch >= 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(training.TrainingProgress, event, stop, raising=False)
            with pytest.raises(KeyboardInterrupt):
                yield

    return context
