"""Signs that labels or tokens of a corpus are something else: tags, pieces of words, numbers, labels misspelt."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.column_kinds import NUMBER
from esnera_hf.sources.source import NerSource

#: What tokenizers of subwords give to pieces behind the first, and the share of tokens that are such pieces.
_PIECE_LABEL, _PIECES = "X", 0.05
#: Tokens of which all may be numbers by chance.
_MANY_TOKENS = 50
_PREFIXED = re.compile(r"[BIbi][-_].+", re.DOTALL)
#: What a cell with several tags looks like, behind the first prefix.
_SEVERAL_TAGS = re.compile(r"[|;,#+&/ ][BI]-")


def check_labels(name: str, labels: Iterable[str]) -> None:
    """Check that labels are none of tags with prefixes, such as spans that a tool wrote token by token."""
    prefixed = [label for label in labels if _PREFIXED.fullmatch(label)]
    inside = {label[2:].casefold() for label in prefixed if label[0] in "Ii"}
    tags = [label for label in prefixed if label[0] in "Bb" and label[2:].casefold() in inside]
    tags = tags or [label for label in labels if _SEVERAL_TAGS.search(label)]
    if tags:
        raise SourceError(
            f"{name}: labels such as {', '.join(map(shown, sorted(tags)[:3]))} look like tags of a scheme, each of one "
            'token. Write one span an entity, without prefixes, or pass scheme="none" if they are labels as they are.'
        )


def check_tokens(name: str, tokens: Sequence[str], labels: Collection[str]) -> None:
    """Check that tokens are not all numbers, as those of a column of ids, nor pieces of words with a tag for these."""
    if len(tokens) >= _MANY_TOKENS and all(map(NUMBER.fullmatch, tokens)):
        raise SourceError(
            f"{name}: all tokens are numbers, such as {', '.join(map(shown, tokens[:4]))}. If another column holds the "
            "tokens, name it: token_column=."
        )
    pieces = [token for token in tokens if token.startswith("##")]
    if _PIECE_LABEL in labels and len(pieces) > _PIECES * len(tokens):
        raise SourceError(
            f"{name}: tokens such as {', '.join(map(shown, pieces[:3]))} are pieces of words, and {_PIECE_LABEL!r} is "
            "their tag. Join the pieces of each word, and give it the tag of the first one."
        )


def label_notes(terms: NerSource, labels: Iterable[str]) -> Iterator[str]:
    """Say which labels are not among those known, and which differ in case alone."""
    unknown = sorted(set(labels) - set(terms.vocabulary))
    if terms.vocabulary and unknown:
        yield f"labels that {terms.name} is not known to annotate: {', '.join(unknown)}"
    for _, variants in groupby(sorted(labels, key=lambda label: (label.casefold(), label)), str.casefold):
        if len(same := list(variants)) > 1:
            yield f"labels that differ only in case, kept apart: {', '.join(same)}"
