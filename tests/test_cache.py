"""Artefacts: made once, whole or not at all; predictions come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.cache import Artefact
from esnera_hf.predictions import read_predictions, write_predictions
from esnera_hf.tagging import Entity


def write(text: str, calls: list[str]):  # type: ignore[no-untyped-def]
    def fill(folder: Path) -> None:
        calls.append(text)
        (folder / "file").write_text(text)

    return fill


def test_made_once() -> None:
    calls: list[str] = []
    artefact = Artefact("things", {"a": 1, "b": [2]})
    assert not artefact.exists
    assert artefact.make(write("one", calls))
    assert not Artefact("things", {"b": [2], "a": 1}).make(write("two", calls))
    assert calls == ["one"]
    assert (artefact.folder / "file").read_text() == "one"


def test_another_identity_or_kind_is_another_artefact() -> None:
    folders = {Artefact(kind, {"a": value}).folder for kind in ("x", "y") for value in (1, 2)}
    assert len(folders) == 4


def test_what_fails_leaves_nothing_behind_but_what_it_needs_to_go_on() -> None:
    artefact = Artefact("things", {"a": 1})

    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        artefact.unfinished.mkdir()
        (artefact.unfinished / "checkpoint").write_text("kept")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        artefact.make(fail)
    assert not artefact.exists
    assert (artefact.unfinished / "checkpoint").read_text() == "kept"
    artefact.make(write("whole", []))
    assert [path.name for path in artefact.folder.iterdir()] == ["file"]
    assert not artefact.unfinished.exists()


@given(
    rows=st.lists(
        st.lists(
            st.builds(
                Entity,
                st.integers(0, 9),
                st.integers(10, 20),
                st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
                st.integers(0, 10_000).map(lambda n: n / 10_000),
            ),
            max_size=3,
        ),
        max_size=5,
    )
)
def test_predictions_survive(tmp_path_factory: pytest.TempPathFactory, rows: list[list[Entity]]) -> None:
    file = tmp_path_factory.mktemp("predictions") / "file.parquet"
    write_predictions(file, rows)
    found = list(read_predictions(file))
    assert found == rows
    assert [[e.score for e in row] for row in found] == [[e.score for e in row] for row in rows]
