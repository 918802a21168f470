"""The atlas: evidence bundles of many corpora, how their labels relate, and the tree that this makes of them.

A folder: ``atlas.json`` (:class:`AtlasFacts`), a bundle per corpus, the similarities of
their labels, and for people ``mapping.yaml``, the tree, and a page that draws it.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
from huggingface_hub import DatasetCard, DatasetCardData

from esnera_hf._internal.console import quiet_libraries
from esnera_hf._internal.files import new_folder
from esnera_hf._internal.json import read_json
from esnera_hf._internal.text import counted
from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.definitions import check_definitions
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.alignment.umbrellas import add_umbrellas
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.hub.atlas_page import draw_atlas
from esnera_hf.hub.bundle_encoder import encoder_of
from esnera_hf.hub.evidence import Evidence, open_source
from esnera_hf.hub.evidence_file import checked_record
from esnera_hf.hub.markdown import render
from esnera_hf.hub.protection import EXACT
from esnera_hf.hub.push import write_card
from esnera_hf.hub.repository import HubRepository, Published, fetch
from esnera_hf.report.call import is_published
from esnera_hf.report.files import SIMILARITY_FILE, write_json
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.matrix import ROWS, SQUARES, SimilarityMatrix
from esnera_hf.sources.licenses import SEVERAL
from esnera_hf.sources.load import EVIDENCE_SUFFIX, MOST_ALIGNED, SourceLike, check_names, load_sources
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.identity import default_encoder
from esnera_hf.tagging import LabelRef

FORMAT, VERSION = "esnera_hf.atlas", 2
ATLAS_FILE, PAGE_FILE, BUNDLES = "atlas.json", "index.html", "bundles"
_BUNDLE = re.compile(rf"{BUNDLES}/[0-9]{{4}}\{EVIDENCE_SUFFIX}")


class AtlasFacts(TypedDict):
    """The JSON of an atlas.

    ``bundles`` are the file and the digest of each corpus' bundle, by its name, in the
    order of the similarities; ``definitions`` are texts by ``source:label``.
    """

    format: str
    version: int
    bundles: dict[str, tuple[str, str]]
    definitions: dict[str, str]


class Atlas:
    """Evidence bundles of many corpora, and how their labels relate.

    Args:
        bundles: of the corpora.
        matrix: the similarities of their labels, in the same order.
        definitions: what labels mean, by ``source:label``, as far as that is known.

    Raises:
        ConfigurationError: the similarities are of other labels, or a definition is of none of them.
    """

    def __init__(
        self,
        bundles: Sequence[Evidence],
        matrix: SimilarityMatrix,
        definitions: Mapping[str, str] | None = None,
    ) -> None:
        self.bundles = {bundle.name: bundle for bundle in bundles}
        self.matrix = matrix
        _check_count(bundles)
        labels = tuple(LabelRef(bundle.name, label) for bundle in bundles for label in bundle.labels)
        if labels != matrix.labels or len(self.bundles) < len(bundles):
            raise ConfigurationError(
                "atlas: its bundles and its similarities are not of the same labels. Copy the folder again."
            )
        checked = check_definitions(definitions or {}, set(map(str, labels)))
        self.definitions = dict(sorted(checked.items()))

    @classmethod
    def build(
        cls,
        sources: Sequence[SourceLike | Evidence],
        *,
        encoder: str | os.PathLike[str] | None = None,
        seed: int = 42,
        definitions: Mapping[str, str] | None = None,
    ) -> Atlas:
        """Measure an atlas of corpora.

        Args:
            sources: two or more, as for :func:`~esnera_hf.align`, or bundles; what only the text of a bundle's
                owner could tell stays unknown.
            encoder: folder or Hub id of the pretrained encoder; that of the bundles, or one that suits the languages,
                if not given.
            seed: of the sentences that are read.
            definitions: what labels mean, by ``source:label``.

        Raises:
            SourceNotFoundError, SourceError: a source cannot be found or read.
            EncoderError: the encoder cannot be loaded.
            ConfigurationError: fewer than two sources, two of one name, bundles of another encoder, or a definition
                is of no label.
        """
        opened = [open_source(source) for source in sources]
        made = [source for source in opened if isinstance(source, Evidence)]
        others = [source for source in opened if not isinstance(source, Evidence)]
        with quiet_libraries():
            texts = load_sources(others, None, seed, least=max(2 - len(made), 0))
            loaded = sorted([*texts, *(bundle.as_source() for bundle in made)], key=lambda one: one.name)
            check_names(loaded)
            check_definitions(definitions or {}, {str(ref) for source in loaded for ref in source.label_refs})
            bundles = {bundle.name: bundle for bundle in made}
            name = os.fspath(encoder or default_encoder(loaded))
            if made:
                name = encoder_of(made, encoder, reads=bool(texts))
            matrix = measure_similarity(
                loaded, EvidenceSettings(kind="frozen"), name, {}, seed=seed, bundles=bundles
            )
            for source in texts:
                bundles[source.name] = Evidence.from_source(source, encoder=name, seed=seed, reveal=EXACT)
        return cls([bundles[source.name] for source in loaded], matrix, definitions)

    def _size(self) -> str:
        return f"{counted(len(self.bundles), 'corpus')}, {counted(len(self.matrix.labels), 'label')}"

    def __repr__(self) -> str:
        return f"Atlas({self._size()})"

    def __str__(self) -> str:
        return f"{self._size()}\n{self.mapping}"

    @cached_property
    def mapping(self) -> LabelMapping:
        """The tree: labels that mean the same are one, parts are below what contains them."""
        tree = add_umbrellas(merge_equivalent(self.matrix), self.matrix, Constraints())
        definitions = {ref: self.definitions.get(str(ref), "") for ref in self.matrix.labels}
        return tree.with_definitions(definitions)

    def add(
        self,
        source: SourceLike | Evidence,
        *,
        encoder: str | os.PathLike[str] | None = None,
        seed: int = 42,
        definitions: Mapping[str, str] | None = None,
    ) -> Atlas:
        """Return an atlas with one more corpus; those that are in it are not read again.

        What its heads find on their text stays unknown, as their text is not here.

        Args:
            source: a corpus, or the bundle of one.
            encoder: the one of the atlas, where it lies in a folder here.
            seed: of the sentences that are read.
            definitions: what its labels mean, by ``source:label``.

        Raises:
            SourceNotFoundError, SourceError: the source cannot be found or read.
            EncoderError: the encoder cannot be loaded.
            ConfigurationError: a corpus of its name, or the same under another one, is in the atlas, or the encoder is
                not that of the atlas.
        """
        loaded, before = open_source(source), list(self.bundles.values())
        if loaded.name in self.bundles:
            raise ConfigurationError(
                f"{loaded.name}: a corpus of this name is in the atlas. Give it another one: 'name=PATH'."
            )
        matrix = self.matrix_with(loaded, encoder=encoder, seed=seed)
        if not isinstance(loaded, Evidence):
            loaded = Evidence.from_source(
                loaded, encoder=encoder_of(before, encoder), seed=seed, reveal=EXACT
            )
        for bundle in before:
            if bundle.head.labels and bundle.head.digest == loaded.head.digest:
                raise ConfigurationError(
                    f"{loaded.name}: the same corpus is in the atlas as {bundle.name}, with the same heads. A copy "
                    "would count twice. Leave it out."
                )
        return Atlas([*before, loaded], matrix, {**self.definitions, **(definitions or {})})

    def without(self, names: set[str]) -> Atlas:
        """Return the atlas without some corpora."""
        left = [bundle for name, bundle in self.bundles.items() if name not in names]
        matrix = self.matrix.restricted([bundle.name for bundle in left])
        labels = set(map(str, matrix.labels))
        return Atlas(left, matrix, {ref: text for ref, text in self.definitions.items() if ref in labels})

    def matrix_with(
        self, source: NerSource | Evidence, *, encoder: str | os.PathLike[str] | None = None, seed: int = 42
    ) -> SimilarityMatrix:
        """Return the similarities with those of another source, of another name, behind them.

        The heads of the atlas read its text; of a bundle, only vectors and names are compared.

        Raises:
            EncoderError: the encoder cannot be loaded.
            ConfigurationError: the encoder is not that of the atlas.
        """
        bundles = dict(self.bundles)
        if isinstance(source, Evidence):
            bundles[source.name] = source
            name, new = encoder_of(list(bundles.values()), reads=False), source.as_source()
        else:
            name, new = encoder_of(list(bundles.values()), encoder), source
        sources = [*(bundle.as_source() for bundle in self.bundles.values()), new]
        with quiet_libraries():
            one_sided = measure_similarity(
                sources, EvidenceSettings(kind="frozen"), name, {}, seed=seed, bundles=bundles
            )
        return joined(self.matrix, one_sided)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the atlas to a new folder, complete or not at all.

        Raises:
            ConfigurationError: the folder exists; nothing is written.
        """
        with new_folder(Path(path)) as folder:
            (folder / BUNDLES).mkdir()
            files = {}
            for number, (name, bundle) in enumerate(self.bundles.items()):
                files[name] = (f"{BUNDLES}/{number:04d}{EVIDENCE_SUFFIX}", bundle.digest)
                bundle.save(folder / files[name][0])
            facts: AtlasFacts = {
                "format": FORMAT,
                "version": VERSION,
                "bundles": files,
                "definitions": self.definitions,
            }
            write_json(facts, folder / ATLAS_FILE)
            similarities = json.dumps(self.matrix.to_dict(), ensure_ascii=False)
            (folder / SIMILARITY_FILE).write_text(similarities, encoding="utf-8")
            self.mapping.save(folder / MAPPING_FILE)
            page = draw_atlas(self.mapping, self.bundles, self.definitions)
            (folder / PAGE_FILE).write_text(page, encoding="utf-8", errors="replace")

    def card(self, repo_id: str) -> DatasetCard:
        """Return the card that :meth:`push_to_hub` publishes."""
        bundles = list(self.bundles.values())
        cited = [{"name": bundle.name, "provenance": bundle.facts["provenance"]} for bundle in bundles]
        body = render(
            "atlas.md.jinja",
            {
                "repo_id": repo_id,
                "bundles": bundles,
                "labels": len(self.matrix.labels),
                "encoder": bundles[0].facts["encoder"],
                "cited": cited,
            },
        )
        # The terms of each corpus stand in the table; the bundles themselves hold none of their text.
        data = DatasetCardData(
            license="other",
            license_name=SEVERAL,
            pretty_name="An atlas of named entity labels",
            tags=["named-entity-recognition", "label-alignment", "esnera-hf"],
            task_categories=["token-classification"],
        )
        return DatasetCard(f"---\n{data.to_yaml()}\n---\n{body}")

    def push_to_hub(
        self, repo_id: str, *, private: bool | None = None, token: str | None = None
    ) -> Published:
        """Publish the atlas and its card to a dataset repository of the Hub, in one commit.

        Args:
            repo_id: ``owner/name``, or a name of your own.
            private: whether the repository is to be private; as it is, or the Hub's default, if not given.
            token: of the Hub; the one you are logged in with if not given.

        Raises:
            HubError: the Hub refuses it or cannot be reached.
        """
        repository = HubRepository(repo_id, "dataset", token=token)
        repository.prepare(private)
        with tempfile.TemporaryDirectory(prefix="esnera-") as place:
            folder = Path(place) / "atlas"
            self.save(folder)
            write_card(folder, self.card(repository.repo_id))
            message = f"Publish an atlas of {self._size()}"
            return repository.publish(folder, message)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, token: str | None = None) -> Atlas:
        """Read an atlas that may come from a stranger: sizes and types are checked, and no code is run.

        Args:
            path: a folder, or ``owner/name`` or ``owner/name@revision`` on the Hub.
            token: of the Hub; the one you are logged in with if not given.

        Raises:
            SourceError: there is none, or it is damaged or of another version.
            HubError: there is no such repository, or it cannot be reached.
        """
        folder = Path(path)
        if not folder.is_dir() and is_published(os.fspath(path)):
            files = [ATLAS_FILE, SIMILARITY_FILE, f"{BUNDLES}/*{EVIDENCE_SUFFIX}"]
            folder = fetch(os.fspath(path), files, token)
        try:
            facts = _checked_facts(read_json(folder / ATLAS_FILE, SourceError))
            bundles = []
            for name, (file, digest) in facts["bundles"].items():
                if not (folder / file).is_file():
                    raise ValueError(f"{file}: there is no such file")
                bundle = Evidence.load(folder / file)
                if bundle.name != name or bundle.digest != digest:
                    raise ValueError(f"{file} is not the bundle of {name[:60]!r} that it lists")
                bundles.append(bundle)
                _check_count(bundles)  # before all of what may be a terabyte is read
            matrix = SimilarityMatrix.from_dict(read_json(folder / SIMILARITY_FILE, SourceError))
            return cls(bundles, matrix, facts["definitions"])
        except (ValueError, TypeError, ConfigurationError) as error:
            raise SourceError(
                f"{folder}: no atlas that can be used: {str(error)[:300].rstrip('.')}. Expected a folder that "
                "`esnera-hf atlas build` wrote: copy it again, or build it again."
            ) from error


