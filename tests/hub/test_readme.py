"""A card joins a README: everything that is not its own stays."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from huggingface_hub import RepoCard
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.errors import HubError
from esnera_hf.hub.readme import END, START, join_readme, split_readme, write_readme

CONFIG = {
    "config_name": "merged",
    "default": True,
    "data_files": [{"split": "train", "path": "data/merged/train-*"}],
}
INFO = {"config_name": "merged", "splits": [{"name": "train", "num_examples": 3}]}
CARD = {"license": "cc-by-4.0", "tags": ["esnera", "ner"], "configs": [CONFIG], "dataset_info": [INFO]}
HAND_WRITTEN = """\
---
license: mit
tags:
- ner
- "my own"
pretty_name: Mine
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


def joined(
    existing: str, card: dict[str, Any] = CARD, body: str = "body", earlier: dict[str, Any] | None = None
) -> str:
    fresh = RepoCard(f"---\n{yaml.safe_dump(card, sort_keys=False)}---\n{body}")
    return join_readme(existing, write_readme(fresh), earlier or {})


def metadata(*arguments: Any, **options: Any) -> dict[str, Any]:
    return split_readme(joined(*arguments, **options))[0]


def test_a_new_readme_is_the_card() -> None:
    assert split_readme(joined("", CARD, "## Merged\n\nbody\n")) == (
        CARD,
        f"\n{START}\n\n## Merged\n\nbody\n\n{END}\n",
    )


def test_what_somebody_wrote_stays() -> None:
    found, text = split_readme(joined(HAND_WRITTEN))
    words = HAND_WRITTEN.split("---\n", 2)[2].rstrip()
    assert text == f"{words}\n\n{START}\n\nbody\n\n{END}\n"
    assert found == {
        "license": "cc-by-4.0",
        "tags": ["my own", "esnera", "ner"],
        "pretty_name": "Mine",
        "configs": [{"config_name": "other", "data_files": "other.csv"}, CONFIG],
        "dataset_info": [INFO],
    }


def test_only_the_section_changes_the_next_time() -> None:
    edited = (
        joined(HAND_WRITTEN, body="old body").replace("# My corpus", "# Our corpus") + "\nA note below.\n"
    )
    again = joined(edited, body="new body")
    assert again == edited.replace("old body", "new body")
    assert joined(again, body="new body") == again


RECIPE = {"license": "other", "configs": [{"config_name": "recipe"}]}
OLD, THEIRS = {"config_name": "old"}, {"config_name": "theirs"}
NO_DEFAULT = {key: value for key, value in CONFIG.items() if key != "default"}


@pytest.mark.parametrize(
    ("front", "card", "earlier", "key", "expected"),
    [
        # a recipe takes the place of the data
        (CARD, RECIPE, CARD, "dataset_info", None),
        (CARD, RECIPE, CARD, "configs", RECIPE["configs"]),
        (CARD, {"license": "other"}, CARD, "configs", None),
        # configurations of an earlier push go, those of others stay
        ({"configs": [OLD, THEIRS]}, CARD, {"configs": [OLD]}, "configs", [THEIRS, CONFIG]),
        ({"configs": [THEIRS]}, {"license": "mit"}, {}, "configs", [THEIRS]),
        # the default of another stays the default
        ({"configs": [{**THEIRS, "default": True}]}, CARD, {}, "configs", [{**THEIRS, "default": True}, NO_DEFAULT]),
        # what datasets wrote itself is kept readable
        ({"dataset_info": {"features": [1]}}, {"dataset_info": INFO}, {}, "dataset_info", [{"features": [1]}, INFO]),
        ({"dataset_info": {"config_name": "merged"}}, {"dataset_info": INFO}, {}, "dataset_info", INFO),
        # what an earlier push wrote goes, but not what was changed since
        ({"license_name": "several"}, {"tags": ["a"]}, {"license_name": "several"}, "license_name", None),
        ({"license_name": "mine"}, {"tags": ["a"]}, {"license_name": "several"}, "license_name", "mine"),
        ({"license_name": "mine", "license_link": "x"}, CARD, {}, "license_link", None),
        ({"tags": ["mine", "old", "ner"]}, {"tags": ["ner"]}, {"tags": ["old", "ner"]}, "tags", ["mine", "ner"]),
        ({"language": "no"}, {"language": ["zh"]}, {}, "language", ["no", "zh"]),
    ],
)  # fmt: skip
def test_metadata(
    front: dict[str, Any], card: dict[str, Any], earlier: dict[str, Any], key: str, expected: Any
) -> None:
    existing = f"---\n{yaml.safe_dump(front)}---\ntext\n"
    assert metadata(existing, card, earlier=earlier).get(key) == expected


