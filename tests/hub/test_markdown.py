"""Text from outside stays text in Markdown, wherever it stands."""

from __future__ import annotations

import ast

import jinja2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from esnera_hf.hub import markdown
from esnera_hf.hub.cards import quoted
from esnera_hf.hub.markdown import address, escape, fenced, listed, long, picture, render
from esnera_hf.hub.readme import END, START
from markdown_reading import kinds, lines, links, parse, tables

#: Characters that mean something to Markdown, often beside each other.
ACTIVE = st.text(st.sampled_from("\\`*_{}[]()<>#+-.!|~$&;:/@=^ \t\n\r\u2028\"'ab1%"), max_size=12)
TEXTS = st.one_of(ACTIVE, st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
HOSTILE = (
    *("<script>alert(1)</script>", "<!-- x -->", "![x](http://evil/x.png)", "[x](javascript:alert(1))"),
    *(
        "[x]: http://evil",
        "[^1]",
        "<http://evil>",
        "http://evil.example",
        "www.evil.example",
        "a@evil.example",
    ),
    *("a | b | c", "| --- |", "`code`", "``` \n x", "~~~", "# heading", "- item", "-", "1. item", "1)"),
    *("> quote", "***", "---", "===", "__bold__", "_em_", "~~gone~~", "$x$", r"\(x\)", "&lt;b&gt;&#60;"),
    *("    code", "a\nb", "\u202eabc", "{{ 7 * 7 }}{% raw %}", "trailing\\", "a#", START, END),
)


def readable(text: str) -> str:
    """Return what a reader is to see."""
    visible = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return visible.strip() or ("\ufffd" if visible else "")


def hostile(test):  # type: ignore[no-untyped-def]
    for text in HOSTILE:
        test = example(text)(test)
    return test


@hostile
@given(TEXTS)
def test_text_stays_text_wherever_it_stands(text: str) -> None:
    escaped, expected = escape(text), readable(text)
    assert "\n" not in escaped
    assert lines(f"before {escaped} after") == [f"before {expected} after"]
    assert kinds(f"before {escaped} after") == kinds("x")
    if expected:
        assert lines(escaped) == [expected]
        assert kinds(escaped) == kinds("x")
        assert lines(f"- {escaped}") == [expected]
        assert kinds(f"- {escaped}") == kinds("- x")
        assert lines(f"a line\n{escaped}") == [f"a line{expected}"]
        assert lines(f"# {escaped}") == [expected]


@hostile
@given(TEXTS)
def test_text_stays_in_its_cell(text: str) -> None:
    page = f"| a | b |\n| --- | --- |\n| {escape(text)} | **{escape(text)}** |\n"
    (rows,) = tables(page)
    assert rows[0] == ["a", "b"]
    assert [len(row) for row in rows] == [2, 2]
    assert rows[1] == [readable(text), readable(text) or "****"]
    assert set(kinds(page)) <= set(kinds("| a |\n| --- |\n| **x** |\n"))


@hostile
@given(TEXTS)
def test_a_listing_shows_each_value(text: str) -> None:
    assert lines(f"x {listed(['b', text, 'c'])}") == [f"x b, {readable(text)}, c"]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        # broken for renderers that link them
        (escape("see http://evil.example"), r"see http\:\/\/evil.example"),
        (escape("WWW.evil.example"), r"WWW\.evil.example"),
        (escape("a@evil.example, @someone"), r"a\@evil.example, \@someone"),
        # what is harmless stays readable
        (escape("a_b title@x -0.50 C++ (x) 人名 O'Neil: 50%"), "a_b title@x -0.50 C++ (x) 人名 O'Neil: 50%"),
        (escape("x" * 201), "x" * 199 + "…"),
        (escape("x" * 200), "x" * 200),
        (long("y " * 2000), ("y " * 2000)[:1999] + "…"),
        (long("two\n lines"), "two lines"),
    ],
)  # fmt: skip
def test_what_is_written(made: str, expected: str) -> None:
    assert made == expected


def test_a_comment_of_the_readme_cannot_be_forged() -> None:
    for marker in (START, END):
        assert marker not in escape(f"x {marker}")
        assert marker not in fenced(repr(marker), "python")


@hostile
@given(TEXTS)
def test_code_stays_in_its_fence(text: str) -> None:
    code = repr([text])
    (token,) = [token for token in parse(f"a\n\n{fenced(code, 'python')}\n\nb") if token.type == "fence"]
    assert ast.literal_eval(token.content) == [text]
    assert lines(f"a\n\n{fenced(code)}\n\nb") == ["a", "b"]


@pytest.mark.parametrize("run", range(6))
def test_a_fence_is_longer_than_what_it_holds(run: int) -> None:
    block = fenced("`" * run + "\n" + "`" * run)
    assert block.split("\n")[0] == "`" * max(3, run + 1)
    assert [token.content for token in parse(block)] == ["`" * run + "\n" + "`" * run + "\n"] or run == 0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/a_b?x=1", ["https://example.org/a_b?x=1"]),
        ("http://example.org", ["http://example.org"]),
        ("javascript:alert(1)", []),
        ("https://a.org/> <b>", []),
        ("https://a.org/|", []),
        ("https://user@evil.org", []),
        ("", []),
    ],
)
def test_only_plain_addresses_become_links(url: str, expected: list[str]) -> None:
    assert links(f"at {address(url)}.") == expected
    assert lines(f"at {address(url)}.") == [f"at {url}."]


@pytest.mark.parametrize("path", ["flow.svg", "a b).png", "//evil/x.png", "javascript:x", "a](x"])
def test_a_picture_lies_in_the_repository(path: str) -> None:
    (target,) = links(picture(path, "S"))
    assert not target.startswith("/")
    assert ":" not in target


@pytest.mark.parametrize(
    ("template", "x", "same_as"),
    [
        # templates escape by themselves
        ("{{ x }} {{ x ~ x }} {{ x | upper }} {{ [x] | join }} {{ x | safe }} {{ (x | long) ~ x }}", "<b>*a*</b>", "x"),
        # no text from outside is taken for the place of the contents, or for a heading
        ("{{ contents }}\n\n## F1 before\n\n{{ x }}", "\0\n## y", "[F1 before](#f1-before)\n\n## F1 before\n\nx"),
    ],
)  # fmt: skip
def test_templates(monkeypatch: pytest.MonkeyPatch, template: str, x: str, same_as: str) -> None:
    environment = markdown._environment.__wrapped__()
    environment.loader = jinja2.DictLoader({"t": template})
    monkeypatch.setattr(markdown, "_environment", lambda: environment)
    page = render("t", {"x": x})
    assert (kinds(page), links(page)) == (kinds(same_as), links(same_as))


@hostile
@given(TEXTS)
def test_a_quoted_text_is_the_text(text: str) -> None:
    assert ast.literal_eval(quoted(text)) == text
    assert quoted(text).isprintable()
