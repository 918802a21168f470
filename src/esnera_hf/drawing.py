"""What all pictures share: fonts for every script, labels that stay text, files without a window."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf.console import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Fonts with Chinese, Japanese and Korean glyphs; the installed ones are used in this order.
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
LONGEST_LABEL = 30


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of so many inches that needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def set_fonts(axes: Axes) -> None:
    """Set fonts with CJK glyphs, where installed, for everything written on some axes."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [*(name for name in _CJK_FONTS if name in installed), "DejaVu Sans"]
    texts = (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels())
    for text in texts:
        text.set_fontfamily(fonts)


def save_figure(figure: Figure, file: Path) -> None:
    """Write a figure as PNG; say so once if no installed font has all of its characters."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(file, dpi=110, metadata={"Software": None})
    if any("missing from font" in str(warning.message) for warning in caught):
        say(f"{file.name}: no installed font has all characters of the names. Noto Sans CJK has.")


def plain(text: str) -> str:
    """Keep a label from being read as mathematics and from filling the picture."""
    shortened = text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
    return shortened.replace("$", r"\$")
