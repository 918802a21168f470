"""Answers about files: listing, uploading, committing, downloading."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hub_server.cards import check_card
from hub_server.handler import Answer, Request, ranged
from hub_server.routing import card_refusal, check_access, check_gate, repo_route
from hub_server.state import Commit, Refusal, Repo, StoredFile, check_paths, upload_mode

if TYPE_CHECKING:
    from hub_server.server import HubServer

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


def _entries(commit: Commit) -> dict[str, dict[str, Any]]:
    """Return the listing of all files and folders of a commit."""
    entries: dict[str, dict[str, Any]] = {}
    for path, file in commit.files.items():
        parts = path.split("/")
        for end in range(1, len(parts)):
            folder = "/".join(parts[:end])
            oid = hashlib.sha1(folder.encode()).hexdigest()
            entries[folder] = {"type": "directory", "path": folder, "size": 0, "oid": oid}
        entries[path] = file.entry(path)
    return dict(sorted(entries.items()))


def _expanded(entry: dict[str, Any], commit: Commit) -> dict[str, Any]:
    last = {"id": commit.sha, "title": commit.title, "date": commit.date}
    return {**entry, "lastCommit": last}


@repo_route("GET", "/tree/(?P<rev>[^/]+)(?:/(?P<folder>.+))?")
def tree(hub: HubServer, repo: Repo, request: Request, rev: str, folder: str) -> Answer:
    commit = repo.resolve(rev)
    entries = _entries(commit)
    if folder and entries.get(folder, {}).get("type") != "directory":
        raise Refusal(404, f"{folder} does not exist on {rev!r}", "EntryNotFound")
    head = f"{folder}/" if folder else ""
    below = [entry for path, entry in entries.items() if path.startswith(head)]
    if not request.flag("recursive"):
        below = [entry for entry in below if "/" not in entry["path"][len(head) :]]
    start = int(request.query.get("cursor", ["0"])[0])
    page = below[start : start + hub.page_size]
    if request.flag("expand"):
        page = [_expanded(entry, commit) for entry in page]
    headers = {}
    if start + hub.page_size < len(below):
        kept = [
            f"{name}={value}"
            for name, values in request.query.items()
            for value in values
            if name != "cursor"
        ]
        query = "&".join([*kept, f"cursor={start + hub.page_size}"])
        headers["Link"] = f'<{hub.url}{request.path}?{query}>; rel="next"'
    return Answer.of(page, **headers)


@repo_route("POST", "/paths-info/(?P<rev>.+)")
def paths_info(hub: HubServer, repo: Repo, request: Request, rev: str) -> Answer:
    commit = repo.resolve(rev)
    form = request.form()
    entries = _entries(commit)
    found = [entries[path] for path in form.get("paths", []) if path in entries]
    if form.get("expand", ["false"])[0].lower() == "true":
        found = [_expanded(entry, commit) for entry in found]
    return Answer.of(found)


def _ref_to_write(repo: Repo, request: Request, rev: str) -> str:
    """Return the full name of the branch or pull request that is to be committed to."""
    ref = repo.ref_of(rev)
    if ref is None:
        raise Refusal(404, f"Invalid rev id: {rev}", "RevisionNotFound")
    number = re.fullmatch(r"refs/pr/(\d+)", ref)
    own = number is not None and request.token is not None
    own = own and repo.discussions[int(number[1])].author == request.token.user.name
    if not own:
        check_access(repo, request.token, "contribute" if request.flag("create_pr") else "write")
    return ref


@repo_route("POST", "/preupload/(?P<rev>.+)", access="contribute")
def preupload(hub: HubServer, repo: Repo, request: Request, rev: str) -> Answer:
    ref = _ref_to_write(repo, request, rev)
    asked = request.json().get("files")
    if not isinstance(asked, list) or not 0 < len(asked) <= 256:
        raise Refusal(400, "Expected 1 to 256 files")
    check_paths(file.get("path", "") for file in asked)
    known = repo.resolve(ref).files
    answers = []
    for file in asked:
        mode = upload_mode(file["path"], base64.b64decode(file["sample"]), file["size"])
        answer = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
        if file["path"] in known:
            answer["oid"] = known[file["path"]].etag
        answers.append(answer)
    return Answer.of({"files": answers})


@repo_route("POST", r"\.git/info/lfs/objects/batch", access="contribute")
def lfs_batch(hub: HubServer, repo: Repo, request: Request) -> Answer:
    asked = request.json()
    objects = asked.get("objects")
    if asked.get("operation") != "upload" or asked.get("hash_algo", "sha256") != "sha256":
        raise Refusal(422, "Only uploads with sha256 are supported")
    if not isinstance(objects, list) or not objects or "basic" not in asked.get("transfers", ["basic"]):
        raise Refusal(422, "Expected objects, and the basic transfer")
    answers = []
    for item in objects:
        oid, size = item.get("oid", ""), item.get("size")
        if not _SHA256.fullmatch(oid) or not isinstance(size, int) or size < 0:
            answers.append({"oid": oid, "size": size, "error": {"code": 422, "message": "Invalid object"}})
            continue
        answer: dict[str, Any] = {"oid": oid, "size": size}
        if oid not in repo.blobs:
            grant = hub.grant(repo, oid, size)
            verify = f"{hub.url}/{repo.prefix}{repo.repo_id}.git/info/lfs/verify"
            answer["actions"] = {
                "upload": {"href": f"{hub.cdn_url}/upload/{grant}"},
                "verify": {"href": verify},
            }
        answers.append(answer)
    return Answer.of({"transfer": "basic", "objects": answers})


@repo_route("POST", r"\.git/info/lfs/verify", access="contribute")
def lfs_verify(hub: HubServer, repo: Repo, request: Request) -> Answer:
    asked = request.json()
    blob = repo.blobs.get(asked.get("oid", ""))
    if blob is None or len(blob) != asked.get("size"):
        raise Refusal(404, f"Object {asked.get('oid')} was not uploaded")
    return Answer.of({})


def storage(hub: HubServer, request: Request) -> Answer:
    """Answer for the storage: only whom the Hub sent here, and without a token."""
    found = re.fullmatch("/(upload|blob)/([^/]+)", request.path)
    granted = hub.grants.get(found[2]) if found else None
    if "Authorization" in request.headers or "authorization" in request.headers:
        raise Refusal(400, "Only one auth mechanism allowed: the token must not be sent to the storage")
    if found is None or granted is None:
        raise Refusal(403, "Request signature is wrong")
    repo, oid, size = granted
    if found[1] == "upload" and request.method == "PUT":
        digest = hashlib.sha256(request.body).hexdigest()
        if len(request.body) != size or digest != oid:
            raise Refusal(400, f"Expected {size} bytes of sha256 {oid}, got {len(request.body)} of {digest}")
        repo.blobs[oid] = request.body
        return Answer(200, b"", {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'})
    if found[1] == "blob" and request.method in ("GET", "HEAD"):
        data = repo.blobs[oid]
        return ranged(data, request, {"ETag": f'"{hashlib.md5(data).hexdigest()}"'})
    raise Refusal(405, "Method not allowed")


@dataclass
class _Changes:
    """The lines of a commit."""

    title: str
    message: str
    parent: str | None
    files: dict[str, StoredFile] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)


def _read_changes(repo: Repo, request: Request, known: dict[str, StoredFile]) -> _Changes:
    if not request.headers.get("Content-Type", "").startswith("application/x-ndjson"):
        raise Refusal(400, "Expected application/x-ndjson")
    try:
        lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
    except ValueError as error:
        raise Refusal(400, f"Invalid ndjson: {error}") from None
    if not lines or lines[0].get("key") != "header" or not lines[0]["value"].get("summary", "").strip():
        raise Refusal(400, "Expected a header with a summary")
    header = lines[0]["value"]
    changes = _Changes(header["summary"], header.get("description", ""), header.get("parentCommit"))
    if changes.parent is not None and not _SHA1.fullmatch(changes.parent):
        raise Refusal(400, "parentCommit must be a commit id")
    for line in lines[1:]:
        key, value = line.get("key"), line.get("value", {})
        path = value.get("path", "").removesuffix("/") if key == "deletedFolder" else value.get("path", "")
        if path in changes.files or path in changes.deleted:
            raise Refusal(400, f"Duplicate operation on {path!r}")
        check_paths([path])
        if key in ("file", "lfsFile"):
            changes.files[path] = _regular(path, value) if key == "file" else _large(repo, value)
        elif key in ("deletedFile", "deletedFolder"):
            gone = {path} if key == "deletedFile" else {name for name in known if name.startswith(f"{path}/")}
            if not gone or not gone <= set(known):
                raise Refusal(404, f"{path} does not exist: it cannot be deleted", "EntryNotFound")
            changes.deleted |= gone
        else:
            raise Refusal(400, f"Unknown operation {key!r}")
    return changes


def _regular(path: str, value: dict[str, Any]) -> StoredFile:
    if value.get("encoding") != "base64":
        raise Refusal(400, "Expected base64")
    try:
        data = base64.b64decode(value.get("content", ""), validate=True)
    except binascii.Error as error:
        raise Refusal(400, f"{path}: invalid base64: {error}") from None
    if upload_mode(path, data, len(data)) == "lfs":
        raise Refusal(400, f"{path}: binary and large files must be sent as LFS files")
    return StoredFile(data)


def _large(repo: Repo, value: dict[str, Any]) -> StoredFile:
    blob = repo.blobs.get(value.get("oid", ""))
    if value.get("algo") != "sha256" or blob is None:
        raise Refusal(400, f"LFS pointer of {value.get('path')} pointed to a file that does not exist")
    if value.get("size", len(blob)) != len(blob):
        raise Refusal(400, f"LFS pointer of {value.get('path')} has a wrong size")
    return StoredFile(blob, lfs=True)


@repo_route("POST", "/commit/(?P<rev>.+)", access="contribute")
def commit(hub: HubServer, repo: Repo, request: Request, rev: str) -> Answer:
    ref = _ref_to_write(repo, request, rev)
    known = dict(repo.resolve(ref).files)
    changes = _read_changes(repo, request, known)
    if changes.parent is not None and changes.parent != repo.refs[ref]:
        raise Refusal(412, "A commit has happened since. Please refresh and try again.")
    after = {path: file for path, file in known.items() if path not in changes.deleted} | changes.files
    check_paths(after)
    if "README.md" in changes.files:
        errors, _ = check_card(changes.files["README.md"].data.decode("utf-8", "replace"), repo.kind)
        if errors:
            raise card_refusal(errors)
    author = request.token.user.name if request.token else ""
    page = f"{hub.url}/{repo.prefix}{repo.repo_id}"
    extra = {}
    if request.flag("create_pr"):
        opened = repo.new_discussion(changes.title, author, pull_request=True, status="open")
        repo.refs[opened.ref] = repo.refs[ref]
        ref = opened.ref
        extra["pullRequestUrl"] = f"{page}/discussions/{opened.number}"
    made = repo.advance(ref, after, (changes.title, changes.message), author)
    return Answer.of(
        {
            "success": True,
            "commitOid": made.sha,
            "commitUrl": f"{page}/commit/{made.sha}",
            "hookOutput": "",
            **extra,
        }
    )


@repo_route("GET", "/resolve/(?P<rev>refs/(?:pr|convert)/[^/]+|[^/]+)/(?P<path>.+)")
def resolve(hub: HubServer, repo: Repo, request: Request, rev: str, path: str) -> Answer:
    check_gate(repo, request.token)
    found = repo.resolve(rev)
    headers = {"X-Repo-Commit": found.sha}
    file = found.files.get(path)
    if file is None:
        error = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
        return Answer(404, b"Entry not found", headers | error)
    if not file.lfs:
        name = quote(path.rpartition("/")[2])
        headers |= {"ETag": f'"{file.etag}"', "Content-Disposition": f'inline; filename="{name}"'}
        return ranged(file.data, request, headers)
    grant = hub.grant(repo, file.sha256, len(file.data))
    headers |= {
        "X-Linked-Etag": f'"{file.sha256}"',
        "X-Linked-Size": str(len(file.data)),
        "ETag": f'"{file.oid}"',
        "Location": f"{hub.cdn_url}/blob/{grant}",
    }
    return Answer(302, b"Found. Redirecting", headers)
