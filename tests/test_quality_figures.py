"""B-cubed of the benchmarks, against numbers worked out by hand."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from esnera_hf.tagging import LabelRef

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
from quality.figures import b_cubed  # noqa: E402
from quality.gold import read_coarse  # noqa: E402

REFS = [LabelRef("a", letter) for letter in "uvwxyz"]


@pytest.mark.parametrize(
    ("found", "true", "precision", "recall"),
    [
        ("112233", "112233", 1, 1),
        ("123456", "112233", 1, 1 / 2),
        ("111111", "112233", 1 / 3, 1),
        # u and v of three: 2/3 each, w 1/3; x, y, z as they are. Truth: u v | w x y z.
        ("111222", "112222", (2 / 3 + 2 / 3 + 1 / 3 + 3) / 6, (1 + 1 + 1 / 4 + 3 * 3 / 4) / 6),
    ],
)
def test_b_cubed(found: str, true: str, precision: float, recall: float) -> None:
    classes, truth = (dict(zip(REFS, text, strict=True)) for text in (found, true))
    f1 = 2 * precision * recall / (precision + recall)
    assert b_cubed(classes | {LabelRef("b", "more"): "1"}, truth) == pytest.approx((precision, recall, f1))


def test_b_cubed_of_nothing_is_unknown() -> None:
    assert all(map(math.isnan, b_cubed({}, {})))


def test_coarse_schemas_are_read_in_both_forms(tmp_path: Path) -> None:
    for data in ({"a": {"u": "X", "v": "Y"}}, {"a:u": "X", "a:v": "Y"}):
        (tmp_path / "coarse.json").write_text(json.dumps(data))
        assert read_coarse(tmp_path / "coarse.json") == {REFS[0]: "X", REFS[1]: "Y"}
    for file in sorted((BENCHMARKS / "quality" / "coarse").glob("*.json")):
        classes = read_coarse(file)
        assert len(classes) > len(set(classes.values())) > 5
