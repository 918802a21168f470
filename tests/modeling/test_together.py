"""Several processes of one launch work as one, or not at all."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from accelerate import PartialState

from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.together import agreed, launch_state, wait_for_all
from esnera_hf.processes import is_main_process, process_count

#: What each of two processes does; the main one comes to the meeting point late.
TWO = """
import os, sys, time
from esnera_hf.console import say
from esnera_hf.modeling.together import agreed, launch_state, wait_for_all
from esnera_hf.processes import is_main_process, process_count
main = is_main_process()
state = launch_state()
said = [main, process_count(), state.num_processes, state.process_index, state.device.type]
said += [agreed(main), agreed(not main)]
if main:
    time.sleep(0.5)
    open(sys.argv[1], "w").close()
wait_for_all()
print([*said, os.path.exists(sys.argv[1])])
say("said")
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no launcher around the tests count."""
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def environment(**variables: object) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MASTER_")}
    return {**kept, "CUDA_VISIBLE_DEVICES": "", **{name: str(value) for name, value in variables.items()}}


def test_one_process_is_its_own_main_process() -> None:
    assert (process_count(), is_main_process()) == (1, True)
    assert launch_state().num_processes == 1
    assert [agreed(True), agreed(False)] == [True, False]
    wait_for_all()


def test_the_variables_of_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert (process_count(), is_main_process()) == (4, False)
    monkeypatch.setenv("RANK", "0")
    assert is_main_process()
    monkeypatch.setenv("WORLD_SIZE", "")
    assert process_count() == 1


def test_processes_that_do_not_know_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state was made before anything told of the launch."""
    assert PartialState().num_processes == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    for call in (launch_state, lambda: agreed(True), wait_for_all):
        with pytest.raises(
            ConfigurationError,
            match=r"^2 processes were launched and do not work together \(1 known to each\)\. "
            r"Launch them with `accelerate launch --multi_gpu --num_processes 2 …`",
        ):
            call()


def test_processes_that_cannot_meet_are_refused() -> None:
    """A launcher that does not tell them where; the first line of what accelerate says is kept."""
    code = "from esnera_hf.modeling.together import launch_state; launch_state()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(WORLD_SIZE=2, RANK=1),
        capture_output=True,
        text=True,
        timeout=100,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "esnera_hf.errors.ConfigurationError: 2 processes were launched and do not work together (Tried to launch"
    )
    assert "`MASTER_ADDR` env was not set" in last


def test_two_processes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All think what the main one thinks, and none goes on before it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mark = tmp_path_factory.mktemp("together") / "mark"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TWO, str(mark)],
            env=environment(
                WORLD_SIZE=2, RANK=rank, LOCAL_RANK=rank, MASTER_ADDR="127.0.0.1", MASTER_PORT=port
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0][0].strip() == "[True, 2, 2, 0, 'cpu', True, False, True]"
    assert outputs[1][0].strip() == "[False, 2, 2, 1, 'cpu', True, False, True]"
    assert ["said" in errors for _, errors in outputs] == [True, False]
