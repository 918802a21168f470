"""The messages of the package's errors, collected from its source: the last section of docs/errors.md.

python tests/error_catalogue.py    # writes the section anew
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import esnera_hf

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "errors.md"
HEADING = "## Every message\n"
_PACKAGE = Path(esnera_hf.__file__).parent


def error_names() -> list[str]:
    """Return the names of the exceptions, in the order of ``errors.py``."""
    tree = ast.parse((_PACKAGE / "errors.py").read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def messages(package: Path) -> Iterator[tuple[str, str, str]]:
    """Yield room, exception and message of every place that makes one of the exceptions; … is what is filled in."""
    names = {*error_names(), "TagError"}
    for file in sorted(package.rglob("*.py")):
        room = file.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield room, node.func.id, _template(node.args[0]) if node.args else ""


def section(package: Path) -> str:
    """Return the section: the distinct messages by exception and room."""
    by_error: dict[str, dict[str, set[str]]] = {}
    for room, error, message in messages(package):
        by_error.setdefault(error, {}).setdefault(room, set()).add(message)
    lines = [HEADING, "\n… stands for what is filled in.\n"]
    for error in sorted(by_error):
        lines.append(f"\n### {error}\n\n")
        for room, found in sorted(by_error[error].items()):
            lines += [f"- `{room}`: {_code(message)}\n" for message in sorted(found)]
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


if __name__ == "__main__":
    head = PAGE.read_text(encoding="utf-8").partition(HEADING)[0]
    PAGE.write_text(head + section(_PACKAGE), encoding="utf-8")
