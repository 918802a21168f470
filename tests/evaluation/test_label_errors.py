"""Likely errors of annotation: planted ones come first, and nothing is changed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from builders import make_source, toy_rows
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError, EsneraError
from esnera_hf.evaluation import label_errors
from esnera_hf.evaluation.label_errors import LabelErrors, find_label_errors
from esnera_hf.modeling.encoders import make_encoder
from esnera_hf.modeling.frozen_tagger import Reading
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity, LabelRef

NAMES = {"PERSON": "PER", "PLACE": "LOC"}
LOWER = {kind: label.lower() for kind, label in NAMES.items()}
#: Row of the train split, and what its first mention becomes.
PLANTED = {4: "LOC", 17: "LOC", 30: "PER", 41: None, 55: None, 68: None}


def spoilt(name: str = "spoilt", planted: dict[int, str | None] = PLANTED, seed: int = 3) -> NerSource:
    """Return a source in which the first mention of some rows has another label, or none."""
    rows = toy_rows(NAMES, 140, seed)
    for index, label in planted.items():
        tokens, tags = rows[index]
        start = next(place for place, tag in enumerate(tags) if tag.startswith("B-"))
        end = next(
            (place for place in range(start + 1, len(tags)) if not tags[place].startswith("I-")), len(tags)
        )
        new = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)] if label else ["O"] * (end - start)
        rows[index] = tokens, [*tags[:start], *new, *tags[end:]]
    splits = {"train": rows, "validation": toy_rows(NAMES, 20, 1), "test": toy_rows(NAMES, 20, 2)}
    return make_source(name, splits)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder that knows the words apart, as a random one does not."""
    folder = tmp_path_factory.mktemp("encoder")
    make_encoder([tokens for tokens, _ in toy_rows(NAMES, 300, 5)], folder, seed=0)
    return folder


@pytest.fixture(scope="module")
def found(encoder_folder: Path) -> LabelErrors:
    return find_label_errors([spoilt()], encoder=encoder_folder)


def kinds_by_row(found: LabelErrors, top: int) -> dict[int, str]:
    return {error.place[1]: error.kind for error in found.errors[:top] if error.place[0] == "train"}


def found_splits(found: LabelErrors) -> set[str]:
    return {error.place[0] for error in found}


def test_planted_errors_come_first(found: LabelErrors) -> None:
    expected = {row: "wrong label" if label else "missed" for row, label in PLANTED.items()}
    first = kinds_by_row(found, len(PLANTED))
    assert len(first.items() & expected.items()) >= 5
    scores = [error.score for error in found]
    assert scores == sorted(scores, reverse=True)
    for error in found:
        assert all(0 <= probability <= 1 for probability in error.probabilities)
        assert (error.annotated is None) == (error.kind == "missed")
        assert (error.likely is None) == (error.kind == "spurious")
    assert found.sentences[0] == (
        found.errors[0].sentence,
        [e for e in found if e.place == found.errors[0].place],
    )
    parts = [
        found.only(split, kind) for split in found_splits(found) for kind in get_args(label_errors.ErrorKind)
    ]
    assert sum(map(len, parts)) == len(found.only()) == len(found)
    assert found.mentions == sum(sum(counts.values()) for counts in spoilt().summary.entities.values())


