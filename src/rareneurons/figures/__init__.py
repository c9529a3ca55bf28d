"""Figures: each function takes tables and returns a matplotlib figure; the figure script and ``inspection`` draw them."""

from rareneurons.callable_package import make_callable

make_callable(__name__)
