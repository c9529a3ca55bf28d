"""Figures: each function takes tables and returns a matplotlib figure; only the figure script and ``inspection`` import them."""

from rareneurons.callable_package import make_callable

make_callable(__name__)
