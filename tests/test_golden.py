"""Mapping, facts of the report, and card of two toy alignments, byte for byte, with taggers that are dictionaries.

``UPDATE_GOLDEN=1 pytest tests/test_golden.py`` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from builders import DictionarySourceTagger, make_source, row
from esnera_hf import AlignSettings, EvidenceSettings, GreedySettings, NerSource, api

GOLDEN = Path(__file__).parent / "golden"
MENTIONS = {
    "news": {
        "PER": ("anna", "bruno", "clara"),
        "WORK": ("dune", "alien", "emma"),
        "ORG": ("acme", "hooli", "globex"),
    },
    "web": {
        "name": ("anna", "bruno", "clara"),
        "book": ("dune", "emma"),
        "film": ("alien",),
        "firm": ("acme", "hooli", "globex"),
    },
}
KINDS = {
    (1.0, 0.0, 0.1): ("PER", "name"),
    (0.0, 1.0, 0.1): ("WORK", "book", "film"),
    (0.1, 0.1, 1.0): ("ORG", "firm"),
}
VECTORS = {label: vector for vector, labels in KINDS.items() for label in labels}
SETTINGS = {
    "equivalence": AlignSettings(EvidenceSettings("taggers")),
    "greedy": AlignSettings(greedy=GreedySettings(lam=0.4, tau=0.4)),
}
#: Facts and lines of the card that differ from machine to machine.
OF_A_MACHINE = ("seconds", "versions", "machine", "encoder_fingerprint", "local_paths")
OF_THIS_MACHINE = ("| versions |", "| time", "| encoder", "| machine", "num_bytes:", "dataset_size:")


def corpus(name: str) -> NerSource:
    """Return sentences of which none stands in two splits; each has a mention of every label."""
    splits = {
        split: [
            row(
                f"{name} {split} {n} "
                + " ".join(f"{words[n % len(words)]}/B-{label}" for label, words in MENTIONS[name].items())
            )
            for n in range(30)
        ]
        for split in ("train", "validation", "test")
    }
    return make_source(name, splits)


def dictionary_tagger(name: str) -> DictionarySourceTagger:
    words = {(word,): label for label, of_label in MENTIONS[name].items() for word in of_label}
    return DictionarySourceTagger(name, words, VECTORS)


def files(method: Any, folder: Path, encoder: Path) -> dict[str, str]:
    """Return what an alignment writes, without what differs from machine to machine."""
    result = api.align(
        [corpus("news"), corpus("web")], encoder=encoder, method=method, settings=SETTINGS[method]
    )
    result.save_for_hub(folder, may_share=["news", "web"])
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    report["call"]["encoder"] = "encoder"
    for fact in OF_A_MACHINE:
        report.pop(fact, None)
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines(keepends=True)
    card = "".join(line for line in lines if not line.strip().startswith(OF_THIS_MACHINE))
    return {
        "mapping.yaml": (folder / "mapping.yaml").read_text(encoding="utf-8"),
        "report.json": json.dumps(report, indent=1, ensure_ascii=False) + "\n",
        "README.md": card.replace(encoder.name, "encoder0"),  # numbered by what ran before
        "flow.svg": (folder / "flow.svg").read_text(encoding="utf-8"),
    }


@pytest.mark.parametrize("method", SETTINGS)
def test_an_alignment_gives_the_same_bytes_as_before(
    method: str, tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        api, "train_source_taggers", lambda sources, *_: {s.name: dictionary_tagger(s.name) for s in sources}
    )
    for name, text in files(method, tmp_path / "files", encoder_folder).items():
        golden = GOLDEN / method / name
        if "UPDATE_GOLDEN" in os.environ:
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text(text, encoding="utf-8")
        assert text == golden.read_text(encoding="utf-8"), name
