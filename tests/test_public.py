"""The names of the package, and what importing it loads: nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import esnera_hf

NAMES = [
    *(
        "AlignSettings",
        "EsneraError",
        "Evidence",
        "EvidenceSettings",
        "GreedySettings",
        "LabelMapping",
        "MergeResult",
    ),
    *("NerSource", "OutputSettings", "ReadingOptions", "SchemaSettings", "Tagger", "TaggerSettings", "align"),
    *("apply", "find_duplicates", "find_label_errors", "inspect", "load_source", "train_tagger"),
]
#: What `import esnera_hf` and the command line load must not take long, and change nothing.
IMPORTING = """
import logging, os, sys
before, handlers = dict(os.environ), list(logging.root.handlers)
heavy = {"torch", "transformers", "datasets", "evaluate", "numpy", "seqeval", "pyarrow"}
import esnera_hf, esnera_hf.cli.main
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert before == dict(os.environ) and handlers == logging.root.handlers
import esnera_hf.similarity.evidence, esnera_hf.alignment.search, esnera_hf.merging.merge, esnera_hf.report.build
heavy = {"torch", "transformers", "esnera_hf.modeling"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_importing_the_package_loads_nothing_heavy_and_the_method_without_models_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_names_of_the_package() -> None:
    assert dir(esnera_hf) == esnera_hf.__all__
    assert set(esnera_hf.__all__) == set(NAMES)
    for name in esnera_hf.__all__:
        value = getattr(esnera_hf, name)
        assert value.__name__ == name
        assert value.__doc__


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'esnera_hf' has no attribute 'allign'"):
        esnera_hf.allign  # noqa: B018
