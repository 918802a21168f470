"""What the clients raise is told apart."""

from __future__ import annotations

import pytest
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import httpx

from esnera_hf._internal.hub_errors import Kind, classify, explained, first_line, without_tokens
from esnera_hf.errors import HubError

REQUEST = httpx.Request("GET", "http://127.0.0.1/x")


def answer(status: int, message: str = "") -> httpx.Response:
    return httpx.Response(status, headers={"X-Error-Message": message}, request=REQUEST)


def raised(status: int) -> HfHubHTTPError:
    return HfHubHTTPError("no", response=answer(status))


def behind(outer: Exception, inner: Exception, *, dealt_with: bool = False) -> Exception:
    """Return an exception raised while another was handled: from it, or from nothing if that was dealt with."""
    outer.__context__, outer.__suppress_context__ = inner, dealt_with
    outer.__cause__ = None if dealt_with else inner
    return outer


ANSWERS = dict(zip((401, 403, 404), (Kind.BAD_TOKEN, Kind.FORBIDDEN, Kind.NOT_FOUND), strict=True))
ANSWERS |= {409: Kind.RACE, 412: Kind.RACE, 422: Kind.REFUSED, 429: Kind.BUSY}


@pytest.mark.parametrize(
    ("error", "kind", "applied"),
    [
        *((raised(status), kind, False) for status, kind in ANSWERS.items()),
        (raised(503), Kind.BROKEN, True),
        (httpx.HTTPStatusError("no", request=REQUEST, response=answer(500)), Kind.BROKEN, True),
        (httpx.ReadTimeout("slow"), Kind.UNREACHABLE, True),
        (httpx.ReadError("gone"), Kind.UNREACHABLE, True),
        (httpx.ConnectError("no"), Kind.UNREACHABLE, False),
        (ConnectionError("no"), Kind.UNREACHABLE, True),
        (OfflineModeIsEnabled("no"), Kind.OFFLINE, False),
        (HFValidationError("a name that is none"), Kind.REFUSED, False),
        (behind(RuntimeError("Error while uploading"), raised(500)), Kind.BROKEN, True),
        (behind(ValueError("a mistake of ours"), raised(404), dealt_with=True), None, None),
        (FileNotFoundError("a local file"), None, None),
        (ValueError("something else"), None, None),
    ],
)
def test_kinds(error: Exception, kind: Kind | None, applied: bool | None) -> None:
    failure = classify(error)
    assert (failure and failure[0], failure and failure[2]) == (kind, applied)


def test_no_token_is_passed_on() -> None:
    said = "bad token hf_abcDEF123 given"
    error = HfHubHTTPError("no", response=answer(400, said), server_message=said)
    failure = classify(error)
    assert failure is not None
    assert "hf_abc" not in failure[1]
    assert without_tokens("a hf_abcDEF123 b") == "a hf_… b"
    assert first_line(ValueError("\n  hf_abcDEF123 \nmore")) == "hf_…"
    assert first_line(ValueError("")) == "ValueError"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (raised(429), "the Hub asks to be called less often (429). Nothing is there. Wait a few minutes"),
        (raised(503), "the Hub failed (503). Look there. The Hub has trouble: wait a few minutes"),
    ],
)
def test_explained_in_one_line(error: Exception, state: str) -> None:
    with (
        pytest.raises(HubError) as caught,
        explained("me/x", "committing", "run the same again", "Nothing is there.", "Look there."),
    ):
        raise error
    assert str(caught.value) == f"me/x: committing: {state}; then run the same again."


def test_other_errors_and_interrupts_stay_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), explained("me/x", "committing", "again"):
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), explained("me/x", "committing", "try again", "Nothing was sent."):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "me/x: interrupted while committing. Nothing was sent. Try again.\n"
