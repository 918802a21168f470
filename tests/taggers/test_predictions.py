"""Predictions and mention vectors: their files, and the work that several processes of one launch share."""

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
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from accelerate import PartialState
from hypothesis import given
from hypothesis import strategies as st

from builders import toy_source
from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.processes import is_main_process
from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling import tokenization
from esnera_hf.modeling.checkpoints import last_whole_checkpoint
from esnera_hf.modeling.distributed import broadcast, wait_for_all
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.sources.leakage import find_leaks, without_leaks
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.predictions import (
    LabelCentroids,
    cached_centroids,
    cached_predictions,
    interleave,
    make_together,
    own_chunks,
    read_predictions,
    write_predictions,
)
from esnera_hf.taggers.settings import TaggerKind, TaggerSettings
from esnera_hf.taggers.source_taggers import train_source_taggers
from esnera_hf.tagging import Entity

BIN = Path(sysconfig.get_path("scripts"))
TRAINING = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 3, "seed": 42}
#: Few sentences per chunk, so that both of two processes get several and the last one is short.
CHUNK = 13
SENTENCES = 60
#: Of a joint tagger: two sentences a step, so that each of two processes lacks the head of a source in every step.
TWO_A_STEP = {**TRAINING, "num_train_epochs": 2, "per_device_train_batch_size": 2}
#: Warnings of processes that train together.
WARNINGS = ("find_unused", "unused param", "Grad strides", "destroy_process_group", "ddp", "DDP")

Run = subprocess.CompletedProcess[str]

ENTITIES = st.builds(
    Entity,
    st.integers(0, 9),
    st.integers(10, 20),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.integers(0, 10_000).map(lambda n: n / 10_000),
)


@given(rows=st.lists(st.lists(ENTITIES, max_size=3), max_size=5))
def test_predictions_survive(tmp_path_factory: pytest.TempPathFactory, rows: list[list[Entity]]) -> None:
    file = tmp_path_factory.mktemp("predictions") / "file.parquet"
    write_predictions([file], ((row,) for row in rows))
    read = list(read_predictions(file))
    assert read == rows
    assert [[e.score for e in row] for row in read] == [[e.score for e in row] for row in rows]


@pytest.mark.parametrize("labels", [(), ("x",), ("名", "a b", "x")])
def test_sums_of_vectors_survive(tmp_path: Path, labels: tuple[str, ...]) -> None:
    total = {label: np.array([1 / 3, n]) for n, label in enumerate(labels)}
    LabelCentroids(total, dict.fromkeys(labels, 7)).save(tmp_path / "file.npz")
    read = LabelCentroids.load(tmp_path / "file.npz")
    assert read.count == dict.fromkeys(labels, 7)
    assert {label: [*vector] for label, vector in read.total.items()} == {
        label: [*vector] for label, vector in total.items()
    }


def test_sums_of_parts_are_the_sums_of_the_whole() -> None:
    vectors = np.array([[1, 0], [5, 5], [2, 1], [1, 1]], np.float32)
    batches = [(["x", "y", "x"], vectors[:3]), (["y"], vectors[3:])]
    parts = LabelCentroids.added(LabelCentroids.of([batch]) for batch in batches)
    for sums in (LabelCentroids.of(batches), parts):
        assert sums.count == {"x": 2, "y": 2}
        assert {label: vector.tolist() for label, vector in sums.total.items()} == {
            "x": [3, 1],
            "y": [6, 6],
        }
        assert sums.mean.tolist() == [9 / 4, 7 / 4]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("p.parquet", lambda artifact: list(cached_predictions(artifact, "p.parquet"))),
        ("centroids.npz", cached_centroids),
    ],
)
def test_a_damaged_file_says_which_it_is(name: str, read: Callable[[Artifact], object]) -> None:
    artifact = Artifact("predictions", {})
    artifact.make(lambda folder: (folder / name).write_text("x"))
    with pytest.raises(ConfigurationError, match=r"predictions/.* cannot be read"):
        read(artifact)


