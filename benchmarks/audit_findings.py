"""Were the audit's findings there, on the commit that was audited?

The names of that commit are other ones, so the tests of today cannot be run on it. Each finding is one small use of its
package; prints a Markdown table of what came of it. Needs the environment of today and that commit's tree:

    git worktree add /tmp/audited 1479446
    PYTHONPATH=/tmp/audited/src:/tmp/audited/tests python benchmarks/audit_findings.py
"""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file
from transformers import modeling_utils

import esnera_hf
from builders import make_encoder, make_source, row
from esnera_hf.errors import EsneraError

# Of the commit that was audited; today they have other names, or are not there.
_ARGUMENTS = importlib.import_module("esnera_hf.modeling.arguments")
_ENCODERS = importlib.import_module("esnera_hf.modeling.pretrained")
_REPRODUCING = importlib.import_module("esnera_hf.reproducing")

_COLUMNS = b"anna\tB-PER\nmet\tO\n\n" * 30
FINDINGS: list[tuple[str, Callable[[Path], str]]] = []


def finding(name: str) -> Callable[[Callable[[Path], str]], Callable[[Path], str]]:
    """Add a function to the table; it returns what is wrong, or nothing."""

    def add(function: Callable[[Path], str]) -> Callable[[Path], str]:
        FINDINGS.append((name, function))
        return function

    return add


def outcome(use: Callable[[], object]) -> str:
    """Return ``refused`` for an error of the package, the name of any other exception, or ``accepted``."""
    try:
        use()
    except EsneraError:
        return "refused"
    except Exception as error:  # noqa: BLE001  what else comes out is what is looked for
        return type(error).__name__
    return "accepted"


def wrong(use: Callable[[], object], fine: str = "refused") -> str:
    said = outcome(use)
    return "" if said == fine else said


