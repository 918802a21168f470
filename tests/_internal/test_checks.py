"""Plain data that become settings: by name and type, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import pytest

from esnera_hf._internal.checks import from_plain
from esnera_hf.errors import ConfigurationError


class Pair(NamedTuple):
    source: str
    label: str


@dataclass(frozen=True)
class Inner:
    share: float = 0.5
    way: Literal["one", "two"] = "one"


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    lam: float | Sequence[float] = 0.4
    counts: Mapping[str, int] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    flag: bool = False
    size: int | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)


def test_what_was_written_comes_back() -> None:
    whole = Outer("y", Inner(1.0, "two"), (0.1, 0.2), {"a": 1}, (Pair("s", "l"),), True, 7, [{"a": [None]}])
    for value in (Outer("x"), whole):
        plain = asdict(value)
        plain["pairs"] = [list(pair) for pair in value.pairs]
        assert from_plain(Outer, plain, "settings") == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"settings: missing: name; expected counts, flag, inner, "),
        ({"name": "x", "push_to_hub": True}, r"settings: unknown: push_to_hub; expected counts"),
        ({"name": 1}, r"settings\.name=1: expected str"),
        ({"name": "x", "inner": {"share": "0.5"}}, r"settings\.inner\.share='0\.5': expected float"),
        ({"name": "x", "inner": {"share": True}}, r"settings\.inner\.share=True: expected float"),
        ({"name": "x", "inner": {"way": "three"}}, r"settings\.inner\.way='three': expected Literal\['one', 'two'\]"),
        ({"name": "x", "inner": []}, r"settings\.inner=\[\]: expected Inner"),
        ({"name": "x", "lam": "0.4"}, r"settings\.lam='0\.4': expected float"),
        ({"name": "x", "lam": None}, r"settings\.lam=None: expected collections\.abc\.Sequence\[float\]"),
        ({"name": "x", "counts": {"a": 1.5}}, r"settings\.counts\.a=1\.5: expected int"),
        ({"name": "x", "pairs": [["s"]]}, r"settings\.pairs\[0\]=\['s'\]: expected Pair"),
        ({"name": "x", "flag": 1}, r"settings\.flag=1: expected bool"),
        ({"name": "x", "size": True}, r"settings\.size=True: expected int"),
        ([], r"settings=\[\]: expected Outer"),
    ],
)  # fmt: skip
def test_nothing_else_is_taken(data: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        from_plain(Outer, data, "settings")
