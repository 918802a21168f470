"""The file of an evidence bundle, and the checks of one that a stranger wrote: types, sizes, finite numbers.

``docs/reference/evidence.md`` describes the fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast, get_type_hints

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from esnera_hf._internal.checks import from_plain, to_plain, within
from esnera_hf._internal.json import parse_json
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.hashed_forms import LONGEST_FORM
from esnera_hf.sources.source import License, Provenance
from esnera_hf.taggers.light_heads import NO_MENTION

FORMAT, VERSION = "esnera_hf.evidence", 2
#: The key of the JSON in the header of the file.
_KEY = "esnera_hf"
#: Bytes of a file, labels, dimensions, characters of a name and of any other text: several times what the largest
#: corpora and encoders have, and small enough to be read in a moment.
LARGEST, _MOST_LABELS, _MOST_DIMENSIONS, _LONGEST_NAME, _LONGEST_TEXT = 64 << 20, 10_000, 16_384, 300, 20_000
#: No corpus has more mentions.
_MOST_MENTIONS = 10**12
#: What to do about a name that others cannot read.
RENAME = "Name it anew, 'name=PATH', or its tags, --tag-name TAG=AS, ReadingOptions(tag_names=…)."
DIGEST = re.compile(r"[0-9a-f]{32}")
_ARRAYS = {"weights": "F16", "bias": "F16", "centroids": "F16", "forms": "U64"}


class EvidenceFacts(TypedDict):
    """The JSON of an evidence bundle.

    ``mentions``, ``read``, ``recall`` and ``lengths`` are by label: mentions in the train
    split, those of them that were read, the share of them that a head finds which has not
    seen their sentences, and mean and standard deviation of their lengths in tokens.
    ``heads`` and ``centroids`` are the labels of the rows of arrays; ``forms`` is the
    number of hashes by label.
    """

    format: str
    version: int
    name: str
    language: str
    license: License
    provenance: Provenance
    encoder: str
    encoder_revision: str
    encoder_digest: str
    layers: int
    reveal: float
    min_support: int
    noise: dict[str, float]
    labels: list[str]
    mentions: dict[str, int]
    read: dict[str, int]
    recall: dict[str, float]
    lengths: dict[str, tuple[float, float]]
    heads: list[str]
    centroids: list[str]
    forms: dict[str, int]
    form_lengths: list[int]
    salt_check: str


def bundle_bytes(facts: EvidenceFacts, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the content of the file of a bundle, the same for the same evidence."""
    text = json.dumps(to_plain(facts), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # One key in the header: the order of several would change from run to run.
    # What lies column by column in memory would be written so, and read row by row.
    rows = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    return save(rows, metadata={_KEY: text})


def read_bundle(file: Path) -> tuple[EvidenceFacts, dict[str, NDArray[Any]]]:
    """Read and check the file of a bundle.

    Raises:
        SourceError: it is no bundle, of another version, or damaged.
    """
    try:
        size = file.stat().st_size
        if size > LARGEST:
            raise ValueError(f"it has {size:,} bytes, expected at most {LARGEST:,}")
        with safe_open(file, framework="numpy") as opened:
            header = (opened.metadata() or {}).get(_KEY)
            if header is None:
                raise ValueError("it has no header of an evidence bundle")
            facts = checked_facts(parse_json(header))
            arrays = {name: _array(opened, name, facts) for name in sorted(opened.keys())}
        if missing := sorted({"weights", "bias", "centroids"} - set(arrays)):
            raise ValueError(f"it lacks {', '.join(missing)}")
        _check_forms(facts, arrays)
    except OSError as error:
        raise SourceError(
            f"{file} cannot be read: {error.strerror or error}. Check the path and its rights."
        ) from error
    except (SafetensorError, ValueError, TypeError, RecursionError) as error:
        raise SourceError(
            f"{file}: no evidence bundle that can be used: {str(error)[:300].rstrip('.')}. Copy it again from where it "
            "was written, or ask its owner to make it again with `esnera-hf evidence`; nothing of it was used."
        ) from error
    return facts, arrays


def _array(opened: Any, name: str, facts: EvidenceFacts) -> NDArray[Any]:
    """Read an array after its type and shape are found right."""
    part = opened.get_slice(name) if name in _ARRAYS else None
    if part is None or part.get_dtype() != _ARRAYS[name]:
        raise ValueError(f"expected the arrays {_ARRAYS}, found {name[:60]!r}")
    dimensions = opened.get_slice("weights").get_shape()[-1:]
    shape = {
        "weights": [len(facts["heads"]), *dimensions],
        "bias": [len(facts["heads"])],
        "centroids": [len(facts["centroids"]), *dimensions],
        "forms": [sum(facts["forms"].values())],
    }[name]
    if part.get_shape() != shape or (name == "weights" and not 0 < dimensions[0] <= _MOST_DIMENSIONS):
        raise ValueError(f"{name} has shape {part.get_shape()}, expected {shape}")
    array = np.asarray(opened.get_tensor(name))
    if name != "forms" and not np.isfinite(array).all():
        raise ValueError(f"{name} holds numbers that are not finite")
    return array


def _check_forms(facts: EvidenceFacts, arrays: Mapping[str, NDArray[Any]]) -> None:
    if ("forms" in arrays) != bool(facts["salt_check"]):
        raise ValueError("it has hashes of forms without a check of their salt, or the reverse")
    start = 0
    for label, count in facts["forms"].items():
        own = arrays["forms"][start : start + count]
        if (own[1:] <= own[:-1]).any():
            raise ValueError(f"the hashes of forms of {label[:60]!r} are not in order")
        start += count


def checked_facts(data: Any) -> EvidenceFacts:
    """Return the facts of a bundle, of the right types and within bounds.

    Raises:
        ValueError: they are not; it says which.
    """
    facts = cast(EvidenceFacts, checked_record(EvidenceFacts, data, FORMAT, VERSION))
    labels = facts["labels"]
    check_names(labels, facts["name"], facts["encoder"])
    texts = [facts["language"], facts["encoder_revision"], facts["salt_check"]]
    texts += [facts["license"].name, facts["license"].clause, *to_plain(facts["provenance"]).values()]
    if any(len(text) > _LONGEST_TEXT for text in texts):
        raise ValueError(f"expected texts of at most {_LONGEST_TEXT:,} characters")
    by_label: tuple[tuple[str, Mapping[str, float], float], ...] = (
        ("mentions", facts["mentions"], _MOST_MENTIONS),
        ("read", facts["read"], _MOST_MENTIONS),
        ("recall", facts["recall"], 1.0),
        ("noise", facts["noise"], _MOST_MENTIONS),
        ("forms", facts["forms"], _MOST_MENTIONS),
        ("lengths", {label: mean for label, (mean, _) in facts["lengths"].items()}, _MOST_MENTIONS),
        ("lengths", {label: deviation for label, (_, deviation) in facts["lengths"].items()}, _MOST_MENTIONS),
    )
    for field, values, most in by_label:
        check_numbers(field, values, labels, most)
    if set(facts["mentions"]) != set(labels):
        raise ValueError("mentions: expected a number for each label")
    for field, rows, allowed in (
        ("heads", facts["heads"], {*labels, NO_MENTION}),
        ("centroids", facts["centroids"], {label for label, count in facts["read"].items() if count}),
    ):
        if len(set(rows)) < len(rows) or not set(rows) <= allowed:
            raise ValueError(f"{field}: expected labels of the source that were read, each once")
    numbers = (facts["layers"], facts["min_support"])
    if not all(within(number, 0, _MOST_MENTIONS) for number in numbers) or not within(facts["reveal"], 0, 1):
        raise ValueError(
            "layers, min_support, reveal: expected numbers that are not negative, reveal up to 1"
        )
    lengths = facts["form_lengths"]
    if len(set(lengths)) < len(lengths) or not all(within(length, 1, LONGEST_FORM) for length in lengths):
        raise ValueError(f"form_lengths: expected numbers from 1 to {LONGEST_FORM:,}, each once")
    if not DIGEST.fullmatch(facts["encoder_digest"]):
        raise ValueError("encoder_digest: expected 32 hexadecimal digits")
    return facts


def checked_record(kind: Any, data: Any, format: str, version: int) -> dict[str, Any]:
    """Return the fields of a typed dictionary, each of its type, of a file of one format and version.

    Raises:
        ValueError: something in it is missing, unknown or of another type, or it is of another version.
    """
    if not isinstance(data, dict) or data.get("format") != format:
        raise ValueError(f"expected format {format!r}")
    if data.get("version") != version:
        raise ValueError(
            f"it is of version {data.get('version')!r:.20}, and this version of esnera-hf reads version {version}. "
            "Use the version of esnera-hf that wrote it"
        )
    hints = get_type_hints(kind)
    if wrong := sorted(set(hints) ^ set(data)):
        raise ValueError(f"unknown or missing: {', '.join(wrong)[:200]}")
    try:
        return {name: from_plain(hint, data[name], name) for name, hint in hints.items()}
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def check_names(labels: Sequence[str], *others: str) -> None:
    """Check labels of a stranger, and other names.

    Raises:
        ValueError: there are no labels, too many, or one twice; or a name is empty, too long, or holds what is no
            character that can be shown.
    """
    if not 0 < len(labels) <= _MOST_LABELS or len(set(labels)) < len(labels):
        raise ValueError(f"labels: expected 1 to {_MOST_LABELS:,}, each once")
    for name in (*labels, *others):
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise ValueError(f"{name[:60]!r}: expected a name of 1 to {_LONGEST_NAME} printable characters")


def check_numbers(field: str, values: Mapping[str, float], labels: Sequence[str], most: float) -> None:
    """Check numbers by label.

    Raises:
        ValueError: one is of none of the labels, or not from 0 to ``most``.
    """
    if not set(values) <= set(labels) or not all(within(value, 0, most) for value in values.values()):
        raise ValueError(f"{field}: expected numbers from 0 to {most:,} by the names of labels")
