"""What an alignment gives back, and its form on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
import webbrowser
from collections.abc import Collection
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas
from datasets import DatasetDict
from huggingface_hub import DatasetCard

from esnera_hf._internal.arrow import check_rows, dataset_fingerprint, read_saved
from esnera_hf._internal.console import no_dataset_bars
from esnera_hf._internal.files import new_folder
from esnera_hf._internal.text import counted, first_lines, join_tokens, visible
from esnera_hf.alignment.flow import draw_flow
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.alignment.mapping_exchange import MAPPING_FORMATS, MappingFormat, export_mapping
from esnera_hf.alignment.questions import Question
from esnera_hf.errors import ConfigurationError, MappingError, SourceNotFoundError
from esnera_hf.hub.push import DatasetSettings, card_of_dataset, push_dataset, save_for_hub
from esnera_hf.hub.recipe import Comparison
from esnera_hf.hub.repository import HubRepository, Published
from esnera_hf.merging.corrections import with_corrections
from esnera_hf.merging.export import ExportFormat, export, exported_sentences
from esnera_hf.merging.label_levels import Grain, view
from esnera_hf.merging.merge import merged_features
from esnera_hf.report.files import (
    REPORT_FILE,
    REPORT_PAGE,
    SIMILARITY_FILE,
    read_report,
    write_report,
)
from esnera_hf.report.html import render_report
from esnera_hf.report.report import MergeReport
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import WrittenScheme

if TYPE_CHECKING:
    from esnera_hf.modeling.tagger import Tagger

DATASET_FOLDER = "dataset"
TAGGER_FOLDER = "tagger"
#: Unified labels in a short text: what a terminal shows without scrolling.
_SHOWN = 30


@dataclass(frozen=True, repr=False)
class MergeResult:
    """The merged dataset and how it came about.

    Attributes:
        dataset: splits ``train``, ``validation``, ``test``; ``ner_tags`` are ids of one ``ClassLabel`` schema.
        mapping: source labels to unified labels.
        similarity: of all pairs of labels; ``None`` where a mapping was applied and nothing measured.
        report: sources, taggers, decisions, search, scores, times.
        tagger_folder: the folder of the tagger of the merged dataset, if one was asked for.
        comparison: with the dataset that was published, where that was made again.
    """

    dataset: DatasetDict
    mapping: LabelMapping
    similarity: SimilarityMatrix | None
    report: MergeReport
    tagger_folder: Path | None = None
    comparison: Comparison | None = None

    def __repr__(self) -> str:
        return "\n  ".join([self._head(), *first_lines(str(self.mapping).split("\n"), _SHOWN)])

    def details(self) -> str:
        """Return all of the mapping, what its labels mean, and the reasons in it where the report has no decisions."""
        reasons = [] if self.report.steps else [f"{e.label}: {e.why}" for e in self.mapping.entries if e.why]
        meanings = [f"{label} means: {text}" for label, text in self.mapping.definitions.items()]
        return "\n  ".join([self._head(), *str(self.mapping).split("\n"), *map(visible, meanings + reasons)])

    def _repr_html_(self) -> str:
        return f"<p>{escape(visible(self._head()))}</p>{draw_flow(self.mapping)}"

    def _head(self) -> str:
        sentences = ", ".join(f"{split} {len(rows):,}" for split, rows in self.dataset.items())
        unified = len(self.mapping.unified_labels) - len(self.mapping.umbrellas)
        coarse = f" ({len(self.mapping.tree.roots)} coarse)" * bool(self.mapping.parents)
        return (
            f"MergeResult: {counted(len(self.mapping.entries), 'label')} of "
            f"{counted(len(self.mapping.sources), 'source')} → "
            f"{counted(unified, 'unified label')}{coarse}; sentences: {sentences}"
        )

    @property
    def questions(self) -> tuple[Question, ...]:
        """Pairs of labels of which it is unsure how they relate, with answers, those that matter most first."""
        return self.report.questions

    def view(self, grain: Grain = "fine", *, labels: int | None = None) -> DatasetDict:
        """Return the dataset with the labels of one grain in ``ner_tags``.

        :func:`~esnera_hf.merging.label_levels.view` does the same with a dataset that
        was loaded back. ``print(result.mapping.cut("coarse"))`` says what a grain costs.

        Args:
            grain: ``coarse``, ``medium``, ``fine`` or ``original``.
            labels: instead of a grain, the most labels that are to be left.

        Raises:
            ConfigurationError: there is no such grain, or there are more outermost labels than ``labels``.
        """
        return view(self.dataset, grain, mapping=self.mapping, labels=labels)

    def export(
        self,
        folder: str | os.PathLike[str],
        form: ExportFormat | MappingFormat = "jsonl",
        *,
        gold_only: bool = False,
        scheme: WrittenScheme | None = None,
    ) -> list[Path]:
        """Write the dataset, or its mapping alone, in a format of other tools; return the files.

        Args:
            folder: where the files go; must not exist.
            form: of :func:`~esnera_hf.merging.export.export`, for the dataset; ``sssom`` or ``flair`` of
                :func:`~esnera_hf.alignment.mapping_exchange.export_mapping`, for the mapping.
            gold_only: leave pseudo-labels out.
            scheme: of the tags of ``conll``; ``IOB2`` if not given.

        Raises:
            ConfigurationError, SourceError: as those functions do; nothing is written.
        """
        if form in MAPPING_FORMATS:
            if gold_only or scheme is not None:
                raise ConfigurationError(
                    f"format {form!r} writes the mapping alone, as it is. Leave gold_only and scheme out."
                )
            return export_mapping(self.mapping, folder, cast(MappingFormat, form))
        data_format = cast(ExportFormat, form)
        return export(
            self.dataset, folder, data_format, gold_only=gold_only, scheme=scheme, mapping=self.mapping
        )

    def to_pandas(self) -> pandas.DataFrame:
        """Return a row per mention of the dataset: where it stands, its text, label, origin and score."""
        columns = "split id source start end mention label origin score".split()
        rows = []
        for split, part in self.dataset.items():
            for sentence, origins in exported_sentences(part):
                for entity, origin in zip(sentence.entities, origins or (), strict=True):
                    place = split, sentence.id, sentence.source, entity.start, entity.end
                    mention = join_tokens(sentence.tokens[entity.start : entity.end])
                    rows.append((*place, mention, entity.label, origin, entity.score))
        return pandas.DataFrame(rows, columns=columns)

    def corrected(self, path: str | os.PathLike[str], *, annotator: str | None = None) -> MergeResult:
        """Return the result with what people corrected in Label Studio, in an export of format ``label-studio``.

        Sentences keep tokens, split and source, and mentions that were not changed their origin and score; the
        sources' notes say how many sentences were corrected. Scores and a tagger stay those of the data before.

        Args:
            path: the JSON that Label Studio exports.
            annotator: whose annotation counts where several annotated a sentence differently.

        Raises:
            SourceNotFoundError: there is no such file.
            SourceError: the file does not fit these data, or something in it is to be decided first.
        """
        dataset, counts = with_corrections(self.dataset, path, self.mapping, annotator=annotator)
        noted = {name: f"{counted(count, 'sentence')} corrected by hand" for name, count in counts.items()}
        sources = tuple(
            replace(source, notes=(*source.notes, noted[source.name])) if source.name in noted else source
            for source in self.report.sources
        )
        report = replace(self.report, sources=sources, dataset_fingerprint=dataset_fingerprint(dataset))
        return replace(self, dataset=dataset, report=report)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write dataset, mapping, similarities, report (data, HTML, picture) and tagger to a new folder.

        Everything is written aside and renamed into place: the folder is complete or not there.

        Raises:
            ConfigurationError: the folder exists; nothing is written.
        """
        with new_folder(Path(path)) as folder:
            with no_dataset_bars():
                self.dataset.save_to_disk(folder / DATASET_FOLDER)
            write_report(folder, self.report, self.mapping, self.similarity)
            if self.tagger_folder is not None:
                shutil.copytree(self.tagger_folder, folder / TAGGER_FOLDER)

    def review(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Open the page in the browser: what was merged and why, what to check, and controls to change it.

        What is changed there is downloaded as ``mapping.yaml``, for :func:`esnera_hf.apply`.

        Args:
            path: a new folder for the page; a temporary one if not given.

        Returns:
            The page, to open by hand where no browser runs, as on a remote machine.

        Raises:
            ConfigurationError: the folder exists; nothing is written.
        """
        page = render_report(self.report, self.mapping, self.similarity)
        target = Path(tempfile.mkdtemp(prefix="esnera-")) / "review" if path is None else Path(path)
        with new_folder(target) as folder:
            (folder / REPORT_PAGE).write_text(page, encoding="utf-8", errors="replace")
        file = target / REPORT_PAGE
        webbrowser.open(file.resolve().as_uri())
        return file

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        text: bool = True,
        may_share: Collection[str] = (),
        by_source: bool = False,
        token: str | None = None,
        commit_message: str | None = None,
    ) -> Published:
        """Publish dataset, mapping, report and card to a dataset repository of the Hub, in one commit.

        Run again after a failure, it goes on: what has arrived is not sent again. A README that is there
        already keeps everything but the card's metadata and section.

        Args:
            repo_id: ``owner/name``, or a name of your own.
            private: whether the repository is to be private; as it is, or the Hub's default, if not given.
            revision: branch to commit to, made if it is not there.
            create_pr: open a pull request instead.
            text: publish the dataset; else only the recipe, from which :func:`esnera_hf.apply` makes the dataset
                from one's own copies of the sources, and nothing of their text.
            may_share: sources whose terms forbid to pass their text on, or are not known, and whose text you
                hold the right to pass on.
            by_source: add a configuration a source, with its sentences relabelled.
            token: of the Hub; the one you are logged in with if not given.
            commit_message: of the commit.

        Returns:
            Where it was published.

        Raises:
            LicenseError: the text of a source may not be passed on.
            HubError: the Hub refuses it or cannot be reached; it says what is safe and what to do.
        """
        repository = HubRepository(repo_id, "dataset", token=token, revision=revision, create_pr=create_pr)
        settings = DatasetSettings(text, may_share, by_source)
        return push_dataset(self, repository, settings, private=private, message=commit_message)

    def save_for_hub(
        self,
        path: str | os.PathLike[str],
        *,
        repo_id: str = "",
        text: bool = True,
        may_share: Collection[str] = (),
        by_source: bool = False,
    ) -> None:
        """Write the files that :meth:`push_to_hub` would commit to an empty repository to a new folder.

        The Hub is not called. The card is ``README.md``; what holds a recipe (``text=False``)
        :func:`esnera_hf.apply` reads.

        Args:
            path: the folder.
            repo_id: what the card calls the repository; the name of the folder if not given.
            text, may_share, by_source: as for :meth:`push_to_hub`.

        Raises:
            LicenseError: the text of a source may not be passed on; nothing is written.
            ConfigurationError: the folder exists; nothing is written.
        """
        settings = DatasetSettings(text, may_share, by_source)
        with new_folder(Path(path)) as folder:
            save_for_hub(self, folder, repo_id or Path(path).resolve().name, settings)

    def card(
        self, repo_id: str, *, text: bool = True, may_share: Collection[str] = (), by_source: bool = False
    ) -> DatasetCard:
        """Return the card that :meth:`push_to_hub` would publish, without calling the Hub.

        Raises:
            LicenseError: the text of a source may not be passed on.
        """
        return card_of_dataset(self, repo_id, DatasetSettings(text, may_share, by_source))

    def load_tagger(self) -> Tagger:
        """Load the tagger that was trained on the merged dataset; its card tells of the alignment.

        Raises:
            ConfigurationError: none was asked for.
        """
        from esnera_hf.modeling.tagger import Tagger

        if self.tagger_folder is None:
            raise ConfigurationError(
                "there is no tagger of the merged dataset. Align or apply again with train_merged=True among its "
                "output settings."
            )
        tagger = Tagger.from_pretrained(self.tagger_folder)
        return tagger.with_record(report=self.report.to_dict(), mapping=self.mapping.to_yaml())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MergeResult:
        """Read a folder written by :meth:`save`.

        Raises:
            SourceNotFoundError: the folder holds no saved result.
            MappingError: its mapping has been edited, into something invalid or into another one than the
                dataset was made with.
        """
        folder = Path(path)
        missing = [
            name for name in (DATASET_FOLDER, MAPPING_FILE, REPORT_FILE) if not (folder / name).exists()
        ]
        if missing:
            raise SourceNotFoundError(
                f"{folder}: no saved result, {', '.join(missing)} not found. Expected a folder written by "
                "MergeResult.save or `esnera-hf align --output`."
            )
        report, mapping, similarity = read_report(folder)
        # An edited mapping beside data made with another one would be published as if it described them.
        if report.mapping_fingerprint not in ("", mapping.fingerprint):
            raise MappingError(
                f"{folder / MAPPING_FILE}: the dataset beside it was made with another mapping. Apply the edited one "
                "to the sources (`esnera-hf apply mapping.yaml SOURCE … --output DIR`), or undo the edit."
            )
        labels = {entry.label for entry in mapping.entries}
        if similarity is not None and (strange := sorted(labels ^ set(similarity.labels))):
            raise ConfigurationError(
                f"{folder}: {SIMILARITY_FILE} and {MAPPING_FILE} are not of one alignment: only one of them has "
                f"{str(strange[0])!r}. Copy both again from where they were written."
            )
        dataset = read_saved(folder / DATASET_FOLDER, ConfigurationError)
        try:
            if not isinstance(dataset, DatasetDict):
                raise ValueError("expected a folder per split")
            check_rows(dataset, merged_features(mapping))
        except ValueError as error:
            raise ConfigurationError(f"{folder / DATASET_FOLDER}: {error}. Copy the folder again.") from None
        tagger = folder / TAGGER_FOLDER
        return cls(dataset, mapping, similarity, report, tagger if tagger.is_dir() else None)


def load_saved_tagger(path: str | os.PathLike[str]) -> Tagger:
    """Load a saved tagger; the one that lies in a saved alignment knows what it was made of.

    Raises:
        EncoderError: the folder holds no tagger.
        ConfigurationError: it is of an alignment for which no tagger was asked.
        SourceNotFoundError: the alignment that it lies in is not complete.
    """
    from esnera_hf.modeling.tagger import Tagger

    folder = Path(path).resolve()
    if folder.name == TAGGER_FOLDER and (folder.parent / REPORT_FILE).is_file():
        return MergeResult.load(folder.parent).load_tagger()
    if (folder / REPORT_FILE).is_file() and (folder / MAPPING_FILE).is_file():
        # The folder of an alignment stands for its tagger, or says that it has none.
        return MergeResult.load(folder).load_tagger()
    return Tagger.from_pretrained(path)
