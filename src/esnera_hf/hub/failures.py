"""What the clients of the Hub raise, sorted by what can be done about it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

from esnera_hf.console import say
from esnera_hf.errors import HubError

#: Everything that may come out of a call to the Hub; which of it is the Hub's doing, :func:`classify` tells.
CLIENT_ERRORS = (HfHubHTTPError, httpx.HTTPError, OSError, RuntimeError, ValueError)

_LONGEST_WAIT = 300.0
_TOKEN = re.compile(r"hf_\w+")


class Kind(Enum):
    """What went wrong."""

    NO_TOKEN = "no token"
    BAD_TOKEN = "bad token"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not found"
    REFUSED = "refused"
    RACE = "race"
    BUSY = "busy"
    BROKEN = "broken"
    UNREACHABLE = "unreachable"
    OFFLINE = "offline"


#: After these the same call may succeed.
PASSING = {Kind.BUSY, Kind.BROKEN, Kind.UNREACHABLE}

#: What the user can do about each, a sentence without its full stop.
ADVICE = {
    Kind.NO_TOKEN: "Log in with `hf auth login`, or set HF_TOKEN to a token with write access",
    Kind.BAD_TOKEN: "Log in anew with `hf auth login`, or set HF_TOKEN to a valid token with write access",
    Kind.FORBIDDEN: "Use a token with write access to that repository, or publish under a name of your own",
    Kind.NOT_FOUND: "Check the name, and that your token may see it",
    Kind.REFUSED: "Change what the Hub objects to",
    Kind.RACE: "Somebody else is writing to it: wait until they are done",
    Kind.BUSY: "Wait a few minutes",
    Kind.BROKEN: "The Hub has trouble: wait a few minutes",
    Kind.UNREACHABLE: "Check the connection, the proxy and HF_ENDPOINT",
    Kind.OFFLINE: "Unset HF_HUB_OFFLINE",
}


@dataclass(frozen=True)
class Failure:
    """One failed call.

    Attributes:
        kind: what can be done about it.
        what: what happened, half a sentence without a token in it.
        wait: seconds after which the Hub asks to be called again.
        applied: whether the Hub may have done what was asked all the same.
    """

    kind: Kind
    what: str
    wait: float | None = None
    applied: bool = False

    @property
    def advice(self) -> str:
        """What the user can do, a sentence without its full stop."""
        return ADVICE[self.kind]


def classify(error: BaseException) -> Failure | None:
    """Tell what a client's exception means, ``None`` if it is not about the Hub."""
    for link in _chain(error):
        if isinstance(link, HfHubHTTPError):
            return _from_answer(link, link.server_message or "")
        if isinstance(link, httpx.HTTPStatusError):
            return _from_answer(link, "")
        if isinstance(link, OfflineModeIsEnabled):
            return Failure(Kind.OFFLINE, "HF_HUB_OFFLINE is set, so the Hub may not be called")
        if isinstance(link, LocalTokenNotFoundError):
            return Failure(Kind.NO_TOKEN, "there is no token")
        if isinstance(link, HFValidationError):
            return Failure(Kind.REFUSED, first_line(link))
        if isinstance(link, httpx.TimeoutException):
            return Failure(Kind.UNREACHABLE, "the Hub did not answer in time", applied=True)
        if isinstance(link, (httpx.ConnectError, ConnectionRefusedError)):
            return Failure(Kind.UNREACHABLE, "the Hub cannot be reached")
        if isinstance(link, (httpx.HTTPError, ConnectionError)):
            return Failure(Kind.UNREACHABLE, f"the connection broke ({type(link).__name__})", applied=True)
    return None


@contextmanager
def explained(repo_id: str, doing: str, safe: Callable[[], str], again: Callable[[], str]) -> Iterator[None]:
    """Turn what the clients raise into a :class:`HubError` of one line: what happened, what is safe, what to do.

    Args:
        repo_id: what it is about.
        doing: what was being done, ``"committing"``.
        safe: says what is in the repository now, ``""`` where nothing is written.
        again: says what to do then, half a sentence.
    """
    try:
        yield
    except KeyboardInterrupt:
        then = again()
        say(
            " ".join(
                filter(
                    None, [f"{repo_id}: interrupted while {doing}.", safe(), f"{then[0].upper()}{then[1:]}."]
                )
            )
        )
        raise
    except CLIENT_ERRORS as error:
        failure = None if isinstance(error, HubError) else classify(error)
        if failure is None:
            raise
        what, done = failure.what.removesuffix("."), safe()
        raise HubError(
            f"{repo_id}: {doing}: {what}.{done and ' '}{done} {failure.advice}; then {again()}."
        ) from None


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says, without tokens."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return without_tokens(lines[0]) if lines else type(error).__name__


def without_tokens(text: str) -> str:
    """Return a text with everything that looks like a token of the Hub taken out."""
    return _TOKEN.sub("hf_…", text)


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and what it was raised from, explicitly or while it was handled."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain


def _from_answer(error: HfHubHTTPError | httpx.HTTPStatusError, message: str) -> Failure:
    status = error.response.status_code
    said = without_tokens(message.strip().split("\n")[0])
    told = f" ({status}: {said})" if said else f" ({status})"
    if isinstance(error, RevisionNotFoundError):
        return Failure(Kind.NOT_FOUND, f"there is no such revision{told}")
    if isinstance(error, RepositoryNotFoundError):
        return Failure(Kind.NOT_FOUND, f"there is no such repository that you may see{told}")
    if status == 401:
        return Failure(Kind.BAD_TOKEN, f"the Hub does not accept the token{told}")
    if status == 403:
        return Failure(Kind.FORBIDDEN, f"the token has no right to do this{told}")
    if status == 404:
        return Failure(Kind.NOT_FOUND, f"the Hub has no such thing{told}")
    if status in (409, 412):
        return Failure(Kind.RACE, f"it was changed by another writer at the same moment{told}")
    if status == 429:
        return Failure(Kind.BUSY, f"the Hub asks to be called less often{told}", _retry_after(error))
    if status >= 500 or status == 408:
        return Failure(Kind.BROKEN, f"the Hub failed{told}", _retry_after(error), applied=True)
    if isinstance(error, BadRequestError) or 400 <= status < 500:
        return Failure(Kind.REFUSED, f"the Hub refuses it{told}")
    return Failure(Kind.BROKEN, f"the Hub gave an answer that makes no sense{told}")


def _retry_after(error: HfHubHTTPError | httpx.HTTPStatusError) -> float | None:
    try:
        seconds = float(error.response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(seconds, _LONGEST_WAIT) if math.isfinite(seconds) and seconds >= 0 else None
