"""Figures: each function takes tables and returns a matplotlib figure, for the figure script and ``inspection``."""

from rareneurons.callable_package import make_callable

make_callable(__name__)
