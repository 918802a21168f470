"""A repository of the Hub: commits, branches, tags and pull requests, and what the Hub refuses in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

PARQUET_REF = "refs/convert/parquet"
DATE = "2026-01-01T00:00:00.000Z"

_BINARY = re.compile(r".*\.(arrow|bin|bz2|gz|h5|npy|parquet|pdf|pickle|pkl|png|pt|safetensors|tar|xz|zip)")
_FRONT = re.compile(r"\A---\s*\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)
#: Of the licenses that the Hub knows, those the tests use.
_LICENSE = r"apache-2\.0|mit|cc0-1\.0|cc-by(-nc|-nd)?(-sa)?-[34]\.0|gpl-3\.0|unknown|other"
_IDENTIFIER, _LANGUAGE = r"[a-z0-9][a-z0-9.-]*", r"[a-z]{2,3}|code|multilingual"


class Refusal(Exception):  # noqa: N818 - an answer, not a defect
    """A request is answered with an error; clients turn ``code`` (``X-Error-Code``) into exception classes."""

    def __init__(self, status: int, message: str, code: str = "", **body: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.body = {"error": message, **body}


@dataclass(frozen=True)
class StoredFile:
    """A file of a commit, stored in git or, if ``lfs``, beside it."""

    data: bytes
    lfs: bool = False

    @property
    def oid(self) -> str:
        """The git blob id: of an LFS file, that of its pointer."""
        pointer = (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n"
        )
        content = pointer.encode() if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid

    def entry(self, path: str) -> dict[str, Any]:
        """Return the entry of a tree listing."""
        lfs = {"lfs": {"oid": self.sha256, "size": len(self.data), "pointerSize": 130}} if self.lfs else {}
        return {"type": "file", "path": path, "size": len(self.data), "oid": self.oid, **lfs}


@dataclass(frozen=True)
class Commit:
    """One commit: ``files`` is the whole tree after it."""

    sha: str
    parent: str
    title: str
    author: str
    files: Mapping[str, StoredFile]

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return the listing of all files and folders by path."""
        entries = {path: file.entry(path) for path, file in self.files.items()}
        for path in self.files:
            parts = path.split("/")
            for end in range(1, len(parts)):
                folder = "/".join(parts[:end])
                oid = hashlib.sha1(folder.encode()).hexdigest()
                entries[folder] = {"type": "directory", "path": folder, "size": 0, "oid": oid}
        return dict(sorted(entries.items()))


class Repo:
    """One repository.

    Args:
        kind: ``model``, ``dataset`` or ``space``.
        repo_id: ``owner/name``.
        private: only members of the owner see it. If ``gated`` is set, anybody sees it and only they read its files.
        sdk: of a space.
    """

    def __init__(self, kind: str, repo_id: str, *, private: bool = False, sdk: str | None = None) -> None:
        self.kind, self.repo_id, self.private, self.sdk = kind, repo_id, private, sdk
        self.gated = False
        self.namespace = repo_id.partition("/")[0]
        #: What stands before the id in addresses of pages and files.
        self.prefix = "" if kind == "model" else f"{kind}s/"
        self.refs: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.pull_requests: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self._by_sha: dict[str, Commit] = {}
        attributes = StoredFile(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n")
        self.advance("refs/heads/main", {".gitattributes": attributes}, "initial commit", self.namespace)

    @property
    def branches(self) -> list[str]:
        head = "refs/heads/"
        return [ref.removeprefix(head) for ref in self.refs if ref.startswith(head)]

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
        self, files: Mapping[str, bytes | str], deleted: Collection[str] = (), *, revision: str = "main"
    ) -> str:
        """Commit from the test's side, on a new branch if there is none, and return the commit's id."""
        before = self.resolve(revision).files if self.ref_of(revision) else {}
        after = {path: file for path, file in before.items() if path not in deleted}
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            after[path] = StoredFile(data, upload_mode(path, data, len(data)) == "lfs")
            self.blobs[after[path].sha256] = data
        new = revision if revision.startswith("refs/") else f"refs/heads/{revision}"
        return self.advance(self.ref_of(revision) or new, after, "change", self.namespace).sha

    def advance(self, ref: str, files: Mapping[str, StoredFile], title: str, author: str) -> Commit:
        """Put a new commit on a reference."""
        parent = self.refs.get(ref, "")
        content = [f"{path} {file.etag}" for path, file in sorted(files.items())]
        text = "\n".join([self.kind, self.repo_id, parent, str(len(self._by_sha)), title, *content])
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.refs[ref], self._by_sha[sha] = sha, Commit(sha, parent, title, author, dict(files))
        return self._by_sha[sha]


def upload_mode(path: str, sample: bytes, size: int) -> str:
    """Tell how a file is to be sent, ``lfs`` or ``regular``, from its name, first bytes and size."""
    binary = _BINARY.fullmatch(path) is not None or b"\0" in sample[:512] or size > 10_000_000
    return "lfs" if size and binary else "regular"


def read_card(text: str) -> Any:
    """Return the metadata of a README, an empty dictionary if there is none; ``yaml.YAMLError`` if it is no YAML."""
    front = _FRONT.match(text)
    return {} if front is None else yaml.safe_load(front.group(1))


def card_errors(text: str) -> list[str]:
    """Return what the Hub refuses in the metadata of a README; the real one checks more fields."""
    try:
        card = read_card(text)
    except yaml.YAMLError as error:
        return [f"YAML: {' '.join(str(error).split())}"]
    if not isinstance(card, dict):
        return ["metadata must be an object"]
    errors = []
    for name, allowed in (("license", _LICENSE), ("license_name", _IDENTIFIER), ("language", _LANGUAGE)):
        values = card.get(name, [])
        for value in values if isinstance(values, list) else [values]:
            if not re.fullmatch(allowed, str(value)):
                errors.append(f'"{name}" with value {value!r} is not valid')
    names = [config.get("config_name") for config in card.get("configs", [])]
    if len(names) > len(set(names)):
        errors.append('"configs" contains duplicates')
    return errors
