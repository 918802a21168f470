"""What commands read of bundles and salts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf.errors import ConfigurationError

if TYPE_CHECKING:
    from esnera_hf.hub.evidence import Evidence


def bundle_names(sources: Iterable[str]) -> set[str]:
    """Return the names of the corpora of bundles, which stand in their files."""
    from esnera_hf.sources.load import ANSWER_SUFFIX, is_bundle

    bundles = [name for name in sources if is_bundle(name) and not name.endswith(ANSWER_SUFFIX)]
    if not bundles:
        return set()
    from esnera_hf.hub.evidence import Evidence

    return {Evidence.load(name).name for name in bundles}


def read_bundle(name: str, licenses: Sequence[str], languages: Sequence[str]) -> str | Evidence:
    """Return a bundle by name, or loaded where license or language of its corpus are stated, as ``NAME=VALUE``."""
    from esnera_hf.hub.evidence import Evidence
    from esnera_hf.sources.load import ANSWER_SUFFIX

    if name.endswith(ANSWER_SUFFIX) or not (licenses or languages):
        return name
    bundle = Evidence.load(name)
    license, language = (
        {key: value for key, _, value in (text.rpartition("=") for text in texts)}.get(bundle.name)
        for texts in (licenses, languages)
    )
    return bundle.stated(license=license, language=language)


def read_salt(name: str | None) -> str | None:
    """Return the salt that an environment variable or a file holds.

    Raises:
        ConfigurationError: there is neither; the message does not show what was given, which may be the salt itself.
    """
    if name is None:
        return None
    if name in os.environ:
        return os.environ[name]
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "--salt: expected the name of an environment variable, or of a text file, that holds the salt; there is "
            "none of that name. Set it, such as by `read -rs SALT && export SALT`, and pass --salt SALT."
        ) from error


def read_salts(names: list[str] | None) -> str | dict[str, str] | None:
    """Return the salt of all bundles, or that of each by its name.

    Raises:
        ConfigurationError: one cannot be read, or there are several for all bundles.
    """
    if not names or (len(names) == 1 and "=" not in names[0]):
        return read_salt(names[0] if names else None)
    salts: dict[str, str] = {}
    for text in names:
        source, _, name = text.rpartition("=")
        if not source or source in salts:
            raise ConfigurationError(
                "--salt: expected one for all bundles, or SOURCE=NAME once for each of them."
            )
        salts[source] = read_salt(name) or ""
    return salts