def saved(folder: Path) -> Path:
    """Save the result of a mapping that is applied."""
    sources = corpora(folder)
    (folder / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    esnera_hf.apply(folder / "mapping.yaml", sources).save(folder / "result")
    return folder / "result"


def corpora(folder: Path) -> list[str]:
    for name in ("a", "b"):
        (folder / name).mkdir(exist_ok=True)
        for split in ("train", "dev", "test"):
            (folder / name / f"{split}.txt").write_bytes(_COLUMNS.replace(b"anna", f"{name}{split}".encode()))
    return [str(folder / name) for name in ("a", "b")]


MAPPING = """version: 1
merge: tree
unified_labels: [PER]
labels:
- {source: a, label: PER, unified: PER}
- {source: b, label: PER, unified: PER}
"""


@finding("training settings of a report name folders and repositories")
def _(folder: Path) -> str:
    hostile = {"output_dir": "/esnera-victim", "push_to_hub": True, "hub_model_id": "stranger/x"}
    settings = esnera_hf.EvidenceSettings(training=hostile)
    arguments = _ARGUMENTS.TaggerTrainingArguments(**settings.training)
    return f"output_dir={arguments.output_dir}, push_to_hub={arguments.push_to_hub}"


@finding("single-value edits of report.json")
def _(folder: Path) -> str:
    report = saved(folder) / "report.json"
    sound, raw, tried = json.loads(report.read_text()), 0, 0
    for key in sound:
        for value in (3, "x", [1], {"x": {}}, None):
            report.write_text(json.dumps({**sound, key: value}))
            said = {outcome(lambda: _REPRODUCING.reproduce(folder / "result", corpora(folder)))}
            said.add(outcome(lambda: str(esnera_hf.MergeResult.load(folder / "result").card("owner/name"))))
            raw += bool(said - {"accepted", "refused"})
            tried += 1
    return f"{raw} of {tried} end in exceptions of Python" if raw else ""


@finding("data_files= is an address or a path elsewhere")
def _(folder: Path) -> str:
    return wrong(lambda: esnera_hf.ReadingOptions(data_files={"train": "http://127.0.0.1:9/x"}))


def edited_encoder(folder: Path, **values: object) -> str:
    make_encoder(folder / "encoder")
    config = folder / "encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **values}))
    return str(folder / "encoder")


@finding("config.json asks for an attention kernel of the Hub")
def _(folder: Path) -> str:
    asked: list[object] = []
    name = edited_encoder(
        folder, _attn_implementation="stranger/kernel", attn_implementation="stranger/kernel"
    )
    with patch.object(modeling_utils, "lazy_import_flash_attention", lambda name, **_: asked.append(name)):
        said = outcome(lambda: _ENCODERS.load_encoder(name))
    return f"asked for {asked[0]}" if asked else "" if said == "refused" else said


@finding("config.json nested 20,000 deep")
def _(folder: Path) -> str:
    name = edited_encoder(folder)
    Path(name, "config.json").write_text('{"a":' * 20_000 + "1" + "}" * 20_000)
    return wrong(lambda: _ENCODERS.load_encoder(name))


@finding("weights that are NaN")
def _(folder: Path) -> str:
    name = edited_encoder(folder)
    weights = load_file(Path(name, "model.safetensors"))
    first = next(iter(weights))
    save_file(
        {**weights, first: torch.full_like(weights[first], torch.nan)},
        Path(name, "model.safetensors"),
        {"format": "pt"},
    )
    return wrong(lambda: _ENCODERS.load_encoder(name))


@finding("sizes that do not match the weights")
def _(folder: Path) -> str:
    return wrong(lambda: _ENCODERS.load_encoder(edited_encoder(folder, vocab_size=5)))


@finding("metadata of Parquet nested 20,000 deep")
def _(folder: Path) -> str:
    table = pa.table({"tokens": [["a", "b"]] * 3, "ner_tags": [["O", "B-x"]] * 3})
    deep = b'{"info":{"features":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}}"
    pq.write_table(table.replace_schema_metadata({b"huggingface": deep}), folder / "x.parquet")
    return wrong(lambda: esnera_hf.load_source(folder / "x.parquet"))


@finding("two saves to one folder at once")
def _(folder: Path) -> str:
    result, inside = esnera_hf.MergeResult.load(saved(folder)), []
    save = type(result.dataset).save_to_disk

    def second(self: object, *place: object, **options: object) -> None:
        if not inside:
            inside.append(1)
            result.save(folder / "twice")
        save(self, *place, **options)

    with patch.object(type(result.dataset), "save_to_disk", second):
        return wrong(lambda: result.save(folder / "twice"), "refused")


def archive(folder: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(folder / "x.tar.gz", "w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return folder / "x.tar.gz"


@finding("an archive of 40,000 empty members")
def _(folder: Path) -> str:
    file = archive(folder, ("x.train", _COLUMNS), *((str(n), b"") for n in range(40_000)))
    started = time.monotonic()
    said = wrong(lambda: esnera_hf.load_source(file))
    return said and f"{said} after {time.monotonic() - started:.0f} s"


@finding("a member that stands twice in an archive")
def _(folder: Path) -> str:
    return wrong(lambda: esnera_hf.load_source(archive(folder, ("x.train", _COLUMNS), ("x.train", _COLUMNS))))


@finding("a name of more than 255 bytes")
def _(folder: Path) -> str:
    return wrong(lambda: esnera_hf.load_source("x" * 300))


@finding("a key that stands twice in a report")
def _(folder: Path) -> str:
    report = saved(folder) / "report.json"
    text = report.read_text().strip()
    report.write_text(f'{{"{next(iter(json.loads(text)))}": 99, {text[1:]}')
    return wrong(lambda: esnera_hf.MergeResult.load(folder / "result"))


@finding("output folders and umask")
def _(folder: Path) -> str:
    before = os.umask(0o002)
    try:
        rights = saved(folder).stat().st_mode & 0o777
    finally:
        os.umask(before)
    return "" if rights == 0o775 else f"{rights:o} instead of 775 under umask 002"


@finding("an Arrow file whose offsets lead elsewhere")
def _(folder: Path) -> str:
    make_source("a", {"train": [row("anna/B-PER met")] * 9}).dataset["train"].save_to_disk(folder / "saved")
    (file,) = (folder / "saved").glob("*.arrow")
    content = bytearray(file.read_bytes())
    at = content.index((2).to_bytes(4, "little") + (4).to_bytes(4, "little"))
    content[at : at + 4] = (1 << 30).to_bytes(4, "little")
    file.write_bytes(content)
    code = f"import esnera_hf; print(esnera_hf.load_source({str(folder / 'saved')!r}).summary)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = done.stderr.strip().split("\n")
    return "" if "SourceError" in lines[-1] else f"exit status {done.returncode}: {lines[-1][:60]}"


def command(*words: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    program = [sys.executable, "-m", "esnera_hf", *words]
    return subprocess.run(program, capture_output=True, env={**os.environ, **variables}, input=b"\xff\n")


@finding("`esnera-hf cache`, `--json`, `--log-level`")
def _(folder: Path) -> str:
    said = [command("cache").returncode, command("--json", "sources").returncode]
    return f"exit status {said}" if 2 in said else ""


@finding("standard output that is closed")
def _(folder: Path) -> str:
    done = subprocess.run(
        f"{sys.executable} -m esnera_hf sources >&-", shell=True, capture_output=True, check=False
    )
    return "Traceback" if b"Traceback" in done.stderr or b"Exception ignored" in done.stderr else ""


def main() -> None:
    print("| finding | on this commit |\n| --- | --- |")
    for name, reproduce_it in FINDINGS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["ESNERA_CACHE_DIR"] = f"{folder}/cache"
            try:
                said = reproduce_it(Path(folder)) or "refused, as it should be"
            except Exception as error:  # noqa: BLE001  one that cannot be tried stops no other
                said = f"could not be tried: {type(error).__name__}: {str(error)[:100]}"
        print(f"| {name} | {said} |", flush=True)


if __name__ == "__main__":
    main()
