"""WebAnno TSV 3, which WebAnno and INCEpTION export: a token a line, the features of every layer in columns.

https://inception-project.github.io/releases/36.0/docs/user-guide.html#sect_formats_webannotsv3
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions, column_name
from esnera_hf.sources.readers.label_studio import UNLABELLED
from esnera_hf.sources.readers.offsets import onto_tokens
from esnera_hf.sources.readers.text import UNDECODABLE, Row, read_lines
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

FORMAT_LINE = "#FORMAT=WebAnno TSV 3"
SPLIT = "annotation with a gap inside or across sentences, its parts read as annotations of their own"
ZERO_WIDTH = "annotation of no character, left out"
#: Of a declaration of spans, chains or relations, the layer and its features.
_LAYER = re.compile(r"#T_(SP|CH|RL)=([^|]*)(?:\|(.*))?")
_UNIT = re.compile(r"(\d{1,9})-(\d{1,9})(\.\d{1,9})?")
_OFFSETS = re.compile(r"(\d{1,18})-(\d{1,18})")
_STACKED = re.compile(r"(?:[^\\|]|\\.?)+", re.DOTALL)
_VALUE = re.compile(r"((?:[^\\\[]|\\.)*)(?:\[(\d{1,9})\])?", re.DOTALL)
_ESCAPED = re.compile(r"\\(->|.)", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r"}
_NONE, _NO_VALUE = "_", "*"
_TOKEN_COLUMNS = 3
_USUAL = "NamedEntity|value"
#: What is no type of entity: layers of DKPro Core that every token is annotated on, and links to a knowledge base.
_LINGUISTIC = re.compile(r"\.(lexmorph|segmentation|transform|syntax)\.|\|identifier$")


#: What a row says of an annotation: its number if it has one, the characters covered with its label, and the token.
_Part = tuple[str | None, Entity, int]


class WebAnnoFile:
    """A file of WebAnno TSV 3, read from its beginning each time it is called.

    Entities are the values of one feature of a layer of spans: ``NamedEntity|value``, or where that is
    not declared the only feature of another layer that is annotated; ``tag_column`` names it where
    there are several.
    """

    def __init__(self, path: Path, options: ReadingOptions) -> None:
        self.path = path
        whose = f"the features of WebAnno TSV ({path.name})"
        self._wanted = column_name(options, "tag_column", whose, "NamedEntity|value")

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences.

        Raises:
            SourceError: no feature holds entities or several do, or a row is none of the format.
        """
        before: set[tuple[str, str]] = set()
        for rows in self._sentences():
            sentence, parts = self._sentence(rows)
            sentence.repairs.extend([SPLIT] * len(before & _numbered(parts, 1)))
            before = _numbered(parts, len(sentence.tokens))
            if sentence.tokens:
                yield sentence

    @cached_property
    def _features(self) -> list[str]:
        """The columns behind the tokens: ``layer|feature``, ``""`` for what cannot be an entity."""
        features: list[str] = []
        for number, text, _ in read_lines(self.path):
            layer = _LAYER.fullmatch(text)
            if layer is None:
                if text and not text.startswith("#"):
                    return features
                continue
            kind, name, own = layer.group(1), layer.group(2), (layer.group(3) or "").split("|")
            if not name:
                raise SourceError(
                    f"{self.path}, line {number}: expected the name of a layer in {shown(text)}."
                )
            linked = [place for place, one in enumerate(own) if one.startswith("ROLE_")]
            # The target of a slot feature stands in the column behind it.
            others = {*linked, *(place + 1 for place in linked)}
            spans = kind == "SP"
            features += [
                f"{name}|{one}" if spans and place not in others else "" for place, one in enumerate(own)
            ]
        return features

    @cached_property
    def _column(self) -> int:
        """The index, among all columns, of the feature whose values are entities."""
        features = {name: place for place, name in enumerate(self._features) if name}
        if self._wanted is not None:
            named = [
                name for name in features if f".{name}".endswith((f".{self._wanted}", f"|{self._wanted}"))
            ]
            named = [self._wanted] if self._wanted in features else named
            if len(named) != 1:
                raise SourceError(
                    f"{self.path}: tag_column={self._wanted!r} names {len(named)} of the features "
                    f"{', '.join(features) or 'none'}. Name one as layer|feature."
                )
            return _TOKEN_COLUMNS + features[named[0]]
        if usual := [name for name in features if name.endswith(_USUAL)]:
            return _TOKEN_COLUMNS + features[usual[0]]
        eligible = {name: place for name, place in features.items() if not _LINGUISTIC.search(name)}
        annotated = self._annotated(eligible)
        if eligible and len(annotated) < 2:
            return _TOKEN_COLUMNS + eligible[next(iter(annotated or eligible))]
        examples = "; ".join(f"{name}: {', '.join(map(shown, values))}" for name, values in annotated.items())
        raise SourceError(
            f"{self.path}: expected one feature of a layer of spans that holds entities, found "
            f"{examples or 'none'}. Name it: tag_column='layer|feature'."
        )

    def _annotated(self, features: dict[str, int]) -> dict[str, list[str]]:
        """Return up to three labels of each feature that has any, in the order of the columns."""
        values: dict[str, dict[str, None]] = {name: {} for name in features}
        for rows in self._sentences():
            for _, cells, _ in rows:
                for name, place in features.items():
                    label = cells[_TOKEN_COLUMNS + place].partition("[")[0]
                    if label not in (_NONE, _NO_VALUE) and len(values[name]) < 3:
                        values[name][_unescaped(label)] = None
        return {name: list(seen) for name, seen in values.items() if seen}

    def _sentences(self) -> Iterator[list[Row]]:
        width = _TOKEN_COLUMNS + len(self._features)
        rows: list[Row] = []
        sentence = ""
        for number, text, damaged in read_lines(self.path):
            if not text.strip() or text.startswith("#"):
                continue
            cells = text.split("\t")
            # Every row ends with a tab, but for those that other programs write.
            cells = cells[:-1] if len(cells) == width + 1 and not cells[-1] else cells
            unit = _UNIT.fullmatch(cells[0])
            if unit is None or len(cells) != width or not _OFFSETS.fullmatch(cells[1]):
                raise SourceError(
                    f"{self.path}, line {number}: expected {width} columns beginning with sentence-token and "
                    f"start-end, found {len(cells)}: {shown(text[:60])}."
                )
            if rows and unit.group(1) != sentence:
                yield rows
                rows = []
            sentence = unit.group(1)
            rows.append((number, cells, damaged))
        if rows:
            yield rows

    def _sentence(self, rows: list[Row]) -> tuple[RawSentence, list[_Part]]:
        tokens: list[str] = []
        parts: list[_Part] = []
        # Where the token begins in the text that is put together here, and where it began and ended in UTF-16 units.
        text, begun, ended = "", 0, 0
        for number, cells, _ in rows:
            start, end = map(int, cells[1].split("-"))
            if "." not in cells[0]:
                token = _token(cells[2], end - start)
                gap = " " if tokens and start > ended else ""
                text, begun, ended = f"{text}{gap}{token}", start, end
                tokens.append(token)
                covered = (len(text) - len(token), len(text))
            elif not tokens or not begun <= start <= end <= ended:
                raise SourceError(
                    f"{self.path}, line {number}: {shown(cells[0])} lies in no token before it. "
                    "Export the document again."
                )
            else:
                within = [_characters(tokens[-1], units - begun) for units in (start, end)]
                if tokens[-1][slice(*within)] != _unescaped(cells[2]):
                    raise SourceError(
                        f"{self.path}, line {number}: offsets [{start}, {end}] hold "
                        f"{shown(tokens[-1][slice(*within)])}, expected {shown(_unescaped(cells[2]))}. Offsets count "
                        "UTF-16 units."
                    )
                covered = (len(text) - len(tokens[-1]) + within[0], len(text) - len(tokens[-1]) + within[1])
            parts += self._parts(cells[self._column], covered, len(tokens), number)
        repairs = [UNDECODABLE] * any(damaged for _, _, damaged in rows)
        spans = _joined(parts, repairs)
        where = f"{self.path.name}, line {rows[0][0]}"
        filled = [token for token in tokens if token.strip()]
        sentence = onto_tokens(RawSentence([], spans, where, repairs, text), filled)
        if sentence is None:  # the text was put together from the tokens
            raise SourceError(
                f"{self.path}, line {rows[0][0]}: the tokens are not those of the text. Export the document again."
            )
        return sentence, parts

    def _parts(self, cell: str, covered: tuple[int, int], row: int, line: int) -> Iterator[_Part]:
        if cell == _NONE:
            return
        for stacked in _STACKED.findall(cell) or [cell]:
            value = _VALUE.fullmatch(stacked)
            if value is None or not value.group(1):
                raise SourceError(
                    f"{self.path}, line {line}: expected LABEL, LABEL[number] or _, found {shown(cell)}."
                )
            label = "" if value.group(1) == _NO_VALUE else _unescaped(value.group(1))
            yield value.group(2), Entity(*covered, label), row


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda match: _CONTROLS.get(match.group(1), match.group(1)), value)


