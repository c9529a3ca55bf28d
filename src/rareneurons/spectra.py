"""Spectra of weights: tail and bulk of a group's weight rows, and WeightWatcher on every matrix of a checkpoint."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType

import numpy as np
import pandas as pd

from rareneurons.stats import Alternative, against_controls, percentile_interval
from rareneurons.tables import Estimate

TAIL_SHARE = 0.1  # the paper's k = 0.1 n
LEAST_TAIL = 8  # eigenvalues in a fitted tail, at the least
ZERO = 1e-10  # eigenvalues below it are rounding
TRACY_WIDOM_95 = 0.9793  # 95 % quantile of the Tracy-Widom law for real matrices
WEIGHTWATCHER_COLUMNS = [
    "longname",
    "N",
    "M",
    "alpha",
    "log_alpha_norm",
    "stable_rank",
    "num_pl_spikes",
    "status",
]
# A heavier tail has a smaller exponent, a smaller stable rank and entropy, and more spikes.
ALTERNATIVES: dict[str, Alternative] = {
    "hill": "less",
    "hill_stable": "less",
    "tail_exponent": "less",
    "stable_rank": "less",
    "entropy": "less",
    "spikes": "greater",
    "mp_distance": "greater",
}
UNITS = {
    "hill": "exponent",
    "hill_stable": "exponent",
    "tail_exponent": "exponent",
    "stable_rank": "share of group size",
    "entropy": "share of ln group size",
    "spikes": "eigenvalues",
    "mp_distance": "Kolmogorov-Smirnov distance",
}


def correlation_eigenvalues(weights: np.ndarray) -> np.ndarray:
    """Eigenvalues, largest first, of the correlations between neurons over the residual dimensions.

    Args:
        weights: (n, d), one row a neuron.

    Returns:
        (n,) eigenvalues; they sum to n. NaN where a row is constant.
    """
    centred = weights.astype(np.float64) - weights.mean(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        standard = centred / centred.std(1, keepdims=True)
    if not np.isfinite(standard).all():
        return np.full(len(weights), np.nan)
    return np.clip(np.linalg.eigvalsh(standard @ standard.T / weights.shape[1])[::-1], 0, None)


def hill_exponent(eigenvalues: np.ndarray, tail_share: float = TAIL_SHARE) -> float:
    """The paper's tail exponent, ``[mean_{i<=k} ln(l_i / l_{k+1})]^-1`` with ``k = tail_share * n``, at least 1.

    Smaller is heavier-tailed. The paper (section 6) leaves out the "+1" that would make it a density's exponent.

    Args:
        eigenvalues: (n,) largest first.
        tail_share: share of eigenvalues in the tail.

    Returns:
        The exponent; NaN for fewer than two eigenvalues, or where the tail is flat or holds a zero.
    """
    n = len(eigenvalues)
    if n < 2 or not np.isfinite(eigenvalues).all():
        return float("nan")
    k = min(max(1, int(tail_share * n)), n - 1)
    if eigenvalues[k] <= 0:
        return float("nan")
    mean_log = float(np.mean(np.log(eigenvalues[:k] / eigenvalues[k])))
    return 1 / mean_log if mean_log > 0 else float("nan")


def stable_hill(eigenvalues: np.ndarray) -> np.ndarray:
    """Hill's exponent where it depends least on k: the flattest sixth of the Hill plot, k from 2 to half of n.

    Args:
        eigenvalues: (B, n) largest first, positive.

    Returns:
        (B,) mean over the window of consecutive k with the smallest coefficient of variation; NaN for n < 12.
    """
    n = eigenvalues.shape[1]
    width = max(3, n // 6)
    if n < 12:
        return np.full(len(eigenvalues), np.nan)
    logs = np.log(eigenvalues)
    k = np.arange(2, n // 2 + 1)
    mean_log = np.cumsum(logs, axis=1)[:, k - 1] / k - logs[:, k]
    plot = np.lib.stride_tricks.sliding_window_view(1 / np.maximum(mean_log, 1e-12), width, axis=1)
    means = plot.mean(-1)
    return np.take_along_axis(means, (plot.std(-1) / means).argmin(1)[:, None], axis=1)[:, 0]


def power_law_tail(eigenvalues: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximum-likelihood power-law tail with its beginning chosen by the Kolmogorov-Smirnov distance.

    Density ``x^-alpha`` above ``xmin`` (Clauset, Shalizi & Newman 2009, SIAM Review 51, eq. 3.1, less the 1/n bias);
    of all tails of at least ``LEAST_TAIL`` eigenvalues the one nearest to its fit is taken.

    Args:
        eigenvalues: (B, n) largest first, positive.

    Returns:
        ``alpha``, number of eigenvalues in the tail, and the distance, each (B,); NaN where n is too small.
    """
    n_spectra, n = eigenvalues.shape
    logs = np.log(eigenvalues)
    total = np.cumsum(logs, axis=1)
    alpha, size, nearest = np.full(n_spectra, np.nan), np.zeros(n_spectra, dtype=int), np.full(n_spectra, np.inf)
    for k in range(LEAST_TAIL, n + 1):
        excess = np.maximum(total[:, k - 1] - k * logs[:, k - 1], 1e-12)
        exponent = 1 + (k - 1) / excess
        above = np.exp(-(exponent - 1)[:, None] * (logs[:, :k] - logs[:, k - 1 : k]))
        rank = np.arange(1, k + 1)
        distance = np.maximum(np.abs(above - rank / k), np.abs(above - (rank - 1) / k)).max(1)
        better = distance < nearest
        alpha, size = np.where(better, exponent, alpha), np.where(better, k, size)
        nearest = np.where(better, distance, nearest)
    return alpha, size, np.where(np.isfinite(nearest), nearest, np.nan)


