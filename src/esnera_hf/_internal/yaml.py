"""YAML that people edit: plain data in and out, with the line of every value."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from typing import Any, NamedTuple, TypeVar, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from esnera_hf._internal.text import hint, shorten, shown
from esnera_hf.errors import MappingError

# For files of strangers: a mapping of a thousand labels has half a million characters and five levels.
_LARGEST, _DEEPEST = 10_000_000, 20
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


class Located(NamedTuple):
    """A value and the line of its key, or its own line where it has none.

    Attributes:
        value: text, a number, a truth value, ``None``, a list of located values, or a dictionary of them.
        line: from 1.
        written: how a scalar is written in the file.
    """

    value: Any
    line: int
    written: str = ""

    @property
    def is_null(self) -> bool:
        """Whether it says null, in so many letters: a value forgotten after its key is none."""
        return self.value is None and self.written != ""


class YamlDocument:
    """One YAML document, checked value by value; every error names the line.

    Only text, numbers, truth values, lists and mappings are made from it, by the
    safe loader. Aliases, other tags, keys that stand twice, and what is too large
    or nested too deep are refused.

    Args:
        text: the YAML text.
        file: its name, for messages.

    Attributes:
        root: the outermost value; ``None`` in line 1 if there is nothing in the text.

    Raises:
        MappingError: it is not one such document.
    """

    def __init__(self, text: str, file: str = "") -> None:
        self._place = f"{file}, " if file else ""
        if len(text) > _LARGEST:
            raise self.error(1, f"found {len(text):,} characters, expected at most {_LARGEST:,}. Split it.")
        loader = None
        try:
            loader = _Loader(text)
            node = loader.get_single_node()
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            problem = f'found U+{ord(text[error.position]):04X}, which needs an escape, such as "\\x07"'
            raise self._invalid(line, problem) from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = ", ".join(part for part in (error.context, error.problem) if part)
            raise self._invalid(mark.line + 1 if mark else 1, problem) from error
        except (ValueError, OverflowError) as error:  # an escape beyond Unicode, a directive of a huge number
            raise self._invalid(loader.line + 1 if loader else 1, str(error)) from error
        self.root = Located(None, 1) if node is None else self._located(node, loader, _line(node))

    def _located(self, node: Node, loader: _Loader, line: int) -> Located:
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            fields: dict[str, Located] = {}
            for key, value in node.value:
                if not isinstance(key, ScalarNode):
                    raise self.error(
                        _line(key), "expected text as a key, found a list or mapping. Correct it."
                    )
                if key.value in fields:
                    first = f"first in line {fields[key.value].line}. Keep one of them."
                    raise self.error(_line(key), f"the key {shown(key.value)} stands twice, {first}")
                fields[key.value] = self._located(value, loader, _line(key))
            return Located(fields, line)
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return Located([self._located(item, loader, _line(item)) for item in node.value], line)
        tag = node.tag.removeprefix(_TAG)
        if not isinstance(node, ScalarNode) or tag not in _SCALARS:
            advice = "Put text in quotes and remove tags (`!…`)."
            raise self.error(
                line, f"found {shown(str(node.value))}, which YAML reads as {shown(tag)}. {advice}"
            )
        try:
            scalar: Any = loader.construct_object(node)
            if isinstance(scalar, int):
                float(scalar)
        except (ValueError, OverflowError):  # more digits than Python converts, or than a float holds
            scalar = math.nan
        return Located(scalar, line, node.value)

    def error(self, where: Located | int, message: str) -> MappingError:
        """Return an error that names a line."""
        line = where.line if isinstance(where, Located) else where
        return MappingError(f"{self._place}line {line}: {message}")

    def _invalid(self, line: int, problem: str) -> MappingError:
        advice = "Look for a missing quote, bracket, colon or space here and in the line above."
        return self.error(line, f"this is not valid YAML: {problem}. {advice}")

    def fields(
        self, found: Located, what: str, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, Located]:
        """Return the values of a mapping by their keys, none of which is unknown or missing."""
        fields: dict[str, Located] = self.value(found, what, dict)
        known = [*required, *optional]
        for key, value in fields.items():
            if key not in known:
                expected = f"expected one of {', '.join(known)}.{hint(key, known)}"
                raise self.error(value, f"{what}: unknown key {shown(key)}, {expected}")
        for key in required:
            if key not in fields:
                raise self.error(found, f"{what}: the key {key} is missing. Add it.")
        return fields

    def choice(self, found: Located, what: str, choices: Collection[str]) -> str:
        """Return one of some texts."""
        name = self.value(found, what, str)
        if name not in choices:
            expected = f"expected one of {', '.join(choices)}.{hint(name, choices)}"
            raise self.error(found, f"{what}: found {shown(name)}, {expected} Correct it.")
        return name

    def value(self, found: Located, what: str, kind: type[Value]) -> Value:
        """Return a value of some kind; an ``int`` is 0 or more, a ``float`` is finite."""
        value: Any = float(found.value) if kind is float and type(found.value) is int else found.value
        matches = type(value) is kind
        if matches and kind in (int, float):
            matches = math.isfinite(value) and (kind is float or value >= 0)
        if matches:
            return cast(Value, value)
        if isinstance(value, dict | list):
            said = "a mapping" if isinstance(value, dict) else "a list"
        elif isinstance(value, str):
            said = f"the text {shown(value)}"
        else:
            said = shorten(found.written, _LONGEST_SHOWN) or "nothing"
            if value is not None:
                said += f", which YAML reads as {'true or false' if isinstance(value, bool) else 'a number'}"
        raise self.error(found, f"{what}: expected {_EXPECTED[kind]}, found {said}. Correct it.")


class _Loader(yaml.SafeLoader):
    """Composes nodes only so deep, and without aliases: no node stands in two places or inside itself."""

    _depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            problem = f"found the alias *{event.anchor}, which is not supported; write out what it stands for"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        if self._depth >= _DEEPEST:
            problem = f"found more than {_DEEPEST} lists or mappings inside each other"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


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
    """Return data as YAML: keys in order, a text never broken across lines.

    Args:
        data: plain data.
        flow: in flow style, in one line.
    """
    style: dict[str, Any] = {"allow_unicode": True, "sort_keys": False, "width": sys.maxsize}
    return str(yaml.dump(data, Dumper=_Dumper, default_flow_style=flow, **style))
