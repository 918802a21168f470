"""Several processes of one launch do one piece of work: on the CPU, and launched as people launch them."""

from __future__ import annotations

import filecmp
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from accelerate import PartialState

from builders import toy_source
from esnera_hf import (
    AlignSettings,
    EvidenceSettings,
    NerSource,
    align,
)
from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.processes import is_main_process
from esnera_hf.cli.main import main
from esnera_hf.modeling import tokenization as batching
from esnera_hf.similarity.evidence import gather_evidence
from esnera_hf.sources.leakage import without_leaks
from esnera_hf.taggers.predictions import (
    in_turn,
    make_by_all,
    own_chunks,
    own_share,
    shares,
)

BIN = Path(sysconfig.get_path("scripts"))
TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 3, "seed": 42}
#: Few sentences a chunk, so that both of two processes get several and the last one is short.
CHUNK = 13
SENTENCES = 60
#: Of a joint tagger: two sentences a step, so that each of two processes lacks the head of a source in every step.
TWO_A_STEP = {**TRAINING, "num_train_epochs": 2, "per_device_train_batch_size": 2}
#: What processes that train together warn of.
WARNINGS = ("find_unused", "unused param", "Grad strides", "destroy_process_group", "ddp", "DDP")

Run = subprocess.CompletedProcess[str]


