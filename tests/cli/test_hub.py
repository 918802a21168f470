"""``push``: options that do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import refusal
from results import make_result


def test_a_tagger_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_result().save(tmp_path / "merged")
    message = refusal(capsys, "push", tmp_path / "merged", "me/merged", "--tagger", "me/tagger")
    assert message.startswith(f"{tmp_path / 'merged'} holds no tagger. ")


@pytest.mark.parametrize(
    "options",
    [("--no-text",), ("--by-source",), ("--may-share", "alpha"), ("--tagger", "me/other")],
    ids=lambda options: options[0],
)
def test_a_tagger_with_what_is_for_datasets(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert refusal(capsys, "push", tmp_path, "me/tagger", *options) == (
        f"{options[0]}: {tmp_path} is a tagger, and this is for datasets. Leave it out."
    )
