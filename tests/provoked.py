"""Which messages of the package's errors a test run provokes: ``pytest --provoked FILE``.

FILE holds the messages of all runs that named it, each with a test that provoked it, so that the tests can be run
in parts; ``error_catalogue.py --provoked FILE`` says what is missing. What only another process provokes is not seen.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import FrameType

import pytest

import esnera_hf
from error_catalogue import Site, sites
from esnera_hf.errors import EsneraError

_PACKAGE = Path(esnera_hf.__file__).parent
_FILE = pytest.StashKey[Path]()
_SEEN = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--provoked", type=Path, metavar="FILE", help="add the provoked error messages to FILE")


def pytest_configure(config: pytest.Config) -> None:
    """Note where exceptions of the package are made, if asked to."""
    if config.getoption("--provoked", None) is None:
        return
    config.stash[_FILE] = config.getoption("--provoked").absolute()
    seen = config.stash[_SEEN] = {}
    by_file: dict[str, list[Site]] = {}
    for site in sites(_PACKAGE):
        by_file.setdefault(str(_PACKAGE / site.file), []).append(site)

    def note(self: EsneraError, *args: object) -> None:
        frame: FrameType | None = sys._getframe(1)
        for _ in range(2):  # where it is made, or where the method that makes it is called
            if frame is None:
                break
            for site in by_file.get(frame.f_code.co_filename, ()):
                if site.first <= frame.f_lineno <= site.last:
                    seen.setdefault(site.key, os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0])
            frame = frame.f_back
        super(EsneraError, self).__init__(*args)

    EsneraError.__init__ = note  # type: ignore[method-assign]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Add what was provoked to the file."""
    if _FILE not in session.config.stash:
        return
    record = session.config.stash[_FILE]
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    record.parent.mkdir(parents=True, exist_ok=True)
    known = session.config.stash[_SEEN] | known
    record.write_text(json.dumps(known, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
