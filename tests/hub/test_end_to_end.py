"""What is published is what people get: the unmodified clients in processes of their own, over the wire."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict, load_from_disk

from builders import make_matrix, toy_rows, toy_source
from esnera_hf import MergeResult
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.evaluation.merged_tagger import Final
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.training import fit_tagger
from esnera_hf.report.build import Account, build_report
from esnera_hf.sources.leakage import find_leaks, left_out_of_train
from esnera_hf.sources.licenses import license_from_id
from esnera_hf.sources.load import load_source
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity
from hub_server import HubServer, client_environment, run_client

DATASET, SECRET, RECIPE, TAGGER = "me/merged", "me/secret", "me/recipe", "me/tagger"
SPLITS = ("train", "validation", "test")
NAMES = {"alpha": {"PERSON": "per", "PLACE": "loc"}, "beta": {"PERSON": "name", "FIRM": "NO"}}

#: Reads datasets as anybody does, without this package, and writes down what came.
READING = """
import json, os, sys
from datasets import load_dataset
for name, arguments, options in json.loads(os.environ["READ"]):
    try:
        loaded = load_dataset(*arguments, **options)
    except Exception as error:
        found = type(error).__name__
    else:
        found = {split: [repr(rows.features), list(rows)] for split, rows in loaded.items()}
    with open(name + ".json", "w", encoding="utf-8") as file:
        json.dump(found, file)
assert not any(name.startswith("esnera_hf") for name in sys.modules)
"""
#: Makes the package unimportable, as where it was never installed.
HIDING = """
import sys
class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "esnera_hf":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server
        assert server.unexpected == []


@pytest.fixture(autouse=True)
def no_token_is_left(hub: HubServer, request: pytest.FixtureRequest) -> Iterator[None]:
    """No token is in any repository, whatever a test did."""
    yield
    for repo in hub.repos.values():
        for commit in repo.commits:
            for name, content in repo.files(commit.sha).items():
                assert not has_token(hub, content), name


def has_token(hub: HubServer, content: bytes) -> bool:
    return any(token.encode() in content for token in hub.known_tokens)


def check_home(hub: HubServer, home: Path) -> None:
    """Check that no token was written anywhere: all came by HF_TOKEN, which nobody asked to keep."""
    for file in home.rglob("*"):
        assert not (file.is_file() and has_token(hub, file.read_bytes())), file


def client(hub: HubServer, home: Path, code: str, *, token: str | None = "write", **env: str) -> str:
    """Run Python that must succeed without telling a token; return what it printed."""
    done = run_client(hub, code, home=home, token=hub.tokens[token] if token else None, env=env)
    assert done.returncode == 0, done.stderr
    assert not has_token(hub, (done.stdout + done.stderr).encode())
    return done.stdout


