"""What the user decides about the unified schema: names, labels kept together or apart, a given schema."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations, product, takewhile

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.wishes import Into, LabelFinder, defining_labels, wished_groups
from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.tagging import OUTSIDE


@dataclass(frozen=True)
class SchemaSettings:
    """What the user wants of the unified schema; labels are written ``source:label``.

    Attributes:
        names: the unified name of a label. Labels given the same name become
            one, labels given different names stay apart.
        together: groups of labels that become one.
        apart: groups of labels no two of which may become one, nor one a part of
            the other.
        locked: a mapping, or the path of its file, whose locked entries are kept. A
            unified label with a locked entry keeps the parent that it has there, or
            stays without one.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    together: Sequence[Sequence[str]] = ()
    apart: Sequence[Sequence[str]] = ()
    locked: LabelMapping | str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class Constraints:
    """What a merge path must respect.

    Attributes:
        classes: disjoint sets of labels, each of which ends in one group.
        apart: pairs of labels that never end in one group.
        unrelated: those of them of which neither is to be a part of the other.
        names: the name of the group that holds a label.
        left_out: labels whose entities are left out of the merged dataset.
        target: the source all others are merged into, if one is given.
        schema: the unified names given, in order.
        parents: of unified names that are locked, and of those above them that no
            label bears: the parent, ``None`` for none.
    """

    classes: tuple[frozenset[LabelRef], ...] = ()
    apart: frozenset[frozenset[LabelRef]] = frozenset()
    unrelated: frozenset[frozenset[LabelRef]] = frozenset()
    names: Mapping[LabelRef, str] = field(default_factory=dict)
    left_out: frozenset[LabelRef] = frozenset()
    target: str | None = None
    schema: tuple[str, ...] = ()
    parents: Mapping[str, str | None] = field(default_factory=dict)

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
        return self.apart.isdisjoint(frozenset(pair) for pair in product(ones, others))


def build_constraints(
    labels: Sequence[LabelRef], into: Into | None = None, settings: SchemaSettings | None = None
) -> Constraints:
    """Turn wishes into constraints and check that they can be met.

    Args:
        labels: the labels of all sources.
        into: a source, whose labels are the schema; or unified names, each of
            which some label bears, in other case if none is spelt so; or unified
            names with the labels that define them.
        settings: everything else.

    Raises:
        ConfigurationError: a label, source or name is unknown, wishes contradict
            each other, or one of them can have no effect.
        MappingError: the locked mapping cannot be read.
    """
    settings = settings or SchemaSettings()
    find = LabelFinder(labels)
    sources = {label.source for label in labels}
    target = into if isinstance(into, str) else None
    if target is not None and target not in sources:
        raise ConfigurationError(
            f"into={target!r}: expected one of the sources, {', '.join(sorted(sources))}."
        )
    schema = {} if into is None or isinstance(into, str) else defining_labels(into, find)
    locked, left_out, parents = _locked(settings.locked, labels)
    wishes = [(ref, name) for name, refs in schema.items() for ref in refs]
    wishes += [(find(text, "names"), name) for text, name in settings.names.items()]
    names = _names([*wishes, *locked])
    groups = wished_groups(settings.together, "together", find)
    kept = sorted(left_out & {*names, *(label for group in groups for label in group)})
    if kept:
        raise ConfigurationError(
            f"{kept[0]} is locked as left out, and named or kept together with others. Drop one of the two wishes."
        )
    by_name: dict[str, list[LabelRef]] = {}
    for label, name in names.items():
        by_name.setdefault(name, []).append(label)
    classes = _joined([*groups, *by_name.values()])
    wished = {
        frozenset(pair)
        for group in wished_groups(settings.apart, "apart", find)
        for pair in combinations(sorted(group), 2)
    }
    named = {frozenset(pair) for pair in combinations(names, 2) if names[pair[0]] != names[pair[1]]}
    return Constraints(
        classes,
        spread_apart(wished | named, classes),
        spread_apart(wished, classes),
        names,
        left_out,
        target,
        tuple(schema),
        parents,
    )


