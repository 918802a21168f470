"""``review``: the page of a saved alignment, served to this machine alone, whose changes are saved into the folder."""

from __future__ import annotations

import argparse
import hashlib
import secrets
import webbrowser
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from esnera_hf._internal.files import replace_file
from esnera_hf.cli.options import Commands, add_command
from esnera_hf.errors import ConfigurationError, EsneraError, SourceNotFoundError

if TYPE_CHECKING:
    from esnera_hf.alignment.mapping import LabelMapping

#: Beside mapping.yaml, which describes the dataset of the folder and stays as it is.
EDITED = "mapping.edited.yaml"
#: Only this machine can reach it.
_HOST = "127.0.0.1"
#: What a mapping of several thousand labels takes.
_LARGEST = 10_000_000
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_REVIEW_HELP = """\
Open report.html of a saved alignment with its controls, and save what you change into the same folder, as
mapping.edited.yaml: mapping.yaml, which describes the dataset beside it, stays as it is. Only this machine can reach
the page, and only by the address that is printed; it works once. Ctrl-C ends it. Then apply what you saved:

  esnera-hf apply FOLDER/mapping.edited.yaml SOURCE … --output DIR
"""


def add_commands(commands: Commands) -> None:
    """Add the command."""
    purpose = "change the mapping of a saved alignment in the browser"
    review = add_command(commands, "review FOLDER", _review, purpose, _REVIEW_HELP, epilog="")
    review.add_argument("folder", type=Path, metavar="FOLDER", help="written by align --output")
    review.add_argument("--port", type=int, default=0, help="of the address (default: a free one)")
    review.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    review.set_defaults(interrupted="What was saved is in the folder.")


def _review(options: argparse.Namespace) -> None:
    folder = ReviewedFolder(options.folder)
    try:
        server = ReviewServer(folder, options.port)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"--port {options.port}: {error}. Choose another one, or leave it out."
        ) from None
    with server:
        print(f"{server.address}\nonly from this machine, and once; Ctrl-C ends it", flush=True)
        if not options.no_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt as error:
            if str(error):  # SIGTERM is no way to end it that a user chose
                raise
    print(
        f"\nsaved to {folder.edited}; apply it:\n  {folder.command}"
        if folder.saved
        else "\nnothing was saved"
    )


class ReviewedFolder:
    """A folder of a saved alignment, and the changed mapping in it.

    Attributes:
        edited: the file of the changed mapping.
        saved: whether anything was saved.

    Raises:
        SourceNotFoundError: the folder holds no saved alignment.
        MappingError: a mapping in it cannot be read, or the changed one is of other labels.
    """

    def __init__(self, folder: Path) -> None:
        from esnera_hf.alignment.mapping import LabelMapping
        from esnera_hf.report.files import REPORT_FILE, read_report

        if not (folder / REPORT_FILE).is_file():
            raise SourceNotFoundError(
                f"{folder}: no saved alignment, {REPORT_FILE} not found. Expected a folder written by "
                "`esnera-hf align --output`."
            )
        self._report, self._mapping, self._similarity = read_report(folder)
        self.edited, self.saved = folder / EDITED, False
        self._lock, self._digest = Lock(), self._digest_now()
        if self._digest:
            self._mapping = self._checked(LabelMapping.load(self.edited))

    @property
    def page(self) -> str:
        """The page, from the changed mapping if there is one."""
        from esnera_hf.report.html import render_report

        return render_report(self._report, self._mapping, self._similarity, served=True)

    @property
    def command(self) -> str:
        """The command that applies the changed mapping."""
        from esnera_hf.report.html import apply_command

        return apply_command(self._report, self._mapping, str(self.edited))

    def save(self, text: str) -> str:
        """Save a mapping and return what to say of it.

        Raises:
            EsneraError: it is no mapping of the same labels, or the file was changed by somebody else.
            OSError: it cannot be written; the file stays as it was.
        """
        from esnera_hf.alignment.mapping import LabelMapping

        mapping = self._checked(LabelMapping.from_yaml(text, "the page"))
        with self._lock:
            if self._digest_now() != self._digest:
                raise ConfigurationError(
                    f"{self.edited} was changed since it was read, and was not overwritten. Rename it and save "
                    "again."
                )
            replace_file(self.edited, text)
            self._mapping, self._digest, self.saved = mapping, self._digest_now(), True
        return f"saved to {self.edited}; apply it: {self.command}"

    def _checked(self, mapping: LabelMapping) -> LabelMapping:
        labels = {entry.label for entry in self._mapping.entries}
        other = {entry.label for entry in mapping.entries}
        if labels != other:
            wrong = ", ".join(map(str, sorted(labels ^ other)[:5]))
            raise ConfigurationError(
                f"{mapping.file or 'the mapping'} is not of the labels of this alignment: {wrong}. Use its own mapping."
            )
        return mapping

    def _digest_now(self) -> str:
        return hashlib.sha256(self.edited.read_bytes()).hexdigest() if self.edited.exists() else ""


