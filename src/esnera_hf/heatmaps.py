"""Similarity heatmaps as PNG files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from esnera_hf.console import say
from esnera_hf.similarity import SimilarityMatrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Fonts with Chinese, Japanese and Korean glyphs, the first installed one is used.
_CJK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
)
_LONGEST_LABEL = 30


def save_heatmaps(matrix: SimilarityMatrix, lam: float, folder: Path) -> list[Path]:
    """Draw one picture a pair of sources: S_sem, S_emp in both directions, and S.

    Args:
        matrix: the similarities.
        lam: λ of the merged similarity.
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


def _draw_pair(matrix: SimilarityMatrix, lam: float, pair: tuple[str, str], file: Path) -> None:
    from matplotlib import font_manager
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [*(name for name in _CJK_FONTS if name in installed), "DejaVu Sans"]
    rows, columns = (matrix.indices(source) for source in pair)
    a, b = (_plain(source) for source in pair)
    forward, backward = np.ix_(rows, columns), np.ix_(columns, rows)
    merged = matrix.merged(lam)
    panels = [
        ("semantic", matrix.semantic[forward]),
        (f"empirical, {a} → {b}", matrix.empirical[forward]),
        (f"empirical, {b} → {a}", matrix.empirical[backward].T),
        (f"merged (λ = {lam}), {a} → {b}", merged[forward]),
    ]
    width = 2.5 + 0.55 * len(columns)
    height = 1.6 + 0.42 * len(rows)
    figure = Figure(figsize=(2 * max(width, 4.5), 2 * max(height, 3.2)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, values) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        row_names, column_names = ([matrix.labels[i].label for i in part] for part in (rows, columns))
        _draw_panel(axes, values, row_names, column_names)
        axes.set_title(title, fontfamily=fonts, fontsize=10)
        axes.set_ylabel(a, fontfamily=fonts)
        axes.set_xlabel(b, fontfamily=fonts)
        for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            text.set_fontfamily(fonts)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(file, dpi=110, metadata={"Software": None})
    if any("missing from font" in str(warning.message) for warning in caught):
        say(f"{file.name}: no installed font has all characters of the names. Noto Sans CJK has.")


def _draw_panel(axes: Axes, values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.imshow(np.ma.masked_invalid(values), vmin=0, vmax=1, cmap="Blues", aspect="auto")
    axes.set_facecolor("#e8e8e8")
    axes.set_xticks(range(len(columns)), [_plain(name) for name in columns], rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), [_plain(name) for name in rows])
    for i, j in np.ndindex(*values.shape):
        value = values[i, j]
        text = "?" if np.isnan(value) else f"{value:.2f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if value > 0.6 else "black")


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "", name, flags=re.ASCII)[:_LONGEST_LABEL] or "source"


def _plain(text: str) -> str:
    """Keep a label from being read as mathematics and from filling the picture."""
    shortened = text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"
    return shortened.replace("$", r"\$")
