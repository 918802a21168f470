"""Tasks of Label Studio, and whose annotation of a text counts where several people annotated it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.spans import first_of, written_spans
from esnera_hf.sources.source import RawSentence

#: What the tasks of an export are told by: the key of a sentence's id, and the name of its predictions.
SENTENCE_ID, MODEL_VERSION = "sentence_id", "esnera-hf"
OTHER_ANNOTATORS = "annotation by a further annotator, not read"
NOT_ACCEPTED = "record that its annotator rejected or skipped, left out"
OTHER_FIELD = "region of another field than the text, not read"
UNLABELLED = "region without labels, not read"

#: Where records of other tools have the annotator: Label Studio's JSON_MIN, Prodigy.
_ANNOTATOR_KEYS = ("annotator", "_annotator_id", "_session_id", "annotator_id")


def annotator_of(record: Any) -> str | None:
    """Return who annotated a record that one annotator has to himself, ``None`` where it does not say."""
    value = first_of(record, _ANNOTATOR_KEYS) if isinstance(record, Mapping) else None
    return None if value is None else str(value)


def read_task(
    record: Mapping[str, Any], where: str, text_keys: Sequence[str], annotator: str | None
) -> RawSentence | None:
    """Return the text of a task of Label Studio with its regions; ``None`` where the annotator did not do it.

    Of several texts, the one under the first of the keys counts, else the first one. Whose annotation counts is asked
    only where none is marked as ground truth.

    Raises:
        SourceError: several annotated the text differently and nothing says whose counts.
    """
    data = record["data"]
    fields = data.items() if isinstance(data, Mapping) else ()
    # A task may show several texts; the annotated one is mostly called so, else it comes first.
    texts = {key: value for key, value in fields if isinstance(value, str)}
    field = next((key for key in (*text_keys, *texts) if key in texts), None)
    if field is None:
        raise SourceError(f"{where}: expected a text in data, found {data!r:.80}.")
    annotations = [*objects(record.get("annotations", record.get("completions")), where)]
    done = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    # Of a task that nobody looked at, an export of ours holds gold and pseudo-labels as its prediction.
    predictions = record.get("predictions")
    own = [one for one in predictions if _is_own(one)] if isinstance(predictions, list) else []
    if annotations and not (done or own):
        return RawSentence([], None, where, [NOT_ACCEPTED])
    if not (done or own):
        return RawSentence([], None, where, text=texts[field])
    chosen = _chosen(done, where, annotator) if done else own[0]
    if chosen is None:
        return None
    repairs = [OTHER_ANNOTATORS] * (len(done) - 1)
    regions: list[Any] = []
    for region in objects(chosen.get("result"), where):
        value = region.get("value")
        if not isinstance(value, Mapping) or not {"start", "end"} <= value.keys():
            continue  # a relation, or a choice on the whole text
        if region.get("to_name") in texts.keys() - {field}:
            repairs.append(OTHER_FIELD)
        elif "labels" in value:
            regions.append(value)
        else:
            repairs.append(UNLABELLED)
    written = written_spans(regions, where)
    tokens = data.get("tokens")
    are_words = isinstance(tokens, list) and all(isinstance(token, str) for token in tokens)
    return RawSentence([], None, where, repairs, texts[field], written, words=tokens if are_words else [])


def is_looked_at(task: Mapping[str, Any], where: str) -> bool:
    """Tell whether somebody annotated a task.

    Raises:
        SourceError: its annotations are no objects.
    """
    annotations = task.get("annotations", task.get("completions"))
    return any(not one.get("was_cancelled") for one in objects(annotations, where))


def _is_own(prediction: Any) -> bool:
    # Label Studio exports predictions as objects, or as their numbers.
    return isinstance(prediction, Mapping) and prediction.get("model_version") == MODEL_VERSION


def objects(value: Any, where: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list, none of what is no list.

    Raises:
        SourceError: something else stands in the list.
    """
    for entry in value if isinstance(value, list) else ():
        if not isinstance(entry, Mapping):
            raise SourceError(f"{where}: expected a list of objects, found {entry!r:.80} in it.")
        yield entry


def _chosen(done: Sequence[Mapping[str, Any]], where: str, annotator: str | None) -> Mapping[str, Any] | None:
    """Return the ground truth, else the annotation of the annotator, else the only one or one that all agree on."""
    truths = [annotation for annotation in done if annotation.get("ground_truth") is True]
    candidates = truths or done
    if annotator is not None and not truths:
        candidates = [annotation for annotation in done if annotator in _names(annotation)]
    if not candidates:
        return None
    if all(_regions(annotation) == _regions(candidates[0]) for annotation in candidates):
        return candidates[0]
    names = [next(iter(_names(annotation)), "an unnamed annotator") for annotation in candidates]
    advice = (
        "Say whose annotation counts: annotator=."
        if len({*names}) == len(names) and not truths
        else "Mark one of them as ground truth, or delete the others."
    )
    raise SourceError(f"{where}: annotated differently by {', '.join(names)}. {advice}")


def _names(annotation: Mapping[str, Any]) -> list[str]:
    """Return what an annotator can be called: a number, an address."""
    user = annotation.get("completed_by")
    if isinstance(user, Mapping):
        return [str(user[key]) for key in ("email", "username", "id") if user.get(key) is not None]
    return [] if user is None else [str(user)]


def _regions(annotation: Mapping[str, Any]) -> list[str]:
    results = annotation.get("result")
    return sorted(
        str(sorted((key, str(value)) for key, value in region["value"].items()))
        for region in (results if isinstance(results, list) else ())
        if isinstance(region, Mapping) and isinstance(region.get("value"), Mapping)
    )
