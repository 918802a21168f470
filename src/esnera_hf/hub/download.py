"""Some files of a repository, fetched to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download

from esnera_hf.hub.failures import explained
from esnera_hf.hub.repository import RepoKind
from esnera_hf.hub_client import hub_client


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
    with hub_client(), explained(repo_id, "fetching it", lambda: "", "run the same again"):
        folder = snapshot_download(
            repo_id, repo_type=kind, allow_patterns=list(files), revision=revision, token=token
        )
    return Path(folder)
