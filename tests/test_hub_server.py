"""The test server, driven by the unmodified clients: what it takes, what it refuses, how it fails on demand."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    DatasetCard,
    HfApi,
    constants,
    hf_hub_download,
    list_repo_commits,
    list_repo_refs,
)
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx

from hub_server import PARQUET_REF, HubServer, Waits, clients_inside, run_client

BINARY = b"\0\1\2\3" * 500


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


@pytest.fixture
def waits(server, tmp_path) -> Iterator[Waits]:
    """The clients of this process talk to the server; nobody is logged in."""
    with clients_inside(server, tmp_path) as waited:
        yield waited


def add(path: str, content: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


def api_of(server: HubServer, token: str | None = "write") -> HfApi:
    return HfApi(token=server.tokens[token] if token else False)


def raw(server: HubServer, method: str, path: str, body: bytes = b"", token: str = "write", **headers: str):
    """Send a request as it is and return the status and the body of the answer."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(
        method, path, body or None, {"Authorization": f"Bearer {server.tokens[token]}", **named}
    )
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def commit_lines(*lines: tuple[str, dict], parent: str | None = None) -> bytes:
    header = {"summary": "s", "description": ""} | ({"parentCommit": parent} if parent else {})
    return b"\n".join(json.dumps({"key": k, "value": v}).encode() for k, v in [("header", header), *lines])


def raw_commit(server: HubServer, *lines: tuple[str, dict], path: str = "datasets/me/d") -> tuple[int, str]:
    return raw(
        server, "POST", f"/api/{path}/commit/main", commit_lines(*lines), Content_Type="application/x-ndjson"
    )


SCENARIO = """
    import os
    from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, load_dataset
    from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
    from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizer

    api = HfApi()
    features = Features({"tokens": List(Value("string")), "tags": List(ClassLabel(names=["O", "B-x"]))})
    def rows(word):
        return Dataset.from_dict({"tokens": [[word, "b"]], "tags": [[1, 0]]}, features=features)

    first = DatasetDict(train=rows("a"), test=rows("z")).push_to_hub("acme/d", private=True)
    api.create_tag("acme/d", tag="v1", repo_type="dataset")
    DatasetDict(train=rows("new"), test=rows("z")).push_to_hub("acme/d")
    assert load_dataset("acme/d")["train"][:] == {"tokens": [["new", "b"]], "tags": [[1, 0]]}
    assert load_dataset("acme/d")["train"].features == features
    for revision in (first.oid, "v1"):
        assert load_dataset("acme/d", revision=revision)["train"][0]["tokens"] == ["a", "b"]
        assert load_dataset("acme/d", revision=revision, streaming=True)["train"].take(1)
    streamed = list(load_dataset("acme/d", revision="v1", streaming=True)["train"])
    assert streamed == [{"tokens": ["a", "b"], "tags": [1, 0]}]
    folder = snapshot_download("acme/d", repo_type="dataset", revision="v1")
    assert sorted(os.listdir(folder)) == [".gitattributes", "README.md", "data"]

    tokenizer = BertTokenizer(vocab={"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5})
    model = BertModel(BertConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                                 intermediate_size=8))
    model.push_to_hub("me/m")
    tokenizer.push_to_hub("me/m")
    again = AutoModel.from_pretrained("me/m")
    assert all((a == b).all() for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert AutoTokenizer.from_pretrained("me/m")("a")["input_ids"] == [2, 5, 3]

    os.makedirs("files/sub")
    open("files/sub/w.bin", "wb").write(b"\\0" * 3000)
    open("files/README.md", "w").write("---\\nsdk: static\\n---\\n")
    api.create_repo("me/s", repo_type="space", space_sdk="static")
    api.upload_folder(repo_id="me/s", repo_type="space", folder_path="files")
    print(first.oid)
"""


