"""The terms of a merged dataset: the strictest of its sources', and whether its text may be published."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum

from esnera_hf._internal.text import hint
from esnera_hf.errors import ConfigurationError, LicenseError
from esnera_hf.sources.source import License, SourceSummary

#: The Hub's id for terms that none of its licenses states.
OTHER = "other"
#: ``license_name`` of a merge that no single license covers.
SEVERAL = "terms-of-the-sources"
#: What a license is called of which nothing is known.
UNKNOWN = "unknown"


class Kind(IntEnum):
    """Kinds of licenses, the stricter the higher."""

    PUBLIC_DOMAIN = 0
    ATTRIBUTION = 1
    SHARE_ALIKE = 2
    NON_COMMERCIAL = 3
    NON_COMMERCIAL_SHARE_ALIKE = 4
    NO_DERIVATIVES = 5


_TERMS = {
    Kind.PUBLIC_DOMAIN: "free of conditions",
    Kind.ATTRIBUTION: "may be passed on with attribution",
    Kind.SHARE_ALIKE: "may be passed on under the same license, with attribution",
    Kind.NON_COMMERCIAL: "may be passed on with attribution, not for commercial use",
    Kind.NON_COMMERCIAL_SHARE_ALIKE: "may be passed on under the same license, not for commercial use",
    Kind.NO_DERIVATIVES: "no derivatives: a changed version, such as a relabelled one, may not be passed on",
}


#: By kind, the ids of the Hub's card metadata, the stricter or later ones last: of a kind, the last is the strictest.
#: Licenses of text stand behind those of software, as they say more on it.
_IDS = {
    Kind.PUBLIC_DOMAIN: "cc0-1.0 pddl unlicense wtfpl",
    Kind.ATTRIBUTION: "mit isc bsd-2-clause bsd-3-clause bsd zlib ecl-2.0 afl-3.0 apache-2.0 cdla-permissive-1.0 "
    "cdla-permissive-2.0 odc-by cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0",
    Kind.SHARE_ALIKE: "odbl cdla-sharing-1.0 gfdl gpl-2.0 gpl-3.0 agpl-3.0 lgpl-2.1 lgpl-3.0 gpl lgpl "
    "cc-by-sa-3.0 cc-by-sa-4.0",
    Kind.NON_COMMERCIAL: "cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0",
    Kind.NON_COMMERCIAL_SHARE_ALIKE: "cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0",
    Kind.NO_DERIVATIVES: "cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nd-4.0",
}
#: By id: the kind of a license; its place in the order of its kind; and its family: a work under one may be passed
#: on under a later one of its family. Creative Commons allows that, the others are families of their own.
KNOWN_LICENSES: dict[str, tuple[Kind, int, str]] = {
    name: (kind, place, name.rpartition("-")[0] if name.startswith("cc-by") else name)
    for kind, names in _IDS.items()
    for place, name in enumerate(names.split())
}


#: Further ids that the Hub takes, whose terms are not known here.
_UNKNOWN_TERMS = frozenset(
    (
        "openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m openrail++ "
        "artistic-2.0 bsl-1.0 bsd-3-clause-clear c-uda cc epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 h-research "
        "intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 openmdw-1.0 osl-3.0 postgresql ofl-1.1 ncsa "
        "lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 "
        "llama4 grok2-community gemma unknown other"
    ).split()
)


def stated_license(name: str) -> License:
    """Return the terms that whoever loads a corpus states for it by a license id of the Hub.

    Raises:
        ConfigurationError: the Hub has no such id, and would refuse the card.
    """
    ids = {*KNOWN_LICENSES, *_UNKNOWN_TERMS}
    if name.strip().lower() not in ids:
        raise ConfigurationError(
            f"license={name!r}: expected a license id of the Hub, such as cc-by-4.0, or 'other' for terms that none "
            f"states.{hint(name.strip().lower(), ids)}"
        )
    return license_from_id(name, "as stated by whoever loaded it")


def license_from_id(name: str, clause: str = "") -> License:
    """Return the terms that a Hub license id such as ``"cc-by-4.0"`` stands for.

    Any other text is a license whose terms are not known here. The clause is the sentence
    that states it; a description of the license's terms if not given.
    """
    entry = KNOWN_LICENSES.get(name.strip().lower())
    if entry is None:
        return License(name.strip() or UNKNOWN, None, clause)
    return License(name.strip().lower(), entry[0] is not Kind.NO_DERIVATIVES, clause or _TERMS[entry[0]])


class Terms:
    """The terms of a merge: the strictest of its sources'.

    Where no single license satisfies all, or one is not known, the merge is
    ``other`` and each sentence keeps the terms of its source.

    Attributes:
        by_source: the terms of each source.
        id: license id as the Hub's card metadata has it, or ``other``.
        name: ``license_name`` for ``other``, else empty.
        reasons: sentences that say why it is so.
    """

    def __init__(self, by_source: Mapping[str, License]) -> None:
        names: set[str] = set()
        unknown = []
        for source, license in by_source.items():
            entry = KNOWN_LICENSES.get(license.name)
            # Text that may not be shared although its license allows it is under further terms.
            if entry and (entry[0] is Kind.NO_DERIVATIVES or license.text_may_be_shared is True):
                names.add(license.name)
            else:
                unknown.append(f"{source} ({license.name}{f', {license.clause}' if entry else ''})")
        ranked = sorted(names, key=KNOWN_LICENSES.__getitem__)
        conflicts = [other for other in ranked if not _covers(ranked[-1], other)]
        why = ""
        if unknown:
            why = f"No license of the Hub's list states the terms of {', '.join(unknown)}"
        elif not ranked:
            why = "There is no source"
        elif conflicts:
            why = f"Nothing may be under both {conflicts[0]} and {ranked[-1]}"
        self.by_source = dict(by_source)
        self.id, self.name = (OTHER, SEVERAL) if why else (ranked[-1], "")
        self.reasons: tuple[str, ...] = ()
        if why:
            self.reasons = (f"{why}: each sentence keeps the terms of the source it comes from.",)
        elif len(ranked) > 1:
            self.reasons = (f"{ranked[-1]} is the strictest of {', '.join(ranked)}.",)


def licenses_of(summaries: Iterable[SourceSummary]) -> dict[str, License]:
    """Return the terms of each source from the summaries of a report."""
    return {summary.name: summary.license for summary in summaries}


def _covers(strict: str, other: str) -> bool:
    """Tell whether a work under one license may be passed on under a stricter one."""
    (strict_kind, strict_version, strict_family), (kind, version, family) = (
        KNOWN_LICENSES[name] for name in (strict, other)
    )
    if kind in (Kind.PUBLIC_DOMAIN, Kind.ATTRIBUTION):
        return True
    # Non-commercial material without share-alike may become non-commercial share-alike.
    widened = kind is Kind.NON_COMMERCIAL and strict_kind is Kind.NON_COMMERCIAL_SHARE_ALIKE
    return widened or (strict_family == family and strict_version >= version)


def check_text_may_be_published(licenses: Mapping[str, License], may_share: Collection[str] = ()) -> None:
    """Check that the text of every source may be passed on, or the user states to hold the right to do so.

    Raises:
        LicenseError: a source's terms forbid it, or none are stated; it names
            the source and the clause.
        ConfigurationError: ``may_share`` names something that is no source here.
    """
    check_names(licenses, may_share)
    refused = []
    # What is not stated is refused as what is forbidden: without a license, nothing is allowed.
    for name, license in licenses.items():
        if license.text_may_be_shared is not True and name not in may_share:
            clause = f" ({license.clause})" if license.clause else ""
            why = "no terms are known under which it may be passed on"
            if license.text_may_be_shared is False:
                why = f"{license.name} forbids passing it on"
            refused.append(f"{name}: {why}{clause}")
    if refused:
        raise LicenseError(
            f"the text may not be published: {'; '.join(refused)}. Nothing was sent. Publish the recipe without the "
            'text (text=False), or, if you hold the right to pass a text on, say so: may_share=["NAME"].'
        )


def check_names(licenses: Mapping[str, License], may_share: Collection[str]) -> None:
    """Check that a user's statement is about sources that are there."""
    if isinstance(may_share, str):
        raise ConfigurationError(f"may_share={may_share!r}: expected a list of sources.")
    strange = sorted(set(may_share) - set(licenses))
    if strange:
        raise ConfigurationError(
            f"may_share names {', '.join(strange)}, which is no source here: expected some of {', '.join(licenses)}."
        )
