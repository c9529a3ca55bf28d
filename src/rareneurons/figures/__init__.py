"""Figures: each function takes tables and returns a matplotlib figure; only the figure scripts import them."""

from rareneurons.extras import needs_extra

with needs_extra("report"):
    import matplotlib  # noqa: F401
    import seaborn  # noqa: F401
