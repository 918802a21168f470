"""The encoder of evidence bundles: the same on all sides, or what their heads say cannot be compared."""

from __future__ import annotations

import os
from collections.abc import Sequence

from esnera_hf.errors import ConfigurationError
from esnera_hf.hub.evidence import Evidence
from esnera_hf.report.call import is_repository
from esnera_hf.taggers.identity import encoder_files
from esnera_hf.taggers.light_heads import LAYERS


def bundle_encoder(bundles: Sequence[Evidence]) -> str:
    """Return the encoder of bundles by its name on the Hub.

    Raises:
        ConfigurationError: it has none, so that it has to be said where it is.
    """
    name = bundles[0].facts["encoder"]
    if not is_repository(name) or os.path.exists(name):
        raise ConfigurationError(
            f"encoder: the evidence of {bundles[0].name} was made with {name!r}, a folder on the machine of its owner. "
            "Name your copy of it: --encoder PATH, encoder=."
        )
    return name


def check_encoder(bundles: Sequence[Evidence], encoder: str | None) -> None:
    """Check that all bundles were made with one encoder, with this one if it is named.

    Raises:
        ConfigurationError: they were not; what their heads say can then not be compared.
    """
    first = bundles[0].facts
    digest = first["encoder_digest"] if encoder is None else encoder_files(encoder)
    name = first["encoder"] if encoder is None else encoder
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
