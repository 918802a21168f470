"""A card joins a README: everything that is not its own stays."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.errors import HubError
from esnera_hf.hub.readme import END, START, join_readme, split_readme

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
    after = metadata(join_readme(before, CARD, "body", ["merged", "cluener"]))
    assert [config["config_name"] for config in after["configs"]] == ["other", "merged"]  # type: ignore[index,attr-defined]


def test_the_default_of_another_stays_the_default() -> None:
    text = "---\nconfigs:\n- config_name: other\n  data_files: a.csv\n  default: true\n---\n"
    found = metadata(join_readme(text, CARD, "body"))["configs"]
    assert [config.get("default") for config in found] == [True, None]  # type: ignore[attr-defined]


def test_a_recipe_takes_the_place_of_the_data() -> None:
    before = join_readme("", CARD, "body")
    recipe = {"license": "other", "configs": [{"config_name": "recipe", "data_files": "recipe/*.parquet"}]}
    found = metadata(join_readme(before, recipe, "body", ["merged"]))
    assert found["configs"] == recipe["configs"]
    assert "dataset_info" not in found


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
