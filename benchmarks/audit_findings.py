"""Were the audit's findings there, on the commit that was audited?

The names of that commit are other ones, so the tests of today cannot be run on it. Each finding is one small use of its
package; prints a Markdown table of what came of it, beside the test that keeps it from coming back. Needs the
environment of today and that commit's tree:

    git worktree add /tmp/audited 1479446
    PYTHONPATH=/tmp/audited/src:/tmp/audited/tests python benchmarks/audit_findings.py
"""

from __future__ import annotations

import bz2
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from command_line import benchmark_parser

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from datasets import IterableDataset
from safetensors.torch import load_file, save_file
from transformers import modeling_utils

import esnera_hf
from builders import make_encoder, make_source, row
from esnera_hf.errors import EsneraError
from hub_server import HubServer, clients_inside

# Of the commit that was audited; today they have other names, or are not there.
_ARGUMENTS = importlib.import_module("esnera_hf.modeling.arguments")
_ENCODERS = importlib.import_module("esnera_hf.modeling.pretrained")
_REPRODUCING = importlib.import_module("esnera_hf.reproducing")

_COLUMNS = b"anna\tB-PER\nmet\tO\n\n" * 30
FINDINGS: list[tuple[str, str, Callable[[Path], str]]] = []
#: The suite of hostile files guards most findings.
_ATTACK = "test_attack.py::test_a_hostile_edit_is_refused_and_does_nothing"
#: Seconds after which an archive that should be refused by its headers counts as unpacked.
_PATIENCE = 30


def finding(name: str, guard: str = _ATTACK) -> Callable[[Callable[[Path], str]], Callable[[Path], str]]:
    """Add a function to the table; it returns what is wrong, or nothing.

    Args:
        name: of the finding.
        guard: the test of today.
    """

    def add(function: Callable[[Path], str]) -> Callable[[Path], str]:
        FINDINGS.append((name, guard, function))
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


@finding(
    "training settings of a report name folders and repositories",
    "modeling/test_arguments.py::test_what_decides_the_weights_is_taken_and_all_else_refused_by_name",
)
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


@finding(
    "source text of dropped spans in a recipe",
    "hub/test_text_free.py::test_words_of_sources_and_paths",
)
def _(folder: Path) -> str:
    """The line that keeps it out is taken out; do tests of that commit notice?"""
    tree = Path(esnera_hf.__file__).parents[2]
    for part in ("src", "tests"):
        shutil.copytree(tree / part, folder / part)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(tree / name, folder)
    code = folder / "src/esnera_hf/publishing/shareable.py"
    changed = code.read_text().replace(
        "replace(shared, examples={}, dropped=[])", "replace(shared, examples={})"
    )
    code.write_text(changed)
    tests = ["test_saving_for_the_hub.py", "test_rebuilding.py", "test_publishing.py"]
    variables = {**os.environ, "PYTHONPATH": f"{folder}/src"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", *(f"tests/{name}" for name in tests)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
    )
    passed = re.search(r"\d+ passed", done.stdout)
    return (
        "" if passed is None or done.returncode else f"could be published, none of {passed[0]} tests noticed"
    )


@finding(
    "data_files= is an address or a path elsewhere",
    "sources/test_hub.py::test_data_files_lie_within_the_dataset",
)
def _(folder: Path) -> str:
    return wrong(lambda: esnera_hf.ReadingOptions(data_files={"train": "http://127.0.0.1:9/x"}))


def edited_encoder(folder: Path, **values: object) -> str:
    make_encoder(folder / "encoder")
    config = folder / "encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **values}))
    return str(folder / "encoder")


@finding(
    "config.json asks for an attention kernel of the Hub",
    "test_trust.py::test_no_configuration_asks_for_a_kernel_of_the_hub",
)
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


