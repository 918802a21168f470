"""A saved tagger as a repository of the Hub: complete, self-contained, the same bytes, nothing of this machine."""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from huggingface_hub import errors
from huggingface_hub.utils import httpx
from safetensors.torch import load_file, save_file
from transformers.dynamic_module_utils import get_imports, get_relative_import_files

from esnera_hf.errors import EncoderError
from esnera_hf.modeling.encoders import resolved_commit
from esnera_hf.modeling.hub_code import crf
from esnera_hf.modeling.tagger import REQUIREMENTS, Tagger

TAGGER = {f"{part}_crf_tagger.py" for part in ("configuration", "modeling", "pipeline")}
CODE = {*TAGGER, "crf.py", "messages.py", "windows.py", "words.py"}
DATA = {"config.json", "model.safetensors", "requirements.txt", "tokenizer.json", "tokenizer_config.json"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "someone/crf-tagger"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def put_into_cache(folder: Path, hub: Path, branch: str = "main") -> None:
    """Lay a repository into a cache of the Hub's client, as a download does."""
    repository = hub / f"models--{REPO.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / branch).write_text(COMMIT)
    shutil.copytree(folder, repository / "snapshots" / COMMIT)


def test_a_folder_holds_all_a_repository_needs_and_nothing_else(saved: Path) -> None:
    assert {file.name for file in saved.iterdir()} == CODE | DATA
    config = json.loads((saved / "config.json").read_text())
    assert list(config["auto_map"]) == ["AutoConfig", "AutoModelForTokenClassification"]
    assert list(config["custom_pipelines"]) == ["token-classification"]
    for name in (*config["auto_map"].values(), config["custom_pipelines"]["token-classification"]["impl"]):
        module, _, class_name = name.partition(".")
        assert f"class {class_name}(" in (saved / f"{module}.py").read_text()
    imported = {module for name in CODE for module in get_imports(saved / name)}
    assert imported - sys.stdlib_module_names == {"torch", "transformers"}
    needed = {Path(file).name for file in get_relative_import_files(str(saved / "modeling_crf_tagger.py"))}
    assert needed == CODE - {"modeling_crf_tagger.py"}
    assert (saved / "requirements.txt").read_text().splitlines() == list(REQUIREMENTS)
    assert set(REQUIREMENTS) < set(requires("esnera-hf") or ())


def test_a_folder_tells_nothing_of_this_machine(saved: Path, encoder_folder: Path) -> None:
    user = [getpass.getuser()] if len(getpass.getuser()) > 4 else []
    places = [str(encoder_folder), str(saved), str(Path.home()), os.getcwd(), "/tmp/", "file://"]
    for name, content in contents(saved).items():
        keys = ["name_or_path", "is_local", "local_files_only"] if name.endswith(".json") else []
        assert [text for text in (*places, *user, *keys) if text.encode() in content] == [], name


def test_the_same_tagger_gives_the_same_bytes(
    tagger: Tagger, saved: Path, sentences: list[list[str]], tmp_path: Path
) -> None:
    tagger.pipeline()("anna met bruno")
    tagger.tokenizer(["anna met", "bruno"], truncation=True, max_length=5, padding=True)
    tagger.save_pretrained(tmp_path / "new" / "folder")
    assert contents(tmp_path / "new" / "folder") == contents(saved)
    loaded = Tagger.from_pretrained(saved)
    assert loaded.words.budget == 18
    before, after = (list(one.predict(sentences)) for one in (tagger, loaded))
    assert [[(e, e.score) for e in row] for row in before] == [[(e, e.score) for e in row] for row in after]
    loaded.save_pretrained(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(saved)
    loaded.pipeline().save_pretrained(tmp_path / "pipeline")
    assert set(contents(tmp_path / "pipeline")) == (CODE | DATA) - {"requirements.txt"}


@pytest.mark.slow
def test_without_the_package(
    tagger: Tagger, saved: Path, tmp_path: Path, texts: list[str], sentences: list[list[str]]
) -> None:
    put_into_cache(saved, tmp_path / "home" / "hub")
    inputs = {"texts": texts, "sentences": sentences, "output": str(tmp_path / "again")}
    (tmp_path / "inputs.json").write_text(json.dumps(inputs))
    variables = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    script = Path(__file__).with_name("without_the_package.py")
    command = [sys.executable, str(script), str(saved), REPO, str(tmp_path / "inputs.json")]
    ran = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout.splitlines()[-1])
    assert not result["package"]
    assert re.fullmatch(r"transformers_modules\..*\.modeling_crf_tagger", result["model"])
    assert result["pipeline"].endswith(f".{COMMIT}.pipeline_crf_tagger")
    assert result["stock"] == [["PER", 0, 4], ["PER", 9, 14]]
    pipe = tagger.pipeline()
    expected = [*pipe(texts), *pipe(sentences, is_split_into_words=True)]
    actual = [*result["texts"], *result["sentences"]]
    scores = [[entry.pop("score") for row in rows for entry in row] for rows in (actual, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert actual == expected
    again = Tagger.from_pretrained(tmp_path / "again")
    assert list(again.predict(sentences)) == list(tagger.predict(sentences))
    assert set(contents(tmp_path / "again")) == (CODE | DATA) - {"requirements.txt"}


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (None, "run `pip install pytorch-crf`.*torchcrf` on the package index is another project"),
        (ModuleType("torchcrf"), "is not that of pytorch-crf.*`pip uninstall torchcrf"),
        (SimpleNamespace(CRF=torch.nn.Linear), "is not that of pytorch-crf.*`pip uninstall torchcrf"),
        (importlib.import_module("torchcrf"), ""),
    ],
)
def test_the_package_pytorch_crf_has_a_module_named_torchcrf(
    monkeypatch: pytest.MonkeyPatch, module: Any, message: str
) -> None:
    """And a package torchcrf is another project."""
    monkeypatch.setitem(sys.modules, "torchcrf", module)
    spec = importlib.util.spec_from_file_location(f"{crf.__package__}.crf_of_this_test", crf.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ImportError, match=message) if message else nullcontext():
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_from_the_hub(tagger: Tagger, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files are of the commit that a revision stands for."""
    put_into_cache(saved, tmp_path / "hub", "v1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for revision in ("v1", COMMIT):
        loaded = Tagger.from_pretrained(REPO, revision=revision)
        assert loaded.pipeline()("anna met") == tagger.pipeline()("anna met") != []
    with pytest.raises(EncoderError, match=f"'{REPO}' holds no tagger that can be loaded: it is neither a"):
        Tagger.from_pretrained(REPO)
    with pytest.raises(EncoderError, match="cannot be loaded: it is neither a"):
        resolved_commit(REPO)
    (tmp_path / "hub" / f"models--{REPO.replace('/', '--')}" / "refs" / "main").write_text(COMMIT)
    assert [resolved_commit(name) for name in (REPO, str(saved))] == [COMMIT, ""]


@pytest.mark.parametrize(
    ("name", "kind", "status", "reason"),
    [
        ("someone/nothing", None, 0, "it is neither a folder nor in the cache, and HF_HUB_OFFLINE forbids"),
        ("a/b/c", None, 0, "there is no such folder"),
        ("..", None, 0, "there is no config.json"),
        ("no name!", None, 0, "Repo id must use"),
        (REPO, errors.RepositoryNotFoundError, 401, ".*no such model on the Hub that your token may see"),
        (REPO, errors.GatedRepoError, 403, ".*ask for it on its page"),
        (REPO, errors.RevisionNotFoundError, 404, ".*no such revision"),
        (REPO, errors.HfHubHTTPError, 503, r".*no usable answer \(503\)"),
        (REPO, httpx.ConnectTimeout, 0, r".*no usable answer \(ConnectTimeout\)"),
        (REPO, httpx.InvalidURL, 0, "slow"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(
    name: str, kind: Any, status: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        if not status:
            raise kind("slow")
        request = httpx.Request("GET", "https://hub.test/someone/nothing")
        cause = kind("long\nstory", response=httpx.Response(status, request=request))
        raise OSError("first line\nsecond line") from cause

    if kind is not None:
        monkeypatch.setattr("esnera_hf.modeling.encoders.cached_file", fail)
    message = f"^'{name}' holds no tagger that can be loaded: {reason}"
    with pytest.raises(EncoderError, match=message) as error:
        Tagger.from_pretrained(name)
    assert str(error.value).endswith("run the same command again.")
    assert "\n" not in str(error.value)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tagger"))


def test_code_beside_a_tagger_is_never_run(folder: Path, tmp_path: Path) -> None:
    for name in (*CODE, "tokenization.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert Tagger.from_pretrained(folder).pipeline()("anna met")[0]["word"] == "anna"
    tokenizer = {"auto_map": {"AutoTokenizer": [None, "tokenization.T"]}, "tokenizer_class": "T"}
    change(folder / "tokenizer_config.json", **tokenizer)
    with pytest.raises(EncoderError, match="custom code"):
        Tagger.from_pretrained(folder)
    change(folder / "config.json", model_type="other")
    with pytest.raises(EncoderError, match="it is a model of type 'other'"):
        Tagger.from_pretrained(folder)
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_are_never_read_nor_others_made_up(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    others = {name: weight for name, weight in weights.items() if not name.startswith("crf.")}
    save_file(others, folder / "model.safetensors", metadata={"format": "pt"})
    lacking = r"its weights lack crf\.end_transitions, crf\.start_transitions, crf\.tr"
    with pytest.raises(EncoderError, match=lacking):
        Tagger.from_pretrained(folder)
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match=r"model\.safetensors"):
        Tagger.from_pretrained(folder)


@pytest.mark.parametrize(
    ("file", "values"),
    [
        *(("config.json", {"encoder_config": value}) for value in (None, {}, "bert")),
        *(("config.json", {"id2label": value, "label2id": {"O": 0}}) for value in (None, {"0": "O"})),
        *(
            (file, text)
            for file in ("config.json", "model.safetensors", "tokenizer.json")
            for text in ("{", None)
        ),
    ],
)
def test_damage_is_refused(folder: Path, file: str, values: Any) -> None:
    if isinstance(values, dict):
        change(folder / file, **values)
    elif values is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(values)
    lacks = isinstance(values, dict) and values.get("id2label") is None
    message = "lacks encoder_config or id2label" if lacks else "holds no tagger that can be loaded: "
    with pytest.raises(EncoderError, match=message) as error:
        Tagger.from_pretrained(folder)
    assert "\n" not in str(error.value)
