"""Hub datasets read over the wire, from a server that can fail on demand."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import traceback
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from huggingface_hub import constants

from corpora import sentences_of
from esnera_hf._internal.yaml import dump_yaml
from esnera_hf.errors import ConfigurationError, SourceError, SourceNotFoundError
from esnera_hf.sources import hub
from esnera_hf.sources.catalogue import NAMED_SOURCES
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import License, NerSource
from hub_server import PARQUET_REF, HubServer, Repo, clients_inside

CARD = "---\nlicense: cc-by-4.0\n---\n"


@pytest.fixture(scope="module")
def running() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture(autouse=True)
def server(running: HubServer, tmp_path) -> Iterator[HubServer]:
    running.reset()
    with clients_inside(running, tmp_path), contextlib.chdir(tmp_path):
        yield running


def parquet(word: str) -> bytes:
    buffer = io.BytesIO()
    table = Dataset.from_dict({"tokens": [[word, "b"]], "ner_tags": [["B-x", "O"]]}).data.table
    pq.write_table(table, buffer)
    return buffer.getvalue()


def files(word: str = "a", folder: str = "data", card: str = CARD) -> dict[str, bytes | str]:
    splits = {f"{folder}/{s}-00000-of-00001.parquet": parquet(f"{word}{s}") for s in ("train", "test")}
    return {"README.md": card, **splits}


def load(**options: Any) -> NerSource:
    return load_source("o/n", options=ReadingOptions(**options))


def first_word(source: NerSource, split: str = "train") -> str:
    return source.dataset[split][0]["tokens"][0]


def test_a_dataset_its_commit_and_its_license(server):
    repo = server.add_repo("dataset", "o/n", files())
    source = load()
    assert (source.name, first_word(source), first_word(source, "test")) == ("n", "atrain", "atest")
    assert source.license == License("cc-by-4.0", True, "as tagged on the Hub: cc-by-4.0")
    assert (source.provenance.hub_id, source.provenance.revision) == ("o/n", repo.head)
    assert load_source("mine=o/n").name == "mine"
    assert load(license="mit").license.name == "mit"
    assert server.unexpected == []


@pytest.mark.parametrize(
    ("card", "license"),
    [
        (None, ""),
        ({"license": "unknown"}, ""),
        ({"license": "cc-by-nd-4.0"}, "cc-by-nd-4.0"),
        ({"license": "other", "license_name": "own-terms"}, "own-terms"),
        ({"license": ["mit", "cc-by-4.0"]}, "mit, cc-by-4.0"),
    ],
)
def test_the_license_of_a_card(card, license):
    assert hub._license_of(SimpleNamespace(card_data=card)) == license


def test_revisions(server):
    repo = server.add_repo("dataset", "o/n", files("old"))
    old = repo.head
    repo.tags["v1"] = old
    repo.commit(files("branch"), revision="dev")
    repo.commit(files("new"))
    words = {None: "new", "main": "new", "v1": "old", old: "old", "dev": "branch", "refs/heads/dev": "branch"}
    for revision, word in words.items():
        assert first_word(load(revision=revision)) == f"{word}train"
    with pytest.raises(SourceNotFoundError, match="'o/n': this Hub dataset has no revision 'v2'"):
        load(revision="v2")


def test_configurations_and_files(server):
    configs = "configs:\n- {config_name: one, data_files: one/*}\n- {config_name: two, data_files: two/*}"
    others = {"bad/train.parquet": b"PAR1" + bytes(99), "two/train-0-of-1.parquet": parquet("2train")}
    server.add_repo("dataset", "o/n", files("1", "one", f"---\n{configs}\n---\n") | others)
    assert first_word(load(config="two")) == "2train"
    assert first_word(load(data_files={"train": "one/test-*"})) == "1test"
    for options, message in (
        ({}, r"Config name is missing. .*\['one', 'two'\]"),
        ({"config": "three"}, r"BuilderConfig 'three' not found. Available: \['one', 'two'\]"),
        ({"data_files": {"train": "three/*"}}, ""),
        ({"data_files": {"train": "bad/*"}}, ".*datasets--o--n and try again"),
    ):
        with pytest.raises(SourceError, match=f"^'o/n': the Hub dataset cannot be loaded: .*{message}.*$"):
            load(**options)


def script_repo(server: HubServer, *configs: str, split: str = "train") -> Repo:
    repo = server.add_repo("dataset", "o/n", {"n.py": "import os", "README.md": CARD})
    content = {f"{c}/{s}/0000.parquet": parquet(f"{c}-{s}") for c in configs for s in (split, "test")}
    if configs:
        repo.commit(content, revision=PARQUET_REF)
    return repo


def test_a_script_dataset_is_read_from_its_parquet_branch(server):
    repo = script_repo(server, "zh", "en")
    for config in ("en", "zh", "en"):
        source = load(config=config)
        assert (first_word(source), first_word(source, "test")) == (f"{config}-train", f"{config}-test")
        assert (source.license.name, source.provenance.revision) == ("cc-by-4.0", repo.refs[PARQUET_REF])
        assert source.dataset["train"].num_rows == 1
    for revision in (PARQUET_REF, repo.refs[PARQUET_REF], "main", repo.head):
        assert first_word(load(config="zh", revision=revision)) == "zh-train"
    old = repo.head
    repo.commit({"n.py": "import sys"})
    for options, message in (
        ({}, r"config=None one is to be chosen of .* Hub dataset: en, zh"),
        ({"config": "de"}, r"config='de' is not among .* Hub dataset: en, zh"),
        ({"config": "zh", "revision": old}, "is of the main branch, not of revision"),
    ):
        with pytest.raises(SourceError, match=message):
            load(**options)
    assert not server.requests("/resolve/.*n.py$", "GET")
    # The copies of two configurations that are kept for bad times are not mixed up either.
    server.fail("", status=503, times=-1)
    for config in ("zh", "en"):
        assert first_word(load(config=config)) == f"{config}-train"


def test_parquet_branches_that_are_partial_or_missing(server):
    script_repo(server, "default", "other", split="partial-train")
    source = load()
    assert first_word(source) == "default-partial-train"
    assert source.notes[0] == "the Hub's parquet copy holds only the first part of train"
    script_repo(server)
    with pytest.raises(SourceError, match="a script, which is not run, and the Hub has no parquet copy"):
        load()


def test_known_corpora(server):
    words, ids = ["O", "B-PERSON", "I-PERSON", "B-GPE", "I-GPE"], [1, 2, 0, 3]
    sentence = {"words": List(Value("string")), "named_entities": List(ClassLabel(names=words))}
    document = {"sentences": [{"words": ["李", "先生", "在", "北京"], "named_entities": ids}]}
    buffer = io.BytesIO()
    Dataset.from_list([document], Features({"sentences": List(sentence)})).to_parquet(buffer)
    repo = server.add_repo("dataset", "ontonotes/conll2012_ontonotesv5", {"conll2012_ontonotesv5.py": "x"})
    places = product(("chinese_v4", "english_v4"), ("train", "validation", "test"))
    repo.commit({f"{c}/{s}/0000.parquet": buffer.getvalue() for c, s in places}, revision=PARQUET_REF)
    ontonotes = load_source("ontonotes")
    assert sentences_of(ontonotes) == [("李先生在北京", [(0, 3, "PERSON"), (4, 6, "GPE")])] * 3
    assert ontonotes.license.text_may_be_shared is False
    assert ontonotes.provenance.hub_id == "ontonotes/conll2012_ontonotesv5"

    line = '{"text": "王五好", "entities": [{"start_offset": 0, "end_offset": 2, "label": "person_name"}]}\n'
    server.add_repo("dataset", "ttxy/cn_ner", {"jsons/boson.json": line * 8, "jsons/other.json": "{"})
    boson = load_source("boson")
    assert (boson.labels, boson.license) == (("person_name",), NAMED_SOURCES["boson"].license)

    line = line.replace("person_name", "name")
    bare = '{"text": "无人", "entities": []}\n'
    server.add_repo("dataset", "xusenlin/clue-ner", {"train.json": line * 9, "test.json": bare})
    cluener = load_source("cluener")
    assert set(map(str, sentences_of(cluener))) == {"('王五好', [(0, 2, 'name')])"}
    assert cluener.notes[0] == "test carries no annotation: not loaded"
    assert server.unexpected == []


def test_private_and_gated_datasets(server, tmp_path):
    server.add_repo("dataset", "me/p", files("secret"), private=True)
    server.add_repo("dataset", "other/g", files("gated")).gated = True
    for token in (None, server.tokens["other"]):
        with (
            clients_inside(server, tmp_path / f"as-{token}", token=token),
            pytest.raises(SourceNotFoundError, match="no Hub dataset 'me/p' that you may read"),
        ):
            load_source("me/p")
    with clients_inside(server, tmp_path / "read", token=server.tokens["read"]):
        assert first_word(load_source("me/p")) == "secrettrain"
        with pytest.raises(SourceNotFoundError, match="'other/g' is gated: ask for access on its page"):
            load_source("other/g")


ASKING, FILES, BUSY = "/api/datasets/o/n", "/blob/", {"Retry-After": "3000"}
FAULTS = [
    ({"path": ASKING, "status": 403}, SourceNotFoundError, "no right to do this"),
    ({"path": ASKING, "status": 429, "headers": BUSY}, SourceNotFoundError, r"less often \(429: as the test"),
    ({"path": ASKING, "status": 503}, SourceNotFoundError, r"the Hub failed \(503"),
    ({"path": ASKING, "status": 200, "body": b"<html>"}, SourceError, "an answer that makes no sense"),
    ({"path": ASKING, "status": 200, "body": b"[]"}, SourceError, "an answer that makes no sense"),
    ({"path": ASKING, "drop_after": 5}, SourceNotFoundError, r"the connection broke \(ReadError\)"),
    ({"path": ASKING, "hang": True}, SourceNotFoundError, "the Hub did not answer in time"),
    ({"path": FILES, "status": 500}, SourceNotFoundError, r"the Hub failed \(500"),
    ({"path": FILES, "drop_after": 100}, SourceNotFoundError, "the connection broke"),
    ({"path": FILES, "body": b"x" * 9}, SourceError, "should be of size .* but has size 9"),
    ({"path": "/tree/", "status": 200, "body": b"<"}, SourceError, "cannot be loaded"),
]


@pytest.mark.parametrize(("fault", "kind", "message"), FAULTS, ids=str)
def test_what_goes_wrong_for_good_ends_in_one_line(server, monkeypatch, fault, kind, message):
    token = server.tokens["write"]
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(hub, "_TIMEOUT", 0.2)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    server.add_repo("dataset", "o/n", files())
    server.fail(times=-1, **fault)
    with pytest.raises(kind, match=message) as raised:
        load()
    text = str(raised.value)
    assert type(raised.value) is kind
    assert ("'o/n'" in text, "\n" in text, token in text) == (True, False, False)
    # Once the trouble is over, nothing of it is left.
    server.faults.clear()
    assert first_word(load()) == "atrain"


@pytest.mark.parametrize(
    ("name", "message"),
    [("invalid", "does not accept your token.*unset HF_TOKEN"), ("write", "bad bearer hf_…")],
)
def test_tokens_are_not_shown(server, monkeypatch, name, message):
    server.add_repo("dataset", "o/n", files())
    token = server.tokens[name]
    monkeypatch.setenv("HF_TOKEN", token)
    if name == "write":
        server.fail(ASKING, status=403, headers={"X-Error-Message": f"bad bearer {token}"})
    with pytest.raises(SourceNotFoundError, match=message) as raised:
        load()
    assert token not in "".join(traceback.format_exception(raised.value))


NO_NETWORK = (
    "^'o/n': no such file or folder, and the Hub cannot be read for 'o/n': the Hub cannot be reached, and "
    "no copy of it is in the cache. Check the connection"
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("o/n", NO_NETWORK),
        ("resume", "resume: no copy .*'resume=PATH'"),
        ("fewfc", "none is known on the Hub"),
        *((name, None) for name in ("a b/c", "o/n/x", "", "../n")),  # no ids: nobody is asked
    ],
)
def test_no_network_and_no_copy(server, tmp_path, name, message):
    with clients_inside("http://127.0.0.1:9", tmp_path) as waits:
        with pytest.raises(SourceNotFoundError, match=message):
            load_source(name)
        assert waits == []
    offline = r"HF_HUB_OFFLINE is set, .* cache. Unset HF_HUB_OFFLINE" if name == "o/n" else message
    with patch.object(constants, "HF_HUB_OFFLINE", True), pytest.raises(SourceNotFoundError, match=offline):
        load_source(name)
    assert server.log == []


def test_without_the_hub_a_kept_copy_is_read_and_said(server, capsys):
    repo = server.add_repo("dataset", "o/n", files("old"))
    old = repo.head
    load()
    load(revision=old)
    repo.commit(files("new"))
    # Where the Hub fails between two questions, the loader takes any copy it has.
    server.fail("/resolve/.*parquet|/tree/", status=503, times=-1)
    with pytest.raises(SourceNotFoundError, match="the copy in the cache is of another commit than"):
        load(revision=repo.head)
    server.fail("", status=503, times=-1)
    capsys.readouterr()
    source = load()
    assert (first_word(source), source.provenance.revision) == ("oldtrain", old)
    assert source.license.name == "cc-by-4.0"
    said = capsys.readouterr().err
    assert f"o/n: the Hub failed (503: as the test wants it): reading the copy of commit {old[:7]}" in said
    assert first_word(load(revision=old)) == "oldtrain"
    # A copy that may be of something else is not read.
    for options, at in (
        ({"revision": "v1"}, " at revision 'v1'"),
        ({"revision": repo.head}, f" at revision '{repo.head}'"),
        ({"config": "other"}, ""),
    ):
        with pytest.raises(SourceNotFoundError, match=f"no copy of it{at} is in the cache"):
            load(**options)
    # Nor is one that is gone in part.
    next(Path(os.environ["HF_HOME"]).rglob("n-train.arrow")).unlink()
    with pytest.raises(SourceNotFoundError, match="no copy of it is in the cache"):
        load()


@pytest.mark.parametrize(
    "data_file",
    ["http://127.0.0.1:9/x", "/etc/passwd", "../x", "~/x", "hf://datasets/o/other/x", "C:\\x", "a\0b", 3],
)
def test_data_files_lie_within_the_dataset(server, data_file):
    """Those that are asked for, and those that its own card names; nothing else is requested or opened."""
    with pytest.raises(ConfigurationError, match="expected a path within the Hub dataset"):
        ReadingOptions(data_files={"train": data_file})
    if data_file in ("a\0b", 3):
        return
    configs = [{"config_name": "default", "data_files": [{"split": "train", "path": [data_file]}]}]
    card = f"---\n{dump_yaml({'configs': configs})}---\n"
    server.add_repo("dataset", "o/n", {"README.md": card, "x/train.parquet": parquet("a")})
    with pytest.raises(SourceError, match=r"'o/n': its README\.md names data outside the dataset"):
        load()
    assert not any("train.parquet" in request.path for request in server.log)


def test_settings_that_hold_the_same_list_a_million_times(server):
    """By aliases of aliases, which ``datasets`` would write out."""
    lists = "".join(f"l{n + 1}: &l{n + 1} [{', '.join([f'*l{n}'] * 10)}]\n" for n in range(30))
    settings = f"l0: &l0 [x/*]\n{lists}configs:\n- config_name: default\n  data_files: *l30\n"
    server.add_repo("dataset", "o/n", {".huggingface.yaml": settings, "x/train.parquet": parquet("a")})
    with pytest.raises(SourceError, match=r"its \.huggingface\.yaml cannot be read: by its aliases it holds"):
        load()


class TestKeptCopies:
    """An Arrow file that ``datasets`` made and an earlier run read, of which a bit has flipped or the end is gone."""

    @pytest.fixture(params=["flipped", "cut"])
    def damaged(self, request, server, tmp_path) -> Path:
        server.add_repo("dataset", "o/n", files())
        load()
        (file,) = tmp_path.rglob("*-train.arrow")
        content = bytearray(file.read_bytes())
        at = content.index(b"atrain")
        content[at] ^= 1
        file.write_bytes(content if request.param == "flipped" else content[: len(content) // 2])
        return file

    def test_is_made_again(self, damaged, capsys):
        assert first_word(load()) == "atrain"
        assert "is not as it was written, and is made again" in capsys.readouterr().err

    def test_is_refused_where_the_hub_cannot_be_asked(self, damaged):
        offline = patch.object(constants, "HF_HUB_OFFLINE", True)
        with offline, pytest.raises(SourceError, match="the copy of an earlier run is damaged"):
            load()

    def test_what_was_fetched_is_checked_by_its_name(self, server, tmp_path):
        server.add_repo("dataset", "o/n", files())
        load()
        blobs = [file for file in tmp_path.rglob("blobs/*") if hub._SHA256.fullmatch(file.name)]
        shutil.rmtree(tmp_path / "hf" / "datasets")
        for note in (hub.cache_folder() / "hub").iterdir():
            note.unlink()
        blobs[0].write_bytes(b"x" + blobs[0].read_bytes()[1:])
        with pytest.raises(SourceError, match="is damaged: its content is not what its name says"):
            load()
