"""The strictest terms of a merge, and what may be published."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_source, row
from corpora import raw_reader
from esnera_hf.errors import ConfigurationError, LicenseError
from esnera_hf.sources.build import build_source
from esnera_hf.sources.catalogue import NAMED_SOURCES
from esnera_hf.sources.licenses import (
    KNOWN_LICENSES,
    Terms,
    check_text_may_be_published,
    license_from_id,
    licenses_of,
)
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import License, NerSource, Provenance


def terms_id(*names: str) -> str:
    return Terms({f"s{i}": license_from_id(name) for i, name in enumerate(names)}).id


@pytest.mark.parametrize(
    ("names", "strictest"),
    [
        ("cc-by-4.0", "cc-by-4.0"),
        ("mit apache-2.0", "apache-2.0"),
        ("mit cc-by-4.0", "cc-by-4.0"),
        ("cc-by-4.0 cc-by-3.0", "cc-by-4.0"),
        ("cc0-1.0 cc-by-sa-4.0 mit", "cc-by-sa-4.0"),
        ("cc-by-sa-3.0 cc-by-sa-4.0", "cc-by-sa-4.0"),
        ("cc-by-nc-4.0 cc-by-4.0", "cc-by-nc-4.0"),
        ("cc-by-nc-4.0 cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0"),
        # Share alike and non-commercial exclude each other, as do two share-alike licenses.
        ("cc-by-sa-4.0 cc-by-nc-4.0", "other"),
        ("cc-by-sa-4.0 cc-by-nc-sa-4.0", "other"),
        ("cc-by-sa-4.0 odbl", "other"),
        ("cc-by-4.0 LDC", "other"),
        ("unknown", "other"),
        ("", "other"),
    ],
)
def test_the_strictest_terms(names: str, strictest: str) -> None:
    assert terms_id(*names.split()) == strictest


def test_a_license_beside_which_further_terms_hold_is_not_that_of_the_whole() -> None:
    weibo = NAMED_SOURCES["weibo"].license
    terms = Terms({"weibo": weibo, "a": license_from_id("mit")})
    assert (weibo.name, terms.id) == ("cc-by-sa-3.0", "other")
    assert "of weibo (cc-by-sa-3.0, the annotations are CC BY-SA 3.0; the messages follow" in terms.reasons[0]


def test_terms_say_why() -> None:
    licenses = {"a": license_from_id("mit"), "b": License("BosonNLP", False, "not to third parties")}
    terms = Terms(licenses)
    assert (terms.id, terms.name) == ("other", "terms-of-the-sources")
    assert terms.reasons == (
        "No license of the Hub's list states the terms of b (BosonNLP): each sentence keeps the terms of the "
        "source it comes from.",
    )
    assert terms.by_source == licenses
    assert Terms({"a": license_from_id("mit"), "b": license_from_id("cc-by-4.0")}).reasons == (
        "cc-by-4.0 is the strictest of mit, cc-by-4.0.",
    )


@given(st.lists(st.sampled_from(sorted(KNOWN_LICENSES)), min_size=1, max_size=5))
def test_a_merge_is_never_laxer_than_a_source(names: list[str]) -> None:
    strictest = terms_id(*names)
    assert strictest == terms_id(*reversed(names))
    assert strictest == "other" or strictest in names
    if strictest != "other":
        assert all(KNOWN_LICENSES[name][0] <= KNOWN_LICENSES[strictest][0] for name in names)
        assert terms_id(strictest, *names) == strictest


def test_what_a_license_allows() -> None:
    assert license_from_id(" CC-BY-4.0 ").text_may_be_shared is True
    assert license_from_id("cc-by-nd-4.0").text_may_be_shared is False
    assert license_from_id("my own terms", "ask me") == License("my own terms", None, "ask me")
    assert license_from_id("") == License("unknown", None, "")
    for source in NAMED_SOURCES.values():
        may_be_shared = license_from_id(source.license.name).text_may_be_shared
        assert may_be_shared or not source.license.text_may_be_shared


def test_text_that_may_not_be_passed_on_is_refused() -> None:
    licenses = {name: NAMED_SOURCES[name].license for name in ("boson", "cluener", "wnut17")}
    with pytest.raises(LicenseError) as refusal:
        check_text_may_be_published(licenses)
    text = str(refusal.value)
    assert "boson: BosonNLP forbids passing it on (the data may not be given to third parties)" in text
    assert "cluener: no terms are known under which it may be passed on (no license is stated" in text
    assert "wnut17" not in text
    with pytest.raises(LicenseError, match="cluener: no terms"):
        check_text_may_be_published(licenses, ["boson"])
    check_text_may_be_published(licenses, ["boson", "cluener"])
    with pytest.raises(ConfigurationError, match="may_share names bosom, which is no source here"):
        check_text_may_be_published(licenses, ["bosom"])
    with pytest.raises(ConfigurationError, match="expected a list"):
        check_text_may_be_published(licenses, "boson")


def test_a_source_carries_its_terms_into_the_report() -> None:
    license = license_from_id("cc-by-4.0")
    origin = Provenance("https://x.example", "Me 2026", "me/x", "c0ffee")
    made = make_source("a", {"train": [row("anna/B-PER")]})
    source = NerSource("a", made.dataset, license, "en", origin)
    assert licenses_of([source.summary]) == {"a": license}
    assert (source.summary.language, source.summary.provenance) == ("en", origin)


def test_whoever_loads_a_corpus_may_state_its_terms() -> None:
    read = {"train": raw_reader(("ab", [(0, 1, "x")]))}
    source = build_source(NerSource("mine"), read, ReadingOptions(license="cc-by-4.0"))
    assert source.license == License("cc-by-4.0", True, "as stated by whoever loaded it")
