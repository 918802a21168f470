"""The cards of a published dataset, recipe or tagger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import Any, TypeVar

from datasets import DatasetDict, DatasetInfo, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import (
    CardData,
    DatasetCard,
    DatasetCardData,
    EvalResult,
    ModelCard,
    ModelCardData,
    RepoCard,
)

from esnera_hf._internal.arrow import Statistics, stored_bytes
from esnera_hf._internal.text import shorten
from esnera_hf._internal.yaml import dump_yaml
from esnera_hf.alignment.flow import describe_flow
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.evaluation.projection import MergedScores
from esnera_hf.hub.card_content import example_row, origin
from esnera_hf.hub.markdown import Markup, render
from esnera_hf.hub.readme import plain_data
from esnera_hf.hub.recipe import ROWS_FOLDER
from esnera_hf.report import tables
from esnera_hf.report.call import is_repository
from esnera_hf.report.files import FLOW_PICTURE
from esnera_hf.report.report import Example, MergeReport
from esnera_hf.sources.catalogue import find_named
from esnera_hf.sources.licenses import Terms, licenses_of
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import SourceSummary
from esnera_hf.tagging import PSEUDO, LabelRef

Card = TypeVar("Card", bound=RepoCard)

#: Configurations of a published dataset, and of a recipe.
MERGED, RECIPE = "merged", "recipe"


#: ISO 639-1. The Hub refuses a card with a code of two letters that is none of them.
_TWO_LETTERS = frozenset(
    (
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da "
        "de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz "
        "ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln "
        "lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi "
        "pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti "
        "tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu "
    ).split()
)
#: Codes of ISO 639 that name no language: several, none, uncoded, undetermined.
_NO_LANGUAGE = {"mul", "zxx", "mis", "und"}
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B")


def languages(summaries: Iterable[SourceSummary]) -> list[str]:
    """Return the languages of some sources as ISO 639 codes, sorted; those that the Hub does not know are left out."""
    bases = {re.split("[-_]", summary.language)[0].lower() for summary in summaries}
    return sorted(base for base in bases if _is_language(base))


def _is_language(base: str) -> bool:
    if len(base) == 2:
        return base in _TWO_LETTERS
    local = "qaa" <= base <= "qtz"
    return re.fullmatch("[a-z]{3}", base) is not None and base not in _NO_LANGUAGE and not local


def multilinguality(summaries: Sequence[SourceSummary]) -> list[str]:
    """Return ``monolingual`` or ``multilingual``; nothing where the language of a source is not known."""
    stated = [summary.language for summary in summaries]
    if len(languages(summaries)) > 1 or "mul" in stated:
        return ["multilingual"]
    complete = all(languages([summary]) for summary in summaries)
    return ["monolingual"] if stated and complete else []


def size_category(rows: int) -> str:
    """Return the Hub's category of a number of rows."""
    return _SIZES[min(max(len(str(rows)) - 3, 0), len(_SIZES) - 1)]


def hub_ids(summaries: Iterable[SourceSummary]) -> list[str]:
    """Return the repositories that sources were read from, each once."""
    ids = (summary.provenance.hub_id for summary in summaries)
    return list(dict.fromkeys(hub_id for hub_id in ids if is_repository(hub_id)))


def source_datasets(summaries: Sequence[SourceSummary]) -> list[str]:
    """Return what the Hub's ``source_datasets`` says of some sources."""
    extended = [f"extended|{hub_id}" for hub_id in hub_ids(summaries)]
    local = any(not is_repository(summary.provenance.hub_id) for summary in summaries)
    # The Hub's word for data that is on it under no other name.
    return extended + ["original"] * (local or not extended)


