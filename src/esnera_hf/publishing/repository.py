"""Files and a card go to a repository that may hold others' files and an earlier push's."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from esnera_hf.cards import Card
from esnera_hf.hub import Changes, HubRepository, Published, RepositoryState, join_readme

README = "README.md"
#: Lists what a push wrote, so that the next one can take away what is no more.
MANIFEST = "esnera.json"


def commit_with_card(
    repository: HubRepository,
    files: Mapping[str, Path],
    card: Card,
    message: str,
    *,
    facts: Mapping[str, Any] | None = None,
    on_earlier: Callable[[Mapping[str, Any]], None] | None = None,
) -> Published:
    """Commit files and card; files of an earlier push that are no more go, all else stays.

    Args:
        repository: prepared for writing.
        files: by path in the repository.
        card: joins the README that is there.
        message: of the commit.
        facts: what else the list of files tells the next push, ``configs`` among it.
        on_earlier: is told what the list of an earlier push says.

    Raises:
        HubError: the Hub refuses it or cannot be reached; nothing is half published.
    """
    manifest = {**(facts or {}), "files": sorted([*files, MANIFEST])}
    content = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")

    def plan(state: RepositoryState) -> Changes:
        before = read_manifest(state.read(MANIFEST))
        if on_earlier is not None:
            on_earlier(before)
        replaced = [str(name) for name in before.get("configs") or ()]
        readme = join_readme(state.read(README), card.metadata, card.body, replaced)
        kept: Collection[str] = {*files, README, MANIFEST}
        stale = {path for path in before["files"] if isinstance(path, str) and path not in kept}
        changed: dict[str, bytes | Path] = {
            **files,
            MANIFEST: content,
            README: readme.encode("utf-8", "replace"),
        }
        return Changes(changed, frozenset(stale))

    return repository.commit(plan, message)


def read_manifest(text: str) -> dict[str, Any]:
    """Read the list of what an earlier push wrote; ``files`` is empty if there is none or it makes no sense."""
    try:
        manifest = json.loads(text or "{}")
    except ValueError:
        manifest = {}
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), list):
        return {"files": []}
    return manifest
