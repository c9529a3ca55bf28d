"""Figures: each function takes tables and returns a matplotlib figure, for the figure script and ``inspection``."""

from rareneurons.callable_package import make_callable
from rareneurons.extras import needs_extra

with needs_extra("report"):
    import matplotlib  # noqa: F401

make_callable(__name__)