def cli(hub: HubServer, home: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start the command line."""
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "esnera_hf", *map(str, arguments)],
        env=client_environment(hub.url, home, token=hub.tokens["write"]),
        cwd=home,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts() -> None:
    """Undo that a process in the background of a shell, and all below it, takes no notice of Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finished(hub: HubServer, process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a command; return its exit code and what it said."""
    output, errors = process.communicate()
    assert not has_token(hub, (output + errors).encode())
    return process.returncode, output, errors


def contents(dataset: DatasetDict) -> dict[str, list[Any]]:
    """Return features and rows as JSON gives them back."""
    plain = {split: [repr(rows.features), list(rows)] for split, rows in dataset.items()}
    read: dict[str, list[Any]] = json.loads(json.dumps(plain))
    return read


@dataclass(frozen=True)
class Saved:
    """A saved result, and the files its sources were read from."""

    folder: Path
    sources: Path

    @property
    def dataset(self) -> DatasetDict:
        loaded = load_from_disk(str(self.folder / "dataset"))
        assert isinstance(loaded, DatasetDict)
        return loaded


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A result of two sources read from files, with pseudo-labels made by hand."""
    folder = tmp_path_factory.mktemp("saved")
    sources = [read_corpus(folder, name, seed) for seed, name in enumerate(NAMES)]
    make_merge(sources).save(folder / "merged")
    return Saved(folder / "merged", folder)


def read_corpus(folder: Path, name: str, seed: int) -> NerSource:
    (folder / name).mkdir()
    for offset, (split, sentences) in enumerate({"train": 60, "dev": 12, "test": 12}.items()):
        rows = toy_rows(NAMES[name], sentences, 10 * seed + offset)
        blocks = ["\n".join(f"{word} {tag}" for word, tag in zip(*row, strict=True)) for row in rows]
        (folder / name / f"{split}.txt").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return replace(load_source(folder / name), license=license_from_id("cc-by-4.0"))


def make_merge(sources: list[NerSource]) -> MergeResult:
    labels = ["alpha:loc", "alpha:per", "beta:NO", "beta:name"]
    alike = {("alpha:per", "beta:name"): (9, 10), ("beta:name", "alpha:per"): (9, 10)}
    matrix = make_matrix(dict.fromkeys(labels, 10), alike, {("alpha:per", "beta:name"): 0.9})
    path = greedy_merge_path(matrix, 0.5, 0.5)
    mapping = mapping_from_history(path, matrix)
    leaks = find_leaks(sources)
    pseudo = PseudoLabels(0.5, added_by_hand(sources, mapping.unified_labels[0], left_out_of_train(leaks)))
    final = Final(merge_sources(sources, mapping, leaks, pseudo), tuple(leaks), pseudo)
    account = Account(sources, mapping, final, {"sentences": None}, matrix, history=path)
    return MergeResult(final.dataset, mapping, matrix, build_report(account))


def added_by_hand(sources: list[NerSource], label: str, out: Any) -> dict[str, dict[str, list[Entity]]]:
    """Make the first free word of every third sentence an entity, with a confidence of its own."""
    added: dict[str, dict[str, list[Entity]]] = {source.name: {} for source in sources}
    for source in sources:
        for index, sentence in enumerate(source.sentences("train")):
            taken = {i for entity in sentence.entities for i in range(entity.start, entity.end)}
            free = [i for i in range(len(sentence.tokens)) if i not in taken]
            if index % 3 == 0 and free and sentence.id not in out.get(source.name, ()):
                added[source.name][sentence.id] = [Entity(free[0], free[0] + 1, label, 0.5 + index / 200)]
    return added


@dataclass(frozen=True)
class Pushed:
    """Two pushes to one repository, the first of them tagged, and what plain clients read of them."""

    first: str
    second: str
    home: Path

    def read(self, name: str) -> Any:
        return json.loads((self.home / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pushed(hub: HubServer, saved: Saved, tmp_path_factory: pytest.TempPathFactory) -> Pushed:
    home = tmp_path_factory.mktemp("home")
    code = f"""
    from dataclasses import replace
    from datasets import DatasetDict
    from huggingface_hub import create_tag
    from esnera_hf import MergeResult
    result = MergeResult.load({str(saved.folder)!r})
    print(result.push_to_hub({DATASET!r}, by_source=True).commit)
    create_tag({DATASET!r}, repo_type="dataset", tag="v1.0")
    less = DatasetDict({{split: rows.select(range(5)) for split, rows in result.dataset.items()}})
    print(replace(result, dataset=less).push_to_hub({DATASET!r}, by_source=True).commit)
    result.push_to_hub({SECRET!r}, private=True)
    """
    first, second = client(hub, home / "writer", code).split()
    reader = home / "reader"
    reads: list[tuple[str, list[str], dict[str, Any]]] = [
        ("commit", [DATASET], {"revision": first}),
        ("tag", [DATASET], {"revision": "v1.0"}),
        ("stream", [DATASET], {"streaming": True}),
        ("stream-tag", [DATASET], {"streaming": True, "revision": "v1.0"}),
        ("alpha", [DATASET, "alpha"], {"revision": "v1.0"}),
        ("beta", [DATASET, "beta"], {"revision": "v1.0"}),
        ("main", [DATASET], {}),
        ("without-token", [SECRET], {"token": False}),
        ("with-token", [SECRET], {}),
        ("none", ["me/none"], {}),
    ]
    client(hub, reader, HIDING + READING, token="read", READ=json.dumps(reads))
    # Where the cache has several configurations, datasets wants the name of one.
    offline = [("offline", [DATASET, "merged"], {}), ("offline-by-repository", [SECRET], {})]
    client(hub, reader, HIDING + READING, token=None, READ=json.dumps(offline), HF_HUB_OFFLINE="1")
    for folder in (home / "writer", reader):
        check_home(hub, folder)
    return Pushed(first, second, reader)


class TestDatasets:
    def test_the_result_is_worth_it(self, saved: Saved) -> None:
        rows = saved.dataset["train"]
        assert sum(1 in origin for origin in rows["origin"]) > 10
        assert set(rows["source"]) == set(NAMES)
        assert "B-NO" in rows.features["ner_tags"].feature.names

    @pytest.mark.parametrize("name", ["commit", "tag", "with-token", "offline-by-repository"])
    def test_it_is_loaded_as_it_was(self, pushed: Pushed, saved: Saved, name: str) -> None:
        assert pushed.read(name) == contents(saved.dataset)

    @pytest.mark.parametrize("name", ["main", "stream", "offline"])
    def test_a_second_push_is_what_main_gives_then(self, pushed: Pushed, saved: Saved, name: str) -> None:
        less = DatasetDict({split: rows.select(range(5)) for split, rows in saved.dataset.items()})
        assert pushed.first != pushed.second
        assert pushed.read(name) == contents(less)

    def test_it_is_streamed_as_it_was(self, pushed: Pushed, saved: Saved) -> None:
        assert pushed.read("stream-tag") == contents(saved.dataset)

    @pytest.mark.parametrize("source", NAMES)
    def test_one_source(self, pushed: Pushed, saved: Saved, source: str) -> None:
        expected = contents(saved.dataset)
        for split in SPLITS:
            expected[split][1] = [row for row in expected[split][1] if row["source"] == source]
        assert pushed.read(source) == expected

    def test_a_private_one_is_not_told_from_none(self, pushed: Pushed) -> None:
        assert pushed.read("without-token") == pushed.read("none") == "DatasetNotFoundError"


@pytest.mark.slow
def test_a_recipe_gives_the_same_dataset(hub: HubServer, saved: Saved, tmp_path: Path) -> None:
    push = cli(hub, tmp_path / "writer", "push", saved.folder, RECIPE, "--no-text")
    code, output, errors = finished(hub, push)
    assert (code, errors) == (0, "")
    assert output.startswith(f"published: {hub.url}/datasets/{RECIPE} (commit ")
    assert not [name for name in hub.repo("dataset", RECIPE).files() if name.startswith("data/")]
    copies = [f"beta={saved.sources / 'beta'}", saved.sources / "alpha"]
    target = tmp_path / "rebuilt"
    command = ("apply", RECIPE, *copies, "--output", target)
    code, output, errors = finished(hub, cli(hub, tmp_path / "reader", *command))
    assert (code, errors) == (0, "")
    assert "the same dataset as the published one" in output
    rebuilt = MergeResult.load(target)
    assert contents(rebuilt.dataset) == contents(saved.dataset)
    assert rebuilt.mapping == MergeResult.load(saved.folder).mapping
    for home in ("writer", "reader"):
        check_home(hub, tmp_path / home)


@pytest.fixture(scope="module")
def tagger(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tagger, Path]:
    """A tagger that finds something, and where it is saved."""
    folder = tmp_path_factory.mktemp("tagger")
    settings = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 4, "window_length": 20}
    source = toy_source("toy", NAMES["alpha"], seed=1)
    trained = fit_tagger(source, str(encoder_folder), folder / "training", settings)
    trained.save_pretrained(folder / "saved")
    return trained, folder / "saved"


def in_characters(words: list[str], start: int, end: int) -> tuple[int, int]:
    """Return where some of the words stand in all of them joined by spaces."""
    first = len(" ".join([*words[:start], ""]))
    return first, first + len(" ".join(words[start:end]))


@pytest.mark.slow
def test_a_tagger(hub: HubServer, tagger: tuple[Tagger, Path], tmp_path: Path) -> None:
    """With the package and without it, over the wire, the entities are the same; a revision is another tagger."""
    trained, folder = tagger
    sentences = [list(words) for words, _ in toy_rows(NAMES["alpha"], 20, seed=7)]
    sentences.append([word for sentence in sentences[:8] for word in sentence])
    inputs = tmp_path / "inputs.json"
    inputs.write_text(json.dumps(sentences), encoding="utf-8")
    client(
        hub,
        tmp_path / "with",
        f"""
        import json, torch
        from huggingface_hub import create_tag
        from esnera_hf import Tagger
        def found(tagger):
            return [[[e.start, e.end, e.label, e.score] for e in row]
                    for row in tagger.predict(json.load(open({str(inputs)!r})), scores=True)]
        tagger = Tagger.from_pretrained({str(folder)!r})
        tagger.push_to_hub({TAGGER!r})
        create_tag({TAGGER!r}, tag="v1.0")
        with torch.no_grad():  # one that finds nothing
            tagger.model.crf.transitions[0, 0] += 1000
            tagger.model.crf.start_transitions[0] += 1000
        tagger.push_to_hub({TAGGER!r}, revision="nothing")
        told = {{name: found(Tagger.from_pretrained({TAGGER!r}, revision=name))
                for name in (None, "v1.0", "nothing")}}
        json.dump(list(told.values()), open("told.json", "w"))
        """,
    )
    client(
        hub,
        tmp_path / "without",
        HIDING
        + f"""
import json
from transformers import AutoModelForTokenClassification, pipeline
sentences = json.load(open({str(inputs)!r}))
named = pipeline("token-classification", model={TAGGER!r}, trust_remote_code=True)
found = named(sentences, is_split_into_words=True)
other = pipeline("token-classification", model={TAGGER!r}, revision="nothing", trust_remote_code=True)
nothing = other(sentences, is_split_into_words=True)
model = AutoModelForTokenClassification.from_pretrained({TAGGER!r}, trust_remote_code=True)
weights = all(bool((a == b).all()) for a, b in
              zip(model.state_dict().values(), named.model.state_dict().values(), strict=True))
json.dump([found, nothing, type(model).__module__, weights], open("told.json", "w"), default=float)
assert not any(name.startswith("esnera_hf") for name in sys.modules)
""",
        token="read",
    )
    expected = [
        [[e.start, e.end, e.label, e.score] for e in row] for row in trained.predict(sentences, scores=True)
    ]
    assert sum(map(len, expected)) > 20
    main, tagged, nothing = json.loads((tmp_path / "with" / "told.json").read_text(encoding="utf-8"))
    assert main == tagged == expected
    assert nothing == [[] for _ in sentences]
    plain, empty, module, weights = json.loads((tmp_path / "without/told.json").read_text(encoding="utf-8"))
    assert [[(e["start"], e["end"], e["entity_group"]) for e in row] for row in plain] == [
        [(*in_characters(words, start, end), label) for start, end, label, _ in row]
        for words, row in zip(sentences, expected, strict=True)
    ]
    assert [e["score"] for row in plain for e in row] == pytest.approx(
        [e[3] for row in expected for e in row]
    )
    assert empty == nothing
    assert module.startswith("transformers_modules.")
    assert weights
    for home in ("with", "without"):
        check_home(hub, tmp_path / home)


def settle(hub: HubServer) -> None:
    """Wait until the Hub is done with what arrived, though nobody waits for its answers any more."""
    deadline = time.monotonic() + 10
    while any(not logged.status for logged in hub.log) and time.monotonic() < deadline:
        time.sleep(0.02)


def wait_for(hub: HubServer, path: str, method: str, process: subprocess.Popen[str]) -> None:
    """Wait until a request of a command has arrived at the Hub."""
    deadline = time.monotonic() + 60
    while not hub.requests(path, method) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert hub.requests(path, method), process.communicate()


@pytest.mark.parametrize(
    ("path", "method", "safe"),
    [
        ("", "PUT", r"interrupted while sending files\. Nothing was published\."),
        (
            "/commit/main",
            "POST",
            r"interrupted while committing\. Either all of it was published or nothing: \S+/commits/main tells\.",
        ),
    ],
)
@pytest.mark.slow
def test_interrupted(saved: Saved, tmp_path: Path, path: str, method: str, safe: str) -> None:
    """Ctrl-C while the Hub is slow: nothing is half published, and the same command finishes."""
    with HubServer() as hub:
        hub.fail(path, method=method, delay=2.0)
        command = ("push", saved.folder, DATASET)
        process = cli(hub, tmp_path / "home", *command)
        wait_for(hub, path, method, process)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        code, output, errors = finished(hub, process)
        assert (code, output) == (130, "")
        assert re.search(rf"^{DATASET}: {safe} Run the same again", errors, flags=re.MULTILINE), errors
        assert errors.splitlines()[-1] == (
            "esnera-hf: interrupted. The same command goes on where it stopped."
        )
        assert "Traceback" not in errors
        settle(hub)
        repo = hub.repo("dataset", DATASET)
        applied = "mapping.yaml" in repo.files()
        assert len(repo.commits) == 1 + applied  # the Hub makes the first when it makes the repository
        assert applied == (method == "POST")  # the commit was under way: it is rightly called in doubt
        arrived = sent(hub)
        code, output, _ = finished(hub, cli(hub, tmp_path / "home", *command))
        assert code == 0
        assert ("holds all of it already" in output) == applied
        assert len(repo.commits) == 2
        data = [name for name in repo.files() if name.endswith(".parquet")]
        assert len(sent(hub)) == len(set(sent(hub))) == len(data) == 3
        assert arrived == sent(hub)[: len(arrived)]
        assert hub.unexpected == []
        check_home(hub, tmp_path / "home")


def sent(hub: HubServer) -> list[str]:
    """Return the objects that have arrived in the storage, in order."""
    return [logged.path.partition("?")[0] for logged in hub.requests(method="PUT") if logged.status == 200]
