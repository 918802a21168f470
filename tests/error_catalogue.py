"""The messages of the package's errors, collected from its source: the last section of docs/errors.md.

python tests/error_catalogue.py                  # writes the section anew
python tests/error_catalogue.py --provoked FILE  # which messages no test run into FILE has provoked
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import esnera_hf
from esnera_hf.hub.failures import ADVICE

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "errors.md"
HEADING = "## Every message\n"
_PACKAGE = Path(esnera_hf.__file__).parent
#: Rooms where a method ``error`` makes the exception: its class, and what it puts before the message.
_MAKERS = {"alignment": ("MappingError", "…line …: "), "modeling": ("EncoderError", "")}
#: Messages that are passed on with no word added.
_RELAYED = {"…line …: …", "…: …", "…: … …"}


@dataclass(frozen=True)
class Site:
    """A place of the package that makes one of its exceptions.

    Attributes:
        file: relative to the package, with slashes.
        first, last: its lines, from 1.
        error: the name of the exception.
        message: its text; … is what is filled in.
    """

    file: str
    first: int
    last: int
    error: str
    message: str

    @property
    def room(self) -> str:
        """Return the module or folder that it lies in."""
        return self.file.partition("/")[0].removesuffix(".py")

    @property
    def key(self) -> str:
        """Return what stays the same when lines move."""
        return f"{self.file} {self.error}: {self.message}"


def error_names() -> list[str]:
    """Return the names of the exceptions, in the order of ``errors.py``."""
    tree = ast.parse((_PACKAGE / "errors.py").read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def sites(package: Path) -> Iterator[Site]:
    """Yield every place that makes one of the exceptions, but for those that no call can reach."""
    names = {*error_names(), "TagError"}
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package).as_posix()
        maker = _MAKERS.get(file.partition("/")[0])
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or "pragma: no cover" in lines[node.lineno - 1]:
                continue
            if isinstance(node.func, ast.Name) and node.func.id in names:
                error, message = node.func.id, _template(node.args[0]) if node.args else ""
            elif isinstance(node.func, ast.Attribute) and node.func.attr == "error" and maker:
                error, message = maker[0], maker[1] + _template(node.args[-1])
            else:
                continue
            if message not in _RELAYED:
                yield Site(file, node.lineno, node.end_lineno or node.lineno, error, message)


def section(package: Path) -> str:
    """Return the section: the distinct messages by exception and room."""
    by_error: dict[str, dict[str, set[str]]] = {}
    for site in sites(package):
        by_error.setdefault(site.error, {}).setdefault(site.room, set()).add(site.message)
    lines = [
        HEADING,
        "\n… stands for what is filled in. `make coverage` tells whether a test provokes each of them.\n",
    ]
    for error in sorted(by_error):
        lines.append(f"\n### {error}\n\n")
        for room, found in sorted(by_error[error].items()):
            lines += [f"- `{room}`: {_code(message)}\n" for message in sorted(found)]
        if error == "HubError":
            lines += [
                "\nWhat the longest of them says to do before “then …”, by what the Hub or the connection did:\n\n"
            ]
            lines += [f"- {kind.value}: {_code(advice)}\n" for kind, advice in ADVICE.items()]
    return "".join(lines)


def _template(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _template(node.left) + _template(node.right)
    return "…"


def _code(message: str) -> str:
    text = " ".join(message.split())
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def never_provoked(package: Path, provoked: set[str]) -> list[Site]:
    """Return the places whose message is not among the keys of those provoked."""
    return [site for site in sites(package) if site.key not in provoked]


def main() -> int:
    """Write the section, or say what no test has provoked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--provoked", type=Path, help="what `pytest --provoked FILE` has written")
    record = parser.parse_args().provoked
    if record is None:
        head = PAGE.read_text(encoding="utf-8").partition(HEADING)[0]
        PAGE.write_text(head + section(_PACKAGE), encoding="utf-8")
        return 0
    missing = never_provoked(_PACKAGE, set(json.loads(record.read_text(encoding="utf-8"))))
    for site in missing:
        print(f"{site.file}:{site.first}: {site.error}: {' '.join(site.message.split())}")
    print(f"{len(missing)} of {len({site.key for site in sites(_PACKAGE)})} messages were never provoked")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
