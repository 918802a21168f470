"""Tags however prefixes and labels are written: the same entities, or a refusal that says what to write."""

from __future__ import annotations

import pytest

from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.tags import LOWER_OUTSIDE, detect_tags
from esnera_hf.tagging import Entity

SENTENCE = [Entity(0, 2, "PER"), Entity(3, 4, "LOC"), Entity(4, 6, "LOC")]
USUAL = "B-PER I-PER O B-LOC B-LOC I-LOC".split()


def read(*sentences, **options):
    reader = detect_tags(lambda: iter(sentences), ReadingOptions(**options), "a.txt")
    return [reader(sentence) for sentence in sentences]


def written(form):
    return [tag if tag == "O" else form(tag[0], tag[2:]) for tag in USUAL]


WORDS = {"B": "BEGIN", "I": "INSIDE"}
FORMS = {
    **{
        f"{prefix}{mark}": written(lambda p, name, m=mark: f"{p}{m}{name}")
        for mark in "-_:/.~=–—−"
        for prefix in ["B"]
    },
    **{f"{mark}B": written(lambda p, name, m=mark: f"{name}{m}{p}") for mark in "-_:/.–"},
    "BPER": written(lambda p, name: f"{p}{name}"),
    "b-PER": written(lambda p, name: f"{p.lower()}-{name}"),
    "BEGIN-PER": written(lambda p, name: f"{WORDS[p]}-{name}"),
    "begin_PER": written(lambda p, name: f"{WORDS[p].lower()}_{name}"),
    "o": [tag.replace("O", "o") if tag == "O" else tag for tag in USUAL],
}


@pytest.mark.parametrize("tags", FORMS.values(), ids=FORMS)
def test_every_way_of_writing_them(tags):
    assert read(tags) == [(SENTENCE, [])]


def test_a_small_letter_beside_the_capital_is_counted():
    assert read(["PER", "PER", "o", "O"]) == [([Entity(0, 2, "PER")], [LOWER_OUTSIDE])]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("B I O", "prefixes without labels. Give them labels: tag_names="),
        ("PER-B O", "look like prefixes and labels"),
        ("size.S size.M size.L O", "look like prefixes and labels"),
        ("b-PER I-PER O", "are written in several ways"),
        ("B:PER I-PER O", "are written in several ways"),
        ("PER LOC -", "expected tags of entities, with 'O'"),
        ("PER - O", "'-' can hardly be the label of an entity"),
        ("PER[1] LOC O", "can hardly be the label"),
        ("PER none O", "can hardly be the label"),
        *((f"B-PER{mark}B-ROLE I-PER{mark}I-ROLE O", "of several tags in a cell") for mark in "|;,#/+&"),
        ("B-PER|ROLE B-ROLE O", "of several tags in a cell"),
        ("PER|ROLE PER ROLE O", "of several tags in a cell"),
        ("PER-B|ROLE-B PER-I O", "of several tags in a cell"),
    ],
)
def test_what_cannot_be_told_is_asked(tags, message):
    with pytest.raises(SourceError, match=rf"^a\.txt: .*{message.replace('|', '.')}|{message}"):
        read(tags.split())


@pytest.mark.parametrize(
    "tags", ["first_name last_name O", "begin-date end-date O", "S-Bahn M-type LOC O", "art/film art/book O"]
)
def test_labels_that_only_look_like_tags(tags):
    labels = [tag for tag in tags.split() if tag != "O"]
    assert read(tags.split()) == [([Entity(i, i + 1, label) for i, label in enumerate(labels)], [])]


@pytest.mark.parametrize(
    ("tags", "options", "expected"),
    [
        ("B I -", {"tag_names": {"B": "B-T", "I": "I-T", "-": "O"}}, [Entity(0, 2, "T")]),
        ("1 2 0", {"tag_names": ["O", "B-T", "I-T"]}, [Entity(0, 2, "T")]),
        ("PER-B PER-I", {"scheme": "none"}, [Entity(0, 1, "PER-B"), Entity(1, 2, "PER-I")]),
        ("B-A|B-B I-A O", {"tag_layer": 0}, [Entity(0, 2, "A")]),
        ("B-A|B-B I-A O", {"tag_layer": 1}, [Entity(0, 1, "B")]),
        ("B-A|B-B I-B O", {"tag_layer": "all"}, [Entity(0, 1, "A"), Entity(0, 2, "B")]),
        ("B-A|B-B I-B O", {"nested": "layers"}, [Entity(0, 1, "A"), Entity(0, 2, "B")]),
    ],
)
def test_options_decide(tags, options, expected):
    assert read(tags.split(), **options) == [(expected, [])]
