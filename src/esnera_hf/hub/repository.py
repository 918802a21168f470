"""One repository of the Hub, written to in a single commit that may be tried again at any time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep as wait
from typing import Any, Literal, TypeVar

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from esnera_hf._internal.console import say
from esnera_hf._internal.hub_errors import (
    CLIENT_ERRORS,
    PASSING,
    Failure,
    Kind,
    classify,
    explained,
)
from esnera_hf.errors import HubError

RepoKind = Literal["dataset", "model", "space"]


@dataclass(frozen=True)
class RepositoryState:
    """A repository as it is before a commit.

    Attributes:
        head: the commit that its branch is at.
        files: paths of the files in it.
        read: returns the text of a file, ``""`` if there is none.
    """

    head: str
    files: frozenset[str]
    read: Callable[[str], str] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Changes:
    """What a commit is to change.

    Attributes:
        files: content, or a file that holds it, by path in the repository.
        deleted: paths of files to delete.
    """

    files: Mapping[str, bytes | Path]
    deleted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        repo_id: ``owner/name``.
        url: of the repository.
        commit: the commit that holds it.
        commit_url: where to look at it.
        pull_request: address of the pull request, ``""`` if none was opened.
        changed: whether there was anything to change.
    """

    repo_id: str
    url: str
    commit: str
    commit_url: str
    pull_request: str = ""
    changed: bool = True

    def __str__(self) -> str:
        if self.pull_request:
            return f"opened a pull request: {self.pull_request}"
        if not self.changed:
            return f"{self.url} holds all of it already (commit {self.commit[:7]})"
        return f"published: {self.url} (commit {self.commit[:7]})"


T = TypeVar("T")

_TRIES = 5
#: Seconds to wait before trying again where the Hub does not say how long.
_WAITS = (1.0, 2.0, 4.0, 8.0)
_COMMIT = re.compile("[0-9a-f]{40}")


