"""Labels that the user says are parts of others: the tree they make of groups of labels, and what contradicts it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain, combinations, pairwise, product
from typing import TYPE_CHECKING

from esnera_hf.alignment.hierarchy import find_circle
from esnera_hf.errors import ConfigurationError
from esnera_hf.tagging import LabelRef

if TYPE_CHECKING:
    from esnera_hf.alignment.constraints import Constraints
    from esnera_hf.alignment.mapping import LabelMapping

#: A part and its whole, or two labels of one group.
Pair = tuple[LabelRef, LabelRef]
#: What cannot be, in words, and the pairs of labels of one group that bring it about: it is mended by parting one.
Contradiction = tuple[str, tuple[Pair, ...]]


class PartTree:
    """What the parts and wholes that a user names make of groups of labels.

    Args:
        groups: of labels that are one, no label in two.
        constraints: the parts, what is to be unrelated, and what is locked.
    """

    def __init__(self, groups: Sequence[Collection[LabelRef]], constraints: Constraints) -> None:
        self._groups, self._constraints = groups, constraints
        self._home = {label: number for number, group in enumerate(groups) for label in group}
        self._edges: dict[int, list[Pair]] = {}
        for part, whole in constraints.parts:
            if not self._is_locked_so(part, whole):
                self._edges.setdefault(self._home[part], []).append((part, whole))

    @cached_property
    def contradiction(self) -> Contradiction | None:
        """The first reason why the groups cannot be so, if there is one."""
        return next(chain.from_iterable(map(self._contradictions, self._edges)), None)

    @property
    def parents(self) -> dict[int, int]:
        """The group whose child each group is to be, by position, where nothing contradicts that."""
        wholes = {
            group: {self._home[whole] for _, whole in edges} for group, edges in sorted(self._edges.items())
        }
        return {
            group: next(near for near in sorted(above) if above - {near} <= self._above(near))
            for group, above in wholes.items()
        }

    def pairs(self) -> Iterator[frozenset[LabelRef]]:
        """Yield each part with each label that it is, in the end, a part of."""
        return (frozenset((path[0][0], path[-1][1])) for group in self._edges for path in self._paths(group))

    def _paths(self, group: int) -> Iterator[tuple[Pair, ...]]:
        """Yield a path of parts and wholes from a group to each one above it, the nearest first."""
        reached: set[int] = set()
        waiting: list[tuple[Pair, ...]] = [(edge,) for edge in self._edges.get(group, ())]
        for path in waiting:
            end = self._home[path[-1][1]]
            if end not in reached:
                reached.add(end)
                yield path
                if end != group:
                    waiting += [(*path, edge) for edge in self._edges.get(end, ())]

    def _above(self, group: int) -> set[int]:
        return {self._home[path[-1][1]] for path in self._paths(group)}

    def _contradictions(self, group: int) -> Iterator[Contradiction]:
        for path in self._paths(group):
            steps = ", ".join(f"{part} is to be a part of {whole}" for part, whole in path)
            (first, _), (_, last) = path[0], path[-1]
            joints = tuple((whole, part) for (_, whole), (part, _) in pairwise(path))
            end = self._home[last]
            if end == group:
                yield (
                    f"part_of: {steps}, and {last} is to be one with {first}. Leave one of these out.",
                    (*joints, (last, first)),
                )
            for one, other in product(sorted(self._groups[group]), sorted(self._groups[end])):
                if frozenset((one, other)) in self._constraints.unrelated:
                    yield (
                        f"part_of: {steps}, and {one} and {other} are to stay apart (cannot_link). Drop one of the "
                        "two.",
                        ((one, first), *joints, (last, other)),
                    )
        yield from self._second_parents(group)
        yield from self._locks(group)

    def _second_parents(self, group: int) -> Iterator[Contradiction]:
        for (part, whole), (other_part, other) in combinations(self._edges[group], 2):
            here, there = self._home[whole], self._home[other]
            if here != there and here not in self._above(there) and there not in self._above(here):
                yield (
                    f"part_of: {part} is to be a part of {whole} and {other_part} of {other}, and a label has one "
                    "parent. Say that these two are one (must_link), or which is a part of the other (part_of).",
                    ((part, other_part),),
                )

    def _locks(self, group: int) -> Iterator[Contradiction]:
        for label in sorted(self._groups[group]):
            name = self._constraints.names.get(label)
            if name is not None and name in self._constraints.parents:
                parent = self._constraints.parents[name]
                place = "without a parent" if parent is None else f"as a part of {parent!r}"
                part, whole = self._edges[group][0]
                yield (
                    f"part_of: {part} is to be a part of {whole}, and {name!r} is locked {place}. Unlock its entries, "
                    "or leave this out.",
                    ((label, part),),
                )

    def _is_locked_so(self, part: LabelRef, whole: LabelRef) -> bool:
        """Tell whether the group of a part is locked below that of its whole."""
        names, parents = self._constraints.names, self._constraints.parents
        wholes = {names.get(label) for label in self._groups[self._home[whole]]} - {None}
        for label in self._groups[self._home[part]]:
            above = parents.get(names.get(label, ""))
            while above is not None:
                if above in wholes:
                    return True
                above = parents.get(above)
        return False


def with_parts(mapping: LabelMapping, constraints: Constraints) -> LabelMapping:
    """Return a mapping in which the parts that the user names are below their wholes.

    Raises:
        ConfigurationError: labels that became one contradict that.
    """
    names = mapping.unified_labels
    tree = PartTree([mapping.members(name) for name in names], constraints)
    if tree.contradiction is not None:
        raise ConfigurationError(
            f"{tree.contradiction[0]} Labels that became one stand against it: keep them apart (cannot_link), or set "
            "method='equivalence', which does that by itself."
        )
    parents = {**mapping.parents, **{names[part]: names[whole] for part, whole in tree.parents.items()}}
    circle = find_circle(parents)
    if circle:
        raise ConfigurationError(
            f"part_of: with the parents that are locked it goes round in a circle: {', '.join(circle)}. Unlock one of "
            "their entries, or leave a part out."
        )
    return replace(mapping, parents=parents)
