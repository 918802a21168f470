"""Forms of mentions by salted hashes: two owners find out which ones they have in common, and tell each other no other.

Without the salt, nobody can look a form up. Whoever has it can try out words, so the salt
must stay between the two, and be new for each exchange.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.overlap import (
    FormIndex,
    LabelOverlap,
    MentionForms,
    forms_of,
    occurrences_in,
    overlaps_of,
)
from esnera_hf.sources.source import NerSource

#: Characters of a salt: of fewer, all can be tried out.
SHORTEST_SALT = 16
#: Tokens of a form. Longer mentions, such as whole pages that one tag covers by mistake, occur in no other text.
LONGEST_FORM = 1_000
#: Bytes of a key of blake2b.
_KEY = 64


class HashedForms:
    """The distinct forms of the mentions of each label, as hashes.

    Args:
        hashes: by label, in order.
        lengths: of the forms in tokens, in order.
        salt_check: what tells whether another salt is the same one, and nothing else of it.
    """

    def __init__(
        self, hashes: Mapping[str, NDArray[np.uint64]], lengths: Sequence[int], salt_check: str
    ) -> None:
        self.hashes, self.lengths, self.salt_check = dict(hashes), tuple(lengths), salt_check

    @classmethod
    def of(cls, source: NerSource, salt: str, labels: Sequence[str]) -> HashedForms:
        """Hash the forms of some labels in the train split of a source."""
        key = salt_key(salt)
        hashes: dict[str, list[int]] = {label: [] for label in labels}
        lengths = set()
        for form, carried in forms_of(source).labels.items():
            for label in carried if len(form) <= LONGEST_FORM else ():
                if label in hashes:
                    hashes[label].append(_hash(form, key))
                    lengths.add(len(form))
        arrays = {label: np.array(sorted(set(own)), dtype=np.uint64) for label, own in hashes.items()}
        return cls(arrays, sorted(lengths), salt_check(salt))

    def overlaps(self, name: str, other: NerSource, salt: str) -> list[LabelOverlap]:
        """Return how another source, whose text is here, annotates those of these forms that occur in its train split.

        Raises:
            ConfigurationError: it is another salt.
        """
        if salt_check(salt) != self.salt_check:
            raise ConfigurationError(
                f"salt: the forms of {name} were hashed with another one. Both sides have to use one salt: agree on "
                "it, and make both bundles with it; or leave it out, and forms stay unknown."
            )
        forms = self._in_text(other, salt_key(salt))
        counts = occurrences_in(other, FormIndex({name: forms}))[name]
        overlaps = overlaps_of(name, other.name, forms, counts)
        for overlap in overlaps:
            overlap.forms = len(self.hashes[overlap.label.label])
        return overlaps

    def _in_text(self, source: NerSource, key: bytes) -> MentionForms:
        """Return the forms that occur in the text of a source, as words."""
        labels: dict[int, list[str]] = defaultdict(list)
        for label, own in self.hashes.items():
            for value in own.tolist():
                labels[value].append(label)
        carried: dict[tuple[str, ...], tuple[str, ...]] = {}
        for sentence in source.sentences("train"):
            tokens = sentence.tokens
            for length in self.lengths:
                for start in range(len(tokens) - length + 1):
                    form = tuple(tokens[start : start + length])
                    if form not in carried and (value := _hash(form, key)) in labels:
                        carried[form] = tuple(labels[value])
        return MentionForms(tuple(self.hashes), carried)


def salt_check(salt: str) -> str:
    """Return what is the same of two salts that are the same."""
    return blake2b(b"salt of forms", key=salt_key(salt), digest_size=8).hexdigest()


def salt_key(salt: str) -> bytes:
    """Return the key that a salt is.

    Raises:
        ConfigurationError: it is so short that it could be guessed; the message does not show it.
    """
    if not isinstance(salt, str) or len(salt.strip()) < SHORTEST_SALT:
        raise ConfigurationError(
            f"salt: expected a text of at least {SHORTEST_SALT} characters that both sides agree on, made at random. "
            "Make one, such as by `openssl rand -hex 32`."
        )
    return blake2b(salt.strip().encode("utf-8", "surrogatepass"), digest_size=_KEY).digest()


def _hash(form: Sequence[str], key: bytes) -> int:
    text = "\0".join(form).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, key=key, digest_size=8).digest(), "big")
