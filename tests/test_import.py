"""Importing the package loads nothing heavy and changes nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import esnera_hf


def run(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, os, logging; before = dict(os.environ); handlers = list(logging.root.handlers); "
        "import esnera_hf, esnera_hf.cli; "
        "print(sorted({'torch', 'transformers', 'datasets', 'evaluate', 'matplotlib', 'numpy', 'seqeval'} "
        "& set(sys.modules)), before == dict(os.environ), handlers == logging.root.handlers)"
    )
    assert run(code) == "[] True True"


def test_the_method_without_models_loads_no_torch() -> None:
    code = (
        "import sys; import esnera_hf.similarity, esnera_hf.alignment, esnera_hf.merging, esnera_hf.report; "
        "print(sorted({'torch', 'transformers', 'esnera_hf.modeling'} & set(sys.modules)))"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("name", esnera_hf.__all__)
def test_every_name_of_the_shop_window_is_there(name: str) -> None:
    value = getattr(esnera_hf, name)
    assert value.__name__ == name
    assert value.__doc__


def test_the_shop_window_is_one_list() -> None:
    assert sorted(esnera_hf.__all__) == esnera_hf.__all__ == sorted(esnera_hf._HOMES)
    assert dir(esnera_hf) == esnera_hf.__all__


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'esnera_hf' has no attribute 'allign'"):
        esnera_hf.allign  # noqa: B018
