"""Similarity heatmaps as PNG files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from esnera_hf.drawing import LONGEST_LABEL, new_figure, plain, save_figure, set_fonts
from esnera_hf.similarity import SimilarityMatrix, deciding_similarity

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Pairs of sources that are shown.
MOST_PAIRS = 50
#: Labels of a source up to which cells hold their numbers; cells of more are smaller and empty.
_NUMBERED = 40
#: Inches of a cell with its number, and of one without; of all of these together.
_CELL, _SMALL_CELL, _LARGEST = (0.55, 0.42), 0.2, 16
#: Labels of a source that are written at an axis; of more only some are.
_WRITTEN = 80


def shown_pairs(matrix: SimilarityMatrix, lam: float | None) -> list[tuple[str, str]]:
    """Return the pairs of sources that are shown: at most ``MOST_PAIRS``, those with the most alike labels.

    Args:
        matrix: the similarities.
        lam: λ of the merged similarity; ``None`` for similarity in both directions.

    Returns:
        The pairs, sorted by name.
    """
    pairs = list(combinations(sorted(matrix.sources), 2))
    if len(pairs) <= MOST_PAIRS:
        return pairs
    similarity = np.nan_to_num(deciding_similarity(matrix, lam), nan=-np.inf)
    indices = {source: matrix.indices(source) for source in matrix.sources}

    def most_alike(pair: tuple[str, str]) -> float:
        one, other = (indices[source] for source in pair)
        return float(max(similarity[np.ix_(one, other)].max(), similarity[np.ix_(other, one)].max()))

    return sorted(sorted(pairs, key=most_alike, reverse=True)[:MOST_PAIRS])


def save_heatmaps(matrix: SimilarityMatrix, lam: float | None, folder: Path) -> list[Path]:
    """Draw one picture a pair of sources: S_sem, S_emp in both directions, and what labels were merged by.

    Of many sources only the pairs of :func:`shown_pairs` are drawn; where one
    has more than 40 labels, the cells have no numbers.

    Args:
        matrix: the similarities.
        lam: λ of the merged similarity; ``None`` draws similarity in both directions.
        folder: where the files go; their names are numbered and hold the
            letters, digits, ``.``, ``_`` and ``-`` of the sources' names.

    Returns:
        The files, in the order of the pairs of sources.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, (a, b) in enumerate(shown_pairs(matrix, lam)):
        file = folder / f"{number:02d}-{_slug(a)}--{_slug(b)}.png"
        _draw_pair(matrix, lam, (a, b), file)
        files.append(file)
    return files


def _draw_pair(matrix: SimilarityMatrix, lam: float | None, pair: tuple[str, str], file: Path) -> None:
    rows, columns = (matrix.indices(source) for source in pair)
    a, b = (plain(source) for source in pair)
    forward, backward = np.ix_(rows, columns), np.ix_(columns, rows)
    title = "mutual" if lam is None else f"merged (λ = {lam}), {a} → {b}"
    panels = [
        ("semantic", matrix.semantic[forward]),
        (f"empirical, {a} → {b}", matrix.empirical[forward]),
        (f"empirical, {b} → {a}", matrix.empirical[backward].T),
        (title, deciding_similarity(matrix, lam)[forward]),
    ]
    numbered = max(len(rows), len(columns)) <= _NUMBERED
    across, down = _CELL if numbered else (min(_SMALL_CELL, _LARGEST / len(part)) for part in (columns, rows))
    width = max(2.5 + across * len(columns), 4.5)
    height = max(1.6 + down * len(rows), 3.2)
    figure = new_figure(2 * width, 2 * height)
    for axes, (title, values) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        row_names, column_names = ([matrix.labels[i].label for i in part] for part in (rows, columns))
        _draw_panel(axes, values, row_names, column_names)
        if numbered:
            _write_numbers(axes, values)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel(a)
        axes.set_xlabel(b)
        set_fonts(axes)
    save_figure(figure, file)


def _draw_panel(axes: Axes, values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.imshow(np.ma.masked_invalid(values), vmin=0, vmax=1, cmap="Blues", aspect="auto")
    axes.set_facecolor("#e8e8e8")
    axes.set_xticks(*_ticks(columns), rotation=45, ha="right")
    axes.set_yticks(*_ticks(rows))


def _write_numbers(axes: Axes, values: NDArray[np.float64]) -> None:
    for i, j in np.ndindex(*values.shape):
        value = values[i, j]
        text = "?" if np.isnan(value) else f"{value:.2f}"
        color = "white" if value > 0.6 else "black"
        number = axes.text(j, i, text, ha="center", va="center", fontsize=8, color=color)
        number.set_in_layout(False)  # it lies inside the axes, and to measure each of them takes long


def _ticks(names: Sequence[str]) -> tuple[range, list[str]]:
    """Return where names are written at an axis, and these names."""
    places = range(0, len(names), 1 + (len(names) - 1) // _WRITTEN)
    return places, [plain(names[place]) for place in places]


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "", name, flags=re.ASCII)[:LONGEST_LABEL] or "source"
