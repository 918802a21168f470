"""Several processes of one launch work as one, or not at all."""

from __future__ import annotations

import re
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from accelerate import PartialState

from esnera_hf._internal.processes import is_main_process, process_count, process_index
from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling import distributed as together
from esnera_hf.modeling.distributed import broadcast, launch_state, wait_for_all


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no launcher around the tests count."""
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert PartialState().num_processes == 1  # made once in a process


LAUNCHERS = "WORLD_SIZE RANK PMI_SIZE PMI_RANK OMPI_COMM_WORLD_SIZE OMPI_COMM_WORLD_RANK".split()
LAUNCHERS += "MV2_COMM_WORLD_SIZE MV2_COMM_WORLD_RANK SLURM_STEP_NUM_TASKS SLURM_PROCID".split()


@pytest.mark.parametrize(("count", "rank"), [*zip(LAUNCHERS[::2], LAUNCHERS[1::2], strict=True)])
def test_the_variables_of_launchers(monkeypatch: pytest.MonkeyPatch, count: str, rank: str) -> None:
    """Processes that do not find each other by them are refused, and torchrun's come first."""
    monkeypatch.setenv(count, "3")
    monkeypatch.setenv(rank, "2")
    assert (process_count(), process_index(), is_main_process()) == (3, 2, False)
    with pytest.raises(ConfigurationError, match=r"^3 processes were launched and do not work together"):
        launch_state()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert (process_count(), process_index(), is_main_process()) == (1, 0, True)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Let there be two GPUs, and return what makes the state."""
    together._say_once.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    made = SimpleNamespace(num_processes=1, device=torch.device("cuda"))
    monkeypatch.setattr(together, "PartialState", Mock(return_value=made))
    return together.PartialState  # type: ignore[return-value]


def test_one_process_says_once_how_to_use_all_gpus(state: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert launch_state().num_processes == 1
    assert capsys.readouterr().err == (
        "2 GPUs are visible, and one process uses one. All of them: "
        "`accelerate launch --multi_gpu --num_processes 2 …`\n"
    )


def test_more_processes_than_gpus_are_refused(state: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not where GPUs are not to be used."""
    monkeypatch.setenv("WORLD_SIZE", "6")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    message = r"^3 processes were launched on a machine where 2 GPUs are visible. .*--num_processes 2 …`$"
    with pytest.raises(ConfigurationError, match=message):
        launch_state()
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    state.return_value.num_processes = 6
    assert launch_state().num_processes == 6
    assert state.call_args.kwargs["cpu"] is True


def test_one_process_of_several_wanted_is_remarked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `accelerate launch --cpu --num_processes 2` starts it."""
    together._say_once.cache_clear()
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert (process_count(), is_main_process(), launch_state().num_processes) == (1, True, 1)
    assert [broadcast(True), broadcast(False)] == [True, False]
    wait_for_all()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("MASTER_PORT", "29500")
    launch_state()
    assert "accelerate started one process. If more were wanted: `" in capsys.readouterr().err


@pytest.mark.parametrize("problem", ["1 known to each", "`MASTER_ADDR` env was not set"])
def test_processes_that_do_not_meet_are_refused(monkeypatch: pytest.MonkeyPatch, problem: str) -> None:
    """The state was made before anything told of the launch; or accelerate says why they cannot."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    if problem.startswith("`"):
        monkeypatch.setattr(together, "PartialState", Mock(side_effect=ValueError(f"{problem}\nmore")))
    message = f"2 processes were launched and do not work together ({problem}). Launch them with `acc"
    for call in (launch_state, lambda: broadcast(True), wait_for_all):
        with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}"):
            call()


def test_what_a_process_says_when_another_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Mock(side_effect=RuntimeError("Connection closed by peer [127.0.0.1]\nat line 5"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(together, "launch_state", lambda: Mock(wait_for_everyone=gone))
    with pytest.raises(ConfigurationError, match=r"^another of the 2 .* \(Connection closed by peer [^\n]*$"):
        together.wait_for_all()
