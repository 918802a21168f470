"""The label mapping: every label of every source to one unified label, and its file form."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from esnera_hf.alignment.merge_path import LabelGroup, MergePath
from esnera_hf.errors import MappingError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import Agreement, PairEvidence, SimilarityMatrix
from esnera_hf.tagging import OUTSIDE
from esnera_hf.text import display_width, pad

VERSION = 1
Relation = Literal["equal", "subset", "superset", "overlap", "none"]

_HEADER = """\
# Label mapping of esnera_hf: what each label of each source is called in the merged dataset.
# relation says how the source label relates to the unified one. compared_with is the label it was
# merged into, or the nearest one of another source; the evidence below it is for that pair:
# forward counts the entities a tagger of this source predicts as this label on the other source's
# text (predicted) and those of them the other source annotates so (matched), backward the reverse.
"""


@dataclass(frozen=True, slots=True)
class MappedLabel:
    """Where one source label goes.

    Attributes:
        label: the source label.
        unified: its name in the merged dataset.
        relation: how the source label relates to the unified one; under a flat
            merge always ``equal``.
        mentions: gold mentions in the source's train split.
        compared_with: the label it was merged into, or else the nearest.
        similarity: S of that pair.
        evidence: both similarities of that pair.
    """

    label: LabelRef
    unified: str
    relation: Relation = "equal"
    mentions: int = 0
    compared_with: LabelRef | None = None
    similarity: float | None = None
    evidence: PairEvidence | None = None


@dataclass(frozen=True)
class LabelMapping:
    """A total mapping from source labels to unified labels.

    Attributes:
        unified_labels: the unified schema, in order.
        entries: one for each source label.
        lam: λ it was made with, ``None`` if made by hand.
        tau: τ it was made with.
        path: the sources in the order they were merged.

    Raises:
        MappingError: a label is mapped twice, goes to a label outside the
            schema, or the schema names a label twice or none.
    """

    unified_labels: tuple[str, ...]
    entries: tuple[MappedLabel, ...]
    lam: float | None = None
    tau: float | None = None
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.unified_labels)) != len(self.unified_labels):
            raise MappingError(f"the unified schema names a label twice: {', '.join(self.unified_labels)}.")
        seen: set[LabelRef] = set()
        for entry in self.entries:
            if entry.label in seen:
                raise MappingError(f"{entry.label} is mapped twice. Keep one of the two entries.")
            seen.add(entry.label)
            if entry.unified not in self.unified_labels:
                raise MappingError(
                    f"{entry.label} goes to {entry.unified!r}, which is not in the unified schema: "
                    f"{', '.join(self.unified_labels)}. Add it there or correct the entry."
                )
        if OUTSIDE in self.unified_labels or "" in self.unified_labels:
            raise MappingError("a unified label is empty or called 'O', which means 'outside'. Rename it.")

    @cached_property
    def _by_label(self) -> dict[LabelRef, str]:
        return {entry.label: entry.unified for entry in self.entries}

    def __getitem__(self, label: LabelRef | tuple[str, str]) -> str:
        """Return the unified label of a source label."""
        return self._by_label[LabelRef(*label)]

    def members(self, unified: str) -> tuple[LabelRef, ...]:
        """Return the source labels that go to a unified label."""
        return tuple(entry.label for entry in self.entries if entry.unified == unified)

    def check_covers(self, labels: Iterable[LabelRef]) -> None:
        """Check that every label is mapped.

        Raises:
            MappingError: labels are missing; it names them.
        """
        missing = sorted(label for label in labels if label not in self._by_label)
        if missing:
            raise MappingError(
                f"the mapping leaves out {', '.join(map(str, missing))}. Every label of every source needs "
                "an entry (map it to a label of its own to keep it apart)."
            )

    def __str__(self) -> str:
        rows = []
        for unified in self.unified_labels:
            members = ", ".join(str(label) for label in self.members(unified))
            rows.append((unified, members))
        width = max((display_width(name) for name, _ in rows), default=0)
        return "\n".join(f"{pad(name, width)}  ←  {members}" for name, members in rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mapping as YAML."""
        Path(path).write_text(self.to_yaml(), encoding="utf-8")

    def to_yaml(self) -> str:
        """Return the mapping as YAML with a comment that explains it."""
        data: dict[str, Any] = {"version": VERSION, "merge": "flat"}
        if self.lam is not None:
            data |= {"lambda": self.lam, "tau": self.tau}
        data |= {
            "path": list(self.path),
            "unified_labels": list(self.unified_labels),
            "labels": [_entry_to_dict(entry) for entry in self.entries],
        }
        return _HEADER + yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LabelMapping:
        """Read a mapping file.

        Raises:
            MappingError: the file is missing, not YAML, of another version, or
                contradicts itself.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MappingError(f"{os.fspath(path)}: the mapping cannot be read: {error}") from error
        try:
            return cls.from_yaml(text)
        except MappingError as error:
            raise MappingError(f"{os.fspath(path)}: {error}") from error

    @classmethod
    def from_yaml(cls, text: str) -> LabelMapping:
        """Read a mapping from YAML text.

        Raises:
            MappingError: as :meth:`load`.
        """
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise MappingError(f"not valid YAML: {error}") from error
        if not isinstance(data, dict) or data.get("version") != VERSION:
            found = data.get("version") if isinstance(data, dict) else None
            raise MappingError(f"expected a mapping file of version {VERSION}, found version {found!r}.")
        try:
            return cls(
                tuple(map(_text, _list(data["unified_labels"]))),
                tuple(map(_entry_from_dict, _list(data["labels"]))),
                data.get("lambda"),
                data.get("tau"),
                tuple(map(_text, _list(data.get("path", [])))),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise MappingError(f"a key is missing or of the wrong type: {error}.") from error


class _Dumper(yaml.SafeDumper):
    """Escapes the line breaks that reading would fold into spaces."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = '"' if any(char in text for char in "\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def mapping_from_path(path: MergePath, matrix: SimilarityMatrix) -> LabelMapping:
    """Name the label groups of a merge path and attach the evidence.

    A group takes the name of its head, the label of the latest target in it.
    Groups never share a name: the later one becomes ``label@source``.
    Similarities are rounded to four digits, as the mapping's file shows them.

    Args:
        path: the stages and groups.
        matrix: the similarities they were made from.
    """
    names = _unique_names(path.groups)
    unified = {member: names[group] for group in path.groups for member in group.members}
    head = {member: group.head for group in path.groups for member in group.members}
    similarity = matrix.merged(path.lam)
    entries = []
    for index, label in enumerate(matrix.labels):
        other = head[label] if head[label] != label else _nearest(matrix.labels, similarity[index])
        entry = MappedLabel(label, unified[label], "equal", int(matrix.support[index]))
        if other is not None:
            pair = matrix.pair(label, other)
            entry = replace(
                entry,
                compared_with=other,
                similarity=_rounded(float(similarity[index, matrix.labels.index(other)])),
                evidence=replace(pair, semantic=_rounded(pair.semantic)),
            )
        entries.append(entry)
    order = (*path.stages[0].sources, *(stage.target for stage in path.stages))
    return LabelMapping(tuple(names.values()), tuple(entries), path.lam, path.tau, order)


