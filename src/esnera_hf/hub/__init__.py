"""Repositories of the Hub: one commit that survives what goes wrong on the way, and errors that say what is safe."""

from __future__ import annotations

from esnera_hf.hub.readme import (
    EarlierPush,
    config_paths,
    configs_of_others,
    join_readme,
    lies_where_pushed,
    read_metadata,
)
from esnera_hf.hub.repository import Changes, HubRepository, Published, RepositoryState, download_folder

__all__ = [
    "Changes",
    "EarlierPush",
    "HubRepository",
    "Published",
    "RepositoryState",
    "config_paths",
    "configs_of_others",
    "download_folder",
    "join_readme",
    "lies_where_pushed",
    "read_metadata",
]