def data_entries(configs: Mapping[str, DatasetDict]) -> dict[str, Any]:
    """Return ``configs`` and ``dataset_info`` of configurations kept as ``data/<config>/<split>-*.parquet``."""
    data, infos = CardData(), DatasetInfosDict()
    for name, splits in configs.items():
        # load_dataset fails on a split of no rows.
        filled = {split: rows for split, rows in splits.items() if len(rows)}
        if not filled:
            continue
        paths = [{"split": split, "path": f"data/{name}/{split}-*.parquet"} for split in filled]
        config = {"config_name": name, "data_files": paths, **({} if infos else {"default": True})}
        data["configs"] = [*data.get("configs", []), config]
        counted = SplitDict()
        for split, rows in filled.items():
            counted.add(SplitInfo(split, stored_bytes(rows), len(rows)))
        size = sum(split.num_bytes for split in counted.values())
        infos[name] = DatasetInfo(
            features=next(iter(filled.values())).features, splits=counted, dataset_size=size
        )
    infos.to_dataset_card_data(data)
    return plain_data(data)


def evaluation(results: Iterable[tuple[str, str, str, Mapping[str, float | None]]]) -> list[EvalResult]:
    """Return what was measured, for the ``model-index`` of a card.

    Args:
        results: name of the dataset, its Hub id or ``""``, split, and measures by name, which may be unknown.
    """
    entries: list[EvalResult] = []
    kinds: list[str] = []
    for name, hub_id, split, measures in results:
        kind = hub_id or re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "dataset"
        measured = {measure: value for measure, value in measures.items() if value is not None}
        # The Hub would take two of one type for one dataset.
        config = f"{kinds.count(kind) + 1}" if kind in kinds else None
        kinds += [kind] * bool(measured)
        entries += [
            EvalResult(
                task_type="token-classification",
                task_name="Named entity recognition",
                dataset_type=kind,
                dataset_name=name,
                dataset_config=config,
                dataset_split=split,
                metric_type=measure,
                metric_name=measure.title(),
                metric_value=round(value, 4),
            )
            for measure, value in measured.items()
        ]
    return entries


def named_as(source: SourceSummary) -> str:
    """Return what :func:`esnera_hf.apply` is to be given for a source."""
    corpus, hub_id = find_named(source.name), source.provenance.hub_id
    if corpus is not None and corpus.hub_id and hub_id in ("", corpus.hub_id):
        return source.name
    return f"{source.name}={hub_id or 'PATH'}"


def home(source: SourceSummary) -> str:
    hub_id = source.provenance.hub_id
    return source.provenance.homepage or (f"https://huggingface.co/datasets/{hub_id}" if hub_id else "")


def _mentions(examples: Iterable[Example], label: LabelRef) -> list[str]:
    """Return example mentions of a source label, cut to the width of a table."""
    return [shorten(mention, _LONGEST_MENTION) for of, _, mention, *_ in examples if of == label]


def _origins(mapping: LabelMapping, examples: Sequence[Example], label: str) -> Markup:
    """Return the source labels of a unified label, with what they rest on and some mentions."""
    entries = (entry for entry in mapping.entries if entry.unified == label)
    return Markup(" · ".join(origin(mapping, entry, partial(_mentions, examples)) for entry in entries))


def quoted(text: str) -> str:
    """Return a text as Python writes it, in double quotes where it holds none."""
    written = repr(text)
    return f'"{written[1:-1]}"' if '"' not in text else written


#: Characters of a title, and of a mention in a cell of a table, which the Hub shows in one line.
_LONGEST_NAME, _LONGEST_MENTION = 100, 40
_EXAMPLES = 6
_MEASURES = ("f1", "precision", "recall")
_TAGS = ["esnera", "named-entity-recognition", "label-alignment", "dataset-merging", "esnera-hf"]


