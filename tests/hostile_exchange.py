"""Bundles, answers and parts of an atlas, which owners of corpora exchange, and hostile edits of each."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import safetensors.numpy

from hostile_files import ADDRESS, DEEP, PICKLE, SIMILARITY, VICTIM, Edit, Kind, json_edits

_KEY = "esnera_hf"

#: Values that a field of another kind may hold, or that something further on may take for what it is not.
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 3.5, 1e300, 10**30, "", [], {}, [None], ["x", "x"], {"x": 1}),
    *("\u202e\x1b[31m", "\x00", "\ud800", "a" * 301, "a" * 30_000, "../../esnera-victim", VICTIM, ADDRESS),
    *("<script>alert(1)</script>", "{{ 7 * 7 }}", "a: b\n---\n", "|a|\n# b", "=cmd|' /C calc'!A0", "o/n"),
)

ANSWER = json_edits(
    (("version",), 99),
    (("asked",), "../../x"),
    (("name",), "a\x1b[31m"),
    (("labels",), ["name", "name"]),
    (("labels",), [f"label {n}" for n in range(10_001)]),
    (("counts", 0, 2), 10**15),
    (("counts", 0, 1), "strange"),
    (("counts", 0, 0), ""),
    (("forms", "per"), [1, 2, {}]),
    (("forms", "strange"), [2, 1, {}]),
)
ATLAS = json_edits(
    (("version",), "1"),
    (("bundles",), {}),
    (("bundles", "alpha", 0), "../../esnera-victim.evidence"),
    (("bundles", "alpha", 0), "bundles/0009.evidence"),
    (("bundles", "alpha", 0), "bundles/0001.evidence"),
    (("bundles", "alpha", 1), "0" * 32),
    (("bundles", "strange"), ["bundles/0000.evidence", "0" * 32]),
    (("definitions", "alpha:strange"), "of no label"),
    (("definitions", "alpha:per"), "a" * 2001),
    (("definitions",), [ADDRESS]),
)


def unpacked(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the facts of a bundle and the bytes of its arrays with their header."""
    size = struct.unpack("<Q", content[:8])[0]
    facts: dict[str, Any] = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_KEY])
    return facts, content


def packed(content: bytes, text: str | None, **arrays: Any) -> bytes:
    """Return a bundle with other facts, as text, and other arrays; one that is None is left out."""
    held = {**safetensors.numpy.load(content), **arrays}
    left = {name: np.ascontiguousarray(array) for name, array in held.items() if array is not None}
    made: bytes = safetensors.numpy.save(left, metadata=None if text is None else {_KEY: text})
    return made


def evidence(content: bytes) -> Iterator[Edit]:
    """Yield hostile edits of a bundle."""
    yield "empty", b""
    yield "cut", content[: len(content) // 2]
    yield "pickle", PICKLE
    yield "a header of 2^63", struct.pack("<Q", 1 << 63) + content[8:]
    facts, _ = unpacked(content)
    text, arrays = json.dumps(facts), safetensors.numpy.load(content)
    yield "no facts", packed(content, None)
    yield "deep facts", packed(content, '{"labels":' * DEEP + "1" + "}" * DEEP)
    yield "a key twice", packed(content, '{"name": "x",' + text[1:])
    yield "another type", packed(content, text, weights=arrays["weights"].astype(np.float32))
    yield "another shape", packed(content, text, bias=arrays["bias"][1:])
    yield "NaN", packed(content, text, centroids=arrays["centroids"] * np.float16("nan"))
    yield "infinity", packed(content, text, bias=arrays["bias"] + np.float16("inf"))
    yield "one that is missing", packed(content, text, centroids=None)
    yield "forms in disorder", packed(content, text, forms=arrays["forms"][::-1])
    for name, value in (
        ("labels", [*facts["labels"], "a\x1b[31m"]),
        ("mentions", {**facts["mentions"], facts["labels"][0]: 10**15}),
        ("heads", [*facts["heads"], "strange"]),
        ("forms", {**facts["forms"], facts["labels"][0]: 10**9}),
        ("recall", {facts["labels"][0]: float("nan")}),
        ("layers", "many"),
        ("strange", VICTIM),
    ):
        yield f"{name}={value!r:.60}", packed(content, json.dumps({**facts, name: value}))


def single_values(content: bytes, count: int) -> Iterator[Edit]:
    """Yield drawn edits that put one value, or one name, at one place; some are fine."""
    is_bundle = content[8:9] == b"{"
    data = unpacked(content)[0] if is_bundle else json.loads(content)
    draw = random.Random(len(content))
    for _ in range(count):
        edited = copy.deepcopy(data)
        holder, key = draw.choice(list(_places(edited)))
        value = draw.choice(_VALUES)
        if isinstance(holder, dict) and isinstance(value, str) and draw.random() < 0.2:
            holder[value] = holder.pop(key)
        else:
            holder[key] = value
        text = json.dumps(edited)
        yield f"{key}: {value!r:.60}", packed(content, text) if is_bundle else text.encode()


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each object or list inside plain data with each of its keys or numbers."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield data, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


EXCHANGED: dict[str, Kind] = {
    "evidence": Kind("exchange", "alpha.evidence", evidence),
    "answer": Kind("exchange", "beta.answer", ANSWER),
    "atlas": Kind("atlas", "atlas.json", ATLAS),
    "atlas similarities": Kind("atlas", "similarity.json", SIMILARITY),
    "atlas bundle": Kind("atlas", "bundles/0000.evidence", evidence),
}
