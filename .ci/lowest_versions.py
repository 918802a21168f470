"""Print a constraint for every dependency of pyproject.toml that has a lower bound: that very version.

python .ci/lowest_versions.py > lowest.txt
pip install --constraint lowest.txt '.[dev]'
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
_BOUND = re.compile(r"([A-Za-z0-9_.-]+)\s*>=\s*([0-9][0-9.]*)")


def lowest(pyproject: str) -> Iterator[str]:
    """Yield ``name==version`` for each lower bound of the dependencies and of the extra ``dev``."""
    project = tomllib.loads(pyproject)["project"]
    for requirement in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        found = _BOUND.match(requirement)
        if found:
            yield f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    print("\n".join(lowest(PYPROJECT.read_text(encoding="utf-8"))))
