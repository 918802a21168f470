"""The encoder of evidence bundles: the same on all sides, or what their heads say cannot be compared."""

from __future__ import annotations

import os
from collections.abc import Sequence

from esnera_hf.errors import ConfigurationError
from esnera_hf.hub.evidence import Evidence
from esnera_hf.report.call import is_repository
from esnera_hf.taggers.identity import encoder_files
from esnera_hf.taggers.light_heads import LAYERS


def encoder_of(
    bundles: Sequence[Evidence], encoder: str | os.PathLike[str] | None = None, *, reads: bool = True
) -> str:
    """Return the encoder that all bundles were made with: the one that is named, or else its name on the Hub.

    Args:
        bundles: at least one.
        encoder: folder or Hub id, if one is named.
        reads: whether it is to read text, so that a name that says not where it is will not do.

    Raises:
        ConfigurationError: it is not the encoder of all, and what their heads say could not be compared; or it was a
            folder, and none is named.
    """
    name, first = os.fspath(encoder or ""), bundles[0].facts
    if not name and reads:
        name = first["encoder"]
        if not is_repository(name) or os.path.exists(name):
            raise ConfigurationError(
                f"encoder: the evidence of {bundles[0].name} was made with {name!r}, a folder on the machine of its "
                "owner. Name your copy of it: --encoder PATH, encoder=."
            )
    digest = encoder_files(name) if name else first["encoder_digest"]
    name = name or first["encoder"]
    for bundle in bundles:
        theirs = bundle.facts
        if theirs["encoder_digest"] != digest:
            revision = f" at revision {theirs['encoder_revision']}" if theirs["encoder_revision"] else ""
            raise ConfigurationError(
                f"encoder: the evidence of {bundle.name} was made with {theirs['encoder']}{revision}, digest "
                f"{theirs['encoder_digest']}; {name} has digest {digest}. Use the same encoder on all sides: name it "
                "with --encoder, encoder=, or make the bundle again with this one."
            )
        if theirs["layers"] != LAYERS:
            raise ConfigurationError(
                f"layers={theirs['layers']}: the evidence of {bundle.name} was made with so many layers of the "
                f"encoder, and this version of esnera-hf uses {LAYERS}. Make it again with this version."
            )
    return name
