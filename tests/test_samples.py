"""The samples on the page of formats are read as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from esnera_hf.sources.files import detect_format, file_reader
from esnera_hf.sources.options import FORMATS, ReadingOptions
from esnera_hf.sources.readings import marked_sentence

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "samples.md"
_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.M | re.S)
_FILE = re.compile(r"^```\w+ (\S+)\n(.*?)^```", re.M | re.S)
_EXPECTED = re.compile(r"^Read as(?: with `(\w+)=\"(.+?)\"`)?:\n\n```read\n(.*?)^```", re.M | re.S)
SECTIONS = _SECTION.findall(PAGE.read_text(encoding="utf-8"))
SAMPLES = [(title, body) for title, body in SECTIONS if _FILE.search(body)]


@pytest.mark.parametrize(("title", "body"), SAMPLES, ids=[title for title, _ in SAMPLES])
def test_a_sample_is_read_as_the_page_says(tmp_path: Path, title: str, body: str) -> None:
    paths = [tmp_path / name for name, _ in _FILE.findall(body)]
    for path, (_, text) in zip(paths, _FILE.findall(body), strict=True):
        path.write_text(text, encoding="utf-8")
    found = _EXPECTED.search(body)
    assert found is not None
    options = ReadingOptions(**({found[1]: found[2]} if found[1] else {}))
    sentences = file_reader(paths[-1:], options)()
    assert [marked_sentence(sentence) for sentence in sentences] == found[3].splitlines()
    if title.startswith("`"):
        assert detect_format(paths[-1]) in (title.split("`")[1], "json")


def test_every_format_is_on_the_page() -> None:
    assert {title.split("`")[1] for title, _ in SECTIONS if "`" in title} == {*FORMATS}