def _unique_names(groups: Sequence[LabelGroup]) -> dict[LabelGroup, str]:
    names: dict[LabelGroup, str] = {}
    for group in groups:
        name = group.head.label
        while name in names.values():
            name = f"{name}@{group.head.source}"
        names[group] = name
    return names


def _nearest(labels: Sequence[LabelRef], row: Any) -> LabelRef | None:
    known = [(value, -index) for index, value in enumerate(row.tolist()) if value == value]
    return labels[-max(known)[1]] if known else None


def _entry_to_dict(entry: MappedLabel) -> dict[str, Any]:
    data: dict[str, Any] = {
        "source": entry.label.source,
        "label": entry.label.label,
        "unified": entry.unified,
        "relation": entry.relation,
        "mentions": entry.mentions,
    }
    if entry.compared_with is not None and entry.evidence is not None:
        data["compared_with"] = {
            "source": entry.compared_with.source,
            "label": entry.compared_with.label,
            "similarity": entry.similarity,
            "semantic": entry.evidence.semantic,
            "empirical_forward": _agreement_to_dict(entry.evidence.forward),
            "empirical_backward": _agreement_to_dict(entry.evidence.backward),
        }
    return data


def _entry_from_dict(data: dict[str, Any]) -> MappedLabel:
    relation = data.get("relation", "equal")
    if relation not in get_args(Relation):
        raise MappingError(
            f"{data.get('source')}:{data.get('label')}: relation {relation!r}, expected one of "
            f"{', '.join(get_args(Relation))}."
        )
    label = LabelRef(_text(data["source"]), _text(data["label"]))
    unified, mentions = _text(data["unified"]), data.get("mentions", 0)
    pair = data.get("compared_with")
    if pair is None:
        return MappedLabel(label, unified, relation, mentions)
    forward, backward = (
        Agreement(pair[key]["matched"], pair[key]["predicted"])
        for key in ("empirical_forward", "empirical_backward")
    )
    return MappedLabel(
        label,
        unified,
        relation,
        mentions,
        LabelRef(_text(pair["source"]), _text(pair["label"])),
        pair.get("similarity"),
        PairEvidence(pair.get("semantic"), forward, backward),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise MappingError(
            f"expected text, found {value!r}: put NO, null, 2024 and the like in quotes, YAML does not read "
            "them as text."
        )
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise MappingError(f"expected a list, found {value!r}.")
    return value


def _agreement_to_dict(agreement: Agreement) -> dict[str, Any]:
    return {
        "share": _rounded(agreement.ratio),
        "matched": agreement.matched,
        "predicted": agreement.predicted,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, 4)
