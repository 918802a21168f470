"""The unmodified clients of the Hub, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from hub_server.server import HubServer

#: Variables of the caller that would lead the clients elsewhere.
_DROPPED = (
    "HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_HUB_CACHE HF_DATASETS_CACHE HF_HUB_OFFLINE HF_DATASETS_OFFLINE "
    "TRANSFORMERS_OFFLINE HF_HUB_ENABLE_HF_TRANSFER ESNERA_DATA_DIR "
    "http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY"
).split()


def client_environment(
    url: str, home: Path, *, token: str | None = None, env: Mapping[str, str] | None = None, xet: bool = False
) -> dict[str, str]:
    """Return the environment in which clients talk to a server and to nothing else.

    Args:
        url: of the server.
        home: folder for ``HF_HOME`` and the package's own cache.
        token: for ``HF_TOKEN``.
        env: further variables.
        xet: whether large files are sent as the clients do by default; the server
            does not speak that protocol.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    kept |= {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_OFFLINE": "0",
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
    if not xet:
        kept["HF_HUB_DISABLE_XET"] = "1"
    if token is not None:
        kept["HF_TOKEN"] = token
    return kept | dict(env or {})


def run_client(
    server: HubServer | str,
    code: str,
    *,
    home: Path,
    token: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    xet: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run Python in a fresh process that takes a server for the Hub.

    Args:
        server: the server, or an address.
        code: Python; indented as a block is fine.
        home: folder for the caches, one of its own for each scenario.
        token: for ``HF_TOKEN``; none if not given.
        env: further variables.
        timeout: seconds after which the process is ended.
        xet: see :func:`client_environment`.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    url = server if isinstance(server, str) else server.url
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=client_environment(url, home, token=token, env=env, xet=xet),
        cwd=home,
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
