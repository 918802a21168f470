"""What notebooks show: one screen of results, mappings, taggers, bundles and sources, no names as markup."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from builders import make_source, row
from esnera_hf.hub.evidence import Evidence
from esnera_hf.hub.push import html_of_tagger
from esnera_hf.metrics import score_tags
from results import make_result

HOSTILE = "<script>x"
#: Lines of a terminal, characters of a line that most notebooks show without scrolling.
SCREEN = 45


def shown_things() -> dict[str, Any]:
    result = make_result(label=HOSTILE)
    source = make_source(HOSTILE, {"train": [row(f"anna/B-{HOSTILE} left")], "test": [row(f"x/B-{HOSTILE}")]})
    record = {
        "mapping": result.mapping.to_yaml(),
        "test": score_tags([[f"B-{HOSTILE}"]], [["O"]]).to_dict(),
    }
    facts = {"name": HOSTILE, "labels": [HOSTILE], "mentions": {HOSTILE: 9}, "read": 1, "license": HOSTILE}
    facts |= {"encoder": HOSTILE, "lengths": {HOSTILE: (1.5, 0.0)}}
    head: Any = SimpleNamespace(recall={HOSTILE: 0.75})
    bundle = Evidence(facts, head, SimpleNamespace())  # type: ignore[arg-type]
    tagger: Any = SimpleNamespace(record=record)
    return {
        "result": result._repr_html_(),
        "mapping": result.mapping._repr_html_(),
        "tagger": html_of_tagger(tagger),
        "evidence": bundle._repr_html_(),
        "source": source._repr_html_(),
    }


@pytest.mark.parametrize(
    ("thing", "shows"),
    [
        ("result", "<svg"),
        ("mapping", "<svg"),
        ("tagger", "<svg"),
        ("tagger", "micro"),
        ("evidence", "0.75"),
        ("source", "<td>1</td>"),
    ],
)
def test_html(thing: str, shows: str) -> None:
    html = shown_things()[thing]
    assert shows in html
    assert "<script" not in html
    assert "&lt;script&gt;x" in html


def test_text_is_one_screen() -> None:
    result = make_result()
    for thing in (result, result.mapping, result.report, result.similarity, *result.questions):
        assert len(repr(thing).split("\n")) <= SCREEN
    mentions = result.to_pandas()
    assert mentions[["split", "id", "source", "label", "origin", "score"]].iloc[0].tolist() == [
        *("train", "alpha-train-0", "alpha", "city", "gold", 1.0)
    ]
    sentences = {row["id"]: row["tokens"] for rows in result.dataset.values() for row in rows}
    for mention in mentions.itertuples():
        assert "".join(sentences[mention.id][mention.start : mention.end]) == mention.mention.replace(" ", "")
    tags = [tag for rows in result.dataset.values() for row in rows["ner_tags"] for tag in row]
    assert len(mentions) == sum(tag % 2 == 1 for tag in tags)  # ids of B- are odd
    frames = (result.mapping, result.report, make_source("x", {"train": [row("anna/B-P")]}))
    assert [len(thing.to_pandas()) for thing in frames] == [
        *(len(result.mapping.entries), sum(len(step.decisions) for step in result.report.steps), 1)
    ]
