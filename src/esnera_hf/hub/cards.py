"""The cards of a published dataset, recipe or tagger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.hub.markdown import render
from esnera_hf.hub.readme import plain_data
from esnera_hf.hub.recipe import ROWS_FOLDER
from esnera_hf.metrics import Scores
from esnera_hf.report.files import FLOW_PICTURE
from esnera_hf.report.flow import describe_flow
from esnera_hf.report.format import system_title
from esnera_hf.report.report import Example, MergeReport
from esnera_hf.report.tables import (
    LARGE_LOSS,
    ScoreTable,
    annotated_coarsely,
    is_merge,
    label_groups,
    large_losses,
    main_scores,
    making,
    merged_by_meaning_alone,
    not_annotated,
    own_tagger,
    python_of,
    sample_note,
    step_setting,
    step_target,
    weakest_merges,
)
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.catalogue import find_named
from esnera_hf.sources.licenses import Terms, licenses_of
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import SourceSummary
from esnera_hf.tagging import PSEUDO, LabelRef

Card = TypeVar("Card", bound=RepoCard)

#: Configurations of a published dataset, and of a recipe.
MERGED, RECIPE = "merged", "recipe"


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
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
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
    found = [summary.language for summary in summaries]
    if len(languages(summaries)) > 1 or "mul" in found:
        return ["multilingual"]
    known = all(languages([summary]) for summary in summaries)
    return ["monolingual"] if found and known else []


def size_category(rows: int) -> str:
    """Return the Hub's category of a number of rows."""
    return _SIZES[min(max(len(str(rows)) - 3, 0), len(_SIZES) - 1)]


def is_repository(name: str) -> bool:
    """Tell whether a text is ``owner/name``."""
    return _REPOSITORY.fullmatch(name) is not None


def hub_ids(summaries: Iterable[SourceSummary]) -> list[str]:
    """Return the repositories that sources were read from, each once."""
    found = (summary.provenance.hub_id for summary in summaries)
    return list(dict.fromkeys(hub_id for hub_id in found if is_repository(hub_id)))


def source_datasets(summaries: Sequence[SourceSummary]) -> list[str]:
    """Return what the Hub's ``source_datasets`` says of some sources."""
    found = [f"extended|{hub_id}" for hub_id in hub_ids(summaries)]
    local = any(not is_repository(summary.provenance.hub_id) for summary in summaries)
    return found + ["original"] * (local or not found)


