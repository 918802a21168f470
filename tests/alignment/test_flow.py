"""The picture of a mapping: what it shows, that nothing overlaps, and that names stay names."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from esnera_hf._internal.text import display_width
from esnera_hf.alignment.flow import describe_flow, draw_flow
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.tagging import LabelRef

SVG = "{http://www.w3.org/2000/svg}"
WIDE = "公司名称很长很长很长很长的一个名字"


def make_mapping(
    labels: dict[str, str | None], parents: dict[str, str] | None = None, mentions: int = 9
) -> LabelMapping:
    schema = dict.fromkeys([*(parents or {}).values(), *(name for name in labels.values() if name)])
    entries = (
        MappedLabel(LabelRef(*name.split(":")), unified, mentions=mentions * n)
        for n, (name, unified) in enumerate(labels.items())
    )
    return LabelMapping(tuple(schema), tuple(entries), parents=parents or {})


MANY = make_mapping({f"s{n % 4}:{WIDE if n % 3 else 'W' * 40}{n}": f"U{n % 23}" for n in range(60)})
TREE = make_mapping(
    {"a:per": "PER", "a:movie": "movie", "b:product": "PRODUCT", "b:person": "PER", "c:junk": None},
    {"movie": "PRODUCT"},
)


def parts(mapping: LabelMapping, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(draw_flow(mapping)).iter(SVG + tag))


def place(element: ElementTree.Element) -> tuple[float, float]:
    return float(element.attrib["x"]), float(element.attrib["y"])


def test_every_label_flows_into_its_unified_label() -> None:
    texts = [text.text for text in parts(TREE, "text")]
    assert texts == [
        *("a", "movie", "per", "b", "product", "person", "c", "junk"),
        *("PRODUCT", "movie", "PER", "(left out)"),
    ]
    goals = {place(text)[1] - 4.5: text.text for text in parts(TREE, "text")[-4:]}
    bands = {str(path[0].text): path.attrib["d"] for path in parts(TREE, "path") if len(path)}
    assert {title: goals[float(path.split()[-1])] for title, path in bands.items()} == {
        "a:movie → movie, 9 mentions": "movie",
        "a:per → PER, 0 mentions": "PER",
        "b:product → PRODUCT, 18 mentions": "PRODUCT",
        "b:person → PER, 27 mentions": "PER",
        "c:junk → (left out), 36 mentions": "(left out)",
    }


def test_parts_stand_below_and_right_of_their_wholes_and_bands_grow_with_mentions() -> None:
    product, movie, per, _ = [place(box) for box in parts(TREE, "rect")[1:]]
    assert movie[0] > product[0] == per[0]
    assert movie[1] > product[1]
    assert sum(not len(path) for path in parts(TREE, "path")) == 1
    widths = [float(path.attrib["stroke-width"]) for path in parts(MANY, "path")]
    assert (min(widths), max(widths)) == (2.0, 15.0)
    (bare,) = parts(make_mapping({"a:x": "X"}, mentions=0), "path")
    assert bare.attrib["stroke-width"] == "2.0"


@pytest.mark.parametrize("mapping", [MANY, TREE, make_mapping({"a:x": "X"}), make_mapping({})], ids=repr)
def test_texts_neither_overlap_nor_leave_the_picture(mapping: LabelMapping) -> None:
    svg = ElementTree.fromstring(draw_flow(mapping))
    width, height = float(svg.attrib["width"]), float(svg.attrib["height"])
    columns: dict[str, list[float]] = {}
    for text in svg.iter(SVG + "text"):
        x, y = place(text)
        columns.setdefault(f"{text.attrib['text-anchor']}", []).append(y)
        # Half an em a terminal column, seven units, and a little more for wide letters.
        reach = 8.5 * display_width(str(text.text))
        start = {"end": x - reach, "middle": x - reach / 2, "start": x}[text.attrib["text-anchor"]]
        assert (start >= 0, start + reach <= width, 10 <= y <= height) == (True, True, True)
    for rows in columns.values():
        assert all(below - above >= 20 for above, below in zip(sorted(rows), sorted(rows)[1:], strict=False))


@pytest.mark.parametrize("name", ["<script>", '"/>&amp;', "\x1b[2J\ud800", "\u202eabc", "L" * 10_000])
def test_names_stay_names(name: str) -> None:
    def shown(name: str) -> LabelMapping:
        return LabelMapping((name, "x"), (MappedLabel(LabelRef(name, name), name),), parents={"x": name})

    mapping = shown(name)
    tags, usual = (
        [element.tag for element in ElementTree.fromstring(draw_flow(part)).iter()]
        for part in (mapping, shown("y"))
    )
    assert tags == usual
    assert all(char.isprintable() or char == "\n" for char in draw_flow(mapping))


def test_the_alternative_text() -> None:
    said = "5 labels from a, b, c flow into 3 unified labels, 1 of them a part of another; 1 left out"
    assert describe_flow(TREE) == said
    svg = ElementTree.fromstring(draw_flow(TREE))
    assert (svg.attrib["role"], svg[0].text) == ("img", said)
