"""The label mapping: every label of every source to one unified label."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from pathlib import Path

import pandas

from esnera_hf._internal.text import counted, hint, in_columns, visible
from esnera_hf.alignment.flow import draw_flow
from esnera_hf.alignment.hierarchy import LabelTree, TreeCut, TreeGrain
from esnera_hf.alignment.mapping_yaml import LEFT_OUT, MappedLabel, Method, read_mapping, write_mapping
from esnera_hf.errors import MappingError
from esnera_hf.similarity.explanation import Decision
from esnera_hf.tagging import OUTSIDE, LabelRef

#: The name of the file beside a merged dataset.
MAPPING_FILE = "mapping.yaml"
NO_MEMBERS = "(its parts only)"


@dataclass(frozen=True, repr=False)
class LabelMapping:
    """A total mapping from source labels to unified labels.

    Attributes:
        unified_labels: the unified schema, in order.
        entries: one for each source label.
        method: how it was made: by ``equivalence`` of labels, along the ``greedy``
            path of the paper, or ``manual``; editing the file does not change it.
        lam: λ of the similarities beside the entries, where it was made ``greedy``.
        parents: of unified labels that are parts of others, ``{"book": "PRODUCT"}``;
            empty where none is.
        file: where it was read from, for messages.
        lines: the line of each entry in that file.

    Raises:
        MappingError: a label is mapped twice, goes to a label outside the
            schema, the schema names a label twice or none, or a parent is not in
            the schema or a descendant of its child.
    """

    unified_labels: tuple[str, ...]
    entries: tuple[MappedLabel, ...]
    method: Method = "manual"
    lam: float | None = None
    parents: Mapping[str, str] = field(default_factory=dict, hash=False, kw_only=True)
    file: str = field(default="", compare=False)
    lines: Mapping[LabelRef, int] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if len(set(self.unified_labels)) != len(self.unified_labels):
            raise MappingError(
                f"the unified schema names a label twice: {', '.join(self.unified_labels)}. Name each once."
            )
        seen: set[LabelRef] = set()
        for entry in self.entries:
            if entry.label in seen:
                raise MappingError(f"{entry.label} is mapped twice. Keep one of the two entries.")
            seen.add(entry.label)
            if entry.unified is not None and entry.unified not in self.unified_labels:
                raise MappingError(
                    f"{entry.label} goes to {entry.unified!r}, which is not in the unified schema: "
                    f"{', '.join(self.unified_labels)}. Add it there or correct the entry."
                )
        if OUTSIDE in self.unified_labels or "" in self.unified_labels:
            raise MappingError("a unified label is empty or called 'O', which means 'outside'. Rename it.")
        # In the order of the tree, so that equal mappings have equal files.
        ordered = sorted(self.parents, key=LabelTree(self.unified_labels, self.parents).order.index)
        object.__setattr__(self, "parents", {child: self.parents[child] for child in ordered})

    @cached_property
    def _by_label(self) -> dict[LabelRef, str | None]:
        return {entry.label: entry.unified for entry in self.entries}

    def __getitem__(self, label: LabelRef | tuple[str, str] | str) -> str | None:
        """Return the unified label of a source label, ``None`` if it is left out.

        Args:
            label: source and label, or both as they are written, ``"cluener:company"``.

        Raises:
            KeyError: there is no such label, or two are written so.
        """
        if not isinstance(label, str):
            return self._by_label[LabelRef(*label)]
        named = [ref for ref in self._by_label if str(ref) == label]
        if len(named) != 1:
            close = difflib.get_close_matches(label, map(str, self._by_label), n=3)
            similar = ", ".join(map(repr, named or close)) or "no such label"
            raise KeyError(
                f"{label!r}: expected the name of one label as 'source:label' or (source, label); found {similar}"
            )
        return self._by_label[named[0]]

    @cached_property
    def tree(self) -> LabelTree:
        """The unified labels as a forest."""
        return LabelTree(self.unified_labels, self.parents)

    def root(self, unified: str) -> str:
        """Return the outermost label that contains a unified label; itself if none does."""
        return self.tree.root(unified)

    def ancestors(self, unified: str) -> tuple[str, ...]:
        """Return the labels that contain a unified label, the nearest first."""
        return self.tree.ancestors(unified)

    def descendants(self, unified: str) -> tuple[str, ...]:
        """Return the labels that are parts of a unified label, each after its parent."""
        return self.tree.descendants(unified)

    @cached_property
    def mentions(self) -> dict[str, int]:
        """The train mentions of each unified label that source labels go to, without those of its parts."""
        counts = Counter({entry.unified: 0 for entry in self.entries if entry.unified is not None})
        for entry in self.entries:
            if entry.unified is not None:
                counts[entry.unified] += entry.mentions
        return dict(counts)

    @property
    def umbrellas(self) -> frozenset[str]:
        """The unified labels that have parts and no source label of their own."""
        return frozenset(self.parents.values()) - self.mentions.keys()

    @property
    def parts(self) -> frozenset[str]:
        """The unified labels that are parts of one of a source, not of proposed umbrellas alone."""
        below = (name for name in self.parents if set(self.ancestors(name)) - self.umbrellas)
        return frozenset(below) - self.umbrellas

    def cut(self, grain: TreeGrain = "coarse", *, labels: int | None = None) -> TreeCut:
        """Return what each unified label becomes at a grain, or where at most so many are to be left.

        Args:
            grain: ``fine``, each label itself; ``medium``, the outermost one that a
                source annotates; ``coarse``, the outermost one, umbrellas too.
            labels: the most labels that are to be left, whatever the grain.

        Raises:
            ConfigurationError: there are more outermost labels than that.
        """
        if labels is not None:
            return self.tree.cut_to(labels, self.mentions)
        tops = {"fine": (), "coarse": self.tree.roots, "medium": set(self.unified_labels) - self.umbrellas}
        return self.tree.cut_at(tops[grain], self.mentions)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources whose labels it maps, in the order of the entries."""
        return tuple(dict.fromkeys(entry.label.source for entry in self.entries))

    def members(self, unified: str | None) -> tuple[LabelRef, ...]:
        """Return the source labels that go to a unified label."""
        return tuple(entry.label for entry in self.entries if entry.unified == unified)

    def are_one(self, one: LabelRef, other: LabelRef) -> bool:
        """Tell whether two source labels go to one unified label."""
        return self[one] is not None and self[one] == self[other]

    def decision(self, one: LabelRef, other: LabelRef) -> Decision:
        """Return what two labels became: ``one``, the first a ``part`` of the other, its ``whole``, or ``apart``."""
        first, second = self[one], self[other]
        if first is None or second is None:
            return "apart"
        if first == second:
            return "one"
        if second in self.ancestors(first):
            return "part"
        return "whole" if first in self.ancestors(second) else "apart"

    def scope(self, source: str) -> frozenset[str]:
        """Return the unified labels that a source annotates."""
        names = {entry.unified for entry in self.entries if entry.label.source == source}
        return frozenset(name for name in names if name is not None)

    def projection(self, source: str) -> dict[str, str]:
        """Return the label under which a source annotates what a unified label means, for those it annotates.

        That is the label itself or its nearest ancestor in the :meth:`scope` of the
        source: where that annotates PRODUCT alone, a book is a PRODUCT. A label
        of whose kind it annotates at most parts is not among them. Without
        parents each label of the scope goes to itself.
        """
        return self.tree.nearest(self.scope(source))

    @property
    def definitions(self) -> dict[str, str]:
        """What labels mean, by ``source:label``, as far as somebody said it."""
        return {str(entry.label): entry.definition for entry in self.entries if entry.definition}

    def with_definitions(self, definitions: Mapping[LabelRef, str]) -> LabelMapping:
        """Return the mapping with what some of its labels mean; other labels keep what they have."""
        entries = (
            replace(entry, definition=definitions.get(entry.label, entry.definition))
            for entry in self.entries
        )
        return replace(self, entries=tuple(entries))

    def restricted(self, sources: Iterable[str]) -> LabelMapping:
        """Return the mapping of some of the sources, without unified labels that none of them has.

        A label stays, too, if one of them has a part of it.
        """
        wanted = set(sources)
        entries = tuple(entry for entry in self.entries if entry.label.source in wanted)
        used = {entry.unified for entry in entries if entry.unified is not None}
        used |= {above for unified in used for above in self.ancestors(unified)}
        return replace(
            self,
            unified_labels=tuple(name for name in self.unified_labels if name in used),
            entries=entries,
            parents={child: parent for child, parent in self.parents.items() if child in used},
        )

    def check_fits(self, labels: Iterable[LabelRef]) -> None:
        """Check that the mapping and the labels of some sources fit each other.

        Raises:
            MappingError: a label of the sources is not mapped, or the mapping
                names a label that its source does not annotate; it says which,
                and in which line.
        """
        by_source: dict[str, list[str]] = {}
        missing = []
        for label in sorted(labels):
            by_source.setdefault(label.source, []).append(label.label)
            if label not in self._by_label:
                missing.append(str(label))
        for entry in self.entries:
            annotated = by_source.get(entry.label.source)
            if annotated is not None and entry.label.label not in annotated:
                line = f", line {self.lines[entry.label]}" if entry.label in self.lines else ""
                place = f"{self.file}{line}: " if self.file else ""
                raise MappingError(
                    f"{place}{entry.label} is no label of that source, which annotates "
                    f"{', '.join(annotated)}.{hint(entry.label.label, annotated)} Correct or remove the entry."
                )
        if missing:
            place = f"{self.file}: " if self.file else ""
            raise MappingError(
                f"{place}the mapping leaves out {', '.join(missing)}. Every label of every source needs an "
                "entry: map it to a label of its own to keep it apart, to null to leave its entities out."
            )

    def __repr__(self) -> str:
        umbrellas = f" below {len(self.umbrellas)} umbrellas" * bool(self.umbrellas)
        return (
            f"LabelMapping({counted(len(self.entries), 'label')} of {', '.join(self.sources) or 'no source'} → "
            f"{len(self.unified_labels) - len(self.umbrellas)} unified{umbrellas}, {self.method})"
        )

    def __str__(self) -> str:
        rows = []
        wholes = set(self.parents.values())
        for unified in (*self.tree.order, None):
            members = ", ".join(str(label) for label in self.members(unified))
            if unified is None:
                rows += [(LEFT_OUT, members)] if members else []
            elif members or unified in wholes:
                indent = "  " * len(self.ancestors(unified))
                rows.append((indent + unified, members or NO_MEMBERS))
        return in_columns([(visible(name), "←", visible(members)) for name, members in rows])

    def _repr_html_(self) -> str:
        return f"<p>{escape(visible(repr(self)))}</p>{draw_flow(self)}"

    def to_pandas(self) -> pandas.DataFrame:
        """Return a row per source label: where it goes, and beside which label and similarity."""
        columns = "source label unified part_of mentions compared_with similarity locked".split()
        rows = [
            (
                *(*entry.label, entry.unified, self.parents.get(entry.unified or ""), entry.mentions),
                *(entry.compared_with and str(entry.compared_with), entry.similarity, entry.locked),
            )
            for entry in self.entries
        ]
        return pandas.DataFrame(rows, columns=columns)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of what it makes of a dataset: locks and evidence, which change none, do not count."""
        labels = sorted((*entry.label, entry.unified) for entry in self.entries)
        content = json.dumps([self.unified_labels, sorted(self.parents.items()), labels])
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def to_yaml(self) -> str:
        """Return the mapping as YAML with comments that explain it."""
        return write_mapping(self.unified_labels, self.entries, self.method, self.lam, self.parents)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mapping as YAML."""
        Path(path).write_text(self.to_yaml(), encoding="utf-8")

    @classmethod
    def from_yaml(cls, text: str, file: str = "") -> LabelMapping:
        """Read a mapping from YAML text.

        Args:
            text: what :meth:`to_yaml` gives, edited or not.
            file: where it is from, for messages.

        Raises:
            MappingError: it is not YAML, of another version, or contradicts itself; it
                says in which line.
        """
        unified_labels, entries, method, lam, parents, lines = read_mapping(text, file)
        return cls(unified_labels, entries, method, lam, parents=parents, file=file, lines=lines)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LabelMapping:
        """Read a mapping file.

        Raises:
            MappingError: the file is missing, or as :meth:`from_yaml`.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MappingError(
                f"{os.fspath(path)}: the mapping cannot be read: {error}. Expected a text file in UTF-8, as "
                "align writes it."
            ) from error
        return cls.from_yaml(text, os.fspath(path))
