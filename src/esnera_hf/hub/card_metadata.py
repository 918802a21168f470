"""Metadata of cards, in the vocabulary of the Hub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from datasets import DatasetDict, DatasetInfo, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import CardData, EvalResult

from esnera_hf._internal.arrow import stored_bytes
from esnera_hf.hub.readme import plain_data
from esnera_hf.report.call import is_repository
from esnera_hf.sources.source import SourceSummary

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