def data_entries(configs: Mapping[str, DatasetDict]) -> dict[str, Any]:
    """Return ``configs`` and ``dataset_info`` of configurations kept as ``data/<config>/<split>-*.parquet``.

    Splits without a sentence are left out: ``load_dataset`` fails on a split of no rows.

    Args:
        configs: by name, the default one first.
    """
    data, infos = CardData(), DatasetInfosDict()
    for name, splits in configs.items():
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
        results: name of the dataset, its Hub id or ``""``, split, and measures by
            their name; those that are not known are left out.
    """
    entries: list[EvalResult] = []
    kinds: list[str] = []
    for name, hub_id, split, measures in results:
        kind = hub_id or re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "dataset"
        known = {measure: value for measure, value in measures.items() if value is not None}
        # The Hub would take two of one type for one dataset.
        config = f"{kinds.count(kind) + 1}" if kind in kinds else None
        kinds += [kind] * bool(known)
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
            for measure, value in known.items()
        ]
    return entries


def named_as(source: SourceSummary) -> str:
    """Return what :func:`esnera_hf.apply` is to be given for a source."""
    known, hub_id = find_named(source.name), source.provenance.hub_id
    if known is not None and known.hub_id and hub_id in ("", known.hub_id):
        return source.name
    return f"{source.name}={hub_id or 'PATH'}"


def _home(source: SourceSummary) -> str:
    hub_id = source.provenance.hub_id
    return source.provenance.homepage or (f"https://huggingface.co/datasets/{hub_id}" if hub_id else "")


def _mentions(examples: Iterable[Example], label: LabelRef) -> list[str]:
    """Return example mentions of a source label, cut to the width of a table."""
    return [shorten(example.mention, _LONGEST_MENTION) for example in examples if example.label == label]


def quoted(text: str) -> str:
    """Return a text as Python writes it, in double quotes where it holds none."""
    written = repr(text)
    return f'"{written[1:-1]}"' if '"' not in text else written


_LONGEST_NAME = 100
_LONGEST_MENTION = 40
#: What templates call, beside the facts.
_FUNCTIONS: dict[str, Any] = {
    "annotated_coarsely": annotated_coarsely,
    "home": _home,
    "is_merge": is_merge,
    "label_groups": label_groups,
    "large_loss": LARGE_LOSS,
    "large_losses": large_losses,
    "making": making,
    "may_be_shared": {True: "yes", False: "no", None: "not stated"},
    "merged_by_meaning_alone": merged_by_meaning_alone,
    "named_as": named_as,
    "not_annotated": not_annotated,
    "step_setting": step_setting,
    "step_target": step_target,
    "system_title": system_title,
    "weakest_merges": weakest_merges,
}
_TITLES = {
    "labels": "Labels",
    "evidence": "Evidence",
    "near": "What stayed apart",
    "scores": "F1 before and after",
    "statistics": "Statistics",
    "pseudo": "Pseudo-labels",
    "left_out": "What was left out",
    "columns": "Columns",
    "limits": "Limits",
    "making": "How it was made",
    "sources": "Licenses",
    "citation": "Citation",
}


def dataset_card(
    repo_id: str,
    report: MergeReport,
    mapping: LabelMapping,
    similarity: SimilarityMatrix | None,
    configs: Mapping[str, DatasetDict],
    *,
    text: bool = True,
) -> DatasetCard:
    """Return the card of a merged dataset; without its text, of the recipe.

    Args:
        repo_id: ``owner/name``.
        report: the account of the alignment, as it may be published.
        mapping: source labels to unified labels.
        similarity: the similarities, if any were measured.
        configs: the configurations by name; the first one, ``merged``, is the
            merged dataset, others hold the same columns.
        text: whether the dataset is published; if not, the card holds statistics
            and no mention, and says how to make the dataset again.
    """
    if not text:
        report = replace(report, examples=(), dropped={})
    statistics = Statistics(configs[MERGED])
    terms = Terms(licenses_of(report.sources))
    present = _sections(report, mapping, statistics) | {"columns": text}
    use = "Load it" if text else "Make it from your own copies"
    values = {
        **_FUNCTIONS,
        "title": _title(mapping),
        "report": report,
        "sample": sample_note(report),
        "mapping": mapping,
        "mentions": partial(_mentions, report.examples),
        "statistics": statistics,
        "sources": report.sources,
        "names": {source.name for source in report.sources},
        "terms": terms,
        "whole": "the dataset" if text else "the dataset made from this recipe",
        "configs": configs,
        "text": text,
        "sections": {"use": use, **{key: title for key, title in _TITLES.items() if present[key]}},
        "typed": mapping.method == "equivalence" and bool(report.steps),
        "compared": any(entry.compared_with is not None for entry in mapping.entries),
        "scores": main_scores(report),
        "unmeasured": _unmeasured(similarity),
        "calls": _calls(repo_id, report, configs),
        "flow": {"file": FLOW_PICTURE, "said": describe_flow(mapping)},
        "before": own_tagger(report),
    }
    entries = data_entries(configs) if text else _recipe_entries(configs[MERGED])
    data = _metadata(report, mapping, statistics, terms, entries)
    return _card(DatasetCard, data, render("dataset.md.jinja", values))


def _sections(report: MergeReport, mapping: LabelMapping, statistics: Statistics) -> dict[str, bool]:
    """Return which sections of a dataset's card have something to say."""
    reading = any(source.dropped or source.repairs or source.notes for source in report.sources)
    return {
        "labels": bool(mapping.unified_labels),
        "evidence": bool(mapping.entries),
        "near": bool(report.near),
        "scores": main_scores(report) is not None,
        "statistics": bool(statistics.sentences),
        "pseudo": report.pseudo_labels is not None,
        "left_out": bool(reading or mapping.members(None) or report.leakage or report.dropped),
        "limits": True,
        "making": bool(making(report)),
        "sources": bool(report.sources),
        "citation": True,
    }


