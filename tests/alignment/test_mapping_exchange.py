"""Mappings in the forms of other tools: what they say, whatever labels are called."""

from __future__ import annotations

import csv
from urllib.parse import unquote

import pytest
import yaml

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_exchange import label_name_map, to_sssom
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConfigurationError
from esnera_hf.tagging import LabelRef

PER, NAME, BOOK, DAY = (
    LabelRef(*text.split(":", 1)) for text in ("a:PER", "b:na\tme/x", "b:book:1", "b:day")
)
MAPPING = LabelMapping(
    ("PER", "WORK+", "book\n1"),
    (
        MappedLabel(PER, "PER", 9, NAME, 0.93, why="the names match"),
        MappedLabel(NAME, "PER", 4, PER, 0.93, locked=True),
        MappedLabel(BOOK, "book\n1", 2, PER, 0.1, why="apart"),
        MappedLabel(DAY, None, 1),
    ),
    "equivalence",
    parents={"book\n1": "WORK+"},
)


def test_sssom_has_a_row_for_each_label_and_each_part() -> None:
    lines = to_sssom(MAPPING).split("\n")
    header = yaml.safe_load("\n".join(line[1:] for line in lines if line.startswith("#")))
    assert header["mapping_set_id"].endswith(MAPPING.fingerprint)
    rows = list(csv.DictReader([line for line in lines if not line.startswith("#")], delimiter="\t"))
    # No cell breaks a row, whatever a label holds.
    assert len(rows) == 5
    used = {
        row[key].partition(":")[0] for row in rows for key in row if key.endswith(("_id", "justification"))
    }
    assert used <= {"", *header["curie_map"]}
    ids = [(unquote(row["subject_id"]), row["predicate_id"], unquote(row["object_id"])) for row in rows]
    assert ids == [
        ("label:a/PER", "skos:exactMatch", "unified:PER"),
        ("label:b/na\tme/x", "skos:exactMatch", "unified:PER"),
        ("label:b/book:1", "skos:exactMatch", "unified:book\n1"),
        ("label:b/day", "skos:exactMatch", "sssom:NoTermFound"),
        ("unified:book\n1", "skos:broadMatch", "unified:WORK+"),
    ]
    # Of what somebody decided, and of what is alone, no probability is the reason.
    assert [row["confidence"] for row in rows] == ["0.9300", "", "", "", ""]
    manual = [row["mapping_justification"] == "semapv:ManualMappingCuration" for row in rows]
    assert manual == [False, True, False, False, False]
    assert rows[0]["comment"] == "the names match"


def test_flair_gets_the_labels_of_one_source() -> None:
    assert label_name_map(MAPPING, "b") == {"na\tme/x": "PER", "book:1": "book\n1", "day": "O"}
    with pytest.raises(ConfigurationError, match="expected one that the mapping is of, a, b"):
        label_name_map(MAPPING, "c")
