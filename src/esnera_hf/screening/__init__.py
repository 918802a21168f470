"""Mention overlap of sources, without a model."""

from esnera_hf.screening.overlap import (
    CONFLICT,
    ENOUGH_FORMS,
    LabelOverlap,
    NameConflict,
    Screening,
    screen,
)

__all__ = ["CONFLICT", "ENOUGH_FORMS", "LabelOverlap", "NameConflict", "Screening", "screen"]