def test_datasets_models_and_folders_make_the_round_trip(server, tmp_path):
    done = run_client(server, SCENARIO, token=server.tokens["write"], home=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    dataset = server.repo("dataset", "acme/d")
    assert dataset.private
    assert dataset.tags == {"v1": done.stdout.split()[-1]}
    assert sorted(dataset.files()) == [
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    ]
    assert [commit.title for commit in dataset.commits][-1] == "initial commit"
    assert len(dataset.commits) == 3
    assert dataset.files("v1")["data/train-00000-of-00001.parquet"][:4] == b"PAR1"
    assert sorted(server.repo("model", "me/m").files()) == [
        *("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    ]
    assert server.repo("space", "me/s").files()["sub/w.bin"] == b"\0" * 3000
    assert server.unexpected == []
    # The unchanged test split was not sent again.
    uploads = server.requests("/upload/", "PUT", "cdn")
    assert len(uploads) == 5
    assert {request.user for request in uploads} == {""}


@pytest.mark.usefixtures("waits")
def test_commits_branches_tags_and_pull_requests(server):
    api = api_of(server)
    assert api.whoami()["name"] == "me"
    assert api.create_repo("d", repo_type="dataset") == f"{server.url}/datasets/me/d"
    api.create_repo("me/d", repo_type="dataset", exist_ok=True)
    repo = server.repo("dataset", "me/d")
    start = repo.head

    def commit_both(message: str):
        operations = [add("a.txt", b"text"), add("sub/b.bin", BINARY)]
        return api.create_commit("me/d", operations, commit_message=message, repo_type="dataset")

    made = commit_both("first")
    assert (repo.head, repo.commits[0].parent, repo.commits[0].author) == (made.oid, start, "me")
    assert repo.files() == {"a.txt": b"text", "sub/b.bin": BINARY}
    assert [server.requests("/upload/")[0].body, len(server.requests("/verify"))] == [2000, 1]
    # What is there is not sent again; a change based on an old commit is refused.
    commit_both("again")
    assert (len(server.requests("/upload/")), repo.head) == (1, made.oid)
    with pytest.raises(HfHubHTTPError) as stale:
        api.create_commit(
            "me/d", [add("a.txt", b"x")], commit_message="m", repo_type="dataset", parent_commit=start
        )
    assert stale.value.response.status_code == 412
    api.create_branch("me/d", branch="dev", revision=start, repo_type="dataset")
    api.create_tag("me/d", tag="v1", repo_type="dataset")
    request = api.create_commit(
        "me/d", [CommitOperationDelete("sub/")], commit_message="less", repo_type="dataset", create_pr=True
    )
    assert (request.pr_revision, request.pr_num) == ("refs/pr/1", 1)
    assert sorted(repo.files()) == ["a.txt", "sub/b.bin"]
    assert sorted(repo.files("refs/pr/1")) == ["a.txt"]
    assert repo.files("dev") == {}
    assert api.get_discussion_details("me/d", 1, repo_type="dataset").title == "less"
    refs = list_repo_refs("me/d", repo_type="dataset", include_pull_requests=True)
    assert [ref.name for ref in (*refs.branches, *refs.tags)] == ["main", "dev", "v1"]
    assert refs.pull_requests[0].ref == "refs/pr/1"
    history = list_repo_commits("me/d", repo_type="dataset")
    assert [commit.title for commit in history] == ["first", "initial commit"]
    server.page_size = 1
    tree = api.list_repo_tree("me/d", repo_type="dataset", recursive=True)
    assert [entry.path for entry in tree] == [".gitattributes", "a.txt", "sub", "sub/b.bin"]
    found = api.get_paths_info("me/d", ["sub/b.bin", "sub", "missing"], repo_type="dataset")
    assert found[0].lfs.sha256 == hashlib.sha256(BINARY).hexdigest()
    assert [entry.path for entry in found] == ["sub/b.bin", "sub"]
    assert server.unexpected == []


@pytest.mark.usefixtures("waits")
def test_repositories_made_by_the_test(server, tmp_path):
    readme = "---\nlicense: mit\ntags: [a]\n---\n"
    repo = server.add_repo("dataset", "other/d", {"d.py": "code", "README.md": readme})
    converted = repo.commit({"c/train/0000.parquet": BINARY}, revision=PARQUET_REF)
    api = api_of(server, None)
    info = api.dataset_info("other/d")
    assert (info.sha, info.card_data.license, info.tags) == (repo.head, "mit", ["license:mit", "a"])
    assert api.dataset_info("other/d", revision=PARQUET_REF).sha == converted
    file = hf_hub_download("other/d", "c/train/0000.parquet", revision=PARQUET_REF, repo_type="dataset")
    assert Path(file).read_bytes() == BINARY
    assert sorted(repo.files(PARQUET_REF)) == ["c/train/0000.parquet"]


@pytest.mark.usefixtures("waits")
def test_who_may_see_and_write_what(server):
    server.add_repo("dataset", "me/d", {"a.txt": "a"})
    server.add_repo("dataset", "lab/d", {"a.txt": "a"}, private=True)

    def refused(kind: type[Exception], status: int, token: str | None, ask) -> str:
        with pytest.raises(kind) as error:
            ask(api_of(server, token))
        assert error.value.response.status_code == status
        return str(error.value)

    def commit(repo_id: str, **options):
        return lambda api: api.create_commit(
            repo_id, [add("b.txt", b"b")], commit_message="m", repo_type="dataset", **options
        )

    invalid = "Invalid credentials in Authorization header"
    assert invalid in refused(HfHubHTTPError, 401, "invalid", lambda api: api.dataset_info("me/d"))
    refused(RepositoryNotFoundError, 404, "write", lambda api: api.dataset_info("me/none"))
    refused(RepositoryNotFoundError, 401, None, lambda api: api.dataset_info("me/none"))
    assert api_of(server).dataset_info("lab/d").private
    refused(RepositoryNotFoundError, 404, "other", lambda api: api.dataset_info("lab/d"))
    refused(RepositoryNotFoundError, 401, None, lambda api: api.dataset_info("lab/d"))
    server.repo("dataset", "lab/d").readers.add("other")
    assert api_of(server, "other").dataset_info("lab/d").private
    refused(RevisionNotFoundError, 404, "write", lambda api: api.dataset_info("me/d", revision="v9"))
    missing = refused(
        RemoteEntryNotFoundError,
        404,
        "write",
        lambda api: api.hf_hub_download("me/d", "none", repo_type="dataset"),
    )
    assert "Entry Not Found" in missing

    assert "You must use a write token" in refused(HfHubHTTPError, 403, "read", commit("me/d"))
    refused(HfHubHTTPError, 403, "other", commit("me/d"))
    refused(HfHubHTTPError, 403, "write", commit("lab/d"))
    assert commit("me/d", create_pr=True)(api_of(server, "other")).pr_num == 1
    refused(HfHubHTTPError, 403, "read", commit("me/d", create_pr=True))
    commit("me/d")(api_of(server, "fine"))
    for token, repo_id in (("write", "other/x"), ("write", "nobody/x"), ("read", "me/x"), ("fine", "acme/x")):
        refused(HfHubHTTPError, 403, token, lambda api, name=repo_id: api.create_repo(name))
    refused(HfHubHTTPError, 401, "invalid", lambda api: api.create_repo("me/x"))
    refused(HfHubHTTPError, 409, "write", lambda api: api.create_repo("me/d", repo_type="dataset"))
    assert list(server.repos) == [("dataset", "me/d"), ("dataset", "lab/d")]
    assert server.unexpected == []


def test_a_strange_request_is_noted(server):
    assert raw(server, "GET", "/api/surprise")[0] == 404
    assert server.unexpected == ["GET /api/surprise"]


@pytest.mark.parametrize(
    ("kind", "card", "message"),
    [
        ("dataset", "- a list", "metadata must be an object"),
        ("dataset", "a: [", "YAML"),
        ("dataset", "a: 1\na: 2", "duplicated mapping key"),
        ("dataset", "license: my-own", '"license" must be one of'),
        ("dataset", "license: other\nlicense_name: Two Words", '"license_name" must be a lower-case'),
        ("dataset", "tags: news", '"tags" must be an array'),
        ("dataset", "language: [zh-CN]", '"language.0." with value "zh-CN" is not valid'),
        ("dataset", "pretty_name: 3", '"pretty_name" must be a string'),
        ("dataset", "size_categories: [few]", '"size_categories" must be among'),
        ("dataset", "configs: {config_name: a}", '"configs" must be an array'),
        ("dataset", "configs: [{config_name: a}, {config_name: a}]", '"configs" contains duplicates: a'),
        ("dataset", "configs: [{config_name: 1}]", '"configs.0..config_name" must be a string'),
        (
            "dataset",
            "configs: [{config_name: a, data_files: [{path: x}]}]",
            "must be paths, or objects with split and path",
        ),
        (
            "dataset",
            "configs: [{config_name: a, data_files: [{split: a-b, path: x}]}]",
            "has an invalid split name 'a-b'",
        ),
        (
            "dataset",
            "configs: [{config_name: a, default: true}, {config_name: b, default: true}]",
            "more than one default",
        ),
        ("dataset", "dataset_info: [{config_name: a}, {features: []}]", '"dataset_info.1..config_name"'),
        ("model", "base_model: [a/b/c]", '"base_model" with value'),
        ("model", "model-index: [{results: []}]", '"model-index...name" must be a string'),
        ("model", "model-index: [{name: a, results: [{task: {}}]}]", "task.type"),
        ("space", "sdk: shiny", '"sdk" must be one of'),
        ("space", "colorFrom: black", '"colorFrom" must be one of'),
    ],
)
@pytest.mark.usefixtures("waits")
def test_a_readme_with_bad_metadata_is_refused(server, kind, card, message):
    repo = server.add_repo(kind, "me/r", sdk="static")
    readme = f"---\n{card}\n---\n# Title\n"
    with pytest.raises(ValueError, match=message):
        api_of(server).create_commit(
            "me/r", [add("README.md", readme.encode())], commit_message="m", repo_type=kind
        )
    # The commit itself is refused too, whatever the client checked before.
    status, answer = raw_commit(server, ("file", _file("README.md", readme)), path=f"{kind}s/me/r")
    assert (status, repo.files()) == (400, {})
    assert re.search(message, json.loads(answer)["errors"][0]["message"])


def _file(path: str, text: str) -> dict[str, str]:
    return {"path": path, "content": base64.b64encode(text.encode()).decode(), "encoding": "base64"}


@pytest.mark.usefixtures("waits")
def test_a_readme_with_good_metadata_is_taken(server):
    server.add_repo("dataset", "me/r")
    card = "license: other\nlicense_name: terms-of-the-sources\nlicense_link: LICENSE\nlanguage: [zh, en]"
    configs = "configs: [{config_name: a, data_files: [{split: train, path: a/*}]}, {config_name: b, default: true}]"
    content = f"---\n{card}\n{configs}\n---\n# Title\n"
    api_of(server).create_commit(
        "me/r", [add("README.md", content.encode())], commit_message="m", repo_type="dataset"
    )
    repo = server.repo("dataset", "me/r")
    assert repo.files() == {"README.md": content.encode()}
    card = DatasetCard(content)
    card.data["license_name"] = "my-terms"
    card.push_to_hub("me/r", token=server.tokens["write"])
    assert b"license_name: my-terms" in repo.files()["README.md"]


def test_what_no_client_sends_is_refused(server):
    repo = server.add_repo("dataset", "me/d", {"a.txt": "a", "sub/b.txt": "b"})
    digest = hashlib.sha256(BINARY).hexdigest()
    large = {"path": "x.bin", "algo": "sha256", "oid": digest, "size": len(BINARY)}
    before = repo.head
    assert raw_commit(server, ("lfsFile", large))[0] == 400
    assert raw_commit(server, ("deletedFile", {"path": "none"}))[0] == 404
    assert raw_commit(server, ("deletedFolder", {"path": "none/"}))[0] == 404
    for path in ("../a", "/a", "a//b", "a/./b", ".git/config", "a\\b", "a.txt/b"):
        assert raw_commit(server, ("file", _file(path, "a")))[0] == 400, path
    assert raw_commit(server, ("file", _file("x.bin", "binary")))[0] == 400
    assert raw_commit(server, ("file", {**_file("x", "a"), "content": "%%"}))[0] == 400
    assert raw_commit(server, ("file", _file("x", "a")), ("deletedFile", {"path": "x"}))[0] == 400
    assert raw_commit(server, ("strange", {"path": "x"}))[0] == 400
    assert raw(server, "POST", "/api/datasets/me/d/commit/main", b"{}")[0] == 400
    for name in ("a b", "-a", "a--b", "a..b", "a.git", ""):
        asked = json.dumps({"name": name, "type": "dataset"}).encode()
        assert raw(server, "POST", "/api/repos/create", asked)[0] == 400, name
    assert raw(server, "POST", "/api/datasets/me/d/paths-info/main", b'{"paths": ["a.txt"]}')[0] == 400
    assert repo.head == before

    batch = {"operation": "upload", "objects": [{"oid": digest, "size": len(BINARY)}]}
    status, answer = raw(
        server, "POST", "/datasets/me/d.git/info/lfs/objects/batch", json.dumps(batch).encode()
    )
    href = json.loads(answer)["objects"][0]["actions"]["upload"]["href"]
    assert (status, href.startswith(server.cdn_url)) == (200, True)

    def put(body: bytes, path: str = href, **headers: str) -> int:
        return httpx.put(path, content=body, headers=headers).status_code

    assert put(BINARY[:-1]) == 400
    assert put(BINARY[:-1] + b"?") == 400
    assert put(BINARY, f"{server.cdn_url}/upload/forged") == 403
    assert put(BINARY, Authorization=f"Bearer {server.tokens['write']}") == 400
    assert httpx.put(href, content=iter([BINARY])).status_code == 411
    assert repo.blobs == {}
    assert put(BINARY) == 200
    assert raw_commit(server, ("lfsFile", {**large, "size": 1}))[0] == 400
    assert raw_commit(server, ("lfsFile", large))[0] == 200
    assert repo.files()["x.bin"] == BINARY


def test_ranges(server):
    server.add_repo("model", "me/m", {"a.txt": "0123456789"})

    def part(text: str) -> tuple[int, str]:
        return raw(server, "GET", "/me/m/resolve/main/a.txt", Range=text)

    assert part("bytes=2-4") == (206, "234")
    assert part("bytes=7-") == (206, "789")
    assert part("bytes=-2") == (206, "89")
    assert part("bytes=0-99") == (206, "0123456789")
    assert part("bytes=10-")[0] == 416
    assert raw(server, "HEAD", "/me/m/resolve/main/a.txt") == (200, "")


def test_faults_of_an_upload(server, waits):
    server.add_repo("dataset", "me/d")
    api = api_of(server)

    def commit(content: bytes):
        return api.create_commit("me/d", [add("w.bin", content)], commit_message="m", repo_type="dataset")

    server.fail("/preupload/", status=429, headers={"Retry-After": "7"})
    server.fail("/upload/", drop_after=1000)
    server.fail("/upload/", method="PUT", status=503)
    commit(BINARY)
    assert waits == [8.0, 1.0, 2.0]
    assert [(r.body, r.status) for r in server.requests("/upload/")] == [(1000, 0), (2000, 503), (2000, 200)]

    repo = server.repo("dataset", "me/d")
    before = repo.head
    server.fail("/commit/", status=500)
    with pytest.raises(HfHubHTTPError, match="500"):
        commit(b"\0second")
    assert repo.head == before
    server.fail("/commit/", status=500, after=True)
    with pytest.raises(HfHubHTTPError, match="500"):
        commit(b"\0third")
    assert repo.files()["w.bin"] == b"\0third"
    server.fail("/commit/", drop_after=0, after=True)
    with pytest.raises(httpx.HTTPError):
        commit(b"\0fourth")
    assert repo.files()["w.bin"] == b"\0fourth"
    head = repo.head
    server.fail("/commit/", drop_after=10)
    with pytest.raises(httpx.HTTPError):
        commit(b"\0fifth")
    assert repo.head == head
    server.fail("/api/", times=-1, status=403, body=b"{}", headers={"X-Error-Message": "closed today"})
    for _ in range(2):
        with pytest.raises(HfHubHTTPError, match="closed today"):
            api.dataset_info("me/d")
    server.faults.clear()
    assert api.dataset_info("me/d").sha == head


def test_faults_of_a_download(server, waits, monkeypatch):
    content = bytes(range(256)) * 4000
    server.add_repo("model", "me/m", {"w.bin": content, "a.json": '{"a": 1}'})
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    server.fail("/blob/", drop_after=350_000, in_order=True, times=2, skip=1)
    for force in (False, True):
        assert Path(hf_hub_download("me/m", "w.bin", force_download=force)).read_bytes() == content
    assert [r.status for r in server.requests("/blob/", origin="cdn")] == [200, 200, 206, 206]
    assert waits == [1, 1]
    server.fail("/blob/", drop_after=350_000)
    with pytest.raises(httpx.ReadError):
        hf_hub_download("me/m", "w.bin", force_download=True)
    server.fail("a.json", method="GET", body=b"{", status=200)
    with pytest.raises(OSError, match="should be of size 8 but has size 1"):
        hf_hub_download("me/m", "a.json")
    started = time.monotonic()
    server.fail("/api/models", delay=0.3)
    assert HfApi().model_info("me/m").id == "me/m"
    assert time.monotonic() - started >= 0.3
    server.fail("/api/models", hang=True)
    with pytest.raises(httpx.TimeoutException):
        HfApi().model_info("me/m", timeout=0.2)


@pytest.mark.usefixtures("waits")
def test_bad_requests_are_told_by_their_class(server):
    server.add_repo("model", "me/m")
    server.fail("/preupload/", status=400)
    with pytest.raises(BadRequestError):
        api_of(server).create_commit("me/m", [add("a", b"a")], commit_message="m")