@finding("a flipped bit in the kept copy of a Hub dataset", "sources/test_hub.py::TestKeptCopies")
def _(folder: Path) -> str:
    rows = io.BytesIO()
    pq.write_table(pa.table({"tokens": [["anna", "b"]] * 3, "ner_tags": [["B-x", "O"]] * 3}), rows)
    with HubServer() as server, clients_inside(server, folder):
        files = {f"data/{split}-00000-of-00001.parquet": rows.getvalue() for split in ("train", "test")}
        server.add_repo("dataset", "o/n", files)
        esnera_hf.load_source("o/n")
        (file,) = folder.rglob("*-train.arrow")
        file.write_bytes(file.read_bytes().replace(b"anna", b"bnna", 1))
        words: list[str] = []
        said = outcome(lambda: words.append(esnera_hf.load_source("o/n").dataset["train"][0]["tokens"][0]))
    return (
        f"read as {words[0]!r}" if words and words != ["anna"] else "" if words or said == "refused" else said
    )


@finding(
    "two saves to one folder at once",
    "_internal/test_files.py::test_of_two_that_write_to_one_place_both_keep_what_they_wrote",
)
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


def read_elsewhere(file: Path) -> str:
    """Return what a process of its own says of a corpus, or that it takes too long."""
    code = f"import esnera_hf; esnera_hf.load_source({str(file)!r})"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return f"still being unpacked after {_PATIENCE} s"
    said = done.stderr.strip().rpartition("\n")[2]
    return "" if "SourceError" in said else said[:60] if done.returncode else "accepted"


@finding("an archive of 40,000 empty members")
def _(folder: Path) -> str:
    return read_elsewhere(archive(folder, ("x.train", _COLUMNS), *((str(n), b"") for n in range(40_000))))


@finding("a .tar.bz2 of 33 kB that holds 40 GiB of zeros")
def _(folder: Path) -> str:
    member = tarfile.TarInfo("x.train")
    member.size = 40 << 30
    zeros = bz2.compress(bytes(256 << 20))
    (folder / "x.tar.bz2").write_bytes(bz2.compress(member.tobuf(tarfile.GNU_FORMAT)) + zeros * 161)
    return read_elsewhere(folder / "x.tar.bz2")


@finding("a member that stands twice in an archive")
def _(folder: Path) -> str:
    return wrong(lambda: esnera_hf.load_source(archive(folder, ("x.train", _COLUMNS), ("x.train", _COLUMNS))))


@finding("a name of more than 255 bytes", "test_trust.py::test_a_source_that_no_file_system_could_hold")
def _(folder: Path) -> str:
    return wrong(lambda: esnera_hf.load_source("x" * 300))


@finding("a key that stands twice in a report")
def _(folder: Path) -> str:
    report = saved(folder) / "report.json"
    text = report.read_text().strip()
    report.write_text(f'{{"{next(iter(json.loads(text)))}": 99, {text[1:]}')
    return wrong(lambda: esnera_hf.MergeResult.load(folder / "result"))


@finding("output folders and umask", "_internal/test_files.py::test_a_folder_follows_the_umask")
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
    return read_elsewhere(folder / "saved")


def command(*words: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    program = [sys.executable, "-m", "esnera_hf", *words]
    return subprocess.run(program, capture_output=True, env={**os.environ, **variables}, input=b"\xff\n")


@finding("`esnera-hf cache`, `--json`, `--log-level`", "cli/test_jobs.py::test_a_run_in_json_lines")
def _(folder: Path) -> str:
    said = [command("cache").returncode, command("--json", "sources").returncode]
    return f"exit status {said}" if 2 in said else ""


@finding("standard output that is closed", "test_trust.py::test_streams_that_are_closed_or_full")
def _(folder: Path) -> str:
    return _of_output(">&-")


@finding("standard output that is full", "test_trust.py::test_streams_that_are_closed_or_full")
def _(folder: Path) -> str:
    return _of_output(">/dev/full")


def _of_output(redirected: str) -> str:
    line = f"{sys.executable} -m esnera_hf sources {redirected}"
    done = subprocess.run(line, shell=True, capture_output=True, check=False)
    return "traceback" if b"Traceback" in done.stderr or b"Exception ignored" in done.stderr else ""


@finding(
    "text on standard input under LC_ALL=C", "test_trust.py::test_standard_input_is_utf_8_under_any_locale"
)
def _(folder: Path) -> str:
    code = "from esnera_hf.cli.taggers import _lines; print(ascii(list(_lines(None))))"
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        input="Straße\n".encode(),
        capture_output=True,
    )
    said = (done.stdout or done.stderr.strip().split(b"\n")[-1]).decode().strip()
    return "" if said == ascii(["Straße"]) else f"'Straße' is read as {said[:60]}"


