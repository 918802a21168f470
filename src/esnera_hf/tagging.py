"""Tags to entities and back, for every tagging scheme in use.

Conversion happens here and nowhere else. Reading is total: any sequence of
well-formed tags gives entities, and what had to be repaired is returned beside
them, never hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple, cast, get_args

from esnera_hf._internal.text import shown
from esnera_hf.errors import EsneraError

Scheme = Literal["IOB1", "IOB2", "BIOES", "BMES", "BMEWO", "BILOU", "none"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
#: Schemes that entities can be written in; what is written as ``IO`` is read as ``IOB1``.
WrittenScheme = Literal["IOB1", "IOB2", "BIO", "BIOES", "BMES", "BMEWO", "BILOU", "IO"]
WRITTEN_SCHEMES: tuple[WrittenScheme, ...] = get_args(WrittenScheme)

OUTSIDE = "O"
#: Where a tag of the merged dataset comes from.
GOLD, PSEUDO = "gold", "pseudo"

# By prefix, the role of a token: begin, inside, end, single.
_PREFIX_ROLES: dict[Scheme, dict[str, str]] = {
    "IOB1": {"B": "B", "I": "I"},
    "IOB2": {"B": "B", "I": "I"},
    "BIOES": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "BMES": {"B": "B", "M": "I", "E": "E", "S": "S"},
    "BMEWO": {"B": "B", "M": "I", "E": "E", "W": "S"},
    "BILOU": {"B": "B", "I": "I", "L": "E", "U": "S"},
}
# Both are in use; a label may hold either, so the first one after the prefix parts them.
_SEPARATORS = "-_"
#: The first letters of all schemes.
PREFIXES = frozenset("BIMEWSLU")


@dataclass(frozen=True, order=True, slots=True)
class Entity:
    """A span of tokens and its label.

    ``end`` is exclusive. No part of equality are ``score`` in [0, 1], and whether the
    span was ``discontinuous`` and is read from its first token to its last.
    """

    start: int
    end: int
    label: str
    # A predicted entity is right by its span and label, however sure the tagger was.
    score: float = field(default=1.0, compare=False)
    discontinuous: bool = field(default=False, compare=False)


class TagError(EsneraError, ValueError):
    """A tag that its scheme does not know."""


def split_tag(tag: str, scheme: Scheme) -> tuple[str, str]:
    """Return the role (``B I E S O``) and the label of one tag.

    Raises:
        TagError: the tag has no prefix of the scheme or no label.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if scheme == "none":
        if not tag:
            raise TagError("empty tag, expected O or a label")
        return "I", tag
    role = _PREFIX_ROLES[scheme].get(tag[:1])
    if role is None or tag[1:2] not in _SEPARATORS or len(tag) < 3:
        prefixes = ", ".join(f"{p}-LABEL" for p in _PREFIX_ROLES[scheme])
        raise TagError(f"tag {shown(tag)} is not of scheme {scheme} (expected O, {prefixes})")
    return role, tag[2:]


def entities_from_tags(
    tags: Sequence[str], scheme: Scheme = "IOB2"
) -> tuple[list[Entity], list[tuple[int, str]]]:
    """Read the entities of one sentence.

    A broken sequence is read as ``conlleval`` reads it: an inside tag that
    continues nothing opens an entity; a change of label closes one.

    Returns:
        The entities in order, without overlap, and the repairs made: token and kind of each
        place where the tags break their scheme.

    Raises:
        TagError: a tag is not of the scheme.
    """
    entities: list[Entity] = []
    repairs: list[tuple[int, str]] = []
    open_start, open_label = -1, ""
    # There an inside tag begins an entity by rule, and needs no repair.
    strict_start = scheme not in ("IOB1", "none")
    marks_end = scheme not in ("IOB1", "IOB2", "none")

    def close(end: int, ended: bool) -> None:
        nonlocal open_start
        if open_start >= 0:
            entities.append(Entity(open_start, end, open_label))
            if marks_end and not ended:
                repairs.append((end - 1, "entity without an end tag"))
        open_start = -1

    for index, tag in enumerate(tags):
        if tag == OUTSIDE:
            if open_start >= 0:
                close(index, ended=False)
            continue
        role, label = split_tag(tag, scheme)
        continues = role in "IE" and open_start >= 0 and label == open_label
        if not continues:
            close(index, ended=False)
            open_start, open_label = index, label
            if role in "IE" and strict_start:
                repairs.append((index, "inside tag without a begin tag"))
        if role in "ES":
            close(index + 1, ended=True)
    close(len(tags), ended=False)
    return entities, repairs


