"""The scripts for the Hub, by path, publishing to a Hub on loopback."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import toy_source, write_corpus
from esnera_hf import MergeResult, Tagger
from esnera_hf.cli.main import main
from esnera_hf.modeling.encoders import load_encoder
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from hub_server import HubServer, client_environment, clients_inside
from results import make_result

FOLDER = Path(__file__).parents[2] / "hub_scripts"
SCRIPTS = ["build_atlas.py", "merge_and_push.py", "render_card.py", "train_and_push_tagger.py"]
BIN = Path(sysconfig.get_path("scripts"))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, clients_inside(server, tmp_path / "home", token=server.tokens["write"]):
        yield server
        assert server.unexpected == []


def script(name: str) -> Callable[[list[str]], int]:
    found = runpy.run_path(str(FOLDER / f"{name}.py"))["main"]
    return lambda arguments: found([str(argument) for argument in arguments])


def head(name: str) -> dict[str, Any]:
    """Read the metadata of a script as PEP 723 has it."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    (block,) = re.findall(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$", text)
    lines = block[0].splitlines(keepends=True)
    return tomllib.loads("".join(line[2:] if line.startswith("# ") else line[1:] for line in lines))


def test_all_are_in_the_readme() -> None:
    assert sorted(file.name for file in FOLDER.glob("*.py")) == SCRIPTS
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(\w+\.py)` \|", readme, flags=re.MULTILINE)) == SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_head_and_help(name, capsys, monkeypatch):
    metadata = head(name)
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["requires-python"] == project["requires-python"]
    assert metadata["dependencies"] == [project["name"]]
    assert set(metadata["tool"]) == {"hf-jobs"}
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(FOLDER / name), run_name="__main__")
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {name}")
    assert f"uv run hub_scripts/{name}" in said


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.slow
def test_the_job_it_becomes(name: str, tmp_path: Path) -> None:
    """Nothing is submitted, and no Hub called; a key that is none of its own the client refuses."""
    command = [BIN / "hf", "jobs", "uv", "run", "--dry-run", FOLDER / name, "me/x", "y"]
    environment = client_environment("http://127.0.0.1:9", tmp_path, token="hf_test")
    done = subprocess.run(command, env=environment, text=True, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = dict(re.findall(r"^  (\w+) +(.*)$", done.stdout, flags=re.MULTILINE))
    job = head(name)["tool"]["hf-jobs"]
    assert told["args"] == "me/x y"
    assert told["flavor"] == f"{job['flavor']} (from script)"
    assert (("secrets" in told), ("timeout" in told)) == (("secrets" in job), ("timeout" in job))


@pytest.mark.parametrize(
    ("name", "call", "arguments"),
    [
        ("merge_and_push", "esnera_hf.load_source", ["a", "b"]),
        ("train_and_push_tagger", "esnera_hf.hub.repository.HubRepository.prepare", ["a"]),
        ("build_atlas", "esnera_hf.hub.repository.HubRepository.prepare", ["a", "b"]),
    ],
)
def test_interrupted(name, call, arguments, capsys, monkeypatch):
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(call, interrupt)
    assert script(name)(["me/x", *arguments]) == 130
    assert capsys.readouterr().err.startswith(f"\n{name}: interrupted. Finished trainings are kept")


def test_what_may_not_be_published_is_found_before_any_training(capsys, monkeypatch):
    source = toy_source("a", {"PERSON": "PER"}, seed=1)
    monkeypatch.setattr("esnera_hf.load_source", lambda name: replace(source, name=name))
    monkeypatch.setattr("esnera_hf.align", lambda *_, **__: pytest.fail("the alignment started"))
    assert script("merge_and_push")(["me/x", "a", "b"]) == 1
    assert "merge_and_push: the text may not be published: a: no terms are known" in capsys.readouterr().err


def test_merge_and_push(hub, encoder_folder, tmp_path, capsys):
    write_corpus(tmp_path / "alpha", {"PERSON": "per", "PLACE": "loc"}, seed=0, train=60, rest=20)
    write_corpus(tmp_path / "beta", {"PERSON": "name", "PLACE": "city"}, seed=10, train=60, rest=20)
    sources = [tmp_path / "alpha", f"beta={tmp_path / 'beta'}"]
    options = "--method greedy --lambda 0.4 --tau 0.4 --epochs 1 --private --by-source --max-samples 50"
    publish = "--may-share alpha --may-share beta --tagger-repo me/tagger"
    command = ["me/merged", *sources, "--encoder", encoder_folder, *options.split(), *publish.split()]
    assert script("merge_and_push")(command) == 0
    assert re.findall(r"^published: (.*) \(commit", capsys.readouterr().out, flags=re.MULTILINE) == [
        f"{hub.url}/datasets/me/merged",
        f"{hub.url}/me/tagger",
    ]
    dataset, tagger = hub.repo("dataset", "me/merged"), hub.repo("model", "me/tagger")
    assert (dataset.private, tagger.private) == (True, True)
    folders = {name.split("/")[1] for name in dataset.files() if name.startswith("data/")}
    assert folders == {"merged", "alpha", "beta"}
    assert {"model.safetensors", "mapping.yaml", "README.md"} <= set(tagger.files())
    assert b"Made from a sample" in dataset.files()["README.md"]
    assert "training_history.json" not in tagger.files()
    for content in (*dataset.files().values(), *tagger.files().values()):
        assert str(tmp_path).encode() not in content


def test_train_and_push_tagger(hub, encoder_folder, tmp_path, capsys):
    write_corpus(tmp_path / "alpha", {"PERSON": "per"}, seed=0, train=60, rest=20)
    command = ["me/tagger", tmp_path / "alpha", "--encoder", encoder_folder, "--epochs", 1, "--batch-size", 8]
    for told in ("published: ", "holds all of it already"):
        assert script("train_and_push_tagger")(command) == 0
        said = capsys.readouterr().out
        assert re.search(r"^alpha, micro-F1 on test: [01]\.\d{3}$", said, flags=re.MULTILINE)
        assert told in said
    assert len(hub.repo("model", "me/tagger").commits) == 2


@pytest.mark.slow
def test_the_space(hub: HubServer, tmp_path: Path) -> None:
    """The metric is put there and loaded as the README says."""
    name = "strict_ner_under_mapping"
    command = f"hf upload OWNER/{name} hub_scripts/spaces/{name} --repo-type space"
    assert f"    {command}\n" in (FOLDER / "README.md").read_text(encoding="utf-8")
    _, *arguments = command.replace("OWNER", "me").replace("hub_scripts", str(FOLDER)).split()
    code = (
        f"import evaluate; metric = evaluate.load('me/{name}'); "
        "print(metric.compute(references=[['B-a', 'B-b']], predictions=[['B-a', 'O']]))"
    )
    for call in ([str(BIN / "hf"), *arguments], [sys.executable, "-c", code]):
        environment = client_environment(hub.url, tmp_path, token=hub.tokens["write"])
        done = subprocess.run(call, env=environment, text=True, capture_output=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    figures = ast.literal_eval(done.stdout.splitlines()[-1])
    assert (figures["precision"], figures["recall"], figures["support"]) == (1.0, 0.5, 2)


def test_render_card(tmp_path, capsys):
    result = make_result()
    result.save(tmp_path / "merged")
    output = tmp_path / "CARD.md"
    command = [tmp_path / "merged", "me/x", "--no-text", "--output", output]
    assert script("render_card")(command) == 0
    assert output.read_text(encoding="utf-8") == str(result.card("me/x", text=False))
    capsys.readouterr()
    assert script("render_card")(command) == 1
    assert capsys.readouterr().err == f"render_card: {output} exists already; nothing was written.\n"


def test_render_card_of_a_tagger(encoder_folder, tmp_path, capsys):
    """The one in a saved result tells of the alignment; the same one elsewhere does not."""
    model, tokenizer = load_encoder(str(encoder_folder))
    tagger = Tagger(CrfTagger.from_encoder(model, ["O", "B-PER", "I-PER"], window_length=64), tokenizer)
    tagger.save_pretrained(tmp_path / "alone")
    replace(make_result(), tagger_folder=tmp_path / "alone").save(tmp_path / "merged")
    own = MergeResult.load(tmp_path / "merged").load_tagger().card("me/x")
    assert str(own) != str(tagger.card("me/x"))
    for folder, card in {"alone": tagger.card("me/x"), "merged/tagger": own}.items():
        assert script("render_card")([tmp_path / folder, "me/x"]) == 0
        assert capsys.readouterr().out == f"{card}\n"


def test_build_atlas(hub, encoder_folder, tmp_path, capsys):
    write_corpus(tmp_path / "alpha", {"PERSON": "per", "PLACE": "loc"}, seed=0, train=60, rest=20)
    write_corpus(tmp_path / "beta", {"PERSON": "name", "PLACE": "city"}, seed=10, train=60, rest=20)
    write_corpus(tmp_path / "mine", {"PERSON": "who", "PLACE": "where"}, seed=20, train=60, rest=20)
    definitions = tmp_path / "definitions.json"
    definitions.write_text('{"beta:city": "where people *live*"}')
    sources = [tmp_path / "alpha", f"beta={tmp_path / 'beta'}"]
    command = ["me/atlas", *sources, "--encoder", encoder_folder, "--definitions", definitions]
    for said in ("published: ", "holds all of it already"):
        assert script("build_atlas")(command) == 0
        assert said in capsys.readouterr().out
    files = hub.repo("dataset", "me/atlas").files()
    assert {"atlas.json", "bundles/0000.evidence", "bundles/0001.evidence", "index.html", "README.md"} <= set(
        files
    )
    assert b"esnera-hf locate path/to/mine --atlas me/atlas" in files["README.md"]
    for content in files.values():
        assert str(tmp_path).encode() not in content
    arguments = ["locate", tmp_path / "mine", "--atlas", "me/atlas", "--encoder", encoder_folder]
    assert main([str(argument) for argument in arguments]) == 0
    assert re.search(r"^where  \(\d+ mentions\)$", capsys.readouterr().out, flags=re.MULTILINE)
