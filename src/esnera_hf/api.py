"""``align``: the whole method in one call; ``apply``: a mapping that is there already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from esnera_hf._internal.checks import from_plain, to_plain
from esnera_hf._internal.console import StepTimes, quiet_libraries, say
from esnera_hf._internal.json import read_json
from esnera_hf._internal.memory import needed_memory, warn_of_memory
from esnera_hf.alignment.constraints import Constraints, TargetSchema, load_locked
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import MergeHistory
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.alignment.mapping_diff import decided_anew
from esnera_hf.alignment.naming import with_reasons
from esnera_hf.alignment.questions import find_questions
from esnera_hf.alignment.search import Objective, merge_greedily
from esnera_hf.alignment.umbrellas import add_umbrellas
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import (
    OutputSettings,
    evaluate_taggers,
    find_pseudo_labels,
    try_mapping,
)
from esnera_hf.hub.atlas import Atlas
from esnera_hf.hub.exchange import AlignedLike, Exchange, check_answers
from esnera_hf.hub.recipe import Recipe, find_recipe
from esnera_hf.merging.merge import MergedData, merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.report.build import all_at_once, build_report, with_pairs
from esnera_hf.report.call import CallFacts, checked_call, is_published, local_paths, on_hub
from esnera_hf.report.files import REPORT_FILE
from esnera_hf.report.report import MergeReport
from esnera_hf.result import MergeResult
from esnera_hf.settings import AlignSettings, Method
from esnera_hf.similarity.disagreement import find_disagreements
from esnera_hf.similarity.evidence import EvidenceKind
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.duplicates import find_pairs
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.load import SourceLike, is_bundle, load_source, load_sources, source_name
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.shared_sentences import compare_shared
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.encoder_fit import EncoderFit, measure_fits
from esnera_hf.taggers.identity import default_encoder, encoder_files
from esnera_hf.taggers.settings import TaggerSettings
from esnera_hf.taggers.source_taggers import train_cached, train_source_taggers

EncoderLike = str | os.PathLike[str]


def align(
    sources: Sequence[AlignedLike],
    *,
    encoder: EncoderLike | None = None,
    method: Method = "equivalence",
    evidence: EvidenceKind | None = None,
    target_schema: TargetSchema | None = None,
    to: Atlas | str | os.PathLike[str] | None = None,
    max_samples: int | None = None,
    seed: int = 42,
    settings: AlignSettings | None = None,
) -> MergeResult:
    """Find which labels of several NER datasets mean the same and merge the datasets.

    Args:
        sources: two or more known names, paths, ``"name=path"``, Hub dataset ids or loaded sources, in any order; of a
            source whose text is elsewhere its evidence bundle (:class:`~esnera_hf.Evidence`, or a name that ends in
            ``.evidence``), and answers to bundles (``.answer``).
        encoder: folder or Hub id of a pretrained encoder; that of the bundles, if there are any; else a Chinese BERT if
            all sources are Chinese, a multilingual one otherwise.
        method: ``equivalence`` merges labels that are most probably equal, all at once, and makes what is most probably
            a part of another label its child; ``greedy`` merges along a path, as the paper does (``settings.greedy``).
        evidence: what labels are compared by: ``frozen``, light heads on an encoder that is not trained; ``taggers``,
            which are trained for it; ``surface``, names and mention forms, without an encoder. ``taggers`` for
            ``greedy``, else ``frozen``, if not given.
        target_schema: the schema to merge into: a source; names that some labels bear; or names with the labels that
            define them, ``{"ORG": ["cluener:company"]}``.
        to: an atlas, its folder or ``owner/name`` on the Hub: labels take their places in its tree, and one source
            suffices. The text of its corpora is not here, so the dataset holds your sources alone.
        max_samples: use at most so many sentences per split of each source.
        seed: for the choice of sentences and for training.
        settings: everything else.

    Raises:
        SourceNotFoundError, SourceError, EncoderError, MappingError: a source, the encoder or the locked mapping cannot
            be found or read.
        ConfigurationError: fewer than two sources, one twice, a setting out of range, or contradicting constraints.
    """
    settings = _expect(settings or AlignSettings(), AlignSettings, "settings").checked(method, evidence, seed)
    times = StepTimes()
    with quiet_libraries():
        exchange = Exchange(sources, to)
        loaded = exchange.load(max_samples, seed)
        texts = [source for source in loaded if source.bundled is None]
        constraints = exchange.constraints(target_schema, settings.schema)
        by_taggers = settings.evidence.kind == "taggers" or method == "greedy"
        encoder = exchange.encoder(encoder, "taggers" if by_taggers else settings.evidence.kind)
        reads = by_taggers or settings.evidence.kind != "surface"
        fits = _check_encoder(texts, encoder, seed, reads=reads, trains=by_taggers or settings.output.trains)
        pairs = find_pairs(loaded)
        leaks, shared = find_leaks(loaded, pairs), compare_shared(loaded, pairs)
        times.end("reading")
        # Trials train a tagger each, so the search may go by a sample; all sentences are merged in the end.
        size = settings.greedy.max_samples
        measured = loaded if size is None else [source.sample(size, seed) for source in loaded]
        taggers = train_source_taggers(measured, encoder, settings.taggers, leaks) if by_taggers else {}
        times.end("training")
        matrix, screened = exchange.measure(measured, settings.evidence, encoder, taggers, shared, seed)
        times.end("similarity")
        train = partial(train_cached, encoder, settings.taggers.training)
        trial = partial(try_mapping, measured, taggers, settings.greedy, settings.output.threshold, train)
        mapping, history = _merge_labels(method, loaded, matrix, constraints, settings, trial)
        times.end("merging labels")
        output = settings.output.for_mapping(mapping)
        compared = settings.taggers.compared(output.compare)
        if output.needs_taggers and (size is not None or not taggers or compared != settings.taggers):
            measured, taggers = texts, train_source_taggers(texts, encoder, compared, leaks)
            times.end("training")
        pseudo = find_pseudo_labels(texts, mapping, taggers, output.threshold, leaks)
        merged = MergedData(merge_sources(loaded, mapping, leaks, pseudo), leaks, pseudo)
        times.end("merging")
        scores, systems, folder = evaluate_taggers(measured, mapping, merged, taggers, output, train)
        second = taggers if settings.evidence.kind != "taggers" else {}
        disagreements = find_disagreements(matrix, measured, second, settings.schema.min_precision)
        times.end("evaluation")
        report = build_report(loaded, mapping, merged, matrix=matrix, history=history)
        questions = find_questions(matrix, mapping, constraints, screened, shared)
        report = replace(report, questions=questions, disagreements=disagreements, encoder_fits=fits)
    used = encoder if texts and (taggers or systems or settings.evidence.kind != "surface") else None
    facts = {"method": method, "target_schema": target_schema, "max_samples": max_samples, "seed": seed}
    facts |= exchange.facts(settings.evidence.salt)
    call = _call("align", exchange.aligned, replace(settings, output=output), encoder=used, **facts)
    report = replace(with_pairs(report, mapping, matrix), taggers=scores, systems=systems)
    return MergeResult(merged.dataset, mapping, matrix, _completed(report, call, loaded, times), folder)


def apply(
    mapping: LabelMapping | str | os.PathLike[str],
    sources: Sequence[SourceLike],
    *,
    encoder: EncoderLike | None = None,
    max_samples: int | None = None,
    seed: int = 42,
    output: OutputSettings | None = None,
    taggers: TaggerSettings | None = None,
) -> MergeResult:
    """Merge sources by a mapping, such as an edited ``mapping.yaml``; nothing is measured or searched.

    What was published, with or without its text, is made again from your own copies
    of its sources, and compared: ``comparison`` of the result says whether it is the
    same dataset, and which sentences differ.

    Args:
        mapping: the mapping, the path of its file, or ``owner/name`` of a published
            dataset or recipe on the Hub, at ``@revision`` if wished. A mapping may map
            more sources than are given.
        sources: as for :func:`align`; one is enough.
        encoder: of the taggers, if ``output`` asks for any.
        max_samples: use at most so many sentences per split of each source.
        seed: for the choice of sentences and for training.
        output: pseudo-labels and a merged tagger; neither if not given.
        taggers: how the taggers of the sources are trained, if ``output`` asks for any.

    Returns:
        Merged dataset, mapping and report; the similarities are ``None``. The
        mapping counts the mentions of these sources.

    Raises:
        MappingError: the mapping or what was published cannot be read, or does not
            fit the sources; it says where.
        HubError: what was published cannot be fetched.
        SourceNotFoundError, SourceError: a source cannot be found or read.
        ConfigurationError: a setting is out of range.
    """
    output = _expect(output or OutputSettings(), OutputSettings, "output").for_evidence(None)
    chosen = _expect(taggers or TaggerSettings(), TaggerSettings, "taggers").with_seed(seed)
    rules, recipe = _read_mapping(mapping)
    if recipe is not None and output.pseudo_label_threshold is not None:
        raise ConfigurationError(
            "pseudo_label_threshold: what was published has its own pseudo-labels. Leave it out."
        )
    times = StepTimes()
    with quiet_libraries():
        loaded = load_sources(sources, max_samples, seed)
        pseudo: PseudoLabels | None = None
        if recipe is None:
            rules = _fitted(rules, loaded)
        else:
            loaded, pseudo, differences = recipe.cut(loaded)
        leaks = find_leaks(loaded)
        times.end("reading")
        output = output.for_mapping(rules)
        encoder = default_encoder(loaded) if encoder is None else os.fspath(encoder)
        compared = chosen.compared(output.compare)
        fits = _check_encoder(loaded, encoder, seed, reads=False, trains=output.trains)
        trained = train_source_taggers(loaded, encoder, compared, leaks) if output.needs_taggers else {}
        times.end("training")
        if recipe is None:
            pseudo = find_pseudo_labels(loaded, rules, trained, output.threshold, leaks)
        merged = MergedData(merge_sources(loaded, rules, leaks, pseudo), leaks, pseudo)
        times.end("merging")
        train = partial(train_cached, encoder, chosen.training)
        scores, systems, folder = evaluate_taggers(loaded, rules, merged, trained, output, train)
        times.end("evaluation")
        report = replace(build_report(loaded, rules, merged), encoder_fits=fits)
    origin = str(mapping) if recipe else rules.file or None
    facts = {"mapping": origin, "max_samples": max_samples, "seed": seed}
    used = encoder if trained or systems else None
    call = _call("apply", loaded, AlignSettings(taggers=chosen, output=output), encoder=used, **facts)
    report = _completed(replace(report, taggers=scores, systems=systems), call, loaded, times)
    comparison = recipe.compare(merged.dataset, differences) if recipe else None
    if comparison is not None and not comparison.same:
        say(f"{origin}: {comparison}", "warning")
    return MergeResult(merged.dataset, rules, None, report, folder, comparison)


def _expect(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name}={value!r}: expected {kind.__name__}(…).")
    return value


def _check_encoder(
    texts: Sequence[NerSource], encoder: str, seed: int, *, reads: bool, trains: bool
) -> dict[str, EncoderFit]:
    """Warn of a lack of memory, and of sources that the encoder, where it is used, does not fit."""
    sentences = sum(len(rows) for source in texts for rows in source.dataset.values())
    is_used = reads or trains
    warn_of_memory(needed_memory(sentences, encoder if is_used else None, trains=trains))
    return measure_fits(texts, encoder, seed) if is_used else {}


def _merge_labels(
    method: Method,
    sources: Sequence[NerSource],
    matrix: SimilarityMatrix,
    constraints: Constraints,
    settings: AlignSettings,
    objective: Objective,
) -> tuple[LabelMapping, MergeHistory]:
    """Return what the labels become, with the reasons, and the way there; only ``greedy`` asks the objective."""
    precision, locked = settings.schema.min_precision, settings.schema.locked
    history = None
    if method == "equivalence":
        mapping = add_umbrellas(merge_equivalent(matrix, constraints, precision), matrix, constraints)
    else:
        mapping, history = merge_greedily(matrix, constraints, settings.greedy, objective)
    mapping = with_reasons(with_mentions(mapping, sources), matrix, precision)
    mapping = mapping.with_definitions(constraints.definitions)
    if history is None:
        history = all_at_once(mapping, matrix, constraints, precision)
    if locked is not None:
        say(decided_anew(load_locked(locked), mapping))
    return mapping, history


def _read_mapping(mapping: LabelMapping | str | os.PathLike[str]) -> tuple[LabelMapping, Recipe | None]:
    """Return a mapping, and the recipe that it is of where something published is named."""
    if isinstance(mapping, LabelMapping):
        return mapping, None
    recipe = find_recipe(os.fspath(mapping))
    return (LabelMapping.load(mapping), None) if recipe is None else (recipe.mapping, recipe)


def _fitted(mapping: LabelMapping, sources: Sequence[NerSource]) -> LabelMapping:
    """Return a mapping of these sources alone, with the mentions that they have."""
    missing = sorted(set(mapping.sources) - {source.name for source in sources})
    if missing:
        say(f"the mapping is also of {', '.join(missing)}; not among the sources, so left out")
    mapping = mapping.restricted(source.name for source in sources)
    mapping.check_fits(ref for source in sources for ref in source.label_refs)
    return with_mentions(mapping, sources)


def with_mentions(mapping: LabelMapping, sources: Sequence[NerSource]) -> LabelMapping:
    """Return a mapping with the number of mentions of each label in the train splits of sources."""
    counts = {source.name: source.summary.entities["train"] for source in sources}
    entries = (
        replace(entry, mentions=counts[entry.label.source].get(entry.label.label, 0))
        if entry.label.source in counts
        else entry
        for entry in mapping.entries
    )
    return replace(mapping, entries=tuple(entries))


def _call(
    function: Literal["align", "apply"], sources: Sequence[NerSource], settings: AlignSettings, **facts: Any
) -> CallFacts:
    """Return the facts of a call, with what the sources were loaded from and how they were read."""
    options = tuple(source.reading_options for source in sources)
    return CallFacts(
        function,
        sources=tuple(source.origin or source.name for source in sources),
        reading=options if any(one != ReadingOptions() for one in options) else (),
        settings=to_plain(settings.recorded()),
        **facts,
    )


def _completed(
    report: MergeReport, call: CallFacts, sources: Sequence[NerSource], times: StepTimes
) -> MergeReport:
    """Return a report with the call and, where taggers had a part in it, their encoder and this machine."""
    facts: dict[str, Any] = {"call": call, "seconds": dict(times), "local_paths": local_paths(call, sources)}
    if call.encoder is not None:
        from esnera_hf.modeling.encoders import describe_machine

        facts |= {"machine": describe_machine(), "encoder_fingerprint": encoder_files(call.encoder)}
    return replace(report, **facts)


def reproduce(
    report: str | os.PathLike[str],
    sources: Sequence[SourceLike] | None = None,
    *,
    encoder: EncoderLike | None = None,
    to: Atlas | str | os.PathLike[str] | None = None,
    salt: str | dict[str, str] | None = None,
) -> tuple[MergeResult, list[str]]:
    """Make the result of a report again, with the same settings, and compare fingerprints.

    Args:
        report: ``report.json``, or the folder it lies in; ``mapping.yaml`` is read beside it.
        sources: where the sources are, under the names they have in the report; from the Hub if not given.
        encoder: where the encoder is; likewise.
        to: where the atlas is in whose tree labels were placed; likewise.
        salt: that forms were hashed with, which no report holds.

    Returns:
        The result, and whatever has another fingerprint than in the report: names of
        sources, ``encoder``, ``mapping``, ``dataset``.

    Raises:
        ConfigurationError: there is no report, it names a path, it has settings
            that this version does not know, or answers or a salt are missing.
    """
    file = Path(report) / REPORT_FILE if os.path.isdir(report) else Path(report)
    if not os.path.isfile(file):
        raise ConfigurationError(f"{file}: no such file. Expected report.json, or the folder it lies in.")
    before = MergeReport.from_dict(read_json(file))
    call = checked_call(before.call)
    settings = from_plain(AlignSettings, call.settings, "settings")
    # Under which terms sources may be published is for their owner to say, not for a report.
    reading = [replace(options, license=None) for options in call.reading]
    options = dict(zip(map(source_name, call.sources), reading, strict=False))
    origins = [on_hub(name, "source") for name in call.sources] if sources is None else sources
    check_answers(call, origins, salted=salt is not None)
    loaded = [
        load_source(source, options=options.get(source_name(os.fspath(source)), ReadingOptions()))
        if isinstance(source, (str, os.PathLike)) and not is_bundle(source)
        else source
        for source in origins
    ]
    if encoder is None and call.encoder is not None:
        encoder = on_hub(call.encoder, "encoder")
    same: dict[str, Any] = {"encoder": encoder, "max_samples": call.max_samples, "seed": call.seed}
    beside = file.parent / MAPPING_FILE
    if call.function == "apply":
        mapping = call.mapping if call.mapping and is_published(call.mapping) else beside
        result = apply(mapping, loaded, output=settings.output, taggers=settings.taggers, **same)
    else:
        if settings.schema.locked is not None:  # its lines stand in the mapping that was made with them
            settings = replace(settings, schema=replace(settings.schema, locked=LabelMapping.load(beside)))
        method = call.method or "equivalence"
        settings = replace(settings, evidence=replace(settings.evidence, salt=salt))
        to = on_hub(call.to, "atlas") if to is None and call.to is not None else to
        result = align(
            loaded, method=method, target_schema=call.target_schema, to=to, settings=settings, **same
        )
    old, new = before.fingerprints, result.report.fingerprints
    return result, [name for name, digest in new.items() if old.get(name) != digest]
