"""Raw sentences become a source: everything kept or accounted for, nothing unlabelled let in."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import raw_reader, sentences_of
from esnera_hf.errors import ConservationError, SourceError
from esnera_hf.sources import build as build_module
from esnera_hf.sources.build import LABEL_NORMALISED, SourceTerms, build_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import Dropped, License, RawSentence
from esnera_hf.tagging import Entity

TERMS = SourceTerms("corpus")
BOTH = (("ab", [(0, 1, "x")]), ("cd", []))


@st.composite
def raw_sentences(draw):
    text = draw(st.text(st.sampled_from("北京ab"), min_size=1, max_size=6))
    bounds = st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True).map(sorted)
    label = st.sampled_from(["PER", "GPE.NOM", "a-b"])
    return text, [
        (start, end, name) for (start, end), name in draw(st.lists(st.tuples(bounds, label), max_size=5))
    ]


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


def test_a_dropped_span_says_where_it_stood_and_why():
    readers = {
        "train": raw_reader(("北京大学", [(0, 4, "org"), (0, 2, "loc")])),
        "validation": raw_reader(*BOTH),
        "test": raw_reader(("ok", [(0, 2, "org")]), ("上海", [(0, 2, "org"), (0, 2, "loc")])),
    }
    source = build_source(TERMS, readers)
    assert source.dropped == (
        Dropped("train", "given, line 1", 0, 2, "loc", "北京", "nested in a longer span"),
        Dropped("test", "given, line 2", 0, 2, "loc", "上海", "second label of the same span"),
    )
    assert source.summary.dropped == {"nested in a longer span": 1, "second label of the same span": 1}
    assert sentences_of(source)[-1] == ("上海", [(0, 2, "org")])


def test_the_terms_and_the_repairs_are_kept():
    def read():
        return iter([RawSentence(["a"], [Entity(0, 1, "x")], "here", ["mended", "mended", "cut"])])

    terms = SourceTerms("corpus", License("CC0", True), "en", notes=("first",))
    source = build_source(terms, dict.fromkeys(("train", "validation", "test"), read))
    assert (source.name, source.license, source.language) == ("corpus", License("CC0", True), "en")
    assert source.repairs == {"mended": 6, "cut": 3}
    assert source.notes == ("first",)
    assert [source.dataset[split]["id"][0] for split in source.dataset] == [
        "corpus-train-0",
        "corpus-validation-0",
        "corpus-test-0",
    ]


def test_a_split_without_annotation_is_not_loaded():
    readers = {"train": raw_reader(*BOTH), "test": raw_reader(("ef", None), ("gh", None))}
    source = build_source(TERMS, readers)
    assert source.notes[0] == "test carries no annotation: not loaded"
    assert source.notes[1].startswith("only train is labelled")
    assert {text for text, _ in sentences_of(source)} == {"ab", "cd"}


@pytest.mark.parametrize(
    "readers",
    [
        {},
        {"train": raw_reader(("ab", None))},
        {"train": raw_reader(("ab", [])), "test": raw_reader()},
    ],
)
def test_a_source_without_entities(readers):
    with pytest.raises(SourceError) as caught:
        build_source(TERMS, readers)
    splits = ", ".join(readers) or "none found"
    assert str(caught.value).startswith(f"corpus: no entities in any split ({splits}). Expected at least one")


@pytest.mark.parametrize("order", [1, -1])
def test_half_an_annotation(order):
    readers = {"train": raw_reader(*[("ab", [(0, 1, "x")]), ("cd", None)][::order])}
    with pytest.raises(
        SourceError, match=r"corpus, train: given, line . is annotated and given, line . is not"
    ):
        build_source(TERMS, readers)


@pytest.mark.parametrize("label", ["O", "", " ", " O", "Ｏ"])
def test_labels_that_mean_nothing(label):
    with pytest.raises(SourceError) as caught:
        build_source(TERMS, {"train": raw_reader(*BOTH, ("ef", [(0, 1, label)]))})
    assert str(caught.value).startswith(
        f"corpus, given, line 3: a label called {'O' if label.strip() else ''!r}. 'O' means"
    )


@pytest.mark.parametrize("sentences", [3, 4, 5, 8])
def test_chunks_join_in_order(monkeypatch, sentences):
    monkeypatch.setattr(build_module, "_IN_MEMORY", 4)
    rows = [(str(number), [(0, 1, "x")]) for number in range(sentences)]
    readers = {"train": raw_reader(*rows), "validation": raw_reader(*BOTH), "test": raw_reader(*BOTH)}
    dataset = build_source(TERMS, readers).dataset["train"]
    assert dataset["tokens"][:] == [[text] for text, _ in rows]
    assert dataset["id"][:] == [f"corpus-train-{number}" for number in range(sentences)]


def three(*sentences):
    return dict.fromkeys(("train", "validation", "test"), raw_reader(*sentences))


def test_labels_are_normalized_and_counted():
    source = build_source(TERMS, three(("ab", [(0, 1, "ＰＥＲ"), (1, 2, " PER ")]), ("c", [(0, 1, "PER")])))
    assert source.labels == ("PER",)
    assert source.repairs == {LABEL_NORMALISED: 6}


def test_labels_that_differ_only_in_case_are_noted():
    source = build_source(TERMS, three(("abc", [(0, 1, "Loc"), (1, 2, "loc"), (2, 3, "org")])))
    assert source.labels == ("Loc", "loc", "org")
    assert source.notes == ("labels that differ only in case, kept apart: Loc, loc",)


def test_labels_not_known_are_noted():
    terms = SourceTerms("corpus", labels=("loc", "org"))
    assert build_source(terms, three(("ab", [(0, 1, "loc")]))).notes == ()
    assert build_source(terms, three(("ab", [(0, 1, "lco"), (1, 2, "loc")]))).notes == (
        "labels that corpus is not known to annotate: lco",
    )


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        (RawSentence(["a"], [Entity(0, 1, "x")], "here", ["mended"]), "mended"),
        (RawSentence(["a", "b"], [Entity(0, 2, "x"), Entity(0, 1, "y")], "here"), "nested in a longer span"),
        (RawSentence(["a"], [Entity(0, 1, "x"), Entity(0, 1, "y")], "here"), "second label of the same span"),
    ],
)
def test_strict_reading_refuses_what_it_would_repair_or_drop(sentence, problem):
    readers = dict.fromkeys(("train", "validation", "test"), lambda: iter([replace(sentence)]))
    assert build_source(TERMS, readers).labels
    with pytest.raises(SourceError, match=f"corpus, here: .*{problem}. Mend it, or read without strict=True"):
        build_source(TERMS, readers, ReadingOptions(strict=True))


def test_strict_reading_takes_what_is_sound():
    readers = three(("ab", [(0, 1, "x"), (1, 2, "x")]), ("ab", []))
    assert build_source(TERMS, readers, ReadingOptions(strict=True)).repairs == {}


def test_the_frequency_of_labels_is_asked_for_only_where_a_span_has_two(monkeypatch):
    monkeypatch.setattr(build_module, "label_frequency", lambda readers: pytest.fail("not needed"))
    build_source(TERMS, three(("abc", [(0, 3, "x"), (0, 1, "y"), (1, 2, "y")])))


def test_a_span_that_vanishes_is_a_defect_of_the_package(monkeypatch):
    monkeypatch.setattr(build_module, "flatten", lambda spans, frequency: (spans[:-1], []))
    with pytest.raises(
        ConservationError,
        match=r"corpus, given, line 1: 1 spans read, 0 kept, 0 dropped\. Please report this",
    ):
        build_source(TERMS, {"train": raw_reader(*BOTH), "test": raw_reader(*BOTH)})


@pytest.mark.parametrize(("origin", "variable"), [(None, "TMPDIR"), ("digest", "ESNERA_CACHE_DIR")])
def test_a_full_disk_is_said_with_what_to_do(monkeypatch, origin, variable):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(build_module, "_IN_MEMORY", 1)
    monkeypatch.setattr("datasets.arrow_writer.ArrowWriter.write", full)
    with pytest.raises(
        SourceError, match=rf"the sentences cannot be kept there: .*Make room, or set {variable} to"
    ):
        build_source(TERMS, {"train": raw_reader(*BOTH)}, origin=origin)


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
        (SourceTerms("other"), None, "digest"),
        (replace(TERMS, language="zh"), None, "digest"),
        (TERMS, ReadingOptions(characters=True), "digest"),
        (TERMS, None, "another"),
    ],
)
def test_nothing_else_is_taken_from_the_cache(terms, options, origin):
    build_source(TERMS, {"train": raw_reader(*ROWS)}, origin="digest")
    other = [("北京 is", [(0, 2, "loc")])] * 4
    source = build_source(terms, {"train": raw_reader(*other)}, options, origin=origin)
    assert source.labels == ("loc",)


def test_an_interrupted_reading_leaves_nothing_that_would_be_taken():
    def interrupted():
        yield from raw_reader(*ROWS)()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_source(TERMS, {"train": interrupted}, origin="digest")
    source = build_source(TERMS, {"train": raw_reader(*ROWS)}, origin="digest")
    assert sum(map(len, source.dataset.values())) == len(ROWS)
