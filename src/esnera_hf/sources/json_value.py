"""JSON as found in files: malformed text and half characters are errors that name their place."""

from __future__ import annotations

import json
import re
from typing import Any

from esnera_hf.errors import SourceError

_SURROGATE = re.compile(r"[\ud800-\udfff]")


def parse_json(text: str, place: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        SourceError: it is no JSON, or an escape is half of a surrogate pair.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{place}: expected a JSON record, found {text[:60]!r} ({error}).") from None
    if "\\u" in text and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise SourceError(f"{place}: half of a surrogate pair is no character. Mend the \\u escapes.")
    return value
