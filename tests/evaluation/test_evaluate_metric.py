"""Strict entity F1 under a mapping: by hand, by brute force, and as the Space loads it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import evaluate
import pytest
from hypothesis import given
from hypothesis import strategies as st

import product_tree as tree
from esnera_hf import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConfigurationError, MappingError
from esnera_hf.evaluation.evaluate_metric import StrictNer
from esnera_hf.tagging import LabelRef

NAME = "strict_ner_under_mapping"
FOLDER = Path(__file__).parents[2] / "hub_scripts" / "spaces" / NAME

Nested = dict[str, dict[str, str | None]]

#: ``a`` and ``b`` annotate organisations, only ``a`` annotates persons; games are left out.
MAPPING: Nested = {
    "a": {"company": "ORG", "team-name": "ORG", "name": "PER", "game": None},
    "b": {"ORG": "ORG", "LOC": "LOC-"},
}
REFERENCES = [
    ["B-company", "I-company", "B-team-name", "O", "B-game"],
    ["B-ORG", "O", "B-LOC", "I-LOC"],
    ["B-name", "O"],
]
#: Right: the two organisations and the person of ``a``, the place of ``b``. Wrong: a person where a game was, and
#: the organisation of ``b``, cut wrongly. Not counted: a place in a sentence of ``a``, which annotates none.
PREDICTIONS = [
    ["B-ORG", "I-ORG", "B-ORG", "O", "B-PER"],
    ["B-ORG", "I-ORG", "B-LOC-", "I-LOC-"],
    ["B-PER", "B-LOC-"],
]
TAGS = {"predictions": PREDICTIONS, "references": REFERENCES}
READING = {"mapping": MAPPING, "sources": ["a", "b", "a"]}


def score(precision: float, recall: float, f1: float, support: int) -> dict[str, Any]:
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}


def spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """Try every span: it is an entity if it begins, goes on inside, and could not go on."""
    actual = set()
    for start in range(len(tags)):
        label = tags[start][2:]
        for end in range(start + 1, len(tags) + 1):
            inside = all(tag == f"I-{label}" for tag in tags[start + 1 : end])
            if tags[start] == f"B-{label}" and inside and [*tags, "O"][end] != f"I-{label}":
                actual.add((start, end, label))
    return actual


def brute_force(given: dict[str, Any], only: str = "ab") -> dict[str, Any]:
    """Compare sets of (sentence, start, end, unified label)."""
    mapping, gold, predicted = given["mapping"], set(), set()
    owners = given.get("predictions_source")
    for i, source in enumerate(given["sources"]):
        if source not in only:
            continue
        own = mapping[source]
        gold |= {(i, s, e, own[x]) for s, e, x in spans(given["references"][i]) if own[x] is not None}
        names = mapping[owners[i]] if owners else {}
        unified = ((s, e, names.get(x, x)) for s, e, x in spans(given["predictions"][i]))
        predicted |= {(i, s, e, x) for s, e, x in unified if x in set(own.values()) - {None}}

    def figures(label: str | None) -> dict[str, Any]:
        a, b = ({span for span in side if label in (None, span[3])} for side in (gold, predicted))
        f1 = 2 * len(a & b) / (len(a) + len(b)) if a | b else 0.0
        return score(len(a & b) / len(b) if b else 0.0, len(a & b) / len(a) if a else 0.0, f1, len(a))

    by_label = {label: figures(label) for label in sorted({span[3] for span in gold | predicted})}
    macro_f1 = sum(row["f1"] for row in by_label.values()) / len(by_label) if by_label else 0.0
    return {**figures(None), "macro_f1": macro_f1, "by_label": by_label}


def expected_of(given: dict[str, Any]) -> dict[str, Any]:
    by_source = {name: brute_force(given, name) for name in sorted(set(given["sources"]))}
    return {**brute_force(given), "by_source": by_source}


EXPECTED = expected_of({**TAGS, **READING})


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> evaluate.Metric:
    return StrictNer(keep_in_memory=True, cache_dir=str(tmp_path_factory.mktemp("metrics")))


def assert_equal(actual: Any, expected: Any) -> None:
    """Compare nested figures: keys and their order, counts exactly, shares but for rounding."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key, value in expected.items():
            assert_equal(actual[key], value)
    else:
        assert type(actual) is type(expected)
        assert actual == pytest.approx(expected, abs=1e-12)