def _card(kind: type[Card], data: CardData, body: str) -> Card:
    # Unlike the class's own YAML, ours keeps every character of a name, such as U+0085.
    return kind(f"---\n{dump_yaml(plain_data(data))}---\n\n{body}")


def _recipe_entries(merged: DatasetDict) -> dict[str, Any]:
    # Let the Hub show the table of fingerprints, and not take report.json for data.
    tables = [f"{ROWS_FOLDER}/{split}.parquet" for split, rows in merged.items() if len(rows)]
    return {"configs": [{"config_name": RECIPE, "data_files": tables}]}


def _metadata(
    report: MergeReport,
    mapping: LabelMapping,
    statistics: Statistics,
    terms: Terms,
    entries: dict[str, Any],
) -> DatasetCardData:
    pseudo = statistics.count(origin=PSEUDO) > 0
    tags = ["esnera", "named-entity-recognition", "label-alignment", "dataset-merging", "esnera-hf"]
    tags += ["pseudo-labels"] * pseudo + ["recipe"] * ("dataset_info" not in entries)
    return DatasetCardData(
        pretty_name=_title(mapping),
        license=terms.id,
        license_name=terms.name or None,
        language=languages(report.sources) or None,
        multilinguality=multilinguality(report.sources) or None,
        annotations_creators=["found"] + ["machine-generated"] * pseudo,
        size_categories=[size_category(statistics.sentences.total())],
        source_datasets=source_datasets(report.sources),
        task_categories=["token-classification"],
        task_ids=["named-entity-recognition"],
        tags=tags,
        **entries,
    )


def _title(mapping: LabelMapping) -> str:
    return shorten(" + ".join(mapping.sources), _LONGEST_NAME) + ": named entities in one label schema"


def _calls(repo_id: str, report: MergeReport, configs: Mapping[str, DatasetDict]) -> dict[str, str]:
    """Return the Python that loads or makes the dataset; it quotes every name as Python does."""
    repo = quoted(repo_id)
    split = next((split for split, rows in configs[MERGED].items() if len(rows)), "train")
    others = ", ".join(quoted(name) for name in configs if name != MERGED)
    load = [
        "from datasets import load_dataset\n",
        f"dataset = load_dataset({repo})",
        f'tags = dataset["{split}"].features["ner_tags"].feature.names',
        *([f"by_source = {{name: load_dataset({repo}, name) for name in [{others}]}}"] if others else []),
    ]
    pinned = f'dataset = load_dataset({repo}, revision="FULL-HASH-OF-A-COMMIT")'
    reading = (report.call and report.call.reading) or [None] * len(report.sources)
    given = ", ".join(_given_again(*pair) for pair in zip(report.sources, reading, strict=True))
    levels = (
        'from esnera_hf.merging.label_levels import view\n\ncoarse = view(dataset, "coarse")\n'
        'original = view(dataset, "original")'
    )
    rebuild = f"import esnera_hf\n\nrebuilt = esnera_hf.apply({repo}, [{given}])\nrebuilt.dataset"
    return {"load": "\n".join(load), "pinned": pinned, "rebuild": rebuild, "levels": levels}


