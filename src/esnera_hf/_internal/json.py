"""JSON objects in files that may come from a stranger."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from esnera_hf.errors import ConfigurationError, EsneraError

#: Bytes; the similarities of two thousand labels take a fifth of it.
_LARGEST = 1 << 30
#: Lists and objects inside each other; a report has eight.
_DEEPEST = 50
#: Texts, lists and objects: each takes up to a hundred times the memory of its bytes. The largest reports have 10^5.
_MOST = 4_000_000


def read_json(file: Path, error: type[EsneraError] = ConfigurationError) -> dict[str, Any]:
    """Read a JSON object of which every key stands once.

    Raises:
        EsneraError: ``error``, where there is no such file, or it holds no such object.
    """
    problem: Exception | str
    try:
        if file.stat().st_size > _LARGEST:
            problem = f"expected at most {_LARGEST >> 20:,} MiB"
        else:
            data = parse_json(file.read_text(encoding="utf-8"))
            if isinstance(data, dict):
                return data
            problem = f"expected an object, found {type(data).__name__}"
    except OSError as failure:
        raise error(f"{file} cannot be read: {failure.strerror}. Check the path and its rights.") from failure
    except (ValueError, RecursionError) as failure:
        problem = failure
    raise error(
        f"{file}: the file is damaged: {str(problem)[:200]}. Copy it again from where it was written, or make it "
        "again; nothing of it was used."
    ) from (problem if isinstance(problem, Exception) else None)


def parse_json(text: str) -> Any:
    """Parse JSON in which no key stands twice, nothing is nested too deep, all numbers are finite, and all text can be
    written again.

    Raises:
        ValueError, RecursionError: it is none, or would take many times the memory of its text.
    """
    if text.count('"') // 2 + text.count("[") + text.count("{") > _MOST:
        raise ValueError(f"it holds more than {_MOST:,} texts, lists and objects")
    data = json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
    # Half of a surrogate pair could not be written again.
    json.dumps(data, ensure_ascii=False).encode("utf-8")
    check_depth(data)
    return data


def check_depth(data: Any) -> None:
    """Check how deep plain data is nested: what walks through it later shall not run out of stack.

    Raises:
        ValueError: it is nested too deep.
    """
    level, depth = [data] if isinstance(data, (dict, list)) else [], 0
    while level := [
        part
        for value in level
        for part in (value.values() if isinstance(value, dict) else value)
        if isinstance(part, (dict, list))
    ]:
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"found more than {_DEEPEST} lists or objects inside each other")


def _finite(text: str) -> float:
    """Read a number; NaN and infinity are none of JSON, and 1e999 is read as infinity."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:60]} is no finite number")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, and refuse a key that stands twice, of which one reader takes the first and another the last."""
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in data if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice")
    return data
