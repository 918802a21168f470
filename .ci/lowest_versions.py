"""Print a constraint for every dependency of pyproject.toml that has a lower bound: that very version.

python .ci/lowest_versions.py > lowest.txt
pip install --constraint lowest.txt '.[dev]'
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
_VERSION = re.compile(r"([A-Za-z0-9_.-]+)\s*[>=]=\s*([0-9][0-9.]*)")
#: Old builds of it come with gigabytes of CUDA, so that it is the version of constraints.txt.
_AS_DEVELOPED_WITH = {"torch"}


def lowest(pyproject: str, constraints: str) -> Iterator[str]:
    """Yield ``name==version`` for each lower bound of the dependencies and of the extra ``dev``."""
    project = tomllib.loads(pyproject)["project"]
    developed_with = dict(_VERSION.findall(constraints))
    for requirement in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        for name, version in _VERSION.findall(requirement)[:1]:
            yield f"{name}=={developed_with[name] if name in _AS_DEVELOPED_WITH else version}"


if __name__ == "__main__":
    files = (ROOT / name for name in ("pyproject.toml", "constraints.txt"))
    print("\n".join(lowest(*(file.read_text(encoding="utf-8") for file in files))))