class HubRepository:
    """A repository to publish to.

    Args:
        repo_id: ``owner/name``, or a name of your own.
        kind: ``dataset``, ``model`` or ``space``.
        token: of the Hub; the one you are logged in with if not given.
        revision: branch to commit to, made if it is not there.
        create_pr: open a pull request instead of committing to a branch.

    Raises:
        HubError: a branch and a pull request are asked for at once.
    """

    def __init__(
        self,
        repo_id: str,
        kind: RepoKind,
        *,
        token: str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
    ) -> None:
        if create_pr and revision not in (None, "main"):
            raise HubError(
                f"{repo_id}: a pull request goes to main: expected either create_pr or revision, not both."
            )
        self.repo_id = repo_id
        self.kind = kind
        self.revision = revision
        self.create_pr = create_pr
        self._api = HfApi(token=token)
        self._in_doubt = False
        self._missing = False
        self._private: bool | None = None

    @property
    def url(self) -> str:
        """Where people look at it."""
        folder = "" if self.kind == "model" else f"{self.kind}s/"
        return f"{self._api.endpoint}/{folder}{self.repo_id}"

    def prepare(self, private: bool | None = None) -> None:
        """Check that it may be written to; nothing is made or changed yet.

        Args:
            private: whether it is to be private; as it is, or the Hub's default,
                if not given.

        Raises:
            HubError: no token, or one without the right; no such owner; it is
                there and not private though ``private`` asks for it, or the reverse;
                the revision is no branch.
        """
        user = self._retry(lambda: self._api.whoami(cache=True), "asking who you are")
        if "/" not in self.repo_id:
            self.repo_id = f"{user['name']}/{self.repo_id}"
        info = self._info_or_none()
        self._missing, self._private = info is None, private
        if info is not None and private is not None and bool(info.private) != private:
            wanted, found = ("private", "public") if private else ("public", "private")
            raise HubError(
                f"{self.repo_id} exists and is {found}; {wanted} was asked for. Nothing was sent. Change its "
                f"visibility in its settings ({self.url}/settings), or choose another name."
            )
        if self.create_pr:
            if info is None:
                raise HubError(
                    f"{self.repo_id}: a pull request needs a repository, and you may see none. Check the name, and "
                    "that your token may see it."
                )
            return
        self._check_rights(user)
        if self.revision is not None:
            self._check_branch(self.revision, exists=info is not None)

    def _check_branch(self, revision: str, *, exists: bool) -> None:
        tags: list[str] = []
        if exists:
            refs = self._retry(
                lambda: self._api.list_repo_refs(self.repo_id, repo_type=self.kind), "looking at its branches"
            )
            tags = [tag.name for tag in refs.tags]
        if not revision or revision.startswith("refs/") or revision in tags or _COMMIT.fullmatch(revision):
            raise HubError(
                f"{self.repo_id}: revision={revision!r} is no branch that can be committed to. Nothing was sent. "
                "Give the name of a branch, new or there already, or leave it out."
            )

    def _make(self) -> None:
        """Make repository and branch if they are not there."""
        if self._missing:
            self._retry(
                lambda: self._api.create_repo(
                    self.repo_id, repo_type=self.kind, private=self._private, exist_ok=True
                ),
                "making the repository",
            )
        if self.revision not in (None, "main"):
            self._retry(
                lambda: self._api.create_branch(
                    self.repo_id, branch=str(self.revision), repo_type=self.kind, exist_ok=True
                ),
                "making the branch",
            )

    def _info_or_none(self) -> Any:
        def ask() -> Any:
            try:
                return self._api.repo_info(self.repo_id, repo_type=self.kind)
            except RepositoryNotFoundError:
                return None

        return self._retry(ask, "looking at the repository")

    def _check_rights(self, user: Mapping[str, Any]) -> None:
        owner = self.repo_id.partition("/")[0]
        role = user.get("auth", {}).get("accessToken", {}).get("role")
        if role == "read":
            raise HubError(
                f"{self.repo_id}: the token of {user['name']} can only read. Nothing was sent. "
                "Make a token with write access in your settings on the Hub, log in with it, run the same again."
            )
        owners = [user["name"], *(org["name"] for org in user.get("orgs", ()))]
        if owner.lower() not in [name.lower() for name in owners]:
            raise HubError(
                f"{self.repo_id}: {owner!r} is neither you nor an organisation of yours; you may publish under "
                f"{', '.join(owners)}. Nothing was sent. Correct the name, or use create_pr (--pr) to propose "
                "it to the owner of an existing repository."
            )

    def commit(self, plan: Callable[[RepositoryState], Changes], message: str) -> Published:
        """Send files, then make them appear in one commit.

        Where somebody else commits at the same moment, or the Hub fails, the
        repository is read anew and the plan made again; files that have
        arrived are not sent again, and a commit that was applied though the
        Hub failed is recognized.

        Args:
            plan: tells what to change, given the repository as it is; pure, since
                it may be called more than once.
            message: of the commit.

        Raises:
            HubError: it says whether anything was published, and what to do.
        """
        self._make()
        first_head = ""
        for attempt in range(_TRIES):
            state = self._state()
            first_head = first_head or state.head
            changes = self._planned(plan, state)
            deleted = changes.deleted & state.files - set(changes.files)
            additions = [
                CommitOperationAdd(path, str(content) if isinstance(content, Path) else content)
                for path, content in sorted(changes.files.items())
            ]
            deletions = [CommitOperationDelete(path, is_folder=False) for path in sorted(deleted)]
            self._send(additions)
            with self._explained("committing"):
                try:
                    info = self._commit([*additions, *deletions], message, state.head)
                except KeyboardInterrupt:
                    self._in_doubt = True
                    raise
                except CLIENT_ERRORS as error:
                    self._wait_or_raise(error, attempt)
                else:
                    changed = info.oid != first_head
                    return Published(
                        self.repo_id, self.url, info.oid, info.commit_url, info.pr_url or "", changed
                    )
        raise HubError(
            f"{self.repo_id}: not published after {_TRIES} tries. Run it again."
        )  # pragma: no cover

    def _planned(self, plan: Callable[[RepositoryState], Changes], state: RepositoryState) -> Changes:
        try:
            return plan(state)
        except HubError as error:
            if str(error).startswith(f"{self.repo_id}:"):
                raise
            raise HubError(f"{self.repo_id}: {error} {self._safe()}") from None

    def _commit(self, operations: list[Any], message: str, head: str) -> CommitInfo:
        return self._api.create_commit(
            self.repo_id,
            operations,
            commit_message=message,
            repo_type=self.kind,
            revision=self.revision,
            create_pr=self.create_pr,
            parent_commit=head,
        )

    def _wait_or_raise(self, error: Exception, attempt: int) -> None:
        """Wait before the commit is tried again; raise where that is of no use or might do it twice."""
        failure = classify(error)
        if failure is None:
            raise error
        self._in_doubt |= failure.applied
        again = failure.kind in PASSING or failure.kind is Kind.RACE
        twice = self._in_doubt and self.create_pr
        if not again or twice or attempt == _TRIES - 1:
            raise error
        self._wait(failure, attempt, "committing")

    def _send(self, additions: list[CommitOperationAdd]) -> None:
        with self._explained("sending files"):
            self._api.preupload_lfs_files(
                self.repo_id,
                additions,
                repo_type=self.kind,
                revision=self.revision,
                create_pr=self.create_pr,
                free_memory=False,
            )

    def _state(self) -> RepositoryState:
        info = self._retry(
            lambda: self._api.repo_info(self.repo_id, repo_type=self.kind, revision=self.revision),
            "looking at the repository",
        )
        head, files = (
            str(info.sha),
            frozenset(file.rfilename for file in getattr(info, "siblings", None) or ()),
        )

        def read(path: str) -> str:
            if path not in files:
                return ""
            return self._retry(lambda: self._read(path, head), f"reading {path}")

        return RepositoryState(head, files, read)

    def _read(self, path: str, head: str) -> str:
        local = self._api.hf_hub_download(self.repo_id, path, repo_type=self.kind, revision=head)
        content = Path(local).read_bytes()
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise HubError(
                f"{self.repo_id}: its {path} is no UTF-8 text. Nothing was changed. Mend or delete it there."
            ) from None

    def _retry(self, call: Callable[[], T], doing: str) -> T:
        """Call the Hub again while it is busy or broken; the client does not do so for these calls."""
        with self._explained(doing):
            for attempt in range(_TRIES - 1):
                try:
                    return call()
                except CLIENT_ERRORS as error:
                    failure = classify(error)
                    if failure is None or failure.kind not in PASSING:
                        raise
                    self._wait(failure, attempt, doing)
            return call()

    def _wait(self, failure: Failure, attempt: int, doing: str) -> None:
        seconds = failure.wait if failure.wait is not None else _WAITS[min(attempt, len(_WAITS) - 1)]
        say(f"{self.repo_id}: {doing}: {failure.what}; trying again in {seconds:g} s")
        wait(seconds)

    def _explained(self, doing: str) -> AbstractContextManager[None]:
        return explained(self.repo_id, doing, self._safe, self._again)

    def _again(self) -> str:
        if self.create_pr and self._in_doubt:
            return "if no pull request of yours is there, run the same again"
        return "run the same again: what has arrived is not sent again"

    def _safe(self) -> str:
        """Say what is in the repository after a failure."""
        if not self._in_doubt:
            return "Nothing was published."
        where = "discussions" if self.create_pr else f"commits/{self.revision or 'main'}"
        return f"Either all of it was published or nothing: {self.url}/{where} tells."


