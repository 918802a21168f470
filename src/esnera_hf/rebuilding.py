"""``rebuild``: the merged dataset of a published recipe, from one's own copies of the sources."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, concatenate_datasets

from esnera_hf.alignment import LabelMapping
from esnera_hf.augmentation import PseudoLabels
from esnera_hf.console import quiet_libraries, say
from esnera_hf.errors import ConfigurationError, EsneraError, RecipeError
from esnera_hf.hub import download_folder
from esnera_hf.leaks import find_leaks, left_out_ids
from esnera_hf.merging import merge_sources
from esnera_hf.publishing.recipe import (
    RECIPE_FILE,
    ROWS_FOLDER,
    Difference,
    Recipe,
    RecipeRow,
    annotation_fingerprint,
    count_differences,
    make_recipe,
    text_fingerprint,
)
from esnera_hf.report import Report
from esnera_hf.report.files import MAPPING_FILE, REPORT_FILE, SIMILARITY_FILE, read_report
from esnera_hf.report.fingerprints import dataset_fingerprint
from esnera_hf.result import MergeResult
from esnera_hf.similarity import SimilarityMatrix
from esnera_hf.sources import Licence, NerSource, SourceLike, load_all
from esnera_hf.sources.source import SOURCE_FEATURES, least_allowed
from esnera_hf.tagging import Entity

MISSING = "missing"
OTHERWISE = "annotated otherwise"
EXTRA = "not in the recipe"
_FILES = (RECIPE_FILE, f"{ROWS_FOLDER}/*.parquet", MAPPING_FILE, REPORT_FILE, SIMILARITY_FILE)


@dataclass(frozen=True)
class Rebuilt:
    """A merged dataset made again.

    Attributes:
        result: the dataset with mapping, similarities and report of the recipe.
        differences: the sentences in which the copies differ from what the
            recipe was made of; none if the dataset is the same.
    """

    result: MergeResult
    differences: tuple[Difference, ...] = field(repr=False)

    @property
    def dataset(self) -> DatasetDict:
        """The merged dataset."""
        return self.result.dataset

    @property
    def same(self) -> bool:
        """Whether it holds exactly what the recipe was made of."""
        return not any(difference.kind != EXTRA for difference in self.differences)

    def __str__(self) -> str:
        sentences = sum(len(rows) for rows in self.dataset.values())
        if self.same:
            lines = [f"the same dataset: all {sentences:,} sentences are as the recipe has them"]
        else:
            lines = [f"NOT the same dataset: {sentences:,} sentences, and these differences"]
        for (source, kind), count in sorted(count_differences(self.differences).items()):
            found = [d for d in self.differences if (d.source, d.kind) == (source, kind)]
            shown = ", ".join(d.id for d in found[:5]) + (", …" if count > 5 else "")
            lines.append(f"  {source}: {count:,} {kind}: {shown}")
        return "\n".join(lines)


def rebuild(
    recipe: str | os.PathLike[str],
    sources: Sequence[SourceLike],
    *,
    revision: str | None = None,
    token: str | None = None,
    strict: bool = False,
) -> Rebuilt:
    """Make the merged dataset of a recipe from your own copies of the sources.

    Sentences are found by the fingerprints of their tokens, in whatever split of
    a copy they stand. One that a copy annotates otherwise is taken as the copy
    has it; one that a copy does not have is left out; both are reported.

    Args:
        recipe: Hub id of a repository published with ``text=False``, or a folder.
        sources: as for :func:`~esnera_hf.align`, under the names they have in
            the recipe: ``"boson=path"``.
        revision: of the repository.
        token: of the Hub.
        strict: refuse copies that give another dataset.

    Raises:
        RecipeError: there is no recipe, a source is missing or unknown to it,
            none of a source's sentences is found, or ``strict`` and anything differs.
        HubError: the recipe cannot be fetched.
        SourceNotFoundError, SourceError: a source cannot be found or read.
        MappingError: a copy annotates labels that the mapping does not know.
    """
    folder = Path(recipe)
    if not folder.is_dir():
        folder = download_folder(os.fspath(recipe), "dataset", _FILES, revision=revision, token=token)
    read = Recipe.read(folder)
    report, mapping, similarity = _read_evidence(folder)
    with quiet_libraries():
        loaded = load_all(sources, None, seed=0, least=1)
        _check_names(read, [source.name for source in loaded])
        found = [_match(source, read, mapping) for source in loaded]
        differences = tuple(d for match in found for d in match.differences)
        sampled = report.settings.get("sentences") is not None
        differences += () if sampled else tuple(_extra(loaded, found))
        pseudo = PseudoLabels(read.floor or 0.0, {match.source.name: match.pseudo for match in found})
        merged = merge_sources([match.source for match in found], mapping, (), pseudo)
    own = replace(report, sources=_own_terms(report.sources, loaded))
    rebuilt = Rebuilt(MergeResult(merged, mapping, similarity, own), differences)
    if rebuilt.same and not _is_that_of(read, merged, report.fingerprints.get("dataset")):
        raise RecipeError(
            f"{recipe}: every sentence of the recipe was found and the dataset is another one: the recipe "
            "contradicts itself, in its order of sources, its salt or its mapping. Ask whoever published it."
        )
    if not rebuilt.same:
        if strict:
            raise RecipeError(f"{recipe}: {rebuilt}\nGet the copies that the recipe was made of.")
        say(f"WARNING: {recipe}: {rebuilt}")
    return rebuilt


def _is_that_of(recipe: Recipe, merged: DatasetDict, fingerprint: str | None) -> bool:
    """Tell whether a dataset has the rows of a recipe, and the fingerprint if that is known."""
    same_rows = make_recipe(merged, recipe.sources, recipe.floor) == recipe
    return same_rows and fingerprint in (None, dataset_fingerprint(merged))


def _read_evidence(folder: Path) -> tuple[Report, LabelMapping, SimilarityMatrix | None]:
    try:
        found = read_report(folder)
        found[0].settings.get("sentences")
    except FileNotFoundError as error:
        raise RecipeError(
            f"{folder}: {Path(error.filename).name} is missing from the recipe. Fetch it again."
        ) from None
    except ConfigurationError as error:
        raise RecipeError(f"{folder}: the recipe is damaged: {error} Fetch it again.") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, EsneraError):
            raise
        raise RecipeError(
            f"{folder}: the recipe is damaged: {type(error).__name__}: {error}. Fetch it again."
        ) from error
    return found


def _own_terms(summaries: Sequence[Mapping[str, Any]], loaded: Sequence[NerSource]) -> list[dict[str, Any]]:
    """Return the recipe's summaries under the stricter terms of recipe and copy.

    Whoever wrote the recipe cannot allow what the source forbids.
    """
    copies = {source.name: source.licence for source in loaded}
    found = []
    for summary in summaries:
        stated, copy = Licence(**summary["licence"]), copies[summary["name"]]
        found.append({**summary, "licence": asdict(least_allowed((stated, copy)))})
    return found


def _check_names(recipe: Recipe, given: Sequence[str]) -> None:
    homes = {str(source["name"]): str(source.get("homepage") or "") for source in recipe.sources}
    lacking = [f"{name} ({home})" if home else name for name, home in homes.items() if name not in given]
    strange = [name for name in given if name not in homes]
    if lacking or strange:
        found = f"; it does not know {', '.join(strange)}" if strange else ""
        wanted = f"the recipe needs {', '.join(lacking)}" if lacking else "the recipe has all it needs"
        raise RecipeError(f"{wanted}{found}. Name each source as the recipe does: 'name=path'.")


@dataclass(frozen=True)
class _Match:
    """A source cut to the sentences of a recipe.

    Attributes:
        source: with the recipe's splits, order and ids.
        pseudo: its pseudo-labels by sentence id.
        differences: what is missing or annotated otherwise.
        rest: sentences of the copy that the recipe does not have, by split.
    """

    source: NerSource
    pseudo: dict[str, list[Entity]]
    differences: list[Difference]
    rest: dict[str, list[str]]


def _match(source: NerSource, recipe: Recipe, mapping: LabelMapping) -> _Match:
    """Find the sentences of a recipe in a copy of their source."""
    wanted = [
        (split, row) for split, rows in recipe.rows.items() for row in rows if row.source == source.name
    ]
    places, differences = _find(source, wanted, recipe.salt)
    if wanted and not any(place is not None for place in places):
        raise RecipeError(
            f"{source.name}: none of the {len(wanted):,} sentences of the recipe is in this copy. Get the copy that "
            "it was made of: the same corpus, cut into the same tokens."
        )
    everything = concatenate_datasets([source.dataset[split] for split in source.dataset])
    splits, pseudo = {}, {}
    for split in recipe.rows:
        kept = [
            (place, row)
            for place, (s, row) in zip(places, wanted, strict=True)
            if s == split and place is not None
        ]
        rows = everything.select([place for place, _ in kept])
        splits[split] = _with_ids(rows, [row.id for _, row in kept])
        pseudo.update({row.id: list(row.pseudo) for _, row in kept if row.pseudo})
    labels = tuple(entry.label.label for entry in mapping.entries if entry.label.source == source.name)
    cut = NerSource(source.name, DatasetDict(splits), source.licence, vocabulary=labels)
    taken = Counter(place for place in places if place is not None)
    return _Match(cut, _free_of_gold(cut, pseudo), differences, _untaken(source, taken))


def _find(
    source: NerSource, wanted: Sequence[tuple[str, RecipeRow]], salt: bytes
) -> tuple[list[int | None], list[Difference]]:
    """Return for each row the place of its sentence in the copy: one annotated alike where there is one."""
    by_annotation: dict[bytes, deque[int]] = {}
    by_text: dict[bytes, deque[int]] = {}
    for place, (tokens, tags) in enumerate(_sentences(source)):
        by_annotation.setdefault(annotation_fingerprint(tokens, tags, salt), deque()).append(place)
        by_text.setdefault(text_fingerprint(tokens, salt), deque()).append(place)
    places: list[int | None] = []
    for _, row in wanted:
        alike = by_annotation.get(row.annotation)
        places.append(alike.popleft() if alike else None)
    taken = {place for place in places if place is not None}
    differences = []
    for index, (split, row) in enumerate(wanted):
        if places[index] is None:
            alike = by_text.get(row.text, deque())
            while alike and alike[0] in taken:
                alike.popleft()
            places[index] = alike.popleft() if alike else None
            kind = MISSING if places[index] is None else OTHERWISE
            differences.append(Difference(kind, source.name, split, row.id))
    return places, differences


def _sentences(source: NerSource) -> Iterator[tuple[list[str], list[str]]]:
    for rows in source.dataset.values():
        for batch in rows.select_columns(["tokens", "ner_tags"]).iter(batch_size=1000):
            yield from zip(batch["tokens"], batch["ner_tags"], strict=True)


def _with_ids(rows: Dataset, ids: list[str]) -> Dataset:
    if not len(rows):
        return Dataset.from_dict({column: [] for column in SOURCE_FEATURES}, SOURCE_FEATURES)
    columns = {name: rows[name][:] for name in ("tokens", "ner_tags", "source")}
    return Dataset.from_dict({"id": ids, **columns}, SOURCE_FEATURES)


def _free_of_gold(source: NerSource, pseudo: Mapping[str, list[Entity]]) -> dict[str, list[Entity]]:
    """Leave out pseudo-labels that share a token with what a copy annotates otherwise than the recipe."""
    free = {}
    for sentence in source.sentences("train"):
        for entity in pseudo.get(sentence.id, ()):
            if not 0 <= entity.start < entity.end <= len(sentence.tokens):
                raise RecipeError(
                    f"the recipe is damaged: a pseudo-label of {sentence.id} lies at {entity.start} to {entity.end}, "
                    f"the sentence has {len(sentence.tokens)} tokens. Fetch it again."
                )
        added = [
            entity
            for entity in pseudo.get(sentence.id, ())
            if not any(gold.start < entity.end and entity.start < gold.end for gold in sentence.entities)
        ]
        if added:
            free[sentence.id] = added
    return free


def _untaken(source: NerSource, taken: Collection[int]) -> dict[str, list[str]]:
    rest: dict[str, list[str]] = {}
    place = 0
    for split, rows in source.dataset.items():
        for row_id in rows["id"]:
            if place not in taken:
                rest.setdefault(split, []).append(row_id)
            place += 1
    return rest


def _extra(loaded: Sequence[NerSource], found: Sequence[_Match]) -> Iterator[Difference]:
    """Yield the sentences of the copies that the recipe lacks for no reason: a merge leaves leaks out."""
    if not any(match.rest for match in found):
        return
    left_out = left_out_ids(find_leaks(loaded))
    for match in found:
        for split, ids in match.rest.items():
            out = left_out.get((match.source.name, split), set())
            yield from (Difference(EXTRA, match.source.name, split, i) for i in ids if i not in out)
