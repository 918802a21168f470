"""The exceptions a user can meet. Every message says what was expected, what was found, what to do."""


class EsneraError(Exception):
    """Base of every error that this package raises on purpose."""


class SourceNotFoundError(EsneraError, FileNotFoundError):
    """A source names no file, folder, known corpus or Hub repository."""


class SourceError(EsneraError, ValueError):
    """A source was found and cannot be read as NER data."""


class MappingError(EsneraError, ValueError):
    """A label mapping or published recipe is incomplete, contradictory or unreadable, or does not fit the sources."""


class ConfigurationError(EsneraError, ValueError):
    """An argument, option, launch, output folder or cache cannot be used as asked; what was finished is kept."""


class EncoderError(EsneraError, OSError):
    """A pretrained encoder or a tagger cannot be loaded or used."""


class LicenseError(EsneraError, PermissionError):
    """The terms of a source forbid what was asked for; nothing was published."""


class HubError(EsneraError, OSError):
    """The Hub refused something, or could not be reached; the message says what is safe and what to do."""


class ConservationError(EsneraError, RuntimeError):
    """Entities got lost or appeared between two steps: a defect of this package, never of the data."""
