"""Checks of what a user gives: numbers within bounds, plain data that is to become settings."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from esnera_hf.errors import ConfigurationError

T = TypeVar("T")


def within(value: object, low: float, high: float = float("inf")) -> bool:
    """Tell whether a value is a number from ``low`` to ``high``; NaN and numbers written as text are not."""
    return isinstance(value, Real) and bool(low <= cast(Any, value) <= high)


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number above 0."""
    return isinstance(value, Integral) and int(value) >= 1


def from_plain(kind: type[T], data: object, where: str) -> T:
    """Rebuild a value of a type from plain data, as JSON gives it, by the names and types of its fields.

    Nothing is taken that a type does not name: a file of a stranger sets no more
    than its reader expects. The type is a dataclass, or any that the field of one is
    declared with; ``where`` is where the data come from, for messages.

    Raises:
        ConfigurationError: a name is unknown or missing, or a value of another type.
    """
    return cast(T, _value(kind, data, where))


def to_plain(value: Any) -> Any:
    """Return dataclasses, mappings and sequences as dictionaries and lists, the inverse of :func:`from_plain`."""
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: to_plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(entry) for entry in value]
    return value


def _value(kind: Any, data: Any, where: str) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return data
    if origin in (Union, types.UnionType):
        return _one_of(parts, data, where)
    if origin is Literal:
        return _expect(any(data == part and type(data) is type(part) for part in parts), data, where, kind)
    if is_dataclass(kind):
        return _record(kind, data, where)
    if origin in (dict, Mapping):
        _expect(isinstance(data, Mapping), data, where, kind)
        key, value = parts
        return {
            _value(key, name, where): _value(value, entry, f"{where}.{name}") for name, entry in data.items()
        }
    if origin in (list, tuple, Sequence) or hasattr(kind, "_fields"):
        return _row(kind, data, where)
    # JSON writes 1.0 as 1 in some hands; True is no number in any.
    if kind is float:
        number = isinstance(data, (int, float)) and not isinstance(data, bool)
        return _expect(number, data, where, kind)
    fits = isinstance(data, origin or kind) and (kind is bool or not isinstance(data, bool))
    if kind is int:  # larger ones break arithmetic with floats and arrays
        fits = fits and abs(data) < 1 << 63
    return _expect(fits, data, where, kind)


def _one_of(kinds: Sequence[Any], data: Any, where: str) -> Any:
    problems = []
    for kind in kinds:
        try:
            return _value(kind, data, where)
        except ConfigurationError as error:
            problems.append(error)
    # Where the last alternative is None, the first one is what was meant.
    raise problems[-1] if data is None else problems[0]


@cache  # a report holds thousands of records, and hints are worked out by evaluating source text
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _record(kind: Any, data: Any, where: str) -> Any:
    _expect(isinstance(data, Mapping), data, where, kind)
    hints = _hints(kind)
    own = [field for field in fields(kind) if field.init]
    names = {field.name for field in own}
    needed = {field.name for field in own if field.default is field.default_factory is MISSING}
    for problem, wrong in (("unknown", set(data) - names), ("missing", needed - set(data))):
        if wrong:
            raise ConfigurationError(
                f"{where}: {problem}: {', '.join(sorted(map(str, wrong)))}; expected {', '.join(sorted(names))}. "
                "Read it with the version that wrote it, or correct it."
            )
    return kind(**{name: _value(hints[name], value, f"{where}.{name}") for name, value in data.items()})


def _row(kind: Any, data: Any, where: str) -> Any:
    """Rebuild a list or a tuple; a named tuple is a list in JSON."""
    _expect(isinstance(data, (list, tuple)), data, where, kind)
    parts = get_args(kind)
    if hasattr(kind, "_fields"):
        parts = tuple(_hints(kind).values())
    elif get_origin(kind) is not tuple or parts[-1] is Ellipsis:
        parts = parts[:1] * len(data)
    _expect(len(parts) == len(data), data, where, kind)
    values = [
        _value(part, value, f"{where}[{n}]") for n, (part, value) in enumerate(zip(parts, data, strict=True))
    ]
    if hasattr(kind, "_fields"):
        return kind(*values)
    return values if get_origin(kind) is list else tuple(values)


def _expect(condition: bool, data: Any, where: str, kind: Any) -> Any:
    if not condition:
        name = str(kind).replace("typing.", "") if get_origin(kind) else kind.__name__
        raise ConfigurationError(f"{where}={data!r:.80}: expected {name}. Correct it.")
    return data