def download_folder(
    repo_id: str,
    kind: RepoKind,
    files: Sequence[str],
    *,
    revision: str | None = None,
    token: str | None = None,
) -> Path:
    """Fetch files of a repository and return the folder they lie in, in the Hub's cache.

    Args:
        repo_id: ``owner/name``.
        kind: ``dataset``, ``model`` or ``space``.
        files: patterns of their paths.
        revision: branch, tag or commit.
        token: of the Hub; the one you are logged in with if not given.

    Raises:
        HubError: there is no such repository, or it cannot be reached.
    """
    api, name = HfApi(token=token), f"{kind} {repo_id}"
    with explained(repo_id, "fetching it", lambda: "", lambda: "run the same again"):
        try:
            api.repo_info(repo_id, repo_type=kind, revision=revision)
        except CLIENT_ERRORS as error:
            failure = classify(error)
            if failure is None or failure.kind not in (Kind.UNREACHABLE, Kind.OFFLINE, Kind.BROKEN):
                raise
            folder = _cached(repo_id, kind, files, revision)
            if folder is None:
                raise
            say(f"{name}: {failure.what}; the copy that was fetched before is used, which may be an old one")
            return folder
        return Path(
            snapshot_download(
                repo_id, repo_type=kind, allow_patterns=list(files), revision=revision, token=token
            )
        )


def _cached(repo_id: str, kind: RepoKind, files: Sequence[str], revision: str | None) -> Path | None:
    try:
        return Path(
            snapshot_download(
                repo_id,
                repo_type=kind,
                allow_patterns=list(files),
                revision=revision,
                local_files_only=True,
            )
        )
    except LocalEntryNotFoundError:
        return None
