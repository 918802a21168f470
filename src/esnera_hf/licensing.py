"""The terms of a merged dataset: the strictest of its sources', and whether its text may be published."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from esnera_hf.errors import ConfigurationError, LicenceError
from esnera_hf.sources.licence_table import KNOWN_LICENCES, Kind, KnownLicence
from esnera_hf.sources.source import Licence

#: The Hub's id for terms that none of its licences states.
OTHER = "other"
#: ``license_name`` of a merge that no single licence covers.
SEVERAL = "terms-of-the-sources"


@dataclass(frozen=True)
class Terms:
    """The terms of something made of several sources.

    Attributes:
        id: licence id as the Hub's card metadata has it, or ``other``.
        name: ``license_name`` for ``other``, else empty.
        reasons: sentences that say why it is so.
        by_source: the terms of each source.
    """

    id: str
    name: str = ""
    reasons: tuple[str, ...] = ()
    by_source: Mapping[str, Licence] = field(default_factory=dict)


def licences_of(summaries: Iterable[Mapping[str, Any]]) -> dict[str, Licence]:
    """Return the terms of each source from the summaries of a report."""
    return {summary["name"]: Licence(**summary["licence"]) for summary in summaries}


def strictest_terms(licences: Mapping[str, Licence]) -> Terms:
    """Return the terms of a merge: the strictest of its sources'.

    Where no single licence satisfies all, or one is not known, the merge is
    ``other`` and each sentence keeps the terms of its source.

    Args:
        licences: by name of the source.
    """
    known = {
        name: KNOWN_LICENCES.get(licence.name) if _states_all(licence) else None
        for name, licence in licences.items()
    }
    unknown = [name for name, licence in known.items() if licence is None]
    if unknown:
        named = ", ".join(
            f"{name} ({licence.name}{f', {licence.clause}' if licence.name in KNOWN_LICENCES else ''})"
            for name, licence in licences.items()
            if name in unknown
        )
        return _several(licences, f"no licence of the Hub's list states the terms of {named}")
    found = sorted({licence for licence in known.values() if licence}, key=lambda k: (k.kind, k.version))
    if not found:
        return _several(licences, "there is no source")
    strictest = found[-1]
    for licence in found[:-1]:
        if not _covers(strictest, licence):
            return _several(licences, f"nothing may be under both {licence.id} and {strictest.id}")
    reasons: tuple[str, ...] = ()
    if len(found) > 1:
        reasons = (f"{strictest.id} is the strictest of {', '.join(licence.id for licence in found)}.",)
    return Terms(strictest.id, "", reasons, dict(licences))


def _states_all(licence: Licence) -> bool:
    """Tell whether a licence says all there is to say, and no further terms hold for the text."""
    known = KNOWN_LICENCES.get(licence.name)
    return known is not None and (known.kind is Kind.NO_DERIVATIVES or licence.text_may_be_shared is True)


def _several(licences: Mapping[str, Licence], why: str) -> Terms:
    reason = f"{why[0].upper()}{why[1:]}: each sentence keeps the terms of the source it comes from."
    return Terms(OTHER, SEVERAL, (reason,), dict(licences))


def _covers(strict: KnownLicence, other: KnownLicence) -> bool:
    """Tell whether what is under another licence may be passed on under a stricter one."""
    if other.kind in (Kind.PUBLIC_DOMAIN, Kind.ATTRIBUTION):
        return True
    same_family = strict.family == other.family and strict.version >= other.version
    # Non-commercial material without share-alike may become non-commercial share-alike.
    widened = other.kind is Kind.NON_COMMERCIAL and strict.kind is Kind.NON_COMMERCIAL_SHARE_ALIKE
    return same_family or widened


def check_text_may_be_published(licences: Mapping[str, Licence], may_share: Collection[str] = ()) -> None:
    """Check that the text of every source may be passed on.

    Args:
        licences: by name of the source.
        may_share: sources whose text the user states to hold the right to pass on.

    Raises:
        LicenceError: a source's terms forbid it, or none are stated; it names
            the source and the clause.
        ConfigurationError: ``may_share`` names something that is no source here.
    """
    check_names(licences, may_share)
    refused = [
        _refusal(name, licence)
        for name, licence in licences.items()
        if licence.text_may_be_shared is not True and name not in may_share
    ]
    if refused:
        raise LicenceError(
            f"the text may not be published: {'; '.join(refused)}. Nothing was sent. Publish the recipe without the "
            "text (text=False, --no-text), or, if you hold the right to pass a text on, say so: "
            'may_share=["NAME"], --may-share NAME.'
        )


def check_names(licences: Mapping[str, Licence], may_share: Collection[str]) -> None:
    """Check that a user's statement is about sources that are there.

    Raises:
        ConfigurationError: it names something that is no source here.
    """
    if isinstance(may_share, str):
        raise ConfigurationError(f"may_share={may_share!r}: expected a list of sources.")
    strange = sorted(set(may_share) - set(licences))
    if strange:
        raise ConfigurationError(
            f"may_share names {', '.join(strange)}, which is no source here: expected some of {', '.join(licences)}."
        )


def _refusal(name: str, licence: Licence) -> str:
    clause = f" ({licence.clause})" if licence.clause else ""
    if licence.text_may_be_shared is False:
        return f"{name}: {licence.name} forbids passing it on{clause}"
    return f"{name}: no terms are known under which it may be passed on{clause}"
