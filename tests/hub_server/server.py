"""The Hub as tests see it: people, repositories, faults on demand, and the answers to what clients ask."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote

import yaml

from hub_server.repository import (
    DATE,
    Refusal,
    Repo,
    StoredFile,
    card_errors,
    read_card,
    upload_mode,
)

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_ID = r"(?P<id>[^/]+/[^/]+?)"
_API = re.compile(rf"/api/(?P<kinds>models|datasets|spaces)/{_ID}(?P<tail>/.*)?")
_PAGE = re.compile(rf"/(?:(?P<kinds>datasets|spaces)/)?{_ID}(?P<tail>\.git/.*|/resolve/.*)")


@dataclass
class Fault:
    """What goes wrong with some requests. The first fault that fits a request takes it."""

    path: str = ""  # regular expression that is searched for in the raw path with its query
    method: str = ""  # GET, PUT …; any if empty
    status: int = 0  # of the answer instead of the proper one
    body: bytes | None = None  # of that answer, or instead of the proper body
    headers: Mapping[str, str] = field(default_factory=dict)  # added to the answer
    times: int = 1  # how many requests fail; -1 is all of them
    hang: bool = False  # never answer
    # Reset the connection after so many bytes of the request's body if it has one, else, and with ``after``, of the
    # answer's, of which 0 lets not even the head through.
    drop_after: int | None = None
    after: bool = False  # first do what was asked, then answer the error or drop the connection


@dataclass
class Request:
    """One request as the log has it: ``status`` is 0 until it is answered, ``origin`` is ``hub`` or ``cdn``."""

    method: str
    path: str
    origin: str
    headers: Mapping[str, str]
    body: bytes = b""
    status: int = 0
    user: str = ""

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.path.partition("?")[2], keep_blank_values=True)

    def flag(self, name: str) -> bool:
        return self.query.get(name, ["0"])[0].lower() in ("1", "true")


@dataclass
class Answer:
    """Status, body (anything but bytes is sent as JSON) and headers."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class _DroppedError(Exception):
    """The connection is to be closed."""