def _token(cell: str, units: int) -> str:
    """Return a token without escapes, or as it stands where that alone is as long as its offsets say."""
    plain = _unescaped(cell)
    return cell if _utf16(plain) != units == _utf16(cell) else plain


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _characters(text: str, units: int) -> int:
    return len(text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))


def _numbered(parts: list[_Part], row: int) -> set[tuple[str, str]]:
    return {(number, span.label) for number, span, own in parts if number and own == row}


def _joined(parts: list[_Part], repairs: list[str]) -> list[Entity]:
    """Join what rows say of the same annotation; without a number, each row is an annotation of its own."""
    spans: list[Entity] = []
    ends: dict[tuple[str, str], tuple[int, int]] = {}
    for number, part, row in parts:
        key = (number or "", part.label)
        place, last = ends.get(key, (-1, -1)) if number else (-1, -1)
        if place >= 0 and row <= last + 1:
            spans[place] = replace(spans[place], end=max(spans[place].end, part.end))
        else:
            repairs.extend([SPLIT] * (place >= 0))
            place = len(spans)
            spans.append(part)
        ends[key] = (place, row)
    for span in spans:
        if not span.label or span.start == span.end:
            repairs.append(ZERO_WIDTH if span.label else UNLABELLED)
    return [span for span in spans if span.label and span.start < span.end]
