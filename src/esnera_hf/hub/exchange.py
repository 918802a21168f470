"""The bundles and answers of an alignment: what is known of sources whose text is elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from esnera_hf._internal.console import say
from esnera_hf.alignment.constraints import Constraints, SchemaSettings, TargetSchema, build_constraints
from esnera_hf.errors import ConfigurationError
from esnera_hf.hub.answer import Answer
from esnera_hf.hub.atlas import Atlas, joined
from esnera_hf.hub.bundle_encoder import encoder_of
from esnera_hf.hub.evidence import Evidence
from esnera_hf.report.call import CallFacts
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.load import (
    ANSWER_SUFFIX,
    EVIDENCE_SUFFIX,
    SourceLike,
    check_names,
    is_bundle,
    load_sources,
)
from esnera_hf.sources.overlap import LabelOverlap, MentionOverlap, mention_overlap
from esnera_hf.sources.shared_sentences import SharedSentences
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.identity import default_encoder
from esnera_hf.taggers.light_heads import NO_MENTION, LightHead, load_light_head, make_light_heads
from esnera_hf.taggers.source_taggers import SourceTagger
from esnera_hf.tagging import LabelRef

#: What is aligned: a source, or what is known of one whose text is elsewhere.
AlignedLike = SourceLike | Evidence | Answer


class Exchange:
    """The bundles and answers among what is to be aligned.

    Args:
        sources: as for ``align``; bundles are :class:`Evidence`, or files or repositories of the Hub whose name ends in
            ``.evidence``, answers :class:`Answer` or files that end in ``.answer``.
        to: an atlas, whose corpora are aligned with these, but for those of the same names.

    Raises:
        SourceNotFoundError, SourceError, HubError: a bundle or an answer cannot be read.
        ConfigurationError: two bundles have one name.
    """

    def __init__(
        self, sources: Sequence[AlignedLike], to: Atlas | str | os.PathLike[str] | None = None
    ) -> None:
        self.bundles: dict[str, Evidence] = {}
        self.atlas = to if isinstance(to, Atlas) or to is None else Atlas.load(to)
        self._place = None if to is None else "an atlas" if isinstance(to, Atlas) else os.fspath(to)
        self._texts, self._origins, self._answers = sources, dict[str, str](), list[Answer]()
        self._sources: list[NerSource] = []
        if isinstance(sources, Sequence) and not isinstance(sources, str):
            self._texts = [source for source in sources if not self._take(source)]

    def _take(self, source: AlignedLike) -> bool:
        """Take a bundle or an answer; tell whether it is one."""
        origin = ""
        if is_bundle(source):
            origin = os.fspath(cast(str, source))
            source = Answer.load(origin) if origin.endswith(ANSWER_SUFFIX) else Evidence.load(origin)
        if isinstance(source, Answer):
            self._answers.append(source)
        elif isinstance(source, Evidence):
            if source.name in self.bundles:
                raise ConfigurationError(
                    f"two bundles are called {source.name!r}. Give one another name: 'name=FILE{EVIDENCE_SUFFIX}'."
                )
            self.bundles[source.name], self._origins[source.name] = source, origin
        return isinstance(source, Evidence | Answer)

    def load(self, max_samples: int | None, seed: int) -> list[NerSource]:
        """Return the sources, sorted by name; those that came as bundles have no sentence.

        Raises:
            SourceNotFoundError, SourceError: one cannot be found or read.
            ConfigurationError: fewer than two, two that look alike, a bundle that is not of the text of its name, or
                an answer without a bundle.
        """
        loaded = load_sources(
            cast(Sequence[SourceLike], self._texts),
            max_samples,
            seed,
            least=0 if self.bundles else 1 if self.atlas else 2,
        )
        texts = {source.name: source for source in loaded}
        for name in self.bundles.keys() & texts.keys():
            _check_sent(self.bundles[name], texts[name])
        if self._answers and not self.bundles:
            raise ConfigurationError(
                f"{self._answers[0].facts['name']}: an answer counts for the bundle of that source. Give it, too."
            )
        if self.atlas is not None:
            own = texts.keys() | self.bundles.keys()
            if own >= self.atlas.bundles.keys():
                raise ConfigurationError(
                    f"to: the atlas holds {', '.join(self.atlas.bundles)} alone, which are given. Expected an atlas of "
                    "other corpora; give a source another name if it is another one: 'name=PATH'."
                )
            self.atlas = self.atlas.without(own & self.atlas.bundles.keys())
            self.bundles |= self.atlas.bundles
        absent = [name for name in self.bundles if name not in texts]
        sources = [*loaded, *(self.bundles[name].as_source(self._origins.get(name, "")) for name in absent)]
        if len(sources) < 2:
            raise ConfigurationError(
                f"sources: expected at least two to align, found {sources[0].name}. Add one."
            )
        check_names(sources)
        self._sources = sorted(sources, key=lambda source: source.name)
        return self._sources

    def encoder(self, encoder: str | os.PathLike[str] | None, kind: str | None) -> str:
        """Return the encoder to use: the one of the bundles, by its name on the Hub, if none is given.

        Args:
            encoder: folder or Hub id, if one is given.
            kind: of the evidence that labels are compared by.

        Raises:
            ConfigurationError: bundles were made with another one, or are no evidence of that kind.
        """
        if not self.bundles:
            return default_encoder(self._sources) if encoder is None else os.fspath(encoder)
        if kind != "frozen":
            raise ConfigurationError(
                f"evidence={kind!r}: {', '.join(sorted(self.bundles))} came as evidence bundles, which hold light "
                "heads on a frozen encoder. Compare by evidence='frozen' and method='equivalence', or give the texts."
            )
        reads = any(source.bundled is None for source in self._sources)
        return encoder_of(list(self.bundles.values()), encoder, reads=reads)

    def constraints(self, target_schema: TargetSchema | None, schema: SchemaSettings) -> Constraints:
        """Return what the user asks of the groups of labels, and that the labels of the atlas stay in its tree.

        Args:
            target_schema, schema: as for ``align``.

        Raises:
            ConfigurationError: it contradicts itself, or other lines than those of the atlas are to be kept, too.
            MappingError: the locked mapping cannot be read.
        """
        if self.atlas is not None:
            if schema.locked is not None:
                raise ConfigurationError(
                    "to, locked: an atlas keeps the lines of its own tree. Leave one of the two out."
                )
            tree = self.atlas.mapping
            entries = tuple(replace(entry, locked=True) for entry in tree.entries)
            schema = replace(schema, locked=replace(tree, entries=entries))
        labels = [ref for source in self._sources for ref in source.label_refs]
        return build_constraints(labels, target_schema, schema)

    def measure(
        self,
        sources: Sequence[NerSource],
        settings: EvidenceSettings,
        encoder: str,
        taggers: Mapping[str, SourceTagger],
        shared: SharedSentences,
        seed: int,
    ) -> tuple[SimilarityMatrix, MentionOverlap]:
        """Return the similarities, with what bundles, answers and the atlas tell, and the overlap of mentions.

        Args:
            sources: of :meth:`load`, or samples of them; mentions are looked for in all of the text.
            settings, encoder, taggers, shared, seed: as for ``measure_similarity``.

        Raises:
            EncoderError: the encoder cannot be loaded.
            ConfigurationError: an answer is about other sources, bundles or another encoder, or a salt is given that no
                bundle has hashes for, or another one than theirs.
        """
        answers = self._placed_answers(encoder, seed)
        screened = self._overlap(answers, settings.salt)
        matrix = measure_similarity(
            sources,
            settings,
            encoder,
            taggers,
            screened=screened,
            shared=shared,
            seed=seed,
            bundles=self.bundles,
            answers=answers,
        )
        return matrix if self.atlas is None else joined(self.atlas.matrix, matrix), screened

    @property
    def aligned(self) -> list[NerSource]:
        """The sources of :meth:`load`, without the corpora of the atlas."""
        of_atlas = () if self.atlas is None else self.atlas.bundles
        return [source for source in self._sources if source.name not in of_atlas]

    def facts(self, salt: str | Mapping[str, str] | None) -> dict[str, Any]:
        """Return what a report tells of atlas, answers and salt, of which it holds nothing."""
        answers = tuple(sorted(answer.digest for answer in self._answers))
        return {"to": self._place, "answers": answers, "salted": bool(salt)}

    def _placed_answers(self, encoder: str, seed: int) -> dict[tuple[str, str], Answer]:
        """Return the answers by the names of the source that asked and of the one that answered."""
        if not self._answers:
            return {}
        heads = {name: bundle.head for name, bundle in self.bundles.items()}
        texts = [source for source in self._sources if source.bundled is None and source.name not in heads]
        for name, artifact in make_light_heads(texts, encoder, seed).items() if texts else ():
            heads[name] = load_light_head(artifact).without_spans()
        answers: dict[tuple[str, str], Answer] = {}
        for answer in self._answers:
            asked, target = self._placed(answer, heads)
            if (asked, target) in answers:
                raise ConfigurationError(f"there are two answers of {target} to {asked}. Give one of them.")
            answers[asked, target] = answer
        return answers

    def _placed(self, answer: Answer, heads: Mapping[str, LightHead]) -> tuple[str, str]:
        """Return the names of the source that asked and of the one that answered."""
        facts = answer.facts
        matching = [name for name, head in heads.items() if head.digest == facts["asked"]]
        if not matching:
            raise ConfigurationError(
                f"an answer of {facts['name']} is to another bundle of {facts['asked_name']} than this one. Send "
                "the bundle of now and ask again with `esnera-hf answer`, or give the bundle that was sent beside "
                f"the text: {facts['asked_name']}{EVIDENCE_SUFFIX}."
            )
        # Heads that tell no label from another are all alike.
        asked = facts["asked_name"] if facts["asked_name"] in matching else matching[0]
        absent = {
            source.name: self.bundles[source.name]
            for source in self._sources
            if source.bundled is not None and source.name != asked
        }
        targets = [
            name
            for name, bundle in absent.items()
            if facts["name"] in (name, bundle.owner_name) and set(bundle.labels) == set(facts["labels"])
        ]
        if not targets:
            raise ConfigurationError(
                f"an answer of {facts['name']} to {asked} was given, and no bundle of a source of that name and these "
                f"labels: expected one of {', '.join(sorted(absent)) or 'none'}. Give the bundle of {facts['name']}, "
                "too."
            )
        if len(targets) > 1:
            raise ConfigurationError(
                f"an answer of {facts['name']} to {asked} may be of {' or '.join(targets)}. Ask for bundle and answer "
                "of one of them under another name: 'name=PATH'."
            )
        target = targets[0]
        asking = next(source for source in self._sources if source.name == asked)
        strange = {label for label, _ in answer.counts} - (set(heads[asked].labels) - {NO_MENTION})
        strange |= facts["forms"].keys() - set(asking.labels)
        if facts["encoder_digest"] != absent[target].facts["encoder_digest"] or strange:
            raise ConfigurationError(
                f"the answer of {facts['name']} to {asked} was made with another encoder, or for other labels. Ask "
                "for it again with `esnera-hf answer`."
            )
        return asked, target

    def _overlap(
        self, answers: Mapping[tuple[str, str], Answer], salt: str | Mapping[str, str] | None
    ) -> MentionOverlap:
        """Return the overlap of mentions, with that of hashed forms as far as salt and answers give it."""
        screened = mention_overlap(self._sources)
        hashed = {
            source.name: forms
            for source in self._sources
            if source.bundled is not None and (forms := self.bundles[source.name].forms) is not None
        }
        salts = salt if isinstance(salt, Mapping) else dict.fromkeys(hashed or [""], salt) if salt else {}
        if strange := sorted(salts.keys() - hashed.keys()):
            which = f"the bundle of {strange[0]}" if strange[0] else "no bundle of another source"
            has = "is not given, or has no" if strange[0] else "has"
            raise ConfigurationError(
                f"salt: {which} {has} hashes of forms. Leave it out, or ask for bundles with them."
            )
        more = [
            LabelOverlap.of_shares(LabelRef(asked, label), target, *numbers)
            for (asked, target), answer in answers.items()
            for label, numbers in answer.facts["forms"].items()
        ]
        for name, salt in salts.items():
            for source in self._sources:
                if source.bundled is None:
                    more += hashed[name].overlaps(name, source, salt)
        measured = {(one.label, one.other): one for one in (*screened.overlaps, *more)}
        return MentionOverlap(tuple(measured.values()), screened.conflicts)


def check_answers(call: CallFacts, sources: Sequence[AlignedLike], *, salted: bool) -> None:
    """Check that what cannot be read from a report is given to make its result again.

    Raises:
        ConfigurationError: other answers are given, or a salt is missing.
    """
    answers = Exchange(sources).facts(None)["answers"]
    if answers != call.answers:
        raise ConfigurationError(
            f"the report was made with the answers {', '.join(call.answers) or 'of nobody'} (digests), and "
            f"{', '.join(answers) or 'none'} is given. Give the files NAME.answer of these digests among the sources."
        )
    if call.salted and not salted:
        raise ConfigurationError(
            "the report was made with forms compared by salted hashes, and it does not hold the salt. Give it: --salt "
            "NAME, salt=."
        )


def _check_sent(bundle: Evidence, text: NerSource) -> None:
    """Check that a bundle is what was sent of the text that has its name."""
    if set(bundle.labels) != set(text.labels):
        raise ConfigurationError(
            f"{text.name}: the bundle of this name has other labels than the text, so it is not what was sent of it. "
            "Give one of the two another name: 'name=PATH'."
        )
    counts = text.summary.entities["train"]
    other = [label for label, count in bundle.mentions.items() if count not in (0, counts.get(label, 0))]
    if other and text.max_samples is None:
        say(
            f"{text.name}: the bundle of this name counts {bundle.mentions[other[0]]:,} mentions of {other[0]}, the "
            f"text {counts.get(other[0], 0):,}. It is taken for what was sent of an earlier state of this text. If it "
            "is of another source, give one of the two another name, 'name=PATH': it is not aligned otherwise.",
            "warning",
        )
