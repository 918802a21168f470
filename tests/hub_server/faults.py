"""Faults on demand, and the log of what was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

HANG = 3600.0


@dataclass
class Fault:
    """What goes wrong with some requests. The first fault that fits a request takes it.

    Attributes:
        path: regular expression that is searched for in the raw path with its query.
        method: ``GET``, ``PUT`` …; any if empty.
        status: of the answer instead of the proper one; ``0`` leaves the proper one.
        body: of that answer; with ``status=0``, instead of the proper body.
        headers: added to the answer.
        times: how many requests fail; ``-1`` is all of them.
        skip: how many requests that it would take go well before.
        delay: seconds to wait before the request is handled.
        hang: never answer.
        drop_after: reset the connection after so many bytes of the body: of the
            request if it has one, else, and with ``after``, of the answer, of which
            ``0`` lets not even the head through.
        in_order: close the dropped connection in order instead of resetting it, as a
            proxy does; some clients try again only then.
        after: first do what was asked, then answer the error or drop the connection.
    """

    path: str = ""
    method: str = ""
    status: int = 0
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    skip: int = 0
    delay: float = 0.0
    hang: bool = False
    drop_after: int | None = None
    in_order: bool = False
    after: bool = False

    @property
    def answers(self) -> bool:
        """Whether another answer is given than the proper one."""
        return bool(self.status) and self.drop_after is None


class FaultList:
    """The faults to come, in order."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault of a request, counting it, or ``None``."""
        with self._lock:
            for fault in self._faults:
                if fault.times == 0 or (fault.method and fault.method != method):
                    continue
                if not re.search(fault.path, path):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None


@dataclass
class LoggedRequest:
    """One request.

    Attributes:
        method: ``GET``, ``PUT`` …
        path: raw, with its query.
        body: bytes of body that arrived.
        status: of the answer; ``0`` if there was none.
        origin: ``hub``, or ``cdn`` for the storage.
        user: who asked, ``""`` if unknown.
    """

    method: str
    path: str
    body: int = 0
    status: int = 0
    origin: str = "hub"
    user: str = ""
