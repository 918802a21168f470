"""What the user writes about the unified schema, read as labels of the sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef

#: A source's name, unified names, or unified names with the labels that define them.
Into = str | Sequence[str] | Mapping[str, Sequence[str]]


class LabelFinder:
    """Finds a label by ``source:label``."""

    def __init__(self, labels: Sequence[LabelRef]) -> None:
        self.labels = labels
        self._labels: dict[str, list[LabelRef]] = {}
        for label in labels:
            self._labels.setdefault(str(label), []).append(label)

    def __call__(self, text: str, wish: str) -> LabelRef:
        found = self._labels.get(text)
        if found is None:
            raise ConfigurationError(
                f"{wish}: {text!r} is no label of the sources. Expected source:label, one of "
                f"{', '.join(self._labels)}."
            )
        if len(found) > 1:
            meant = " and ".join(f"{label.label!r} of {label.source!r}" for label in found)
            raise ConfigurationError(
                f"{wish}: {text!r} is {meant}. Load one of the sources under another name, without a colon."
            )
        return found[0]


def wished_groups(given: Sequence[Sequence[str]], wish: str, find: LabelFinder) -> list[set[LabelRef]]:
    """Return the groups of labels that are to be together or apart.

    Raises:
        ConfigurationError: a group is no list, holds fewer than two labels, or one
            of them is unknown.
    """
    groups = []
    for texts in given:
        if isinstance(texts, str):
            raise ConfigurationError(
                f"{wish}: found {texts!r}, expected a list of groups of labels, [['source:label', 'source:label'], …]. "
                "Put a list round each group."
            )
        group = {find(text, wish) for text in texts}
        if len(group) < 2:
            raise ConfigurationError(
                f"{wish}: found a group of {', '.join(map(str, group)) or 'no label'}, expected two labels or more. "
                "Name all labels of a group in one list, or leave it out."
            )
        groups.append(group)
    return groups


def defining_labels(
    into: Sequence[str] | Mapping[str, Sequence[str]], find: LabelFinder
) -> dict[str, list[LabelRef]]:
    """Return the labels that define each name of a given schema.

    Raises:
        ConfigurationError: there is no name, or nothing says what one means.
    """
    if not into:
        raise ConfigurationError(
            "into: found no name, expected at least one. Leave it out to merge without a schema."
        )
    if isinstance(into, Mapping):
        schema = {
            name: [find(text, f"into, {name}") for text in ([texts] if isinstance(texts, str) else texts)]
            for name, texts in into.items()
        }
    else:
        schema = {name: _bearers(name, find.labels) for name in into}
    for name, refs in schema.items():
        if not refs:
            raise ConfigurationError(
                f"into: no label of the sources is called {name!r}, so nothing says what it means. Name the "
                f"labels that define it: {{{name!r}: ['source:label', …]}}."
            )
    return schema


def _bearers(name: str, labels: Sequence[LabelRef]) -> list[LabelRef]:
    """Return the labels spelt as a name, or, where there is none, those spelt so in other case, one a source."""
    exact = [ref for ref in labels if ref.label == name]
    if exact:
        return exact
    alike = [ref for ref in labels if ref.label.casefold() == name.casefold()]
    for source, count in Counter(ref.source for ref in alike).items():
        if count > 1:
            found = ", ".join(str(ref) for ref in alike if ref.source == source)
            raise ConfigurationError(
                f"into: {name!r} is the name of several labels of {source}, but for their case: {found}. Name the "
                f"labels that define it: {{{name!r}: ['source:label', …]}}."
            )
    return alike
