"""``align``: the whole method in one call."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, DatasetDict

from esnera_hf.alignment import check_tau, greedy_merge_path, mapping_from_path
from esnera_hf.console import duration, quiet_libraries, say
from esnera_hf.errors import ConfigurationError
from esnera_hf.evidence import EvidenceSettings, check_trainable, gather_evidence, tagger_folder
from esnera_hf.merging import find_leaks, merge_sources
from esnera_hf.report import build_report
from esnera_hf.result import MergeResult
from esnera_hf.similarity import check_lambda
from esnera_hf.sources import NerSource, check_names, load_source

CHINESE_ENCODER = "hfl/chinese-bert-wwm-ext"
MULTILINGUAL_ENCODER = "FacebookAI/xlm-roberta-base"

SourceLike = str | os.PathLike[str] | NerSource


def align(
    sources: Sequence[SourceLike],
    *,
    encoder: str | os.PathLike[str] | None = None,
    lam: float = 0.4,
    tau: float = 0.4,
    sentences: int | None = None,
    seed: int = 42,
    evidence: EvidenceSettings | None = None,
) -> MergeResult:
    """Find which labels of several NER datasets mean the same and merge the datasets.

    Args:
        sources: two or more known names, paths, ``"name=path"``, Hub dataset ids
            or loaded sources. Their order does not matter.
        encoder: folder or Hub id of a pretrained encoder; a Chinese BERT if all
            sources are Chinese, a multilingual one otherwise.
        lam: λ, the weight of the empirical similarity, in [0, 1].
        tau: τ; a label joins its best match if their similarity exceeds it.
        sentences: use at most so many sentences a split of each source.
        seed: for the choice of sentences and for training.
        evidence: how similarities are measured and taggers trained.

    Returns:
        Merged dataset, mapping, similarities and report.

    Raises:
        SourceNotFoundError: a source cannot be found.
        SourceError: a source cannot be read.
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: fewer than two sources, one twice, or a parameter out
            of range.
    """
    check_lambda(lam)
    check_tau(tau)
    evidence = evidence or EvidenceSettings()
    started = time.perf_counter()
    with quiet_libraries():
        loaded = load_all(sources, sentences, seed)
        chosen = os.fspath(encoder) if encoder is not None else default_encoder(loaded)
        settings = EvidenceSettings(evidence.match, evidence.centre, {"seed": seed, **evidence.training})
        reading = time.perf_counter() - started
        announce_cost(loaded, chosen, settings.training)
        found = gather_evidence(loaded, chosen, settings)
        path = greedy_merge_path(found.matrix, lam, tau)
        mapping = mapping_from_path(path, found.matrix)
        merging = time.perf_counter()
        leaks = find_leaks(loaded)
        dataset = merge_sources(loaded, mapping, leaks)
    seconds = {
        "reading": reading,
        **found.seconds,
        "merging": time.perf_counter() - merging,
        "total": time.perf_counter() - started,
    }
    facts = {
        "encoder": chosen,
        "lambda": lam,
        "tau": tau,
        "seed": seed,
        "sentences": sentences,
        "match": evidence.match,
        "centre": evidence.centre,
        "training": dict(evidence.training),
    }
    report = build_report(loaded, found.taggers, path, facts, seconds, leaks)
    return MergeResult(dataset, mapping, found.matrix, report)


def check_sentences(sentences: int | None) -> None:
    """Check the number of sentences to sample.

    Raises:
        ConfigurationError: it is not positive.
    """
    if sentences is not None and sentences < 1:
        raise ConfigurationError(f"sentences={sentences}: expected a positive number.")


def load_all(sources: Sequence[SourceLike], sentences: int | None, seed: int) -> list[NerSource]:
    """Load sources, sorted by name, sampled if asked.

    Raises:
        ConfigurationError: fewer than two, or two that cannot be told apart.
    """
    if isinstance(sources, (str, os.PathLike)) or len(sources) < 2:
        raise ConfigurationError(f"sources={sources!r}: expected a list of at least two sources to align.")
    check_sentences(sentences)
    for source in sources:
        if isinstance(source, (Dataset, DatasetDict)):
            raise ConfigurationError("a Dataset has no name: pass load_source(dataset, name=…) instead.")
    given = [source for source in sources if not isinstance(source, NerSource)]
    doubled = sorted({os.fspath(s) for s in given if given.count(s) > 1})
    if doubled:
        raise ConfigurationError(f"given twice: {', '.join(doubled)}. Name each source once.")
    loaded = [source if isinstance(source, NerSource) else load_source(source) for source in sources]
    check_names(loaded)
    if sentences is not None:
        loaded = [source.sample(sentences, seed) for source in loaded]
    return sorted(loaded, key=lambda source: source.name)


def default_encoder(sources: Sequence[NerSource]) -> str:
    """Return the default encoder for the languages of the sources."""
    return CHINESE_ENCODER if all(s.language.startswith("zh") for s in sources) else MULTILINGUAL_ENCODER


def announce_cost(
    sources: Sequence[NerSource], encoder: str, training: Mapping[str, Any], *, similarities: bool = True
) -> None:
    """Say how long training, and measuring similarities, will take at most, if that is more than a minute."""
    from esnera_hf.modeling.cost import estimate_cost

    for source in sources:
        check_trainable(source)
    trained = {s.name for s in sources if tagger_folder(s, encoder, training).is_dir()}
    cost = estimate_cost(sources, encoder, training, trained)
    if cost.seconds <= 60:
        return
    work = (
        f"taggers to train: {len(sources) - len(trained)} (up to {duration(cost.training)}; early stopping may "
        "end sooner)"
    )
    if similarities:
        work += f", prediction passes: {len(sources) * (len(sources) - 1)}, encoding passes: {len(sources)}"
    say(
        f"At most about {duration(cost.seconds)} on {cost.device}; {work}. "
        "Ctrl-C is safe: the same command goes on where it stopped."
    )
