"""Ways to spoil a file: bytes, lines, and nodes of JSON values."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from typing import Any

from seeds import ODD, SPLICED

_MOST_EDITS = 4


def spoiled(seeds: Sequence[bytes], choose: random.Random) -> bytes:
    """Return a seed with one to four random edits of its bytes or lines."""
    data = choose.choice(seeds)
    for _ in range(choose.randint(1, _MOST_EDITS)):
        data = _edited(data, seeds, choose)
    return data


def spoiled_value(value: Any, choose: random.Random) -> Any:
    """Return a copy of a JSON value with one to three nodes replaced, removed, doubled or renamed."""
    box = [copy.deepcopy(value)]
    for _ in range(choose.randint(1, 3)):
        places = list(_places(box))
        holder, key = choose.choice(places)
        kind = choose.random()
        if kind < 0.6:
            holder[key] = copy.deepcopy(choose.choice(ODD))
        elif kind < 0.75 and holder is not box:
            del holder[key]
        elif kind < 0.85 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif kind < 0.95 and isinstance(holder, dict):
            holder[str(choose.choice(ODD))] = holder.pop(key)
        else:
            other, other_key = choose.choice(places)
            holder[key] = copy.deepcopy(other[other_key])
    return box[0]


def dumped(value: Any) -> str:
    """Return a value as JSON, NaN and infinities as Python writes them."""
    return json.dumps(value, ensure_ascii=False)


def _edited(data: bytes, seeds: Sequence[bytes], choose: random.Random) -> bytes:
    at = choose.randint(0, len(data))
    to = min(len(data), at + choose.choice((1, 1, 2, 4, 16)))
    kind = choose.randrange(9)
    if kind <= 1:
        return data[:at] + choose.choice(SPLICED) + data[at:]
    if kind == 2:
        return data[:at] + choose.choice(SPLICED) + data[to:]
    if kind == 3:
        return data[:at] + data[to:]
    if kind == 4:
        return data[:at] + bytes([choose.randrange(256)]) + data[at + 1 :]
    if kind == 5:
        return data[:to] + data[at:]
    lines = data.split(b"\n")
    line = choose.randrange(len(lines))
    if kind == 6:
        lines.insert(line, choose.choice(choose.choice(seeds).split(b"\n")))
    elif kind == 7:
        other = choose.randrange(len(lines))
        lines[line], lines[other] = lines[other], lines[line]
    else:
        del lines[line]
    return b"\n".join(lines)


def _places(box: Any) -> Any:
    """Yield every place of a nested value as its holder and the key in it."""
    items = enumerate(box) if isinstance(box, list) else list(box.items())
    for key, value in items:
        yield box, key
        if isinstance(value, (list, dict)):
            yield from _places(value)