def dataset_card(
    repo_id: str,
    report: MergeReport,
    mapping: LabelMapping,
    configs: Mapping[str, DatasetDict],
    *,
    text: bool = True,
) -> DatasetCard:
    """Return the card of a merged dataset; without its text, of the recipe: statistics and no mention.

    Args:
        repo_id: ``owner/name``.
        report: the report, as it may be published.
        mapping: source labels to unified labels.
        configs: the configurations by name, ``merged`` and others with the same columns.
        text: whether the dataset is published.
    """
    if not text:
        # Whoever calls this with a report as it is must not publish mentions by it.
        report = replace(report, examples=(), dropped={})
    merged = configs[MERGED]
    statistics = Statistics(merged)
    terms = Terms(licenses_of(report.sources))
    title = shorten(" + ".join(mapping.sources), _LONGEST_NAME) + ": named entities in one label schema"
    filled = [split for split, rows in merged.items() if len(rows)]
    values = {
        "title": title,
        "repo": quoted(repo_id),
        "repo_id": repo_id,
        "filled": filled,
        "split": filled[0] if filled else "train",
        "others": ", ".join(quoted(name) for name in configs if name != MERGED),
        "again": _sources_again(report),
        "statistics": statistics,
        "terms": terms,
        "whole": "the dataset" if text else "the dataset made from this recipe",
        "text": text,
        "typed": mapping.method == "equivalence",
        "compared": any(entry.compared_with is not None for entry in mapping.entries),
        "scores": tables.main_scores(report),
        "flow": {"file": FLOW_PICTURE, "said": describe_flow(mapping)},
        "example": example_row(merged) if text else "",
        "origins": partial(_origins, mapping, report.examples),
    }
    # Of a recipe the Hub is to show the table of fingerprints, and not to take report.json for data.
    files = [f"{ROWS_FOLDER}/{split}.parquet" for split in filled]
    recipe = {"configs": [{"config_name": RECIPE, "data_files": files}]}
    pseudo = statistics.count(origin=PSEUDO) > 0
    data = DatasetCardData(
        pretty_name=title,
        license=terms.id,
        license_name=terms.name or None,
        language=languages(report.sources) or None,
        multilinguality=multilinguality(report.sources) or None,
        annotations_creators=["found"] + ["machine-generated"] * pseudo,
        size_categories=[size_category(statistics.sentences.total())],
        source_datasets=source_datasets(report.sources),
        task_categories=["token-classification"],
        task_ids=["named-entity-recognition"],
        tags=_TAGS + ["pseudo-labels"] * pseudo + ["recipe"] * (not text),
        **(data_entries(configs) if text else recipe),
    )
    return _card(DatasetCard, data, "dataset.md.jinja", report, mapping, values)


def _card(
    kind: type[Card],
    data: CardData,
    template: str,
    report: MergeReport,
    mapping: LabelMapping | None,
    values: Mapping[str, Any],
) -> Card:
    shared = {
        "report": report,
        "mapping": mapping,
        "sources": report.sources,
        "names": {source.name for source in report.sources},
        "settings": tables.making(report),
        "before": tables.own_tagger(report),
        "sample": tables.sample_note(report),
        "tables": tables,
        "home": home,
        "named_as": named_as,
        "may_be_shared": {True: "yes", False: "no", None: "not stated"},
    }
    body = render(template, {**shared, **values})
    # Unlike the class's own YAML, ours keeps every character of a name, such as U+0085.
    return kind(f"---\n{dump_yaml(plain_data(data))}---\n\n{body}")


def _sources_again(report: MergeReport) -> str:
    """Return the Python that names all sources, each to be read as it was read."""
    reading = (report.call and report.call.reading) or [None] * len(report.sources)
    names = []
    for source, options in zip(report.sources, reading, strict=True):
        name = quoted(named_as(source))
        usual = options is None or options == ReadingOptions()
        names.append(name if usual else f"esnera_hf.load_source({name}, options={tables.python_of(options)})")
    return ", ".join(names)


