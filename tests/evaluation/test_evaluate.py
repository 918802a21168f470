"""A tagger of merged data scored on corpora in their own labels, in unified ones, and on the merged dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import product_tree as tree
from builders import DictionaryTagger, make_source, row
from esnera_hf import NerSource, apply
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.evaluate import evaluate_on_merged, evaluate_on_source, mapping_of
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.tagging import Entity


class LookingUp(Tagger):
    """Takes dune for a book, alien for a film, anna for a person."""

    labels = ("PER", "PRODUCT", "book", "film")  # type: ignore[assignment]
    sources = ()  # type: ignore[assignment]

    def __init__(self, record: Mapping[str, Any] | None = None) -> None:
        self.record = dict(record or {})

    def predict(self, sentences: Iterable[Sequence[str]], **_: Any) -> Iterator[list[Entity]]:
        words = {("dune",): "book", ("alien",): "film", ("anna",): "PER"}
        yield from DictionaryTagger(words).predict(sentences)


def counts(evaluation: Any) -> dict[str, tuple[float, float, int]]:
    """Return precision, recall and support by label."""
    by_label = evaluation[0].by_label.items()
    return {label: (score.precision, score.recall, score.support) for label, score in by_label}


BACK = "labels of {}, read back through the mapping of the tagger"
LEVEL = "unified labels, the finest that {} annotates: a part of one counts as it"
RIGHT = (1.0, 1.0, 1)


@pytest.mark.parametrize(
    ("source", "expected", "labels"),
    [
        (tree.SOURCES[0], {"Book": RIGHT, "Movie": RIGHT}, BACK),
        (tree.SOURCES[1], {"product": (1.0, 1.0, 2)}, BACK),
        # A file of a source may lack some of its labels.
        (
            make_source("fine", {"train": [row("alien/B-Movie")], "test": [row("alien/B-Movie dune")]}),
            {"Book": (0.0, 0.0, 0), "Movie": RIGHT},
            BACK,
        ),
        # A corpus of unified labels is scored at its level, also under the name of a source.
        (
            make_source("new", {"test": [row("dune/B-PRODUCT anna/B-PER alien/B-PRODUCT")]}),
            {"PER": RIGHT, "PRODUCT": (1.0, 1.0, 2)},
            LEVEL,
        ),
        (
            make_source("fine", {"test": [row("dune/B-book anna/B-PER alien/B-PRODUCT")]}),
            {"PER": RIGHT, "PRODUCT": RIGHT, "book": RIGHT},
            LEVEL,
        ),
    ],
)
def test_a_source_is_scored_in_its_own_labels(source: NerSource, expected: Any, labels: str) -> None:
    evaluation = evaluate_on_source(LookingUp(), source, "test", tree.MAPPING)
    assert counts(evaluation) == expected
    assert evaluation[1:] == (1, labels.format(source.name))


def test_what_the_tagger_does_not_know_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    odd = make_source("fine", {"test": [row("dune/B-Book x/B-odd")]})
    evaluate_on_source(LookingUp(), odd, "test", tree.MAPPING)
    assert capsys.readouterr().err == (
        "fine: the tagger does not know odd; what is annotated so counts as missed.\n"
    )
    other = make_source("other", {"test": [row("dune/B-book x/B-odd")]})
    evaluate_on_source(LookingUp(), other, "test", tree.MAPPING)
    assert "Is it fine or coarse or books? Then name it so: name=path." in capsys.readouterr().err
    evaluate_on_source(LookingUp(), other, "test")
    assert "Is it" not in capsys.readouterr().err
    message = "under the name that it has there, name=path: fine, coarse, books"
    with pytest.raises(ConfigurationError, match=message):
        evaluate_on_source(LookingUp(), make_source("x", {"test": [row("x/B-gene")]}), "test", tree.MAPPING)


def test_the_merged_dataset_is_scored_by_what_each_source_annotates() -> None:
    result = apply(tree.MAPPING, tree.SOURCES[:2])
    actual = evaluate_on_merged(LookingUp(), result.dataset, result.mapping, "test")
    assert counts(actual) == {"PRODUCT": (1.0, 1.0, 2), "book": (1.0, 1.0, 1), "film": (1.0, 1.0, 1)}
    assert actual[1] == 2
    other = LookingUp()
    other.labels = ("gene",)  # type: ignore[misc,assignment]
    message = "the tagger predicts gene, the merged dataset annotates PER, "
    with pytest.raises(ConfigurationError, match=message):
        evaluate_on_merged(other, result.dataset, result.mapping, "test")


def test_the_mapping_of_a_tagger(tmp_path: Path) -> None:
    assert mapping_of(LookingUp(), tmp_path) is None
    tree.MAPPING.save(tmp_path / "mapping.yaml")
    assert mapping_of(LookingUp(), tmp_path) == tree.MAPPING
    recorded = LookingUp({"mapping": tree.MAPPING.to_yaml()})
    assert mapping_of(recorded, tmp_path / "nowhere") == LabelMapping.from_yaml(tree.MAPPING.to_yaml())


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved result, and a corpus of its source called fine."""
    apply(tree.MAPPING, tree.SOURCES).save(tmp_path / "merged")
    (tmp_path / "fine").mkdir()
    for split in ("train", "dev", "test"):
        (tmp_path / "fine" / f"{split}.conll").write_text("dune\tB-Book\nalien\tB-Movie\n\n")
    tagger = LookingUp({"mapping": tree.MAPPING.to_yaml()})
    monkeypatch.setattr("esnera_hf.result.load_saved_tagger", lambda path: tagger)
    return tmp_path


def test_the_command(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "tagger", str(saved / "fine"), "--split", "dev"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == f"fine, validation: 1 sentence; {BACK.format('fine')}"
    assert [line.split()[0] for line in rows] == ["Book", "Movie", "micro"]
    assert main(["evaluate", "tagger", str(saved / "merged")]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{saved / 'merged'}, test: 3 sentences; unified labels, the finest ")
    assert [line.split()[0] for line in rows] == ["PRODUCT", "book", "film", "micro"]


def test_a_split_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "tagger", "corpus", "--split", "all"])
    assert "'all': expected train, validation (or dev, devel, valid) or test." in capsys.readouterr().err