def _given_again(source: SourceSummary, reading: ReadingOptions | None) -> str:
    """Return the Python that names a source, to be read as it was read."""
    name = quoted(named_as(source))
    if reading is None or reading == ReadingOptions():
        return name
    return f"esnera_hf.load_source({name}, options={python_of(reading)})"


def _unmeasured(matrix: SimilarityMatrix | None) -> tuple[int, int]:
    """Return how many pairs of labels of different sources there are, and of how many no tagger says anything."""
    if matrix is None:
        return 0, 0
    owners = [label.source for label in matrix.labels]
    pairs = [(i, j) for j in range(len(owners)) for i in range(j) if owners[i] != owners[j]]
    return len(pairs), sum(not matrix.predicted[i, j] and not matrix.predicted[j, i] for i, j in pairs)


@dataclass(frozen=True)
class ModelCardFacts:
    """What the card of a tagger is made from.

    Attributes:
        repo_id: ``owner/name``.
        tagger_labels: the labels it predicts.
        base_encoder: Hub id of the encoder, ``""`` if it was a local folder.
        report: of the alignment, ``None`` for a tagger of a single source.
        mapping: what its labels merge, likewise.
        terms: the license of the training data and why.
        record: how training went: ``validation`` (scores), ``history``,
            ``arguments``; empty where it is not known.
        dataset_repo: Hub id of the merged dataset, if it is published.
        sources: summaries of the sources, where there is no report.
    """

    repo_id: str
    tagger_labels: Sequence[str]
    base_encoder: str
    report: MergeReport | None
    mapping: LabelMapping | None
    terms: Terms
    record: Mapping[str, Any]
    dataset_repo: str = ""
    sources: Sequence[SourceSummary] = ()

    @property
    def summaries(self) -> Sequence[SourceSummary]:
        """Summaries of the sources it was trained on."""
        return self.sources or (self.report.sources if self.report else ())


_MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
_EXAMPLES = 6
_MEASURES = ("f1", "precision", "recall")
_TITLES_MODEL = {
    "labels": "Labels",
    "scores": "Scores",
    "training": "Training",
    "limits": "Limits",
    "sources": "Licenses",
    "citation": "Citation",
}


def model_card(facts: ModelCardFacts) -> ModelCard:
    """Return the card of a tagger.

    Args:
        facts: what is known of it.
    """
    merged = [facts.dataset_repo] if is_repository(facts.dataset_repo) else []
    results = evaluation(_results(facts))
    data = ModelCardData(
        # Of a tagger of unknown sources no terms are known.
        license=facts.terms.id if facts.summaries else None,
        license_name=(facts.terms.name or None) if facts.summaries else None,
        language=languages(facts.summaries) or None,
        library_name="transformers",
        pipeline_tag="token-classification",
        base_model=facts.base_encoder if _MODEL_ID.fullmatch(facts.base_encoder) else None,
        datasets=list(dict.fromkeys([*merged, *hub_ids(facts.summaries)])) or None,
        metrics=list(_MEASURES) if facts.record.get("validation") else None,
        tags=["esnera", "esnera-hf", "named-entity-recognition", "crf"],
        model_name=_name(facts) if results else None,
        eval_results=results or None,
    )
    return _card(ModelCard, data, render("model.md.jinja", _values_model(facts)))


def _name(facts: ModelCardFacts) -> str:
    return facts.repo_id.rpartition("/")[2]


def _test_scores(facts: ModelCardFacts) -> ScoreTable | None:
    """Return the scores on test of the tagger that was trained on the merged dataset."""
    found = None if facts.report is None else main_scores(facts.report)
    return found if found is not None and found.split == "test" else None


