"""Open the model that a command is about."""

from argparse import Namespace

from transformers.utils import logging

from rareneurons.inspection import OpenModel, load


def opened(given: Namespace) -> OpenModel:
    """The model of a command's arguments."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    return load(given.model, given.revision, given.device, given.tokenizer)
