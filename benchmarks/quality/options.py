"""The command-line options of a benchmark that trains taggers, and the encoder and settings that they make."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoModel, AutoTokenizer

from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.overlap import mention_overlap
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.light_heads import load_light_head, make_light_heads
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.taggers.settings import TaggerSettings
from esnera_hf.taggers.source_taggers import pretrained_vectors, train_source_taggers

#: Heads have learnt little after fewer.
FEWEST_STEPS = 300
#: Where encoders lie beside a checkout.
_BESIDE = Path(__file__).parents[3] / "shared" / "encoders"


def add_training_options(parser: argparse.ArgumentParser, sentences: int) -> None:
    """Add the options.

    The encoder is ``e5-multi-12l`` of ``ESNERA_ENCODER_DIR``, or of the folder of
    encoders beside the checkout, if it lies there.

    Args:
        parser: gets them.
        sentences: that taggers are trained on of each corpus, if not given.
    """
    folder = Path(os.environ.get("ESNERA_ENCODER_DIR") or _BESIDE) / "e5-multi-12l"
    encoder = str(folder) if folder.is_dir() else None
    parser.add_argument("--encoder", default=encoder, required=encoder is None)
    parser.add_argument("--evidence", choices=("frozen", "taggers", "surface"), default="frozen")
    parser.add_argument(
        "--layers", type=int, default=4, help="taggers: so many layers of the encoder (0: all)"
    )
    parser.add_argument(
        "--max-samples",
        type=int,
        help=f"of each corpus, at most (default: {sentences} with taggers, else what the package chooses of all)",
    )
    parser.set_defaults(tagger_samples=sentences)
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument(
        "--batch-size",
        type=int,
        help=f"default: 32, or 16 or 8 where there would be fewer than {FEWEST_STEPS} steps",
    )
    parser.add_argument("--bf16", action="store_true", help="train in bfloat16 on the CPU")
    parser.add_argument("--taggers", choices=("joint", "separate"), default="joint")
    parser.add_argument(
        "--embeddings", choices=("tuned", "pretrained"), help="whose mention vectors (default: by taggers)"
    )
    parser.add_argument("--seed", type=int, default=42, help="of the training and of the choice of sentences")
    parser.add_argument("--cache", type=Path, help="keep taggers here")


def add_training_override(parser: argparse.ArgumentParser) -> None:
    """Add an option for any training arguments."""
    parser.add_argument(
        "--training", type=json.loads, default={}, metavar="JSON", help="other training arguments"
    )


def samples(options: Any, sentences: int) -> int:
    """Return how many of the sentences of a corpus are used."""
    most = options.max_samples or (options.tagger_samples if options.evidence == "taggers" else sentences)
    return int(min(most, sentences))


def measured(
    sources: Sequence[NerSource], encoder: str, options: Any, whole: Sequence[NerSource] | None = None
) -> tuple[SimilarityMatrix, dict[str, LabelCentroids]]:
    """Return the similarities of the labels of sources, and their mention vectors.

    Args:
        sources: corpora, or samples of them.
        encoder: of the light heads or taggers.
        options: of the command line.
        whole: the corpora themselves, whose mentions overlap.
    """
    screened = None if whole is None else mention_overlap(whole)
    if options.evidence != "taggers":
        settings = EvidenceSettings(kind=options.evidence)
        matrix = measure_similarity(sources, settings, encoder, {}, screened=screened, seed=options.seed)
        heads = {} if options.evidence == "surface" else make_light_heads(sources, encoder, options.seed)
        return matrix, {name: load_light_head(artifact).centroids for name, artifact in heads.items()}
    taggers = train_source_taggers(
        sources, encoder, tagger_settings(options, sources), find_leaks(list(sources))
    )
    embeddings = options.embeddings or ("tuned" if options.taggers == "joint" else "pretrained")
    settings = EvidenceSettings(kind="taggers", embeddings=embeddings)
    matrix = measure_similarity(sources, settings, encoder, taggers, screened=screened)
    vectors = {
        source.name: taggers[source.name].mention_vectors(source)
        if embeddings == "tuned"
        else pretrained_vectors(encoder, source)
        for source in sources
    }
    return matrix, vectors


def tagger_settings(options: Any, sources: Iterable[NerSource]) -> TaggerSettings:
    """Return how the taggers of sources are trained: for all epochs, of which the best one counts."""
    seen = options.epochs * sum(len(source.dataset["train"]) for source in sources)
    batch = options.batch_size or next((size for size in (32, 16) if seen / size >= FEWEST_STEPS), 8)
    training = {
        "seed": options.seed,
        "num_train_epochs": options.epochs,
        "early_stopping_patience": options.epochs,
        "per_device_train_batch_size": batch,
    }
    if options.bf16:
        training |= {"bf16": True, "use_cpu": True}
    return TaggerSettings(options.taggers, training)


def cut_encoder(name: str, layers: int, folder: Path) -> str:
    """Return the folder of an encoder's first layers, made under ``folder`` if it is not there; all if 0."""
    if not layers:
        return name
    path = folder / "encoders" / f"{Path(name).name}-{layers}"
    if not (path / "config.json").is_file():
        AutoTokenizer.from_pretrained(name).save_pretrained(path)
        AutoModel.from_pretrained(name, num_hidden_layers=layers, use_safetensors=True).save_pretrained(path)
    return str(path)
