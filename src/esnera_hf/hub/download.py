"""Some files of a repository, fetched to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from esnera_hf.console import say
from esnera_hf.hub.commit import RepoKind
from esnera_hf.hub.failures import CLIENT_ERRORS, Kind, classify, explained


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
