"""Repositories of the Hub: one commit that survives what goes wrong on the way, and errors that say what is safe."""

from esnera_hf.hub.download import download_folder
from esnera_hf.hub.readme import join_readme
from esnera_hf.hub.repository import Changes, HubRepository, Published, RepositoryState

__all__ = ["Changes", "HubRepository", "Published", "RepositoryState", "download_folder", "join_readme"]