def corpora() -> list[NerSource]:
    return [
        toy_source("beta", {"PERSON": "name", "PLACE": "city", "FIRM": "firm"}, seed=2, train=SENTENCES),
        toy_source("alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1, train=SENTENCES),
    ]


def measure_in(cache: str | Path, encoder: str | Path, *kinds: TaggerKind | Literal["frozen"]) -> None:
    """What each process does; at the end it prints whether it is connected still."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(cache))
        patch.setattr(tokenization, "CHUNK", CHUNK)
        for kind in kinds:
            sources = corpora()
            if kind == "frozen":
                measure_similarity(sources, EvidenceSettings(kind), str(encoder), {})
                continue
            settings = TaggerSettings(kind, TRAINING if kind == "separate" else TWO_A_STEP)
            taggers = train_source_taggers(sources, str(encoder), settings, find_leaks(sources))
            measure_similarity(sources, EvidenceSettings("taggers"), str(encoder), taggers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


#: What each of two processes runs.
CODE = """
import atexit, sys, torch, test_predictions
atexit.register(lambda: print("connected at the end:", torch.distributed.is_initialized()))
test_predictions.measure_in(*sys.argv[1:], "separate", "joint", "frozen")
"""


def launch(home: Path, encoder: Path) -> Run:
    """Run that code in two processes."""
    (home / "main.py").write_text(CODE, encoding="utf-8")
    rest = {k: v for k, v in os.environ.items() if not k.startswith(("MASTER_", "ACCELERATE_"))}
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [
        BIN / "accelerate", "launch", "--multi_gpu", "--num_processes", 2, "--num_machines", 1,
        "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", free_port(),
        "main.py", home / "cache", encoder,
    ]  # fmt: skip
    return subprocess.run(
        [str(part) for part in command],
        cwd=home,
        env={**rest, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )


def made(cache: Path, pattern: str) -> list[str]:
    """Return files of artifacts of a cache, by their path from there."""
    return sorted(str(file.relative_to(cache)) for file in cache.glob(pattern) if file.is_file())


def same(one: Path, other: Path, names: list[str]) -> list[str]:
    return [name for name in names if filecmp.cmp(one / name, other / name, shallow=False)]


@pytest.fixture(scope="module")
def alone(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of one process."""
    home = tmp_path_factory.mktemp("alone")
    measure_in(home / "cache", encoder_folder, "separate", "frozen")
    return home / "cache"


@pytest.fixture(scope="module")
def launched(alone: Path, encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """The cache of two, which are given the separate taggers, and train a joint one."""
    home = tmp_path_factory.mktemp("launched")
    shutil.copytree(alone / "taggers", home / "cache" / "taggers")
    run = launch(home, encoder_folder)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("connected at the end: False") == 2, run.stdout
    return home / "cache", run


@pytest.mark.slow
class TestTwoProcessesOfALaunch:
    def test_predictions_mention_vectors_and_light_heads_are_the_same_bytes(
        self, alone: Path, launched: tuple[Path, Run]
    ) -> None:
        cache, _ = launched
        kinds = ("predictions", "mentions", "light_heads")
        names = [name for kind in kinds for name in made(alone, f"{kind}/*/made/*")]
        assert len(names) == 2 + 2 + 2
        assert same(alone, cache, names) == names
        assert len(made(cache, "taggers/*/made/model.safetensors")) == 2

    def test_one_takes_the_joint_tagger_of_two_and_reads_the_same(
        self, launched: tuple[Path, Run], encoder_folder: Path, tmp_path: Path
    ) -> None:
        cache, _ = launched
        shutil.copytree(cache / "joint_taggers", tmp_path / "joint_taggers")
        measure_in(tmp_path, encoder_folder, "joint")
        assert len(made(tmp_path, "joint_taggers/*/made/model.safetensors")) == 1
        names = made(tmp_path, "readings/*/made/*")
        assert len(names) == 2 * 3  # of two sources: predictions of two heads, and sums of vectors
        assert same(tmp_path, cache, names) == names

    def test_training_where_each_process_lacks_a_head(self, launched: tuple[Path, Run]) -> None:
        """Batches of both together are as large as those of one, and both learn all heads."""
        cache, run = launched
        (file,) = cache.glob("joint_taggers/*/made/training_history.json")
        record = json.loads(file.read_text(encoding="utf-8"))
        assert record["arguments"]["per_device_train_batch_size"] == 2
        sources = corpora()
        sentences = sum(
            len(source.dataset["train"]) for source in without_leaks(sources, find_leaks(sources))
        )
        steps = -(-sentences // 2) * 2  # two sentences a step, two epochs
        assert f"/{steps} [" in run.stderr
        assert [entry["f1"] > 0.5 for entry in record["history"][-1]["sources"].values()] == [True] * 2
        assert run.stderr.count("joint tagger of alpha, beta trained in") == 1
        assert [word for word in WARNINGS if word in run.stderr] == []


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
    return f"{make_together(artifact, work, save)} {(artifact.folder / 'numbers').read_text()}"


def numbers_artifact() -> Artifact:
    return Artifact("numbers", {"of": "test"})


def one_of_two(rank: int, port: int, mode: str, output: Path) -> None:
    PartialState._reset_state()
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    numbers = make_numbers(mode)
    # All think what the main one thinks and sees, and none goes on before it.
    mark = output.with_name("mark")
    checkpoint = last_whole_checkpoint(mark.parent if is_main_process() else Path("elsewhere"))
    if is_main_process():
        time.sleep(0.5)
        mark.touch()
    wait_for_all()
    output.write_text(f"{mark.exists()} {broadcast(is_main_process())} {checkpoint} {numbers}")


def run_two(mode: str, outputs: list[Path]) -> list[int | None]:
    """Run two processes without a launcher that would end one for the other; return their exit codes."""
    port = free_port()
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=one_of_two, args=(rank, port, mode, output))
        for rank, output in enumerate(outputs)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
class TestFailure:
    @pytest.fixture
    def outputs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        monkeypatch.setattr(tokenization, "CHUNK", 7)
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
        assert run_two(mode, outputs) == codes
        assert not any(output.exists() for output in outputs)
        artifact = numbers_artifact()
        assert not artifact.folder.exists()
        assert make_numbers("alone") == "True " + " ".join(map(str, range(30)))
        left = sorted(file.name for file in artifact.folder.parent.iterdir())
        assert left == ["artifact.json", "lock", "made"]

    def test_none_fails(self, outputs: list[Path]) -> None:
        """The main one writes what it has got itself: every second chunk."""
        checkpoint = outputs[0].with_name("checkpoint-3")
        checkpoint.mkdir()
        for name, text in (("trainer_state.json", '{"best_model_checkpoint": null}'), ("files.json", "[]")):
            (checkpoint / name).write_text(text)
        assert run_two("together", outputs) == [0, 0]
        own = " ".join(map(str, [*range(7), *range(14, 21), *range(28, 30)]))
        assert [o.read_text() for o in outputs] == [f"True True {checkpoint} True {own}"] * 2


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [0, 1, 7, 13, 14, 100])
def test_chunks_are_dealt_out_and_put_in_order_again(
    monkeypatch: pytest.MonkeyPatch, count: int, size: int
) -> None:
    monkeypatch.setattr(tokenization, "CHUNK", 7)
    monkeypatch.setenv("WORLD_SIZE", str(count))
    parts: list[list[tuple[int, list[int]]]] = []
    for index in range(count):
        monkeypatch.setenv("RANK", str(index))
        parts.append(list(own_chunks(range(size))))
    expected = [(number, list(range(size))[number * 7 : number * 7 + 7]) for number in range(-(-size // 7))]
    assert sorted(chunk for part in parts for chunk in part) == expected
    items = [[item for _, chunk in part for item in chunk] for part in parts]
    assert list(interleave(items)) == list(range(size))
