"""Figures: each function takes tables and returns a matplotlib figure; only the figure scripts import them."""
