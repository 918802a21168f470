"""What would keep a result from being published, found out before the hours that it takes to make it."""

from __future__ import annotations

from collections.abc import Sequence

from esnera_hf.hub import HubRepository
from esnera_hf.licensing import check_names, check_text_may_be_published
from esnera_hf.publishing.datasets import DatasetSettings
from esnera_hf.sources import NerSource


def check_before(
    repositories: Sequence[HubRepository],
    private: bool | None = None,
    *,
    sources: Sequence[NerSource] = (),
    settings: DatasetSettings | None = None,
) -> None:
    """Check rights and terms; nothing is made or changed on the Hub.

    Args:
        repositories: that are to be written to.
        private: whether they are to be private.
        sources: whose terms count, if their text is to be published.
        settings: how a dataset is to be published; ``None`` if none is.

    Raises:
        LicenceError: the terms of a source forbid to publish its text.
        HubError: a repository may not be written to.
    """
    if settings is not None:
        licences = {source.name: source.licence for source in sources}
        check_names(licences, settings.may_share)
        if settings.text:
            check_text_may_be_published(licences, settings.may_share)
    for repository in repositories:
        repository.prepare(private)
