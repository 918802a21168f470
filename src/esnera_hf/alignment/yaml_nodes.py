"""YAML read node by node, so that every complaint can name its line."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from esnera_hf.errors import MappingError
from esnera_hf.text import shorten, shown

Name = TypeVar("Name")

_TAG = "tag:yaml.org,2002:"
_DEEPEST = 20
_LONGEST_SHOWN = 60
_KINDS = {
    "null": "null",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
    "map": "a mapping",
    "seq": "a list",
}


class YamlDocument:
    """One YAML document and what may be asked of its nodes.

    Nothing is constructed from it but text, numbers and truth values. Aliases
    are refused, so that no node stands in two places or inside itself.

    Args:
        text: the YAML text.
        file: its name, for messages.

    Attributes:
        root: the outermost node, ``None`` if there is nothing in the text.

    Raises:
        MappingError: it is not one valid YAML document, holds an alias or is
            nested too deep; as all other errors it names the line.
    """

    def __init__(self, text: str, file: str = "") -> None:
        self._place = f"{file}, " if file else ""
        self.root = self._compose(text)

    def _compose(self, text: str) -> Node | None:
        loader = None
        try:
            loader = _Loader(text, self.error)
            return loader.get_single_node()
        except MappingError:
            raise
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise self.error(
                line, f"found the character U+{ord(text[error.position]):04X}, which YAML allows only as an "
                'escape in double quotes, such as "\\x07". Write it so or delete it.'
            ) from error  # fmt: skip
        except yaml.MarkedYAMLError as error:
            problem = ", ".join(part for part in (error.context, error.problem) if part)
            raise self.error(
                _line_of(error),
                f"this is not valid YAML: {problem}. Look for a missing quote, bracket, colon or space here "
                "and in the line above.",
            ) from error
        except (ValueError, OverflowError) as error:  # an escape beyond Unicode, a directive of a huge number
            line = loader.line + 1 if loader else 1
            raise self.error(line, f"this is not valid YAML: {error}. Correct it.") from error
        finally:
            if loader is not None:
                loader.dispose()

    def error(self, where: Node | int, message: str) -> MappingError:
        """Return an error that names the line of a node, or a line."""
        return MappingError(
            f"{self._place}line {where if isinstance(where, int) else line_of(where)}: {message}"
        )

    def fields(
        self, node: Node, what: str, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, Node]:
        """Return the values of a mapping by their keys.

        Raises:
            MappingError: it is no mapping, a key is unknown, stands twice or is
                missing.
        """
        if not isinstance(node, MappingNode) or node.tag != _TAG + "map":
            raise self.error(node, f"{what}: expected a mapping (`key: value`), found {_found(node)}.")
        known = [*required, *optional]
        fields: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for key_node, value in node.value:
            key = key_node.value if isinstance(key_node, ScalarNode) else None
            if key not in known:
                name = _found(key_node) if key is None else shown(key)
                raise self.error(
                    key_node,
                    f"{what}: unknown key {name}, expected one of {', '.join(known)}.{hint(key, known)}",
                )
            if key in lines:
                raise self.error(
                    key_node,
                    f"{what}: the key {key} stands twice, first in line {lines[key]}. Keep one of them.",
                )
            fields[key], lines[key] = value, line_of(key_node)
        missing = [key for key in required if key not in fields]
        if missing:
            raise self.error(node, f"{what}: the key {missing[0]} is missing. Add it.")
        return fields

    def items(self, node: Node, what: str) -> list[Node]:
        """Return the items of a list.

        Raises:
            MappingError: it is no list.
        """
        if not isinstance(node, SequenceNode) or node.tag != _TAG + "seq":
            raise self.error(node, f"{what}: expected a list, found {_found(node)}.")
        return list(node.value)

    def text(self, node: Node, what: str) -> str:
        """Return a text.

        Raises:
            MappingError: it is something else, or YAML reads it as something else.
        """
        if not _is(node, "str"):
            raise self.error(
                node,
                f"{what}: expected text, found {_found(node)}. Put NO, null, 2024 and the like in quotes.",
            )
        return str(node.value)

    def flag(self, node: Node, what: str) -> bool:
        """Return a truth value.

        Raises:
            MappingError: it is none.
        """
        if not isinstance(node, ScalarNode) or not _is(node, "bool"):
            raise self.error(node, f"{what}: expected true or false, found {_found(node)}.")
        return bool(SafeConstructor().construct_yaml_bool(node))

    def count(self, node: Node, what: str) -> int:
        """Return a whole number from 0.

        Raises:
            MappingError: it is none.
        """
        value = _number(node) if isinstance(node, ScalarNode) and _is(node, "int") else -1
        if value is None or value < 0:
            raise self.error(node, f"{what}: expected a whole number from 0, found {_found(node)}.")
        return int(value)

    def number(self, node: Node, what: str) -> float | None:
        """Return a finite number, ``None`` for null.

        Raises:
            MappingError: it is neither.
        """
        if is_null(node):
            return None
        known = isinstance(node, ScalarNode) and (_is(node, "int") or _is(node, "float"))
        value = _number(node) if isinstance(node, ScalarNode) and known else None
        if value is None:
            raise self.error(
                node, f"{what}: expected a number, or null where it is unknown, found {_found(node)}."
            )
        return float(value)


class _Loader(yaml.SafeLoader):
    """Composes nodes only so deep, and without aliases."""

    _depth = 0

    def __init__(self, text: str, error: Callable[[int, str], MappingError]) -> None:
        self.error = error
        super().__init__(text)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise self.error(
                line,
                f"found the alias *{event.anchor}, which is not supported. Write out what it stands for.",
            )
        if self._depth >= _DEEPEST:
            raise self.error(
                line,
                f"found more than {_DEEPEST} lists or mappings inside each other. Remove the brackets.",
            )
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def line_of(node: Node) -> int:
    """Return the line a node begins in, from 1."""
    return int(node.start_mark.line) + 1


def round_trip(circle: Sequence[Name], nodes: Mapping[Name, Node]) -> tuple[Node, str]:
    """Return the node in the first line of a circle, and the circle from there round to it again, with its lines.

    Args:
        circle: names, each of which leads to the next.
        nodes: of the names.
    """
    first = min(range(len(circle)), key=lambda index: line_of(nodes[circle[index]]))
    ordered = [*circle[first:], *circle[: first + 1]]
    steps = " → ".join(f"{shown(str(name))} (line {line_of(nodes[name])})" for name in ordered)
    return nodes[ordered[0]], steps


def is_null(node: Node) -> bool:
    """Tell whether a node says null, in so many letters: a value forgotten after its key is none."""
    return _is(node, "null") and node.value != ""


def hint(name: str | None, known: Collection[str]) -> str:
    """Return the question for the known name closest to another, ``""`` if none is close."""
    close = difflib.get_close_matches(name, known, n=1) if name else []
    return f" Did you mean {shown(close[0])}?" if close else ""


def _is(node: Node, kind: str) -> bool:
    return isinstance(node, ScalarNode) and node.tag == _TAG + kind


def _found(node: Node) -> str:
    """Say what a node is, in the words of its file."""
    kind = node.tag.removeprefix(_TAG)
    if not isinstance(node, ScalarNode):
        usual = "map" if isinstance(node, MappingNode) else "seq"
        return _KINDS[usual] + ("" if kind == usual else f" with the tag {shown(node.tag)}")
    if kind == "str":
        return f"the text {shown(node.value)}"
    if not node.value:
        return "nothing"
    value = shorten(node.value, _LONGEST_SHOWN)
    if kind == "null":
        return value
    return f"{value}, which YAML reads as {_KINDS.get(kind, f'a value with the tag {shown(node.tag)}')}"


def _number(node: ScalarNode) -> float | None:
    """Return the value of a number, ``None`` if it is too large or not finite."""
    construct = SafeConstructor()
    try:
        is_int = _is(node, "int")
        value = construct.construct_yaml_int(node) if is_int else construct.construct_yaml_float(node)
        return value if math.isfinite(value) else None
    except (ValueError, OverflowError):  # more digits than Python converts
        return None


def _line_of(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return int(mark.line) + 1 if mark else 1
