"""``esnera-hf review``: who may see and save, and what a save leaves in the folder."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from builders import refusal
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.cli.review import EDITED, ReviewedFolder, ReviewServer
from esnera_hf.errors import EsneraError, SourceNotFoundError
from esnera_hf.report.files import write_report
from results import make_result


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    result = make_result()
    write_report(tmp_path, result.report, result.mapping, result.similarity)
    return tmp_path


@pytest.fixture
def server(saved: Path) -> Iterator[ReviewServer]:
    with ReviewServer(ReviewedFolder(saved)) as opened:
        thread = Thread(target=opened.serve_forever, daemon=True)
        thread.start()
        yield opened
        opened.shutdown()


def ask(
    server: ReviewServer,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: str | None = None,
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def opened(server: ReviewServer) -> dict[str, str]:
    """Use the address; return what the browser would send from then on."""
    status, headers, _ = ask(server, "GET", f"/?token={server.token}")
    assert (status, headers["Location"]) == (303, "/")
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    return {"Cookie": headers["Set-Cookie"].partition(";")[0], "Origin": server.origin}


def test_only_this_machine_can_reach_it_and_the_address_works_once(server: ReviewServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    token = server.token
    assert len(token) > 40
    for path in ("/", "/?token=", "/?token=wrong", f"/?token={token[:-1]}", "/mapping", "/../report.json"):
        assert ask(server, "GET", path)[0] in (403, 404), path
    known = opened(server)
    assert ask(server, "GET", f"/?token={token}")[0] == 403
    status, headers, page = ask(server, "GET", "/", known)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert {headers[name] for name in ("Cache-Control", "X-Frame-Options")} == {"no-store", "DENY"}
    assert "Save into the folder" in page
    assert token not in page


@pytest.mark.parametrize(
    "changes",
    [
        {"Cookie": ""},
        {"Cookie": "esnera-1=x; other"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example:80"},
    ],
)
def test_nobody_else_saves(server: ReviewServer, saved: Path, changes: dict[str, str]) -> None:
    body = (saved / MAPPING_FILE).read_text(encoding="utf-8")
    assert ask(server, "POST", "/mapping", opened(server) | changes, body)[0] in (403, 404)
    assert not (saved / EDITED).exists()


def test_what_is_saved_stands_beside_the_mapping_and_is_gone_on_from(
    server: ReviewServer, saved: Path
) -> None:
    before = {file.name: file.read_bytes() for file in saved.iterdir()}
    mapping = LabelMapping.load(saved / MAPPING_FILE)
    edited = replace(mapping, entries=tuple(replace(entry, locked=True) for entry in mapping.entries))
    status, _, said = ask(server, "POST", "/mapping", opened(server), edited.to_yaml())
    assert (status, "esnera-hf apply" in said, str(saved / EDITED) in said) == (200, True, True)
    assert LabelMapping.load(saved / EDITED) == edited
    assert {file.name: file.read_bytes() for file in saved.iterdir() if file.name != EDITED} == before
    assert ReviewedFolder(saved).page.count('"locked": true') == len(edited.entries)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "found no version"),
        (
            "version: 2\nunified_labels: []\nlabels: []\n",
            "is not of the labels of this alignment: alpha:city",
        ),
        ("a: [", "not valid YAML"),
        ("version: 1", "found version '1'"),
    ],
)
def test_what_is_no_mapping_of_these_labels_is_refused(
    server: ReviewServer, saved: Path, body: str, message: str
) -> None:
    status, _, said = ask(server, "POST", "/mapping", opened(server), body)
    assert (status, said.startswith("Not saved: ")) == (409, True)
    assert message in said
    assert not (saved / EDITED).exists()


def test_too_much_is_not_read(server: ReviewServer) -> None:
    headers = opened(server) | {"Content-Length": "99999999999"}
    assert ask(server, "POST", "/mapping", headers)[0] == 413


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(saved: Path) -> None:
    folder, text = ReviewedFolder(saved), (saved / MAPPING_FILE).read_text(encoding="utf-8")
    folder.save(text)
    (saved / EDITED).write_text(text + "# mine\n", encoding="utf-8")
    with pytest.raises(EsneraError, match="was changed since it was read, and was not overwritten"):
        folder.save(text)
    assert (saved / EDITED).read_text(encoding="utf-8").endswith("# mine\n")


def test_a_failed_save_leaves_what_was_there(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, text = ReviewedFolder(saved), (saved / MAPPING_FILE).read_text(encoding="utf-8")
    folder.save(text)
    before = sorted(file.name for file in saved.iterdir())
    monkeypatch.setattr(os, "replace", _full)
    with pytest.raises(OSError, match="No space"):
        folder.save(text + "# more\n")
    assert sorted(file.name for file in saved.iterdir()) == before
    assert (saved / EDITED).read_text(encoding="utf-8") == text


def _full(source: str, target: str) -> None:
    raise OSError(28, "No space left on device")


def test_a_folder_without_an_alignment_and_a_port_that_is_none_are_refused(
    saved: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "no saved alignment" in refusal(capsys, "review", tmp_path / "none")
    assert "--port 99999" in refusal(capsys, "review", saved, "--port", 99999)
    with pytest.raises(SourceNotFoundError):
        ReviewedFolder(tmp_path / "none")
