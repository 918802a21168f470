"""What a commit to the Hub starts from, changes, and comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
