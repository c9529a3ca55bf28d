"""Hill plots: the exponent of a group's spectrum by the number of eigenvalues in the tail."""

import numpy as np
import pandas as pd

from rareneurons.spectra.group import GroupSpectra
from rareneurons.spectra.tails import hill_plot, paper_k, stable_window, window_width
from rareneurons.stats import log_scale_interval, percentile_interval


def hill_plot_frame(spectra: GroupSpectra) -> pd.DataFrame:
    """A group's Hill plot for k from 1 to half of n, with its interval and the band of its matched groups.

    Returns:
        ``n``, ``k``, ``exponent``; ``ci_low`` and ``ci_high`` (over the groups that resampled documents choose);
        ``matched_mean``, ``matched_low``, ``matched_high`` (central 95 % of the matched groups); ``paper_k`` (k is the
        paper's) and ``stable`` (k lies in the stable window). No rows where the spectrum is unknown.
    """
    if spectra.reason:
        return pd.DataFrame()
    shown = slice(0, max(1, spectra.n // 2))
    plot = hill_plot(spectra.own[None])
    k, own = np.arange(1, plot.shape[1] + 1)[shown], plot[0, shown]
    redrawn = hill_plot(spectra.redrawn)[:, shown]
    intervals = np.array([log_scale_interval(own[i], redrawn[:, i]) for i in range(len(k))])
    columns = {"n": spectra.n, "k": k, "exponent": own, "ci_low": intervals[:, 0], "ci_high": intervals[:, 1]}
    columns |= _matched_band(hill_plot(spectra.controls["matched"])[:, shown])
    first = int(stable_window(plot)[0][0])
    stable = (first > 0) & (k >= first) & (k < first + window_width(spectra.n))
    return pd.DataFrame(columns | {"paper_k": k == paper_k(spectra.n), "stable": stable})


def _matched_band(plots: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and central 95 % over the Hill plots (m, k) of m groups; a mean is NaN where no group has an exponent."""
    known = np.isfinite(plots)
    mean = np.where(known.any(0), np.where(known, plots, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)
    ends = np.array([percentile_interval(column) for column in plots.T])
    return {"matched_mean": mean, "matched_low": ends[:, 0], "matched_high": ends[:, 1]}
