"""A report in its file: what it holds comes back, and nothing that it does not expect is taken."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from card_facts import PAIR, Names, make_report
from esnera_hf.errors import ConfigurationError
from esnera_hf.report.report import LeakageFacts, MergeReport
from esnera_hf.similarity.explanation import Decision
from esnera_hf.tagging import LabelRef


def plain(**changes: Any) -> dict[str, Any]:
    """A report as its file holds it, with some of it changed."""
    data: dict[str, Any] = json.loads(json.dumps(make_report(Names()).to_dict()))
    for path, value in changes.items():
        *parents, last = path.split("__")
        place: Any = data
        for name in parents:
            place = place[int(name) if name.isdigit() else name]
        place[int(last) if last.isdigit() else last] = value
    return data


def test_what_was_written_is_read() -> None:
    report = make_report(Names())
    assert MergeReport.from_dict(plain()) == report
    assert json.dumps(report.to_dict()) == json.dumps(make_report(Names()).to_dict())
    colon = replace(
        report.steps[0].decisions[0], group=(LabelRef("a:b", "c"),), candidate=LabelRef("a", "b:c")
    )
    report = replace(report, steps=(replace(report.steps[0], decisions=(colon,)),))
    assert MergeReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 1}, r"a report of version 1: expected version 2\. Read it with the version"),
        ({"version": None}, "a report of version None"),
        ({"mood": "good"}, "report: unknown: mood"),
        ({"steps__0__mood": "good"}, r"report\.steps\[0\]: unknown: mood"),
        ({"sources": None}, r"report\.sources=None"),
        ({"sources__0__sentences__train": "2"}, r"report\.sources\[0\]\.sentences\.train='2': expected int"),
        (
            {"steps__0__decisions__0__merged": 1},
            r"report\.steps\[0\]\.decisions\[0\]\.merged=1: expected bool",
        ),
        (
            {"steps__0__decisions__0__group__0": ["a"]},
            r"decisions\[0\]\.group\[0\]=\['a'\]: expected LabelRef",
        ),
        (
            {"taggers__alpha__test__micro__f1": True},
            r"report\.taggers\.alpha\.test\.micro\.f1=True: expected float",
        ),
        ({"call__function": "eval"}, r"report\.call\.function='eval'"),
        ({"pseudo_labels__counts__0": ["a", "b", 1]}, r"report\.pseudo_labels\.counts\[0\]"),
        (
            {"disagreements__0__taggers__relation": "same"},
            r"report\.disagreements\[0\]\.taggers\.relation='same'",
        ),
        ({"systems": []}, r"report\.systems=\[\]"),
        ({"trials__1__outcome": 0}, r"report\.trials\[1\]\.outcome=0"),
        ({"trials__1__outcome__1": "3"}, r"report\.trials\[1\]\.outcome\[1\]='3': expected int"),
    ],
    ids=str,
)
def test_what_is_of_another_form_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MergeReport.from_dict(plain(**changes))


def test_a_report_without_sources_is_none() -> None:
    data = plain()
    del data["sources"]
    with pytest.raises(ConfigurationError, match="report: missing: sources"):
        MergeReport.from_dict(data)
    with pytest.raises(ConfigurationError, match="a report of version 1"):
        MergeReport.from_dict({})


def test_in_a_notebook() -> None:
    report = make_report(Names())
    assert repr(report) == "MergeReport(2 sources, 1 step, 1 decision)"
    (row,) = report.to_pandas().to_dict("records")
    assert list(row.values())[:4] == [1, "alpha:city", "merged into", "beta:place"]
    hostile = make_report(Names(label="<script>"))
    assert "<script>" not in hostile._repr_html_()


def test_the_console_shows_five_questions_with_their_answers_and_the_report_holds_all() -> None:
    report = make_report(Names())
    (question,) = report.questions
    shown = str(replace(report, questions=(question,) * 7)).split("\n")
    start = shown.index("7 questions whose answer could go either way, what matters most first:")
    one, other = question.one, question.other
    assert shown[start + 1 : start + 4] == [
        "  answer with --must-link A,B (the same), --part-of A,B, --part-of B,A or --cannot-link A,B (apart)",
        f"  How do {one} and {other} relate? (now apart; probably the same 50%, the first a part of the other 25%, "
        "the reverse 0%; 12 mentions of the rarer)",
        "    oslo-secret: some text in beta, city in alpha; lima-secret: per in beta, nothing in alpha",
    ]
    assert sum(line.startswith("  How do ") for line in shown) == 5
    assert "  … and 2 more in the report" in shown
    assert "questions" not in str(replace(report, questions=()))


@pytest.mark.parametrize(
    ("decision", "kind", "brief"),
    [
        ({"merged": True}, "one", "87 % of predictions agree both ways (81 of 93, 60 of 69)"),
        ({"merged": False}, "apart", "10 % and 20 % of mentions in common agree (9 forms, 7 forms)"),
        (
            {"merged": False, "part": True},
            "part",
            "81 of 93 predictions of the part are the whole there, 60 of",
        ),
        (
            {"merged": False, "contains": True},
            "whole",
            "60 of 69 predictions of the part are the whole there, 81",
        ),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_long_line_of_a_decision_says_only_what_weighs_most(
    decision: dict[str, bool], kind: Decision, brief: str, turned: bool
) -> None:
    report = make_report(Names())
    labels = [
        LabelRef("corpus-of-the-first", "a-long-label"),
        LabelRef("corpus-of-the-other", "a-longer-label"),
    ]
    pair = replace(PAIR, one=labels[0], other=labels[1])
    full = pair.sentence(kind, 0.5)
    if turned:  # the pair is the same where it is seen from the other label
        labels.reverse()
        decision = {"merged": decision["merged"], "part": kind == "whole", "contains": kind == "part"}
    change = {"group": (labels[0],), "candidate": labels[1], "constrained": False, "part": False, **decision}
    steps = [
        replace(
            report.steps[0],
            lam=None,
            tau=0.5,
            decisions=(replace(report.steps[0].decisions[0], **change, why=why),),
        )
        for why in (full, "P(equal) 0.90: short")
    ]
    shown = str(replace(report, steps=tuple(steps), pairs=(pair,)))
    long, short = (line for line in shown.split("\n") if line.startswith(f"  {labels[0]}"))
    assert brief in long
    assert full not in shown
    assert "weak point" not in long
    assert "speaks" not in long
    assert short.endswith("P(equal) 0.90: short")
    assert full in replace(report, steps=tuple(steps), pairs=(pair,)).details()


def test_the_console_shows_five_pairs_on_which_taggers_disagree() -> None:
    report = make_report(Names())
    line = (
        "  beta:per and alpha:city: the same, P(equal) 0.50; by taggers overlaps it, P(equal) 0.02 "
        "(they agree 0.00 (0 of 11) and 0.10 (1 of 10))"
    )
    heading = "to check, on which the taggers, on validation splits, disagree with the evidence:"
    shown = str(report).split("\n")
    start = shown.index(f"1 pair of labels {heading}")
    assert shown[start + 1] == line
    shown = str(replace(report, disagreements=report.disagreements * 7)).split("\n")
    assert f"7 pairs of labels {heading}" in shown
    assert shown.count(line) == 5
    assert "disagree" not in str(replace(report, disagreements=()))


@pytest.mark.parametrize(
    ("exact", "expected"), [(3, "the same"), (0, "nearly the same"), (2, "2 the same, 1 nearly")]
)
def test_the_console_says_what_is_left_out_and_sums_up_what_is_kept(exact: int, expected: str) -> None:
    left_out = LeakageFacts(("a", "train"), ("b", "test"), True, 3, exact, ())
    kept = [LeakageFacts(("a", "train"), ("a", split), False, 2, 2, ()) for split in ("validation", "test")]
    text = str(replace(make_report(Names()), leakage=(left_out, *kept)))
    assert f"a/train: 3 sentences stand in b/test, too ({expected}): left out" in text
    assert "4 sentences stand in a later split of their own source, too: kept; in a" in text
    assert text.count("stand in") == 2
    single = replace(kept[0], sentences=1, exact=1)
    text = str(replace(make_report(Names()), leakage=(single,)))
    assert "1 sentence stands in a later split of their own source, too: kept; in a" in text
