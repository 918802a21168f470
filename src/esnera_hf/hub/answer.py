"""Answers to evidence bundles: what their heads find on a text that stays where it is, as counts."""

from __future__ import annotations

import json
import os
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypedDict, cast

from esnera_hf._internal.checks import to_plain, within
from esnera_hf._internal.files import check_new_file, write_new_file
from esnera_hf._internal.json import read_json
from esnera_hf._internal.text import counted
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.hub.bundle_encoder import encoder_of
from esnera_hf.hub.evidence import Evidence
from esnera_hf.hub.evidence_file import DIGEST, LARGEST, RENAME, check_names, check_numbers, checked_record
from esnera_hf.hub.protection import check_support
from esnera_hf.sources.load import ANSWER_SUFFIX, SourceLike, load_source
from esnera_hf.taggers.light_heads import FEWEST, NO_MENTION, load_light_head, make_light_heads

FORMAT, VERSION = "esnera_hf.answer", 2
#: No pair of labels has more predictions.
_MOST = 10**12


class AnswerFacts(TypedDict):
    """The JSON of an answer.

    ``asked`` is the digest of the head of the bundle, ``asked_name`` the name of its
    source; ``counts`` are its predicted label, the gold label (``""`` for none), and how
    often; ``read`` are the mentions that were read, by label; ``forms`` are, by label of
    the bundle, the number of its forms, of those that occur in the text, and by gold label
    the share of these.
    """

    format: str
    version: int
    asked: str
    asked_name: str
    name: str
    labels: list[str]
    encoder_digest: str
    min_support: int
    counts: list[tuple[str, str, int]]
    read: dict[str, int]
    forms: dict[str, tuple[int, int, dict[str, float]]]


