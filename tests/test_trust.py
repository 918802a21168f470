"""What docs/explanation/trust.md claims of the code as a whole: nothing from outside is run or unpickled."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import esnera_hf

FILES = sorted(Path(esnera_hf.__file__).parent.rglob("*.py"))
_UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
_UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
_UNSAFE_METHODS = {
    ("torch", "load"),
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("os", "system"),
    ("os", "popen"),
}


def findings(source: str) -> list[str]:
    """Return what in a module could run or unpickle what it is given."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            found += [name for name in names if name.partition(".")[0] in _UNSAFE_MODULES]
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in _UNSAFE_CALLS:
            found.append(node.func.id)
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            call = (node.func.value.id, node.func.attr)
            loaders = [keyword.value for keyword in node.keywords if keyword.arg == "Loader"]
            safe = "class _Loader(yaml.SafeLoader)" in source and [ast.unparse(name) for name in loaders] == [
                "_Loader"
            ]
            found += [".".join(call)] if call in _UNSAFE_METHODS and not safe else []
        for keyword in node.keywords:
            allows = isinstance(keyword.value, ast.Constant) and bool(keyword.value.value)
            if keyword.arg in ("trust_remote_code", "allow_pickle", "shell") and allows:
                found.append(f"{keyword.arg}=True")
    return found


def test_nothing_from_outside_is_run_or_unpickled() -> None:
    unsafe = {file.name: findings(file.read_text(encoding="utf-8")) for file in FILES}
    assert {name: found for name, found in unsafe.items() if found} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from dill import loads",
        "torch.load(path)",
        "eval(text)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
    ],
)
def test_it_would_be_found(source: str) -> None:
    assert len(findings(source)) == 1
