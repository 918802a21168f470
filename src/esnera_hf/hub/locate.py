"""The place of a corpus' labels in an atlas: the nearest labels there, and corpora that would add mentions."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from esnera_hf._internal.console import say
from esnera_hf._internal.text import counted, shorten, visible
from esnera_hf.errors import ConfigurationError
from esnera_hf.hub.atlas import Atlas
from esnera_hf.hub.evidence import Evidence, open_source
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.licenses import UNKNOWN
from esnera_hf.sources.load import SourceLike
from esnera_hf.sources.shared_sentences import RELATIONS
from esnera_hf.tagging import LabelRef

#: Nearest labels that are named, and characters of a definition that are printed.
_NEAREST, _SHOWN = 3, 160


class NearLabel(TypedDict):
    """A label of the atlas near to one's own.

    ``equal``, ``part_of`` and ``contains`` are the probabilities that one's own label
    means the same, is a part of it, and has it as a part; ``name`` is that of the label in the tree.
    """

    label: str
    equal: float
    part_of: float
    contains: float
    name: str
    license: str
    definition: str


class Addition(TypedDict):
    """A corpus with mentions of what one's own label means, and under which terms."""

    corpus: str
    label: str
    mentions: int
    license: str
    homepage: str


class Location(TypedDict):
    """Where a label belongs: its nearest labels, and the corpora that have more of it, those with most first."""

    label: str
    mentions: int
    nearest: list[NearLabel]
    additions: list[Addition]


def locate(
    source: SourceLike | Evidence,
    atlas: Atlas,
    *,
    encoder: str | os.PathLike[str] | None = None,
    seed: int = 42,
) -> list[Location]:
    """Find the place of each label of a corpus in an atlas.

    Args:
        source: the corpus, or its bundle. A corpus of its name in the atlas is taken to be the same, and left out.
        atlas: of the corpora to compare with.
        encoder: the one of the atlas, where it lies in a folder here.
        seed: of the sentences that are read.

    Raises:
        SourceNotFoundError, SourceError: the source cannot be found or read.
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: the source has no labels, the encoder is not that of the atlas, or it holds no other corpus.
    """
    loaded = open_source(source)
    if not loaded.labels:
        raise ConfigurationError(
            f"{loaded.name}: it has no labels to locate. Expected a source with mentions."
        )
    if loaded.name in atlas.bundles:
        say(f"{loaded.name} is in the atlas; it is compared with the other corpora there.")
        if len(atlas.bundles) == 1:
            raise ConfigurationError(
                f"{loaded.name} is all that the atlas holds. Expected an atlas of other corpora; give the source "
                "another name if it is another one: 'name=PATH'."
            )
        atlas = atlas.without({loaded.name})
    matrix = atlas.matrix_with(loaded, encoder=encoder, seed=seed)
    threshold = matrix.threshold()
    return [
        _location(label, matrix, threshold, atlas) for label in matrix.labels if label.source == loaded.name
    ]


def _location(label: LabelRef, matrix: SimilarityMatrix, threshold: float, atlas: Atlas) -> Location:
    row = matrix.index[label]
    chances = np.nan_to_num(matrix.probabilities[row], nan=-1.0)
    equal, part_of, contains = (chances[:, RELATIONS.index(name)] for name in ("equal", "subset", "superset"))
    # What is not equal to any may still be a part of some.
    order = np.lexsort((-part_of, -equal.round(2)))
    order = order[~matrix.same_source[row, order]][:_NEAREST]
    nearest = [matrix.labels[index] for index in order.tolist()]
    same = {matrix.labels[index] for index in np.flatnonzero(equal > threshold).tolist()}
    names = {atlas.mapping[near] for near in same}
    # Labels that are one with an equal one in the tree, unless they are known not to be equal to this one.
    same |= {
        other.label
        for other in atlas.mapping.entries
        if other.unified in names and equal[matrix.index[other.label]] > threshold / 2
    }
    return {
        "label": label.label,
        "mentions": int(matrix.support[row]),
        "nearest": [
            {
                "label": str(near),
                "equal": float(equal[index]),
                "part_of": float(part_of[index]),
                "contains": float(contains[index]),
                "name": atlas.mapping[near] or "",
                "license": atlas.bundles[near.source].facts["license"].name,
                "definition": atlas.definitions.get(str(near), ""),
            }
            for near, index in zip(nearest, order.tolist(), strict=True)
        ],
        "additions": sorted(
            (_addition(other, atlas.bundles[other.source]) for other in sorted(same)),
            key=lambda addition: (-addition["mentions"], addition["corpus"]),
        ),
    }


def _addition(label: LabelRef, bundle: Evidence) -> Addition:
    return {
        "corpus": label.source,
        "label": label.label,
        "mentions": bundle.mentions[label.label],
        "license": bundle.facts["license"].name,
        "homepage": bundle.facts["provenance"].homepage,
    }


def describe(locations: Sequence[Location]) -> str:
    """Return locations as text for people."""
    return "\n".join(visible(line) for location in locations for line in _lines(location))


def _lines(location: Location) -> list[str]:
    lines = [f"{location['label']}  ({counted(location['mentions'], 'mention')})"]
    for near in location["nearest"]:
        lines.append(
            f"  {near['label']:<32} equal {near['equal']:.2f}  part of it {near['part_of']:.2f}  has it as a part "
            f"{near['contains']:.2f}  [{near['name']}]  {near['license']}"
        )
        if near["definition"]:
            lines.append(f"      {shorten(near['definition'], _SHOWN)}")
    terms: dict[str, list[Addition]] = defaultdict(list)
    for addition in location["additions"]:
        terms[addition["license"]].append(addition)
    for name, additions in terms.items():
        license = "an unknown license" if name == UNKNOWN else name
        corpora = counted(len(additions), "corpus")
        listed = ", ".join(f"{one['corpus']}:{one['label']} {one['mentions']:,}" for one in additions)
        verb = "annotates" if len(additions) == 1 else "annotate"
        lines.append(f"  {corpora} under {license} {verb} it: {listed} mentions")
    return lines