class Answer:
    """What the heads of a bundle predict on the text of another source, as counts.

    Args:
        facts: the counts, and what they were asked for.
    """

    def __init__(self, facts: AnswerFacts) -> None:
        self.facts = facts
        self.counts = Counter({(label, gold): count for label, gold, count in facts["counts"]})
        self.read = facts["read"]

    def __str__(self) -> str:
        right = sum(count for (_, gold), count in self.counts.items() if gold != NO_MENTION)
        forms = f"; {counted(len(self.facts['forms']), 'label')} by forms" if self.facts["forms"] else ""
        return (
            f"{self.facts['asked_name']} on {self.facts['name']}: {counted(self.counts.total(), 'span')} predicted, "
            f"{right:,} of them mentions there; {counted(len(self.counts), 'pair')} of labels counted{forms}"
        )

    @classmethod
    def from_source(
        cls,
        evidence: Evidence,
        source: SourceLike,
        *,
        encoder: str | os.PathLike[str] | None = None,
        seed: int = 42,
        min_support: int = FEWEST,
        salt: str | None = None,
    ) -> Answer:
        """Count what the heads of a bundle predict on a source.

        Args:
            evidence: the bundle of the other side.
            source: as for ``load_source``, or loaded; the name and seed are to be those of its own bundle.
            encoder: where the encoder of the bundle is; by its name on the Hub if not given.
            seed: of the sentences that are read.
            min_support: mentions of a label below which, if it is set higher than by default, its mentions count as
                mentions of no label.
            salt: the one that the forms in the bundle were hashed with.

        Raises:
            SourceNotFoundError, SourceError: the source cannot be found or read.
            EncoderError: the encoder cannot be loaded.
            ConfigurationError: it is another encoder or salt than that of the bundle, or an option is out of range.
        """
        check_support(min_support)
        loaded = load_source(source)
        name = encoder_of([evidence], encoder)
        if salt is not None and evidence.forms is None:
            raise ConfigurationError(
                f"salt: the bundle of {evidence.name} has no hashes of forms. Leave the salt out, or ask its owner for "
                "a bundle with them."
            )
        spans = load_light_head(make_light_heads([loaded], name, seed)[loaded.name])
        mentions = loaded.summary.entities["train"]
        rare = {
            label for label in loaded.labels if min_support > FEWEST and mentions.get(label, 0) < min_support
        }
        counts: Counter[tuple[str, str]] = Counter()
        for (label, gold), count in evidence.head.count_on(spans).items():
            counts[label, NO_MENTION if gold in rare else gold] += count
        overlaps = [] if salt is None or evidence.forms is None else evidence.forms.overlaps("", loaded, salt)
        facts: AnswerFacts = {
            "format": FORMAT,
            "version": VERSION,
            "asked": evidence.head.digest,
            "asked_name": evidence.name,
            "name": loaded.name,
            "labels": list(loaded.labels),
            "encoder_digest": evidence.facts["encoder_digest"],
            "min_support": min_support,
            "counts": [(label, gold, count) for (label, gold), count in sorted(counts.items())],
            "read": {label: count for label, count in spans.read.items() if label not in rare},
            "forms": {
                one.label.label: (
                    one.forms,
                    one.occurring,
                    {gold: share for gold, share in one.share.items() if gold not in rare},
                )
                for one in overlaps
            },
        }
        try:
            return cls(_checked(to_plain(facts)))
        except ValueError as error:
            raise ConfigurationError(
                f"{loaded.name!a}: nobody could read an answer of it: {error}. {RENAME}"
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the answer to a new file, whose name ends in ``.answer``.

        Raises:
            ConfigurationError: it has another ending, the file exists, or it cannot be written.
        """
        file = Path(path)
        check_new_file(file, ANSWER_SUFFIX)
        write_new_file(file, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the content of the file: the same of the same answer."""
        text = json.dumps(to_plain(self.facts), ensure_ascii=False, sort_keys=True, indent=1)
        return f"{text}\n".encode()

    @property
    def digest(self) -> str:
        """A digest of the file."""
        return blake2b(self.to_bytes(), digest_size=16).hexdigest()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Answer:
        """Read an answer.

        Raises:
            SourceError: there is no such file, or it is no answer, of another version, or damaged.
        """
        file = Path(os.path.expanduser(os.fspath(path)))
        try:
            if file.is_file() and file.stat().st_size > LARGEST:
                raise ValueError(f"expected at most {LARGEST:,} bytes")
            return cls(_checked(read_json(file, SourceError)))
        except ValueError as error:
            if isinstance(error, SourceError):
                raise
            raise SourceError(
                f"{file}: no answer that can be used: {str(error)[:300].rstrip('.')}. Copy it again from where it was "
                "written, or ask for it again with `esnera-hf answer`; nothing of it was used."
            ) from error


def _checked(data: Any) -> AnswerFacts:
    facts = cast(AnswerFacts, checked_record(AnswerFacts, data, FORMAT, VERSION))
    labels = facts["labels"]
    pairs = [(label, gold) for label, gold, _ in facts["counts"]]
    check_names(labels, facts["asked_name"], facts["name"], *facts["forms"], *dict(pairs))
    if len(set(pairs)) < len(pairs) or not {gold for _, gold in pairs} <= {*labels, NO_MENTION}:
        raise ValueError("counts: expected each pair of labels once, the second one of the source")
    if not all(within(count, 1, _MOST) for _, _, count in facts["counts"]):
        raise ValueError(f"counts: expected numbers from 1 to {_MOST:,}")
    check_numbers("read", facts["read"], labels, _MOST)
    for forms, occurring, shares in facts["forms"].values():
        right = set(shares) <= set(labels) and all(within(share, 0, 1) for share in shares.values())
        if not right or not 0 <= occurring <= forms <= _MOST or sum(shares.values()) > 1 + 1e-6:
            raise ValueError("forms: expected no more that occur than there are, and shares from 0 to 1")
    if not DIGEST.fullmatch(facts["asked"]) or not DIGEST.fullmatch(facts["encoder_digest"]):
        raise ValueError("asked, encoder_digest: expected 32 hexadecimal digits")
    return facts
