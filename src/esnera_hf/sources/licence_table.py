"""What the licences with an id on the Hub allow, as far as passing a relabelled text on is concerned."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from esnera_hf.sources.source import Licence


class Kind(IntEnum):
    """Kinds of licences, the stricter the higher."""

    PUBLIC_DOMAIN = 0
    ATTRIBUTION = 1
    SHARE_ALIKE = 2
    NON_COMMERCIAL = 3
    NON_COMMERCIAL_SHARE_ALIKE = 4
    NO_DERIVATIVES = 5


@dataclass(frozen=True, slots=True)
class KnownLicence:
    """A licence with an id on the Hub.

    Attributes:
        id: as the Hub's card metadata has it.
        kind: what it asks for.
        family: of share-alike licences, those that a work under one may be passed
            on under a later one of.
        version: orders the licences of a kind, the stricter or later the higher.
    """

    id: str
    kind: Kind
    family: str
    version: float


def _creative_commons(terms: str, kind: Kind, versions: str) -> list[KnownLicence]:
    return [KnownLicence(f"{terms}-{v}", kind, terms, float(v)) for v in versions.split()]


_LICENCES = (
    *(
        KnownLicence(name, Kind.PUBLIC_DOMAIN, "public domain", order)
        for order, name in enumerate(("cc0-1.0", "pddl", "unlicense", "wtfpl"))
    ),
    *(
        KnownLicence(name, Kind.ATTRIBUTION, "software", order / 10 - 1)
        for order, name in enumerate(
            ("mit", "isc", "bsd-2-clause", "bsd-3-clause", "bsd", "zlib", "ecl-2.0", "afl-3.0", "apache-2.0")
        )
    ),
    KnownLicence("cdla-permissive-1.0", Kind.ATTRIBUTION, "data", 0.1),
    KnownLicence("cdla-permissive-2.0", Kind.ATTRIBUTION, "data", 0.2),
    KnownLicence("odc-by", Kind.ATTRIBUTION, "data", 0.3),
    *_creative_commons("cc-by", Kind.ATTRIBUTION, "2.0 2.5 3.0 4.0"),
    *_creative_commons("cc-by-sa", Kind.SHARE_ALIKE, "3.0 4.0"),
    KnownLicence("odbl", Kind.SHARE_ALIKE, "odbl", 1.0),
    KnownLicence("cdla-sharing-1.0", Kind.SHARE_ALIKE, "cdla-sharing", 1.0),
    KnownLicence("gfdl", Kind.SHARE_ALIKE, "gfdl", 1.0),
    *(
        KnownLicence(name, Kind.SHARE_ALIKE, name, 1.0)
        for name in ("gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl-2.1", "lgpl-3.0", "gpl", "lgpl")
    ),
    *_creative_commons("cc-by-nc", Kind.NON_COMMERCIAL, "2.0 3.0 4.0"),
    *_creative_commons("cc-by-nc-sa", Kind.NON_COMMERCIAL_SHARE_ALIKE, "2.0 3.0 4.0"),
    *_creative_commons("cc-by-nd", Kind.NO_DERIVATIVES, "4.0"),
    *_creative_commons("cc-by-nc-nd", Kind.NO_DERIVATIVES, "3.0 4.0"),
)

KNOWN_LICENCES: dict[str, KnownLicence] = {licence.id: licence for licence in _LICENCES}

_ASKS_FOR = {
    Kind.PUBLIC_DOMAIN: "free of conditions",
    Kind.ATTRIBUTION: "may be passed on with attribution",
    Kind.SHARE_ALIKE: "may be passed on under the same licence, with attribution",
    Kind.NON_COMMERCIAL: "may be passed on with attribution, not for commercial use",
    Kind.NON_COMMERCIAL_SHARE_ALIKE: "may be passed on under the same licence, not for commercial use",
    Kind.NO_DERIVATIVES: "no derivatives: a changed version, such as a relabelled one, may not be passed on",
}


def licence_from_id(name: str, clause: str = "") -> Licence:
    """Return the terms that a Hub licence id stands for.

    Args:
        name: the id, such as ``"cc-by-4.0"``; any other text is a licence whose
            terms are not known here.
        clause: the sentence that states it; a description of what the licence
            asks for if not given.
    """
    known = KNOWN_LICENCES.get(name.strip().lower())
    if known is None:
        return Licence(name.strip() or "unknown", None, clause)
    return Licence(known.id, known.kind is not Kind.NO_DERIVATIVES, clause or _ASKS_FOR[known.kind])
