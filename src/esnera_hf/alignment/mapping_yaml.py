"""``mapping.yaml``: the entries of a label mapping as text with comments, and read back with their lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal, cast, get_args

from esnera_hf._internal.text import counted, hint, shorten, shown
from esnera_hf._internal.yaml import YamlValue, dump_yaml, read_yaml
from esnera_hf.alignment.hierarchy import find_circle
from esnera_hf.similarity.matrix import Agreement
from esnera_hf.tagging import OUTSIDE, LabelRef

#: What stands for the unified label of a label that is left out.
LEFT_OUT = "(left out)"
#: 2 says ``method`` instead of ``merge`` and ``stages``, and knows no ``same_as`` and no ``relation``.
VERSION = 2
Method = Literal["equivalence", "greedy", "manual"]

_EVIDENCE = ("semantic", "empirical_forward", "empirical_backward")
_LONGEST_NAME = 60
#: Characters: a paragraph.
LONGEST_DEFINITION = 2_000

HEADER = """\
# Label mapping of esnera_hf: what each label of each source is called in the merged dataset.
#
# To change it, edit the entries below `labels`:
#   unified: may be changed to any name of unified_labels (add a name there to make a new label), or
#     to null to leave the entities of the label out of the merged dataset.
#   locked: true makes the next align keep the line: the unified label, or none, and the parent of that
#     unified label, or none. All else is decided anew.
# To apply it: esnera-hf apply mapping.yaml SOURCES
#
# mentions counts those of the label in its train split. compared_with is the label it was merged into,
# or the nearest one of another source; the evidence below it is for that pair, and why says in a sentence
# what decided (report.html has the rest). similarity is, by the method equivalence, the probability that
# both mean the same, P(equal). forward counts the entities that a tagger or light head of this source
# predicts as this label on the other source's text (predicted) and those of them the other source
# annotates so (matched), backward the reverse.
"""

PARENTS_HEADER = """\
#
# parents says which unified label is a part of which (book: PRODUCT). ner_tags of the merged dataset
# holds the label of the source, coarse_tags the outermost one. Without parents, no label is a part of
# another. A name that no entry goes to is an umbrella, proposed for parts that belong together: ORG+ for
# ORG and what is like it. Rename it, or delete it and its lines, as you like.
"""


@dataclass(frozen=True, slots=True)
class MappedLabel:
    """Where one source label goes.

    Attributes:
        label: the source label.
        unified: its name in the merged dataset; ``None`` leaves its entities out.
        mentions: gold mentions in the source's train split.
        compared_with: the label it was merged into, or else the nearest.
        similarity: S of that pair.
        semantic: S_sem of that pair.
        forward: S_emp of that pair, ``None`` where nothing is recorded.
        backward: the reverse.
        locked: whether the next alignment must keep it as it is.
        why: what the decision on the pair rests on, in a sentence.
        definition: what the label means, in the words of a guideline or of the user; empty where nobody said it.
    """

    label: LabelRef
    unified: str | None
    mentions: int = 0
    compared_with: LabelRef | None = None
    similarity: float | None = None
    semantic: float | None = None
    forward: Agreement | None = None
    backward: Agreement | None = None
    locked: bool = False
    why: str = ""
    definition: str = ""


def write_mapping(
    unified_labels: Sequence[str],
    entries: Sequence[MappedLabel],
    method: Method,
    lam: float | None,
    parents: Mapping[str, str],
) -> str:
    """Return YAML with comments that explain it.

    Entries keep their order; a comment stands before each run of labels that go
    to the same unified label.
    """
    head: dict[str, Any] = {"version": VERSION, "method": method}
    if lam is not None:
        head["lambda"] = lam
    head["unified_labels"] = list(unified_labels)
    if parents:
        head["parents"] = dict(parents)
    parts = [HEADER, PARENTS_HEADER if parents else "", dump_yaml(head)]
    parts.append("labels:\n" if entries else "labels: []\n")
    groups: dict[str | None, list[MappedLabel]] = {}
    for entry in entries:
        groups.setdefault(entry.unified, []).append(entry)
    for unified, run in groupby(entries, key=lambda entry: entry.unified):
        members = list(run)
        parts.append(f"\n# {_group_line(unified, members, groups[unified])}\n")
        parts += map(_entry_text, members)
    return "".join(parts)


def _group_line(unified: str | None, run: Sequence[MappedLabel], group: Sequence[MappedLabel]) -> str:
    """Name a unified label and count what goes there, in one line whatever the name holds."""
    name = "left out of the merged dataset" if unified is None else shorten(unified, _LONGEST_NAME)
    labels = counted(len(group), "label")
    total = sum(entry.mentions for entry in group)
    mentions = counted(total, "mention")
    if len(run) == len(group):
        return f"{name}: {labels}, {mentions}"
    return f"{name}: {len(run):,} of {labels}, {sum(entry.mentions for entry in run):,} of {mentions}"


def evidence_data(entry: MappedLabel) -> dict[str, Any]:
    """Return what the file holds of the evidence of an entry, as plain data."""
    if entry.compared_with is None:
        return {}
    pair: dict[str, Any] = {**entry.compared_with._asdict(), "similarity": _plain(entry.similarity)}
    if entry.forward is not None and entry.backward is not None:
        pair |= {
            "semantic": _plain(entry.semantic),
            "empirical_forward": _agreement_data(entry.forward),
            "empirical_backward": _agreement_data(entry.backward),
        }
    return {"compared_with": pair} | ({"why": entry.why} if entry.why else {})


def _entry_text(entry: MappedLabel) -> str:
    data = {**entry.label._asdict(), "unified": entry.unified, "mentions": int(entry.mentions)}
    if entry.locked:
        data["locked"] = True
    if entry.definition:
        data["definition"] = entry.definition
    text, evidence = dump_yaml([data]), evidence_data(entry)
    if not evidence:
        return text
    pair = evidence["compared_with"]
    counts = {name: pair.pop(name) for name in _EVIDENCE[1:] if name in pair}
    # One line would be too long to read.
    ends = "".join(f",\n    {name}: {_in_one_line(value)}" for name, value in counts.items())
    why = f"  {dump_yaml({'why': evidence['why']})}" if "why" in evidence else ""
    return f"{text}  compared_with: {_in_one_line(pair).removesuffix('}')}{ends}}}\n{why}"


def _agreement_data(agreement: Agreement) -> dict[str, Any]:
    share = None if agreement.ratio is None else round(agreement.ratio, 4)
    return {"share": share, "matched": int(agreement.matched), "predicted": int(agreement.predicted)}


def _in_one_line(data: dict[str, Any]) -> str:
    return dump_yaml(data, flow=True).removesuffix("\n")


def _plain(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)


def read_mapping(
    text: str, file: str = ""
) -> tuple[
    tuple[str, ...], tuple[MappedLabel, ...], Method, float | None, dict[str, str], dict[LabelRef, int]
]:
    """Read what :func:`write_mapping` gives, edited or not; the name of the file is for messages.

    Returns:
        The unified labels, the entries, the method, λ, the parents, and the line of each entry.

    Raises:
        MappingError: the text is not YAML, not a mapping of this version, or
            contradicts itself; it says in which line.
    """
    root = read_yaml(text, file)
    _check_version(root)
    required = ("version", "unified_labels", "labels")
    fields = root.fields("the mapping", required, ("method", "lambda", "parents"))
    schema = _read_schema(fields["unified_labels"])
    method = "manual"
    if "method" in fields:
        method, methods = fields["method"].checked("method", str), get_args(Method)
        if method not in methods:
            expected = f"expected one of {', '.join(methods)}.{hint(method, methods)} Correct it."
            raise fields["method"].error(f"method: found {shown(method)}, {expected}")
    entries: list[MappedLabel] = []
    lines: dict[LabelRef, int] = {}
    for item in fields["labels"].checked("labels", list):
        entry = _read_entry(item, schema)
        if entry.label in lines:
            first = f"first in line {lines[entry.label]}. Keep one of the two entries."
            raise item.error(f"{shown(str(entry.label))} is mapped twice, {first}")
        entries.append(entry)
        lines[entry.label] = item.line
    parents = _read_parents(fields["parents"], schema) if "parents" in fields else {}
    return schema, tuple(entries), cast(Method, method), _read_number(fields, "lambda"), parents, lines


def _check_version(root: YamlValue) -> None:
    """Check the version before anything else: a file of another one may hold anything."""
    version = root.data.get("version") if isinstance(root.data, dict) else None
    if version is None:
        raise root.error(
            f"found no version, expected a mapping file that says `version: {VERSION}`. Is it another file?"
        )
    # 2.0 and 0x2 equal 2, and are not what this package writes.
    if version.data != VERSION or version.written != str(VERSION):
        advice = "Align anew, or read it with the release that wrote it."
        if version.written == "1":
            advice = (
                f"Align anew, or say `version: {VERSION}`, delete `merge`, `stages` and each "
                "`relation`, and write the name of the unified label instead of each `same_as`."
            )
        raise version.error(f"found version {shown(version.written)}, expected version {VERSION}. {advice}")


def _read_schema(content: YamlValue) -> tuple[str, ...]:
    lines: dict[str, int] = {}
    for item in content.checked("unified_labels", list):
        name = item.checked("unified_labels", str)
        if name in ("", OUTSIDE):
            expected = f"expected a name other than '' and '{OUTSIDE}', which means 'outside'. Rename it."
            raise item.error(f"unified_labels: found {shown(name)}, {expected}")
        if name in lines:
            first = f"first in line {lines[name]}. Remove one of them."
            raise item.error(f"unified_labels names {shown(name)} twice, {first}")
        lines[name] = item.line
    return tuple(lines)


def _read_parents(content: YamlValue, schema: Sequence[str]) -> dict[str, str]:
    fields = content.fields("parents", (), schema)
    parents = {
        child: _read_name(value, f"parents, {shown(child)}", schema) for child, value in fields.items()
    }
    circle = find_circle(parents)
    if circle:
        first = min(range(len(circle)), key=lambda index: fields[circle[index]].line)
        ordered = [*circle[first:], *circle[: first + 1]]
        steps = " → ".join(f"{shown(name)} (line {fields[name].line})" for name in ordered)
        raise fields[ordered[0]].error(f"parents go round in a circle: {steps}. Remove one of these lines.")
    return parents


def _read_entry(content: YamlValue, schema: Sequence[str]) -> MappedLabel:
    fields = content.fields(
        "an entry",
        ("source", "label", "unified"),
        ("mentions", "locked", "definition", "compared_with", "why"),
    )
    unified = fields["unified"]
    entry = MappedLabel(
        _read_label(fields),
        None if unified.is_null else _read_name(unified, "unified", schema),
        fields["mentions"].checked("mentions", int) if "mentions" in fields else 0,
        locked="locked" in fields and fields["locked"].checked("locked", bool),
        why=fields["why"].checked("why", str) if "why" in fields else "",
        definition=_read_definition(fields["definition"]) if "definition" in fields else "",
    )
    if "compared_with" not in fields:
        return entry
    where = fields["compared_with"]
    pair = where.fields("compared_with", ("source", "label"), ("similarity", *_EVIDENCE))
    entry = replace(entry, compared_with=_read_label(pair), similarity=_read_number(pair, "similarity"))
    if not any(key in pair for key in _EVIDENCE):
        return entry
    # All of the evidence or none: a part of it would pass for what is unknown.
    where.fields("compared_with", ("source", "label", *_EVIDENCE), ("similarity",))
    forward, backward = (_read_agreement(pair[key], key) for key in _EVIDENCE[1:])
    return replace(entry, semantic=_read_number(pair, "semantic"), forward=forward, backward=backward)


def _read_definition(content: YamlValue) -> str:
    text = content.checked("definition", str)
    if len(text) > LONGEST_DEFINITION:
        raise content.error(
            f"definition: found {len(text):,} characters, expected at most {LONGEST_DEFINITION:,}. Shorten it."
        )
    return text


def _read_label(fields: Mapping[str, YamlValue]) -> LabelRef:
    return LabelRef(*(fields[key].checked(key, str) for key in ("source", "label")))


def _read_name(content: YamlValue, what: str, schema: Sequence[str]) -> str:
    name = content.checked(what, str)
    if name not in schema:
        expected = f"expected a name of unified_labels.{hint(name, schema)} Correct it, or add the name"
        raise content.error(f"{what}: found {shown(name)}, {expected} to unified_labels.")
    return name


def _read_number(fields: Mapping[str, YamlValue], key: str) -> float | None:
    number = fields.get(key)
    return None if number is None or number.is_null else number.checked(key, float)


def _read_agreement(content: YamlValue, what: str) -> Agreement:
    """Read numerator and denominator; the share follows from them and is written for people only."""
    fields = content.fields(what, ("matched", "predicted"), ("share",))
    matched, predicted = (fields[key].checked(key, int) for key in ("matched", "predicted"))
    if matched > predicted:
        problem = f"found {matched:,} matched of {predicted:,} predicted, expected no more than those."
        raise content.error(f"{what}: {problem} Correct it.")
    return Agreement(matched, predicted)
