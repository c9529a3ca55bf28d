"""Errors that a user can act on. Each message says what was found, what was expected and what to do."""

LEAVE_OUT = "Fetch or save the checkpoint again, or leave it out: models[].leave_out in the configuration"


class RareNeuronsError(Exception):
    """Base class of the errors below. Users see only the message, without a traceback."""


class ConfigurationError(RareNeuronsError):
    """The configuration requests something impossible. The message begins with the key."""


class CorpusError(RareNeuronsError):
    """A corpus, its documents, a tokenizer or its token counts cannot be used."""


class CheckpointError(RareNeuronsError):
    """A checkpoint is missing, incomplete, of an unknown architecture, or holds NaN or infinity."""


class DamagedFileError(CheckpointError):
    """A file of a checkpoint cannot be read."""


class HubError(RareNeuronsError):
    """The model hub cannot be reached, does not have the requested file, or served a damaged one."""


class RunError(RareNeuronsError):
    """The results of a finished run are incomplete, or do not match those of another run."""