def model_card(
    repo_id: str,
    labels: Sequence[str],
    record: Mapping[str, Any],
    *,
    report: MergeReport | None = None,
    mapping: LabelMapping | None = None,
    sources: Sequence[SourceSummary] = (),
) -> ModelCard:
    """Return the card of a tagger.

    Args:
        repo_id: ``owner/name``.
        labels: that it predicts.
        record: of its training: ``validation`` and ``test`` (scores), ``history``, ``arguments``, ``encoder`` and
            ``dataset_repo`` (Hub ids), as far as they are known.
        report, mapping: of the alignment; ``None`` for a tagger of a single source.
        sources: summaries of the sources, where there is no report.
    """
    # A tagger of a single source is told of as a merge of one, of which nothing else is known.
    report = report or MergeReport(tuple(sources))
    sources = report.sources
    name, encoder = repo_id.rpartition("/")[2], record.get("encoder")
    published = record.get("dataset_repo", "")
    published = published if is_repository(published) else ""
    encoder = encoder if encoder and is_repository(encoder, owner=False) else ""
    terms = Terms(licenses_of(sources))
    scores = tables.main_scores(report)
    scores = scores if scores is not None and scores[1] == "test" else None
    validation, test = record.get("validation"), record.get("test")
    # The F1 of a split without entities would read as a score.
    test = test if test and test.micro.support else None
    results = evaluation(
        _results(scores, sources, {"test": test, "validation": validation}, published or name)
    )
    data = ModelCardData(
        # Of a tagger of unknown sources no terms are known.
        license=terms.id if sources else None,
        license_name=(terms.name or None) if sources else None,
        language=languages(sources) or None,
        library_name="transformers",
        pipeline_tag="token-classification",
        base_model=encoder or None,
        datasets=list(dict.fromkeys([*[published] * bool(published), *hub_ids(sources)])) or None,
        metrics=list(_MEASURES) if validation else None,
        tags=["esnera", "esnera-hf", "named-entity-recognition", "crf"],
        model_name=name if results else None,
        eval_results=results or None,
    )
    shared = {source for source, license in terms.by_source.items() if license.text_may_be_shared is True}
    members = {label: mapping.members(label) if mapping else () for label in labels}
    examples = [example for example in report.examples if example[0].source in shared]
    values = {
        "name": name,
        "repo": quoted(repo_id),
        "record": record,
        "members": members,
        "examples": {label: _examples(examples, refs) for label, refs in members.items()},
        "parents": mapping.parents if mapping else {},
        "scores": scores,
        "validation": validation,
        "test": test,
        "merges": mapping is not None and len(mapping.sources) > 1,
        "base": encoder,
        "dataset": published,
        "terms": terms,
        "told": quoted(sources[0].name) if "unknown" in report.systems else "",
        "whole": "the training data",
    }
    return _card(ModelCard, data, "model.md.jinja", report, mapping, values)


def _results(
    scores: tuple[str, str, MergedScores] | None,
    sources: Sequence[SourceSummary],
    measured: Mapping[str, Any],
    name: str,
) -> list[tuple[str, str, str, Mapping[str, float | None]]]:
    """Return what was measured: on test by source, or else on test or validation of all training data."""
    hub = {source.name: (hub_ids([source]) or [""])[0] for source in sources}
    if scores is not None:
        return [
            (source, hub.get(source, ""), "test", {"f1": micro.after.value})
            for source, micro in scores[2].sources.items()
        ]
    for split, scored in measured.items():
        if scored:
            published = name if is_repository(name) else ""
            alone = next(iter(hub.values())) if len(hub) == 1 else ""
            measures = {kind: getattr(scored.micro, kind) for kind in _MEASURES}
            return [(published or " + ".join(hub) or name, published or alone, split, measures)]
    return []


def _examples(examples: Sequence[Example], members: Sequence[LabelRef]) -> list[str]:
    """Return mentions of a unified label: the first one of each member, then the second ones."""
    turns = zip_longest(*(_mentions(examples, member) for member in members))
    mentions = dict.fromkeys(mention for turn in turns for mention in turn if mention is not None)
    return list(mentions)[:_EXAMPLES]
