"""The clients of the Hub within the process of the tests, which is quicker than a process of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import datasets
import huggingface_hub
from huggingface_hub import HfFileSystem, constants, file_download, hf_api
from huggingface_hub.utils import _http

from hub_server.client import client_environment
from hub_server.server import HubServer


class Waits(list[float]):
    """Stands in for the module ``time`` of the clients: notes how long they would wait, and does not."""

    def sleep(self, seconds: float) -> None:
        self.append(seconds)

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)


@contextmanager
def clients_inside(server: HubServer | str, home: Path, *, token: str | None = None) -> Iterator[Waits]:
    """Let huggingface_hub and datasets of this process take a server for the Hub.

    What they read at import is replaced within the block; transformers are not
    covered. Waits between their tries take no time and are returned.

    Args:
        server: the server, or an address.
        home: folder for the caches.
        token: for ``HF_TOKEN``.
    """
    url = server if isinstance(server, str) else server.url
    environment = client_environment(url, home, token=token)
    cache, config, waits = home / "hf", datasets.config, Waits()
    dropped = {name: "" for name in os.environ if name not in environment}
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, environment))
        for name in dropped:
            del os.environ[name]
        for owner, values in (
            (
                constants,
                {
                    "ENDPOINT": url,
                    "HUGGINGFACE_CO_URL_TEMPLATE": url + "/{repo_id}/resolve/{revision}/{filename}",
                    "HF_URL_HOSTS": constants.HF_URL_HOSTS | {"127.0.0.1"},
                    "HF_HUB_OFFLINE": False,
                    "HF_HUB_DISABLE_XET": True,
                    "HF_HOME": str(cache),
                    "HF_HUB_CACHE": str(cache / "hub"),
                    "HF_TOKEN_PATH": str(cache / "token"),
                    "AGENT_HARNESSES_PATH": str(cache / "harnesses.json"),
                },
            ),
            (
                config,
                {
                    "HF_ENDPOINT": url,
                    "HUB_DATASETS_URL": url + "/datasets/{repo_id}/resolve/{revision}/{path}",
                    "HF_HUB_OFFLINE": False,
                    "HF_DATASETS_OFFLINE": False,
                    "HF_UPDATE_DOWNLOAD_COUNTS": False,
                    "USE_PARQUET_EXPORT": False,
                    "HF_DATASETS_CACHE": cache / "datasets",
                    "HF_MODULES_CACHE": cache / "modules",
                    "DOWNLOADED_DATASETS_PATH": cache / "datasets/downloads",
                    "EXTRACTED_DATASETS_PATH": cache / "datasets/downloads/extracted",
                },
            ),
            (hf_api.api, {"endpoint": url, "_whoami_cache": {}}),
            (_http, {"time": waits}),
            (file_download, {"time": waits}),
        ):
            for name, value in values.items():
                stack.enter_context(patch.object(owner, name, value))
        stack.callback(_forget)
        _forget()
        yield waits


def _forget() -> None:
    """Close connections and drop what the clients remember of a server."""
    huggingface_hub.close_session()
    HfFileSystem.clear_instance_cache()
