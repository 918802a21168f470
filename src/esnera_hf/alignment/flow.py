"""A picture of a mapping as SVG: the labels of the sources flow into the unified labels and their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby
from math import sqrt
from typing import TYPE_CHECKING

from esnera_hf._internal.text import counted, display_width, visible
from esnera_hf.alignment.mapping_yaml import LEFT_OUT, MappedLabel

if TYPE_CHECKING:
    from esnera_hf.alignment.mapping import LabelMapping

#: Units of the view box: height of a row, free edge, widths of a column of text, of the bands, of a unified label.
_ROW, _EDGE, _TEXT, _BANDS, _PILL = 24, 16, 230, 150, 210
#: A part stands so far to the right of its whole; parts of the fourth level and beyond stand below those of the third.
_INDENT, _LEVELS = 16, 3
#: Columns of a terminal that a name may take; a CJK character takes two.
_LONGEST = 26
#: Widths of a band: the thinnest can still be pointed at, the thickest is well below a row.
_THINNEST, _THICKEST = 2.0, 15.0
_FONTS = (
    "system-ui, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
)
#: Degrees between the colors of two unified labels: the golden angle keeps neighbors far apart, however many there are.
_HUE_STEP = 137.5

_Point = tuple[float, float]
_Side = list[tuple[str, list[MappedLabel]]]


def describe_flow(mapping: LabelMapping) -> str:
    """Return the text that stands for the picture where it cannot be seen."""
    parts = len(mapping.parts)
    left_out = len(mapping.members(None))
    return (
        f"{counted(len(mapping.entries), 'label')} from {', '.join(mapping.sources)} flow into "
        f"{counted(len(mapping.unified_labels) - len(mapping.umbrellas), 'unified label')}"
        + (f", {parts} of them {'a part of another' if parts == 1 else 'parts of others'}" if parts else "")
        + f"; {left_out} left out" * bool(left_out)
    )


def draw_flow(mapping: LabelMapping) -> str:
    """Return the picture as SVG: sources on both sides, unified labels between them, parts below their wholes.

    The same mapping gives the same bytes, and names cannot become markup.
    """
    unified = [*mapping.tree.order, *([None] if mapping.members(None) else [])]
    sides = _sides(mapping, unified)
    rows = max(len(unified), *map(_height, sides))
    depths = {name: min(len(mapping.ancestors(name)) if name else 0, _LEVELS) for name in unified}
    left = _EDGE + _TEXT + _BANDS
    right = left + _PILL + _INDENT * max(depths.values(), default=0)
    step = _ROW * min(rows / max(len(unified), 1), 1.5)
    first = _EDGE + (_ROW * rows - step * (len(unified) - 1)) / 2
    places = {name: (left + _INDENT * depths[name], first + step * n) for n, name in enumerate(unified)}
    hues = {root: f"hsl({n * _HUE_STEP % 360:g}, 62%, " for n, root in enumerate(mapping.tree.roots)}
    colors = {name: hues[mapping.root(name)] if name else "hsl(0, 0%, " for name in unified}
    most = max((entry.mentions for entry in mapping.entries), default=0) or 1
    body = []
    for side, x, gap, anchor in (
        (sides[0], left - _BANDS, -8, "end"),
        (sides[1], right + _BANDS, 8, "start"),
    ):
        y = _EDGE + _ROW * (rows - _height(side) + 1.5) / 2
        for source, entries in side:
            body.append(_text(x + gap, y, source, anchor, "bold"))
            for entry in entries:
                y += _ROW
                goal_x, goal_y = places[entry.unified]
                # Bands end behind the unified labels, so that round corners leave no gap.
                goal_x = goal_x + 4 if anchor == "end" else right - 4
                body.append(_band((x, y), (goal_x, goal_y), colors[entry.unified], entry, most))
                body.append(_text(x + gap, y, entry.label.label, anchor))
            y += _ROW * 1.5
    body += _unified_labels(mapping, places, colors, right)
    width, height = right + (_BANDS + _TEXT) * bool(sides[1]) + _EDGE, _EDGE * 2 + _ROW * rows
    said = escape(visible(describe_flow(mapping)))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="{_FONTS}" font-size="13" fill="#1f2937">\n'
        f'<title>{said}</title><rect width="100%" height="100%" rx="8" fill="#ffffff"/>\n'
    )
    return head + "\n".join(body) + "\n</svg>\n"


def _sides(mapping: LabelMapping, unified: list[str | None]) -> tuple[_Side, _Side]:
    """Part the sources into two sides of about one height; labels stand in the order of what they become."""
    order = {name: n for n, name in enumerate(unified)}
    sources = {name: n for n, name in enumerate(mapping.sources)}
    entries = sorted(mapping.entries, key=lambda entry: (sources[entry.label.source], order[entry.unified]))
    sides = [(name, list(group)) for name, group in groupby(entries, key=lambda entry: entry.label.source)]
    cuts = range(1, len(sides) + 1)
    cut = min(cuts, key=lambda n: max(_height(sides[:n]), _height(sides[n:])), default=0)
    return sides[:cut], sides[cut:]


def _height(side: _Side) -> float:
    return sum(1.5 + len(entries) for _, entries in side)


def _unified_labels(
    mapping: LabelMapping, places: Mapping[str | None, _Point], colors: Mapping[str | None, str], right: float
) -> Iterator[str]:
    for name, (x, y) in places.items():
        if name is not None and name in mapping.parents:
            whole_x, whole_y = places[mapping.parents[name]]
            line = f"M{whole_x + 8:g} {whole_y + 10:g}V{y:g}H{x:g}"
            yield f'<path d="{line}" fill="none" stroke="#6b7280" stroke-width="1.5"/>'
        box = f'x="{x:g}" y="{y - 10:g}" width="{right - x:g}" height="20" rx="10"'
        dashes = ' stroke-dasharray="4 3"' if name is None else ""
        yield f'<rect {box} fill="{colors[name]}92%)" stroke="{colors[name]}45%)"{dashes}/>'
        yield _text((x + right) / 2, y, name or LEFT_OUT, "middle")


def _band(start: _Point, goal: _Point, color: str, entry: MappedLabel, most: int) -> str:
    (x, y), (goal_x, goal_y) = start, goal
    half = (x + goal_x) / 2
    # The square root, since numbers of mentions differ by orders of magnitude.
    thickness = _THINNEST + (_THICKEST - _THINNEST) * sqrt(entry.mentions / most)
    title = escape(
        visible(f"{entry.label} → {entry.unified or LEFT_OUT}, {counted(entry.mentions, 'mention')}")
    )
    return (
        f'<path d="M{x:g} {y:g}C{half:g} {y:g} {half:g} {goal_y:g} {goal_x:g} {goal_y:g}" fill="none" '
        f'stroke="{color}60%)" stroke-opacity=".55" stroke-width="{thickness:.1f}"><title>{title}</title></path>'
    )


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    shown = visible(text)[: 2 * _LONGEST]
    if display_width(shown) > _LONGEST or len(text) > len(shown):
        shown = next(shown[:n] for n in range(len(shown), 0, -1) if display_width(shown[:n]) < _LONGEST) + "…"
    place = f'x="{x:g}" y="{y + 4.5:g}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text {place} direction="ltr" unicode-bidi="isolate">{escape(shown)}</text>'
