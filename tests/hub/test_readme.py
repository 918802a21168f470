"""A card joins a README: everything that is not its own stays."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.errors import HubError
from esnera_hf.hub.readme import (
    END,
    START,
    EarlierPush,
    join_readme,
    read_metadata,
    split_readme,
)

CONFIG = {
    "config_name": "merged",
    "default": True,
    "data_files": [{"split": "train", "path": "data/merged/train-*"}],
}
INFO = {"config_name": "merged", "splits": [{"name": "train", "num_examples": 3}]}
CARD = {"license": "cc-by-4.0", "tags": ["esnera", "ner"], "configs": [CONFIG], "dataset_info": [INFO]}

HAND_WRITTEN = """\
---
license: mit   # chosen with care
# what it is about
tags:
- ner
- "my own"
pretty_name:   Mine
configs:
- config_name: other
  data_files: other.csv
---
# My corpus

Text of mine, with trailing spaces  
and a rule:

---

The end.
"""


def metadata(text: str) -> dict[str, object]:
    found = yaml.safe_load(split_readme(text)[0])
    assert isinstance(found, dict)
    return found


def test_a_new_readme_is_the_card() -> None:
    text = join_readme("", CARD, "## Merged\n\nbody\n")
    assert metadata(text) == CARD
    assert split_readme(text)[1] == f"\n{START}\n\n## Merged\n\nbody\n\n{END}\n"


def test_what_somebody_wrote_stays() -> None:
    text = join_readme(HAND_WRITTEN, CARD, "## Merged\n\nbody")
    body = HAND_WRITTEN.split("---\n", 2)[2]
    assert split_readme(text)[1] == f"{body.rstrip()}\n\n{START}\n\n## Merged\n\nbody\n\n{END}\n"
    front = split_readme(text)[0]
    assert "# what it is about\n" in front
    assert "pretty_name:   Mine\n" in front
    assert metadata(text) == {
        "license": "cc-by-4.0",
        "tags": ["ner", "my own", "esnera"],
        "pretty_name": "Mine",
        "configs": [{"config_name": "other", "data_files": "other.csv"}, CONFIG],
        "dataset_info": [INFO],
    }


def test_only_the_section_changes_the_next_time() -> None:
    first = join_readme(HAND_WRITTEN, CARD, "old body")
    edited = first.replace("# My corpus", "# Our corpus") + "\nA note below.\n"
    second = join_readme(edited, CARD, "new body")
    assert second == edited.replace("old body", "new body")
    assert join_readme(second, CARD, "new body") == second


def test_configurations_of_earlier_pushes_go() -> None:
    with_source = {**CARD, "configs": [CONFIG, {"config_name": "cluener", "data_files": "data/cluener/*"}]}
    before = join_readme(HAND_WRITTEN, with_source, "body")
    after = metadata(join_readme(before, CARD, "body", EarlierPush(configs=["merged", "cluener"])))
    assert [config["config_name"] for config in after["configs"]] == ["other", "merged"]  # type: ignore[index,attr-defined]


def test_the_default_of_another_stays_the_default() -> None:
    text = "---\nconfigs:\n- config_name: other\n  data_files: a.csv\n  default: true\n---\n"
    found = metadata(join_readme(text, CARD, "body"))["configs"]
    assert [config.get("default") for config in found] == [True, None]  # type: ignore[attr-defined]


def test_a_recipe_takes_the_place_of_the_data() -> None:
    before = join_readme("", CARD, "body")
    recipe = {"license": "other", "configs": [{"config_name": "recipe", "data_files": "recipe/*.parquet"}]}
    found = metadata(join_readme(before, recipe, "body", EarlierPush(CARD, ["merged"])))
    assert found["configs"] == recipe["configs"]
    assert "dataset_info" not in found


def test_what_an_earlier_push_wrote_goes_and_what_was_changed_since_stays() -> None:
    first = {"license": "other", "license_name": "several", "pretty_name": "Ours", "tags": ["recipe", "ner"]}
    text = join_readme("---\ntags:\n- mine\nlicense_link: https://x.example\n---\n", first, "body")
    assert metadata(text) == {**first, "tags": ["mine", "recipe", "ner"]}
    second = {"license": "mit", "tags": ["ner"]}
    assert metadata(join_readme(text, second, "body", EarlierPush(first))) == {
        "tags": ["mine", "ner"],
        "license": "mit",
    }
    edited = text.replace("Ours", "Mine now")
    assert metadata(join_readme(edited, second, "body", EarlierPush(first)))["pretty_name"] == "Mine now"


def test_what_datasets_itself_wrote_is_kept_readable() -> None:
    theirs = """\
