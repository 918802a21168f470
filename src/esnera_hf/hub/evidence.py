"""Evidence bundles: what an alignment needs to know of the labels of a source, without its text.

A bundle is one safetensors file. Its arrays are the light head, the centroids and, if
asked for, salted hashes of forms; all else is JSON in its header (:class:`EvidenceFacts`).
"""

from __future__ import annotations

import html
import os
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from datasets import Dataset, DatasetDict
from huggingface_hub import DatasetCard, DatasetCardData, hf_hub_download
from numpy.typing import NDArray

from esnera_hf._internal.console import quiet_libraries
from esnera_hf._internal.files import check_new_file, write_new_file
from esnera_hf._internal.hub_errors import explained
from esnera_hf._internal.text import counted, visible
from esnera_hf._internal.yaml import dump_yaml
from esnera_hf.errors import ConfigurationError, SourceError, SourceNotFoundError
from esnera_hf.hub.evidence_file import (
    EvidenceFacts,
    bundle_bytes,
    read_bundle,
)
from esnera_hf.hub.evidence_measurement import check_readable, measured
from esnera_hf.hub.markdown import escape, render
from esnera_hf.hub.protection import EXACT, REVEAL, least_support
from esnera_hf.hub.push import write_card
from esnera_hf.hub.readme import plain_data
from esnera_hf.hub.repository import HubRepository, Published
from esnera_hf.report.call import is_published
from esnera_hf.sources.hashed_forms import HashedForms
from esnera_hf.sources.licenses import Terms, stated_license
from esnera_hf.sources.load import ANSWER_SUFFIX, EVIDENCE_SUFFIX, SourceLike, is_bundle, load_source
from esnera_hf.sources.source import SOURCE_FEATURES, SPLITS, NerSource
from esnera_hf.taggers.encoder_fit import measure_fits
from esnera_hf.taggers.identity import default_encoder
from esnera_hf.taggers.light_heads import (
    LightHead,
)
from esnera_hf.taggers.predictions import LabelCentroids

#: The file of a bundle in a repository of the Hub.
BUNDLE_FILE = "bundle.evidence"


