"""What the user decides about the unified schema: names, labels that must or cannot become one, a given schema."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import combinations, product, takewhile
from typing import Any

from esnera_hf._internal.checks import from_plain, within
from esnera_hf.alignment.definitions import check_definitions
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.parts import PartTree
from esnera_hf.errors import ConfigurationError
from esnera_hf.tagging import OUTSIDE, LabelRef

#: A source's name, unified names, or unified names with the labels that define them.
TargetSchema = str | Sequence[str] | Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class SchemaSettings:
    """What the user wants of the unified schema; labels are written ``source:label``.

    Attributes:
        names: the unified name of a label. Labels given the same name become
            one, labels given different names stay apart.
        must_link: groups of labels that become one.
        cannot_link: groups of labels no two of which may become one, nor one a part of
            the other.
        locked: a mapping, or the path of its file, whose locked entries are kept. A
            unified label with a locked entry keeps the parent that it has there, or
            stays without one.
        part_of: pairs of a part and its whole. The unified label of the part becomes a
            child of that of the whole.
        min_precision: the share of right merges to expect, such as 0.95; where
            expected F1 is highest if not given. Of ``method="equivalence"``.
        definitions: what labels mean, in a sentence or two. The mapping keeps them beside the labels, and takes those
            of ``locked`` where none is given here.

    Raises:
        ConfigurationError: the precision is out of range.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    must_link: Sequence[Sequence[str]] = ()
    cannot_link: Sequence[Sequence[str]] = ()
    locked: LabelMapping | str | os.PathLike[str] | None = None
    part_of: Sequence[Sequence[str]] = ()
    min_precision: float | None = None
    definitions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.min_precision is not None and not within(self.min_precision, 0, 1):
            raise ConfigurationError(
                f"min_precision={self.min_precision!r}: expected a share of right merges, from 0 to 1."
            )


@dataclass(frozen=True)
class Constraints:
    """What a mapping must respect.

    Attributes:
        classes: disjoint sets of labels, each of which ends in one group.
        cannot_link: pairs of labels that never end in one group.
        unrelated: those of them of which neither is to be a part of the other.
        names: the name of the group of a label.
        left_out: labels whose entities are left out of the merged dataset.
        target: the source all others are merged into, if one is given.
        schema: the unified names given, in order.
        parents: of unified names that are locked, and of those above them that no
            label bears: the parent, ``None`` for none.
        parts: labels, each with one whose unified label is to be above its own.
        definitions: what labels mean, as far as it is known.
    """

    classes: tuple[frozenset[LabelRef], ...] = ()
    cannot_link: frozenset[frozenset[LabelRef]] = frozenset()
    unrelated: frozenset[frozenset[LabelRef]] = frozenset()
    names: Mapping[LabelRef, str] = field(default_factory=dict)
    left_out: frozenset[LabelRef] = frozenset()
    target: str | None = None
    schema: tuple[str, ...] = ()
    parents: Mapping[str, str | None] = field(default_factory=dict)
    parts: tuple[tuple[LabelRef, LabelRef], ...] = ()
    definitions: Mapping[LabelRef, str] = field(default_factory=dict)

    @property
    def bare(self) -> frozenset[str]:
        """The locked unified names that no label bears."""
        return frozenset(self.parents) - frozenset(self.names.values())

    @property
    def defining(self) -> frozenset[str]:
        """The sources of the labels that define the names of the schema given."""
        return frozenset(label.source for label, name in self.names.items() if name in self.schema)

    def class_of(self, label: LabelRef) -> frozenset[LabelRef]:
        """Return the labels that must end in one group with a label, itself among them."""
        return next((members for members in self.classes if label in members), frozenset({label}))

    def allow(self, ones: Iterable[LabelRef], others: Iterable[LabelRef]) -> bool:
        """Tell whether two groups of labels may become one.

        Groups that belong to different classes may not: each class ends in one
        group, and the labels it waits for may stand apart in a later source.
        """
        ones, others = set(ones), set(others)
        if sum(not members.isdisjoint(ones | others) for members in self.classes) > 1:
            return False
        return self.cannot_link.isdisjoint(frozenset(pair) for pair in product(ones, others))


#: What a mapping must respect where nobody asks for anything.
NO_CONSTRAINTS = Constraints()


