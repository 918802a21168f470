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


def save_heatmaps(matrix: SimilarityMatrix, lam: float | None, folder: Path) -> list[Path]:
    """Draw one picture a pair of sources: S_sem, S_emp in both directions, and what labels were merged by.

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
    for number, (a, b) in enumerate(combinations(sorted(matrix.sources), 2)):
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
    width = max(2.5 + 0.55 * len(columns), 4.5)
    height = max(1.6 + 0.42 * len(rows), 3.2)
    figure = new_figure(2 * width, 2 * height)
    for axes, (title, values) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        row_names, column_names = ([matrix.labels[i].label for i in part] for part in (rows, columns))
        _draw_panel(axes, values, row_names, column_names)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel(a)
        axes.set_xlabel(b)
        set_fonts(axes)
    save_figure(figure, file)


def _draw_panel(axes: Axes, values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.imshow(np.ma.masked_invalid(values), vmin=0, vmax=1, cmap="Blues", aspect="auto")
    axes.set_facecolor("#e8e8e8")
    axes.set_xticks(range(len(columns)), [plain(name) for name in columns], rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), [plain(name) for name in rows])
    for i, j in np.ndindex(*values.shape):
        value = values[i, j]
        text = "?" if np.isnan(value) else f"{value:.2f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if value > 0.6 else "black")


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "", name, flags=re.ASCII)[:LONGEST_LABEL] or "source"
