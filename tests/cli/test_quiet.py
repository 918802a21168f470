"""What the command line says is its own: no warning, log line or bar of a library, and none of its own is lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.utils import are_progress_bars_disabled
from transformers.utils import logging as transformers_logging

from builders import make_encoder, write_corpus
from esnera_hf._internal.console import quiet_libraries
from hub_server.client import client_environment

hub_tqdm = sys.modules["huggingface_hub.utils.tqdm"]
#: Runs commands; keeps what the package says apart.
DRIVER = """
import json, sys
from pathlib import Path
from tqdm import auto
from esnera_hf.cli.main import main

said = []

class Writer(auto.tqdm):
    @classmethod
    def write(cls, message, file=None, **options):
        said.append(message)
        super().write(message, file=file, **options)

auto.tqdm = Writer
codes = [main(command.split()) for command in json.loads(sys.argv[1])]
Path(sys.argv[2]).write_text(json.dumps({"codes": codes, "said": said}))
"""
#: What the package's own bars begin with.
BARS = re.compile(r"(train|predict|semantic similarity) \S")
OWN_ERROR = "esnera-hf: "


def strange(errors: str, said: list[str]) -> list[str]:
    """Return the lines on standard error that are neither messages nor bars of the package."""
    own = {line for message in said for line in message.split("\n")}
    lines = (line.strip() for line in re.split("[\r\n]", errors.replace("\x1b[A", "\n")))
    return [line for line in lines if line and line not in own and not _is_own(line)]


def _is_own(line: str) -> bool:
    return BARS.match(line) is not None if "%|" in line else line.startswith(OWN_ERROR)


@pytest.mark.slow
def test_nothing_that_is_printed_is_a_library_s(tmp_path: Path) -> None:
    """Every command that works on corpora, in a process that shows every bar and warning."""
    make_encoder(tmp_path / "encoder")
    write_corpus(tmp_path / "alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1)
    write_corpus(tmp_path / "beta", {"PERSON": "name", "PLACE": "city"}, seed=20)
    (tmp_path / "text.txt").write_text("anna met bruno\n", encoding="utf-8")
    cheap = "--encoder encoder --epochs 1"
    commands = [
        f"align alpha beta {cheap} --method greedy --lambda 0.4 --tau 0.4 --train-merged --output merged",
        "apply merged/mapping.yaml alpha beta --output applied",
        "reproduce merged/report.json alpha beta --encoder encoder",
        f"train alpha {cheap} --output tagger",
        "evaluate tagger alpha",
        "predict tagger text.txt",
        "export merged --format conll --output exported",
        "inspect alpha beta",
        "diff merged/mapping.yaml applied/mapping.yaml",
        "sources",
        "inspect gamma",
    ]
    environment = client_environment("http://127.0.0.1:9", tmp_path) | {"HF_HUB_OFFLINE": "1"}
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS", "PYTHONWARNINGS"):
        environment.pop(name, None)
    command = [sys.executable, "-c", DRIVER, json.dumps(commands), "said.json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "said.json").read_text())
    assert told["codes"] == [0] * 10 + [1], done.stderr
    assert strange(done.stderr, told["said"]) == []
    assert not re.search(r"Warning|%\||transformers|huggingface_hub|site-packages", done.stdout)
    assert re.search(r"^esnera-hf: 'gamma': ", done.stderr, re.MULTILINE), done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "Loading weights: 100%|██████████| 45/45 [00:00<00:00, 871.09it/s]",
        "Map:   0%|          | 0/60 [00:00<?, ? examples/s]",
        "[transformers] Some weights of BertModel were not initialized",
        "/lib/python3/site-packages/datasets/load.py:1: FutureWarning: soon",
    ],
)
def test_what_a_library_says_would_be_found(line: str) -> None:
    errors = f"reused\n{line}\rtrain alpha:   0%|          | 0/4\nesnera-hf: no\n"
    assert strange(errors, ["reused"]) == [line]


@pytest.mark.parametrize("hub", [True, False])
@pytest.mark.parametrize("models", [True, False])
def test_bars_are_afterwards_as_they_were(hub: bool, models: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_tqdm, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    monkeypatch.setattr(transformers_logging, "_tqdm_active", models)
    monkeypatch.setattr(hub_tqdm, "progress_bar_states", {"_global": hub})
    with quiet_libraries():
        assert not transformers_logging.is_progress_bar_enabled()
        assert are_progress_bars_disabled()
    assert transformers_logging.is_progress_bar_enabled() == models
    assert are_progress_bars_disabled() != hub


@pytest.mark.parametrize("variable", [True, False])
def test_a_variable_that_decides_on_bars_is_no_reason_to_warn(
    variable: bool, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(hub_tqdm, "HF_HUB_DISABLE_PROGRESS_BARS", variable)
    with quiet_libraries():
        pass
    assert [str(warning.message) for warning in recwarn] == []
