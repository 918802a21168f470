"""Tests run offline and without progress bars; the variables are set before any library reads them."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from builders import make_encoder
from world import World, make_world

# Examples take as long as the machine is busy: a slow one is no failure.
settings.register_profile("ci", deadline=None, max_examples=25)
settings.register_profile("nightly", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep trained taggers out of the user's cache.

    It has a patch of its own: the shared one would be undone last, and give back what a test had put in place of a
    value that another fixture restores before.
    """
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> World:
    """Two alignments with their trained taggers, shared by all tests and workers of a run: see :class:`World`."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    cache = getattr(request.config, "cache", None)
    trained = cache.mkdir("trained") if cache is not None else run / "trained"
    (run / "world").mkdir(exist_ok=True)
    return make_world(run / "world", trained)


@pytest.fixture
def warm_cache(world: World, cache_folder: Path) -> Path:
    """A cache of one test that holds all that was trained for the world."""
    shutil.copytree(world.cache, cache_folder, dirs_exist_ok=True)
    return cache_folder


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with its tokenizer."""
    folder = tmp_path_factory.mktemp("encoder")
    make_encoder(folder)
    return folder
