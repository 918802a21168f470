"""The tutorial and the README's example, run as written: what a reader sees is what the pages show."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
TUTORIAL, README = ROOT / "docs" / "tutorial.md", ROOT / "README.md"
#: A command (indented lines) or a program in Python, and the output that the next block without a language shows.
_STEP = re.compile(
    r"^(?P<command>(?: {4}[^\n]*\n)+)|^```python\n(?P<program>.*?)^```$|^```\n(?P<output>.*?)^```$",
    re.M | re.S,
)
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+")
_DURATION = re.compile(r"\b[\d.]+ (?:s|min|h)\b")
pytestmark = pytest.mark.slow


def steps_of(page: Path) -> list[tuple[str, str]]:
    """Return commands and programs of a page in order, each with the output that is shown ("" where none is)."""
    steps: list[tuple[str, str]] = []
    for step in _STEP.finditer(page.read_text(encoding="utf-8")):
        if step["output"] is None:
            steps.append((step["command"] or step["program"], ""))
        else:
            assert steps, f"{page}: output before the first command"
            assert not steps[-1][1], f"{page}: two outputs of {steps[-1][0]}"
            steps[-1] = (steps[-1][0], step["output"])
    return steps


def seen(text: str) -> str:
    """Return what stays on a terminal, without progress bars, and without what is another in each run."""
    lines = [line.rpartition("\r")[2] for line in text.splitlines() if "%|" not in line.rpartition("\r")[2]]
    return _ADDRESS.sub("ADDRESS", _DURATION.sub("TIME", "\n".join(filter(None, lines))))


def save_renamed(address: str, file: Path, old: str, new: str) -> None:
    """Open the page at the address, and send what it sends when the mapping is saved with a label renamed."""
    place = urlsplit(address)
    server = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
    server.request("GET", f"/?{place.query}")
    answer = server.getresponse()
    answer.read()
    headers = {
        "Cookie": str(answer.getheader("Set-Cookie")).partition(";")[0],
        "Origin": f"http://{place.netloc}",
    }
    server.request("POST", "/mapping", file.read_text(encoding="utf-8").replace(old, new).encode(), headers)
    saved = server.getresponse()
    said = saved.read().decode()
    server.close()
    assert saved.status == 200, said


class Terminal:
    """An empty folder in which commands and programs run as a reader would run them."""

    def __init__(self, folder: Path, cache: Path) -> None:
        programs = folder / "bin"
        programs.mkdir(parents=True)
        script = programs / "esnera-hf"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m esnera_hf "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        self.here = folder / "empty"
        self.here.mkdir()
        self.environment = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",  # sums in another order give other last digits
            "HF_HUB_OFFLINE": "1",
            "ESNERA_CACHE_DIR": str(cache),
            "BROWSER": "true",  # a program that opens nothing
        }

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.here,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, step: str) -> str:
        is_command = step.startswith("    ")
        with self.start(["sh", "-c", step] if is_command else [sys.executable, "-c", step]) as process:
            output, _ = process.communicate(timeout=1200)
        assert process.returncode == 0, f"{step}{output}"
        return output

    def review(self, step: str, old: str, new: str) -> str:
        """Open the page at the address that is printed, save it with a label renamed, and end the command."""
        with self.start(["sh", "-c", step]) as process:
            try:
                assert process.stdout is not None
                output = process.stdout.readline()
                save_renamed(output.strip(), self.here / "merged" / "mapping.yaml", old, new)
                output += process.stdout.readline()
            finally:
                os.killpg(process.pid, signal.SIGTERM)  # SIGINT is ignored where tests run in the background
        return output


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_the_tutorial_shows_what_comes_out(tmp_path: Path, cache: Path) -> None:
    terminal = Terminal(tmp_path, cache)
    steps = steps_of(TUTORIAL)
    for step, shown in steps:
        assert shown, f"{step}: no output is shown"
        is_review = step.startswith("    esnera-hf review")
        output = terminal.review(step, "title@reviews", "award") if is_review else terminal.run(step)
        assert seen(output).split("\n") == seen(shown).split("\n"), step
    text = TUTORIAL.read_text(encoding="utf-8")
    for command in "demo inspect screen align review diff apply predict export push".split():
        assert f"esnera-hf {command} " in text
    assert (terminal.here / "edited" / "flow.svg").read_bytes() == (
        ROOT / "docs" / "images" / "flow.svg"
    ).read_bytes()


def test_the_examples_of_the_readme_print_what_it_shows(tmp_path: Path, cache: Path) -> None:
    shown = [(program, output) for program, output in steps_of(README) if output]
    assert shown
    for program, output in shown:
        printed = seen(Terminal(tmp_path, cache).run(program))
        assert printed[-len(seen(output)) :] == seen(output)
    assert "make_encoder" in shown[0][0]