def _checked_facts(data: object) -> AtlasFacts:
    facts = cast(AtlasFacts, checked_record(AtlasFacts, data, FORMAT, VERSION))
    files = [file for file, _ in facts["bundles"].values()]
    if not files or len(files) > MOST_ALIGNED or len(set(files)) < len(files):
        raise ValueError(f"bundles: expected 1 to {MOST_ALIGNED:,} different files")
    if strange := [file for file in files if not _BUNDLE.fullmatch(file)]:
        raise ValueError(
            f"bundles: expected {BUNDLES}/0000{EVIDENCE_SUFFIX} and so on, found {strange[0][:60]!r}"
        )
    return facts


def _check_count(bundles: Sequence[Evidence]) -> None:
    labels = sum(len(bundle.labels) for bundle in bundles)
    if labels > MOST_ALIGNED:
        raise ConfigurationError(
            f"atlas: expected at most {MOST_ALIGNED:,} labels, found {labels:,}. Make two of it."
        )


def joined(atlas: SimilarityMatrix, more: SimilarityMatrix) -> SimilarityMatrix:
    """Return similarities of more labels, with those that an atlas knows in the place of what is unknown there."""
    own = [more.index[label] for label in atlas.labels]
    squares = {name: getattr(more, name).copy() for name in SQUARES}
    for name, values in squares.items():
        values[np.ix_(own, own)] = getattr(atlas, name)
    rows = {name: getattr(more, name).copy() for name in ROWS}
    for name, values in rows.items():
        values[own] = getattr(atlas, name)
    return SimilarityMatrix(more.labels, **rows, **squares)
