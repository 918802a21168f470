"""What a Hub holds: people, tokens, repositories with commits, branches, tags and pull requests."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

KINDS = ("model", "dataset", "space")
GITATTRIBUTES = "*.parquet filter=lfs diff=lfs merge=lfs -text\n"
PARQUET_REF = "refs/convert/parquet"

_NAME = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?")
_START = datetime(2026, 1, 1, tzinfo=UTC)


class Refusal(Exception):  # noqa: N818 - an answer, not a defect
    """A request is answered with an error.

    Args:
        status: of the answer.
        message: as ``X-Error-Message`` and ``error``.
        code: as ``X-Error-Code``, which the clients turn into exception classes.
        body: instead of ``{"error": message}``.
    """

    def __init__(
        self, status: int, message: str, code: str = "", body: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.body = body


@dataclass(frozen=True)
class User:
    """A person; ``orgs`` gives the role (``read``, ``write``, ``admin``) in each organisation."""

    name: str
    orgs: Mapping[str, str] = field(default_factory=dict)

    def may_write(self, namespace: str) -> bool:
        return namespace == self.name or self.orgs.get(namespace) in ("write", "admin")

    def may_read(self, namespace: str) -> bool:
        return namespace == self.name or namespace in self.orgs


@dataclass(frozen=True)
class Token:
    """A token: role ``write``, ``read`` or ``fineGrained`` with the namespaces it may write to."""

    user: User
    role: str
    namespaces: frozenset[str] = frozenset()

    def may_write(self, namespace: str) -> bool:
        granted = self.role == "write" or (self.role == "fineGrained" and namespace in self.namespaces)
        return granted and self.user.may_write(namespace)


@dataclass(frozen=True)
class StoredFile:
    """A file of a commit; ``lfs`` tells how it is stored."""

    data: bytes
    lfs: bool = False

    @cached_property
    def oid(self) -> str:
        """The git blob id: of an LFS file, that of its pointer."""
        content = self._pointer if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def _pointer(self) -> bytes:
        head = "version https://git-lfs.github.com/spec/v1"
        return f"{head}\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid

    def entry(self, path: str) -> dict[str, Any]:
        """Return the entry of a tree listing."""
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(self.data), "oid": self.oid}
        if self.lfs:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": len(self._pointer)}
        return entry


@dataclass(frozen=True)
class Commit:
    """One commit: ``files`` is the whole tree after it."""

    sha: str
    parent: str
    title: str
    message: str
    author: str
    date: str
    files: Mapping[str, StoredFile] = field(repr=False)


@dataclass
class PullRequest:
    """A pull request, or a plain discussion if it has no ``base``."""

    number: int
    title: str
    author: str
    status: str
    base: str = ""

    @property
    def ref(self) -> str:
        return f"refs/pr/{self.number}"


class Repo:
    """One repository.

    Args:
        kind: ``model``, ``dataset`` or ``space``.
        repo_id: ``owner/name``.
        private: whether only its owner, the members of the owning organisation and
            ``readers`` see it. If ``gated`` is set, anybody sees that it is there, and
            only they read its files.
        author: who makes it.
    """

    def __init__(self, kind: str, repo_id: str, *, private: bool = False, author: str = "") -> None:
        self.kind = kind
        self.repo_id = repo_id
        self.private = private
        self.readers: set[str] = set()
        self.gated = False
        self.sdk: str | None = None
        self.refs: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.discussions: dict[int, PullRequest] = {}
        self.blobs: dict[str, bytes] = {}
        self._by_sha: dict[str, Commit] = {}
        first = {".gitattributes": StoredFile(GITATTRIBUTES.encode())}
        self.refs["refs/heads/main"] = self._add("", first, ("initial commit", ""), author).sha

    @property
    def namespace(self) -> str:
        return self.repo_id.partition("/")[0]

    @property
    def prefix(self) -> str:
        """What stands before the id in addresses of pages and files."""
        return "" if self.kind == "model" else f"{self.kind}s/"

    @property
    def branches(self) -> dict[str, str]:
        """Commits of the branches, by name."""
        head = "refs/heads/"
        return {ref.removeprefix(head): sha for ref, sha in self.refs.items() if ref.startswith(head)}

    @property
    def commits(self) -> list[Commit]:
        """The commits of main, the latest first."""
        return self.history("main")

    @property
    def head(self) -> str:
        """The latest commit of main."""
        return self.refs["refs/heads/main"]

    def ref_of(self, name: str) -> str | None:
        """Return the full name of a branch, pull request or converted branch, ``None`` if there is none."""
        return next((ref for ref in (f"refs/heads/{name}", name) if ref in self.refs), None)

    def resolve(self, revision: str) -> Commit:
        """Return the commit of a branch, tag, reference or commit id."""
        ref = self.ref_of(revision)
        sha = self.refs[ref] if ref else self.tags.get(revision, revision)
        if sha not in self._by_sha:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self._by_sha[sha]

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Return the contents of all files, but for ``.gitattributes``, by path."""
        stored = self.resolve(revision).files
        return {path: file.data for path, file in sorted(stored.items()) if path != ".gitattributes"}

    def history(self, revision: str = "main") -> list[Commit]:
        """Return the commits of a revision, the latest first."""
        commits = [self.resolve(revision)]
        while commits[-1].parent:
            commits.append(self._by_sha[commits[-1].parent])
        return commits

    def commit(
        self,
        files: Mapping[str, bytes | str],
        deleted: Collection[str] = (),
        *,
        revision: str = "main",
        message: str = "change",
        author: str = "",
    ) -> str:
        """Commit from the test's side, making the branch if it is not there; return the commit's id.

        Files that a client would send as LFS are stored so.
        """
        before = self.resolve(revision).files if self.ref_of(revision) else {}
        after = {path: file for path, file in before.items() if path not in deleted}
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            after[path] = StoredFile(data, upload_mode(path, data, len(data)) == "lfs")
            if after[path].lfs:
                self.blobs[after[path].sha256] = data
        ref = self.ref_of(revision) or (
            revision if revision.startswith("refs/") else f"refs/heads/{revision}"
        )
        return self.advance(ref, after, (message, ""), author or self.namespace).sha

    def advance(
        self, ref: str, files: Mapping[str, StoredFile], message: tuple[str, str], author: str
    ) -> Commit:
        """Put a new commit on a reference."""
        commit = self._add(self.refs.get(ref, ""), files, message, author)
        self.refs[ref] = commit.sha
        return commit

    def new_discussion(self, title: str, author: str, *, pull_request: bool, status: str) -> PullRequest:
        """Open a discussion, or a pull request that starts at main."""
        number = len(self.discussions) + 1
        base = "refs/heads/main" if pull_request else ""
        found = self.discussions[number] = PullRequest(number, title, author, status, base)
        if pull_request:
            self.refs[found.ref] = self.head
        return found

    def _add(
        self, parent: str, files: Mapping[str, StoredFile], message: tuple[str, str], author: str
    ) -> Commit:
        order = len(self._by_sha)
        content = [f"{path} {file.etag}" for path, file in sorted(files.items())]
        text = "\n".join([self.kind, self.repo_id, parent, str(order), *message, *content])
        sha = hashlib.sha1(text.encode()).hexdigest()
        date = (_START + timedelta(minutes=order)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        commit = Commit(sha, parent, *message, author=author, date=date, files=dict(files))
        self._by_sha[sha] = commit
        return commit


_BINARY = re.compile(
    r".*\.(7z|arrow|bin|bz2|ckpt|gz|h5|joblib|jpe?g|lz4|model|mp3|msgpack|npy|npz|onnx|parquet|pdf|pickle|pkl|png|"
    r"pt|pth|rar|safetensors|tar|tgz|wav|webp|xz|zip|zst)",
    re.IGNORECASE,
)
LARGEST_REGULAR = 10_000_000


def upload_mode(path: str, sample: bytes, size: int) -> str:
    """Tell how a file is to be sent, ``lfs`` or ``regular``, from its name, first bytes and size."""
    if size == 0:
        return "regular"
    if size > LARGEST_REGULAR or _BINARY.fullmatch(path) or b"\0" in sample[:512]:
        return "lfs"
    try:
        # A longer file's sample may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(sample[:512], final=size <= 512)
    except UnicodeError:
        return "lfs"
    return "regular"


def check_name(name: str) -> None:
    """Refuse what is no name of a repository."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.endswith((".git", ".ipynb")):
        raise Refusal(400, f"Invalid repository name {name!r}")


def check_paths(paths: Iterable[str]) -> None:
    """Refuse paths that leave the repository, or of which one is a file and a folder."""
    known = set(paths)
    for path in known:
        parts = path.split("/")
        bad = {"", ".", "..", ".git"} & set(parts) or "\\" in path or not path.isprintable()
        if bad or any(len(part.encode()) > 255 for part in parts):
            raise Refusal(400, f"Invalid path in repo: {path!r}")
        if any("/".join(parts[:end]) in known for end in range(1, len(parts))):
            raise Refusal(400, f"{path!r} lies below a file")
