"""What tests that need trained taggers share: two alignments of two toy corpora, made once a test run.

Trainings are taken from the run before as long as the code that trains is the same.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
from filelock import FileLock

import esnera_hf
from builders import make_encoder, write_corpus
from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    GreedySettings,
    MergeResult,
    NerSource,
    OutputSettings,
    TaggerSettings,
    align,
    load_source,
)

TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 3}
NAMES = {
    "alpha": {"PERSON": "per", "PLACE": "loc"},
    "beta": {"PERSON": "name", "PLACE": "city", "FIRM": "firm"},
}
#: What a trained tagger and the place of its files in the cache depend on.
_TRAINING_CODE = ("modeling", "taggers", "_internal")


@dataclass(frozen=True)
class World:
    """Two corpora, an encoder, a cache of trained taggers, and results made with them.

    Copy ``cache`` to where a test wants a warm cache: it is shared, and nobody writes to it.
    """

    folder: Path

    @property
    def encoder(self) -> Path:
        return self.folder / "encoder"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def joint(self) -> Path:
        """A saved result by a joint tagger, with equivalent labels merged."""
        return self.folder / "joint"

    @property
    def separate(self) -> Path:
        """A saved result by separate taggers on a greedy path, with pseudo-labels and a merged tagger."""
        return self.folder / "separate"

    @property
    def sources(self) -> list[NerSource]:
        """The corpora, read from the folders ``alpha`` and ``beta``."""
        return [load_source(self.folder / name) for name in NAMES]

    def align_jointly(self) -> MergeResult:
        settings = AlignSettings(EvidenceSettings("taggers"), TaggerSettings(training=TRAINING))
        return align(self.sources, encoder=self.encoder, settings=settings)

    def align_separately(self) -> MergeResult:
        settings = AlignSettings(
            taggers=TaggerSettings("separate", TRAINING),
            greedy=GreedySettings(lam=0.4, tau=0.2),
            output=OutputSettings(pseudo_label_threshold=0.5, train_merged=True),
        )
        return align(self.sources, encoder=self.encoder, method="greedy", settings=settings)


def make_world(folder: Path, trained: Path) -> World:
    """Make the world of a run, or take it from another worker of the run.

    Args:
        folder: of the run.
        trained: caches of earlier runs, each by a digest of the code that trained.
    """
    world = World(folder)
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            make_encoder(world.encoder)
            for seed, (name, labels) in enumerate(NAMES.items()):
                write_corpus(folder / name, labels, 10 * seed)
            earlier = trained / _digest_of_training()
            if earlier.exists():
                shutil.copytree(earlier, world.cache)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ESNERA_CACHE_DIR", str(world.cache))
                world.align_jointly().save(world.joint)
                world.align_separately().save(world.separate)
            shutil.rmtree(trained, ignore_errors=True)
            shutil.copytree(world.cache, earlier)
            (folder / "done").touch()
    return world


def _digest_of_training() -> str:
    digest = hashlib.sha256(f"{version('torch')} {version('transformers')}".encode())
    package = Path(esnera_hf.__file__).parent
    files = [file for name in _TRAINING_CODE for file in sorted((package / name).rglob("*.py"))]
    for file in [*files, Path(__file__), Path(__file__).with_name("builders.py")]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
