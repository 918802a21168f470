"""Exports read back: the same entities in every format that can hold them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import pytest
from datasets import DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Row, make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_exchange import MAPPING_FORMATS, MappingFormat
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.merging.export import (
    EXPORT_FORMATS,
    ExportFormat,
    count_pseudo_labels,
    export,
    exported_sentences,
)
from esnera_hf.merging.label_levels import view
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.docbin import MISSING
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import WRITTEN_SCHEMES, Entity, LabelRef, WrittenScheme, tags_from_entities
from results import make_result

SPLITS = ("train", "validation", "test")
_NO_SPACY = pytest.mark.skipif(find_spec("spacy") is None, reason="needs the extra spacy")
TEXT_FORMATS = [form for form in EXPORT_FORMATS if form != "spacy"]
FORMATS = [pytest.param(form, marks=_NO_SPACY) if form == "spacy" else form for form in EXPORT_FORMATS]
#: Each is one word for the reader of texts.
WORDS = ("anna", "o'hare", "x-ray", ".", ",", "42", "né", "Ж", "_a", "#", "%")
HAN = tuple("北京大学在中国人")
#: What column files and JSON can hold and texts cannot: tokens that are cut otherwise.
ODD = (
    *(
        "U.S.",
        "a b",
        " ",
        "\u3000",
        "\u2028",
        "\x85",
        '"',
        "\\",
        "#x",
        "{{",
        "[",
        "😀",
        "e\u0301",
        "O",
        "B-x",
    ),
)
#: What only JSON can hold.
JSON = ("anna", "met", "", "\t", "\n", "-DOCSTART-", "\ufeff")
SOURCE = make_source("x", {"train": [row("anna/B-P left"), row("x")], "test": [row("in oslo/B-L")]})
LABELS = ("PER", "a-b", "人名", "x y", "B-I", "A/B")


def sentences_of(source: NerSource) -> dict[str, list[tuple[list[str], list[Entity]]]]:
    return {split: [(s.tokens, s.entities) for s in source.sentences(split)] for split in source.dataset}


def mentions_of(source: NerSource) -> dict[str, list[list[tuple[str, str]]]]:
    return {
        split: [
            [("".join(s.tokens[e.start : e.end]), e.label) for e in s.entities]
            for s in source.sentences(split)
        ]
        for split in source.dataset
    }


def rows(tokens: Sequence[str]) -> st.SearchStrategy[list[Row]]:
    """Sentences of which at least one has entities, as unannotated splits are not loaded."""

    @st.composite
    def sentence(draw: st.DrawFn) -> Row:
        words = draw(st.lists(st.sampled_from(tokens), min_size=1, max_size=6))
        entities, start = [], 0
        while start < len(words):
            length = draw(st.integers(0, len(words) - start))
            if length:
                entities.append(Entity(start, start + length, draw(st.sampled_from(LABELS))))
            start += length or 1
        return words, tags_from_entities(len(words), entities)

    # One that ends with its sentence: else a reader of a few sentences may have to ask whether ends are inclusive.
    certain: Row = ([tokens[0], tokens[1], tokens[0]], ["B-PER", "O", "B-PER"])
    return st.lists(sentence(), max_size=12).map(lambda drawn: [certain, *drawn])


def source_of(tokens: Sequence[str], language: str = "") -> st.SearchStrategy[NerSource]:
    splits = st.fixed_dictionaries({split: rows(tokens) for split in SPLITS})

    def build(drawn: Mapping[str, list[Row]]) -> NerSource:
        return make_source("x", drawn, language)

    return splits.map(build)


def read_back(source: NerSource, form: ExportFormat, options: ReadingOptions | None = None) -> NerSource:
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "out"
        export(source, folder, form)
        return load_source(folder, name="x", options=options)


@pytest.mark.parametrize(
    ("form", "tokens", "characters"),
    [
        *((form, WORDS, False) for form in TEXT_FORMATS),
        *((form, (*HAN, *HAN, "a", "1", "。"), True) for form in TEXT_FORMATS),
        pytest.param("spacy", (*WORDS, "😀", "é"), False, marks=_NO_SPACY),
        pytest.param("spacy", (*HAN, *HAN, "a", "1"), True, marks=_NO_SPACY),
        *((form, (*WORDS, *ODD), False) for form in ("conll", "jsonl")),
        ("label-studio", (*WORDS, *(token for token in ODD if not token.isspace())), False),
        ("jsonl", JSON, False),
    ],
)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read(
    form: ExportFormat, tokens: tuple[str, ...], characters: bool, data: st.DataObject
) -> None:
    source = data.draw(source_of(tokens, "zh" if characters else ""))
    # Random words and spans look like no text: what their offsets and columns mean is stated.
    stated = {"conll": {"token_column": 0}, "jsonl": {}, "spacy": {}}.get(form, {"offsets": "characters"})
    options = ReadingOptions(characters=characters or None, **stated)
    assert sentences_of(read_back(source, form, options)) == sentences_of(source)


@pytest.mark.parametrize("form", ["doccano", "label-studio"])
def test_mentions_survive_another_cut(form: ExportFormat) -> None:
    given = [row("the/B-x U.S./I-x of A./B-y and 😀 x/B-z")]
    source = make_source("x", dict.fromkeys(SPLITS, given))
    options = ReadingOptions(offsets="characters")
    assert mentions_of(read_back(source, form, options)) == mentions_of(source)


@pytest.mark.parametrize("form", FORMATS)
def test_a_merged_dataset(form: ExportFormat, tmp_path: Path) -> None:
    source = make_source("x", {split: [row("anna/B-P met bruno/B-P smith/I-P")] for split in SPLITS})
    mapping = LabelMapping(("人",), (MappedLabel(LabelRef("x", "P"), "人"),))
    merged = merge_sources([source], mapping)
    files = export(merged, tmp_path / "out", form)
    assert [file.stem for file in files] == list(SPLITS)
    again = load_source(tmp_path / "out")
    assert mentions_of(again) == {split: [[("anna", "人"), ("brunosmith", "人")]] for split in SPLITS}
    assert [s.id for s, _ in exported_sentences(merged["train"])] == ["x-train-0"]


class TestPseudoLabels:
    PSEUDO = PseudoLabels(0.9, {"x": {"x-train-0": [Entity(2, 3, "city", 0.95)]}})

    def merged(self) -> DatasetDict:
        source = make_source("x", {split: [row("anna/B-P in oslo")] for split in SPLITS})
        mapping = LabelMapping(("P", "city"), (MappedLabel(LabelRef("x", "P"), "P"),))
        return merge_sources([source], mapping, (), self.PSEUDO)

    def test_jsonl_tells_them(self, tmp_path: Path) -> None:
        train, validation, _ = export(self.merged(), tmp_path / "out")
        record = json.loads(train.read_text("utf-8"))
        assert record["spans"] == [[0, 1, "P"], [2, 3, "city"]]
        assert (record["origins"], record["scores"]) == (["gold", "pseudo"], [1.0, 0.95])
        assert json.loads(validation.read_text("utf-8"))["origins"] == ["gold"]
        assert mentions_of(load_source(tmp_path / "out"))["train"] == [[("anna", "P"), ("oslo", "city")]]

    def test_label_studio_remarks_them(self, tmp_path: Path) -> None:
        train, *_ = export(self.merged(), tmp_path / "out", "label-studio")
        (task,) = json.loads(train.read_text("utf-8"))
        (prediction,) = task["predictions"]
        gold, pseudo = prediction["result"]
        assert (task["annotations"], prediction["model_version"], prediction["score"]) == (
            [],
            "esnera-hf",
            0.95,
        )
        assert (pseudo["score"], pseudo["meta"]) == (0.95, {"text": ["pseudo-label"]})
        assert {key: gold.get(key) for key in ("score", "meta")} == {"score": 1, "meta": None}
        assert mentions_of(load_source(tmp_path / "out"))["train"] == [[("anna", "P"), ("oslo", "city")]]

    @pytest.mark.parametrize("form", FORMATS)
    def test_they_can_be_left_out(self, form: ExportFormat, tmp_path: Path) -> None:
        export(self.merged(), tmp_path / "out", form, gold_only=True)
        assert mentions_of(load_source(tmp_path / "out"))["train"] == [[("anna", "P")]]
        if form == "label-studio":
            assert "city" not in (tmp_path / "out" / "label_config.xml").read_text("utf-8")

    def test_the_command_line_says_how_many_there_are(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        splits = {split: [row("anna/B-per in oslo/B-place")] for split in SPLITS}
        pseudo = PseudoLabels(0.9, {"beta": {"beta-train-0": [Entity(1, 2, "per", 0.95)]}})
        result = make_result()
        mapping = result.mapping.restricted(["beta"])
        merged = merge_sources([make_source("beta", splits)], mapping, (), pseudo)
        report = replace(result.report, mapping_fingerprint=mapping.fingerprint)
        replace(result, dataset=merged, mapping=mapping, similarity=None, report=report).save(
            tmp_path / "saved"
        )
        arguments = ["export", str(tmp_path / "saved"), "--output"]
        assert main([*arguments, str(tmp_path / "all")]) == 0
        assert capsys.readouterr().err == "1 pseudo-label among 7 entities: --gold-only leaves these out\n"
        assert main([*arguments, str(tmp_path / "gold"), "--gold-only"]) == 0
        assert capsys.readouterr().err == "1 pseudo-label among 7 entities: left out\n"
        assert '"pseudo"' not in (tmp_path / "gold" / "train.jsonl").read_text("utf-8")

    def test_they_are_counted(self) -> None:
        merged = self.merged()
        assert count_pseudo_labels(merged) == (4, 1)
        assert count_pseudo_labels(view(merged, "original")) == (3, 0)
        assert count_pseudo_labels(SOURCE) == (2, 0)


@pytest.mark.parametrize(
    ("form", "first"),
    [
        ("conll", "anna\tB-P\nleft\tO\n\nx\tO\n\n"),
        ("jsonl", '{"id": "x-train-0", "tokens": ["anna", "left"], "spans": [[0, 1, "P"]], "source": "x"}\n'),
        ("doccano", '{"id": "x-train-0", "text": "anna left", "label": [[0, 4, "P"]]}\n'),
        (
            "label-studio",
            '[\n{"data": {"text": "anna left", "sentence_id": "x-train-0", "source": "x", "split": "train", "schema": '
            '"4f53cda18c2b", "tokens": ["anna", "left"]}, "annotations": [{"result": [{"id": '
            '"x-train-0-0", "from_name": "label", "to_name": "text", "type": "labels", "value": {"start": 0, "end": 4, '
            '"text": "anna", "labels": ["P"]}}]}]},\n',
        ),
    ],
)
def test_the_text_of_a_file(tmp_path: Path, form: ExportFormat, first: str) -> None:
    files = export(SOURCE, tmp_path / "out", form)
    assert [file.stem for file in files] == ["train", "test"]
    assert files[0].read_text("utf-8").startswith(first)


def test_the_interface_of_label_studio(tmp_path: Path) -> None:
    export(make_source("x", {"train": [row("a/B-<\"&'> b/B-L")]}), tmp_path / "out", "label-studio")
    config = ElementTree.parse(tmp_path / "out" / "label_config.xml").getroot()
    assert [label.get("value") for label in config.iter("Label")] == ["<\"&'>", "L"]


_EMPTY = "x-train-0: an entity of 'L' has no characters.*jsonl instead"
_FIRST = r"x-train-0: a column file that begins with U\+FEFF would lose it"


@pytest.mark.parametrize(
    ("form", "rows", "problem"),
    [
        *(
            ("conll", [(["a", token], ["B-P", "O"])], "x-train-0: .* does not fit a column file")
            for token in ("", "a\tb", "a\nb", "a\r", "-DOCSTART-")
        ),
        ("conll", [row("\ufeffanna/B-P left"), row("x")], _FIRST),
        *((f, [(["anna", "", "left"], ["B-P", "B-L", "O"])], _EMPTY) for f in ("doccano", "label-studio")),
        *(
            ("label-studio", [(["anna"], [f"B-P{char}"])], "is XML, which cannot hold")
            for char in ("\x1b", "\x07", "\0", "\ufffe")
        ),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, form: ExportFormat, rows: list[Row], problem: str
) -> None:
    with pytest.raises(SourceError, match=problem):
        export(make_source("x", {"train": rows}), tmp_path / "out", form)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("form", "rows", "mention"),
    [
        *((form, [(["", "anna"], ["B-P", "I-P"])], "anna") for form in ("doccano", "label-studio")),
        ("conll", [row("x"), row("\ufeffanna/B-P left")], "\ufeffanna"),
    ],
)
def test_what_it_can_hold_after_all(form: ExportFormat, rows: list[Row], mention: str) -> None:
    source = make_source("x", dict.fromkeys(SPLITS, rows))
    assert mentions_of(read_back(source, form))["train"][-1] == [(mention, "P")]


def test_other_refusals(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    bare, columns = SOURCE.dataset.remove_columns("id"), "expected a merged dataset, columns missing: id"
    for data, folder, form, problem in (
        (SOURCE, "there", "jsonl", "exists already"),
        (SOURCE, "out", "xml", "expected one of conll, jsonl, label-studio, doccano, spacy"),
        (bare, "out", "jsonl", columns),
    ):
        with pytest.raises((ConfigurationError, SourceError), match=problem):
            export(data, tmp_path / folder, form)  # type: ignore[arg-type]
    assert [list(tmp_path.iterdir()), list((tmp_path / "there").iterdir())] == [[tmp_path / "there"], []]


class TestSchemes:
    ROWS = (row("anna/B-P bruno/B-P smith/I-P met lee/B-L"), row("in oslo/B-L new/B-P york/I-P city/I-P"))

    @pytest.mark.parametrize("scheme", [scheme for scheme in WRITTEN_SCHEMES if scheme != "IO"])
    def test_conll_comes_back_in_every_scheme(self, scheme: WrittenScheme, tmp_path: Path) -> None:
        source = make_source("x", {split: list(self.ROWS) for split in SPLITS})
        train, *_ = export(source, tmp_path / "out", "conll", scheme=scheme)
        # The reader tells the scheme from the tags alone.
        assert sentences_of(load_source(tmp_path / "out", name="x")) == sentences_of(source)
        tags = [line.split("\t")[1] for line in train.read_text("utf-8").split("\n") if line]
        assert tags[:5] == {
            "IOB1": ["I-P", "B-P", "I-P", "O", "I-L"],
            "BIOES": ["S-P", "B-P", "E-P", "O", "S-L"],
            "BMES": ["S-P", "B-P", "E-P", "O", "S-L"],
            "BMEWO": ["W-P", "B-P", "E-P", "O", "W-L"],
            "BILOU": ["U-P", "B-P", "L-P", "O", "U-L"],
        }.get(scheme, ["B-P", "B-P", "I-P", "O", "B-L"])

    def test_io_where_it_loses_nothing(self, tmp_path: Path) -> None:
        apart = make_source("x", {split: [self.ROWS[1]] for split in SPLITS})
        export(apart, tmp_path / "out", "conll", scheme="IO")
        assert sentences_of(load_source(tmp_path / "out", name="x")) == sentences_of(apart)
        touching = make_source("x", {"train": list(self.ROWS)})
        with pytest.raises(
            SourceError, match=r"x-train-0: two entities of 'P' touch at token 1.*Choose a scheme"
        ):
            export(touching, tmp_path / "none", "conll", scheme="IO")
        assert not (tmp_path / "none").exists()

    def test_by_the_command_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make_result().save(tmp_path / "saved")
        arguments = [
            "export",
            str(tmp_path / "saved"),
            "--scheme",
            "BILOU",
            "--output",
            str(tmp_path / "out"),
        ]
        assert main([*arguments, "--format", "conll"]) == 0
        assert "\tU-" in (tmp_path / "out" / "train.conll").read_text("utf-8")
        assert main(arguments) == 1
        assert (
            "--scheme says how the tags of --format conll are written, and jsonl has none"
            in capsys.readouterr().err
        )

    @pytest.mark.parametrize(("form", "scheme"), [("jsonl", "BIOES"), ("conll", "none")])
    def test_other_schemes_are_refused(self, form: ExportFormat, scheme: Any, tmp_path: Path) -> None:
        with pytest.raises(
            ConfigurationError, match=r"expected one of IOB1, IOB2, BIO, .* and only of format 'conll'"
        ):
            export(SOURCE, tmp_path / "out", form, scheme=scheme)


@_NO_SPACY
class TestSpacy:
    """Labels that a source does not annotate are missing values, not outside."""

    X, Y = LabelRef("x", "P"), LabelRef("y", "city")
    PARTIAL = LabelMapping(("P", "city"), (MappedLabel(X, "P"), MappedLabel(Y, "city")))
    SOURCES = (
        make_source("x", {split: [row("anna/B-P in oslo"), row("rain")] for split in SPLITS}),
        make_source(
            "y", {split: [(["北", "京", "😀"], ["B-city", "I-city", "O"])] for split in SPLITS}, "zh"
        ),
    )

    def docs(self, folder: Path) -> list[Any]:
        spacy = pytest.importorskip("spacy")
        return list(spacy.tokens.DocBin().from_disk(folder / "train.spacy").get_docs(spacy.vocab.Vocab()))

    @pytest.mark.parametrize("given", [True, False])
    def test_partial_annotation(self, given: bool, tmp_path: Path) -> None:
        merged = merge_sources(self.SOURCES, self.PARTIAL)
        export(merged, tmp_path / "out", "spacy", mapping=self.PARTIAL if given else None)
        docs = self.docs(tmp_path / "out")
        assert [doc.text for doc in docs] == ["anna in oslo", "rain", "北京😀"]
        # 0 is missing, 1 inside, 2 outside, 3 begins.
        assert [[token.ent_iob for token in doc] for doc in docs] == [[3, 0, 0], [0], [3, 1, 0]]
        assert [[(e.start_char, e.end_char, e.label_) for e in doc.ents] for doc in docs] == [
            [(0, 4, "P")],
            [],
            [(0, 2, "city")],
        ]
        assert [doc.user_data["source"] for doc in docs] == ["x", "x", "y"]
        again = load_source(tmp_path / "out", name="again")
        assert [tokens for tokens, _ in sentences_of(again)["train"]] == [
            ["anna", "in", "oslo"],
            ["rain"],
            list("北京😀"),
        ]
        assert mentions_of(again)["train"] == [[("anna", "P")], [], [("北京", "city")]]
        assert again.repairs == {MISSING: 9}

    def test_whole_annotation(self, tmp_path: Path) -> None:
        whole = LabelMapping(("city",), (MappedLabel(self.X, "city"), MappedLabel(self.Y, "city")))
        export(merge_sources(self.SOURCES, whole), tmp_path / "out", "spacy", mapping=whole)
        assert [[t.ent_iob for t in doc] for doc in self.docs(tmp_path / "out")] == [
            [3, 2, 2],
            [2],
            [3, 1, 2],
        ]
        assert load_source(tmp_path / "out", name="again").repairs == {}
        # What occurs decides where no mapping says: a source of its own is annotated throughout.
        export(self.SOURCES[0], tmp_path / "own", "spacy")
        assert [[t.ent_iob for t in doc] for doc in self.docs(tmp_path / "own")] == [[3, 2, 2], [2]]

    @pytest.mark.parametrize(
        ("rows", "problem"),
        [
            ([(["anna", ""], ["B-P", "O"])], "x-train-0: spaCy has no empty tokens"),
            ([(["anna", " "], ["O", "B-P"])], "x-train-0: an entity of 'P' is nothing but white space"),
        ],
    )
    def test_what_spacy_cannot_hold(self, rows: list[Row], problem: str, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=problem):
            export(make_source("x", {"train": rows}), tmp_path / "out", "spacy")


def test_spacy_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("spacy", "spacy.tokens"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SourceError, match=r"pip install 'esnera-hf\[spacy\]'"):
        export(SOURCE, tmp_path / "out", "spacy")


@pytest.mark.parametrize("form", MAPPING_FORMATS)
def test_a_mapping_by_python_and_by_the_command_line(form: MappingFormat, tmp_path: Path) -> None:
    result = make_result()
    (file,) = result.export(tmp_path / "python", form)
    result.save(tmp_path / "saved")
    assert main(["export", str(tmp_path / "saved"), "--format", form, "--output", str(tmp_path / "cli")]) == 0
    assert (tmp_path / "cli" / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(ConfigurationError, match="writes the mapping alone"):
        result.export(tmp_path / "again", form, gold_only=True)
    with pytest.raises(ConfigurationError, match="exists already"):
        result.export(tmp_path / "python", form)


def test_offsets_of_json_lines_are_not_asked_for(tmp_path: Path) -> None:
    """Characters beside words of several, as in Chinese corpora, where offsets of either kind could be meant."""
    given = [(["他", "说", "NBA", "的", "姚", "明"], ["O", "O", "B-ORG", "O", "B-PER", "I-PER"])] * 9
    source = make_source("x", {split: list(given) for split in SPLITS}, "zh")
    export(source, tmp_path / "out", "jsonl")
    assert sentences_of(load_source(tmp_path / "out", name="x")) == sentences_of(source)
