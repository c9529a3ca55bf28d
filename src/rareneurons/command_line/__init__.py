"""The command ``rareneurons``: audit a published run, or look at a model, without a workflow.

This package is the only part of the library that prints. A command's module is imported when it is called, so that
``--help`` and mistakes in the arguments are answered at once.
"""

from rareneurons.command_line.commands import main

__all__ = ["main"]
