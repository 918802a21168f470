"""The results of stages, kept: worked out once, and read where they were worked out before."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

from esnera_hf.cache import Artefact
from esnera_hf.console import say
from esnera_hf.errors import CacheError
from esnera_hf.processes import is_main_process

_JSON_FILE = "kept.json"
#: Beside the package itself, what decides the result of a stage that no model has a part in.
_COUNTED_WITH = ("datasets", "numpy", "pyarrow")

T = TypeVar("T")


@dataclass(frozen=True)
class Form(Generic[T]):
    """How the result of a stage lies in a folder.

    Attributes:
        write: writes it into an empty folder.
        read: gives back the same, exactly.
    """

    write: Callable[[T, Path], None]
    read: Callable[[Path], T]


def as_json(plain: Callable[[T], Any], rebuilt: Callable[[Any], T]) -> Form[T]:
    """Return the form of what can be made plain data and back."""

    def write(result: T, folder: Path) -> None:
        (folder / _JSON_FILE).write_text(json.dumps(plain(result)), encoding="utf-8")

    def read(folder: Path) -> T:
        return rebuilt(json.loads((folder / _JSON_FILE).read_text(encoding="utf-8")))

    return Form(write, read)


def kept(
    artefact: Artefact,
    work: Callable[[], T],
    form: Form[T],
    make: Callable[[Artefact, Callable[[], T], Callable[[T, Path], None]], bool] | None = None,
) -> T:
    """Return the result of a stage: worked out and kept, or read if it was kept before.

    Args:
        artefact: named by everything that the result depends on, the code too (:func:`code_digest`).
        work: works it out.
        form: how it is kept.
        make: makes the artefact from what work gives. If not given, each process
            works it out for itself and the main one keeps it; where the cache cannot
            be written to, it goes on without, and says so.

    Raises:
        CacheError: the cache cannot be written to, and another ``make`` was given.
    """
    done: list[T] = []

    def work_once() -> T:
        done.append(work())
        return done[0]

    if make is not None:
        make(artefact, work_once, form.write)
    elif not is_main_process() and not artefact.exists:
        work_once()
    else:
        try:
            artefact.make(lambda folder: form.write(work_once(), folder))
        except CacheError as error:
            say(f"WARNING: {artefact.kind} will have to be worked out again next time: {error}")
            if not done:
                work_once()
    return done[0] if done else form.read(artefact.folder)


@cache
def code_digest() -> str:
    """Return a digest of this package's code and of the versions that decide what it computes without a model."""
    digest = hashlib.blake2b(digest_size=16)
    folder = Path(__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    versions = {name: version(name) for name in ("esnera-hf", *_COUNTED_WITH)}
    digest.update(json.dumps({"python": platform.python_version(), **versions}).encode())
    return digest.hexdigest()