def test_a_hand_count_and_each_form_of_a_mapping(tmp_path: Path, metric: evaluate.Metric) -> None:
    assert (EXPECTED["precision"], EXPECTED["recall"], EXPECTED["support"]) == (4 / 6, 4 / 5, 5)
    assert EXPECTED["by_source"]["a"]["by_label"]["PER"] == score(1 / 2, 1.0, 2 / 3, 1)
    entries = [
        MappedLabel(LabelRef(source, label), name)
        for source, names in MAPPING.items()
        for label, name in names.items()
    ]
    made = LabelMapping(("ORG", "PER", "LOC-"), tuple(entries))
    made.save(tmp_path / "mapping.yaml")
    nothing = metric.compute(predictions=[], references=[], mapping=MAPPING, sources=[])
    assert_equal(nothing, {**score(0.0, 0.0, 0.0, 0), "macro_f1": 0.0, "by_label": {}, "by_source": {}})
    for form in (MAPPING, made, tmp_path / "mapping.yaml", str(tmp_path / "mapping.yaml")):
        assert_equal(metric.compute(**TAGS, **{**READING, "mapping": form}), EXPECTED)


def test_without_a_mapping_tags_are_compared_as_they_are(metric: evaluate.Metric) -> None:
    actual = metric.compute(predictions=[["B-x-", "B-x", "I-y"]], references=[["B-x-", "O", "B-y"]])
    assert (actual["precision"], actual["recall"], actual["macro_f1"]) == (1 / 2, 1 / 2, 1 / 3)
    assert {label: row["f1"] for label, row in actual["by_label"].items()} == {"x": 0, "x-": 1, "y": 0}


@pytest.mark.parametrize("keep_in_memory", [True, False])
def test_batches(tmp_path: Path, keep_in_memory: bool) -> None:
    made = StrictNer(keep_in_memory=keep_in_memory, cache_dir=str(tmp_path))
    made.add_batch(predictions=PREDICTIONS[:2], references=REFERENCES[:2])
    made.add(prediction=PREDICTIONS[2], reference=REFERENCES[2])
    assert_equal(made.compute(**READING), EXPECTED)
    with pytest.raises(ValueError, match="sources"):
        made.compute(**TAGS, mapping=MAPPING)
    assert_equal(made.compute(**TAGS, **READING), EXPECTED)


#: Unified labels that a careless reading takes for a prefix, trims or splits.
UNIFIED = ["U", "I", "V-", "V", "a b"]
LABELS = ["x", "y-z", "y", "B"]


