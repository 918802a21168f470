"""YAML that people edit: plain data in and out, with the line of every value."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from itertools import chain
from typing import Any, TypeVar, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from esnera_hf._internal.text import hint, shorten, shown
from esnera_hf.errors import MappingError

#: What PyYAML raises of text, also for too many digits, for dates that there are not, for tags that do not fit.
DAMAGED_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)
# For files of strangers: a mapping of a thousand labels has half a million characters and five levels.
_LARGEST, _DEEPEST = 10_000_000, 20
#: In the card of a dataset of a thousand configurations there are ten thousand.
_MOST_VALUES = 1_000_000
_LONGEST_SHOWN = 60
_TAG = "tag:yaml.org,2002:"
_SCALARS = ("str", "null", "bool", "int", "float")
_EXPECTED: dict[type, str] = {
    dict: "a mapping (`key: value`)",
    list: "a list",
    str: "text (NO, null, 2024 and the like in quotes)",
    bool: "true or false",
    int: "a whole number from 0",
    float: "a number, or null where it is unknown",
}
Value = TypeVar("Value")


def check_aliases(text: str) -> None:
    """Check how much YAML holds when its aliases are written out: ten lines of them can be gigabytes.

    Raises:
        ValueError: it is too much, or holds itself.
        yaml.YAMLError, RecursionError: it is no YAML.
    """
    sizes: dict[int, float] = {}

    def size(node: Node) -> float:
        if isinstance(node, ScalarNode):
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = math.inf  # until it is counted: what it holds may be an alias of it
            parts = chain.from_iterable(node.value) if isinstance(node, MappingNode) else node.value
            sizes[id(node)] = 1 + sum(map(size, parts))
        return sizes[id(node)]

    node = yaml.compose(text, yaml.SafeLoader)
    if node is not None and size(node) > _MOST_VALUES:
        raise ValueError(f"by its aliases it holds more than {_MOST_VALUES:,} values")


class YamlValue:
    """A value of a YAML document and where it stands, checked as it is read; every error names the line.

    Attributes:
        data: text, a number, a truth value, ``None``, a list of values, or a dictionary of them.
        line: that of its key, or its own where it has none, from 1.
        written: how a scalar is written in the file.
    """

    def __init__(self, data: Any, place: str, line: int, written: str = "") -> None:
        self.data, self._place, self.line, self.written = data, place, line, written

    @property
    def is_null(self) -> bool:
        """Whether it says null, in so many letters: a value forgotten after its key is none."""
        return self.data is None and self.written != ""

    def error(self, message: str) -> MappingError:
        """Return an error that names the line."""
        return _error(self._place, self.line, message)

    def fields(
        self, what: str, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, YamlValue]:
        """Return the values of a mapping by their keys, none of which is unknown or missing."""
        fields: dict[str, YamlValue] = self.checked(what, dict)
        keys = [*required, *optional]
        for key, value in fields.items():
            if key not in keys:
                expected = f"expected one of {', '.join(keys)}.{hint(key, keys)}"
                raise value.error(f"{what}: unknown key {shown(key)}, {expected}")
        for key in required:
            if key not in fields:
                raise self.error(f"{what}: the key {key} is missing. Add it.")
        return fields

    def checked(self, what: str, kind: type[Value]) -> Value:
        """Return the data, of some kind; an ``int`` is 0 or more, a ``float`` is finite."""
        # Who writes 1 for a share means 1.0; who writes yes for a count means something else.
        data: Any = float(self.data) if kind is float and type(self.data) is int else self.data
        matches = type(data) is kind
        if matches and kind in (int, float):
            matches = math.isfinite(data) and (kind is float or data >= 0)
        if matches:
            return cast(Value, data)
        if isinstance(data, dict | list):
            said = "a mapping" if isinstance(data, dict) else "a list"
        elif isinstance(data, str):
            said = f"the text {shown(data)}"
        else:
            said = shorten(self.written, _LONGEST_SHOWN) or "nothing"
            if data is not None:
                said += f", which YAML reads as {'true or false' if isinstance(data, bool) else 'a number'}"
        raise self.error(f"{what}: expected {_EXPECTED[kind]}, found {said}. Correct it.")


def read_yaml(text: str, file: str = "") -> YamlValue:
    """Return the outermost value of one YAML document; ``None`` in line 1 if there is nothing in the text.

    Only text, numbers, truth values, lists and mappings are made from it, by the
    safe loader. Aliases, other tags, keys that stand twice, and what is too large
    or nested too deep are refused.

    Raises:
        MappingError: it is not one such document.
    """
    place = f"{file}, " if file else ""
    if len(text) > _LARGEST:
        raise _error(place, 1, f"found {len(text):,} characters, expected at most {_LARGEST:,}. Split it.")
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except (yaml.reader.ReaderError, yaml.MarkedYAMLError, ValueError, OverflowError) as error:
        # The last two: an escape beyond Unicode, a directive of a huge number.
        line, problem = loader.line + 1 if loader else 1, str(error)
        if isinstance(error, yaml.reader.ReaderError):
            line = text.count("\n", 0, error.position) + 1
            problem = f'found U+{ord(text[error.position]):04X}, which needs an escape, such as "\\x07"'
        elif isinstance(error, yaml.MarkedYAMLError):
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            problem = ", ".join(part for part in (error.context, error.problem) if part)
        advice = "Look for a missing quote, bracket, colon or space here and in the line above."
        raise _error(place, line, f"this is not valid YAML: {problem}. {advice}") from error
    return YamlValue(None, place, 1) if node is None else loader.read(node, place, _line(node))


def _error(place: str, line: int, message: str) -> MappingError:
    return MappingError(f"{place}line {line}: {message}")


class _Loader(yaml.SafeLoader):
    """Composes nodes only so deep, and without aliases: no node stands in two places or inside itself."""

    _depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        problem = ""
        if isinstance(event, yaml.AliasEvent):
            problem = f"found the alias *{event.anchor}, which is not supported; write out what it stands for"
        elif self._depth >= _DEEPEST:
            problem = f"found more than {_DEEPEST} lists or mappings inside each other"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def read(self, node: Node, place: str, line: int) -> YamlValue:
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            fields: dict[str, YamlValue] = {}
            for key, value in node.value:
                if not isinstance(key, ScalarNode):
                    problem = "expected text as a key, found a list or mapping. Correct it."
                    raise _error(place, _line(key), problem)
                if key.value in fields:  # PyYAML takes the last one, without a word
                    first = f"first in line {fields[key.value].line}. Keep one of them."
                    raise _error(place, _line(key), f"the key {shown(key.value)} stands twice, {first}")
                fields[key.value] = self.read(value, place, _line(key))
            return YamlValue(fields, place, line)
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return YamlValue([self.read(item, place, _line(item)) for item in node.value], place, line)
        tag = node.tag.removeprefix(_TAG)
        if not isinstance(node, ScalarNode) or tag not in _SCALARS:
            read_as = f"found {shown(str(node.value))}, which YAML reads as {shown(tag)}."
            raise _error(place, line, f"{read_as} Put text in quotes and remove tags (`!…`).")
        try:
            scalar: Any = self.construct_object(node)
            if isinstance(scalar, int):
                float(scalar)
        except (ValueError, OverflowError):  # more digits than Python converts, or than a float holds
            scalar = math.nan
        return YamlValue(scalar, place, line, node.value)


def _line(node: Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 1


class _Dumper(yaml.SafeDumper):
    """Writes texts with characters that cannot be printed in double quotes, as escapes.

    PyYAML's choice of quotes loses some of them, such as U+0085, and lets others
    break the line.
    """

    # A list that is the same object twice is written twice, not as a reference.
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar(f"{_TAG}str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_text)


def dump_yaml(data: Any, *, flow: bool = False) -> str:
    """Return plain data as YAML: keys in order, a text never broken across lines; in flow style, all in one line."""
    style: dict[str, Any] = {"allow_unicode": True, "sort_keys": False, "width": sys.maxsize}
    return str(yaml.dump(data, Dumper=_Dumper, default_flow_style=flow, **style))
