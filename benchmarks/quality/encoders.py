"""A shallower copy of an encoder: its first layers, for runs on a few cores."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoModel, AutoTokenizer


def cut_encoder(name: str, layers: int, folder: Path) -> str:
    """Return the folder of an encoder's first layers, made under ``folder`` if it is not there; all if 0."""
    if not layers:
        return name
    path = folder / "encoders" / f"{Path(name).name}-{layers}"
    if not (path / "config.json").is_file():
        AutoTokenizer.from_pretrained(name).save_pretrained(path)
        AutoModel.from_pretrained(name, num_hidden_layers=layers, use_safetensors=True).save_pretrained(path)
    return str(path)
