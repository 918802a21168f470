"""Heatmaps: what is drawn, and names that cannot break them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from builders import make_matrix
from esnera_hf.report import save_heatmaps
from esnera_hf.report.heatmaps import MOST_PAIRS, shown_pairs
from esnera_hf.similarity import SimilarityMatrix

LONG = "a_name_that_is_much_longer_than_thirty_letters"


def matrix(a: str = "a", b: str = "b") -> SimilarityMatrix:
    return make_matrix(
        {f"{a}:x": 1, f"{b}:y": 1, f"{b}:$z$": 1},
        {(f"{a}:x", f"{b}:y"): (1, 4), (f"{a}:x", f"{b}:$z$"): (0, 4), (f"{b}:y", f"{a}:x"): (3, 4)},
        {(f"{a}:x", f"{b}:y"): 0.5},
    )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def record(figure: Figure, *args: Any, **kwargs: Any) -> None:
        figures.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", record)
    return figures


def test_the_four_panels(drawn: list[Figure], tmp_path: Path) -> None:
    save_heatmaps(matrix(), 0.4, tmp_path)
    (figure,) = drawn
    assert [(axes.get_title(), [text.get_text() for text in axes.texts]) for axes in figure.axes] == [
        ("semantic", ["0.50", "?"]),
        ("empirical, a → b", ["0.25", "0.00"]),
        ("empirical, b → a", ["0.75", "?"]),
        ("merged (λ = 0.4), a → b", ["0.40", "0.00"]),
    ]
    for axes in figure.axes:
        assert (axes.get_ylabel(), axes.get_xlabel()) == ("a", "b")
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["x"]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["y", r"\$z\$"]


def test_titles_tell_the_directions_of_long_names_apart(drawn: list[Figure], tmp_path: Path) -> None:
    save_heatmaps(matrix("crossner_politics", LONG), 0.4, tmp_path)
    short = LONG[:29] + "…"
    pair = sorted(["crossner_politics", LONG])
    assert pair == [LONG, "crossner_politics"]
    assert [axes.get_title() for axes in drawn[0].axes] == [
        "semantic",
        f"empirical, {short} → crossner_politics",
        f"empirical, crossner_politics → {short}",
        f"merged (λ = 0.4), {short} → crossner_politics",
    ]


def test_a_picture_for_each_pair_of_sources(tmp_path: Path) -> None:
    three = make_matrix({"c:x": 1, "a:x": 1, "b:x": 1}, {}, {})
    files = save_heatmaps(three, 0.4, tmp_path / "heatmaps")
    assert [file.name for file in files] == ["00-a--b.png", "01-a--c.png", "02-b--c.png"]
    assert sorted((tmp_path / "heatmaps").iterdir()) == files
    assert all(file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for file in files)


def test_the_same_matrix_gives_the_same_bytes(tmp_path: Path) -> None:
    (one,), (two,) = (save_heatmaps(matrix(), 0.4, tmp_path / name) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_missing_font_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    private = "\ue000\ue001"
    save_heatmaps(matrix(private), 0.4, tmp_path)
    assert capsys.readouterr().err == (
        "00-b--source.png: no installed font has all characters of the names. Noto Sans CJK has.\n"
    )


@pytest.mark.parametrize("name", ["$x", "$", "$$", r"\alpha$_", "{%", "_^", "%s"])
def test_mathematics_is_not_read(name: str, tmp_path: Path) -> None:
    (file,) = save_heatmaps(matrix(name, "b"), 0.4, tmp_path)
    assert file.stat().st_size > 1000


def test_many_sources_are_shown_by_the_pairs_with_the_most_alike_labels() -> None:
    names = [f"{number:02d}:x" for number in range(20)]
    alike = {("03:x", "17:x"): 1.0, ("00:x", "05:x"): 0.9}
    pairs = shown_pairs(make_matrix(dict.fromkeys(names, 1), {}, alike), 0.4)
    assert len(pairs) == MOST_PAIRS
    assert pairs == sorted(pairs)
    assert {("03", "17"), ("00", "05")} <= set(pairs)
    few = make_matrix(dict.fromkeys(names[:4], 1), {}, {})
    assert len(shown_pairs(few, 0.4)) == 6


def test_many_labels_make_a_picture_of_bounded_size(drawn: list[Figure], tmp_path: Path) -> None:
    def of(labels: int) -> Figure:
        names = {f"{source}:{number}": 1 for source in "ab" for number in range(labels)}
        save_heatmaps(make_matrix(names, {}, {}), 0.4, tmp_path / str(labels))
        return drawn.pop()

    assert [len(axes.texts) for axes in of(6).axes] == [36] * 4
    large, larger = of(100), of(200)
    assert tuple(large.get_size_inches()) == tuple(larger.get_size_inches()) == (37.0, 35.2)
    for figure in (large, larger):
        for axes in figure.axes:
            assert not axes.texts
            assert len(axes.get_xticklabels()) <= 80
    assert [tick.get_text() for tick in larger.axes[0].get_yticklabels()][:3] == ["0", "3", "6"]