def corpora() -> list[NerSource]:
    return [
        toy_source("beta", {"PERSON": "name", "PLACE": "city", "FIRM": "firm"}, seed=2, train=SENTENCES),
        toy_source("alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1, train=SENTENCES),
    ]


def align_and_save(encoder: Path, output: Path) -> None:
    settings = AlignSettings(EvidenceSettings(training=TRAINING, taggers="separate"))
    result = align(corpora(), encoder=encoder, lam=0.6, tau=0.5, settings=settings)
    if is_main_process():
        result.save(output)


def join(encoder: Path) -> None:
    """Train a joint tagger and let it predict."""
    gather_evidence(corpora(), str(encoder), EvidenceSettings(training=TWO_A_STEP, taggers="joint"))


def do_both(encoder: str, output: str) -> None:
    """What each process of the launch does."""
    batching.CHUNK = CHUNK
    align_and_save(Path(encoder), Path(output))
    join(Path(encoder))


def environment(cache: Path, **variables: object) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MASTER_", "ACCELERATE_"))}
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    own = {"CUDA_VISIBLE_DEVICES": "", "ESNERA_CACHE_DIR": cache, "PYTHONPATH": paths, **variables}
    return {**kept, **{name: str(value) for name, value in own.items()}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(home: Path, code: str, *arguments: object) -> Run:
    """Run code in two processes."""
    (home / "main.py").write_text(code, encoding="utf-8")
    command = [
        BIN / "accelerate", "launch", "--multi_gpu", "--num_processes", 2, "--num_machines", 1,
        "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", free_port(),
        "main.py", *arguments,
    ]  # fmt: skip
    return subprocess.run(
        [str(part) for part in command],
        cwd=home,
        env=environment(home / "cache"),
        capture_output=True,
        text=True,
    )


def made(cache: Path, pattern: str) -> list[str]:
    """Return files of artifacts of a cache, by their path from there."""
    return sorted(str(file.relative_to(cache)) for file in cache.glob(pattern) if file.is_file())


def same(one: Path, other: Path, names: list[str]) -> list[str]:
    return [name for name in names if filecmp.cmp(one / name, other / name, shallow=False)]


@contextmanager
def cache_in(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(folder))
        patch.setattr(batching, "CHUNK", CHUNK)
        yield


@pytest.fixture(scope="module")
def alone(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache and output of one process."""
    home = tmp_path_factory.mktemp("alone")
    with cache_in(home / "cache"):
        align_and_save(encoder_folder, home / "output")
    return home


@pytest.fixture(scope="module")
def launched(alone: Path, encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """Those of two, which are given the separate taggers, and train a joint one."""
    home = tmp_path_factory.mktemp("launched")
    shutil.copytree(alone / "cache" / "taggers", home / "cache" / "taggers")
    code = "import sys, test_shares; test_shares.do_both(*sys.argv[1:])"
    done = launch(home, code, encoder_folder, home / "output")
    assert done.returncode == 0, done.stderr
    return home, done


class TestTwoProcessesOfALaunch:
    def test_predictions_and_mention_sums_are_the_same_bytes(
        self, alone: Path, launched: tuple[Path, Run]
    ) -> None:
        home, _ = launched
        predictions = made(alone / "cache", "predictions/*/made/*")
        mentions = made(alone / "cache", "mentions/*/made/*")
        assert (len(predictions), len(mentions)) == (6, 4)
        names = [*predictions, *mentions]
        assert same(alone / "cache", home / "cache", names) == names

    def test_so_is_the_merged_dataset(self, alone: Path, launched: tuple[Path, Run]) -> None:
        home, _ = launched
        names = [
            name
            for name in made(alone / "output", "**/*")
            if Path(name).suffix in (".arrow", ".parquet", ".yaml", ".npz")
        ]
        assert len(names) >= 4
        assert same(alone / "output", home / "output", names) == names

    def test_no_tagger_was_trained_again(self, launched: tuple[Path, Run]) -> None:
        home, done = launched
        assert "tagger trained in" not in done.stderr.replace("joint tagger of alpha, beta trained in", "")
        assert len(made(home / "cache", "taggers/*/made/model.safetensors")) == 2

    def test_one_takes_the_joint_tagger_of_two_and_reads_the_same(
        self, launched: tuple[Path, Run], encoder_folder: Path, tmp_path: Path
    ) -> None:
        home, _ = launched
        shutil.copytree(home / "cache" / "joint_taggers", tmp_path / "joint_taggers")
        shutil.copytree(home / "cache" / "mentions", tmp_path / "mentions")
        with cache_in(tmp_path):
            join(encoder_folder)
        assert len(made(tmp_path, "joint_taggers/*/made/model.safetensors")) == 1
        names = made(tmp_path, "readings/*/made/*")
        assert len(names) == 8  # of two splits: predictions of two heads, vectors and labels of mention sums
        assert same(tmp_path, home / "cache", names) == names

    def test_training_where_each_process_lacks_a_head(self, launched: tuple[Path, Run]) -> None:
        """Batches of both together are as large as those of one, and both learn all heads."""
        home, done = launched
        (file,) = (home / "cache").glob("joint_taggers/*/made/training_history.json")
        record = json.loads(file.read_text(encoding="utf-8"))
        assert record["arguments"]["per_device_train_batch_size"] == 2
        sentences = sum(len(source.dataset["train"]) for source in without_leaks(corpora()))
        steps = -(-sentences // 2) * 2  # two sentences a step, two epochs
        assert f"/{steps} [" in done.stderr
        assert all(entry["f1"] > 0.5 for entry in record["history"][-1]["sources"].values())
        assert len(record["history"][-1]["sources"]) == 2

    def test_nothing_is_said_twice_and_nothing_warned_of(self, launched: tuple[Path, Run]) -> None:
        _, done = launched
        assert done.stderr.count("joint tagger of alpha, beta trained in") == 1
        assert [word for word in WARNINGS if word in done.stderr] == []


def make_numbers(mode: str) -> str:
    """Make an artifact of 30 numbers; a process may be killed while it works, or while it writes."""

    def work() -> list[int]:
        numbers = [number for _, chunk in own_chunks(range(30)) for number in chunk]
        if mode == "kill worker" and not is_main_process():
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "worker fails" and not is_main_process():
            raise ValueError("no numbers")
        return numbers

    def save(numbers: list[int], folder: Path) -> None:
        (folder / "numbers").write_text(" ".join(map(str, numbers)))
        if mode == "kill writer":
            os.kill(os.getpid(), signal.SIGKILL)

    artifact = numbers_artifact()
    return f"{make_by_all(artifact, work, save)} {(artifact.folder / 'numbers').read_text()}"


def numbers_artifact() -> Artifact:
    return Artifact("numbers", {"of": "test"})


def one_of_two(rank: int, port: int, mode: str, output: Path) -> None:
    PartialState._reset_state()
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    output.write_text(make_numbers(mode))


def start_two(mode: str, outputs: list[Path]) -> list[BaseProcess]:
    """Start two processes without a launcher that would end one for the other."""
    port = free_port()
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=one_of_two, args=(rank, port, mode, output))
        for rank, output in enumerate(outputs)
    ]
    for process in processes:
        process.start()
    return processes


def exit_codes(processes: Sequence[BaseProcess]) -> list[int | None]:
    """Wait a minute for processes to end; ``None`` for one that hangs."""
    for process in processes:
        process.join(60)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
class TestFailure:
    @pytest.fixture
    def outputs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        monkeypatch.setattr(batching, "CHUNK", 7)
        return [tmp_path / "0", tmp_path / "1"]

    @pytest.mark.parametrize(
        ("mode", "codes"),
        [
            ("kill worker", [1, -signal.SIGKILL]),
            ("worker fails", [1, 1]),
            ("kill writer", [-signal.SIGKILL, 1]),
        ],
    )
    def test_when_one_fails_the_other_ends_and_nothing_is_made(
        self, outputs: list[Path], mode: str, codes: list[int]
    ) -> None:
        assert exit_codes(start_two(mode, outputs)) == codes
        assert not any(output.exists() for output in outputs)
        artifact = numbers_artifact()
        assert not artifact.folder.exists()
        assert make_numbers("alone") == "True " + " ".join(map(str, range(30)))
        left = sorted(file.name for file in artifact.folder.parent.iterdir())
        assert left == ["artifact.json", "lock", "made"]

    def test_none_fails(self, outputs: list[Path]) -> None:
        """The main one writes what it has got itself: every second chunk."""
        own = [*range(7), *range(14, 21), *range(28, 30)]
        assert exit_codes(start_two("together", outputs)) == [0, 0]
        assert [o.read_text() for o in outputs] == ["True " + " ".join(map(str, own))] * 2

    def test_a_launch_waits_for_what_another_makes(self, outputs: list[Path]) -> None:
        processes: list[BaseProcess] = []

        def fill(folder: Path) -> None:
            processes.extend(start_two("together", outputs))
            time.sleep(3)
            assert [process.exitcode for process in processes] == [None, None]
            (folder / "numbers").write_text("of another")

        numbers_artifact().make(fill)
        assert exit_codes(processes) == [0, 0]
        assert [output.read_text() for output in outputs] == ["False of another"] * 2


class TestChunks:
    @pytest.mark.parametrize("count", [1, 2, 3, 8])
    @pytest.mark.parametrize("size", [0, 1, 7, 13, 14, 100])
    def test_dealt_out_and_put_in_order_again(
        self, monkeypatch: pytest.MonkeyPatch, count: int, size: int
    ) -> None:
        monkeypatch.setattr(batching, "CHUNK", 7)
        monkeypatch.setenv("WORLD_SIZE", str(count))
        parts: list[list[int]] = []
        numbers: list[int] = []
        for index in range(count):
            monkeypatch.setenv("RANK", str(index))
            own = list(own_chunks(range(size)))
            assert all(chunk == list(range(size))[number * 7 : number * 7 + 7] for number, chunk in own)
            numbers += [number for number, _ in own]
            parts.append([item for _, chunk in own for item in chunk])
        assert sorted(numbers) == list(range(-(-size // 7)))
        assert list(in_turn(parts)) == list(range(size))

    def test_a_share_left_by_an_earlier_launch_is_emptied(self, monkeypatch: pytest.MonkeyPatch) -> None:
        artifact = Artifact("numbers", {})
        monkeypatch.setenv("WORLD_SIZE", "3")
        monkeypatch.setenv("RANK", "1")
        for _ in range(2):
            folder = own_share(artifact)
            assert list(folder.iterdir()) == []
            (folder / "old").touch()
        assert shares(artifact).index(folder) == 1
        assert len(shares(artifact)) == 3


class TestCommandLine:
    def test_what_would_be_done_by_each_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert main(["predict", "nothing"]) == 1
        assert capsys.readouterr().err == (
            "esnera-hf: 2 processes were launched, and each would do all that `predict` does. "
            "Run it without a launcher; align, apply, train share their work.\n"
        )
