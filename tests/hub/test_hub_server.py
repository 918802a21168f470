"""The Hub of the tests, driven by the unmodified clients: what it takes, what it refuses, how it fails on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, load_dataset
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    snapshot_download,
)
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx

from hub_server import HubServer, Waits, clients_inside

BINARY = b"\0\1\2\3" * 500


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running
        assert running.unexpected == []


@pytest.fixture(autouse=True)
def waits(server: HubServer, tmp_path: Path) -> Iterator[Waits]:
    """The clients of this process talk to the server; nobody is logged in."""
    with clients_inside(server, tmp_path) as waited:
        yield waited


def send(server: HubServer, files: dict[str, bytes], token: str = "write", **options):
    """Commit files to the dataset me/d."""
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    api = HfApi(token=server.tokens[token])
    return api.create_commit("me/d", operations, commit_message="m", repo_type="dataset", **options)


def test_datasets_make_the_round_trip(server):
    token = server.tokens["write"]
    features = Features({"tokens": List(Value("string")), "tags": List(ClassLabel(names=["O", "B-x"]))})

    def rows(word: str) -> Dataset:
        return Dataset.from_dict({"tokens": [[word, "b"]], "tags": [[1, 0]]}, features=features)

    first = DatasetDict(train=rows("a"), test=rows("z")).push_to_hub("acme/d", private=True, token=token)
    HfApi(token=token).create_tag("acme/d", tag="v1", repo_type="dataset")
    DatasetDict(train=rows("new"), test=rows("z")).push_to_hub("acme/d", token=token)
    loaded = load_dataset("acme/d", token=token)["train"]
    assert (loaded[0], loaded.features) == ({"tokens": ["new", "b"], "tags": [1, 0]}, features)
    for revision in (first.oid, "v1"):
        assert load_dataset("acme/d", revision=revision, token=token)["train"][0]["tokens"] == ["a", "b"]
    streamed = load_dataset("acme/d", revision="v1", streaming=True, token=token)["train"]
    assert list(streamed) == [{"tokens": ["a", "b"], "tags": [1, 0]}]
    folder = snapshot_download("acme/d", repo_type="dataset", revision="v1", token=token)
    assert sorted(path.name for path in Path(folder).iterdir()) == [".gitattributes", "README.md", "data"]
    repo = server.repo("dataset", "acme/d")
    assert (repo.private, repo.tags, len(repo.commits)) == (True, {"v1": first.oid}, 3)
    # The unchanged test split was not sent again, and the token not to the storage.
    uploads = server.requests("/upload/", "PUT", "cdn")
    assert (len(uploads), {request.user for request in uploads}) == (3, {""})


def test_commits_branches_and_pull_requests(server):
    api = HfApi(token=server.tokens["write"])
    assert api.whoami()["name"] == "me"
    assert api.create_repo("d", repo_type="dataset") == f"{server.url}/datasets/me/d"
    api.create_repo("me/d", repo_type="dataset", exist_ok=True)
    repo = server.repo("dataset", "me/d")
    start, content = repo.head, {"a.txt": b"text", "sub/b.bin": BINARY}
    made = send(server, content)
    assert (repo.head, repo.commits[0].parent, repo.files()) == (made.oid, start, content)
    assert [len(upload.body) for upload in server.requests("/upload/")] == [2000]
    send(server, content)
    assert (len(server.requests("/upload/")), repo.head) == (1, made.oid)
    with pytest.raises(HfHubHTTPError, match="412"):
        send(server, {"a.txt": b"x"}, parent_commit=start)
    api.create_branch("me/d", branch="dev", revision=start, repo_type="dataset")
    less = [CommitOperationDelete("sub/")]
    request = api.create_commit("me/d", less, commit_message="less", repo_type="dataset", create_pr=True)
    assert (request.pr_revision, repo.files("dev")) == ("refs/pr/1", {})
    assert [sorted(repo.files(name)) for name in ("main", "refs/pr/1")] == [["a.txt", "sub/b.bin"], ["a.txt"]]
    assert [ref.name for ref in api.list_repo_refs("me/d", repo_type="dataset").branches] == ["main", "dev"]
    tree = api.list_repo_tree("me/d", repo_type="dataset", recursive=True)
    assert [entry.path for entry in tree] == [".gitattributes", "a.txt", "sub", "sub/b.bin"]
    paths = api.get_paths_info("me/d", ["sub/b.bin", "sub", "missing"], repo_type="dataset")
    assert [entry.path for entry in paths] == ["sub/b.bin", "sub"]


def test_who_may_see_and_write_what(server):
    server.add_repo("dataset", "me/d")
    server.add_repo("dataset", "lab/d", private=True)

    def status(call, token: str | None) -> int:
        try:
            call(HfApi(token=server.tokens[token] if token else False))
        except HfHubHTTPError as error:
            return error.response.status_code
        return 200

    def asked(api):
        api.dataset_info("lab/d")

    def created(api):
        api.create_repo("acme/x")

    tokens = ("write", "read", "fine", "other", "invalid", None)
    assert [status(asked, token) for token in tokens] == [200, 200, 200, 404, 401, 401]
    assert [status(created, token) for token in tokens] == [200, 403, 403, 403, 401, 403]
    assert list(server.repos)[2:] == [("model", "acme/x")]
    for token, expected in (("write", 200), ("fine", 200), ("read", 403), ("other", 403)):
        assert status(lambda _, name=token: send(server, {"b": b"b"}, name), None) == expected
    assert send(server, {"c": b"c"}, "other", create_pr=True).pr_num == 1


def test_faults(server, waits):
    repo = server.add_repo("dataset", "me/d")
    server.fail("/preupload/", status=429, headers={"Retry-After": "7"})
    server.fail("/upload/", drop_after=1000)
    server.fail("/upload/", method="PUT", status=503)
    send(server, {"w.bin": BINARY})
    assert waits == [8.0, 1.0, 2.0]
    uploads = server.requests("/upload/")
    assert [(len(r.body), r.status) for r in uploads] == [(1000, 0), (2000, 503), (2000, 200)]
    for fault, error, applied in (
        ({"status": 500}, HfHubHTTPError, False),
        ({"status": 500, "after": True}, HfHubHTTPError, True),
        ({"drop_after": 0, "after": True}, httpx.HTTPError, True),
        ({"drop_after": 10}, httpx.HTTPError, False),
    ):
        before = repo.head
        server.fail("/commit/", **fault)
        with pytest.raises(error):
            send(server, {"w.bin": b"\0" + repr(fault).encode()})
        assert (repo.head != before) == applied
    server.fail("/api/", times=-1, status=403, body=b"{}", headers={"X-Error-Message": "closed today"})
    with pytest.raises(HfHubHTTPError, match="closed today"):
        HfApi().dataset_info("me/d")
    server.faults.clear()
    server.fail("/api/datasets", hang=True)
    with pytest.raises(httpx.TimeoutException):
        HfApi().dataset_info("me/d", timeout=0.2)
