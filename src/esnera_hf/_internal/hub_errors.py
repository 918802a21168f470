"""Errors of the Hub's clients, sorted by what a user can do about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

from esnera_hf._internal.console import say
from esnera_hf.errors import HubError

#: Everything that a call to the Hub may raise; :func:`classify` tells which of it is the Hub's doing.
CLIENT_ERRORS = (HfHubHTTPError, httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError, ValueError)

_TOKEN = re.compile(r"hf_\w+")


class Kind(Enum):
    """What a user can do about a failure, a sentence without its full stop."""

    NO_TOKEN = "Log in with `hf auth login`, or set HF_TOKEN to a token with write access"
    BAD_TOKEN = "Log in anew with `hf auth login`, or set HF_TOKEN to a valid token with write access"
    FORBIDDEN = "Use a token with write access to that repository, or publish under a name of your own"
    NOT_FOUND = "Check the name, and that your token may see it"
    REFUSED = "Change what the Hub objects to"
    RACE = "Somebody else is writing to it: wait until they are done"
    BUSY = "Wait a few minutes"
    BROKEN = "The Hub has trouble: wait a few minutes"
    UNREACHABLE = "Check the connection, the proxy and HF_ENDPOINT"
    OFFLINE = "Unset HF_HUB_OFFLINE"


#: By status: kind, what happened, and whether the Hub may have done what was asked all the same.
_ANSWERS = {
    401: (Kind.BAD_TOKEN, "the Hub does not accept the token", False),
    403: (Kind.FORBIDDEN, "the token has no right to do this", False),
    404: (Kind.NOT_FOUND, "the Hub has no such thing", False),
    408: (Kind.BROKEN, "the Hub failed", True),
    409: (Kind.RACE, "it was changed by another writer at the same moment", False),
    412: (Kind.RACE, "it was changed by another writer at the same moment", False),
    429: (Kind.BUSY, "the Hub asks to be called less often", False),
}
#: Errors without an answer of the Hub; the first that fits counts.
_SILENCE: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Kind, str, bool], ...] = (
    (OfflineModeIsEnabled, Kind.OFFLINE, "HF_HUB_OFFLINE is set, so the Hub may not be called", False),
    (LocalTokenNotFoundError, Kind.NO_TOKEN, "there is no token", False),
    (httpx.TimeoutException, Kind.UNREACHABLE, "the Hub did not answer in time", True),
    ((httpx.ConnectError, ConnectionRefusedError), Kind.UNREACHABLE, "the Hub cannot be reached", False),
    ((httpx.HTTPError, ConnectionError), Kind.UNREACHABLE, "the connection broke ({})", True),
)
#: A failed call: what can be done about it; what happened, half a sentence without a token in it; whether the
#: Hub may have done what was asked all the same.
Failure = tuple[Kind, str, bool]


def classify(error: BaseException) -> Failure | None:
    """Tell what a client's exception means, ``None`` if it is not about the Hub."""
    for link in links_of(error):
        if isinstance(link, (HfHubHTTPError, httpx.HTTPStatusError)):
            return _from_answer(link)
        if isinstance(link, HFValidationError):
            return Kind.REFUSED, first_line(link), False
        for errors, kind, what, applied in _SILENCE:
            if isinstance(link, errors):
                return kind, what.format(type(link).__name__), applied
    return None


def links_of(error: BaseException | None, *, hidden: bool = False) -> Iterator[BaseException]:
    """Yield an exception and those behind it; those that were dealt with only if ``hidden``."""
    seen: set[int] = set()  # an exception may be its own context, by way of others
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        before = error.__context__ if hidden or not error.__suppress_context__ else None
        error = error.__cause__ or before


def _from_answer(error: HfHubHTTPError | httpx.HTTPStatusError) -> Failure:
    status = error.response.status_code
    message = (error.server_message or "") if isinstance(error, HfHubHTTPError) else ""
    reason = without_tokens(message.strip().split("\n")[0])
    answer = f" ({status}: {reason})" if reason else f" ({status})"
    if isinstance(error, RevisionNotFoundError):
        return Kind.NOT_FOUND, f"there is no such revision{answer}", False
    if isinstance(error, RepositoryNotFoundError):
        return Kind.NOT_FOUND, f"there is no such repository that you may see{answer}", False
    other = (
        (Kind.REFUSED, "the Hub refuses it", False) if status < 500 else (Kind.BROKEN, "the Hub failed", True)
    )
    kind, what, applied = _ANSWERS.get(status, other)
    return kind, what + answer, applied


@contextmanager
def explained(repo_id: str, doing: str, again: str, safe: str = "", doubt: str = "") -> Iterator[None]:
    """Turn errors of the clients into a :class:`HubError` of one line: what happened, what is safe, what to do.

    Args:
        repo_id: what it is about.
        doing: what was being done, ``"committing"``.
        again: what to do once the trouble is over, half a sentence.
        safe: a sentence on what is in the repository now, empty where nothing is written.
        doubt: the same where the Hub may have done what was asked all the same; ``safe`` if empty.
    """
    try:
        yield
    except KeyboardInterrupt:
        stopped, advice = f"{repo_id}: interrupted while {doing}.", f"{again[0].upper()}{again[1:]}."
        say(" ".join(filter(None, [stopped, doubt or safe, advice])))
        raise
    except CLIENT_ERRORS as error:
        failure = None if isinstance(error, HubError) else classify(error)
        if failure is None:  # a mistake of ours, or of the disk: its traceback is worth more than a line
            raise
        kind, what, applied = failure
        happened = f"{repo_id}: {doing}: {what.removesuffix('.')}."
        state = doubt if applied and doubt else safe
        raise HubError(" ".join(filter(None, [happened, state, f"{kind.value}; then {again}."]))) from None


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, without tokens."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return without_tokens(lines[0]) if lines else type(error).__name__


def without_tokens(text: str) -> str:
    """Return a text with everything that looks like a token of the Hub taken out."""
    return _TOKEN.sub("hf_…", text)