def tail_interval(eigenvalues: np.ndarray, n_draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the tail exponent: eigenvalues (n,) drawn with replacement, the tail found anew each time.

    Eigenvalues of one matrix repel each other, so for spectra (not for independent draws) this is on the wide side.
    """
    draws = -np.sort(-rng.choice(eigenvalues, size=(n_draws, len(eigenvalues))), axis=1)
    return percentile_interval(power_law_tail(draws)[0])


def tail_goodness(eigenvalues: np.ndarray, n_draws: int, rng: np.random.Generator) -> float:
    """p-value of "the tail is a power law" (Clauset et al. 2009, section 4.1): small means it is not.

    Draws keep the eigenvalues below the tail (with replacement) and take the tail from the fitted law.

    Args:
        eigenvalues: (n,) largest first, positive.
        n_draws: simulated spectra.
        rng: draws them.
    """
    alpha, size, distance = (values[0] for values in power_law_tail(eigenvalues[None]))
    if not np.isfinite(distance):
        return float("nan")
    n = len(eigenvalues)
    least = eigenvalues[size - 1]
    in_tail = rng.random((n_draws, n)) < size / n
    body = rng.choice(eigenvalues[size:], size=(n_draws, n)) if size < n else np.full((n_draws, n), least)
    drawn = np.where(in_tail, least * rng.random((n_draws, n)) ** (-1 / (alpha - 1)), body)
    null = power_law_tail(-np.sort(-drawn, axis=1))[2]
    return float((np.sum(null >= distance) + 1) / (n_draws + 1))


def random_edge(n: int, width: int) -> float:
    """Largest eigenvalue that correlations of n random weight rows of ``width`` exceed in 5 % of draws.

    Marchenko-Pastur's edge with Tracy-Widom's fluctuation (Johnstone 2001, Annals of Statistics 29, 295-327).
    """
    root = np.sqrt(width - 1) + np.sqrt(n)
    spread = root * (1 / np.sqrt(width - 1) + 1 / np.sqrt(n)) ** (1 / 3)
    return float((root**2 + TRACY_WIDOM_95 * spread) / width)


def marchenko_pastur_distance(eigenvalues: np.ndarray, width: int) -> np.ndarray:
    """Kolmogorov-Smirnov distance of spectra (B, n) from Marchenko-Pastur's law with ratio n / width.

    For n > width the law has n - width zero eigenvalues, as the spectra have.
    """
    n = eigenvalues.shape[1]
    ratio = n / width
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    middle = np.linspace(low, high, 2001)
    middle = (middle[1:] + middle[:-1]) / 2
    density = np.sqrt((high - middle) * (middle - low)) / (2 * np.pi * ratio * middle)
    zeros = max(0.0, 1 - 1 / ratio)
    law = zeros + np.cumsum(density) * (middle[1] - middle[0])
    rising = eigenvalues[:, ::-1]
    expected = np.interp(rising, middle, law / law[-1], left=zeros, right=1.0)
    place = np.arange(1, n + 1) / n
    distance = np.maximum(np.abs(expected - place), np.abs(expected - place + 1 / n))
    return np.where(rising > ZERO, distance, 0).max(1)


def spectrum_measures(eigenvalues: np.ndarray, width: int) -> dict[str, np.ndarray]:
    """All measures of spectra.

    Args:
        eigenvalues: (B, n) largest first, as :func:`correlation_eigenvalues` gives them.
        width: d, dimensions the correlations were taken over.

    Returns:
        Measure -> (B,). ``hill`` the paper's; ``hill_stable``; ``tail_exponent`` by maximum likelihood (a density's,
        so one more than Hill's); ``stable_rank`` sum over largest, by n; ``entropy`` by ln n; ``spikes`` eigenvalues
        beyond :func:`random_edge`; ``mp_distance``. NaN where an eigenvalue is NaN, and for the exponents where
        one is zero (a group larger than the dimension).
    """
    n = eigenvalues.shape[1]
    found = {name: np.full(len(eigenvalues), np.nan) for name in UNITS}
    known = np.isfinite(eigenvalues).all(1)
    values = eigenvalues[known]
    if n < 2 or not len(values):
        return found
    share = values / values.sum(1, keepdims=True)
    found["stable_rank"][known] = values.sum(1) / values[:, 0] / n
    found["entropy"][known] = -(share * np.log(np.maximum(share, 1e-300))).sum(1) / np.log(n)
    found["spikes"][known] = (values > random_edge(n, width)).sum(1)
    found["mp_distance"][known] = marchenko_pastur_distance(values, width)
    found["hill"][known] = [hill_exponent(spectrum) for spectrum in values]
    positive = known & (eigenvalues[:, -1] > ZERO)
    if positive.any():
        found["hill_stable"][positive] = stable_hill(eigenvalues[positive])
        found["tail_exponent"][positive] = power_law_tail(eigenvalues[positive])[0]
    return found


def group_spectrum(
    weights: Mapping[str, np.ndarray],
    members: np.ndarray,
    controls: Mapping[str, Sequence[np.ndarray]],
    n_draws: int,
    rng: np.random.Generator,
) -> list[Estimate]:
    """Spectrum of a group's rows of each weight matrix, with empirical p against each kind of controls.

    Args:
        weights: name of the matrix (``w_out``, ``w_in``, ...) -> (N, d), one row a neuron.
        members: neuron indices of the group.
        controls: kind -> neuron indices of each control group, of the same size.
        n_draws: draws for the tail's interval and goodness of fit.
        rng: draws them.

    Returns:
        ``<measure>.<matrix>.<kind>`` and its ``.null_mean``; ``tail_fit.<matrix>``, the distance of the fitted tail
        with the p-value of being a power law. ``n`` is the group's size.
    """
    estimates = []
    for matrix, values in weights.items():
        width = values.shape[1]
        eigenvalues = correlation_eigenvalues(values[members])
        mine = spectrum_measures(eigenvalues[None], width)
        fitted = np.isfinite(mine["tail_exponent"][0])
        interval = tail_interval(eigenvalues, n_draws, rng) if fitted else (float("nan"), float("nan"))
        for kind, groups in controls.items():
            spectra = np.stack([correlation_eigenvalues(values[group]) for group in groups]) if len(groups) else None
            null = spectrum_measures(spectra, width) if spectra is not None else dict.fromkeys(UNITS, np.empty(0))
            for name, unit in UNITS.items():
                low, high = interval if name == "tail_exponent" else (float("nan"), float("nan"))
                estimate = Estimate(f"{name}.{matrix}.{kind}", float(mine[name][0]), unit, len(members))
                tested, null_mean = against_controls(estimate, [], null[name].tolist(), ALTERNATIVES[name])
                estimates += [replace(tested, ci_low=low, ci_high=high), null_mean]
        distance = float(power_law_tail(eigenvalues[None])[2][0]) if fitted else float("nan")
        p = tail_goodness(eigenvalues, n_draws, rng) if fitted else float("nan")
        estimates.append(Estimate(f"tail_fit.{matrix}", distance, UNITS["mp_distance"], len(members), p_value=p))
    return estimates


def neuron_weights(last_layer: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of the last MLP's neurons by matrix (``w_out``, ``w_in``, ...), each (N, d), one row a neuron.

    Args:
        last_layer: arrays as :meth:`LastLayer.arrays` names them.
    """
    inputs = {name.removeprefix("input/"): weight for name, weight in last_layer.items() if name.startswith("input/")}
    return {"w_out": last_layer["output_weight"]} | inputs


def weightwatcher_table(weights: Mapping[str, "np.ndarray"]) -> pd.DataFrame:
    """WeightWatcher's alpha, log alpha norm, stable rank and tail size of every matrix.

    WeightWatcher passes over matrices it finds too small or fails on; they are kept here with NaN and its status.

    Args:
        weights: parameter name -> (rows, columns) float array.

    Returns:
        ``matrix`` (the parameter's name), ``rows``, ``columns``, ``alpha``, ``log_alpha_norm``, ``stable_rank``,
        ``num_pl_spikes``, ``status`` (``success``, ``not analysed``, or WeightWatcher's word).
    """
    import torch

    weightwatcher = _import_quietly()
    state = {name: torch.from_numpy(np.ascontiguousarray(matrix)) for name, matrix in weights.items()}
    largest = max(max(matrix.shape) for matrix in weights.values())
    watcher = weightwatcher.WeightWatcher(model=state)
    found = watcher.analyze(max_N=largest + 1, max_evals=largest + 1, plot=False)
    table = pd.DataFrame(
        {
            "matrix": list(weights),
            "rows": [matrix.shape[0] for matrix in weights.values()],
            "columns": [matrix.shape[1] for matrix in weights.values()],
        }
    )
    values = found.reindex(columns=WEIGHTWATCHER_COLUMNS[3:]).assign(
        matrix=found["longname"].map(lambda name: _parameter_of(str(name), weights))
    )
    table = table.merge(values, on="matrix", how="left")
    table["status"] = table["status"].fillna("not analysed")
    failed = table["status"] != "success"
    table.loc[failed, ["alpha", "log_alpha_norm"]] = np.nan
    return table


def _parameter_of(longname: str, weights: Mapping[str, np.ndarray]) -> str:
    return longname if longname in weights else f"{longname}.weight"


def _import_quietly() -> ModuleType:
    """WeightWatcher without what its import does to the root logger."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    import weightwatcher

    root.setLevel(level)
    root.handlers[:] = handlers
    logging.getLogger("weightwatcher").setLevel(logging.ERROR)
    return weightwatcher
