"""Answers about people and repositories: whoami, create, info, branches, tags, discussions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from hub_server.cards import check_card, read_card
from hub_server.handler import Answer, Request
from hub_server.routing import check_access, check_gate, repo_route, route
from hub_server.state import KINDS, PullRequest, Refusal, Repo, check_name

if TYPE_CHECKING:
    from hub_server.server import HubServer

_SDKS = ("gradio", "docker", "static", "streamlit")
_REF = r"(?P<name>[^/]+)"


@route("GET", "/api/telemetry/.*")
def telemetry(hub: HubServer, request: Request) -> Answer:
    return Answer.of({})


@route("GET", "/api/agent-harnesses")
def agent_harnesses(hub: HubServer, request: Request) -> Answer:
    return Answer.of({"standardEnvVars": [], "harnesses": {}})


@route("GET", "/api/whoami-v2")
def whoami(hub: HubServer, request: Request) -> Answer:
    token = request.token
    if token is None:
        raise Refusal(401, "Invalid username or password.")
    access: dict[str, Any] = {"displayName": "test", "role": token.role}
    if token.role == "fineGrained":
        scoped = [
            {"entity": {"type": "user", "name": name}, "permissions": ["repo.content.read", "repo.write"]}
            for name in sorted(token.namespaces)
        ]
        access["fineGrained"] = {"canReadGatedRepos": False, "global": [], "scoped": scoped}
    orgs = [
        {"type": "org", "name": name, "fullname": name, "roleInOrg": role}
        for name, role in token.user.orgs.items()
    ]
    user = {
        "type": "user",
        "id": f"id-{token.user.name}",
        "name": token.user.name,
        "fullname": token.user.name,
    }
    return Answer.of({**user, "orgs": orgs, "auth": {"type": "access_token", "accessToken": access}})


@route("POST", "/api/repos/create")
def create(hub: HubServer, request: Request) -> Answer:
    asked = request.json()
    kind = asked.get("type") or "model"
    if kind not in KINDS or asked.get("visibility", "public") not in ("public", "private"):
        raise Refusal(400, f"Invalid type or visibility: {asked}")
    if kind == "space" and asked.get("sdk") not in _SDKS:
        raise Refusal(400, '"sdk" must be one of [gradio, docker, static]')
    namespace = _writable_namespace(request, asked, f"create a {kind}")
    check_name(asked.get("name", ""))
    repo_id = f"{namespace}/{asked['name']}"
    existing = hub.repos.get((kind, repo_id))
    if existing is not None:
        url = f"{hub.url}/{existing.prefix}{repo_id}"
        raise Refusal(
            409,
            f"You already created this {kind} repo",
            body={"error": f"You already created this {kind} repo", "url": url},
        )
    private = asked.get("visibility") == "private"
    repo = hub.add_repo(kind, repo_id, private=private, sdk=asked.get("sdk"))
    return Answer.of({"url": f"{hub.url}/{repo.prefix}{repo_id}", "name": repo_id, "id": f"id-{repo_id}"})


@route("DELETE", "/api/repos/delete")
def delete(hub: HubServer, request: Request) -> Answer:
    asked = request.json()
    kind = asked.get("type") or "model"
    namespace = _writable_namespace(request, asked, f"delete a {kind}")
    if hub.repos.pop((kind, f"{namespace}/{asked.get('name')}"), None) is None:
        raise Refusal(404, "Repository not found", "RepoNotFound")
    return Answer.of({})


def _writable_namespace(request: Request, asked: dict[str, Any], what: str) -> str:
    token = request.token
    if token is None:
        raise Refusal(401, "Invalid username or password.")
    namespace: str = asked.get("organization") or token.user.name
    if not token.may_write(namespace):
        raise Refusal(403, f'You don\'t have the rights to {what} under the namespace "{namespace}"')
    return namespace


@route("POST", "/api/validate-yaml")
def validate_yaml(hub: HubServer, request: Request) -> Answer:
    asked = request.json()
    if asked.get("repoType") not in KINDS or not isinstance(asked.get("content"), str):
        raise Refusal(400, "Expected repoType and content")
    errors, warnings = check_card(asked["content"], asked["repoType"])
    body = {
        "errors": [{"message": text} for text in errors],
        "warnings": [{"message": text} for text in warnings],
    }
    return Answer.of(body, 400 if errors else 200)


@repo_route("GET", "(?:/revision/(?P<rev>.+))?")
def info(hub: HubServer, repo: Repo, request: Request, rev: str) -> Answer:
    commit = repo.resolve(rev or "main")
    blobs = request.flag("blobs")
    siblings = []
    for path, file in sorted(commit.files.items()):
        sibling: dict[str, Any] = {"rfilename": path}
        if blobs:
            sibling |= {"size": len(file.data), "blobId": file.oid}
            if file.lfs:
                sibling["lfs"] = {"sha256": file.sha256, "size": len(file.data), "pointerSize": 130}
        siblings.append(sibling)
    card = _card_of(commit.files["README.md"].data) if "README.md" in commit.files else {}
    fields: dict[str, Any] = {
        "author": repo.namespace,
        "sha": commit.sha,
        "private": repo.private,
        "gated": "auto" if repo.gated else False,
        "disabled": False,
        "createdAt": repo.history("main")[-1].date,
        "lastModified": commit.date,
        "downloads": 0,
        "likes": 0,
        "tags": _tags_of(card),
        "siblings": siblings,
        **({"cardData": card} if card else {}),
        **({"modelId": repo.repo_id} if repo.kind == "model" else {}),
        **({"sdk": repo.sdk} if repo.sdk else {}),
    }
    asked = {name for names in request.query.get("expand", []) for name in names.split(",")}
    if asked:
        fields = {name: value for name, value in fields.items() if name in asked}
    return Answer.of({"_id": f"id-{repo.repo_id}", "id": repo.repo_id, **fields})


def _card_of(readme: bytes) -> dict[str, Any]:
    try:
        card = read_card(readme.decode())
    except (yaml.YAMLError, UnicodeDecodeError):
        return {}
    return card if isinstance(card, dict) else {}


def _tags_of(card: dict[str, Any]) -> list[str]:
    licence = [f"license:{card['license']}"] if isinstance(card.get("license"), str) else []
    return [*licence, *(tag for tag in card.get("tags") or [] if isinstance(tag, str))]


@repo_route("GET", "/auth-check")
def auth_check(hub: HubServer, repo: Repo, request: Request) -> Answer:
    check_gate(repo, request.token)
    return Answer.of({})


@repo_route("PUT", "/settings", access="write")
def settings(hub: HubServer, repo: Repo, request: Request) -> Answer:
    asked = request.json()
    repo.private = asked.get("visibility", "private" if repo.private else "public") == "private"
    repo.private = bool(asked.get("private", repo.private))
    return Answer.of({"private": repo.private})


@repo_route("GET", "/refs")
def refs(hub: HubServer, repo: Repo, request: Request) -> Answer:
    def listed(found: dict[str, str]) -> list[dict[str, str]]:
        return [
            {"name": ref.rpartition("/")[2], "ref": ref, "targetCommit": sha} for ref, sha in found.items()
        ]

    def below(head: str) -> dict[str, str]:
        return {ref: sha for ref, sha in repo.refs.items() if ref.startswith(head)}

    body = {
        "branches": listed(below("refs/heads/")),
        "converts": listed(below("refs/convert/")),
        "tags": listed({f"refs/tags/{name}": sha for name, sha in repo.tags.items()}),
    }
    if request.flag("include_prs"):
        body["pullRequests"] = listed(below("refs/pr/"))
    return Answer.of(body)


@repo_route("GET", "/commits/(?P<rev>.+)")
def commits(hub: HubServer, repo: Repo, request: Request, rev: str) -> Answer:
    return Answer.of(
        [
            {
                "id": commit.sha,
                "title": commit.title,
                "message": commit.message,
                "date": commit.date,
                "authors": [{"user": commit.author}],
            }
            for commit in repo.history(rev)
        ]
    )


@repo_route("POST", f"/branch/{_REF}", access="write")
def create_branch(hub: HubServer, repo: Repo, request: Request, name: str) -> Answer:
    check_name(name.replace("/", "_"))
    start = request.json().get("startingPoint") if request.body else None
    if name in repo.branches:
        raise Refusal(409, f'Reference already exists: "refs/heads/{name}"')
    repo.refs[f"refs/heads/{name}"] = repo.resolve(start or "main").sha
    return Answer.of({})


@repo_route("DELETE", f"/branch/{_REF}", access="write")
def delete_branch(hub: HubServer, repo: Repo, request: Request, name: str) -> Answer:
    if name == "main":
        raise Refusal(403, "The main branch cannot be deleted")
    if repo.refs.pop(f"refs/heads/{name}", None) is None:
        raise Refusal(404, f"No such branch: {name}", "RevisionNotFound")
    return Answer.of({})


@repo_route("POST", "/tag/(?P<rev>.+)", access="write")
def create_tag(hub: HubServer, repo: Repo, request: Request, rev: str) -> Answer:
    name = request.json().get("tag", "")
    check_name(name)
    sha = repo.resolve(rev).sha
    if name in repo.tags:
        raise Refusal(409, f'Tag reference exists already: "{name}"')
    repo.tags[name] = sha
    return Answer.of({})


@repo_route("DELETE", f"/tag/{_REF}", access="write")
def delete_tag(hub: HubServer, repo: Repo, request: Request, name: str) -> Answer:
    if repo.tags.pop(name, None) is None:
        raise Refusal(404, f"No such tag: {name}", "RevisionNotFound")
    return Answer.of({})


def _discussion(repo: Repo, found: PullRequest) -> dict[str, Any]:
    about = {
        "num": found.number,
        "title": found.title,
        "author": {"name": found.author},
        "createdAt": "2026-01-01T00:00:00.000Z",
        "status": found.status,
        "repo": {"name": repo.repo_id, "type": repo.kind},
        "isPullRequest": bool(found.base),
        "events": [],
    }
    if found.base:
        about |= {"filesWithConflicts": [], "changes": {"base": found.base}, "diff": ""}
    return about


@repo_route("GET", "/discussions")
def discussions(hub: HubServer, repo: Repo, request: Request) -> Answer:
    found = [_discussion(repo, discussion) for discussion in repo.discussions.values()]
    return Answer.of({"discussions": found, "count": len(found), "start": 0})


@repo_route("POST", "/discussions", access="contribute")
def open_discussion(hub: HubServer, repo: Repo, request: Request) -> Answer:
    asked = request.json()
    title = asked.get("title", "")
    if not 3 <= len(title) <= 200:
        raise Refusal(400, "A title has 3 to 200 characters")
    is_request = bool(asked.get("pullRequest"))
    author = request.token.user.name if request.token else ""
    opened = repo.new_discussion(
        title, author, pull_request=is_request, status="draft" if is_request else "open"
    )
    return Answer.of(_discussion(repo, opened))


@repo_route("GET", r"/discussions/(?P<number>\d+)")
def discussion(hub: HubServer, repo: Repo, request: Request, number: str) -> Answer:
    return Answer.of(_discussion(repo, _discussion_of(repo, number)))


@repo_route("POST", r"/discussions/(?P<number>\d+)/(?P<what>comment|status|merge)", access="contribute")
def change_discussion(hub: HubServer, repo: Repo, request: Request, number: str, what: str) -> Answer:
    found = _discussion_of(repo, number)
    if what == "status":
        found.status = request.json().get("status", "")
    if what == "merge":
        check_access(repo, request.token, "write")
        found.status = "merged"
        repo.advance("refs/heads/main", repo.resolve(found.ref).files, (found.title, ""), found.author)
    event = {"id": "event", "type": "status-change", "createdAt": "2026-01-01T00:00:00.000Z"}
    return Answer.of(
        {"newStatus": {**event, "author": {"name": found.author}, "data": {"status": found.status}}}
    )


def _discussion_of(repo: Repo, number: str) -> PullRequest:
    if int(number) not in repo.discussions:
        raise Refusal(404, "Discussion not found")
    return repo.discussions[int(number)]
