"""What labels mean: where it is read from, what is refused, where it is kept and shown, and that it moves nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import refusal, toy_source, write_corpus
from esnera_hf import AlignSettings, LabelMapping, MergeResult, SchemaSettings, align, apply
from esnera_hf.alignment.constraints import build_constraints
from esnera_hf.alignment.definitions import check_definitions, read_definitions
from esnera_hf.alignment.mapping_yaml import LONGEST_DEFINITION
from esnera_hf.alignment.questions import Question
from esnera_hf.api import reproduce
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError, EsneraError, MappingError
from esnera_hf.hub.cards import MERGED, dataset_card
from esnera_hf.report.html import render_report
from esnera_hf.tagging import LabelRef

MEANT = {"a:PER": "A person's name.", "b:person": "Wer einen Namen trägt; 也包括小说中的人物。"}
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "x\n- source: b\n  label: person\n  unified: null",
    "!!python/object/apply:os.system ['true']",
    "&a [*a, *a]",
    "\x1b]0;title\x07\u202e|`<!--",
    "{{ 7 * 7 }}{% include 'x' %}",
    "\u2028" * 30,
    "# no comment",
    "yes",
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(HOSTILE)


def corpora() -> list[Any]:
    return [
        toy_source("a", {"PERSON": "PER", "PLACE": "LOC"}, 1, 40),
        toy_source("b", {"PERSON": "person", "FIRM": "firma"}, 2, 40),
    ]


def aligned(**settings: Any) -> MergeResult:
    return align(corpora(), evidence="surface", settings=AlignSettings(schema=SchemaSettings(**settings)))


@pytest.fixture(scope="module")
def plain() -> MergeResult:
    return aligned()


@pytest.fixture(scope="module")
def defined() -> MergeResult:
    return aligned(definitions=MEANT)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "defined.yaml",
            "a:PER: A person's name.\n'b:person': Wer einen Namen trägt; 也包括小说中的人物。\n",
        ),
        ("defined.txt", json.dumps(MEANT, ensure_ascii=False)),
        ("defined.json", json.dumps(MEANT)),
    ],
)
def test_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_definitions(tmp_path / name) == MEANT


def test_a_mapping_is_a_file_of_them(tmp_path: Path, defined: MergeResult) -> None:
    defined.mapping.save(tmp_path / "mapping.yaml")
    assert read_definitions(str(tmp_path / "mapping.yaml")) == MEANT


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.yaml", None, "cannot be read"),
        ("none.json", None, "cannot be read"),
        ("bytes.yaml", b"\xff\xfea", "cannot be read"),
        ("list.yaml", b"- a", ": definitions: expected a mapping"),
        ("empty.yaml", b"", ": definitions: expected a mapping"),
        ("number.yaml", b"x: y\na:PER: 3", "line 2: the definition of 'a:PER': expected text"),
        ("null.yaml", b"a:PER:", "the definition of 'a:PER': expected text"),
        ("twice.yaml", b"a:PER: x\na:PER: y", "line 2: the key 'a:PER' stands twice"),
        ("alias.yaml", b"a:PER: &a x\na:LOC: *a", "alias"),
        ("code.yaml", b"a:PER: !!python/object/apply:os.system ['true']", "YAML reads as"),
        ("colon.yaml", b"a:PER: names: of people", "line 1"),
        ("nested.json", b'{"a:PER": {"text": "x"}}', "'a:PER': expected a text, found dict"),
        ("list.json", b"[1]", "expected an object"),
        ("half.json", b'{"a:PER": "\\ud800"}', "damaged"),
    ],
)
def test_files_that_hold_something_else(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EsneraError, match=message) as error:
        read_definitions(tmp_path / name)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        (
            {"a:PERS": "x"},
            r"'a:PERS' is no label of the sources. Did you mean 'a:PER'\? .*one of a:LOC, a:PER\.",
        ),
        ({"c:PER": "x"}, "'c:PER' is no label of the sources.* one of a:LOC, a:PER, b:firma, b:person"),
        ({"PER": "x"}, "'PER' is no label of the sources"),
        ({3: "x"}, "'3' is no label"),
        ({"a:PER": None}, "a:PER: expected a text of at most 2,000 characters, found NoneType"),
        ({"a:PER": "x" * (LONGEST_DEFINITION + 1)}, "a:PER: .*2,000 characters, found 2,001"),
        ({"a:PER": "\ud800"}, "a:PER: found half of a surrogate pair"),
        ([("a:PER", "x")], "found list, expected a text for each label"),
        ("a:PER", "found str, expected a text for each label"),
    ],
)
def test_what_is_no_definition_of_a_label_is_refused_before_anything_is_measured(
    definitions: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        aligned(definitions=definitions)


def test_of_many_labels_a_message_names_those_of_the_source() -> None:
    labels = [f"{source}:{n:02d}" for source in "ab" for n in range(50)]
    with pytest.raises(ConfigurationError) as error:
        check_definitions({"b:x": "y"}, labels)
    assert "b:29 and more." in str(error.value)
    assert "a:00" not in str(error.value)


def test_labels_may_be_references_and_steer_no_terminal() -> None:
    assert check_definitions({LabelRef("a", "PER"): "x"}, ["a:PER"]) == {"a:PER": "x"}
    for definitions in ({"a:LOC": "x"}, {"a:\x1b[0m\u202e": None}):
        with pytest.raises(ConfigurationError) as error:
            check_definitions(definitions, ["a:\x1b[0m\u202e"])
        assert str(error.value).isprintable()


def test_a_label_of_two_meanings_is_refused() -> None:
    labels = [LabelRef("a", "b:c"), LabelRef("a:b", "c")]
    with pytest.raises(ConfigurationError, match="definitions: 'a:b:c' is 'b:c' of 'a' and 'c' of 'a:b'"):
        build_constraints(labels, settings=SchemaSettings(definitions={"a:b:c": "x"}))


def test_they_change_no_number_and_no_decision(plain: MergeResult, defined: MergeResult) -> None:
    assert plain.similarity is not None
    assert defined.similarity is not None
    assert defined.similarity.to_dict() == plain.similarity.to_dict()
    assert defined.mapping.with_definitions(dict.fromkeys(map(_ref, MEANT), "")) == plain.mapping
    assert defined.mapping.fingerprint == plain.mapping.fingerprint
    assert "definition" not in plain.mapping.to_yaml()
    assert aligned(definitions={"a:PER": " \n"}).mapping == plain.mapping


def _ref(text: str) -> LabelRef:
    return LabelRef(*text.split(":"))


def test_a_result_keeps_them_and_a_locked_mapping_hands_them_on(tmp_path: Path, defined: MergeResult) -> None:
    defined.save(tmp_path / "saved")
    loaded = MergeResult.load(tmp_path / "saved")
    assert loaded.mapping == defined.mapping
    assert loaded.mapping.definitions == MEANT
    assert apply(loaded.mapping, corpora()).mapping.definitions == MEANT
    again, changed = reproduce(tmp_path / "saved", corpora())
    assert (again.mapping, changed) == (defined.mapping, [])
    text = (tmp_path / "saved" / "mapping.yaml").read_text("utf-8").replace("A person's name.", "Of old.")
    older = LabelMapping.from_yaml(text)
    third = aligned(locked=older, definitions={"b:person": "New."})
    assert third.mapping.definitions == {"a:PER": "Of old.", "b:person": "New."}


@given(st.dictionaries(st.sampled_from(["a:LOC", "a:PER", "b:firma", "b:person"]), TEXTS))
def test_any_text_survives_the_file(plain: MergeResult, definitions: dict[str, str]) -> None:
    mapping = plain.mapping.with_definitions({_ref(ref): text for ref, text in definitions.items()})
    found = LabelMapping.from_yaml(mapping.to_yaml())
    assert found == mapping
    assert found.definitions == {ref: definitions[ref] for ref in found.definitions}
    assert set(found.definitions) == {ref for ref, text in definitions.items() if text}


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("x" * (LONGEST_DEFINITION + 1), "definition: found 2,001 characters, expected at most 2,000"),
        ("[x]", "definition: expected text"),
        ("", "definition: expected text"),
    ],
)
def test_a_mapping_with_another_thing_for_a_definition_is_refused(
    plain: MergeResult, definition: str, message: str
) -> None:
    text = plain.mapping.to_yaml().replace("  mentions:", f"  definition: {definition}\n  mentions:", 1)
    with pytest.raises(MappingError, match=f"line [0-9]+: {message}"):
        LabelMapping.from_yaml(text)


def test_they_are_shown_beside_labels_and_in_questions(defined: MergeResult) -> None:
    assert "a:PER means: A person's name." in defined.details()
    question = next(q for q in with_question(defined).questions if q.definitions)
    assert (str(question.one), question.definitions) == ("a:PER", tuple(MEANT.values()))
    page = render_report(with_question(defined).report, defined.mapping, defined.similarity)
    assert page.count('<p class="note"><bdi>A person&#39;s name.</bdi></p>') == 1
    assert page.count("<bdi>a:PER</bdi>: <bdi>A person&#39;s name.</bdi></p>") == 1
    assert "    a:PER: A person's name." in str(with_question(defined).report).split("\n")


def with_question(result: MergeResult) -> MergeResult:
    one, other = map(_ref, MEANT)
    question = Question(one, other, "one", 0.5, 0.2, 0.1, 9, definitions=tuple(MEANT.values()))
    return replace(result, report=replace(result.report, questions=(question,)))


def test_nothing_in_them_becomes_markup_or_steers_a_terminal(defined: MergeResult) -> None:
    for text in HOSTILE:
        result = replace(defined, mapping=defined.mapping.with_definitions({LabelRef("a", "PER"): text}))
        page = render_report(result.report, result.mapping, None)
        assert "<img" not in page
        assert all(char.isprintable() or char == "\n" for char in page + result.details())
        card = str(dataset_card("me/it", result.report, result.mapping, {MERGED: result.dataset}))
        assert re.search(r"(?<!\\)<(img|!--|/)", card) is None
        assert len([line for line in card.split("\n") if line.startswith("- a:PER: ")]) == 1


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = (
        write_corpus(tmp_path / name, {"PERSON": label}, 3, 40, 10)
        for name, label in (("a", "PER"), ("b", "person"))
    )
    file = tmp_path / "defined.yaml"
    file.write_text("a:PER: Names: of people\n", encoding="utf-8")
    command = ["align", str(a), str(b), "--evidence", "surface", "--definitions", str(file)]
    assert "defined.yaml, line 1" in refusal(capsys, *command)
    file.write_text("a:PEOPLE: Names of people\n", encoding="utf-8")
    assert "--definitions: 'a:PEOPLE' is no label of the sources" in refusal(capsys, *command)
    file.write_text("a:PER: Names of people\n", encoding="utf-8")
    assert main([*command, "--output", str(tmp_path / "out"), "--verbose"]) == 0
    assert "a:PER means: Names of people" in capsys.readouterr().out
    assert MergeResult.load(tmp_path / "out").mapping.definitions == {"a:PER": "Names of people"}