def tags_from_entities(length: int, entities: Iterable[Entity]) -> list[str]:
    """Write entities as IOB2 tags.

    Args:
        length: number of tokens.
        entities: spans without overlap, inside ``[0, length)``, in any order.

    Raises:
        ValueError: a span is empty, out of range or overlaps another.
    """
    tags = [OUTSIDE] * length
    previous_end = 0
    for entity in sorted(entities):
        if not 0 <= entity.start < entity.end <= length:
            raise ValueError(f"{entity} is not a span of a sentence of {length} tokens")
        if entity.start < previous_end:
            raise ValueError(f"{entity} overlaps the entity before it")
        tags[entity.start] = f"B-{entity.label}"
        for index in range(entity.start + 1, entity.end):
            tags[index] = f"I-{entity.label}"
        previous_end = entity.end
    return tags


def tags_in_scheme(length: int, entities: Iterable[Entity], scheme: WrittenScheme) -> list[str]:
    """Write entities as tags of any scheme that has prefixes; of ``IO``, which has the one of inside.

    Raises:
        ValueError: as of :func:`tags_from_entities`.
        TagError: two entities of one label touch, which ``IO`` cannot part.
    """
    tags = tags_from_entities(length, entities)
    if scheme in ("IOB2", "BIO"):
        return tags
    # By role, the prefix that writes it; a single token of IO and IOB1 is an inside.
    roles = {"I": "I"} if scheme == "IO" else _PREFIX_ROLES[cast(Scheme, scheme)]
    prefixes = {role: prefix for prefix, role in roles.items()}
    written = list(tags)
    for index, tag in enumerate(tags):
        if tag == OUTSIDE:
            continue
        begins, label = tag[0] == "B", tag[2:]
        ends = index + 1 == length or tags[index + 1] != f"I-{label}"
        touches = begins and index > 0 and tags[index - 1][2:] == label
        if scheme in ("IO", "IOB1"):
            if touches and scheme == "IO":
                raise TagError(
                    f"two entities of {shown(label)} touch at token {index}, and {scheme} would make them one"
                )
            role = "B" if touches else "I"
        else:
            role = ("S" if ends else "B") if begins else ("E" if ends else "I")
        written[index] = f"{prefixes[role]}-{label}"
    return written


def iob2_tag_set(labels: Sequence[str]) -> list[str]:
    """Return ``O`` and the ``B-`` and ``I-`` tag of every label, in the order of the labels."""
    return [OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in "BI")]


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """Tell the tagging scheme from the tags of a corpus.

    IOB1 and IOB2 share their prefixes: a corpus whose every begin tag follows
    directly on an entity of its own label is IOB1 (begin tags only part
    neighbours there), any other is IOB2. Tags without a prefix mean ``"none"``,
    unless others begin with ``B`` or one label stands behind two prefixes: then
    they are mistakes, which reading reports.

    Returns:
        The scheme; ``"IOB2"`` for a corpus that holds nothing but ``O``.
    """
    return scheme_of_pairs(pair for tags in sentences for pair in pairwise([OUTSIDE, *tags]))


def scheme_of_pairs(pairs: Iterable[tuple[str, str]]) -> Scheme:
    """Tell the tagging scheme from each tag and the one before it, as :func:`detect_scheme` does."""
    prefixes: set[str] = set()
    prefix_of: dict[str, str] = {}
    bare = has_two_prefixes = begins_on_its_own = inside_on_its_own = False
    for before, tag in pairs:
        if tag == OUTSIDE:
            continue
        prefix, label = _usual_parts(tag)
        if not label:
            bare = True
            continue
        prefixes.add(prefix)
        has_two_prefixes |= prefix_of.setdefault(label, prefix) != prefix
        if label != _usual_parts(before)[1]:
            begins_on_its_own |= prefix == "B"
            inside_on_its_own |= prefix == "I"
    fits = any(prefixes <= roles.keys() for roles in _PREFIX_ROLES.values())
    if (bare or not fits) and "B" not in prefixes and not has_two_prefixes:
        return "none"
    if prefixes <= {"B", "I"}:
        return "IOB1" if inside_on_its_own and not begins_on_its_own else "IOB2"
    # A tag mistaken for another does not change the scheme of all others.
    candidates: tuple[Scheme, ...] = ("BIOES", "BMES", "BMEWO", "BILOU")
    return max(candidates, key=lambda scheme: len(prefixes & _PREFIX_ROLES[scheme].keys()))


def _usual_parts(tag: str) -> tuple[str, str]:
    has_prefix = tag[:1] in PREFIXES and tag[1:2] in _SEPARATORS
    return (tag[:1], tag[2:]) if has_prefix and tag[1:] else ("", "")


class LabelRef(NamedTuple):
    """One label of one source, such as ``cluener:company``."""

    source: str
    label: str

    def __str__(self) -> str:
        return f"{self.source}:{self.label}"
