"""How single MLP neurons influence the prediction of rare tokens, measured with controls that can reject a claim.

The modules, in the order data flows: ``models``, ``corpus``, ``rows``, ``trace``, ``influence``, ``regimes``,
``known_types``, ``groups``; then the independent measures of a group (``coordination``, ``organization``,
``attention``, ``spectra``, ``neuron_types``) and ``examples`` of single neurons; then ``dynamics``, ``claims``,
``comparison``, ``figures``, ``report``.
All of them use ``stats``, ``tables``, ``evidence`` and ``errors``. The workflow uses ``planning`` for its plan, and
``conventions`` has what both must agree on. Only ``planning`` knows rules or Snakemake. There is no global state.

In a notebook, only the functions of ``PUBLIC`` are needed (``inspection``, docs/python.md). They are imported
when they are first used, so that planning a run needs no package that computes. Only ``inspection`` shows progress, and
only ``command_line`` prints.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
PUBLIC = (
    "Examples",
    "Measurements",
    "OpenModel",
    "RunAudit",
    "Sizes",
    "audit",
    "claims",
    "examples",
    "figures",
    "influence",
    "joint",
    "load",
    "measure",
    "save",
    "where",
)
PACKAGES = ("influence", "joint", "examples", "claims", "figures")  # public functions that are packages, too


def __getattr__(name: str) -> Any:
    """A public function, imported now."""
    if name in PACKAGES:
        return import_module(f"rareneurons.{name}")
    if name in PUBLIC:
        return getattr(import_module("rareneurons.inspection"), name)
    raise AttributeError(f"module 'rareneurons' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public functions beside the modules that are imported."""
    return sorted({*globals(), *PUBLIC})
