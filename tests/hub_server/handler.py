"""HTTP of the server: reads a request, lets faults happen, writes the answer."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from hub_server.faults import HANG, Fault, LoggedRequest
from hub_server.state import Refusal, Token

if TYPE_CHECKING:
    from hub_server.server import HubServer


@dataclass
class Request:
    """What was asked: ``path`` is raw, that is percent-encoded and without the query."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    token: Token | None = None

    def flag(self, name: str) -> bool:
        """Tell whether a query parameter is set to something true."""
        return self.query.get(name, ["0"])[0].lower() in ("1", "true")

    def json(self) -> dict[str, Any]:
        """Return the body, which must be a JSON object."""
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise Refusal(400, f"Invalid JSON: {error}") from None
        if not isinstance(value, dict):
            raise Refusal(400, "Expected a JSON object")
        return value

    def form(self) -> dict[str, list[str]]:
        """Return the body, which must be form-encoded."""
        if not self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            raise Refusal(400, "Expected a form")
        return parse_qs(self.body.decode(), keep_blank_values=True)


@dataclass
class Answer:
    """What is answered."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        """Answer with JSON; underscores in the names of headers stand for hyphens."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


def refused(refusal: Refusal) -> Answer:
    """Return the answer of a refusal."""
    headers = {"X_Error_Message": refusal.message.encode("latin-1", "replace").decode("latin-1")}
    if refusal.code:
        headers["X_Error_Code"] = refusal.code
    return Answer.of(refusal.body or {"error": refusal.message}, refusal.status, **headers)


#: Requests the clients make of their own accord: neither logged nor failed.
BACKGROUND = ("/api/telemetry/", "/api/agent-harnesses")

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def ranged(data: bytes, request: Request, headers: dict[str, str]) -> Answer:
    """Answer with a file, or with the part of it that was asked for."""
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or asked.group(0) == "bytes=-":
        return Answer(200, data, headers)
    first, last = asked.groups()
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last) + 1, len(data)) if first and last else len(data)
    if start >= len(data) or start >= end:
        return Answer(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"})
    return Answer(206, data[start:end], {**headers, "Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})


class _DroppedError(Exception):
    """The connection is to be reset."""


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Origin

    def handle_any(self) -> None:
        """Handle one request from its first byte to the last of the answer."""
        hub = self.server.hub
        logged = LoggedRequest(self.command, self.path, origin=self.server.name)
        fault = Fault()
        if not self.path.startswith(BACKGROUND):
            hub.log.append(logged)
            fault = hub.faults.take(self.command, self.path) or fault
        try:
            if fault.delay or fault.hang:
                hub.closing.wait(HANG if fault.hang else fault.delay)
                if fault.hang:
                    raise _DroppedError
            answer = self._answered(fault, logged)
            logged.status = answer.status
            self._write(answer, fault)
        except _DroppedError:
            self._drop(in_order=fault.in_order)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any  # noqa: N815

    def _answered(self, fault: Fault, logged: LoggedRequest) -> Answer:
        chunked = "Content-Length" not in self.headers and self.headers.get("Transfer-Encoding")
        if chunked or (self.command == "PUT" and "Content-Length" not in self.headers):
            self.close_connection = True
            return refused(Refusal(411, "Length Required"))
        length = int(self.headers.get("Content-Length") or 0)
        if fault.drop_after is not None and length and not fault.after:
            logged.body = len(self.rfile.read(min(fault.drop_after, length)))
            raise _DroppedError
        body = self.rfile.read(length)
        logged.body = len(body)
        if len(body) < length:
            raise _DroppedError
        path, _, query = self.path.partition("?")
        request = Request(
            self.command, path, parse_qs(query, keep_blank_values=True), dict(self.headers.items()), body
        )
        if fault.answers and not fault.after:
            return self._faulty(fault)
        try:
            answer = self.server.respond(request)
        except Refusal as refusal:
            answer = refused(refusal)
        if request.token is not None:
            logged.user = request.token.user.name
        if fault.answers:
            return self._faulty(fault)
        answer.headers.update(fault.headers)
        if fault.body is not None:
            answer.body = fault.body
        return answer

    def _faulty(self, fault: Fault) -> Answer:
        body = fault.body if fault.body is not None else b'{"error": "as the test wants it"}'
        return Answer(fault.status, body, {"Content-Type": "application/json", **fault.headers})

    def _write(self, answer: Answer, fault: Fault) -> None:
        body = answer.body
        if fault.drop_after == 0:
            raise _DroppedError
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if fault.drop_after is not None:
            self.wfile.write(body[: fault.drop_after])
            # The bytes must leave before the reset overtakes them.
            time.sleep(0.05)
            raise _DroppedError
        if self.command != "HEAD":
            self.wfile.write(body)

    def _drop(self, *, in_order: bool) -> None:
        self.close_connection = True
        if in_order:
            return
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def finish(self) -> None:
        """End the connection, which may be gone already."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the server has a log of its own."""


class Origin(ThreadingHTTPServer):
    """One port of the server: the Hub, or its storage."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, hub: HubServer, name: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.hub = hub
        self.name = name

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def respond(self, request: Request) -> Answer:
        """Answer a request, one at a time."""
        with self.hub.lock:
            return self.hub.respond(self.name, request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, which may be closed already."""
        with contextlib.suppress(OSError):
            super().shutdown_request(request)