def test_norwegian_is_no_boolean() -> None:
    text = joined("---\nlanguage: no\ntags:\n- on\n---\n", {**CARD, "language": ["zh"]})
    assert yaml.safe_load(text.split("---\n")[1])["language"] == ["no", "zh"]
    assert split_readme(text)[0]["tags"][0] == "on"


def test_text_after_a_quoted_mark_is_not_taken_for_the_section() -> None:
    text = joined("", body="old").replace(
        f"\n{START}", f"\nThe tool writes\n\n    {START}\n\nMY TEXT\n\n{START}", 1
    )
    assert joined(text, body="new") == text.replace("old", "new")


#: Ten aliases of ten aliases, thirty times.
LISTS_OF_LISTS = "".join(f"l{n + 1}: &l{n + 1} [{', '.join([f'*l{n}'] * 10)}]\n" for n in range(30))


@pytest.mark.parametrize(
    ("readme", "message"),
    [
        (f"MY TEXT\n\n{START}\n\nmore\n", "only one of the two comments"),
        (f"MY TEXT\n\n{END}\n\nmore\n", "only one of the two comments"),
        ("---\na: [1\n---\n", "metadata that is no YAML"),
        ("---\na: 2024-99-99\n---\n", "metadata that is no YAML: month must be"),
        (f"---\na: {'9' * 6000}\n---\n", "metadata that is no YAML: Exceeds the limit"),
        ("---\na: !!bool x\n---\n", "metadata that is no YAML"),
        ("---\na: !!timestamp x\n---\n", "metadata that is no YAML"),
        (f"---\na: {'[' * 5000}{']' * 5000}\n---\n", "metadata that is no YAML"),
        ("---\na: &a [*a]\n---\n", "by its aliases it holds more than"),
        (f"---\nl0: &l0 [x]\n{LISTS_OF_LISTS}---\n", "by its aliases it holds more than"),
        ("---\n- a\n- b\n---\n", "no mapping of keys"),
        ("---\njust text\n---\n", "no mapping of keys"),
    ],
)
def test_what_cannot_be_read_is_not_touched(readme: str, message: str) -> None:
    with pytest.raises(HubError, match=message):
        joined(readme)


def test_windows_line_ends_stay() -> None:
    text = joined(HAND_WRITTEN.replace("\n", "\r\n"), body="one\ntwo")
    assert "\n" not in text.replace("\r\n", "")
    assert text.replace("\r\n", "\n") == joined(HAND_WRITTEN, body="one\ntwo")


VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.from_regex("[a-z_]{1,6}", fullmatch=True).filter(lambda name: name not in CARD)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.text(max_size=40))
def test_any_readme_keeps_its_metadata_and_text(known: dict[str, object], text: str) -> None:
    text = text.replace("\r", "").replace(START, "").replace(END, "")
    written = yaml.safe_dump(known, allow_unicode=True, sort_keys=False)
    known = yaml.safe_load(written)  # some control characters do not survive PyYAML
    readme = f"---\n{written}---\n{text}"
    again = joined(readme)
    found, body = split_readme(again)
    assert found == {**known, **CARD}
    assert body.startswith(text.rstrip() if text.strip() else "\n")
    assert joined(again) == again
