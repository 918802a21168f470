"""The server as tests see it."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Self

from hub_server import contents, repositories, routing
from hub_server.faults import Fault, FaultList, LoggedRequest
from hub_server.handler import Answer, Origin, Request
from hub_server.state import PARQUET_REF, Repo, Token, User

#: These modules register their routes where they are imported.
_ROOMS = (contents, repositories)


class HubServer:
    """A Hub on loopback, alive within ``with HubServer() as server``.

    There are two users from the start: ``me``, member of the organisations
    ``acme`` (role ``write``) and ``lab`` (role ``read``), and ``other``, who
    belongs to none.

    Attributes:
        tokens: ``write``, ``read`` and ``other`` (the write token of ``other``),
            ``fine`` (fine-grained, of ``me``, for ``me`` alone), ``invalid``, and
            the write token of each user added, by name.
        log: every request that arrived, of both ports.
        unexpected: requests that the server does not know; a test can assert that
            there are none.
        repos: the repositories, by kind and id.
        page_size: entries a page of a tree listing.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self.page_size = 1000
        self.tokens: dict[str, str] = {}
        self.reset()
        self._hub = Origin(self, "hub")
        self._cdn = Origin(self, "cdn")

    def __enter__(self) -> Self:
        for origin in (self._hub, self._cdn):
            threading.Thread(target=origin.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        for origin in (self._hub, self._cdn):
            origin.shutdown()
            origin.server_close()

    @property
    def url(self) -> str:
        """The address for ``HF_ENDPOINT``."""
        return self._hub.url

    @property
    def cdn_url(self) -> str:
        """The address of the storage."""
        return self._cdn.url

    def reset(self) -> None:
        """Forget everything but the addresses and the two users."""
        with self.lock:
            self.users: dict[str, User] = {}
            self.known_tokens: dict[str, Token] = {}
            self.tokens.clear()
            self.repos: dict[tuple[str, str], Repo] = {}
            self.grants: dict[str, tuple[Repo, str, int]] = {}
            self.faults = FaultList()
            self.log: list[LoggedRequest] = []
            self.unexpected: list[str] = []
            self.tokens["write"] = self.add_user("me", orgs={"acme": "write", "lab": "read"})
            self.tokens["read"] = self.add_token("me", "read")
            self.tokens["fine"] = self.add_token("me", "fineGrained", namespaces=("me",))
            self.tokens["other"] = self.add_user("other")
            self.tokens["invalid"] = "hf_invalidinvalidinvalid"

    def add_user(self, name: str, orgs: Mapping[str, str] | None = None) -> str:
        """Add a user and return a write token; ``orgs`` gives the role in each organisation."""
        self.users[name] = User(name, dict(orgs or {}))
        self.tokens[name] = self.add_token(name, "write")
        return self.tokens[name]

    def add_token(self, user: str, role: str, namespaces: Collection[str] = ()) -> str:
        """Return a new token of a user.

        Args:
            user: its name.
            role: ``write``, ``read`` or ``fineGrained``.
            namespaces: that a fine-grained token may write to.
        """
        text = f"hf_{user}{role}{len(self.known_tokens):04}secret"
        self.known_tokens[text] = Token(self.users[user], role, frozenset(namespaces))
        return text

    def add_repo(
        self,
        kind: str,
        repo_id: str,
        files: Mapping[str, bytes | str] | None = None,
        *,
        private: bool = False,
        sdk: str | None = None,
    ) -> Repo:
        """Add a repository, with files if there are any; change it with :meth:`Repo.commit`."""
        repo = Repo(kind, repo_id, private=private, author=repo_id.partition("/")[0])
        repo.sdk = sdk
        self.repos[kind, repo_id] = repo
        if files:
            repo.commit(files)
        return repo

    def repo(self, kind: str, repo_id: str) -> Repo:
        """Return a repository; ``KeyError`` if there is none."""
        return self.repos[kind, repo_id]

    def fail(self, path: str = "", **fault: object) -> Fault:
        """Let requests fail: see :class:`Fault` for what can be asked for."""
        added = Fault(path, **fault)  # type: ignore[arg-type]
        self.faults.add(added)
        return added

    def requests(self, path: str = "", method: str = "", origin: str = "") -> list[LoggedRequest]:
        """Return the logged requests whose path has a match of a regular expression."""
        return [
            logged
            for logged in self.log
            if re.search(path, logged.path)
            and method in ("", logged.method)
            and origin in ("", logged.origin)
        ]

    def grant(self, repo: Repo, oid: str, size: int) -> str:
        """Return a signature that lets one object of a repository be sent or fetched."""
        signature = f"{len(self.grants):06}-{oid[:12]}"
        self.grants[signature] = (repo, oid, size)
        return signature

    def respond(self, origin: str, request: Request) -> Answer:
        """Answer a request."""
        return contents.storage(self, request) if origin == "cdn" else routing.respond(self, request)


__all__ = ["PARQUET_REF", "HubServer"]