def test_the_second_time_nothing_is_computed(encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_source("small", {"train": toy_rows(NAMES, 12, 3)})
    first = find_label_errors([source], encoder=encoder_folder)
    monkeypatch.delattr(label_errors, "_read_all")
    assert find_label_errors([source], encoder=encoder_folder) == first


@pytest.mark.parametrize(
    ("annotated", "predicted", "expected"),
    [
        ([(0, 2, "a")], [(0, 2, "a")], []),
        ([(0, 2, "a")], [(0, 2, "b")], [("wrong label", (0, 2, "a"), (0, 2, "b"))]),
        ([(0, 2, "a")], [(1, 2, "a")], [("wrong borders", (0, 2, "a"), (1, 2, "a"))]),
        ([(0, 2, "a")], [(1, 3, "b")], [("wrong label", (0, 2, "a"), (1, 3, "b"))]),
        ([(0, 2, "a")], [], [("spurious", (0, 2, "a"), None)]),
        ([(0, 2, "a")], [(2, 3, "a")], [("spurious", (0, 2, "a"), None), ("missed", None, (2, 3, "a"))]),
        ([], [(2, 3, "a")], [("missed", None, (2, 3, "a"))]),
        ([(0, 1, "a"), (1, 2, "a")], [(0, 1, "a"), (1, 2, "a")], []),
    ],
)
def test_differences(
    annotated: Sequence[tuple[int, int, str]], predicted: Sequence[tuple[int, int, str]], expected: object
) -> None:
    reading = Reading([Entity(*span) for span in annotated], [Entity(*span) for span in predicted], [0.5] * 3)
    actual = [
        (kind, *((e.start, e.end, e.label) if e else None for e in pair))
        for kind, *pair in label_errors._differences(reading)
    ]
    assert actual == expected


def test_the_others_speak_where_labels_are_equal() -> None:
    """They confirm an error, or defend the annotation; a head that lacks a label says nothing."""
    annotated, likely = Entity(0, 1, "a", 0.2), Entity(0, 1, "b", 0.6)
    own = Reading([annotated], [likely], [0.1])
    _, plain = label_errors._judged((annotated, likely), own, [])
    assert plain == pytest.approx(math.log(3), abs=1e-3)

    def score(predicted: Entity, equal: dict[str, str]) -> float:
        other = Reading([], [predicted], [0.1])
        return label_errors._judged((annotated, likely), own, [(other, equal)])[1]

    both = {"a": "x", "b": "y"}
    assert score(Entity(0, 1, "y", 0.9), both) > plain > score(Entity(0, 1, "x", 0.9), both)
    for silent in (score(Entity(0, 1, "y", 0.9), {"b": "y"}), score(Entity(2, 3, "y", 0.9), both)):
        assert silent == pytest.approx(plain)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (None, {"PER": "per", "LOC": "loc"}),
        ({"one:PER": "x", "one:LOC": "y", "two:per": "y", "two:loc": "x"}, {"PER": "loc", "LOC": "per"}),
        ({"one:PER": "x", "one:LOC": None, "two:per": "x", "two:loc": None}, {"PER": "per"}),
    ],
)
def test_equal_labels(targets: dict[str, str | None] | None, expected: dict[str, str]) -> None:
    one, two = (
        make_source(n, {"train": toy_rows(names, 12, 1)}) for n, names in (("one", NAMES), ("two", LOWER))
    )
    mapping = targets and LabelMapping(
        tuple(dict.fromkeys(filter(None, targets.values()))),
        tuple(MappedLabel(LabelRef(*name.split(":")), target) for name, target in targets.items()),
    )
    assert label_errors._equal_labels(one, two, mapping or None) == expected


def test_several_sources_and_a_mapping(encoder_folder: Path, tmp_path: Path) -> None:
    sources = [spoilt("one"), spoilt("two", {}, seed=9)]
    together = find_label_errors(sources, encoder=encoder_folder)
    assert {error.source for error in together} <= {"one", "two"}
    assert (
        len(kinds_by_row(LabelErrors(tuple(e for e in together if e.source == "one"), 0), 6).keys() & PLANTED)
        >= 5
    )
    (tmp_path / "mapping.yaml").write_text("", encoding="utf-8")
    with pytest.raises(EsneraError, match="mapping"):
        find_label_errors(sources, encoder=encoder_folder, mapping=tmp_path / "mapping.yaml")


def test_files(found: LabelErrors, tmp_path: Path) -> None:
    found.save(tmp_path / "errors.jsonl")
    found.save(tmp_path / "errors.csv")
    rows = [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text(encoding="utf-8").splitlines()]
    with (tmp_path / "errors.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert len(rows) == len(table) == len(found)
    for row, line, error in zip(rows, table, found, strict=True):
        assert row["tokens"] == line["tokens"].split(" ") == error.sentence.tokens
        assert (row["split"], row["row"], row["kind"]) == (*error.place, error.kind)
        assert row["annotated_label"] == (error.annotated.label if error.annotated else None)
    for file, message in (
        (tmp_path / "errors.csv", "exists already"),
        (tmp_path / "errors.txt", r"expected a file that ends with \.jsonl or \.csv"),
        (tmp_path / "missing" / "errors.csv", "there is no folder"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            found.save(file)


def test_too_little_to_tell_errors_from(encoder_folder: Path) -> None:
    row = (["a", "b"], ["B-x", "O"])
    with pytest.raises(ConfigurationError, match="expected at least 4 sentences with entities"):
        find_label_errors([make_source("tiny", {"train": [row]})], encoder=encoder_folder)


def test_the_command(encoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "corpus.txt"
    blocks = ["\n".join(map(" ".join, zip(*row, strict=True))) for row in toy_rows(NAMES, 60, 3)]
    corpus.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    before = corpus.read_bytes()
    output = tmp_path / "errors.jsonl"
    command = ["check", str(corpus), "--encoder", str(encoder_folder), "--top", "2", "--output", str(output)]
    assert main(command) == 0
    printed = capsys.readouterr().out.rstrip("\n").split("\n")
    assert "annotated mentions" in printed[0]
    assert printed[-1] == f"all {len(output.read_text(encoding='utf-8').splitlines()):,} written to {output}"
    assert corpus.read_bytes() == before
    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err
    for option, message in ((["--split", "best"], "--split"), (["--top", "-1"], "--top")):
        assert main(["check", str(corpus), *option]) == 1
        assert message in capsys.readouterr().err
