"""Readings that fit, and refusals that show two of them with their sentences and options."""

from __future__ import annotations

import pytest

from esnera_hf.errors import SourceError
from esnera_hf.sources.readings import Reading, choose_reading, marked_sentence
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

ANN = RawSentence("Ann Lee ran".split(), [Entity(0, 2, "PER"), Entity(1, 2, "NAME")], "a.txt, line 1")
BOB = RawSentence([], [Entity(0, 3, "PER")], "a.txt, line 2", text="Bob\nran")


def reading(name, *objections, broken=False, sentences=(ANN, BOB, ANN, ANN)):
    def read():
        if broken:
            raise SourceError(f"{name} breaks off")
        return iter(sentences)

    return Reading(f"tokens of {name}", f"token_column={name}", read, objections)


@pytest.mark.parametrize(
    "readings",
    [
        [reading("x")],
        [reading("y", "no letters"), reading("x")],
        [reading("y", broken=True), reading("x")],
        [reading("x", broken=True)],  # its own error names the line
    ],
)
def test_the_only_one_that_fits(readings):
    assert readings[choose_reading("a.txt", readings)].options == "token_column=x"


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        (
            [reading("x"), reading("y", "no letters"), reading("z"), reading("w")],
            "a.txt: 3 readings fit, and none is chosen by guessing.\n"
            "  tokens of x (token_column=x)\n"
            "    [Ann Lee: PER] ran\n    [Bob: PER]\ufffdran\n    [Ann Lee: PER] ran\n"
            "  tokens of z (token_column=z)\n"
            "    [Ann Lee: PER] ran\n    [Bob: PER]\ufffdran\n    [Ann Lee: PER] ran\n"
            "  and token_column=w\n"
            "Say which one is right: token_column=x or token_column=z. Or mend it.",
        ),
        (
            [reading("x", "no letters", "counts up", sentences=(ANN,)), reading("y", "broken", broken=True)],
            "a.txt: no reading fits well, and none is chosen by guessing.\n"
            "  tokens of x (token_column=x)\n"
            "    against it: no letters\n    against it: counts up\n    [Ann Lee: PER] ran\n"
            "  tokens of y (token_column=y)\n    against it: broken\n    y breaks off\n"
            "Say which one is right: token_column=x or token_column=y. Or mend it.",
        ),
    ],
)
def test_a_refusal_shows_two_readings(readings, expected):
    with pytest.raises(SourceError) as caught:
        choose_reading("a.txt", readings, "Or mend it.")
    assert str(caught.value) == expected


def test_long_sentences_are_cut():
    text = marked_sentence(RawSentence(["word"] * 50, [Entity(0, 1, "X")], ""), 30)
    assert text == "[word: X] word word word word…"
