"""A label mapping in the forms of other tools: SSSOM, of ontologies, and flair's ``label_name_map``."""

from __future__ import annotations

import csv
import json
import os
from io import StringIO
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

from esnera_hf._internal.files import new_folder
from esnera_hf._internal.text import table_cell, visible
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConfigurationError
from esnera_hf.tagging import OUTSIDE

MappingFormat = Literal["sssom", "flair"]
MAPPING_FORMATS: tuple[str, ...] = get_args(MappingFormat)
_COLUMNS = (
    *("subject_id", "subject_label", "predicate_id", "object_id", "object_label"),
    *("mapping_justification", "confidence", "comment"),
)
_HEADER = """\
#mapping_set_id: "urn:esnera:mapping:{fingerprint}"
#mapping_set_description: "Labels of NER datasets and the unified labels that they went to."
#curie_map:
#  label: "urn:esnera:label:"
#  unified: "urn:esnera:unified:"
#  skos: "http://www.w3.org/2004/02/skos/core#"
#  semapv: "https://w3id.org/semapv/vocab/"
#  sssom: "https://w3id.org/sssom/"
"""
#: What a mapping of SSSOM rests on: somebody decided, or several kinds of evidence together.
_MANUAL, _MATCHED = "semapv:ManualMappingCuration", "semapv:CompositeMatching"
#: The object of SSSOM for what was looked at and has no match.
_NONE = "sssom:NoTermFound"


def export_mapping(mapping: LabelMapping, folder: str | os.PathLike[str], form: MappingFormat) -> list[Path]:
    """Write a mapping for other tools into a new folder.

    Args:
        folder: where the file goes; must not exist.
        form: ``sssom`` for a ``mapping.sssom.tsv`` of :func:`to_sssom`, ``flair`` for a ``label_name_map.json`` of the
            :func:`label_name_map` of each source.

    Raises:
        ConfigurationError: there is no such format, or the folder exists; nothing is written.
    """
    if form not in MAPPING_FORMATS:
        raise ConfigurationError(f"format {form!r}: expected one of {', '.join(MAPPING_FORMATS)}.")
    if form == "sssom":
        name, text = "mapping.sssom.tsv", to_sssom(mapping)
    else:
        maps = {source: label_name_map(mapping, source) for source in mapping.sources}
        name, text = "label_name_map.json", json.dumps(maps, indent=1, ensure_ascii=False) + "\n"
    with new_folder(Path(folder)) as staging:
        (staging / name).write_text(text, encoding="utf-8", newline="\n")
    return [Path(folder) / name]


def to_sssom(mapping: LabelMapping) -> str:
    """Return a mapping as SSSOM, tab-separated values behind a header of comments.

    Each source label is an exact match of its unified label, and each part has its whole as a broader match; a label
    that is left out has no term. The confidence is P(equal), of a label that became one with the label beside it.
    """
    text = StringIO()
    text.write(_HEADER.format(fingerprint=mapping.fingerprint))
    rows = csv.writer(text, delimiter="\t", lineterminator="\n")
    rows.writerow(_COLUMNS)
    for entry in mapping.entries:
        label_id = "label:" + "/".join(quote(part, safe="") for part in entry.label)
        goal = (_NONE, "") if entry.unified is None else _unified(entry.unified)
        by = _MANUAL if entry.locked or mapping.method == "manual" else _MATCHED
        label, why = (table_cell(visible(text)) for text in (str(entry.label), entry.why))
        rows.writerow((label_id, label, "skos:exactMatch", *goal, by, _confidence(mapping, entry), why))
    by = _MANUAL if mapping.method == "manual" else _MATCHED
    for name in mapping.tree.order:
        if name in mapping.parents:
            parent = mapping.parents[name]
            rows.writerow((*_unified(name), "skos:broadMatch", *_unified(parent), by, "", ""))
    return text.getvalue()


def label_name_map(mapping: LabelMapping, source: str) -> dict[str, str]:
    """Return the ``label_name_map`` with which flair reads a source under the unified labels.

    What is left out goes to ``O``, which flair takes for no label.

    Raises:
        ConfigurationError: the mapping is not of this source.
    """
    if source not in mapping.sources:
        raise ConfigurationError(
            f"source {source!r}: expected one that the mapping is of, {', '.join(mapping.sources)}."
        )
    return {
        entry.label.label: entry.unified or OUTSIDE
        for entry in mapping.entries
        if entry.label.source == source
    }


def _unified(name: str) -> tuple[str, str]:
    return f"unified:{quote(name, safe='')}", table_cell(visible(name))


def _confidence(mapping: LabelMapping, entry: MappedLabel) -> str:
    other = entry.compared_with
    compared = other is not None and any(other == mapped.label for mapped in mapping.entries)
    merged = compared and other is not None and mapping.are_one(entry.label, other)
    is_measured = mapping.method == "equivalence" and not entry.locked and entry.similarity is not None
    return f"{entry.similarity:.4f}" if merged and is_measured else ""