def _trained(folder: Path, *words: str) -> list[str]:
    make_encoder(folder / "encoder")
    program = [sys.executable, "-m", "esnera_hf", "align", *corpora(folder), *words]
    return [*program, "--encoder", str(folder / "encoder"), "--output", str(folder / "out")]


@finding("SIGTERM", "cli/test_jobs.py::test_a_signal_ends_a_training_that_the_same_command_goes_on_with")
def _(folder: Path) -> str:
    command = _trained(folder, "--taggers", "separate", "--epochs", "500")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    cache = Path(os.environ["ESNERA_CACHE_DIR"])
    while process.poll() is None and not any(cache.rglob("checkpoint-*")):
        time.sleep(0.05)
    process.terminate()
    said = (process.communicate()[1] or b"").decode(errors="replace")
    advice = "" if "goes on where it stopped" in said else ", and nothing is said of how to go on"
    return "" if process.returncode == 143 and not advice else f"exit status {process.returncode}{advice}"


@finding("memory that is not there", "_internal/test_memory.py::test_it_is_said_before")
def _(folder: Path) -> str:
    """All but 64 MB of the memory are taken."""
    code = f"""
import pathlib, sys
from esnera_hf.cli import main
real = pathlib.Path.read_text
def read_text(self, *arguments, **options):
    text = real(self, *arguments, **options)
    return "MemAvailable: 65536 kB\\n" if self.name == "meminfo" else text
pathlib.Path.read_text = read_text
sys.exit(main({_trained(folder, "--epochs", "1")[3:]!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return "" if "memory" in done.stderr else f"exit status {done.returncode}, and nothing is said before"


@finding(
    "pages under another locale, time zone, hash seed, folder, order", "test_same_bytes.py::test_a_result"
)
def _(folder: Path) -> str:
    command, pages = _trained(folder, "--epochs", "1"), []
    for number, (order, variables) in enumerate(
        (
            (corpora(folder), {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}),
            (corpora(folder)[::-1], {"LC_ALL": "C", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4242"}),
        )
    ):
        home = folder / f"run {number}"
        home.mkdir()
        words = [*command[:4], *order, *command[6:-1], "out"]
        own = {"ESNERA_CACHE_DIR": str(home / "cache"), "PYTHONPATH": os.pathsep.join(sys.path[1:])}
        subprocess.run(
            words, cwd=home, env={**os.environ, **own, **variables}, capture_output=True, check=True
        )
        pages.append({file: (home / "out" / file).read_bytes() for file in ("report.json", "report.html")})
    return ", ".join(f"{file} differs" for file in pages[0] if pages[0][file] != pages[1][file])


@finding("a corpus that is an IterableDataset", "sources/test_in_memory.py::test_a_stream_is_read_once")
def _(folder: Path) -> str:
    rows = [{"tokens": ["anna", "met"], "ner_tags": ["B-x", "O"]}] * 3
    return wrong(
        lambda: esnera_hf.load_source(IterableDataset.from_generator(lambda: iter(rows)), name="a"),
        "accepted",
    )


@finding(
    "a corpus that is a pattern of files",
    "sources/test_patterns.py::test_its_files_are_read_as_those_of_a_folder",
)
def _(folder: Path) -> str:
    pq.write_table(pa.table({"tokens": [["a", "b"]], "ner_tags": [["B-x", "O"]]}), folder / "train-0.parquet")
    return wrong(lambda: esnera_hf.load_source(f"{folder}/train-*.parquet", name="a"), "accepted")


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("words", nargs="*", help="try only findings whose name holds one of these")
    words = parser.parse_args().words
    print("| finding | on this commit | test of today |\n| --- | --- | --- |")
    for name, guard, use in FINDINGS:
        if words and not any(word in name for word in words):
            continue
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            os.environ["ESNERA_CACHE_DIR"] = f"{folder}/cache"
            print(f"| {name} | {use(Path(folder)) or 'as it should be'} | `{guard}` |", flush=True)


if __name__ == "__main__":
    main()
