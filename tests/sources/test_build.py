"""Raw sentences become a source: everything stays or is accounted for, in memory, in a file and in the cache."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import replace
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import annotated, raw_reader, sentences_of
from esnera_hf.errors import ConservationError, SourceError
from esnera_hf.sources import build as build_module
from esnera_hf.sources.build import LABEL_NORMALIZED, build_source, label_frequency
from esnera_hf.sources.characters import as_characters, has_words, language_of
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import Dropped, License, NerSource, RawSentence
from esnera_hf.tagging import Entity

TERMS = NerSource("corpus")
BOTH = (("ab", [(0, 1, "x")]), ("cd", []))
SPLITS = ("train", "validation", "test")


def three(*sentences):
    return dict.fromkeys(SPLITS, raw_reader(*sentences))


def of(sentence):
    """Return readers of one sentence."""
    return dict.fromkeys(SPLITS, lambda: iter([replace(sentence)]))


@st.composite
def raw_sentences(draw):
    text = draw(st.text(st.sampled_from("北京ab"), min_size=1, max_size=6))
    bounds = st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True).map(sorted)
    spans = draw(st.lists(st.tuples(bounds, st.sampled_from(["PER", "GPE.NOM", "a-b"])), max_size=5))
    return text, [(start, end, name) for (start, end), name in spans]


@given(st.lists(raw_sentences(), max_size=8), st.lists(raw_sentences(), max_size=4))
def test_spans_are_conserved(train, test):
    train = [("a", [(0, 1, "PER")]), *train]
    source = build_source(TERMS, {"train": raw_reader(*train), "test": raw_reader(*test)})
    loaded = [*train, *test] if any(spans for _, spans in test) else train
    found = sentences_of(source)
    assert Counter(text for text, _ in found) == Counter(text for text, _ in loaded)
    kept = Counter(span for _, spans in found for span in spans)
    dropped = Counter((drop.start, drop.end, drop.label) for drop in source.dropped)
    assert kept + dropped == Counter(span for _, spans in loaded for span in spans)
    assert source.labels == tuple(sorted({label for _, _, label in kept}))


def test_what_becomes_of_sentences_and_terms():
    train = raw_reader(("北京大学", [(0, 4, "org"), (0, 2, "loc")]))
    test = raw_reader(("ok", [(0, 2, "org")]), ("上海", [(0, 2, "org"), (0, 2, "loc")]))
    source = build_source(TERMS, {"train": train, "validation": raw_reader(*BOTH), "test": test})
    assert source.dropped == (
        Dropped("train", "given, line 1", 0, 2, "loc", "北京", "nested in a longer span"),
        Dropped("test", "given, line 2", 0, 2, "loc", "上海", "second label of the same span"),
    )
    assert source.summary.dropped == {"nested in a longer span": 1, "second label of the same span": 1}
    assert sentences_of(source)[-1] == ("上海", [(0, 2, "org")])
    terms = NerSource("corpus", license=License("CC0", True), language="en", notes=("first",))
    mended = RawSentence(["a"], [Entity(0, 1, "x")], "here", ["mended", "mended", "cut"])
    source = build_source(terms, of(mended))
    assert (source.name, source.license, source.language) == ("corpus", License("CC0", True), "en")
    assert (source.repairs, source.notes) == ({"mended": 6, "cut": 3}, ("first",))
    assert [source.dataset[split]["id"][0] for split in SPLITS] == [f"corpus-{split}-0" for split in SPLITS]
    source = build_source(TERMS, {"train": raw_reader(*BOTH), "test": raw_reader(("ef", None), ("gh", None))})
    assert source.notes[0] == "test carries no annotation: not loaded"
    assert source.notes[1].startswith("only train is labelled")
    assert {text for text, _ in sentences_of(source)} == {"ab", "cd"}


@pytest.mark.parametrize(
    ("readers", "message"),
    [
        ({}, r"no entities in any split \(none found\)\. Expected at least one"),
        ({"train": raw_reader(("ab", None))}, r"no entities in any split \(train\)"),
        ({"train": raw_reader(("ab", [])), "test": raw_reader()}, r"no entities in any split \(train, test"),
        *(
            ({"train": raw_reader(*rows)}, r"train: given, line . is annotated and given, line . is not")
            for rows in ([BOTH[0], ("cd", None)], [("cd", None), BOTH[0]])
        ),
        *(
            (
                {"train": raw_reader(*BOTH, ("ef", [(0, 1, label)]))},
                f"given, line 3: a label called {name!r}. 'O' means",
            )
            for label, name in (("O", "O"), (" O", "O"), ("Ｏ", "O"), ("", ""), (" ", ""))
        ),
    ],
)
def test_a_source_that_means_nothing(readers, message):
    with pytest.raises(SourceError, match=f"^corpus[,:] {message}"):
        build_source(TERMS, readers)


KNOWN = replace(TERMS, vocabulary=("loc", "org"))
MIXED = "labels that differ only in case, kept apart: Loc, loc"
UNKNOWN = "labels that corpus is not known to annotate: lco"


@pytest.mark.parametrize(
    ("terms", "written", "labels", "repairs", "notes"),
    [
        (TERMS, ("ＰＥＲ", " PER ", "PER"), ("PER",), {LABEL_NORMALIZED: 6}, ()),
        (TERMS, ("Loc", "loc", "org"), ("Loc", "loc", "org"), {}, (MIXED,)),
        (KNOWN, ("loc",), ("loc",), {}, ()),
        (KNOWN, ("lco", "loc"), ("lco", "loc"), {}, (UNKNOWN,)),
    ],
)
def test_labels(terms, written, labels, repairs, notes):
    spans = [(place, place + 1, label) for place, label in enumerate(written)]
    source = build_source(terms, three(("abc", spans)))
    assert (source.labels, source.repairs, source.notes) == (labels, repairs, notes)


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        (RawSentence(["a"], [Entity(0, 1, "x")], "here", ["mended"]), "mended"),
        (RawSentence(["a", "b"], [Entity(0, 2, "x"), Entity(0, 1, "y")], "here"), "nested in a longer span"),
        (RawSentence(["a"], [Entity(0, 1, "x"), Entity(0, 1, "y")], "here"), "second label of the same span"),
        (RawSentence(["a", "b"], [Entity(0, 1, "x"), Entity(1, 2, "x")], "here"), None),
    ],
)
def test_strict_reading_refuses_what_it_would_repair_or_drop(sentence, problem):
    strict = ReadingOptions(strict=True)
    assert build_source(TERMS, of(sentence)).labels
    if problem is None:
        assert build_source(TERMS, of(sentence), strict).repairs == {}
        return
    with pytest.raises(SourceError, match=f"corpus, here: .*{problem}. Mend it, or read without strict=True"):
        build_source(TERMS, of(sentence), strict)


def test_the_frequency_of_labels_is_asked_for_only_where_a_span_has_two(monkeypatch):
    train = raw_reader(("abc", [(0, 1, "x"), (1, 2, " y")]), ("de", None))
    assert label_frequency([train, raw_reader(("fg", [(0, 2, "x")]))]) == {"x": 2, "y": 1}
    monkeypatch.setattr(build_module, "label_frequency", lambda readers: pytest.fail("not needed"))
    build_source(TERMS, three(("abc", [(0, 3, "x"), (0, 1, "y"), (1, 2, "y")])))


def test_a_span_that_vanishes_is_a_defect_of_the_package(monkeypatch):
    monkeypatch.setattr(build_module, "flatten", lambda spans, frequency, innermost: (spans[:-1], []))
    message = r"corpus, given, line 1: 1 spans read, 0 kept, 0 dropped\. Please"
    with pytest.raises(ConservationError, match=message):
        build_source(TERMS, three(*BOTH))


@pytest.mark.parametrize("sentences", [3, 4, 5, 8])
def test_rows_stay_in_order(monkeypatch, sentences):
    monkeypatch.setattr(build_module, "_IN_MEMORY", 4)
    rows = [(str(number), [(0, 1, "x")]) for number in range(sentences)]
    dataset = build_source(TERMS, {**three(*BOTH), "train": raw_reader(*rows)}).dataset["train"]
    assert dataset["tokens"][:] == [[text] for text, _ in rows]
    assert dataset["id"][:] == [f"corpus-train-{number}" for number in range(sentences)]


ROWS = tuple((f"{number % 7}b", [(0, 1, "x"), (0, 1, "y")] if number % 5 else []) for number in range(60))


def contents(source):
    rows = {split: (part[:], part.features, part._fingerprint) for split, part in source.dataset.items()}
    return {**vars(source), "dataset": rows}


def test_rows_in_memory_in_a_file_and_in_the_cache_are_the_same(monkeypatch):
    readers = {"train": raw_reader(*ROWS), "test": raw_reader(("ab", None))}
    small = contents(build_source(TERMS, readers))
    monkeypatch.setattr(build_module, "_IN_MEMORY", 10)
    mapped, again, cached = (
        contents(build_source(TERMS, readers, origin=origin)) for origin in (None, None, "digest")
    )
    assert mapped == again == cached
    refusing = dict.fromkeys(readers, lambda: pytest.fail("read again"))
    assert contents(build_source(TERMS, refusing, origin="digest")) == cached
    for facts in (small, mapped):  # datasets digests what is in memory, and files are digested here
        facts["dataset"] = {split: rows[:2] for split, rows in facts["dataset"].items()}
    assert mapped == small
    assert len(small["dropped"]) == 48


@pytest.mark.parametrize(
    ("terms", "options", "origin"),
    [
        (NerSource("other"), None, "digest"),
        (replace(TERMS, language="zh"), None, "digest"),
        (TERMS, ReadingOptions(characters=True), "digest"),
        (TERMS, None, "another"),
    ],
)
def test_nothing_else_is_taken_from_the_cache(terms, options, origin):
    build_source(TERMS, {"train": raw_reader(*ROWS)}, origin="digest")
    other = [("北京 is", [(0, 2, "loc")])] * 4
    assert build_source(terms, {"train": raw_reader(*other)}, options, origin=origin).labels == ("loc",)


def test_an_interrupted_reading_leaves_nothing_that_would_be_taken():
    def interrupted():
        yield from raw_reader(*ROWS)()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_source(TERMS, {"train": interrupted}, origin="digest")
    source = build_source(TERMS, {"train": raw_reader(*ROWS)}, origin="digest")
    assert sum(map(len, source.dataset.values())) == len(ROWS)


@pytest.mark.parametrize(("origin", "variable"), [(None, "TMPDIR"), ("digest", "ESNERA_CACHE_DIR")])
def test_a_full_disk_is_said_with_what_to_do(monkeypatch, origin, variable):
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr(build_module, "_IN_MEMORY", 1)
    monkeypatch.setattr("datasets.arrow_writer.ArrowWriter.write", full)
    message = rf"the sentences cannot be kept there: .*Make room, or set {variable} to"
    with pytest.raises(SourceError, match=message):
        build_source(TERMS, {"train": raw_reader(*BOTH)}, origin=origin)


@pytest.mark.parametrize(
    ("text", "language", "cut"),
    [
        ("他 在 北京 。", "zh", True),
        ("他 在 北 京 iPhone", "zh", False),
        ("東京 に いる", "ja", True),
        ("the man in 北京", "", True),
        ("서울 에", "", False),
    ],
)
def test_language_and_words(text, language, cut):
    words = RawSentence(text.split(), [], "here")
    assert (language_of([words.tokens]), has_words([words])) == (language, cut)


@given(annotated(st.sampled_from(["北京", "a", "", "iPad"])))
def test_mentions_survive_as_characters(drawn):
    tokens, entities = drawn
    cut = as_characters(RawSentence(tokens, entities, "here"))
    assert "".join(cut.tokens) == "".join(tokens)
    assert all(len(token) <= 1 for token in cut.tokens)
    mentions = ["".join(tokens[e.start : e.end]) for e in entities]
    assert ["".join(cut.tokens[e.start : e.end]) for e in cut.spans] == mentions


@pytest.mark.parametrize(
    ("text", "language", "characters", "expected", "cut"),
    [
        *(("北京 大学", "", characters, "北|京|大|学", True) for characters in (None, True)),
        ("北京 大学", "", False, "北京|大学", False),
        ("Ann ran", "zh", None, "Ann|ran", False),
    ],
)
def test_chinese_words_are_cut_unless_asked_otherwise(text, language, characters, expected, cut):
    sentence = RawSentence(text.split(), [Entity(0, 1, "loc")], "here")
    options = ReadingOptions(characters=characters)
    source = build_source(NerSource("c", language=language), of(sentence), options)
    assert "|".join(source.dataset["train"]["tokens"][0]) == expected
    assert source.language == "zh"
    assert ("words cut into characters" in source.notes) is cut
