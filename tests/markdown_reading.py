"""Reads Markdown with a CommonMark parser that knows tables: what it shows, and what in it is markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

Table = list[list[str]]


@lru_cache(maxsize=4)
def parse(text: str) -> list[Token]:
    """Return the tokens of a text, those inside lines after the line they are in."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    found = []
    for token in parser.parse(text):
        found += [token, *(token.children or ())]
    return found


def kinds(text: str) -> Counter[str]:
    """Count the tokens by type, without those that hold text alone."""
    return Counter(token.type for token in parse(text) if token.type not in ("text", "inline"))


def shown(token: Token) -> str:
    """Return the text that a line shows."""
    return "".join(child.content for child in token.children or ())


def lines(text: str) -> list[str]:
    """Return what each line, cell, heading and item shows."""
    return [shown(token) for token in parse(text) if token.type == "inline"]


def tables(text: str) -> Iterator[Table]:
    """Yield the tables, a list of cells a row."""
    rows: Table | None = None
    for token in parse(text):
        if token.type == "table_open":
            rows = []
        elif rows is None:
            continue
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(shown(token))
        elif token.type == "table_close":
            yield rows
            rows = None


def table(text: str, first: str) -> Table:
    """Return the one table whose first column has this title."""
    (found,) = [rows for rows in tables(text) if rows[0][0] == first]
    return found


def links(text: str) -> list[str]:
    """Return where links lead and pictures come from."""
    return [
        str(token.attrs.get("href") or token.attrs.get("src"))
        for token in parse(text)
        if token.type in ("link_open", "image")
    ]
