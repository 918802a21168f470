"""The terms of a merged dataset: the strictest of its sources', and whether its text may be published."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from esnera_hf.errors import ConfigurationError, LicenseError
from esnera_hf.sources.source import License


class Kind(IntEnum):
    """Kinds of licenses, the stricter the higher."""

    PUBLIC_DOMAIN = 0
    ATTRIBUTION = 1
    SHARE_ALIKE = 2
    NON_COMMERCIAL = 3
    NON_COMMERCIAL_SHARE_ALIKE = 4
    NO_DERIVATIVES = 5


@dataclass(frozen=True, slots=True)
class KnownLicense:
    """A license with an id on the Hub.

    Attributes:
        id: as the Hub's card metadata has it.
        kind: what it asks for.
        family: of share-alike licenses, those that a work under one may be passed
            on under a later one of.
        version: orders the licenses of a kind, the stricter or later the higher.
    """

    id: str
    kind: Kind
    family: str
    version: float


def _creative_commons(terms: str, kind: Kind, versions: str) -> list[KnownLicense]:
    return [KnownLicense(f"{terms}-{v}", kind, terms, float(v)) for v in versions.split()]


_LICENSES = (
    *(
        KnownLicense(name, Kind.PUBLIC_DOMAIN, "public domain", order)
        for order, name in enumerate(("cc0-1.0", "pddl", "unlicense", "wtfpl"))
    ),
    *(
        KnownLicense(name, Kind.ATTRIBUTION, "software", order / 10 - 1)
        for order, name in enumerate(
            ("mit", "isc", "bsd-2-clause", "bsd-3-clause", "bsd", "zlib", "ecl-2.0", "afl-3.0", "apache-2.0")
        )
    ),
    KnownLicense("cdla-permissive-1.0", Kind.ATTRIBUTION, "data", 0.1),
    KnownLicense("cdla-permissive-2.0", Kind.ATTRIBUTION, "data", 0.2),
    KnownLicense("odc-by", Kind.ATTRIBUTION, "data", 0.3),
    *_creative_commons("cc-by", Kind.ATTRIBUTION, "2.0 2.5 3.0 4.0"),
    *_creative_commons("cc-by-sa", Kind.SHARE_ALIKE, "3.0 4.0"),
    KnownLicense("odbl", Kind.SHARE_ALIKE, "odbl", 1.0),
    KnownLicense("cdla-sharing-1.0", Kind.SHARE_ALIKE, "cdla-sharing", 1.0),
    KnownLicense("gfdl", Kind.SHARE_ALIKE, "gfdl", 1.0),
    *(
        KnownLicense(name, Kind.SHARE_ALIKE, name, 1.0)
        for name in ("gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl-2.1", "lgpl-3.0", "gpl", "lgpl")
    ),
    *_creative_commons("cc-by-nc", Kind.NON_COMMERCIAL, "2.0 3.0 4.0"),
    *_creative_commons("cc-by-nc-sa", Kind.NON_COMMERCIAL_SHARE_ALIKE, "2.0 3.0 4.0"),
    *_creative_commons("cc-by-nd", Kind.NO_DERIVATIVES, "4.0"),
    *_creative_commons("cc-by-nc-nd", Kind.NO_DERIVATIVES, "3.0 4.0"),
)

KNOWN_LICENSES: dict[str, KnownLicense] = {license.id: license for license in _LICENSES}

_ASKS_FOR = {
    Kind.PUBLIC_DOMAIN: "free of conditions",
    Kind.ATTRIBUTION: "may be passed on with attribution",
    Kind.SHARE_ALIKE: "may be passed on under the same license, with attribution",
    Kind.NON_COMMERCIAL: "may be passed on with attribution, not for commercial use",
    Kind.NON_COMMERCIAL_SHARE_ALIKE: "may be passed on under the same license, not for commercial use",
    Kind.NO_DERIVATIVES: "no derivatives: a changed version, such as a relabelled one, may not be passed on",
}


def license_from_id(name: str, clause: str = "") -> License:
    """Return the terms that a Hub license id stands for.

    Args:
        name: the id, such as ``"cc-by-4.0"``; any other text is a license whose
            terms are not known here.
        clause: the sentence that states it; a description of what the license
            asks for if not given.
    """
    known = KNOWN_LICENSES.get(name.strip().lower())
    if known is None:
        return License(name.strip() or "unknown", None, clause)
    return License(known.id, known.kind is not Kind.NO_DERIVATIVES, clause or _ASKS_FOR[known.kind])


#: The Hub's id for terms that none of its licenses states.
OTHER = "other"
#: ``license_name`` of a merge that no single license covers.
SEVERAL = "terms-of-the-sources"


@dataclass(frozen=True)
class Terms:
    """The terms of something made of several sources.

    Attributes:
        id: license id as the Hub's card metadata has it, or ``other``.
        name: ``license_name`` for ``other``, else empty.
        reasons: sentences that say why it is so.
        by_source: the terms of each source.
    """

    id: str
    name: str = ""
    reasons: tuple[str, ...] = ()
    by_source: Mapping[str, License] = field(default_factory=dict)


def licenses_of(summaries: Iterable[Mapping[str, Any]]) -> dict[str, License]:
    """Return the terms of each source from the summaries of a report."""
    return {summary["name"]: License(**summary["license"]) for summary in summaries}


def strictest_terms(licenses: Mapping[str, License]) -> Terms:
    """Return the terms of a merge: the strictest of its sources'.

    Where no single license satisfies all, or one is not known, the merge is
    ``other`` and each sentence keeps the terms of its source.

    Args:
        licenses: by name of the source.
    """
    known = {
        name: KNOWN_LICENSES.get(license.name) if _states_all(license) else None
        for name, license in licenses.items()
    }
    unknown = [name for name, license in known.items() if license is None]
    if unknown:
        named = ", ".join(
            f"{name} ({license.name}{f', {license.clause}' if license.name in KNOWN_LICENSES else ''})"
            for name, license in licenses.items()
            if name in unknown
        )
        return _several(licenses, f"no license of the Hub's list states the terms of {named}")
    found = sorted({license for license in known.values() if license}, key=lambda k: (k.kind, k.version))
    if not found:
        return _several(licenses, "there is no source")
    strictest = found[-1]
    for license in found[:-1]:
        if not _covers(strictest, license):
            return _several(licenses, f"nothing may be under both {license.id} and {strictest.id}")
    reasons: tuple[str, ...] = ()
    if len(found) > 1:
        reasons = (f"{strictest.id} is the strictest of {', '.join(license.id for license in found)}.",)
    return Terms(strictest.id, "", reasons, dict(licenses))


def _states_all(license: License) -> bool:
    """Tell whether a license says all there is to say, and no further terms hold for the text."""
    known = KNOWN_LICENSES.get(license.name)
    return known is not None and (known.kind is Kind.NO_DERIVATIVES or license.text_may_be_shared is True)


def _several(licenses: Mapping[str, License], why: str) -> Terms:
    reason = f"{why[0].upper()}{why[1:]}: each sentence keeps the terms of the source it comes from."
    return Terms(OTHER, SEVERAL, (reason,), dict(licenses))


def _covers(strict: KnownLicense, other: KnownLicense) -> bool:
    """Tell whether what is under another license may be passed on under a stricter one."""
    if other.kind in (Kind.PUBLIC_DOMAIN, Kind.ATTRIBUTION):
        return True
    same_family = strict.family == other.family and strict.version >= other.version
    # Non-commercial material without share-alike may become non-commercial share-alike.
    widened = other.kind is Kind.NON_COMMERCIAL and strict.kind is Kind.NON_COMMERCIAL_SHARE_ALIKE
    return same_family or widened


def check_text_may_be_published(licenses: Mapping[str, License], may_share: Collection[str] = ()) -> None:
    """Check that the text of every source may be passed on.

    Args:
        licenses: by name of the source.
        may_share: sources whose text the user states to hold the right to pass on.

    Raises:
        LicenseError: a source's terms forbid it, or none are stated; it names
            the source and the clause.
        ConfigurationError: ``may_share`` names something that is no source here.
    """
    check_names(licenses, may_share)
    refused = [
        _refusal(name, license)
        for name, license in licenses.items()
        if license.text_may_be_shared is not True and name not in may_share
    ]
    if refused:
        raise LicenseError(
            f"the text may not be published: {'; '.join(refused)}. Nothing was sent. Publish the recipe without the "
            "text (text=False, --no-text), or, if you hold the right to pass a text on, say so: "
            'may_share=["NAME"], --may-share NAME.'
        )


def check_names(licenses: Mapping[str, License], may_share: Collection[str]) -> None:
    """Check that a user's statement is about sources that are there.

    Raises:
        ConfigurationError: it names something that is no source here.
    """
    if isinstance(may_share, str):
        raise ConfigurationError(f"may_share={may_share!r}: expected a list of sources.")
    strange = sorted(set(may_share) - set(licenses))
    if strange:
        raise ConfigurationError(
            f"may_share names {', '.join(strange)}, which is no source here: expected some of {', '.join(licenses)}."
        )


def _refusal(name: str, license: License) -> str:
    clause = f" ({license.clause})" if license.clause else ""
    if license.text_may_be_shared is False:
        return f"{name}: {license.name} forbids passing it on{clause}"
    return f"{name}: no terms are known under which it may be passed on{clause}"
