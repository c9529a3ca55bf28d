"""Spectra with a known tail."""

import numpy as np


def pareto(exponent: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws with density ``x^-exponent`` above 1, largest first."""
    return -np.sort(-(rng.random(n) ** (-1 / (exponent - 1))))
