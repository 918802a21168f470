"""The exceptions a user can meet. Every message says what was expected, what was found, what to do."""

from __future__ import annotations


class EsneraError(Exception):
    """Base of every error this package raises on purpose."""


class SourceNotFoundError(EsneraError, FileNotFoundError):
    """A source names no file, folder, known dataset or Hub repository."""


class SourceError(EsneraError, ValueError):
    """A source was found and cannot be read as NER data."""


class MappingError(EsneraError, ValueError):
    """A label mapping is incomplete, contradictory or unreadable."""


class ConfigurationError(EsneraError, ValueError):
    """An argument is out of range or contradicts another."""


class EncoderError(EsneraError, OSError):
    """A pretrained encoder cannot be loaded or cannot be used for tagging."""


class LaunchError(EsneraError, RuntimeError):
    """Another process of the launch has ended; what was finished is kept."""


class CacheError(EsneraError, OSError):
    """The cache cannot be written to; nothing half-written stays, and what was finished is kept."""


class OutputExistsError(EsneraError, FileExistsError):
    """An output folder exists already; nothing was written."""


class LicenseError(EsneraError, PermissionError):
    """The terms of a source forbid what was asked for; nothing was published."""


class HubError(EsneraError, OSError):
    """The Hub refused something, or could not be reached; the message says what is safe and what to do."""


class RecipeError(EsneraError, ValueError):
    """A published recipe cannot be read, or the sources given do not fit it."""


class ReproductionError(EsneraError, ValueError):
    """A report does not tell enough to do it again, its inputs are others, or the outcome is."""


class ConservationError(EsneraError, RuntimeError):
    """Entities got lost or appeared between two stages: a defect of this package, never of the data."""
