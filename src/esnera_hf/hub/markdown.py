"""Markdown from templates in which nothing from outside can become markup.

Every expression of a template goes through :func:`escape`, but for what a filter of this module made as markup. That
is of a type that any operation on strings turns back into text: a mistake shows as one escape too many, never too few.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from esnera_hf._internal.text import counted, shorten
from esnera_hf.report.format import agreement, figure, interval

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST = 200
_LONGEST_TEXT = 2000
#: Nothing that a template shows holds it: it cannot be printed.
_CONTENTS = "\0"

#: Characters that start markup wherever they stand; ``!`` where it could open a comment, ``&`` where it could
#: begin an entity, ``@`` where it could be part of an address or a mention.
_ANYWHERE = re.compile(r"[\\`*\[\]<>|~$#^]|&(?=[#\w])|(?<=<)!|(?<![^\W_])@|@(?=[\w.+-]*\.)")
#: An underscore inside a word is no emphasis and stays readable.
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
#: What other renderers than CommonMark's turn into links.
_ADDRESS = re.compile(r"(?<=\w)://|\bwww\.", re.IGNORECASE)
#: List markers, headings and lines that underline or rule, at the start of a line.
_START = re.compile(r"([-+=])(?=\1|\s|$)|\d{1,9}[.)](?=\s|$)")
_HOMEPAGE = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?(?:/[A-Za-z0-9._~/%+=?-]*)?")


class Markup(str):
    """Markdown made by this module; what is joined or changed is plain text again."""


def escape(value: object) -> str:
    """Return a value as one line of Markdown that reads as the value itself.

    What cannot be printed, line breaks too, becomes U+FFFD; more than 200 characters are cut.
    """
    return _escape_line(shorten(str(value), _LONGEST))


def long(value: object) -> Markup:
    """Return a text of up to 2,000 characters as one escaped line: a citation, a clause, a note."""
    return Markup(_escape_line(shorten(" ".join(str(value).split()), _LONGEST_TEXT)))


def _escape_line(text: str) -> str:
    if text and not text.strip():
        return "\ufffd"
    text = _ANYWHERE.sub(r"\\\g<0>", text.strip())
    text = _UNDERSCORE.sub(r"\\_", text)
    text = _ADDRESS.sub(lambda match: re.sub("[:/.]", r"\\\g<0>", match[0]), text)
    start = _START.match(text)
    return text if start is None else f"{text[: start.end() - 1]}\\{text[start.end() - 1 :]}"


def listed(values: Iterable[object], separator: str = ", ") -> Markup:
    """Return several values, each escaped; the separator is the template's own."""
    return Markup(separator.join(escape(value) for value in values))


def fenced(text: str, language: str = "") -> Markup:
    """Return a text as a block of code, in a fence longer than any run of backticks in it.

    ``<!`` becomes ``\\x3c!``, the same in a string of Python and no start of a comment.
    """
    visible = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", visible))])
    code = visible.strip("\n").replace("<!", "\\x3c!")
    return Markup(f"{fence}{language}\n{code}\n{fence}")


def address(url: str) -> Markup:
    """Return an address as a link if it is a plain one of the web, else as text."""
    return Markup(f"<{url}>" if _HOMEPAGE.fullmatch(url) else escape(url))


def picture(path: str, text: str) -> Markup:
    """Return a picture of the repository by its relative path."""
    return Markup(f"![{escape(text)}]({quote(path.lstrip('/'))})")


def render(template: str, values: dict[str, Any]) -> str:
    """Return a card's body from a template; ``{{ contents }}`` links to its sections."""
    body = _environment().get_template(template).render(values, contents=Markup(_CONTENTS))
    titles = re.findall("^## (.+)$", body, re.MULTILINE)
    links = (f"[{title}](#{re.sub('[^a-z0-9]+', '-', title.lower())})" for title in titles)
    body = body.replace(_CONTENTS, " · ".join(links))
    return re.sub(r"\n{3,}", "\n\n", body).strip("\n") + "\n"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        # Not for HTML: it would let through what Markdown reads as markup.
        autoescape=False,
        finalize=lambda value: value if isinstance(value, Markup) else escape(value),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own = (long, listed, fenced, address, picture, figure, interval, agreement)
    environment.filters |= {function.__name__: function for function in own}
    environment.filters |= {
        "count": lambda value: f"{value:,}",
        "counted": counted,
        "of": lambda counts, split: sum(count for (part, _), count in counts.items() if part == split),
        "percent": lambda share: f"{100 * share:.1f} %",
    }
    return environment