def build_constraints(
    labels: Sequence[LabelRef],
    target_schema: TargetSchema | None = None,
    settings: SchemaSettings | None = None,
) -> Constraints:
    """Turn what the user asks for into constraints and check that they can be met.

    Args:
        labels: the labels of all sources.
        target_schema: a source, whose labels are the schema; or unified names, each of
            which some label bears, in other case if none is spelt so; or unified
            names with the labels that define them.
        settings: everything else.

    Raises:
        ConfigurationError: a label, source or name is unknown, requests contradict
            each other, or one of them can have no effect.
        MappingError: the locked mapping cannot be read.
    """
    settings = settings or SchemaSettings()
    find = _LabelFinder(labels)
    target: str | None = None
    schema: dict[str, list[LabelRef]] = {}
    if isinstance(target_schema, str):
        target, sources = target_schema, sorted({label.source for label in labels})
        if target not in sources:
            raise ConfigurationError(
                f"target_schema={target!r}: expected one of the sources, {', '.join(sources)}."
            )
    elif target_schema is not None:
        schema = _defining_labels(target_schema, find)
    mapping = LabelMapping((), ()) if settings.locked is None else load_locked(settings.locked)
    locked, left_out = _locked(mapping, labels)
    parents = _locked_parents(mapping, set(locked.values()))
    definitions = {
        entry.label: entry.definition
        for entry in mapping.entries
        if entry.definition and entry.label in labels
    }
    defined = check_definitions(settings.definitions, {str(label) for label in labels})
    definitions |= {find(text, "definitions"): definition for text, definition in defined.items()}
    requests = [(label, name) for name, refs in schema.items() for label in refs]
    requests += [(find(text, "names"), name) for text, name in settings.names.items()]
    names = _names([*requests, *locked.items()])
    groups = _groups(settings.must_link, "must_link", find)
    parts = _parts(settings.part_of, find)
    contradicted = sorted(left_out & {*names, *(label for group in (*groups, *parts) for label in group)})
    if contradicted:
        raise ConfigurationError(
            f"{contradicted[0]} is locked as left out, and named, or to be one with others or part of one. Drop one of "
            "the two."
        )
    # Labels of one name are one, and labels of different names are not.
    by_name = ({label for label in names if names[label] == name} for name in dict.fromkeys(names.values()))
    classes = _joined([*groups, *by_name])
    forbidden = _groups(settings.cannot_link, "cannot_link", find)
    apart = {frozenset(pair) for group in forbidden for pair in combinations(group, 2)}
    named = {frozenset(pair) for pair in combinations(names, 2) if names[pair[0]] != names[pair[1]]}
    both = spread_apart(apart | named, classes), spread_apart(apart, classes)
    constraints = Constraints(
        classes, *both, names, left_out, target, tuple(schema), parents, parts, definitions
    )
    return _with_parts_apart(constraints, labels) if parts else constraints


def _with_parts_apart(constraints: Constraints, labels: Sequence[LabelRef]) -> Constraints:
    """Keep parts apart from what they are parts of, if nothing that the user asks for contradicts them."""
    classes = {constraints.class_of(label) for label in labels if label not in constraints.left_out}
    tree = PartTree(sorted(classes, key=sorted), constraints)
    if tree.contradiction is not None:
        raise ConfigurationError(tree.contradiction[0])
    apart = spread_apart(tree.pairs(), constraints.classes)
    return replace(constraints, cannot_link=constraints.cannot_link | apart)


def load_locked(locked: LabelMapping | str | os.PathLike[str]) -> LabelMapping:
    """Return a mapping given as such or by its file.

    Raises:
        MappingError: it cannot be read.
    """
    return locked if isinstance(locked, LabelMapping) else LabelMapping.load(locked)


def spread_apart(
    cannot_link: Iterable[frozenset[LabelRef]], classes: Sequence[frozenset[LabelRef]]
) -> frozenset[frozenset[LabelRef]]:
    """Keep whole classes apart where two of their members are.

    Raises:
        ConfigurationError: two labels must and cannot become one.
    """
    home = {label: members for members in classes for label in members}
    spread = set()
    for one, other in sorted(sorted(pair) for pair in cannot_link):
        ones, others = home.get(one, frozenset({one})), home.get(other, frozenset({other}))
        if ones == others:
            raise ConfigurationError(
                f"{one} and {other} are to become one label and to stay apart, by names, must_link, "
                "cannot_link, target_schema or a locked mapping. Drop one of the two."
            )
        spread |= {frozenset(pair) for pair in product(ones, others)}
    return frozenset(spread)


class _LabelFinder:
    """Finds a label by ``source:label``."""

    def __init__(self, labels: Sequence[LabelRef]) -> None:
        self.labels = labels
        self._by_text: dict[str, list[LabelRef]] = {}
        for label in labels:
            self._by_text.setdefault(str(label), []).append(label)

    def __call__(self, text: str, option: str) -> LabelRef:
        refs = self._by_text.get(text, ())
        if not refs:
            raise ConfigurationError(
                f"{option}: {text!r} is no label of the sources. Expected source:label, one of "
                f"{', '.join(self._by_text)}."
            )
        if len(refs) > 1:
            meant = " and ".join(f"{label.label!r} of {label.source!r}" for label in refs)
            raise ConfigurationError(
                f"{option}: {text!r} is {meant}. Load one of the sources under another name, without a colon."
            )
        return refs[0]


def _groups(groups: Sequence[Sequence[str]], option: str, find: _LabelFinder) -> list[set[LabelRef]]:
    refs = []
    for texts in groups:
        if isinstance(texts, str):
            raise ConfigurationError(
                f"{option}: found {texts!r}, expected a list of groups of labels, "
                "[['source:label', 'source:label'], …]. Put a list round each group."
            )
        group = {find(text, option) for text in texts}
        if len(group) < 2:
            raise ConfigurationError(
                f"{option}: found a group of {', '.join(map(str, group)) or 'no label'}, expected two labels or "
                "more. Name all labels of a group in one list, or leave it out."
            )
        refs.append(group)
    return refs


