"""Exports for Label Studio, edited as its users do, and brought back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict

from builders import make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError, SourceError, SourceNotFoundError
from esnera_hf.merging.corrections import count_corrected, with_corrections
from esnera_hf.merging.export import export, exported_sentences
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.result import MergeResult
from esnera_hf.tagging import Entity, LabelRef
from results import make_result

MAPPING = LabelMapping(
    ("per", "place", "city"),
    (
        MappedLabel(LabelRef("x", "P"), "per"),
        MappedLabel(LabelRef("x", "L"), "place"),
        MappedLabel(LabelRef("y", "city"), "city"),
    ),
    parents={"city": "place"},
)
X = {
    "train": [row("anna/B-P in the u.s./B-L"), row("😀 bruno/B-P smith/I-P left")],
    "validation": [row("oslo/B-L")],
    "test": [row("rain"), row("bruno/B-P")],
}
Y = {split: [(list("北京在下雨"), ["B-city", "I-city", "O", "O", "O"])] for split in X}
#: A mention that a tagger found where source x annotates no city.
PSEUDO = PseudoLabels(0.9, {"x": {"x-train-1": [Entity(3, 4, "city", 0.95)]}})

Tasks = list[dict[str, Any]]
Sentences = dict[str, list[tuple[str, str, list[str], list[tuple[int, int, str, str, float]]]]]


def merged() -> DatasetDict:
    return merge_sources([make_source("x", X), make_source("y", Y, "zh")], MAPPING, (), PSEUDO)


def contents(dataset: DatasetDict) -> Sentences:
    return {
        split: [
            (
                sentence.id,
                sentence.source,
                sentence.tokens,
                [
                    (e.start, e.end, e.label, origin, round(e.score, 4))
                    for e, origin in zip(sentence.entities, origins or (), strict=True)
                ],
            )
            for sentence, origins in exported_sentences(rows)
        ]
        for split, rows in dataset.items()
    }


def exported(folder: Path, dataset: DatasetDict) -> Tasks:
    """Return the tasks of all splits in one list, as a project of Label Studio holds them."""
    files = export(dataset, folder / "tasks", "label-studio", mapping=MAPPING)
    return [task for file in files for task in json.loads(file.read_text("utf-8"))]


def submitted(tasks: Tasks, regions: dict[str, list[dict[str, Any]]] | None = None) -> Tasks:
    """Return what Label Studio exports: everything is looked at, some tasks with other regions."""
    done = []
    for number, task in enumerate(tasks):
        before = task["annotations"] or task["predictions"]
        result = (regions or {}).get(task["data"]["sentence_id"], before[0]["result"])
        annotation = {"id": number, "completed_by": 1, "was_cancelled": False, "result": result}
        done.append(
            {"id": number, "data": task["data"], "annotations": [annotation], "predictions": [number]}
        )
    return done


def region(start: int, end: int, text: str, label: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": text, "labels": [label]}
    return {"from_name": "label", "to_name": "text", "type": "labels", "origin": "manual", "value": value}


def write(path: Path, tasks: Iterable[Any]) -> Path:
    path.write_text(json.dumps(list(tasks), ensure_ascii=False), encoding="utf-8")
    return path


def minimal(tasks: Tasks) -> Tasks:
    """Return tasks as JSON_MIN has them."""
    return [
        {
            **task["data"],
            "id": task["id"],
            "label": [one["value"] for one in task["annotations"][0]["result"]],
            "annotator": 1,
            "annotation_id": task["id"],
        }
        for task in tasks
    ]


@pytest.mark.parametrize("form", [list, minimal])
def test_what_nobody_changed_comes_back_as_it_was(form: Callable[[Tasks], Tasks], tmp_path: Path) -> None:
    data = merged()
    file = write(tmp_path / "done.json", form(submitted(exported(tmp_path, data))))
    again, counts = with_corrections(data, file, MAPPING)
    assert contents(again) == contents(data)
    assert [rows.features for rows in again.values()] == [rows.features for rows in data.values()]
    assert (again["train"][:], counts) == (data["train"][:], {})


def test_corrections_keep_source_origin_split_and_tokens(tmp_path: Path) -> None:
    data = merged()
    edits = {
        # Anna goes; the place is another one, selected with the space before it.
        "x-train-0": [region(11, 16, " u.s.", "city")],
        # Offsets of a browser, in which the emoji counts twice; the pseudo-label stays, a mention is new.
        "x-train-1": [
            region(3, 14, "bruno smith", "per"),
            {**region(15, 19, "left", "city"), "origin": "prediction"},
        ],
        "x-test-0": [region(0, 4, "rain", "per")],
        "y-test-0": [region(0, 2, "北京", "city"), region(3, 5, "下雨", "place")],
    }
    file = write(tmp_path / "done.json", submitted(exported(tmp_path, data), edits))
    again, counts = with_corrections(data, file, MAPPING)
    before, after = contents(data), contents(again)
    changed = {
        "x-train-0": [(3, 4, "city", "gold", 1.0)],
        "x-train-1": [(1, 3, "per", "gold", 1.0), (3, 4, "city", "pseudo", 0.95)],
        "x-test-0": [(0, 1, "per", "gold", 1.0)],
        "y-test-0": [(0, 2, "city", "gold", 1.0), (3, 5, "place", "gold", 1.0)],
    }
    expected = {
        split: [(row_id, *rest, changed.get(row_id, entities)) for row_id, *rest, entities in rows]
        for split, rows in before.items()
    }
    assert after == expected
    assert counts == {"x": 2, "y": 1}  # one of the three of x was confirmed
    coarse = again["train"].features["coarse_tags"].feature
    assert coarse.int2str(again["train"][0]["coarse_tags"]) == ["O", "O", "O", "B-place"]
    assert again["train"][0]["source_tags"] == data["train"][0]["source_tags"]
    assert (count_corrected(data, MAPPING), count_corrected(again, MAPPING)) == (0, 3)


def test_what_nobody_looked_at_stays(tmp_path: Path) -> None:
    data = merged()
    tasks = submitted(exported(tmp_path, data), {"x-train-0": []})
    tasks[1]["annotations"] = []
    tasks[2]["annotations"][0] |= {"was_cancelled": True, "result": []}
    again, counts = with_corrections(data, write(tmp_path / "done.json", tasks[:3]), MAPPING)
    assert counts == {"x": 1}
    assert contents(again)["train"][1:] == contents(data)["train"][1:]
    with pytest.raises(SourceError, match=r"no task is annotated. Submit the tasks"):
        with_corrections(data, write(tmp_path / "none.json", tasks[1:3]), MAPPING)


@pytest.mark.parametrize("is_minimal", [False, True])
def test_two_annotators_are_asked_about(is_minimal: bool, tmp_path: Path) -> None:
    data = merged()
    tasks = submitted(exported(tmp_path, data))
    if is_minimal:
        tasks = minimal(tasks)
        tasks.append({key: value for key, value in tasks[0].items() if key != "label"} | {"annotator": 2})
    else:
        tasks[0]["annotations"].append({"completed_by": 2, "was_cancelled": False, "result": []})
    file = write(tmp_path / "done.json", tasks)
    with pytest.raises(
        SourceError, match=r"(?i)annotated differently .*say whose annotation counts"
    ) as asked:
        with_corrections(data, file, MAPPING)
    assert is_minimal or "by 1, 2" in str(asked.value)
    with pytest.raises(SourceError, match=r"no task is annotated by '3'. Submit .*give another annotator"):
        with_corrections(data, file, MAPPING, annotator="3")
    assert with_corrections(data, file, MAPPING, annotator="2")[1] == {"x": 1}
    assert with_corrections(data, file, MAPPING, annotator="1")[1] == {}


def edited(change: Callable[[Tasks], Any]) -> Callable[[Tasks], Tasks]:
    def edit(tasks: Tasks) -> Tasks:
        change(tasks)
        return tasks

    return edit


def with_regions(*regions: dict[str, Any]) -> Callable[[Tasks], Tasks]:
    return edited(lambda tasks: tasks[0]["annotations"][0].update(result=list(regions)))


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (with_regions(region(0, 3, "ann", "per")), r"'per' of 'ann' begins or ends inside a token. Move it"),
        (
            with_regions(region(0, 4, "anna", "per"), region(0, 7, "anna in", "place")),
            r"'per' and 'place' overlap",
        ),
        (with_regions(region(0, 4, "anna", "PER")), r"label 'PER' of 'anna' is not one of the mapping, per,"),
        (
            edited(lambda tasks: tasks[0]["data"].update(text="Anna in the u.s.")),
            "is not the text of x-train-0",
        ),
        (edited(lambda tasks: tasks[0]["data"].update(sentence_id="x-train-9")), "no sentence x-train-9"),
        (edited(lambda tasks: tasks[0]["data"].pop("sentence_id")), "no 'sentence_id', by which"),
        (edited(lambda tasks: tasks[0]["data"].update(schema="other")), "exported with other labels"),
        (edited(lambda tasks: tasks[0].update(annotations=["x"])), "record 0: expected a list of objects"),
        (
            lambda tasks: [*tasks, *with_regions()(json.loads(json.dumps(tasks[:1])))],
            r"record 8: x-train-0 is annotated differently in .*record 0",
        ),
    ],
)
def test_what_is_open_is_asked_and_nothing_changed(
    edit: Callable[[Tasks], Tasks], problem: str, tmp_path: Path
) -> None:
    data = merged()
    file = write(tmp_path / "done.json", edit(submitted(exported(tmp_path, data))))
    with pytest.raises(SourceError, match=problem):
        with_corrections(data, file, MAPPING)


def test_the_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        SourceNotFoundError, match=r"no such file. Expected the JSON that Label Studio exports"
    ):
        with_corrections(merged(), tmp_path / "none.json", MAPPING)


def test_by_python_and_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = make_result()
    result.save(tmp_path / "saved")
    (task, *_) = json.loads(result.export(tmp_path / "out", "label-studio")[0].read_text("utf-8"))
    name = task["data"]["source"]
    file = write(tmp_path / "done.json", submitted([task], {task["data"]["sentence_id"]: []}))
    arguments = ["correct", str(tmp_path / "saved"), str(file), "--output", str(tmp_path / "corrected")]
    assert main(arguments) == 0
    assert f"{name}: 1 sentence corrected by hand" in capsys.readouterr().out
    loaded, corrected = MergeResult.load(tmp_path / "corrected"), result.corrected(file)
    assert contents(loaded.dataset) == contents(corrected.dataset) != contents(result.dataset)
    assert loaded.report.dataset_fingerprint == corrected.report.dataset_fingerprint
    assert corrected.report.dataset_fingerprint != result.report.dataset_fingerprint
    # Nobody could make it again from its sources.
    free = replace(corrected.report, sources=result.report.sources)
    with pytest.raises(ConfigurationError, match=r"corrected by hand since \(sentences: 1\)"):
        replace(corrected, report=free).save_for_hub(tmp_path / "hub", text=False)
    assert main(arguments) == 1


def test_label_studio_takes_the_tasks(tmp_path: Path) -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason="needs label-studio-sdk")
    tasks = exported(tmp_path, merged())
    config = interface.LabelInterface((tmp_path / "tasks" / "label_config.xml").read_text("utf-8"))
    annotations = [one for task in tasks for one in task["annotations"]]
    predictions = [one for task in tasks for one in task.get("predictions", ())]
    assert (len(annotations), len(predictions)) == (len(tasks) - 1, 1)
    assert all(config.validate_task({"data": task["data"]}) for task in tasks)
    assert all(map(config.validate_annotation, annotations))
    assert all(map(config.validate_prediction, predictions))
    assert not config.validate_annotation({"result": [region(0, 4, "anna", "PER")]})
