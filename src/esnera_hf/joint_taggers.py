"""The joint tagger in the cache, an encoder with a head a source."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.cache import Artefact
from esnera_hf.console import duration, say
from esnera_hf.mention_sums import add_chunks, keep_chunk, read_cached_sums
from esnera_hf.metrics import Scores
from esnera_hf.predictions import write_all_predictions
from esnera_hf.shares import make_by_all, own_chunks, own_share, progress, put_together, read_cached
from esnera_hf.similarity import LabelSums, sum_vectors
from esnera_hf.sources import NerSource
from esnera_hf.tagger_plan import TaggerPlan
from esnera_hf.taggers import CachedTagger, check_trainable, deciding, encoder_identity, library_versions
from esnera_hf.tagging import Entity

if TYPE_CHECKING:
    from esnera_hf.modeling import Tagger
    from esnera_hf.modeling.joint import JointTagger


@dataclass(frozen=True)
class CachedHead(CachedTagger):
    """The head of one source of a joint tagger in the cache.

    Attributes:
        name: of the source.
        artefact: where the joint tagger lies.
        seconds: its share of the training time; 0 if it had been trained before.
        names: of all heads, in order.
    """

    names: tuple[str, ...]

    @cached_property
    def record(self) -> dict[str, Any]:
        """How the training went, as seen from this source: ``history``, ``arguments``, ``validation``."""
        from esnera_hf.modeling.joint import head_record
        from esnera_hf.modeling.tagger import read_record

        return head_record(read_record(self.artefact.folder), self.name)

    def load(self) -> Tagger:
        """Load the tagger of this source."""
        from esnera_hf.modeling.joint import JointTagger

        return JointTagger.from_pretrained(self.artefact.folder).head(self.name)

    def predictions(self, source: NerSource, split: str) -> Iterator[list[Entity]]:
        """Yield the predicted entities of each sentence; all heads predict at once, and all of it is kept."""
        file = _predictions_file(self.names.index(self.name))
        return read_cached(self._reading(source, split), file)

    def mention_sums(self, source: NerSource) -> LabelSums:
        """Return the sums of the tuned encoder's mention vectors of a train split, from the pass that predicts."""
        return read_cached_sums(self._reading(source, "train"))

    def _reading(self, source: NerSource, split: str) -> Artefact:
        """Return what all heads find in a split, and the sums of its mentions' vectors, read now or before."""
        identity = {"joint": self.artefact.key, "sentences": source.fingerprint, "split": split}
        artefact = Artefact("readings", identity)
        files = [_predictions_file(head) for head in range(len(self.names))]
        bar = len(source.dataset[split]), f"joint tagger reads {source.name} {split}"

        def work() -> None:
            from esnera_hf.modeling.joint import JointTagger

            share = own_share(artefact)
            tagger = JointTagger.from_pretrained(self.artefact.folder)

            def rows() -> Iterator[list[list[Entity]]]:
                for number, chunk in own_chunks(source.sentences(split)):
                    predicted, vectors = tagger.read(chunk)
                    keep_chunk(sum_vectors(vectors), share, number)
                    yield from ([found[name] for name in self.names] for found in predicted)

            write_all_predictions([share / file for file in files], progress(rows(), *bar))

        def save(_: None, folder: Path) -> None:
            put_together(artefact, files, folder)
            add_chunks(artefact, folder)

        make_by_all(artefact, work, save)
        return artefact


def _predictions_file(head: int) -> str:
    return f"predictions-{head}.parquet"


def joint_taggers(sources: Sequence[NerSource], plan: TaggerPlan) -> dict[str, CachedHead]:
    """Return the heads of the joint tagger of sources, trained now or before; an interrupted training goes on.

    Raises:
        ConfigurationError: a source has nothing to train on or to choose by.
        EncoderError: the encoder cannot be loaded.
    """
    for source in sources:
        check_trainable(source)
    from esnera_hf.modeling.joint_training import fit_joint_tagger

    ordered = _in_order(sources)
    artefact = joint_artefact(sources, plan)
    started = time.perf_counter()

    def train() -> JointTagger:
        return fit_joint_tagger(ordered, plan.encoder, artefact.unfinished, plan.training)

    trained = make_by_all(artefact, train, lambda fitted, folder: fitted.save_pretrained(folder))
    seconds = time.perf_counter() - started if trained else 0.0
    names = tuple(source.name for source in ordered)
    heads = {name: CachedHead(name, artefact, seconds / len(names), names) for name in names}
    how = f"trained in {duration(seconds)}" if trained else "trained before, reused"
    say(f"joint tagger of {', '.join(names)} {how}")
    for name in names:
        say(
            f"{name}: head of the joint tagger; validation {Scores.from_dict(heads[name].record['validation'])}"
        )
    return heads


def joint_artefact(sources: Sequence[NerSource], plan: TaggerPlan) -> Artefact:
    """Return where the joint tagger of sources is kept, by everything that decides its weights."""
    from esnera_hf.modeling.arguments import joint_settings
    from esnera_hf.modeling.pretrained import hidden_size

    sentences = sum(len(source.dataset["train"]) for source in sources)
    settings = {**joint_settings(hidden_size(plan.encoder), sentences), **plan.training}
    identity = {
        "sources": [[source.name, source.fingerprint, list(source.labels)] for source in _in_order(sources)],
        "encoder": encoder_identity(plan.encoder),
        "training": deciding(settings),
        "versions": library_versions(),
    }
    return Artefact("joint_taggers", identity)


def _in_order(sources: Sequence[NerSource]) -> list[NerSource]:
    """Return sources in the order of their names, which is that of the heads."""
    return sorted(sources, key=lambda source: source.name)
