"""Answers: what the heads of a bundle find on a text that stays where it is; and bundles and answers of an alignment."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from esnera_hf._internal.checks import to_plain, within
from esnera_hf._internal.files import write_new_file
from esnera_hf._internal.json import read_json
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.hub.evidence import EVIDENCE_SUFFIX, Evidence
from esnera_hf.hub.evidence_file import DIGEST, LARGEST, MOST_LABELS, check_name, checked_record
from esnera_hf.sources.load import SourceLike, check_names, load_source, source_name
from esnera_hf.sources.overlap import LabelOverlap
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.light_heads import FEWEST, LAYERS, NO_MENTION, LightHead, load_light_head, make_light_heads
from esnera_hf.taggers.source_taggers import encoder_files
from esnera_hf.tagging import LabelRef

FORMAT, VERSION = "esnera_hf.answer", 1
#: A file whose name ends so is an answer.
ANSWER_SUFFIX = ".answer"
#: No pair of labels has more predictions.
_MOST = 10**12


class AnswerFacts(TypedDict):
    """The JSON of an answer.

    ``asked`` is the digest of the head of the bundle, ``asked_name`` the name of its
    source; ``counts`` are its predicted label, the gold label (``""`` for none), and how
    often; ``forms`` are, by label of the bundle, the number of its forms, of those that
    occur in the text, and by gold label the share of these.
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
    forms: dict[str, tuple[int, int, dict[str, float]]]


