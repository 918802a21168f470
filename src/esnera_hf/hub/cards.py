"""The cards of a published dataset, recipe or tagger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice, zip_longest
from typing import Any, TypeVar

from datasets import DatasetDict
from huggingface_hub import CardData, DatasetCard, DatasetCardData, ModelCard, ModelCardData, RepoCard

from esnera_hf._internal.arrow import Statistics
from esnera_hf._internal.text import shorten
from esnera_hf._internal.yaml import dump_yaml
from esnera_hf.alignment.flow import describe_flow
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.evaluation.projection import MergedScores
from esnera_hf.hub.card_metadata import (
    data_entries,
    evaluation,
    hub_ids,
    languages,
    multilinguality,
    size_category,
    source_datasets,
)
from esnera_hf.hub.markdown import Markup, escape, render
from esnera_hf.hub.readme import plain_data
from esnera_hf.hub.recipe import ROWS_FOLDER
from esnera_hf.merging.export import exported_sentences
from esnera_hf.report import tables
from esnera_hf.report.call import is_repository
from esnera_hf.report.files import FLOW_PICTURE
from esnera_hf.report.format import figure
from esnera_hf.report.report import Example, MergeReport
from esnera_hf.sources.catalogue import find_named
from esnera_hf.sources.licenses import Terms, licenses_of
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import SourceSummary
from esnera_hf.tagging import PSEUDO, LabelRef, tags_from_entities

Card = TypeVar("Card", bound=RepoCard)

#: Configurations of a published dataset, and of a recipe.
MERGED, RECIPE = "merged", "recipe"
#: Characters of a title, and of a mention or token, which the Hub shows in one line.
_LONGEST_NAME, _LONGEST_MENTION = 100, 40
#: Mentions beside a source label in a cell of a table, and of a unified label in all.
_MENTIONS, _MENTIONS_OF_ALL = 2, 6
#: Rows among which the example is looked for, and the most tokens of it: it should fit a line or two.
_LOOKED_AT, _MOST_TOKENS = 500, 16
_MEASURES = ("f1", "precision", "recall")
_TAGS = ["esnera", "named-entity-recognition", "label-alignment", "dataset-merging", "esnera-hf"]


def named_as(source: SourceSummary) -> str:
    """Return what :func:`esnera_hf.apply` is to be given for a source."""
    corpus, hub_id = find_named(source.name), source.provenance.hub_id
    if corpus is not None and corpus.hub_id and hub_id in ("", corpus.hub_id):
        return source.name
    return f"{source.name}={hub_id or 'PATH'}"


def home(source: SourceSummary) -> str:
    hub_id = source.provenance.hub_id
    return source.provenance.homepage or (f"https://huggingface.co/datasets/{hub_id}" if hub_id else "")


def quoted(text: str) -> str:
    """Return a text as Python writes it, in double quotes where it holds none."""
    written = repr(text)
    return f'"{written[1:-1]}"' if '"' not in text else written


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
        "example": _example_row(merged) if text else "",
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
        "settings": tables.settings_rows(report),
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
    report: MergeReport,
    mapping: LabelMapping | None = None,
) -> ModelCard:
    """Return the card of a tagger.

    Args:
        repo_id: ``owner/name``.
        labels: that it predicts.
        record: of its training: ``validation`` and ``test`` (scores), ``history``, ``arguments``, ``encoder`` and
            ``dataset_repo`` (Hub ids), as far as they are known.
        report: of the alignment; for a tagger of a single source one that holds its summary and nothing else.
        mapping: of the alignment, if there was one.
    """
    name, sources = repo_id.rpartition("/")[2], report.sources
    encoder, published = (str(record.get(key) or "") for key in ("encoder", "dataset_repo"))
    encoder = encoder if is_repository(encoder, owner=False) else ""
    published = published if is_repository(published) else ""
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
        "examples": {label: _mentions_in_turn(examples, refs) for label, refs in members.items()},
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


def _example_row(merged: DatasetDict) -> str:
    """Return a row as JSON, its tags by name: of the first rows the one with most labels, the shortest of these."""
    rows = next((rows for rows in merged.values() if len(rows)), None)
    sentences = () if rows is None else islice(exported_sentences(rows), _LOOKED_AT)
    fitting = [one for one, _ in sentences if one.entities and len(one.tokens) <= _MOST_TOKENS]
    if not fitting:
        return ""
    best = min(fitting, key=lambda one: (-len({entity.label for entity in one.entities}), len(one.tokens)))
    shown = {
        "id": best.id,
        "tokens": [shorten(token, _LONGEST_MENTION) for token in best.tokens],
        "ner_tags": tags_from_entities(len(best.tokens), best.entities),
        "source": best.source,
    }
    return json.dumps(shown, ensure_ascii=False)


def _origins(mapping: LabelMapping, examples: Sequence[Example], label: str) -> Markup:
    """Return the source labels of a unified label, with what they rest on and some mentions."""
    origins = []
    for entry in mapping.entries:
        if entry.unified == label:
            text = escape(entry.label)
            if tables.is_merge(mapping, entry):
                text += f" ({tables.score_name(mapping)} {figure(entry.similarity)})"
            mentions = ", ".join(map(escape, _mentions(examples, entry.label)[:_MENTIONS]))
            origins.append(f"{text}: {mentions}" if mentions else text)
    return Markup(" · ".join(origins))


def _mentions(examples: Iterable[Example], label: LabelRef) -> list[str]:
    return [shorten(mention, _LONGEST_MENTION) for of, _, mention, *_ in examples if of == label]


def _mentions_in_turn(examples: Sequence[Example], members: Sequence[LabelRef]) -> list[str]:
    """Return mentions of a unified label: the first one of each member, then the second ones."""
    turns = zip_longest(*(_mentions(examples, member) for member in members))
    mentions = dict.fromkeys(mention for turn in turns for mention in turn if mention is not None)
    return list(mentions)[:_MENTIONS_OF_ALL]
