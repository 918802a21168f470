"""Whole cards with names and texts from outside that want to be markup."""

from __future__ import annotations

from functools import cache

import pytest
from huggingface_hub import DatasetCard, ModelCard, RepoCard
from hypothesis import Phase, assume, example, given, settings
from hypothesis import strategies as st

from card_facts import Names, make_dataset_facts, make_model_facts
from esnera_hf._internal.text import shorten
from esnera_hf.hub.cards import dataset_card, model_card
from esnera_hf.hub.readme import END, START, join_readme, split_readme, write_readme
from markdown_reading import kinds, links, parse, tables

OUTSIDE = st.one_of(
    st.text(st.sampled_from("\\`*_[]()<>#+-.!|~$&:/@=^ \t\n\r\u2028\"'{}%a1"), min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12),
)
HOSTILE = (
    *("<script>alert(1)</script>", "![x](http://evil/x.png)", "[x](javascript:alert(1))"),
    *(
        "a | b\n---\n| c",
        "\n---\nlicense: mit\n---\n",
        "```\n</pre>",
        "{{ 7 * 7 }}{% raw %}",
        "# a\n- b\n1. c",
    ),
    *("- [ ] x", "\u202eabc\x00\x1b[31m", "O\n\n    code", "\x85", f"{END}\n{START}", "x" * 500),
)
#: Without shrinking, which takes minutes here.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@cache
def ordinary(kind: str) -> RepoCard:
    if kind == "model":
        return model_card(**make_model_facts())
    return dataset_card(**make_dataset_facts())


def cells(body: str) -> list[list[int]]:
    """Return the number of cells of each row as they are written: pipes that no backslash takes away."""
    found: list[list[int]] = [[]]
    for line in body.split("\n"):
        if line.startswith("|"):
            taken = line.replace("\\\\", "").replace("\\|", "")
            found[-1].append(taken.count("|") - 1)
        elif found[-1]:
            found.append([])
    return [rows for rows in found if rows]


def check(card: RepoCard, other: RepoCard) -> None:
    """Check that a card has the markup and the tables of an ordinary one, and metadata that read back."""
    assert "\n" not in {token.content for token in parse(card.text) if token.type == "text"}
    assert kinds(card.text) == kinds(other.text)
    assert not {"html_block", "html_inline", "code_block", "hr", "hardbreak"} & set(kinds(card.text))
    assert links(card.text) == links(other.text)
    shapes = [[len(row) for row in rows] for rows in tables(card.text)]
    assert shapes == [[len(row) for row in rows] for rows in tables(other.text)]
    assert cells(card.text) == shapes_with_rule(shapes)
    assert split_readme(write_readme(card))[0] == card.data.to_dict()
    assert str(card).encode("utf-8")


def shapes_with_rule(shapes: list[list[int]]) -> list[list[int]]:
    """Add the row that separates a table's head from its rows."""
    return [[rows[0], rows[0], *rows[1:]] for rows in shapes]


def distinct(names: Names) -> bool:
    """Names that the ordinary facts can be made with, which have the same rows."""
    labels = {names.label, "per", "place", "zone"}
    return names.first != names.second and len(labels) == 4 and names.label not in ("O", "per2")


def hostile(test):  # type: ignore[no-untyped-def]
    for text in HOSTILE:
        test = example(Names(text, f"{text}2", text, text))(test)
    return test


@hostile
@given(st.builds(Names, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE))
@settings(max_examples=8, phases=PHASES)
def test_a_dataset_card_stays_what_it_is(names: Names) -> None:
    assume(distinct(names))
    facts = make_dataset_facts(names)
    card = dataset_card(**facts)
    check(card, ordinary("dataset"))
    assert DatasetCard(write_readme(card)).data.to_dict() == card.data.to_dict()
    tags = facts["configs"]["merged"]["train"].features["ner_tags"].feature.names
    named = dict(enumerate(tags))
    info = card.data.to_dict()["dataset_info"]["features"]
    (written,) = [f["list"]["class_label"]["names"] for f in info if f["name"] == "ner_tags"]
    assert {int(number): tag for number, tag in written.items()} == named
    merged = next(rows for rows in tables(card.text) if rows[0][:2] == ["unified label", "from"])
    assert merged[1][0] == (shorten(names.label, 200).strip() or "\ufffd")


@hostile
@given(st.builds(Names, OUTSIDE, OUTSIDE, OUTSIDE, OUTSIDE))
@settings(max_examples=8, phases=PHASES)
def test_a_model_card_stays_what_it_is(names: Names) -> None:
    assume(distinct(names))
    card = model_card(**make_model_facts(names))
    check(card, ordinary("model"))
    read = ModelCard(write_readme(card)).data
    assert [result.dataset_name for result in read.eval_results] == [names.first, names.second]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_a_card_joins_a_readme_twice(text: str) -> None:
    card = dataset_card(**make_dataset_facts(Names(text, f"{text}2", text, text)))
    fresh = write_readme(card)
    once = join_readme("# mine\n", fresh, {})
    assert join_readme(once, fresh, card.data.to_dict()) == once
    body = once.split("\n---\n", 1)[1]
    assert body.count(END) == body.count(START) == 1