def _names(wishes: Iterable[tuple[LabelRef, str]]) -> dict[LabelRef, str]:
    """Return the one name that each label is to have."""
    names: dict[LabelRef, str] = {}
    for label, name in wishes:
        if not name or name == OUTSIDE:
            raise ConfigurationError(
                f"{label}: its unified name is {name!r}. Expected a name other than 'O'."
            )
        if names.setdefault(label, name) != name:
            raise ConfigurationError(f"{label} is to be called {names[label]!r} and {name!r}. Keep one name.")
    return names


def load_locked(locked: LabelMapping | str | os.PathLike[str]) -> LabelMapping:
    """Return a mapping given as such or by its file.

    Raises:
        MappingError: it cannot be read.
    """
    return locked if isinstance(locked, LabelMapping) else LabelMapping.load(locked)


def _locked(
    locked: LabelMapping | str | os.PathLike[str] | None, labels: Sequence[LabelRef]
) -> tuple[list[tuple[LabelRef, str]], frozenset[LabelRef], dict[str, str | None]]:
    """Return the locked labels with their names, those left out, and the parents that are locked with them."""
    if locked is None:
        return [], frozenset(), {}
    mapping = load_locked(locked)
    sources = sorted({label.source for label in labels})
    named, left_out = [], set()
    for entry in mapping.entries:
        if entry.locked:
            if entry.label.source not in sources:
                raise ConfigurationError(
                    f"{mapping.file or 'mapping'}, locked: {str(entry.label)!r} is of {entry.label.source!r}, which is "
                    f"none of the sources: {', '.join(sources)}. Give that source, too, under this name "
                    "(name=path), or unlock or remove its entries."
                )
            if entry.label not in labels:
                raise ConfigurationError(
                    f"{mapping.file or 'mapping'}, locked: {str(entry.label)!r} is no label of the sources. Expected "
                    f"source:label, one of {', '.join(map(str, labels))}."
                )
            if entry.unified is None:
                left_out.add(entry.label)
            else:
                named.append((entry.label, entry.unified))
    return named, frozenset(left_out), _locked_parents(mapping, {name for _, name in named})


def _locked_parents(mapping: LabelMapping, locked: Set[str]) -> dict[str, str | None]:
    """Return the parents of locked names, and of those above them that no label bears."""
    borne = {entry.unified for entry in mapping.entries}
    parents: dict[str, str | None] = {}
    for name in mapping.unified_labels:
        if name in locked:
            for child in (name, *takewhile(lambda above: above not in borne, mapping.ancestors(name))):
                parents[child] = mapping.parents.get(child)
    return parents


def _joined(groups: Iterable[Iterable[LabelRef]]) -> tuple[frozenset[LabelRef], ...]:
    """Join groups that share a label until all are disjoint."""
    classes: list[set[LabelRef]] = []
    for group in groups:
        joined = set(group)
        for other in [known for known in classes if known & joined]:
            joined |= other
            classes.remove(other)
        classes.append(joined)
    return tuple(sorted((frozenset(c) for c in classes if len(c) > 1), key=sorted))


def spread_apart(
    apart: Iterable[frozenset[LabelRef]], classes: Sequence[frozenset[LabelRef]]
) -> frozenset[frozenset[LabelRef]]:
    """Keep whole classes apart where two of their members are.

    Raises:
        ConfigurationError: two labels are to be together and apart.
    """
    home = {label: members for members in classes for label in members}
    spread = set()
    for one, other in sorted(sorted(pair) for pair in apart):
        ones, others = home.get(one, frozenset({one})), home.get(other, frozenset({other}))
        if ones == others:
            raise ConfigurationError(
                f"{one} and {other} are to become one label and to stay apart, by names, together, apart, into "
                "or a locked mapping. Drop one of the two wishes."
            )
        spread |= {frozenset(pair) for pair in product(ones, others)}
    return frozenset(spread)
