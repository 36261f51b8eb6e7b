"""One hierarchy of errors; each message says what to do next.

Every error is a :class:`NeuroanaError` and also the built-in class that a caller
would expect, so ``except ValueError`` works. Errors that wrap one of a third
party keep it as ``__cause__``.
"""


class NeuroanaError(Exception):
    """Base of all errors that neuroana raises on purpose."""


class ParameterError(NeuroanaError, ValueError):
    """An argument has a value that cannot be used."""


class ShapeError(NeuroanaError, ValueError):
    """An array has the wrong number, order or length of dimensions."""


class UnitError(NeuroanaError, ValueError):
    """Values are not in the unit that the modality asks for."""


class SchemaError(NeuroanaError, ValueError):
    """A recording or a file does not keep the contract of its kind."""


class CorruptFileError(NeuroanaError, OSError):
    """A file is damaged, truncated, or does not match its checksum."""


class MissingDependencyError(NeuroanaError, ImportError):
    """An optional package is needed and not installed."""


class FailedRunError(NeuroanaError, RuntimeError):
    """A pipeline ended without all of its results."""


class NeuroanaWarning(UserWarning):
    """Base of all warnings that neuroana gives."""


class DataWarning(NeuroanaWarning):
    """The data are usable, but something in them should be looked at."""


class FitWarning(NeuroanaWarning):
    """A fit ended, but should not be trusted without a look."""


class EmptyStateWarning(FitWarning):
    """A hidden state explains almost no sample."""
