"""What docs/explanation/trust.md claims of the code as a whole, and of the streams and names it is given."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models

import esnera_hf
from esnera_hf._internal.json import read_json
from esnera_hf.errors import ConfigurationError, SourceNotFoundError

FILES = sorted(Path(esnera_hf.__file__).parent.rglob("*.py"))
_UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
_UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
_UNSAFE_METHODS = {
    ("torch", "load"),
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("os", "system"),
    ("os", "popen"),
}


def findings(source: str) -> list[str]:
    """Return what in a module could run or unpickle what it is given."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            found += [name for name in names if name.partition(".")[0] in _UNSAFE_MODULES]
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in _UNSAFE_CALLS:
            found.append(node.func.id)
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            call = (node.func.value.id, node.func.attr)
            loaders = [keyword.value for keyword in node.keywords if keyword.arg == "Loader"]
            safe = "class _Loader(yaml.SafeLoader)" in source and [ast.unparse(name) for name in loaders] == [
                "_Loader"
            ]
            found += [".".join(call)] if call in _UNSAFE_METHODS and not safe else []
        for keyword in node.keywords:
            allows = isinstance(keyword.value, ast.Constant) and bool(keyword.value.value)
            if keyword.arg in ("trust_remote_code", "allow_pickle", "shell") and allows:
                found.append(f"{keyword.arg}=True")
    return found


def test_nothing_from_outside_is_run_or_unpickled() -> None:
    unsafe = {file.name: findings(file.read_text(encoding="utf-8")) for file in FILES}
    assert {name: found for name, found in unsafe.items() if found} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from dill import loads",
        "torch.load(path)",
        "eval(text)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
    ],
)
def test_it_would_be_found(source: str) -> None:
    assert len(findings(source)) == 1


def run(code: str, *, redirected: str = "", **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run Python with standard streams as a shell can make them."""
    package = str(Path(esnera_hf.__file__).parents[1])
    environment = {
        **os.environ,
        "PYTHONPATH": package,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "",
    }
    command = ["sh", "-c", f'"$0" -c "$1" {redirected}', sys.executable, code]
    return subprocess.run(command, env=environment, capture_output=True, check=False, **options)


MAIN = "import sys; from esnera_hf.cli.main import main; sys.exit(main(['sources']))"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.parametrize(
    ("redirected", "status", "said"),
    [
        (">&-", 0, b"standard output is closed"),
        (">/dev/full", 1, b"standard output cannot be written: No space left on device"),
        ("2>&-", 0, b""),
        ("<&-", 0, b""),
        (">/dev/full 2>/dev/full", 1, b""),
    ],
)
def test_streams_that_are_closed_or_full(redirected: str, status: int, said: bytes) -> None:
    done = run(MAIN, redirected=redirected)
    assert (done.returncode, said in done.stderr, b"Traceback" in done.stderr) == (status, True, False)
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"Stra\xdfe\n", b"expected UTF-8 text"),
        ("Stra\xdfe 北京\n".encode(), b"'Stra\\xdfe \\u5317\\u4eac'"),
    ],
)
def test_standard_input_is_utf_8_under_any_locale(text: bytes, said: bytes) -> None:
    code = """
from esnera_hf.cli.taggers import _lines
from esnera_hf.errors import ConfigurationError
try:
    print(ascii(list(_lines(None))[0]))
except ConfigurationError as error:
    print(error)
"""
    assert said in run(code, input=text).stdout


def test_errors_of_any_class_are_caught_nowhere_though_tokenizers_raises_no_class_of_its_own() -> None:
    """Loading an encoder and writing to the cache look at errors as they pass."""
    broad = [
        file.name
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert broad == []
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    for use in (lambda: Tokenizer.from_file(os.devnull), lambda: tokenizer.save("/nowhere/x")):
        with pytest.raises(Exception, match=r"EOF|No such file") as error:
            use()
        assert type(error.value) is Exception


@pytest.mark.parametrize(
    "name", ["x" * 300, "d/" + "x" * 300, "a\0b", "~nobody-of-this-name/x", "\ud800"], ids=ascii
)
def test_a_source_that_no_file_system_could_hold(name: str) -> None:
    with pytest.raises(SourceNotFoundError):
        esnera_hf.load_source(name)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands twice"),
        ('{"a": ' + "[" * 60 + "]" * 60 + "}", "more than 50 lists or objects inside each other"),
        ("[" * 100_000, "recursion"),
        ('{"a": [' + "[]," * 4_000_000 + "1]}", "more than 4,000,000 texts, lists and objects"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ('{"a": NaN}', "NaN is no finite number"),
        ('{"a": [-Infinity]}', "-Infinity is no finite number"),
        ('{"a": 1e999}', "1e999 is no finite number"),
        ("[1]", "expected an object, found list"),
        ("", "Expecting value"),
        (None, "No such file"),
    ],
)
def test_json_of_a_stranger(tmp_path: Path, text: str | None, problem: str) -> None:
    if text is not None:
        (tmp_path / "x.json").write_text(text)
    with pytest.raises(ConfigurationError, match=problem):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("key", ["_attn_implementation", "attn_implementation"])
@pytest.mark.parametrize("model", ["encoder", "tagger", "encoder of a tagger"])
def test_no_configuration_asks_for_a_kernel_of_the_hub(
    key: str, model: str, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import modeling_utils

    from esnera_hf.modeling.encoders import load_encoder
    from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
    from esnera_hf.modeling.tagger import Tagger

    asked: list[str] = []
    monkeypatch.setattr(modeling_utils, "lazy_import_flash_attention", lambda name, **_: asked.append(name))
    folder = tmp_path / "model"
    if model == "encoder":
        shutil.copytree(encoder_folder, folder)
    else:
        encoder, tokenizer = load_encoder(str(encoder_folder))
        Tagger(CrfTagger.from_encoder(encoder, ["O", "B-x", "I-x"]), tokenizer).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (config["encoder_config"] if model == "encoder of a tagger" else config)[key] = "stranger/kernel"
    (folder / "config.json").write_text(json.dumps(config))
    loaded = (
        load_encoder(str(folder))[0] if model == "encoder" else Tagger.from_pretrained(folder).model.encoder
    )
    assert asked == []
    assert loaded.config._attn_implementation in ("sdpa", "eager")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mapping", {"labels": []}),
        ("mapping", 3),
        ("encoder", ["bert"]),
        ("report", "x"),
        ("sources", {"alpha": {}}),
        ("history", [3]),
        ("history", "x"),
        ("arguments", [1]),
        ("validation", 0.5),
        ("dataset_repo", {}),
    ],
)
def test_the_record_beside_a_tagger_of_a_stranger(tmp_path: Path, key: str, value: Any) -> None:
    from esnera_hf.modeling.encoders import RECORD_FILE, read_record

    (tmp_path / RECORD_FILE).write_text(json.dumps({"encoder": "bert", key: value}))
    with pytest.raises(ConfigurationError, match=rf"{RECORD_FILE}: {key}\S*=.*: expected"):
        read_record(tmp_path)