@st.composite
def scored(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of ``compute``: two sources, sentences of either, predictions unified or in their labels."""
    unified = st.none() | st.sampled_from(UNIFIED)
    mapping = {source: {label: draw(unified) for label in LABELS} for source in "ab"}
    schema = sorted({name for labels in mapping.values() for name in labels.values() if name is not None})
    by_tagger = draw(st.booleans()) or not schema
    sources = draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=4))

    def row(labels: list[str], length: int) -> list[str]:
        tags = st.sampled_from(["O", *(f"{role}-{label}" for label in labels for role in "BI")])
        return draw(st.lists(tags, min_size=length, max_size=length))

    lengths = [draw(st.integers(0, 6)) for _ in sources]
    return {
        "references": [row(LABELS, length) for length in lengths],
        "predictions": [row(LABELS if by_tagger else schema, length) for length in lengths],
        "mapping": mapping,
        "sources": sources,
        "predictions_source": [draw(st.sampled_from("ab")) for _ in sources] if by_tagger else None,
    }


@given(given=scored())
def test_any_tags_score_as_sets_of_spans(metric: evaluate.Metric, given: dict[str, Any]) -> None:
    assert_equal(metric.compute(**given), expected_of(given))


ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"mapping": None}, ConfigurationError, "there is none. Give mapping="),
    ({"source": None}, ConfigurationError, "found neither"),
    ({"sources": ["a"]}, ConfigurationError, "found both"),
    ({"source": None, "sources": ["a", "a"]}, ConfigurationError, r"each of the 1 sentences, found 2"),
    ({"predictions_source": []}, ConfigurationError, "predictions_source: expected a name for each"),
    ({"source": "c"}, MappingError, "sentence 0: 'c' is no source of the mapping, which has a, b"),
    ({"predictions_source": "ab"}, MappingError, "predictions, sentence 0: 'ab' is no source"),
    ({"source": "b"}, MappingError, "references, sentence 0: 'company' is no label of source 'b'"),
    (
        {"references": [["B-compny", "O"]]},
        MappingError,
        "which has company, team-name, name, game. Did you mean 'company'",
    ),
    (
        {"predictions": [["O", "B-company"]]},
        MappingError,
        "is no unified label of the mapping, which has ORG, PER, LOC-. .*predictions_source=",
    ),
    ({"predictions": [["O", "I-company"]]}, MappingError, "'company' is no unified label"),
    ({"predictions_source": "b"}, MappingError, "'PER' is no label of source 'b'"),
    ({"mapping": {"a": {}}}, MappingError, "'a' is no source of the mapping, which has none"),
    ({"mapping": {"a": {"company": "O"}}}, MappingError, "'O', which means 'outside'"),
    ({"mapping": {"a": {"company": 1}}}, MappingError, r"mapping\['a'\]\['company'\]: expected a unified"),
    ({"mapping": {"a": ["company"]}}, MappingError, r"mapping\['a'\]: expected .* found \['company'\]"),
    ({"predictions": [["O"]]}, ValueError, "sentence 0: 2 reference tags and 1 predicted"),
    ({"predictions": [["PER", "O"]]}, ValueError, "'PER' is not of scheme IOB2"),
    ({"mapping": "no/such/mapping.yaml"}, MappingError, "no/such/mapping.yaml: the mapping cannot be read"),
]
RIGHT = {
    "references": [["B-company", "O"]],
    "predictions": [["B-PER", "O"]],
    "mapping": MAPPING,
    "source": "a",
}


@pytest.mark.parametrize(("wrong", "kind", "message"), ERRORS)
def test_errors(metric: evaluate.Metric, wrong: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        metric.compute(**{**RIGHT, **wrong})


@pytest.mark.slow
def test_the_readme_example_with_the_folder_loaded_offline(tmp_path: Path) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^metric\.compute\(.*?^\)", readme, flags=re.MULTILINE | re.DOTALL)
    code = "import sys, evaluate; metric = evaluate.load(sys.argv[1], keep_in_memory=True)\n"
    code += f"found = {example}\nprint(found['precision'], found['recall'], found['f1'])"
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, str(FOLDER)]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    precision, recall, f1 = map(float, run.stdout.split())
    assert (precision, recall, f1) == (pytest.approx(2 / 3), 1.0, pytest.approx(0.8))


def test_the_space_is_declared_a_metric() -> None:
    from huggingface_hub import RepoCard

    data = RepoCard.load(FOLDER / "README.md").data.to_dict()
    assert {"evaluate", "metric"} <= set(data["tags"])
    assert data["sdk"] == "static"
    assert (FOLDER / "index.html").is_file()
    assert len(data["short_description"]) <= 60  # the Hub refuses longer ones


def test_a_part_counts_as_the_whole_that_a_source_annotates() -> None:
    """``coarse`` annotates only products, ``fine`` books and films."""
    actual = StrictNer().compute(
        predictions=[["B-book", "B-PRODUCT", "B-PRODUCT"], ["B-film", "I-film", "B-book"]],
        references=[["B-Book", "B-Movie", "O"], ["B-product", "I-product", "B-person"]],
        mapping=tree.MAPPING,
        sources=["fine", "coarse"],
    )
    # products in a sentence of fine are not counted; of two products in coarse's one is right, the person is missed
    assert actual["by_label"] == {
        "PER": score(0.0, 0.0, 0.0, 1),
        "PRODUCT": score(1 / 2, 1.0, 2 / 3, 1),
        "book": score(1.0, 1.0, 1.0, 1),
        "film": score(0.0, 0.0, 0.0, 1),
    }
    assert (actual["precision"], actual["recall"]) == (2 / 3, 1 / 2)
