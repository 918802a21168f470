"""What the command line says is its own: no warning, log line or bar of a library, and none of its own is lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
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
from esnera_hf import console
from esnera_hf.cli import main

said = []

class Writer(console.tqdm):
    @classmethod
    def write(cls, message, file=None, **options):
        said.append(message)
        super().write(message, file=file, **options)

console.tqdm = Writer
codes = []
for command in json.loads(sys.argv[1]):
    codes.append(main(command))
Path(sys.argv[2]).write_text(json.dumps({"codes": codes, "said": said}))
"""
#: What the package's own bars begin with.
BARS = re.compile(r"(train|predict|semantic similarity) \S")
OWN_ERROR = "esnera-hf: "


@dataclass(frozen=True)
class Run:
    """What commands printed, what they said on standard error, and what of it the package said."""

    codes: list[int]
    output: str
    errors: str
    said: list[str]

    @property
    def strange(self) -> list[str]:
        """The lines on standard error that are neither messages nor bars of the package."""
        own = {line for message in self.said for line in message.split("\n")}
        lines = (line.strip() for line in re.split("[\r\n]", self.errors.replace("\x1b[A", "\n")))
        return [line for line in lines if line and line not in own and not self._is_own(line)]

    @staticmethod
    def _is_own(line: str) -> bool:
        return BARS.match(line) is not None if "%|" in line else line.startswith(OWN_ERROR)


def run(folder: Path, *commands: list[str], **variables: str) -> Run:
    """Run commands one after another in a process that shows every bar, and the warnings that Python shows."""
    environment = client_environment("http://127.0.0.1:9", folder) | {"HF_HUB_OFFLINE": "1"} | variables
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS", "PYTHONWARNINGS"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(commands), str(folder / "said.json")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((folder / "said.json").read_text())
    return Run(told["codes"], done.stdout, done.stderr, told["said"])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every command that works on corpora, on two of them; a wrong name among them."""
    folder = tmp_path_factory.mktemp("quiet")
    make_encoder(folder / "encoder")
    write_corpus(folder / "alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1)
    write_corpus(folder / "beta", {"PERSON": "name", "PLACE": "city"}, seed=20)
    (folder / "text.txt").write_text("anna met bruno\n", encoding="utf-8")
    corpora, cheap = ["alpha", "beta"], ["--encoder", "encoder", "--epochs", "1"]
    merge = ["--lambda", "0.4", "--tau", "0.4", "--train-merged", "--pseudo-label-threshold", "0.9"]
    return run(
        folder,
        ["align", *corpora, *cheap, *merge, "--output", "merged"],
        ["apply", "merged/mapping.yaml", *corpora, "--output", "applied"],
        ["reproduce", "merged/report.json", *corpora, "--encoder", "encoder"],
        ["train", "alpha", *cheap, "--output", "tagger"],
        ["evaluate", "tagger", "alpha"],
        ["predict", "tagger", "text.txt"],
        ["export", "merged", "--format", "conll", "--output", "exported"],
        ["inspect", "alpha"],
        ["screen", *corpora],
        ["diff", "merged/mapping.yaml", "applied/mapping.yaml"],
        ["sources"],
        ["inspect", "gamma"],
        ESNERA_ENCODER_DIR="",
    )


@pytest.mark.slow
def test_every_command_ran(done: Run) -> None:
    assert done.codes == [0] * 11 + [1], done.errors


@pytest.mark.slow
def test_nothing_on_standard_error_is_a_library_s(done: Run) -> None:
    assert done.strange == []


@pytest.mark.slow
def test_nothing_on_standard_output_is_a_library_s(done: Run) -> None:
    assert "Warning" not in done.output
    assert "%|" not in done.output
    assert not re.search(r"transformers|huggingface_hub|site-packages", done.output)


@pytest.mark.slow
def test_what_a_user_can_act_on_is_said(done: Run) -> None:
    assert re.search(r"^esnera-hf: 'gamma': ", done.errors, re.MULTILINE), done.errors


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
    said = Run([], "", f"reused\n{line}\rtrain alpha:   0%|          | 0/4\nesnera-hf: no\n", ["reused"])
    assert said.strange == [line]


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
