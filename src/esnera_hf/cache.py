"""What takes long is made once: artefacts in folders named by everything that decides their content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock

CACHE_VARIABLE = "ESNERA_CACHE_DIR"


def cache_folder() -> Path:
    """Return the folder for artefacts: ``ESNERA_CACHE_DIR``, else ``~/.cache/esnera_hf``."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "esnera_hf")


@dataclass(frozen=True)
class Artefact:
    """Something that is made once and kept.

    Attributes:
        kind: the folder it is kept in.
        identity: everything that decides its content, as JSON can hold it.
    """

    kind: str
    identity: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """A digest of the identity."""
        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def folder(self) -> Path:
        """Where the artefact lies once it is made."""
        return cache_folder() / self.kind / self.key / "made"

    @property
    def unfinished(self) -> Path:
        """Where whoever makes it may keep what is needed to go on after an interruption."""
        return self.folder.parent / "unfinished"

    @property
    def exists(self) -> bool:
        """Whether it has been made."""
        return self.folder.is_dir()

    def make(self, fill: Callable[[Path], None]) -> bool:
        """Make the artefact unless it is there; return whether it had to be made.

        It is written aside and renamed into place. A second process that wants
        the same artefact waits and takes it.

        Args:
            fill: writes the artefact into the empty folder it is given.
        """
        if self.exists:
            return False
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.parent / "lock"):
            if self.exists:
                return False
            staging = self.folder.parent / f"staging.{os.getpid()}"
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            fill(staging)
            staging.rename(self.folder)
            shutil.rmtree(self.unfinished, ignore_errors=True)
        return True
