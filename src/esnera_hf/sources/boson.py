"""BosonNER: one paragraph a line with inline markup ``{{label:mention}}``, characters as tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from esnera_hf.errors import SourceError
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, read_lines
from esnera_hf.tagging import Entity
from esnera_hf.text import shown

_TOKEN = re.compile(r"\{\{([^{}:：]+)[:：]|\}\}")
SPACES_TRIMMED = "mention with leading or trailing spaces, trimmed"
EMPTY_MENTION = "mention without text, left out"


def read_boson(path: Path) -> Iterator[RawSentence]:
    """Yield the paragraphs of a Boson file.

    Nested markup gives nested spans (``{{a:x{{b:y}}}}``). A line without markup
    is a paragraph without entities; blank lines are skipped. Spaces around a
    mention stay in the text and leave the span; a mention of nothing else is
    left out.

    Raises:
        SourceError: markup is opened and not closed, or closed and not opened;
            file and line are named.
    """
    for line in read_lines(path):
        if not line.text.strip():
            continue
        text, spans, repairs = _parse(line.text.strip(), f"{path}, line {line.number}")
        repairs += [UNDECODABLE] * line.damaged
        if text:
            yield RawSentence(list(text), spans, f"{path.name}, line {line.number}", repairs)


def _parse(line: str, place: str) -> tuple[str, list[Entity], list[str]]:
    text = ""
    position = 0
    spans: list[Entity] = []
    repairs: list[str] = []
    open_marks: list[tuple[int, str]] = []
    for mark in _TOKEN.finditer(line):
        text += line[position : mark.start()]
        position = mark.end()
        if mark.group(1):
            open_marks.append((len(text), mark.group(1).strip()))
            continue
        if not open_marks:
            near = line[max(0, mark.start() - 10) : mark.end()]
            raise SourceError(f"{place}: '}}}}' closes no '{{{{label:' at {near!r}. Mend the markup.")
        start, label = open_marks.pop()
        mention = text[start:]
        if not mention.strip():
            repairs.append(EMPTY_MENTION)
            continue
        left = len(mention) - len(mention.lstrip())
        right = len(mention.rstrip())
        if len(mention) != right - left:
            repairs.append(SPACES_TRIMMED)
        spans.append(Entity(start + left, start + right, label))
    if open_marks:
        opened = shown(f"{{{{{open_marks[-1][1]}:")
        raise SourceError(f"{place}: {opened} is never closed by '}}}}'. Mend the markup.")
    return text + line[position:], spans, repairs
