"""The corpora known by name: where they lie, what they hold and on what terms."""

from __future__ import annotations

from dataclasses import dataclass, field

from esnera_hf.sources.source import Licence


@dataclass(frozen=True)
class NamedSource:
    """One known corpus.

    Attributes:
        name: what users call it.
        language: BCP 47 code.
        licence: its terms.
        homepage: where it is published.
        files: file name patterns by split, looked for below the folder of the
            corpus in ``ESNERA_DATA_DIR``.
        format: the reader of those files.
        hub_id: a Hub repository that holds it, ``""`` if none is known.
        hub_files: ``data_files`` within that repository.
        labels: the labels it annotates.
    """

    name: str
    language: str
    licence: Licence
    homepage: str
    files: dict[str, tuple[str, ...]]
    format: str
    hub_id: str = ""
    hub_files: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


NAMED_SOURCES: dict[str, NamedSource] = {
    source.name: source
    for source in (
        NamedSource(
            name="cluener",
            language="zh",
            licence=Licence("unknown", None, "no licence is stated in CLUENER2020"),
            homepage="https://github.com/CLUEbenchmark/CLUENER2020",
            files={"train": ("train.json",), "validation": ("dev.json",), "test": ("test.json",)},
            format="cluener",
            hub_id="xusenlin/clue-ner",
            labels=(
                "address",
                "book",
                "company",
                "game",
                "government",
                "movie",
                "name",
                "organization",
                "position",
                "scene",
            ),
        ),
        NamedSource(
            name="boson",
            language="zh",
            licence=Licence("BosonNLP", False, "the data may not be given to third parties"),
            homepage="https://github.com/InsaneLife/ChineseNLPCorpus",
            files={"train": ("origindata.txt", "boson*.txt")},
            format="boson",
            labels=("company_name", "location", "org_name", "person_name", "product_name", "time"),
        ),
        NamedSource(
            name="weibo",
            language="zh",
            licence=Licence(
                "cc-by-sa-3.0", True, "annotations CC BY-SA 3.0; messages under Weibo's terms of service"
            ),
            homepage="https://github.com/hltcoe/golden-horse",
            files={
                "train": ("weiboNER_2nd_conll.train",),
                "validation": ("weiboNER_2nd_conll.dev",),
                "test": ("weiboNER_2nd_conll.test",),
            },
            format="columns",
            labels=(
                "GPE.NAM",
                "GPE.NOM",
                "LOC.NAM",
                "LOC.NOM",
                "ORG.NAM",
                "ORG.NOM",
                "PER.NAM",
                "PER.NOM",
            ),
        ),
    )
}
