"""Calls to the Hub with a limit of time: its client has none of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import set_client_factory
from huggingface_hub.utils import _http, httpx  # type: ignore[attr-defined]

from esnera_hf.errors import ConfigurationError

TIMEOUT_VARIABLE = "ESNERA_HUB_TIMEOUT"
_CONNECT = 20.0
_READ = 120.0


@contextmanager
def hub_client() -> Iterator[None]:
    """Give every call to the Hub within the block a time limit.

    Raises:
        ConfigurationError: ``ESNERA_HUB_TIMEOUT`` is no positive number of seconds.
    """
    seconds = _seconds()
    limits = httpx.Timeout(seconds, connect=min(_CONNECT, seconds))
    before = _http._GLOBAL_CLIENT_FACTORY

    def limit(request: httpx.Request) -> None:
        # Some calls ask for no limit of their own accord, and would override that of the client.
        own = request.extensions.get("timeout", {})
        request.extensions["timeout"] = {
            name: default if own.get(name) is None else own[name]
            for name, default in limits.as_dict().items()
        }

    def with_limit() -> httpx.Client:
        client = before()
        client.timeout = limits
        client.event_hooks = {**client.event_hooks, "request": [*client.event_hooks["request"], limit]}
        return client

    set_client_factory(with_limit)
    try:
        yield
    finally:
        set_client_factory(before)


def _seconds() -> float:
    text = os.environ.get(TIMEOUT_VARIABLE)
    try:
        seconds = float(text) if text else _READ
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ConfigurationError(f"{TIMEOUT_VARIABLE}={text}: expected a positive number of seconds.")
    return seconds