class Evidence:
    """What an alignment needs to know of the labels of a source, without its text.

    Args:
        facts: of the source, its labels and the encoder.
        head: the light head, without spans.
        centroids: the sums of the vectors of mentions.
        forms: of mentions, by salted hashes, if asked for.
    """

    def __init__(
        self,
        facts: EvidenceFacts,
        head: LightHead,
        centroids: LabelCentroids,
        forms: HashedForms | None = None,
    ) -> None:
        self.facts, self.head, self.centroids, self.forms = facts, head, centroids, forms
        self.name, self.labels = facts["name"], tuple(facts["labels"])
        #: The name of the source where its text is, by which answers call it.
        self.owner_name = self.name
        self.mentions, self.read = facts["mentions"], facts["read"]

    def __repr__(self) -> str:
        return f"Evidence({self.name!r}: {counted(len(self.labels), 'label')}, {self.facts['encoder']})"

    def __str__(self) -> str:
        facts = self.facts
        exact = facts["reveal"] == EXACT
        options = f"labels of at least {facts['min_support']} mentions, " + (
            "nothing else held back" if exact else f"reveals at most {facts['reveal']:g} of a mention"
        )
        lines = [
            f"{self.name}: license {facts['license']}; light heads on {facts['encoder']}, {options}",
            f"  {'label':<24} {'mentions':>9} {'recall':>7} {'tokens':>7}",
        ]
        for label in self.labels:
            mentions, mean = self.mentions[label], facts["lengths"].get(label, (float("nan"),))[0]
            recall = self.head.recall.get(label, float("nan"))
            count = f"{mentions:,}" if mentions else f"under {facts['min_support']:,}"
            lines.append(f"  {label:<24} {count:>9} {recall:>7.2f} {mean:>7.1f}")
        forms = 0 if self.forms is None else sum(map(len, self.forms.hashes.values()))
        lines.append(
            f"  no text; {len(self.to_bytes()):,} bytes, {forms:,} salted hashes of forms, digest {self.digest}"
        )
        return "\n".join(map(visible, lines))

    def to_pandas(self) -> pandas.DataFrame:
        """Return a row per label: mentions, recall of the light head, mean length of mentions in tokens."""
        rows = [
            {
                "label": label,
                "mentions": self.mentions[label],
                "recall": self.head.recall.get(label),
                "tokens": self.facts["lengths"].get(label, (None,))[0],
            }
            for label in self.labels
        ]
        return pandas.DataFrame(rows)

    def _repr_html_(self) -> str:
        table = self.to_pandas().to_html(index=False, float_format="{:.2f}".format, na_rep="?")
        head = f"{self!r}; license {self.facts['license']}"
        return f"<p>{html.escape(visible(head))}</p>{table}"

    @classmethod
    def from_source(
        cls,
        source: SourceLike,
        *,
        encoder: str | os.PathLike[str] | None = None,
        seed: int = 42,
        reveal: float = REVEAL,
        min_support: int | None = None,
        salt: str | None = None,
    ) -> Evidence:
        """Measure the evidence of a source.

        What it reveals of a mention is bounded; by ``reveal=1`` it is exactly what :func:`~esnera_hf.align` uses of a
        source whose text it has.

        Args:
            source: as for ``load_source``, or loaded.
            encoder: folder or Hub id of a pretrained encoder, the same for all who exchange bundles.
            seed: of the sentences that are read.
            reveal: how well an attack may tell whether a mention was read, as the area under the ROC curve: 0.5 is
                guessing, 1 holds nothing back. Noise is chosen by it, label by label; the same text gives the same
                noise, by a secret that stays in the folder of the cache.
            min_support: mentions of a label below which a bundle tells its name alone; 20 if not given, and 3, below
                which no head is fitted, where nothing is held back.
            salt: a secret that both sides agree on, 16 characters at least: adds salted hashes of the forms of
                mentions, by which the other side can count those in common.

        Raises:
            SourceNotFoundError, SourceError: the source cannot be found or read.
            EncoderError: the encoder cannot be loaded.
            ConfigurationError: an option is out of range, or the source has no labels, or one that no bundle can name.
        """
        least = least_support(reveal, min_support)
        loaded = load_source(source)
        if not loaded.labels:
            raise ConfigurationError(f"{loaded.name}: it has no labels. Expected a source with mentions.")
        name = default_encoder([loaded]) if encoder is None else os.fspath(encoder)
        measure_fits([loaded], name, seed)
        return cls(*measured(loaded, name, seed, reveal=reveal, least=least, salt=salt))

    def to_bytes(self) -> bytes:
        """Return the content of the file: the same of the same evidence."""
        means = [
            self.centroids.total[label] / self.centroids.count[label] for label in self.facts["centroids"]
        ]
        arrays: dict[str, NDArray[Any]] = {
            "weights": self.head.weights.astype(np.float16),
            "bias": self.head.bias.astype(np.float16),
            "centroids": np.array(means, dtype=np.float16).reshape(len(means), self.head.weights.shape[1]),
        }
        if self.forms is not None:
            own = [self.forms.hashes[label] for label in self.facts["forms"]]
            arrays["forms"] = np.concatenate([np.empty(0, dtype=np.uint64), *own])
        return bundle_bytes(self.facts, arrays)

    @property
    def digest(self) -> str:
        """A digest of the file."""
        return blake2b(self.to_bytes(), digest_size=16).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the bundle to a new file, whose name ends in ``.evidence``.

        Raises:
            ConfigurationError: it has another ending, the file exists, or it cannot be written.
        """
        file = Path(path)
        check_new_file(file, EVIDENCE_SUFFIX)
        write_new_file(file, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, token: str | None = None) -> Evidence:
        """Read a bundle from a file, or from ``owner/name`` or ``owner/name@revision`` on the Hub.

        With ``name=`` before it, it is given that name.

        Raises:
            SourceNotFoundError: there is no such file.
            SourceError: it is no bundle, of another version, or damaged.
            HubError: there is no such repository, or it cannot be reached.
        """
        text = os.fspath(path)
        name, equals, place = text.partition("=")
        if equals and name and not os.path.exists(text):
            return cls.load(place, token=token).named(name)
        if text.endswith(ANSWER_SUFFIX):
            raise SourceError(
                f"{text}: an answer, and no bundle. Give it to `esnera-hf align`, beside the bundles of both sides."
            )
        file = Path(os.path.expanduser(text))
        if not file.is_file():
            name, _, revision = text.partition("@")
            if not is_published(text):
                raise SourceNotFoundError(
                    f"{text!r}: no such file. Expected an evidence bundle, a file that `esnera-hf evidence` wrote, or "
                    "owner/name on the Hub."
                )
            with explained(name, "fetching it", "run the same again"), quiet_libraries():
                where: Any = {"repo_type": "dataset", "revision": revision or None, "token": token}
                file = Path(hf_hub_download(name, BUNDLE_FILE, **where))
        facts, arrays = read_bundle(file)
        weights, bias = (arrays[name].astype(np.float32) for name in ("weights", "bias"))
        spans = np.zeros((0, weights.shape[1]), dtype=np.float32)
        head = LightHead(tuple(facts["heads"]), weights, bias, (), spans, facts["recall"])
        means = dict(zip(facts["centroids"], arrays["centroids"].astype(np.float32), strict=True))
        forms = None
        if facts["salt_check"]:
            ends = np.cumsum([0, *facts["forms"].values()])
            hashes = {
                label: arrays["forms"][first:end]
                for label, first, end in zip(facts["forms"], ends, ends[1:], strict=False)
            }
            forms = HashedForms(hashes, facts["form_lengths"], facts["salt_check"])
        return cls(facts, head, LabelCentroids.of_means(means, facts["read"], facts["noise"]), forms)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        token: str | None = None,
        commit_message: str | None = None,
    ) -> Published:
        """Publish the bundle and a card to a dataset repository of the Hub, in one commit; no text is published.

        Args:
            repo_id: ``owner/name``, whose name ends in ``.evidence``, by which ``align`` knows what it is.
            private, revision, create_pr, token, commit_message: as for ``MergeResult.push_to_hub``.

        Raises:
            ConfigurationError: the name has another ending.
            HubError: the Hub refuses it or cannot be reached; it says what is safe and what to do.
        """
        if not repo_id.endswith(EVIDENCE_SUFFIX):
            raise ConfigurationError(f"{repo_id}: expected a name that ends in {EVIDENCE_SUFFIX}. Add it.")
        repository = HubRepository(repo_id, "dataset", token=token, revision=revision, create_pr=create_pr)
        repository.prepare(private)
        message = (
            commit_message or f"Publish the evidence of {counted(len(self.labels), 'label')}, without text"
        )
        with tempfile.TemporaryDirectory(prefix="esnera-") as folder:
            (Path(folder) / BUNDLE_FILE).write_bytes(self.to_bytes())
            write_card(Path(folder), self.card(repository.repo_id))
            return repository.publish(Path(folder), message)

    def card(self, repo_id: str) -> DatasetCard:
        """Return the card that :meth:`push_to_hub` publishes."""
        terms = Terms({self.name: self.facts["license"]})
        data = DatasetCardData(
            pretty_name=f"{escape(self.name)}: evidence without text",
            license=terms.id,
            license_name=terms.name or None,
            task_categories=["token-classification"],
            task_ids=["named-entity-recognition"],
            tags=["esnera_hf", "evidence"],
        )
        usage = f"esnera-hf align mine {repo_id}"
        body = render("evidence.md.jinja", {"evidence": self, "facts": self.facts, "usage": usage})
        return DatasetCard(f"---\n{dump_yaml(plain_data(data))}---\n\n{body}")

    def named(self, name: str) -> Evidence:
        """Return the same evidence under another name."""
        facts: EvidenceFacts = {**self.facts, "name": name}
        check_readable(facts)
        renamed = Evidence(facts, self.head, self.centroids, self.forms)
        renamed.owner_name = self.owner_name
        return renamed

    def stated(self, *, license: str | None = None, language: str | None = None) -> Evidence:
        """Return the same evidence with the license, by its id on the Hub, or the language that one states for it.

        Raises:
            ConfigurationError: it is no license id.
        """
        facts: EvidenceFacts = {**self.facts}
        if license is not None:
            facts["license"] = stated_license(license)
        if language is not None:
            facts["language"] = language
        check_readable(facts)
        stated = Evidence(facts, self.head, self.centroids, self.forms)
        stated.owner_name = self.owner_name
        return stated

    def as_source(self, origin: str = "") -> NerSource:
        """Return a source with the labels and counts of the bundle, and no sentence."""
        empty: dict[str, list[str]] = {name: [] for name in SOURCE_FEATURES}
        return NerSource(
            self.name,
            DatasetDict({split: Dataset.from_dict(empty, features=SOURCE_FEATURES) for split in SPLITS}),
            self.facts["license"],
            self.facts["language"],
            self.facts["provenance"],
            notes=(f"came as an evidence bundle ({self.digest}): its text is not here",),
            vocabulary=self.labels,
            bundled=self.mentions,
            origin=origin,
        )


def open_source(source: SourceLike | Evidence) -> NerSource | Evidence:
    """Return a loaded source, or the bundle of one, whichever is named."""
    if isinstance(source, Evidence):
        return source
    return Evidence.load(source) if is_bundle(source) else load_source(source)  # type: ignore[arg-type]
