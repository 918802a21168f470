"""The unmodified clients of the Hub, led to a server: in this process, or in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import datasets
import huggingface_hub
from huggingface_hub import HfFileSystem, constants, file_download, hf_api
from huggingface_hub.utils import _http

from hub_server.server import HubServer

#: Variables of the caller that would lead the clients elsewhere.
_DROPPED = (
    "HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_HUB_CACHE HF_DATASETS_CACHE HF_HUB_OFFLINE HF_DATASETS_OFFLINE "
    "TRANSFORMERS_OFFLINE HF_HUB_ENABLE_HF_TRANSFER ESNERA_DATA_DIR "
    "http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY"
).split()


def client_environment(
    url: str, home: Path, *, token: str | None = None, env: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment in which clients talk to the server at ``url`` and keep their files in ``home``."""
    remaining = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    remaining |= {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",  # the server does not speak that protocol
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "NO_PROXY": "127.0.0.1,localhost",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        "ESNERA_CACHE_DIR": str(home / "esnera"),
    }
    return remaining | ({"HF_TOKEN": token} if token is not None else {}) | dict(env or {})


def run_client(
    server: HubServer | str,
    code: str,
    *,
    home: Path,
    token: str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python, perhaps indented, in a fresh process that takes a server for the Hub."""
    url = server if isinstance(server, str) else server.url
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=client_environment(url, home, token=token, env=env),
        cwd=home,
        text=True,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Waits(list[float]):
    """Stands in for the module ``time`` of the clients: notes how long they would wait, and does not."""

    def sleep(self, seconds: float) -> None:
        self.append(seconds)

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)


@contextmanager
def clients_inside(server: HubServer | str, home: Path, *, token: str | None = None) -> Iterator[Waits]:
    """Let huggingface_hub and datasets of this process take a server, or an address, for the Hub.

    What they read at import is replaced within the block; transformers are not covered. Waits between
    their tries take no time and are returned.
    """
    url = server if isinstance(server, str) else server.url
    environment = client_environment(url, home, token=token)
    cache, waits = home / "hf", Waits()
    hub_values = {
        "ENDPOINT": url,
        "HUGGINGFACE_CO_URL_TEMPLATE": url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_URL_HOSTS": constants.HF_URL_HOSTS | {"127.0.0.1"},
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HOME": str(cache),
        "HF_HUB_CACHE": str(cache / "hub"),
        "HF_TOKEN_PATH": str(cache / "token"),
        "AGENT_HARNESSES_PATH": str(cache / "harnesses.json"),
    }
    datasets_values = {
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
    }
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, environment, clear=True))
        for owner, values in (
            (constants, hub_values),
            (datasets.config, datasets_values),
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
