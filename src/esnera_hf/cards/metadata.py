"""The metadata of cards, in the vocabulary of the Hub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from datasets import Dataset, DatasetDict

from esnera_hf.cards.statistics import stored_bytes
from esnera_hf.licensing import Terms

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


def languages(summaries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the languages of some sources as ISO 639 codes, sorted; those that the Hub does not know are left out."""
    bases = {re.split("[-_]", str(summary.get("language") or ""))[0].lower() for summary in summaries}
    return sorted(base for base in bases if _is_language(base))


def _is_language(base: str) -> bool:
    if len(base) == 2:
        return base in _TWO_LETTERS
    local = "qaa" <= base <= "qtz"
    return re.fullmatch("[a-z]{3}", base) is not None and base not in _NO_LANGUAGE and not local


def multilinguality(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return ``monolingual`` or ``multilingual``; nothing where the language of a source is not known."""
    found = [str(summary.get("language") or "") for summary in summaries]
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


def hub_ids(summaries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the repositories that sources were read from, each once."""
    found = (str(summary.get("hub_id") or "") for summary in summaries)
    return list(dict.fromkeys(hub_id for hub_id in found if is_repository(hub_id)))


def source_datasets(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the Hub's ``source_datasets`` says of some sources."""
    found = [f"extended|{hub_id}" for hub_id in hub_ids(summaries)]
    local = any(not is_repository(str(summary.get("hub_id") or "")) for summary in summaries)
    return found + ["original"] * (local or not found)


def licence_entries(terms: Terms) -> dict[str, str]:
    """Return the entries of a licence; ``other`` has a name."""
    named = {"license_name": terms.name} if terms.name else {}
    return {"license": terms.id, **named}


def data_entries(configs: Mapping[str, DatasetDict]) -> dict[str, Any]:
    """Return ``configs`` and ``dataset_info`` of configurations kept as ``data/<config>/<split>-*.parquet``.

    Splits without a sentence are left out: ``load_dataset`` fails on a split of no rows.

    Args:
        configs: by name, the default one first.
    """
    filled = {name: {s: rows for s, rows in splits.items() if len(rows)} for name, splits in configs.items()}
    filled = {name: splits for name, splits in filled.items() if splits}
    if not filled:
        return {}
    listed: list[dict[str, Any]] = []
    for name, splits in filled.items():
        files = [{"split": split, "path": f"data/{name}/{split}-*.parquet"} for split in splits]
        listed.append({"config_name": name, "data_files": files})
    listed[0]["default"] = True
    infos = [_info(name, splits) for name, splits in filled.items()]
    return {"configs": listed, "dataset_info": infos[0] if len(infos) == 1 else infos}


def _info(name: str, splits: Mapping[str, Dataset]) -> dict[str, Any]:
    sizes = {split: stored_bytes(rows) for split, rows in splits.items()}
    return {
        "config_name": name,
        # As datasets writes and reads it; there is no public way.
        "features": next(iter(splits.values())).features._to_yaml_list(),
        "splits": [
            {"name": split, "num_bytes": sizes[split], "num_examples": len(rows)}
            for split, rows in splits.items()
        ],
        "dataset_size": sum(sizes.values()),
    }


def evaluation(
    model: str, results: Iterable[tuple[str, str, str, Mapping[str, float | None]]]
) -> list[dict[str, Any]]:
    """Return a ``model-index``.

    Args:
        model: name of the model.
        results: name of the dataset, its Hub id or ``""``, split, and measures by
            their name; those that are not known are left out.
    """
    entries: list[dict[str, Any]] = []
    kinds: list[str] = []
    for name, hub_id, split, measures in results:
        metrics = [
            {"type": measure, "value": round(value, 4), "name": measure.title()}
            for measure, value in measures.items()
            if value is not None
        ]
        if not metrics:
            continue
        kind = hub_id or re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "dataset"
        dataset = {"name": name, "type": kind, "split": split}
        if kind in kinds:  # the Hub would take both for one dataset
            dataset["config"] = f"{kinds.count(kind) + 1}"
        kinds.append(kind)
        task = {"type": "token-classification", "name": "Named entity recognition"}
        entries.append({"task": task, "dataset": dataset, "metrics": metrics})
    return [{"name": model, "results": entries}] if entries else []
