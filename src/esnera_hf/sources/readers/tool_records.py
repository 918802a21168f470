"""Records of tools with a convention of their own, put into the shapes that :mod:`records` reads.

===========  =========================================================================
tool         what tells it
===========  =========================================================================
our export   ``id``, ``tokens``, ``spans`` and ``source``: ``[start, end, label]``, tokens, ends exclusive
GLiNER       ``tokenized_text`` with ``ner``: ``[first, last, label]``, tokens, ends inclusive
Dataturks    ``content`` with ``annotation``: ``{label, points: [{start, end, text}]}``,
             characters, ends inclusive
===========  =========================================================================

Formats: https://github.com/urchade/GLiNER; Dataturks closed in 2019, its exports remain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from esnera_hf.errors import SourceError

#: The keys of JSON lines that this package exports; those of merged datasets have more.
_EXPORTED, _EXPORTED_OF_MERGED = {"id", "tokens", "spans", "source"}, {"origins", "scores"}


def as_plain_record(record: Any, where: str, format: str | None) -> Any:
    """Return a record of our export, GLiNER or Dataturks as one of tokens or text with spans, any other as it is.

    Raises:
        SourceError: the annotation is not what the tool writes.
    """
    if not isinstance(record, Mapping):
        return record
    if "tokenized_text" in record:
        return _of_gliner(record, where)
    if record.keys() - _EXPORTED_OF_MERGED == _EXPORTED:
        return {**record, "spans": _with_mentions(record["tokens"], record["spans"])}
    if isinstance(record.get("content"), str) and "annotation" in record and "text" not in record:
        return _of_dataturks(record, where, format)
    return record


def _of_gliner(record: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    tokens, entries = record["tokenized_text"], record.get("ner")
    if entries is None:
        return {"tokens": tokens}
    if not isinstance(entries, list | tuple):
        raise SourceError(f"{where}: expected a list in 'ner', found {entries!r:.80}.")
    for entry in entries:
        is_span = isinstance(entry, list | tuple) and len(entry) >= 3
        if not is_span or not all(type(place) is int for place in entry[:2]):
            raise SourceError(
                f"{where}: expected [first token, last token, label] in 'ner', found {entry!r:.80}."
            )
    ends_exclusive = [[first, last + 1, label] for first, last, label, *_ in entries]
    return {"tokens": tokens, "spans": _with_mentions(tokens, ends_exclusive)}


def _with_mentions(tokens: Any, spans: Any) -> Any:
    """Return spans of tokens with their mentions, so that nobody asks how offsets count; what is none as it is."""
    words = [str(token) for token in tokens] if isinstance(tokens, list | tuple) else []
    if not isinstance(spans, list | tuple) or not all(_is_span(span) for span in spans):
        return spans
    return [
        {
            "start": start,
            "end": end,
            "label": label,
            "text": " ".join(words[start:end]) if end <= len(words) else "",
        }
        for start, end, label in spans
    ]


def _is_span(span: Any) -> bool:
    return isinstance(span, list | tuple) and len(span) == 3 and all(type(place) is int for place in span[:2])


def _of_dataturks(record: Mapping[str, Any], where: str, format: str | None) -> Mapping[str, Any]:
    entries = record["annotation"] or ()
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, Mapping) for entry in entries):
        raise SourceError(f"{where}: expected a list of objects in 'annotation', found {entries!r:.80}.")
    metadata = record.get("metadata")
    # Every export has it. What other tools write in this shape has inclusive ends, exclusive ones, or both.
    if not isinstance(metadata, Mapping) and format != "dataturks":
        raise SourceError(
            f"{where}: 'content' with 'annotation' is how Dataturks exports, but without the 'metadata' of its exports "
            "nobody can tell whose ends these are. If they are inclusive as in Dataturks, pass format='dataturks'."
        )
    done = not isinstance(metadata, Mapping) or metadata.get("status", "done") == "done"
    spans = [span for entry in entries for span in _dataturks_spans(entry, record["content"], where)]
    return {"text": record["content"], **({"spans": spans} if done else {})}


def _dataturks_spans(entry: Mapping[str, Any], text: str, where: str) -> Iterator[dict[str, Any]]:
    points = entry.get("points")
    for point in points if isinstance(points, list | tuple) else [points]:
        fields = point if isinstance(point, Mapping) else {}
        start, end = fields.get("start"), fields.get("end")
        if type(start) is not int or type(end) is not int:
            raise SourceError(f"{where}: expected a point with start and end, found {point!r:.80}.")
        mention = fields.get("text") or text[start : end + 1]
        yield {"start": start, "end": end + 1, "label": entry.get("label"), "text": mention}
