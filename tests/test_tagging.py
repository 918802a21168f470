"""Tags and entities: round trips in every scheme, broken sequences against a slow independent reading."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import LABELS, PREFIXED_SCHEMES, annotated, encode
from esnera_hf.tagging import (
    SCHEMES,
    WRITTEN_SCHEMES,
    Entity,
    TagError,
    detect_scheme,
    entities_from_tags,
    iob2_tag_set,
    split_tag,
    tags_from_entities,
    tags_in_scheme,
)

ROLES = {
    "IOB1": {"B": "B", "I": "I"},
    "IOB2": {"B": "B", "I": "I"},
    "BIOES": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "BMES": {"B": "B", "M": "I", "E": "E", "S": "S"},
    "BMEWO": {"B": "B", "M": "I", "E": "E", "W": "S"},
    "BILOU": {"B": "B", "I": "I", "L": "E", "U": "S"},
}
NO_BEGIN = "inside tag without a begin tag"
NO_END = "entity without an end tag"


def read_slowly(tags, scheme):
    """Read tags by looking at neighbours only: where does an entity start, where does the next begin?"""
    parsed = [("O", "") if tag == "O" else (ROLES[scheme][tag[0]], tag[2:]) for tag in tags]

    def starts(index):
        role, label = parsed[index]
        if role == "O":
            return False
        before = parsed[index - 1] if index else ("O", "")
        return role in "BS" or before[0] in "OES" or before[1] != label

    entities, repairs = [], []
    for index, (role, label) in enumerate(parsed):
        if not starts(index):
            continue
        end = index + 1
        while end < len(tags) and parsed[end][0] != "O" and not starts(end):
            end += 1
        entities.append(Entity(index, end, label))
        if role in "IE" and scheme != "IOB1":
            repairs.append((index, NO_BEGIN))
        if scheme not in ("IOB1", "IOB2") and parsed[end - 1][0] not in "ES":
            repairs.append((end - 1, NO_END))
    return entities, sorted(repairs)


def sentences(labels=LABELS):
    return annotated(st.just("t"), labels)


@pytest.mark.parametrize("separator", "-_")
@pytest.mark.parametrize("scheme", PREFIXED_SCHEMES)
@given(sentence=sentences())
def test_entities_survive_every_scheme(scheme, separator, sentence):
    tokens, entities = sentence
    tags = encode(len(tokens), entities, scheme, separator)
    assert entities_from_tags(tags, scheme) == (entities, [])
    if (scheme, separator) == ("IOB2", "-"):
        assert tags_from_entities(len(tokens), reversed(entities)) == tags


@given(sentence=sentences())
def test_without_prefixes_neighbours_of_one_label_are_one_entity(sentence):
    tokens, entities = sentence
    joined = []
    for entity in entities:
        if joined and (joined[-1].end, joined[-1].label) == (entity.start, entity.label):
            entity = Entity(joined.pop().start, entity.end, entity.label)
        joined.append(entity)
    assert entities_from_tags(encode(len(tokens), entities, "none"), "none") == (joined, [])


@pytest.mark.parametrize("scheme", PREFIXED_SCHEMES)
@given(data=st.data())
def test_broken_sequences_are_read_as_conlleval_reads_them(scheme, data):
    tag = st.sampled_from(["O", *(f"{p}-{label}" for p in ROLES[scheme] for label in ("A", "B-b"))])
    tags = data.draw(st.lists(tag, max_size=12))
    entities, repairs = entities_from_tags(tags, scheme)
    assert (entities, sorted(repairs)) == read_slowly(tags, scheme)


@pytest.mark.parametrize(
    ("tags", "scheme", "entities", "repairs"),
    [
        ("O I-A I-A O", "IOB2", [Entity(1, 3, "A")], [(1, NO_BEGIN)]),
        ("B-A I-B", "IOB2", [Entity(0, 1, "A"), Entity(1, 2, "B")], [(1, NO_BEGIN)]),
        ("I-A I-B B-B", "IOB1", [Entity(0, 1, "A"), Entity(1, 2, "B"), Entity(2, 3, "B")], []),
        ("B-A O", "BIOES", [Entity(0, 1, "A")], [(0, NO_END)]),
        ("E-A", "BMES", [Entity(0, 1, "A")], [(0, NO_BEGIN)]),
        ("U-A L-A", "BILOU", [Entity(0, 1, "A"), Entity(1, 2, "A")], [(1, NO_BEGIN)]),
        ("B-A B-A", "IOB2", [Entity(0, 1, "A"), Entity(1, 2, "A")], []),
        ("A A B O", "none", [Entity(0, 2, "A"), Entity(2, 3, "B")], []),
        ("", "IOB2", [], []),
    ],
)
def test_reading(tags, scheme, entities, repairs):
    assert entities_from_tags(tags.split(), scheme) == (entities, repairs)


@pytest.mark.parametrize(
    ("tag", "scheme"),
    [
        *((tag, "IOB2") for tag in ("PER", "B", "B-", "E-PER", "BPER", "B PER", "o", "")),
        *(("M-PER", "BIOES"), ("S-PER", "BMEWO"), ("", "none")),
    ],
)
def test_a_foreign_tag_is_refused(tag, scheme):
    expected = "empty tag" if scheme == "none" else rf"not of scheme {scheme} \(expected O, B-LABEL, "
    with pytest.raises(TagError, match=expected):
        entities_from_tags(["O", tag], scheme)


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([Entity(0, 0, "A")], "not a span of a sentence of 3 tokens"),
        ([Entity(-1, 1, "A")], "not a span of a sentence of 3 tokens"),
        ([Entity(2, 4, "A")], "not a span of a sentence of 3 tokens"),
        ([Entity(1, 3, "A"), Entity(0, 2, "B")], "overlaps the entity before it"),
    ],
)
def test_impossible_spans_are_not_written(entities, message):
    with pytest.raises(ValueError, match=message):
        tags_from_entities(3, entities)


@pytest.mark.parametrize("scheme", PREFIXED_SCHEMES)
@given(corpus=st.lists(sentences(), max_size=4))
def test_the_detected_scheme_reads_the_same_entities(scheme, corpus):
    tags = [encode(len(tokens), entities, scheme) for tokens, entities in corpus]
    detected = detect_scheme(tags)
    assert [entities_from_tags(row, detected) for row in tags] == [(e, []) for _, e in corpus]


def test_small_things():
    assert split_tag("B-art-film", "IOB2") == ("B", "art-film")
    assert split_tag("M_人名", "BMES") == ("I", "人名")
    assert split_tag("art-film", "none") == ("I", "art-film")
    assert Entity(0, 1, "A", 0.25) == Entity(0, 1, "A")
    assert hash(Entity(0, 1, "A", 0.25)) == hash(Entity(0, 1, "A"))
    assert iob2_tag_set(["b", "a"]) == ["O", "B-b", "I-b", "B-a", "I-a"]


_SHOWS_ALL = [Entity(0, 3, "A"), Entity(3, 4, "A"), Entity(5, 7, "x-y")]


@pytest.mark.parametrize(
    ("corpus", "scheme"),
    [
        *((["O", " ".join(encode(8, _SHOWS_ALL, scheme))], scheme) for scheme in SCHEMES),
        *(([], "IOB2"), (["O O"], "IOB2"), (["I-A I-B"], "IOB1"), (["I-A B-A"], "IOB1")),
        *((["I-A B-B"], "IOB2"), (["B-A O I-A"], "IOB2"), (["S-A O"], "BIOES"), (["W-A O"], "BMEWO")),
        *((["B-A L-A"], "BILOU"), (["A O art-film"], "none"), (["S-Bahn O Bus"], "none")),
        (["S-Bahn W-Bahn Bus"], "BIOES"),
        # A mistaken tag does not turn prefixes into labels: reading reports it.
        *((["B-A I-A O LOC"], "IOB2"), (["I-A I-A O S-A I_"], "BIOES")),
        *((["B-A M-A I-A E-A S-A O"], "BIOES"), (["B-A I-A L-A U-A W-A"], "BILOU")),
    ],
)
def test_detection(corpus, scheme):
    assert detect_scheme(tags.split() for tags in corpus) == scheme


@pytest.mark.parametrize("scheme", WRITTEN_SCHEMES)
@given(data=st.data())
def test_what_is_written_in_a_scheme_is_read_in_it(scheme, data):
    _, entities = data.draw(sentences())
    length = max((entity.end for entity in entities), default=0) + 1
    touching = any((one.end, one.label) == (other.start, other.label) for one, other in pairwise(entities))
    if scheme == "IO" and touching:
        with pytest.raises(TagError, match=r"touch at token [0-9]+, and IO would make them one"):
            tags_in_scheme(length, entities, scheme)
        return
    tags = tags_in_scheme(length, entities, scheme)
    read_as = {"BIO": "IOB2", "IO": "IOB1"}.get(scheme, scheme)
    assert tags == encode(length, entities, read_as)
    assert entities_from_tags(tags, read_as) == (entities, [])