def _parts(pairs: Sequence[Sequence[str]], find: _LabelFinder) -> tuple[tuple[LabelRef, LabelRef], ...]:
    parts: dict[tuple[LabelRef, LabelRef], None] = {}
    for texts in pairs:
        if isinstance(texts, str) or len(texts) != 2:
            raise ConfigurationError(
                f"part_of: found {texts!r}, expected pairs of a part and its whole, "
                "[['source:label', 'source:label'], …]."
            )
        part, whole = (find(text, "part_of") for text in texts)
        if part == whole:
            raise ConfigurationError(f"part_of: {part} is to be a part of itself. Name part and whole.")
        parts[part, whole] = None
    return tuple(parts)


def _defining_labels(
    target_schema: Sequence[str] | Mapping[str, Sequence[str]], find: _LabelFinder
) -> dict[str, list[LabelRef]]:
    """Return the labels that define each name of a given schema."""
    is_mapping = isinstance(target_schema, Mapping)
    kind: Any = Mapping[str, str | Sequence[str]] if is_mapping else list[str]
    names = list(target_schema) if isinstance(target_schema, Set) else target_schema
    target_schema = from_plain(kind, names, "target_schema")
    if not target_schema:
        raise ConfigurationError(
            "target_schema: found no name, expected at least one. Leave it out to merge without a schema."
        )
    if isinstance(target_schema, Mapping):
        schema = {
            name: [
                find(text, f"target_schema, {name}")
                for text in ([texts] if isinstance(texts, str) else texts)
            ]
            for name, texts in target_schema.items()
        }
    else:
        schema = {name: _bearers(name, find.labels) for name in target_schema}
    for name, refs in schema.items():
        if not refs:
            raise ConfigurationError(
                f"target_schema: no label of the sources is called {name!r}, so nothing says what it means. Name the "
                f"labels that define it: {{{name!r}: ['source:label', …]}}."
            )
    return schema


def _bearers(name: str, labels: Sequence[LabelRef]) -> list[LabelRef]:
    """Return the labels spelt as a name, or, where there is none, those spelt so in other case, one per source."""
    exact = [ref for ref in labels if ref.label == name]
    if exact:
        return exact
    alike = [ref for ref in labels if ref.label.casefold() == name.casefold()]
    for source, count in Counter(ref.source for ref in alike).items():
        if count > 1:
            refs = ", ".join(str(ref) for ref in alike if ref.source == source)
            raise ConfigurationError(
                f"target_schema: {name!r} is the name of several labels of {source}, but for their case: {refs}. Name "
                f"the labels that define it: {{{name!r}: ['source:label', …]}}."
            )
    return alike


def _names(requests: Iterable[tuple[LabelRef, str]]) -> dict[LabelRef, str]:
    names: dict[LabelRef, str] = {}
    for label, name in requests:
        if not name or name == OUTSIDE:
            raise ConfigurationError(
                f"{label}: its unified name is {name!r}. Expected a name other than 'O'."
            )
        if names.setdefault(label, name) != name:
            raise ConfigurationError(f"{label} is to be called {names[label]!r} and {name!r}. Keep one name.")
    return names


def _locked(
    mapping: LabelMapping, labels: Sequence[LabelRef]
) -> tuple[dict[LabelRef, str], frozenset[LabelRef]]:
    """Return the unified names of locked labels, and the labels that are locked as left out."""
    sources = sorted({label.source for label in labels})
    locked = [entry for entry in mapping.entries if entry.locked]
    for label in (entry.label for entry in locked):
        place = f"{mapping.file or 'mapping'}, locked: {str(label)!r}"
        if label.source not in sources:
            raise ConfigurationError(
                f"{place} is of {label.source!r}, which is none of the sources: {', '.join(sources)}. Give that "
                "source, too, under this name (name=path), or unlock or remove its entries."
            )
        if label not in labels:
            raise ConfigurationError(
                f"{place} is no label of the sources. Expected source:label, one of {', '.join(map(str, labels))}."
            )
    named = {entry.label: entry.unified for entry in locked if entry.unified is not None}
    return named, frozenset(entry.label for entry in locked if entry.unified is None)


def _locked_parents(mapping: LabelMapping, locked: Set[str]) -> dict[str, str | None]:
    """Return the parents of locked names, and of those above them that no label bears."""
    borne = {entry.unified for entry in mapping.entries}
    parents: dict[str, str | None] = {}
    for name in mapping.unified_labels:
        if name in locked:
            for child in (name, *takewhile(lambda above: above not in borne, mapping.ancestors(name))):
                parents[child] = mapping.parents.get(child)
    return parents


def _joined(groups: Iterable[Set[LabelRef]]) -> tuple[frozenset[LabelRef], ...]:
    """Join groups that share a label until all are disjoint."""
    classes: list[set[LabelRef]] = []
    for group in groups:
        joined = set(group)
        for other in [members for members in classes if members & joined]:
            joined |= other
            classes.remove(other)
        classes.append(joined)
    return tuple(sorted((frozenset(c) for c in classes if len(c) > 1), key=sorted))
