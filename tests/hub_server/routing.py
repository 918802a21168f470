"""Which function answers which request, and who may ask."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hub_server.handler import Answer, Request
from hub_server.state import Refusal, Repo, Token

if TYPE_CHECKING:
    from hub_server.server import HubServer

Respond = Callable[..., Answer]
ROUTES: list[tuple[str, re.Pattern[str], Respond]] = []
REPO_ROUTES: list[tuple[str, re.Pattern[str], str, Respond]] = []

_ID = r"(?P<id>[^/]+/[^/]+?)"
_API = re.compile(rf"/api/(?P<kinds>models|datasets|spaces)/{_ID}(?P<tail>/.*)?")
_PAGE = re.compile(rf"/(?:(?P<kinds>datasets|spaces)/)?{_ID}(?P<tail>\.git/.*|/resolve/.*)")


def route(method: str, path: str) -> Callable[[Respond], Respond]:
    """Register the function for a path that is about no repository: ``f(hub, request)``."""

    def register(respond: Respond) -> Respond:
        ROUTES.append((method, re.compile(path), respond))
        return respond

    return register


def repo_route(method: str, tail: str, access: str = "read") -> Callable[[Respond], Respond]:
    """Register the function for a path below a repository: ``f(hub, repo, request, **groups of the tail)``.

    Args:
        method: of HTTP.
        tail: what follows the id.
        access: ``read``; ``contribute``, for what a pull request needs; or ``write``.
    """

    def register(respond: Respond) -> Respond:
        REPO_ROUTES.append((method, re.compile(tail), access, respond))
        return respond

    return register


def respond(hub: HubServer, request: Request) -> Answer:
    """Answer a request, or note that nobody knows how to."""
    method = "GET" if request.method == "HEAD" else request.method
    request.token = authenticate(hub, request)
    for wanted, pattern, function in ROUTES:
        if wanted == method and pattern.fullmatch(request.path):
            return function(hub, request)
    found = _API.fullmatch(request.path) or _PAGE.fullmatch(request.path)
    if found is None:
        return unexpected(hub, request)
    kind = (found["kinds"] or "models").removesuffix("s")
    repo = visible_repo(hub, kind, unquote(found["id"]), request.token)
    for wanted, pattern, access, function in REPO_ROUTES:
        match = pattern.fullmatch(found["tail"] or "")
        if wanted == method and match:
            check_access(repo, request.token, access)
            groups = {name: unquote(text) for name, text in match.groupdict(default="").items()}
            return function(hub, repo, request, **groups)
    return unexpected(hub, request)


def unexpected(hub: HubServer, request: Request) -> Answer:
    """Note a request that the server does not know."""
    hub.unexpected.append(f"{request.method} {request.path}")
    raise Refusal(404, "Sorry, we can't find the page you are looking for.")


def authenticate(hub: HubServer, request: Request) -> Token | None:
    """Return who asks, ``None`` if nobody says."""
    header = request.headers.get("Authorization") or request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, text = header.partition(" ")
    if scheme != "Bearer" or text not in hub.known_tokens:
        raise Refusal(401, "Invalid credentials in Authorization header")
    return hub.known_tokens[text]


def visible_repo(hub: HubServer, kind: str, repo_id: str, token: Token | None) -> Repo:
    """Return a repository that the asker may see; others are as good as missing."""
    repo = hub.repos.get((kind, repo_id))
    if repo is not None and (not repo.private or may_read(repo, token)):
        return repo
    if token is None:
        raise Refusal(401, "Invalid username or password.", "RepoNotFound")
    raise Refusal(404, "Repository not found", "RepoNotFound")


def may_read(repo: Repo, token: Token | None) -> bool:
    return token is not None and (token.user.may_read(repo.namespace) or token.user.name in repo.readers)


def check_access(repo: Repo, token: Token | None, access: str) -> None:
    """Refuse who may not do it."""
    if access == "read":
        return
    if token is None:
        raise Refusal(401, "Invalid username or password.", "RepoNotFound")
    if token.role == "read" or (token.role == "fineGrained" and not token.namespaces):
        raise Refusal(403, "You must use a write token to upload to a repository")
    if access == "write" and not token.may_write(repo.namespace):
        raise Refusal(
            403,
            "Forbidden: you don't have the required permissions to write to this repository; pass `create_pr=1` "
            "as a query parameter to create a Pull Request",
        )


def check_gate(repo: Repo, token: Token | None) -> None:
    """Refuse the files of a gated repository to who was not let in."""
    if repo.gated and not may_read(repo, token):
        raise Refusal(401 if token is None else 403, f"Access to {repo.repo_id} is restricted", "GatedRepo")


def card_refusal(errors: list[str]) -> Refusal:
    """Return the refusal of a README."""
    body: dict[str, Any] = {"errors": [{"message": error} for error in errors], "warnings": []}
    return Refusal(
        400, f"Invalid metadata in README.md: {'; '.join(errors)}", body={"error": errors[0], **body}
    )