class Answer:
    """What the heads of a bundle predict on the text of another source, as counts.

    Args:
        facts: the counts, and what they were asked for.
    """

    def __init__(self, facts: AnswerFacts) -> None:
        self.facts = facts
        self.counts = Counter({(label, gold): count for label, gold, count in facts["counts"]})

    def __str__(self) -> str:
        found = sum(count for (_, gold), count in self.counts.items() if gold != NO_MENTION)
        forms = f"; {len(self.facts['forms'])} labels by forms" if self.facts["forms"] else ""
        return (
            f"{self.facts['asked_name']} on {self.facts['name']}: {self.counts.total():,} spans predicted, {found:,} "
            f"of them mentions there, {len(self.counts):,} counts{forms}"
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
        loaded = load_source(source)
        name = bundle_encoder([evidence]) if encoder is None else os.fspath(encoder)
        check_encoder([evidence], name)
        if salt is not None and evidence.forms is None:
            raise ConfigurationError(
                f"salt: the bundle of {evidence.name} has no hashes of forms. Leave the salt out, or ask its owner for "
                "a bundle with them."
            )
        spans = load_light_head(make_light_heads([loaded], name, seed)[loaded.name])
        mentions = loaded.summary.entities["train"]
        rare = {label for label in loaded.labels if FEWEST < min_support and mentions.get(label, 0) < min_support}
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
            "forms": {
                one.label.label: (
                    one.forms,
                    one.occurring,
                    {gold: share for gold, share in one.share.items() if gold not in rare},
                )
                for one in overlaps
            },
        }
        return cls(facts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the answer to a new file, whose name ends in ``.answer``.

        Raises:
            ConfigurationError: it has another ending, the file exists, or it cannot be written.
        """
        file = Path(path)
        if file.suffix != ANSWER_SUFFIX:
            raise ConfigurationError(f"{file}: expected a name that ends in {ANSWER_SUFFIX}. Add it.")
        text = json.dumps(to_plain(self.facts), ensure_ascii=False, sort_keys=True, indent=1)
        write_new_file(file, f"{text}\n".encode())

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
    if len(set(labels)) < len(labels) or not 0 < len(labels) <= MOST_LABELS:
        raise ValueError(f"labels: expected 1 to {MOST_LABELS:,}, each once")
    for text in (facts["asked_name"], facts["name"], *labels, *facts["forms"]):
        check_name(text)
    pairs = [(label, gold) for label, gold, _ in facts["counts"]]
    if len(set(pairs)) < len(pairs) or not {gold for _, gold in pairs} <= {*labels, NO_MENTION}:
        raise ValueError("counts: expected each pair of labels once, the second one of the source")
    if not all(within(count, 1, _MOST) for _, _, count in facts["counts"]):
        raise ValueError(f"counts: expected numbers from 1 to {_MOST:,}")
    for forms, occurring, shares in facts["forms"].values():
        right = set(shares) <= set(labels) and all(within(share, 0, 1) for share in shares.values())
        if not right or not 0 <= occurring <= forms <= _MOST or sum(shares.values()) > 1 + 1e-6:
            raise ValueError("forms: expected no more that occur than there are, and shares from 0 to 1")
    if not DIGEST.fullmatch(facts["asked"]) or not DIGEST.fullmatch(facts["encoder_digest"]):
        raise ValueError("asked, encoder_digest: expected 32 hexadecimal digits")
    return facts


def bundle_encoder(bundles: Sequence[Evidence]) -> str:
    """Return the encoder of bundles by its name on the Hub.

    Raises:
        ConfigurationError: it has none, so that it has to be said where it is.
    """
    name = bundles[0].facts["encoder"]
    if "/" not in name or os.path.exists(name):
        raise ConfigurationError(
            f"encoder: the evidence of {bundles[0].name} was made with {name!r}, a folder on the machine of its owner. "
            "Name your copy of it: --encoder PATH, encoder=."
        )
    return name


def check_encoder(bundles: Sequence[Evidence], encoder: str | None) -> None:
    """Check that all bundles were made with one encoder, that one if it is named.

    Raises:
        ConfigurationError: they were not; what their heads say can then not be compared.
    """
    first = bundles[0]
    digest = first.facts["encoder_digest"] if encoder is None else encoder_files(encoder)
    name = first.facts["encoder"] if encoder is None else encoder
    for bundle in bundles:
        theirs = bundle.facts
        if theirs["encoder_digest"] != digest:
            revision = f" at revision {theirs['encoder_revision']}" if theirs["encoder_revision"] else ""
            raise ConfigurationError(
                f"encoder: the evidence of {bundle.name} was made with {theirs['encoder']}{revision}, digest "
                f"{theirs['encoder_digest']}; {name} has digest {digest}. Use the same encoder on all sides: name it "
                "with --encoder, encoder=, or make the bundle again with this one."
            )
        if theirs["layers"] != LAYERS:
            raise ConfigurationError(
                f"layers={theirs['layers']}: the evidence of {bundle.name} was made with so many layers of the "
                f"encoder, and this version of esnera-hf uses {LAYERS}. Make it again with this version."
            )


class Exchange:
    """The bundles and answers among what is to be aligned.

    Args:
        sources: as for ``align``; bundles are :class:`Evidence`, or files or repositories of the Hub whose name ends in
            ``.evidence``, answers :class:`Answer` or files that end in ``.answer``.
    """

    def __init__(self, sources: Sequence[SourceLike | Evidence | Answer]) -> None:
        #: What is neither.
        self.texts: list[SourceLike] = []
        self.bundles: dict[str, Evidence] = {}
        self._answers: list[Answer] = []
        self._origins: dict[str, str] = {}
        for source in sources:
            text = os.fspath(source) if isinstance(source, (str, os.PathLike)) else ""
            if isinstance(source, Evidence) or text.partition("@")[0].endswith(EVIDENCE_SUFFIX):
                self._add(source if isinstance(source, Evidence) else text)
            elif isinstance(source, Answer) or text.endswith(ANSWER_SUFFIX):
                self._answers.append(source if isinstance(source, Answer) else Answer.load(text))
            else:
                self.texts.append(cast(SourceLike, source))

    def _add(self, source: str | Evidence) -> None:
        evidence, origin = source, ""
        if not isinstance(evidence, Evidence):
            name, equals, place = str(source).partition("=")
            renamed = bool(equals) and not os.path.exists(str(source))
            evidence, origin = Evidence.load(place if renamed else str(source)), str(source)
            evidence = evidence.named(name) if renamed else evidence
        if evidence.name in self.bundles:
            raise ConfigurationError(
                f"two bundles are called {evidence.name!r}. Give one another name: 'name=FILE{EVIDENCE_SUFFIX}'."
            )
        self.bundles[evidence.name] = evidence
        self._origins[evidence.name] = origin

    def joined(self, loaded: Sequence[NerSource]) -> list[NerSource]:
        """Return the loaded sources and those that came as bundles, sorted by name.

        Raises:
            ConfigurationError: two look alike, a bundle is not of the text of its name, or there are answers
                without a bundle.
        """
        texts = {source.name: source for source in loaded}
        for name, bundle in self.bundles.items():
            if name in texts and set(bundle.labels) != set(texts[name].labels):
                raise ConfigurationError(
                    f"{name}: the bundle of this name has other labels than the text, so it is not what was sent of "
                    "it. Give one of the two another name: 'name=PATH'."
                )
        if self._answers and not self.bundles:
            raise ConfigurationError(
                f"{self._answers[0].facts['name']}: an answer counts for the bundle of that source. Give it, too."
            )
        absent = [name for name in self.bundles if name not in texts]
        sources = [*loaded, *(self.bundles[name].as_source(self._origins[name]) for name in absent)]
        check_names(sources)
        return sorted(sources, key=lambda source: source.name)

    def answered(
        self, sources: Sequence[NerSource], encoder: str, seed: int
    ) -> dict[tuple[str, str], Answer]:
        """Return the answers by the names of the source that asked and of the one that answered.

        Raises:
            ConfigurationError: one is about other sources, other bundles of them, or another encoder.
        """
        if not self._answers:
            return {}
        texts = [source for source in sources if source.bundled is None and source.name not in self.bundles]
        heads = {name: bundle.head for name, bundle in self.bundles.items()}
        for name, artifact in make_light_heads(texts, encoder, seed).items() if texts else ():
            heads[name] = load_light_head(artifact).without_spans()
        by_digest = {head.digest: name for name, head in heads.items()}
        absent = {self.bundles[s.name].facts["name"]: s for s in sources if s.bundled is not None}
        answers: dict[tuple[str, str], Answer] = {}
        for answer in self._answers:
            facts = answer.facts
            asked, target = by_digest.get(facts["asked"]), absent.get(facts["name"])
            if asked is None:
                raise ConfigurationError(
                    f"an answer of {facts['name']} is to another bundle of {facts['asked_name']} than this one. Send "
                    "the bundle of now and ask again with `esnera-hf answer`, or give the bundle that was sent beside "
                    f"the text: {facts['asked_name']}{EVIDENCE_SUFFIX}."
                )
            if target is None or set(target.labels) != set(facts["labels"]):
                raise ConfigurationError(
                    f"an answer of {facts['name']} was given, and no bundle of a source of that name and these labels: "
                    f"expected one of {', '.join(sorted(absent)) or 'none'}. Give the bundle of {facts['name']}, too."
                )
            self._check(answer, asked, heads[asked])
            answers[asked, target.name] = answer
        return answers

    def _check(self, answer: Answer, asked: str, head: LightHead) -> None:
        facts = answer.facts
        own = next(iter(self.bundles.values())).facts["encoder_digest"]
        strange = {label for label, _ in answer.counts} - set(head.labels)
        if facts["encoder_digest"] != own or strange:
            raise ConfigurationError(
                f"the answer of {facts['name']} to {asked} was made with another encoder, or for other labels. Ask for "
                "it again with `esnera-hf answer`."
            )

    def overlaps(
        self, sources: Sequence[NerSource], answers: Mapping[tuple[str, str], Answer], salt: str | None
    ) -> list[LabelOverlap]:
        """Return the forms in common, as far as hashes tell.

        Raises:
            ConfigurationError: a salt is given that no bundle has hashes for, or another one than theirs.
        """
        overlaps = [
            LabelOverlap.of_shares(LabelRef(asked, label), target, *numbers)
            for (asked, target), answer in answers.items()
            for label, numbers in answer.facts["forms"].items()
        ]
        if salt is None:
            return overlaps
        absent = {source.name for source in sources if source.bundled is not None}
        hashed = {name: self.bundles[name].forms for name in sorted(absent)}
        if not any(hashed.values()):
            raise ConfigurationError(
                "salt: no bundle of the others has hashes of forms. Leave it out, or ask for bundles with them."
            )
        for name, forms in hashed.items():
            for source in sources if forms is not None else ():
                if source.name not in absent and forms is not None:
                    overlaps += forms.overlaps(name, source, salt)
        return overlaps


def is_bundle_or_answer(text: str) -> bool:
    """Tell whether a text names a bundle or an answer by its ending."""
    return text.endswith(ANSWER_SUFFIX) or text.partition("@")[0].endswith(EVIDENCE_SUFFIX)


def bundle_name(text: str) -> str:
    """Return what a source is called that is given as text, which may be a bundle; answers have no name."""
    return source_name(text)
