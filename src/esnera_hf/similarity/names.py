"""How alike the names of labels are, in their letters and in what they mean.

What names mean is in ``label_names.txt``: concepts that named entity corpora annotate,
the ways they are written in several languages, and the broader concept that each is a
kind of. It is knowledge of names alone, so it says nothing of a name that it does not list.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from esnera_hf.tagging import LabelRef

#: The last alternative parts ``LOCderiv``, but not ``IPs``.
_PARTS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z][A-Z])(?=[a-z]{3})")
#: Longer names are compared by their beginnings: SequenceMatcher takes quadratic time.
_LONGEST = 200
#: Words that add nothing to what another word of a name says.
_FILLERS = frozenset({"name", "names", "type", "entity", "entities", "named", "nam", "mention", "label"})
#: Concepts that set a name apart from another one, and make nothing akin: ``LOCpart`` and ``ORGpart`` are two things.
_QUALIFIERS = frozenset({"derived", "part", "nominal"})
#: Shorter words are not taken for plurals: ``ds`` is no plural of ``d``.
_SHORTEST_PLURAL = 5
_NAMES = "label_names.txt"


@lru_cache(maxsize=1)
def lexicon() -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return what ``label_names.txt`` lists: concepts by way of writing, and those above each, the nearest first."""
    text = files("esnera_hf.similarity").joinpath(_NAMES).read_text(encoding="utf-8")
    concept: dict[str, str] = {}
    broader: dict[str, str] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            head, _, written = line.partition(":")
            name, _, above = (part.strip() for part in head.partition("<"))
            concept |= dict.fromkeys((name, *written.split()), name)
            if above:
                broader[name] = above
    chains = {}
    for name in broader:
        chain = [name]
        while chain[-1] in broader:
            chain.append(broader[chain[-1]])
        chains[name] = tuple(chain[1:])
    return concept, chains


# A matrix is asked several times, and fifty corpora have a hundred thousand pairs of names.
@lru_cache(maxsize=1 << 18)
def name_similarity(first: str, second: str) -> float:
    """Return how alike two names are, in [0, 1]: the better of their letters and of their words.

    Case, and what parts the words (``company_name``, ``companyName``), play no
    part; prefixes of one name count for what they share (``PER``, ``person``).
    """
    # SequenceMatcher is not symmetric.
    one, other = sorted((_words(first), _words(second)))
    if not one:
        return float(first == second)
    letters = difflib.SequenceMatcher(None, "".join(one), "".join(other), autojunk=False).ratio()
    words = len(set(one) & set(other)) / max(len(set(one) | set(other)), 1)
    return max(letters, words)


@lru_cache(maxsize=1 << 14)
def concepts_of(name: str) -> frozenset[str]:
    """Return the concepts that a name is made of: ``PER`` and ``person_name`` are ``person``.

    The longest sequences of words that the lexicon lists are concepts; a word that it
    does not list, but for fillers like ``name``, stands for itself. Where one is a kind of
    another it stands for both: ``person-actor`` is ``actor``.
    """
    words = _words(name)
    whole = _concept("".join(words))
    if whole:
        return frozenset({whole})
    words = [word for word in words if word not in _FILLERS] or words
    concepts: set[str] = set()
    while words:
        ends = range(len(words), 0, -1)
        end, concept = next(
            ((end, c) for end in ends if (c := _concept("".join(words[:end])))), (1, words[0])
        )
        concepts.add(concept)
        words = words[end:]
    _, above = lexicon()
    return frozenset(concepts) - {broader for concept in concepts for broader in above.get(concept, ())}


def meaning_similarity(first: str, second: str) -> float:
    """Return the share of the concepts of two names that both have, in [0, 1]."""
    one, other = concepts_of(first), concepts_of(second)
    return len(one & other) / len(one | other) if one | other else float(first == second)


def is_kind_of(first: str, second: str) -> float:
    """Return 1 if the first name means a kind of what the second one means (``writer``, ``person``), else 0."""
    one, other = concepts_of(first), concepts_of(second)
    return float(len(one) == len(other) == 1 and other <= set(lexicon()[1].get(min(one), ())))


def by_pair(similarity: Callable[[str, str], float], labels: Sequence[LabelRef]) -> NDArray[np.float64]:
    """Return what a function says of the names of every two labels, shape (labels, labels)."""
    names = sorted({label.label for label in labels})
    place = {name: index for index, name in enumerate(names)}
    values = np.array([[similarity(one, other) for other in names] for one in names])
    rows = [place[label.label] for label in labels]
    return values.reshape(len(names), len(names))[np.ix_(rows, rows)]


def are_akin(first: str, second: str) -> float:
    """Return 1 if two names have a concept in common, or kinds of one (``writer``, ``politician``), else 0."""
    _, above = lexicon()
    one, other = (
        {broader for c in concepts_of(name) - _QUALIFIERS for broader in (c, *above.get(c, ()))}
        for name in (first, second)
    )
    return float(not one.isdisjoint(other))


def are_listed(labels: Sequence[LabelRef]) -> NDArray[np.bool_]:
    """Return where it is known whether two names mean the same: both are listed, or they are one name.

    Returns:
        Shape (labels, labels).
    """
    concepts = set(lexicon()[0].values())
    listed = np.array([set() < concepts_of(label) <= concepts for _, label in labels], dtype=bool)
    same = by_pair(lambda one, other: float(one == other), labels) > 0
    return np.asarray((listed[:, None] & listed[None, :]) | same)


def split_off(labels: Sequence[LabelRef]) -> NDArray[np.float64]:
    """Return where the row's label leaves to others of its source what the column's keeps, by their names.

    A ``person`` beside ``politician`` is any other person, one beside ``writer``
    another one, and one alone is both.

    Returns:
        Shape (labels, labels): 1 where both names mean the same and the row's source has a
        kind of it as a label of its own that the column's source has not.
    """
    _, above = lexicon()
    of_source: dict[str, set[str]] = {}
    for source, label in labels:
        of_source.setdefault(source, set()).update(concepts_of(label))
    meanings = [concepts_of(label) for _, label in labels]
    kinds = [
        {concept for concept in of_source[source] if meaning & set(above.get(concept, ()))}
        for (source, _), meaning in zip(labels, meanings, strict=True)
    ]
    values = [
        [float(one == other and bool(mine - theirs)) for other, theirs in zip(meanings, kinds, strict=True)]
        for one, mine in zip(meanings, kinds, strict=True)
    ]
    return np.array(values).reshape(len(labels), len(labels))


def _concept(word: str) -> str | None:
    concept_of, _ = lexicon()
    singular = word[:-1] if len(word) >= _SHORTEST_PLURAL and word.endswith("s") else word
    return concept_of.get(word) or concept_of.get(singular)


def _words(name: str) -> list[str]:
    return [part.casefold() for part in _PARTS.split(name[:_LONGEST]) if part]
