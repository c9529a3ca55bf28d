"""Curves with and without a plateau, and what measuring them adds."""

import numpy as np

SAMPLED = {
    "half_normal": lambda n, rng: np.abs(rng.normal(size=n)),
    "power_law": lambda n, rng: rng.random(n) ** -0.5,
    "log_normal": lambda n, rng: np.exp(rng.normal(size=n)),
    "exponential": lambda n, rng: rng.exponential(size=n),
}
# Shapes that played no part in choosing the rules.
UNSEEN = {
    "gamma": lambda n, rng: rng.gamma(0.5, size=n),
    "weibull": lambda n, rng: rng.weibull(0.6, size=n),
    "lomax": lambda n, rng: rng.pareto(2.5, size=n),
    "student": lambda n, rng: np.abs(rng.standard_t(4, size=n)),
    "frechet": lambda n, rng: (-np.log(rng.random(n))) ** -0.5,
}
RELATIVE_ERROR = 0.08  # standard error over mean of the influential neurons of a small model on 800 rows


def broken_line(x: np.ndarray) -> np.ndarray:
    """Flat to 3.5, slope -0.5 to 5.5, then slope -2."""
    return -5 - 0.5 * np.clip(x - 3.5, 0, None) - 1.5 * np.clip(x - 5.5, 0, None)


def planted(n: int, cut_off: str) -> np.ndarray:
    """33 neurons flat, then slope -0.5, then a cut-off: a ``kink`` to slope -2 or a ``smooth`` exponential one."""
    rank = np.arange(1, n + 1)
    head = -5 - 0.5 * np.clip(np.log(rank) - np.log(33), 0, None)
    if cut_off == "kink":
        return head - 1.5 * np.clip(np.log(rank) - 5.5, 0, None)
    return head - 3 * np.clip(rank / n - 0.12, 0, None)


def kinked(n: int, rng: np.random.Generator) -> np.ndarray:
    """Influences from a power law that turns into a steeper one, without a plateau."""
    x = np.log(n * rng.random(n) + 0.5)
    return np.exp(-0.5 * x - 1.5 * np.clip(x - 5.5, 0, None))


def measured(influence: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """ln influence as measured, sorted: every neuron has its own error."""
    noisy = np.abs(influence * (1 + RELATIVE_ERROR * rng.normal(size=len(influence))))
    return -np.sort(-np.log(noisy))