---
dataset_info:
  features:
  - name: text
    dtype: string
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
---
"""
    found = metadata(join_readme(theirs, CARD, "body"))
    assert [info["config_name"] for info in found["dataset_info"]] == ["default", "merged"]  # type: ignore[attr-defined]
    assert [config.get("default") for config in found["configs"]] == [None, None]  # type: ignore[attr-defined]


def test_a_foreign_configuration_of_a_name_of_ours_stays() -> None:
    text = "---\nconfigs:\n- config_name: theirs\n  data_files: theirs.parquet\n---\n"
    found = metadata(join_readme(text, CARD, "body", EarlierPush({}, ["theirs"])))
    assert [config["config_name"] for config in found["configs"]] == ["theirs", "merged"]  # type: ignore[attr-defined]


def test_norwegian_is_no_boolean() -> None:
    text = join_readme(
        "---\nlanguage: no\nreleased: 2024-01-01\ntags:\n- on\n---\n", {**CARD, "language": ["zh"]}, "b"
    )
    found = read_metadata(text)
    assert (found["language"], found["tags"][0], found["released"]) == (["no", "zh"], "on", "2024-01-01")
    assert metadata(text)["language"] == ["no", "zh"]


def test_text_after_a_quoted_mark_is_not_taken_for_the_section() -> None:
    quoted = f"The tool writes\n\n    {START}\n\n"
    text = join_readme("", CARD, "old")
    text = text.replace(f"\n{START}", f"\n{quoted}MY TEXT\n\n{START}", 1)
    joined = join_readme(text, CARD, "new")
    assert joined == text.replace("old", "new")
    assert "MY TEXT" in joined


@pytest.mark.parametrize("mark", [START, END])
def test_half_a_section_is_refused(mark: str) -> None:
    with pytest.raises(HubError, match="only one of the two comments"):
        join_readme(f"---\na: 1\n---\nMY TEXT\n\n{mark}\n\nmore\n", CARD, "new")


def test_windows_line_ends_stay() -> None:
    text = HAND_WRITTEN.replace("\n", "\r\n")
    joined = join_readme(text, CARD, "one\ntwo")
    assert "\n" not in joined.replace("\r\n", "")
    assert joined.replace("\r\n", "\n") == join_readme(HAND_WRITTEN, CARD, "one\ntwo")


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("a: [1", "metadata that is no YAML"),
        ("- a\n- b", "no mapping of keys"),
        ("just text", "no mapping of keys"),
    ],
)
def test_metadata_that_cannot_be_read_is_not_touched(front: str, message: str) -> None:
    with pytest.raises(HubError, match=message):
        join_readme(f"---\n{front}\n---\ntext\n", CARD, "body")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.text(max_size=40), st.booleans())
def test_any_readme_keeps_its_metadata_and_text(known: dict[str, object], text: str, flow: bool) -> None:
    known = {key: value for key, value in known.items() if key not in CARD}
    text = text.replace("\r", "").replace(START, "").replace(END, "")
    written = yaml.safe_dump(known, allow_unicode=True, sort_keys=False, default_flow_style=flow or None)
    known = yaml.safe_load(written)  # some control characters do not survive PyYAML
    readme = f"---\n{written}---\n{text}"
    joined = join_readme(readme, CARD, "body")
    assert metadata(joined) == {**known, **CARD}
    assert split_readme(joined)[1].startswith(text.rstrip() if text.strip() else "\n")
    assert join_readme(joined, CARD, "body") == joined