class ReviewServer(ThreadingHTTPServer):
    """Serves the page of one folder to whoever has the address, which works once, and from then on to that browser."""

    daemon_threads = True

    def __init__(self, folder: ReviewedFolder, port: int = 0) -> None:
        super().__init__((_HOST, port), _Handler)
        self.folder = folder
        self.token, self.session = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.origin = f"http://{_HOST}:{self.server_address[1]}"

    @property
    def address(self) -> str:
        """The address that opens the page, once."""
        return f"{self.origin}/?token={self.token}"

    def redeem(self, token: str) -> bool:
        """Tell whether a token is the one of the address, which is then used up."""
        if not self.token or not secrets.compare_digest(token.encode(), self.token.encode()):
            return False
        self.token = ""
        return True


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    server_version, sys_version = "esnera-hf", ""
    #: A connection that says nothing holds no thread for ever.
    timeout = 30

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        token = parse_qs(url.query).get("token", [""])[0]
        if not self._is_own_host() or url.path != "/":
            self._answer(HTTPStatus.NOT_FOUND, "There is nothing here.")
        elif token and self.server.redeem(token):
            cookie = f"{self._cookie_name}={self.server.session}; HttpOnly; SameSite=Strict; Path=/"
            # Without the token: the address bar, the history and whoever looks on do not show it.
            self._answer(HTTPStatus.SEE_OTHER, "", {"Location": "/", "Set-Cookie": cookie})
        elif self._is_known():
            self._answer(HTTPStatus.OK, self.server.folder.page, {"Content-Type": "text/html; charset=utf-8"})
        else:
            self._answer(
                HTTPStatus.FORBIDDEN, "The address works once, in one browser. Start esnera-hf review again."
            )

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not self._is_own_host() or self.path != "/mapping":
            self._answer(HTTPStatus.NOT_FOUND, "There is nothing here.")
        elif self.headers.get("Origin") != self.server.origin or not self._is_known():
            self._answer(HTTPStatus.FORBIDDEN, "Only the page itself may save.")
        elif not length.isdecimal() or int(length) > _LARGEST:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Expected at most {_LARGEST:,} bytes.")
        else:
            try:
                said = self.server.folder.save(self.rfile.read(int(length)).decode("utf-8"))
                self._answer(HTTPStatus.OK, said)
            except (EsneraError, OSError, UnicodeDecodeError) as error:
                self._answer(HTTPStatus.CONFLICT, f"Not saved: {error}")

    @property
    def _cookie_name(self) -> str:
        # Browsers share cookies between the ports of a host.
        return f"esnera-{self.server.server_address[1]}"

    def _is_own_host(self) -> bool:
        # A page of a stranger whose name was made to point here sends its own name.
        return self.headers.get("Host") == self.server.origin.removeprefix("http://")

    def _is_known(self) -> bool:
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie_name)
        except CookieError:
            return False
        return cookie is not None and secrets.compare_digest(
            cookie.value.encode(), self.server.session.encode()
        )

    def _answer(self, status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode("utf-8", errors="replace")
        self.send_response(status)
        for name, value in {
            "Content-Type": "text/plain; charset=utf-8",
            **_HEADERS,
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the address, with its token, would stand in the log."""