class HubServer:
    """A Hub on loopback, alive within ``with HubServer() as hub``.

    The user ``me`` writes to the organisation ``acme`` and reads ``lab``; ``other`` belongs to none.

    Attributes:
        tokens: of ``me``: ``write``, ``read`` and ``fine`` (fine-grained, for ``me`` alone); ``other``; ``invalid``.
        repos: the repositories, by kind and id.
        log: every request that arrived, of both ports.
        unexpected: requests that the server does not know; a test can assert that there are none.
    """

    def __init__(self) -> None:
        self.tokens = {name: f"hf_{name}0000secret" for name in ("write", "read", "fine", "other", "invalid")}
        self.known_tokens = {text: name for name, text in self.tokens.items() if name != "invalid"}
        self.reset()
        self.lock, self.closing = threading.RLock(), threading.Event()
        # Large files lie on another origin: clients follow a redirect within one and miss the Hub's headers.
        self._origins = [_Origin(self, name) for name in ("hub", "cdn")]
        self.url, self.cdn_url = (f"http://127.0.0.1:{origin.server_address[1]}" for origin in self._origins)

    def __enter__(self) -> Self:
        for origin in self._origins:
            threading.Thread(target=origin.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        for origin in self._origins:
            origin.shutdown()
            origin.server_close()

    def reset(self) -> None:
        """Forget everything but the addresses and the tokens."""
        self.repos: dict[tuple[str, str], Repo] = {}
        self.grants: dict[str, tuple[Repo, str, int]] = {}
        self.faults: list[Fault] = []
        self.log: list[Request] = []
        self.unexpected: list[str] = []

    def add_repo(
        self, kind: str, repo_id: str, files: Mapping[str, bytes | str] | None = None, **options: Any
    ) -> Repo:
        """Add a repository, with files if there are any; change it with :meth:`Repo.commit`."""
        repo = self.repos[kind, repo_id] = Repo(kind, repo_id, **options)
        if files:
            repo.commit(files)
        return repo

    def repo(self, kind: str, repo_id: str) -> Repo:
        """Return a repository; ``KeyError`` if there is none."""
        return self.repos[kind, repo_id]

    def fail(self, path: str = "", **fault: Any) -> None:
        """Let requests fail: see :class:`Fault`."""
        self.faults.append(Fault(path, **fault))

    def requests(self, path: str = "", method: str = "", origin: str = "") -> list[Request]:
        """Return the logged requests whose path has a match of a regular expression."""
        wanted = ((method, "method"), (origin, "origin"))
        found = (request for request in self.log if re.search(path, request.path))
        return [r for r in found if all(value in ("", getattr(r, name)) for value, name in wanted)]

    def fault_of(self, request: Request) -> Fault:
        """Return the fault of a request, counting it."""
        with self.lock:
            for fault in self.faults:
                fits = fault.method in ("", request.method) and re.search(fault.path, request.path)
                if fits and fault.times:
                    fault.times -= 1
                    return fault
        return Fault()

    def grant(self, repo: Repo, oid: str, size: int) -> str:
        """Return a signature that lets one object of a repository be sent or fetched."""
        signature = f"{len(self.grants):06}-{oid[:12]}"
        self.grants[signature] = (repo, oid, size)
        return signature

    # Who may do what. A token is its name among ``tokens``; ``None`` is nobody.

    def respond(self, request: Request) -> Answer:
        """Answer a request, or raise a refusal."""
        path = request.path.partition("?")[0]
        header = request.headers.get("authorization")
        if request.origin == "cdn":
            return self._storage(request, path, header)
        token = self.known_tokens.get(header.removeprefix("Bearer ")) if header else None
        if header and token is None:
            raise Refusal(401, "Invalid credentials in Authorization header")
        request.user = "" if token is None else "other" if token == "other" else "me"
        method = "GET" if request.method == "HEAD" else request.method
        for route, function in _ROUTES.items():
            if route == (method, path):
                return function(self, request, token)
        match = _API.fullmatch(path) or _PAGE.fullmatch(path)
        if match:
            repo = self._visible((match["kinds"] or "models")[:-1], unquote(match["id"]), token)
            for (wanted, pattern), function in _REPO_ROUTES.items():
                groups = re.fullmatch(pattern, match["tail"] or "")
                if wanted == method and groups:
                    arguments = {name: unquote(text or "") for name, text in groups.groupdict().items()}
                    return function(self, repo, request, token, **arguments)
        self.unexpected.append(f"{request.method} {request.path}")
        raise Refusal(404, "Sorry, we can't find the page you are looking for.")

    def _visible(self, kind: str, repo_id: str, token: str | None) -> Repo:
        repo = self.repos.get((kind, repo_id))
        if repo is None or (repo.private and not self.may_read(token, repo.namespace)):
            raise Refusal(401 if token is None else 404, "Repository not found", "RepoNotFound")
        return repo

    @staticmethod
    def may_read(token: str | None, namespace: str) -> bool:
        namespaces = ("other",) if token == "other" else ("me", "acme", "lab")
        return token is not None and namespace in namespaces

    @staticmethod
    def may_write(token: str | None, namespace: str) -> bool:
        namespaces = {"write": ("me", "acme"), "fine": ("me",), "other": ("other",)}
        return namespace in namespaces.get(token or "", ())

    def ref_to_write(self, repo: Repo, request: Request, token: str | None, rev: str) -> str:
        """Return the full name of a branch, refusing who may not commit to it."""
        if token in (None, "read"):
            raise Refusal(403, "You must use a write token to upload to a repository")
        if not request.flag("create_pr") and not self.may_write(token, repo.namespace):
            raise Refusal(403, "Forbidden: you don't have the required permissions; pass `create_pr=1`")
        ref = repo.ref_of(rev)
        if ref is None:
            raise Refusal(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        return ref

    def _storage(self, request: Request, path: str, header: str | None) -> Answer:
        _, action, signature = path.split("/")
        if header or signature not in self.grants:
            raise Refusal(403, "Request signature is wrong, or a token was sent to the storage")
        repo, oid, size = self.grants[signature]
        if action == "blob":
            return _ranged(repo.blobs[oid], request, {})
        digest = hashlib.sha256(request.body).hexdigest()
        if (len(request.body), digest) != (size, oid):
            raise Refusal(400, f"Expected {size} bytes of sha256 {oid}, got {len(request.body)} of {digest}")
        repo.blobs[oid] = request.body
        return Answer(headers={"ETag": f'"{oid}"'})


def _ranged(data: bytes, request: Request, headers: dict[str, str]) -> Answer:
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None:
        return Answer(data, 200, headers)
    start, end = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))
    if start >= end:
        return Answer(b"", 416, {**headers, "Content-Range": f"bytes */{len(data)}"})
    return Answer(data[start:end], 206, {**headers, "Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})


def whoami(hub: HubServer, request: Request, token: str | None) -> Answer:
    if token is None:
        raise Refusal(401, "Invalid username or password.")
    access: dict[str, Any] = {"displayName": "test", "role": "write" if token == "other" else token}
    if token == "fine":
        scope = {"entity": {"type": "user", "name": "me"}, "permissions": ["repo.content.read", "repo.write"]}
        access |= {"role": "fineGrained", "fineGrained": {"global": [], "scoped": [scope]}}
    roles = {"acme": "write", "lab": "read"} if request.user == "me" else {}
    orgs = [{"type": "org", "name": name, "roleInOrg": role} for name, role in roles.items()]
    auth = {"type": "access_token", "accessToken": access}
    return Answer({"type": "user", "name": request.user, "orgs": orgs, "auth": auth})


def create(hub: HubServer, request: Request, token: str | None) -> Answer:
    asked = json.loads(request.body)
    kind, namespace = asked.get("type") or "model", asked.get("organization") or request.user
    if not hub.may_write(token, namespace):
        raise Refusal(403, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')
    repo_id = f"{namespace}/{asked['name']}"
    url = f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
    if (kind, repo_id) in hub.repos:
        raise Refusal(409, f"You already created this {kind} repo", url=url)
    hub.add_repo(kind, repo_id, private=asked.get("visibility") == "private", sdk=asked.get("sdk"))
    return Answer({"url": url, "name": repo_id})


def validate_yaml(hub: HubServer, request: Request, token: str | None) -> Answer:
    errors = [{"message": text} for text in card_errors(json.loads(request.body)["content"])]
    return Answer({"errors": errors, "warnings": []}, 400 if errors else 200)


def info(hub: HubServer, repo: Repo, request: Request, token: str | None, rev: str) -> Answer:
    commit = repo.resolve(rev or "main")
    card: Any = {}
    if "README.md" in commit.files:
        with contextlib.suppress(yaml.YAMLError, UnicodeDecodeError):
            card = read_card(commit.files["README.md"].data.decode())
    fields = {
        "author": repo.namespace,
        "sha": commit.sha,
        "private": repo.private,
        "gated": "auto" if repo.gated else False,
        "createdAt": DATE,
        "lastModified": DATE,
        "tags": card.get("tags", []) if isinstance(card, dict) else [],
        "siblings": [{"rfilename": path} for path in sorted(commit.files)],
        "cardData": card if isinstance(card, dict) else {},
        "sdk": repo.sdk,
        "downloads": 0,
        "likes": 0,
    }
    asked = {name for names in request.query.get("expand", []) for name in names.split(",")}
    chosen = {name: value for name, value in fields.items() if not asked or name in asked}
    return Answer({"_id": repo.repo_id, "id": repo.repo_id, **chosen})


def auth_check(hub: HubServer, repo: Repo, request: Request, token: str | None) -> Answer:
    if repo.gated and not hub.may_read(token, repo.namespace):
        status = 401 if token is None else 403
        raise Refusal(status, f"Access to {repo.repo_id} is restricted", "GatedRepo")
    return Answer({})


def tree(hub: HubServer, repo: Repo, request: Request, token: str | None, rev: str, folder: str) -> Answer:
    commit = repo.resolve(rev)
    entries = commit.entries()
    if folder and entries.get(folder, {}).get("type") != "directory":
        raise Refusal(404, f"{folder} does not exist on {rev!r}", "EntryNotFound")
    head = f"{folder}/" if folder else ""
    below = [entry for path, entry in entries.items() if path.startswith(head)]
    if not request.flag("recursive"):
        below = [entry for entry in below if "/" not in entry["path"][len(head) :]]
    if request.flag("expand"):
        last = {"id": commit.sha, "title": commit.title, "date": DATE}
        below = [{**entry, "lastCommit": last} for entry in below]
    return Answer(below)


def paths_info(hub: HubServer, repo: Repo, request: Request, token: str | None, rev: str) -> Answer:
    entries = repo.resolve(rev).entries()
    asked = parse_qs(request.body.decode()).get("paths", [])
    return Answer([entries[path] for path in asked if path in entries])


def refs(hub: HubServer, repo: Repo, request: Request, token: str | None) -> Answer:
    def listed(head: str) -> list[dict[str, str]]:
        named = repo.refs | {f"refs/tags/{name}": sha for name, sha in repo.tags.items()}
        return [
            {"name": ref.removeprefix(head), "ref": ref, "targetCommit": sha}
            for ref, sha in named.items()
            if ref.startswith(head)
        ]

    kinds = {"branches": "heads", "converts": "convert", "tags": "tags", "pullRequests": "pr"}
    return Answer({name: listed(f"refs/{kind}/") for name, kind in kinds.items()})


def create_branch(hub: HubServer, repo: Repo, request: Request, token: str | None, name: str) -> Answer:
    hub.ref_to_write(repo, request, token, "main")
    if name in repo.branches:
        raise Refusal(409, f'Reference already exists: "refs/heads/{name}"')
    start = json.loads(request.body).get("startingPoint") if request.body else None
    repo.refs[f"refs/heads/{name}"] = repo.resolve(start or "main").sha
    return Answer({})


def create_tag(hub: HubServer, repo: Repo, request: Request, token: str | None, rev: str) -> Answer:
    hub.ref_to_write(repo, request, token, "main")
    name = json.loads(request.body)["tag"]
    if name in repo.tags:
        raise Refusal(409, f'Tag reference exists already: "{name}"')
    repo.tags[name] = repo.resolve(rev).sha
    return Answer({})


def preupload(hub: HubServer, repo: Repo, request: Request, token: str | None, rev: str) -> Answer:
    files = repo.resolve(hub.ref_to_write(repo, request, token, rev)).files
    asked = json.loads(request.body)["files"]
    answers = []
    for file in asked:
        mode = upload_mode(file["path"], base64.b64decode(file["sample"]), file["size"])
        same = {"oid": files[file["path"]].etag} if file["path"] in files else {}
        answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, **same})
    return Answer({"files": answers})


def lfs_batch(hub: HubServer, repo: Repo, request: Request, token: str | None) -> Answer:
    answers: list[dict[str, Any]] = []
    for item in json.loads(request.body)["objects"]:
        answers.append({"oid": item["oid"], "size": item["size"]})
        if item["oid"] not in repo.blobs:
            upload = f"{hub.cdn_url}/upload/{hub.grant(repo, item['oid'], item['size'])}"
            answers[-1]["actions"] = {"upload": {"href": upload}}
    return Answer({"transfer": "basic", "objects": answers})


def commit(hub: HubServer, repo: Repo, request: Request, token: str | None, rev: str) -> Answer:
    ref = hub.ref_to_write(repo, request, token, rev)
    header, *lines = (json.loads(line) for line in request.body.splitlines() if line.strip())
    if header["value"].get("parentCommit") not in (None, repo.refs[ref]):
        raise Refusal(412, "A commit has happened since. Please refresh and try again.")
    files = _changed_files(repo, lines, dict(repo.resolve(ref).files))
    if "README.md" in {line["value"]["path"] for line in lines if line["key"] == "file"}:
        errors = card_errors(files["README.md"].data.decode("utf-8", "replace"))
        if errors:
            raise Refusal(400, "; ".join(errors), errors=[{"message": error} for error in errors])
    page, extra = f"{hub.url}/{repo.prefix}{repo.repo_id}", {}
    if request.flag("create_pr"):
        repo.pull_requests.append(header["value"]["summary"])
        extra["pullRequestUrl"] = f"{page}/discussions/{len(repo.pull_requests)}"
        base, ref = ref, f"refs/pr/{len(repo.pull_requests)}"
        repo.refs[ref] = repo.refs[base]
    made = repo.advance(ref, files, header["value"]["summary"], request.user)
    return Answer({"success": True, "commitOid": made.sha, "commitUrl": f"{page}/commit/{made.sha}", **extra})


def _changed_files(
    repo: Repo, lines: list[dict[str, Any]], files: dict[str, StoredFile]
) -> dict[str, StoredFile]:
    """Return the files of a repository after the lines of a commit."""
    for line in lines:
        key, value = line["key"], line["value"]
        path = value["path"]
        if key == "file":
            data = base64.b64decode(value["content"], validate=True)
            if upload_mode(path, data, len(data)) == "lfs":
                raise Refusal(400, f"{path}: binary and large files must be sent as LFS files")
            files[path] = StoredFile(data)
        elif key == "lfsFile":
            if value["oid"] not in repo.blobs:
                raise Refusal(400, f"LFS pointer of {path} pointed to a file that does not exist")
            files[path] = StoredFile(repo.blobs[value["oid"]], lfs=True)
        else:
            gone = [name for name in files if name == path or name.startswith(f"{path.rstrip('/')}/")]
            if not gone:
                raise Refusal(404, f"{path} does not exist: it cannot be deleted", "EntryNotFound")
            for name in gone:
                del files[name]
    return files


def resolve(hub: HubServer, repo: Repo, request: Request, token: str | None, rev: str, path: str) -> Answer:
    auth_check(hub, repo, request, token)
    found = repo.resolve(rev)
    headers = {"X-Repo-Commit": found.sha}
    file = found.files.get(path)
    if file is None:
        error = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
        return Answer(b"Entry not found", 404, headers | error)
    if not file.lfs:
        return _ranged(file.data, request, {**headers, "ETag": f'"{file.etag}"'})
    headers |= {
        "X-Linked-Etag": f'"{file.sha256}"',
        "X-Linked-Size": str(len(file.data)),
        "ETag": f'"{file.oid}"',
        "Location": f"{hub.cdn_url}/blob/{hub.grant(repo, file.sha256, len(file.data))}",
    }
    return Answer(b"Found. Redirecting", 302, headers)


_ROUTES: dict[tuple[str, str], Callable[..., Answer]] = {
    ("GET", "/api/whoami-v2"): whoami,
    ("POST", "/api/repos/create"): create,
    ("POST", "/api/validate-yaml"): validate_yaml,
    ("GET", "/api/agent-harnesses"): lambda *_: Answer({"standardEnvVars": [], "harnesses": {}}),
}
#: By what follows the id of a repository.
_REPO_ROUTES: dict[tuple[str, str], Callable[..., Answer]] = {
    ("GET", "(?:/revision/(?P<rev>.+))?"): info,
    ("GET", "/auth-check"): auth_check,
    ("GET", "/tree/(?P<rev>[^/]+)(?:/(?P<folder>.+))?"): tree,
    ("POST", "/paths-info/(?P<rev>.+)"): paths_info,
    ("GET", "/refs"): refs,
    ("POST", "/branch/(?P<name>[^/]+)"): create_branch,
    ("POST", "/tag/(?P<rev>.+)"): create_tag,
    ("POST", "/preupload/(?P<rev>.+)"): preupload,
    ("POST", r"\.git/info/lfs/objects/batch"): lfs_batch,
    ("POST", "/commit/(?P<rev>.+)"): commit,
    ("GET", "/resolve/(?P<rev>refs/(?:pr|convert)/[^/]+|[^/]+)/(?P<path>.+)"): resolve,
}


class _Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Origin

    def handle_any(self) -> None:
        """Handle one request from its first byte to the last of the answer."""
        hub = self.server.hub
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, self.server.name, headers)
        fault = Fault()
        if self.path != "/api/agent-harnesses":  # the clients ask that of their own accord
            hub.log.append(request)
            fault = hub.fault_of(request)
        try:
            if fault.hang:
                hub.closing.wait(3600)
                raise _DroppedError
            answer = self._answer(request, fault)
            request.status = answer.status
            self._write(answer, fault)
        except _DroppedError:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

    def _answer(self, request: Request, fault: Fault) -> Answer:
        length = int(self.headers.get("Content-Length") or 0)
        if fault.drop_after is not None and length and not fault.after:
            request.body = self.rfile.read(min(fault.drop_after, length))
            raise _DroppedError
        request.body = self.rfile.read(length)
        if len(request.body) < length:
            raise _DroppedError
        faulty = Answer(fault.body or {"error": "as the test wants it"}, fault.status, dict(fault.headers))
        if fault.status and not fault.after:
            return faulty
        with self.server.hub.lock:
            try:
                answer = self.server.hub.respond(request)
            except Refusal as refusal:
                message = refusal.message.encode("latin-1", "replace").decode("latin-1")
                named = {"X-Error-Message": message, "X-Error-Code": refusal.code}
                answer = Answer(refusal.body, refusal.status, {k: v for k, v in named.items() if v})
        if fault.status and fault.drop_after is None:
            return faulty
        answer.headers.update(fault.headers)
        answer.body = answer.body if fault.body is None else fault.body
        return answer

    def _write(self, answer: Answer, fault: Fault) -> None:
        if fault.drop_after == 0:
            raise _DroppedError
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault.drop_after is not None:
            self.wfile.write(body[: fault.drop_after])
            time.sleep(0.05)  # the bytes must leave before the reset overtakes them
            raise _DroppedError
        if self.command != "HEAD":
            self.wfile.write(body)

    def finish(self) -> None:
        """End the connection, which may be gone already."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the server has a log of its own."""


class _Origin(ThreadingHTTPServer):
    """One port of the server: the Hub, or its storage."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, hub: HubServer, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.name = hub, name

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, which may be closed already."""
        with contextlib.suppress(OSError):
            super().shutdown_request(request)