def _results(facts: ModelCardFacts) -> list[tuple[str, str, str, Mapping[str, float | None]]]:
    """Return what was measured: on test by source, or else on validation of all training data."""
    scores = _test_scores(facts)
    hub = {source.name: (hub_ids([source]) or [""])[0] for source in facts.summaries}
    if scores is not None:
        return [
            (name, hub.get(name, ""), "test", {"f1": micro.after.value})
            for name, micro in scores.scores.sources.items()
        ]
    split = "test" if _tested(facts) else "validation"
    if not facts.record.get(split):
        return []
    micro = facts.record[split].micro
    name = facts.dataset_repo or " + ".join(hub) or _name(facts)
    alone = next(iter(hub.values())) if len(hub) == 1 else ""
    return [(name, facts.dataset_repo or alone, split, {kind: getattr(micro, kind) for kind in _MEASURES})]


def _tested(facts: ModelCardFacts) -> Scores | None:
    """Return the scores on the test split of the only source, if it holds any entity."""
    test = facts.record.get("test")
    return test if test and test.micro.support else None


def _values_model(facts: ModelCardFacts) -> dict[str, Any]:
    report, mapping, record = facts.report, facts.mapping, facts.record
    labels, scores = _label_rows(facts), _test_scores(facts)
    validation, test = record.get("validation"), _tested(facts)
    settings = [] if report is None else making(report)
    present = {
        "labels": bool(labels),
        "scores": scores or test or validation,
        "training": record.get("arguments") or record.get("history") or settings,
        "limits": True,
        "sources": facts.summaries,
        "citation": True,
    }
    return {
        **_FUNCTIONS,
        "facts": facts,
        "name": _name(facts),
        "labels": labels,
        "scores": scores,
        "validation": validation,
        "test": test,
        "by_label": tested.by_label if (tested := test or validation) else {},
        "settings": settings,
        "mapping": mapping,
        "pseudo": None if report is None else report.pseudo_labels,
        "names": {source.name for source in facts.summaries},
        "examples": any(row["examples"] for row in labels),
        "parts": any(row["parent"] for row in labels),
        "merges": mapping is not None and len(mapping.sources) > 1,
        "base": facts.base_encoder if _MODEL_ID.fullmatch(facts.base_encoder) else "",
        "dataset": facts.dataset_repo if is_repository(facts.dataset_repo) else "",
        "sections": {"use": "Use", **{key: title for key, title in _TITLES_MODEL.items() if present[key]}},
        "calls": _calls_model(quoted(facts.repo_id)),
        "sources": facts.summaries,
        "terms": facts.terms,
        "whole": "the training data",
        "before": "" if report is None else own_tagger(report),
        "sample": "" if report is None else sample_note(report),
    }


def _calls_model(repo: str) -> dict[str, str]:
    """Return the Python that uses the tagger."""
    return {
        "transformers": (
            "from transformers import pipeline\n\n"
            f'tagger = pipeline("token-classification", model={repo}, trust_remote_code=True)\n'
            'tagger("…")'
        ),
        "package": (
            "import esnera_hf\n\n"
            f"tagger = esnera_hf.Tagger.from_pretrained({repo})\n"
            'for entities in tagger.predict([["some", "words"]], scores=True):\n'
            "    print(entities)"
        ),
    }


def _label_rows(facts: ModelCardFacts) -> list[dict[str, Any]]:
    """Return a row per label: what it merges, and mentions of sources whose text may be shared."""
    mapping, report = facts.mapping, facts.report
    shared = {name for name, license in facts.terms.by_source.items() if license.text_may_be_shared is True}
    rows = []
    for label in facts.tagger_labels:
        members = () if mapping is None else mapping.members(label)
        by_member = [
            _mentions(report.examples, member)
            for member in members
            if report is not None and member.source in shared
        ]
        # The first mention of each member, then the second ones.
        found = [mention for turn in zip_longest(*by_member) for mention in turn if mention is not None]
        members_text = [str(member) for member in members]
        rows.append(
            {
                "name": label,
                "parent": None if mapping is None else mapping.parents.get(label),
                "members": members_text,
                "examples": list(dict.fromkeys(found))[:_EXAMPLES],
            }
        )
    return rows
