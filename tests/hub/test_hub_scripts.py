"""The scripts for the Hub, as people run them: by path, in processes of their own, publishing to a Hub on loopback."""

from __future__ import annotations

import ast
import json
import re
import runpy
import socket
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import toy_rows, toy_source
from esnera_hf import MergeResult
from esnera_hf.modeling.tagger import Tagger
from hub_server import HubServer, client_environment
from results import make_result

FOLDER = Path(__file__).parents[1] / "hub_scripts"
SCRIPTS = sorted(FOLDER.glob("*.py"))
BIN = Path(sysconfig.get_path("scripts"))
#: What the `hf` client takes in the table ``[tool.hf-jobs]``; it refuses all else.
JOB_KEYS = set(
    "image flavor python timeout name namespace network_group env secrets labels volumes network_aliases".split()
)

Run = subprocess.CompletedProcess[str]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server
        assert server.unexpected == []


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two column corpora: a word and its tag a line, a blank line between sentences."""
    folder = tmp_path_factory.mktemp("corpora")
    for seed, (name, names) in enumerate(
        {"alpha": {"PERSON": "per", "PLACE": "loc"}, "beta": {"PERSON": "name", "PLACE": "city"}}.items()
    ):
        (folder / name).mkdir()
        for offset, (split, sentences) in enumerate({"train": 96, "dev": 24, "test": 24}.items()):
            rows = toy_rows(names, sentences, 10 * seed + offset)
            blocks = ["\n".join(f"{word} {tag}" for word, tag in zip(*row, strict=True)) for row in rows]
            (folder / name / f"{split}.txt").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return folder


def run(server: HubServer | str, home: Path, *command: object, env: dict[str, str] | None = None) -> Run:
    """Run a command in a process that takes the server for the Hub."""
    url = server if isinstance(server, str) else server.url
    token = None if isinstance(server, str) else server.tokens["write"]
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [str(part) for part in command],
        env=client_environment(url, home, token=token, env=env),
        cwd=home,
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    assert not re.search(r"hf_\w*secret", done.stdout + done.stderr)
    return done


def head(script: Path) -> dict[str, Any]:
    """Read the metadata of a script as PEP 723 has it."""
    (block,) = re.findall(
        r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$", script.read_text(encoding="utf-8")
    )
    lines = block[0].splitlines(keepends=True)
    return tomllib.loads("".join(line[2:] if line.startswith("# ") else line[1:] for line in lines))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TestEachScript:
    def test_all_are_found(self) -> None:
        assert [script.name for script in SCRIPTS] == [
            "merge_and_push.py",
            "render_card.py",
            "train_and_push_tagger.py",
        ]
        readme = (FOLDER / "README.md").read_text(encoding="utf-8")
        assert re.findall(r"^\| `(\w+\.py)` \|", readme, flags=re.MULTILINE) == [
            "merge_and_push.py",
            "train_and_push_tagger.py",
            "render_card.py",
        ]

    @pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
    def test_its_head(self, script: Path) -> None:
        metadata = head(script)
        project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert metadata["requires-python"] == project["requires-python"]
        assert metadata["dependencies"] == [project["name"]]
        assert set(metadata["tool"]) == {"hf-jobs"}
        assert set(metadata["tool"]["hf-jobs"]) <= JOB_KEYS

    @pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
    def test_its_help(
        self, script: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every option of it is told."""
        monkeypatch.setattr(sys, "argv", [str(script), "--help"])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(script), run_name="__main__")
        assert caught.value.code == 0
        said = capsys.readouterr().out
        assert said.startswith(f"usage: {script.name}")
        assert f"uv run hub_scripts/{script.name}" in said

    @pytest.mark.parametrize(
        ("name", "call", "arguments"),
        [
            ("merge_and_push", "esnera_hf.load_source", ["a", "b"]),
            ("train_and_push_tagger", "esnera_hf.hub.push.check_before", ["a"]),
        ],
    )
    def test_interrupted(
        self,
        name: str,
        call: str,
        arguments: list[str],
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def interrupt(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(call, interrupt)
        main = runpy.run_path(str(FOLDER / f"{name}.py"))["main"]
        assert main(["me/x", *arguments]) == 130
        assert capsys.readouterr().err.startswith(f"\n{name}: interrupted. Finished trainings are kept")

    def test_what_may_not_be_published_is_found_before_any_training(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "esnera_hf.load_source", lambda name: toy_source(name, {"PERSON": "PER"}, seed=ord(name))
        )
        monkeypatch.setattr("esnera_hf.align", lambda *_, **__: pytest.fail("the alignment started"))
        main = runpy.run_path(str(FOLDER / "merge_and_push.py"))["main"]
        assert main(["me/x", "a", "b"]) == 1
        assert (
            "merge_and_push: the text may not be published: a: no terms are known" in capsys.readouterr().err
        )

    @pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
    @pytest.mark.slow
    def test_the_job_it_becomes(self, script: Path, tmp_path: Path) -> None:
        """Nothing is submitted, and no Hub called."""
        done = run(
            "http://127.0.0.1:9", tmp_path, BIN / "hf", "jobs", "uv", "run", "--dry-run", script, "me/x", "y",
            env={"HF_TOKEN": "hf_testsecret"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = dict(re.findall(r"^  (\w+) +(.*)$", done.stdout, flags=re.MULTILINE))
        job = head(script)["tool"]["hf-jobs"]
        assert told["args"] == "me/x y"
        assert told["flavor"] == f"{job['flavor']} (from script)"
        assert ("secrets" in told) == ("secrets" in job)
        assert ("timeout" in told) == ("timeout" in job)
        assert "Job not submitted" in done.stdout


@pytest.mark.slow
class TestMergeAndPush:
    def test_dataset_and_tagger(
        self, hub: HubServer, corpora: Path, encoder_folder: Path, tmp_path: Path
    ) -> None:
        script = FOLDER / "merge_and_push.py"
        sources = [corpora / "alpha", f"beta={corpora / 'beta'}"]
        command = [
            sys.executable, script, "me/merged", *sources, "--encoder", encoder_folder,
            "--lambda", 0.4, "--tau", 0.4, "--epochs", 2, "--private", "--by-source",
        ]  # fmt: skip
        refused = run(hub, tmp_path, *command)
        assert refused.returncode == 1
        assert "alpha: no terms are known" in refused.stderr
        assert refused.stderr.splitlines()[-1].startswith("merge_and_push: ")
        assert not hub.repos
        shared = ["--may-share", "alpha", "--may-share", "beta", "--train-merged-repo", "me/tagger"]
        done = run(hub, tmp_path, *command, *shared)
        assert done.returncode == 0, done.stderr
        assert re.findall(r"^published: (.*) \(commit", done.stdout, flags=re.MULTILINE) == [
            f"{hub.url}/datasets/me/merged",
            f"{hub.url}/me/tagger",
        ]
        dataset, tagger = hub.repo("dataset", "me/merged"), hub.repo("model", "me/tagger")
        assert dataset.private
        assert tagger.private
        folders = {name.split("/")[1] for name in dataset.files() if name.startswith("data/")}
        assert folders == {"merged", "alpha", "beta"}
        assert {"model.safetensors", "mapping.yaml", "README.md"} <= set(tagger.files())
        report = json.loads(dataset.files()["report.json"])
        assert (report["settings"]["lambda"], report["settings"]["tau"]) == (0.4, 0.4)
        assert "merged" in report["systems"]
        for content in (*dataset.files().values(), *tagger.files().values()):
            assert str(tmp_path).encode() not in content
            assert str(corpora).encode() not in content

    def test_a_source_that_is_not_there(self, hub: HubServer, tmp_path: Path) -> None:
        done = run(hub, tmp_path, sys.executable, FOLDER / "merge_and_push.py", "me/x", "./none", "./neither")
        assert (done.returncode, done.stdout) == (1, "")
        assert re.match(r"merge_and_push: .*none", done.stderr.splitlines()[-1])


@pytest.mark.slow
class TestTrainAndPushTagger:
    def test_in_one_process(
        self, hub: HubServer, corpora: Path, encoder_folder: Path, tmp_path: Path
    ) -> None:
        command = train_command(corpora, encoder_folder)
        done = run(hub, tmp_path, sys.executable, *command)
        check_published_once(hub, done)
        card = hub.repo("model", "me/tagger").files()["README.md"].decode()
        assert "alpha" in card
        again = run(hub, tmp_path, sys.executable, *command)
        assert "trained before, reused" in again.stderr
        assert "holds all of it already" in again.stdout
        assert len(hub.repo("model", "me/tagger").commits) == 2

    def test_in_two_processes(
        self, hub: HubServer, corpora: Path, encoder_folder: Path, tmp_path: Path
    ) -> None:
        """They train together; one of them prints and publishes."""
        launch = [
            BIN / "accelerate", "launch", "--multi_gpu", "--num_processes", 2, "--num_machines", 1,
            "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", free_port(),
        ]  # fmt: skip
        done = run(
            hub, tmp_path, *launch, *train_command(corpora, encoder_folder), env={"CUDA_VISIBLE_DEVICES": ""}
        )
        check_published_once(hub, done)
        assert done.stderr.count("alpha: tagger trained in") == 1
        (record,) = (tmp_path / "esnera" / "taggers").glob("*/made/training_history.json")
        assert len(json.loads(record.read_text(encoding="utf-8"))["history"]) == 3

    def test_processes_that_do_not_find_each_other(
        self, hub: HubServer, corpora: Path, encoder_folder: Path, tmp_path: Path
    ) -> None:
        """A launcher that starts them without telling them how to meet."""
        done = run(
            hub,
            tmp_path,
            sys.executable,
            *train_command(corpora, encoder_folder),
            env={"WORLD_SIZE": "2", "RANK": "0", "CUDA_VISIBLE_DEVICES": ""},
        )
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith(
            "train_and_push_tagger: 2 processes were launched and do not work together (Tried to launch"
        )
        assert "`accelerate launch --multi_gpu --num_processes 2 …`" in line
        assert not hub.repos


def train_command(corpora: Path, encoder: Path) -> list[object]:
    script = FOLDER / "train_and_push_tagger.py"
    settings = ["--epochs", 3, "--learning-rate", 0.01, "--batch-size", 8]
    return [script, "me/tagger", corpora / "alpha", "--encoder", encoder, *settings]


def check_published_once(hub: HubServer, done: Run) -> None:
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^alpha, micro-F1 on test: [01]\.\d{3}$", done.stdout, flags=re.MULTILINE)) == 1
    assert re.findall(r"^published: (.*) \(commit", done.stdout, flags=re.MULTILINE) == [
        f"{hub.url}/me/tagger"
    ]
    repo = hub.repo("model", "me/tagger")
    assert len(repo.commits) == 2  # the Hub makes the first when it makes the repository
    assert {"model.safetensors", "tokenizer.json", "README.md"} <= set(repo.files())


@pytest.mark.slow
class TestSpace:
    def test_the_metric_is_loaded_from_it(self, hub: HubServer, tmp_path: Path) -> None:
        """As the README says it is put there."""
        name = "strict_ner_under_mapping"
        command = f"hf upload OWNER/{name} hub_scripts/spaces/{name} --repo-type space"
        assert f"    {command}\n" in (FOLDER / "README.md").read_text(encoding="utf-8")
        _, *arguments = command.replace("OWNER", "me").replace("hub_scripts", str(FOLDER)).split()
        uploaded = run(hub, tmp_path, BIN / "hf", *arguments)
        assert uploaded.returncode == 0, uploaded.stderr
        code = (
            f"import evaluate; metric = evaluate.load('me/{name}'); "
            "print(metric.compute(references=[['B-a', 'B-b']], predictions=[['B-a', 'O']]))"
        )
        loaded = run(hub, tmp_path, sys.executable, "-c", code)
        assert loaded.returncode == 0, loaded.stderr
        figures = ast.literal_eval(loaded.stdout.splitlines()[-1])
        assert (figures["precision"], figures["recall"], figures["support"]) == (1.0, 0.5, 2)


@pytest.mark.slow
class TestRenderCard:
    def test_of_a_result(self, tmp_path: Path) -> None:
        result = make_result()
        result.save(tmp_path / "merged")
        script, output = FOLDER / "render_card.py", tmp_path / "CARD.md"
        command = [sys.executable, script, tmp_path / "merged", "me/x", "--no-text", "--output", output]
        done = run("http://127.0.0.1:9", tmp_path, *command)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert output.read_text(encoding="utf-8") == str(result.card("me/x", text=False))
        again = run("http://127.0.0.1:9", tmp_path, *command)
        assert (again.returncode, again.stdout) == (1, "")
        assert again.stderr == f"render_card: {output} exists already; nothing was written.\n"

    def test_of_a_tagger(
        self,
        encoder_folder: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        tagger = untrained_tagger(encoder_folder)
        tagger.save_pretrained(tmp_path / "tagger")
        script = str(FOLDER / "render_card.py")
        monkeypatch.setattr(sys, "argv", [script, str(tmp_path / "tagger"), "me/x"])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(script, run_name="__main__")
        assert caught.value.code == 0
        assert capsys.readouterr().out == f"{tagger.card('me/x')}\n"

    def test_of_a_tagger_in_a_result(
        self, encoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Its own tells of the alignment, as the one that is published does; another one beside it does not."""
        tagger = untrained_tagger(encoder_folder)
        tagger.save_pretrained(tmp_path / "made")
        replace(make_result(), tagger_folder=tmp_path / "made").save(tmp_path / "merged")
        tagger.save_pretrained(tmp_path / "merged" / "other")
        main = runpy.run_path(str(FOLDER / "render_card.py"))["main"]
        own = MergeResult.load(tmp_path / "merged").load_tagger().card("me/x")
        for name, card in {"tagger": own, "other": tagger.card("me/x")}.items():
            assert main([str(tmp_path / "merged" / name), "me/x"]) == 0
            assert capsys.readouterr().out == f"{card}\n"
        assert str(own) != str(tagger.card("me/x"))


def untrained_tagger(encoder: Path) -> Tagger:
    from esnera_hf.modeling.encoders import load_encoder
    from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger

    model, tokenizer = load_encoder(str(encoder))
    return Tagger(CrfTagger.from_encoder(model, ["O", "B-PER", "I-PER"], window_length=64), tokenizer)
