"""Errors a user can act on; each message names what was found, what was expected and what to do."""

LEAVE_OUT = "Fetch or save the checkpoint again, or leave it out: models[].leave_out in the configuration"


class RareNeuronsError(Exception):
    """Base of the errors below: the message alone is what the user needs, no traceback."""


class ConfigurationError(RareNeuronsError):
    """The configuration asks for something impossible; the message begins with the key."""


class CorpusError(RareNeuronsError):
    """A corpus, its documents, a tokenizer or its token counts cannot serve."""


class CheckpointError(RareNeuronsError):
    """A checkpoint is missing, incomplete, of an unknown architecture, or holds NaN or infinity."""


class DamagedFileError(CheckpointError):
    """A file of a checkpoint cannot be read."""


class HubError(RareNeuronsError):
    """The model hub cannot be reached, does not hold what was asked for, or served a damaged file."""


class RunError(RareNeuronsError):
    """What a finished run left is missing something, or does not fit what another run left."""
