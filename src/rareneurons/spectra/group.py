"""Spectra of a group's weight rows: measures with intervals, held against controls, and the Hill plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rareneurons.groups import Controlled
from rareneurons.spectra.measures import (
    ALTERNATIVES,
    UNITS,
    correlation_eigenvalues,
    spectrum_measures,
    standard_rows,
    why_no_number,
    why_unknown,
)
from rareneurons.spectra.tails import (
    hill_plot,
    paper_k,
    power_law_tail,
    stable_window,
    tail_goodness,
    tail_interval,
    window_width,
)
from rareneurons.stats import against_controls, moved_to, percentile_interval
from rareneurons.tables import Estimate

NAN = float("nan")


def neuron_weights(last_layer: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of the last MLP's neurons by matrix (``w_out``, ``w_in``, ...), each (N, d), one row a neuron.

    Args:
        last_layer: arrays as :meth:`LastLayer.arrays` names them.
    """
    inputs = {name.removeprefix("input/"): weight for name, weight in last_layer.items() if name.startswith("input/")}
    return {"w_out": last_layer["output_weight"]} | inputs


@dataclass(frozen=True)
class Spectra:
    """Eigenvalues of a group's rows of one matrix, largest first, and of the groups it is held against.

    ``own`` (n,); ``redrawn`` (B, n): of the groups that resampled discovery documents choose instead; ``controls``:
    kind -> (m, n); ``width``: d. NaN where a neuron's weights are constant; ``reason`` says why ``own`` is.
    """

    own: np.ndarray
    redrawn: np.ndarray
    controls: Mapping[str, np.ndarray]
    width: int
    reason: str

    @property
    def n(self) -> int:
        """Neurons of the group."""
        return len(self.own)


def group_spectra(
    rows: np.ndarray,
    members: np.ndarray,
    controls: Mapping[str, np.ndarray],
    redrawn: Sequence[np.ndarray],
) -> Spectra:
    """Spectra of a group, its redrawn twins and its controls.

    Args:
        rows: (N, d) as :func:`standard_rows` returns them, one row a neuron.
        members: (n,) neuron indices of the group.
        controls: kind -> neuron indices of each control group (m, n).
        redrawn: neuron indices of the group in each bootstrap draw; other sizes than n are left out.
    """
    n, reason = len(members), why_unknown(rows[members])
    if reason:
        none = np.empty((0, n))
        return Spectra(np.full(n, np.nan), none, dict.fromkeys(controls, none), rows.shape[1], reason)
    drawn = np.array([group for group in redrawn if len(group) == n], dtype=np.int64).reshape(-1, n)
    by_kind = {kind: correlation_eigenvalues(rows, groups) for kind, groups in controls.items()}
    own = correlation_eigenvalues(rows, members[None])[0]
    return Spectra(own, correlation_eigenvalues(rows, drawn), by_kind, rows.shape[1], "")


def spectrum_estimates(
    spectra: Spectra, matrix: str, n_draws: int, rng: np.random.Generator
) -> tuple[list[Estimate], dict[str, np.ndarray]]:
    """Every measure of a group's spectrum against each kind of controls.

    Args:
        spectra: as :func:`group_spectra` returns them.
        matrix: its name.
        n_draws: draws for the tail's interval and goodness of fit.
        rng: draws them.

    Returns:
        Estimates ``<measure>.<matrix>.<kind>``, ``.null_mean`` and, against matched groups, ``.difference`` (the group
        less that mean) and for exponents ``.ratio`` (over it); and ``tail_fit.<matrix>``, the distance of the fitted
        tail with the p-value of being a power law; ``n`` is the group's size. Intervals are over whom resampled
        documents choose, but ``tail_exponent``'s: over eigenvalues. Draws (B,), moved to the value, of ``.matched``,
        ``.difference`` and ``.ratio``.
    """
    mine = spectrum_measures(spectra.own[None], spectra.width)
    drawn = spectrum_measures(spectra.redrawn, spectra.width)
    nulls = {kind: spectrum_measures(found, spectra.width) for kind, found in spectra.controls.items()}
    estimates: list[Estimate] = []
    draws: dict[str, np.ndarray] = {}
    fitted = np.isfinite(mine["tail_exponent"][0])
    for name, unit in UNITS.items():
        value = float(mine[name][0])
        missing = "" if np.isfinite(value) else spectra.reason or why_no_number(name, spectra.own)
        around = moved_to(value, drawn[name])  # redrawn groups hold neurons nearer to the boundary
        low, high = percentile_interval(around)
        if name == "tail_exponent":
            low, high = tail_interval(spectra.own, n_draws, rng) if fitted else (NAN, NAN)
        for kind, null in nulls.items():
            full = f"{name}.{matrix}.{kind}"
            reason = missing or ("" if len(null[name]) else f"no {kind} controls: too few other neurons")
            estimate = Estimate(full, value, unit, spectra.n, reason=reason)
            tested, null_mean = against_controls(estimate, [], null[name], ALTERNATIVES[name])
            estimates += [replace(tested, ci_low=low, ci_high=high), null_mean]
            if kind == "matched":
                compared = {f"{full}.difference": (value - null_mean.value, around - null_mean.value, unit)}
                if unit == "exponent":
                    compared[f"{full}.ratio"] = value / null_mean.value, around / null_mean.value, "ratio"
                for measure, (beside, moved, unit_of) in compared.items():
                    ends = percentile_interval(moved)
                    estimates.append(Estimate(measure, beside, unit_of, spectra.n, *ends, reason=reason))
                draws |= {full: around} | {measure: moved for measure, (_, moved, _) in compared.items()}
    distance = float(power_law_tail(spectra.own[None])[2][0]) if fitted else NAN
    p = tail_goodness(spectra.own, n_draws, rng) if fitted else NAN
    reason = "" if fitted else spectra.reason or why_no_number("tail_exponent", spectra.own)
    fit = Estimate(f"tail_fit.{matrix}", distance, UNITS["mp_distance"], spectra.n, p_value=p, reason=reason)
    return [*estimates, fit], draws


def hill_plot_frame(spectra: Spectra) -> pd.DataFrame:
    """A group's Hill plot for k from 1 to half of n, with its interval and the band of its matched groups.

    Returns:
        ``n``, ``k``, ``exponent``, ``ci_low``, ``ci_high`` (over whom resampled documents choose), ``matched_mean``,
        ``matched_low``, ``matched_high`` (central 95 %), ``paper_k`` and ``stable`` (is k the paper's; does it lie in
        the stable window). No rows where the spectrum is unknown.
    """
    if spectra.reason:
        return pd.DataFrame()
    shown = slice(0, max(1, spectra.n // 2))
    plot = hill_plot(spectra.own[None])
    k = np.arange(1, plot.shape[1] + 1)[shown]
    first = int(stable_window(plot)[0][0])
    drawn, matched = hill_plot(spectra.redrawn)[:, shown], hill_plot(spectra.controls["matched"])[:, shown]
    own = plot[0, shown]
    records = {"n": spectra.n, "k": k, "exponent": own}
    intervals = np.array([percentile_interval(moved_to(own[i], drawn[:, i])) for i in range(len(k))])
    bands = np.array([percentile_interval(matched[:, i]) for i in range(len(k))])
    known = np.isfinite(matched)
    mean = np.where(known.any(0), np.where(known, matched, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)
    records |= {"ci_low": intervals[:, 0], "ci_high": intervals[:, 1]}
    records |= {"matched_mean": mean, "matched_low": bands[:, 0], "matched_high": bands[:, 1]}
    stable = (first > 0) & (k >= first) & (k < first + window_width(spectra.n))
    return pd.DataFrame(records | {"paper_k": k == paper_k(spectra.n), "stable": stable})


def checkpoint_spectra(
    weights: Mapping[str, np.ndarray],
    groups: Controlled,
    redrawn: Mapping[str, Sequence[np.ndarray]],
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[list[tuple[str, Estimate]], list[tuple[str, str, np.ndarray]], pd.DataFrame]:
    """Spectra of all groups over all matrices.

    Args:
        weights: as :func:`neuron_weights` returns them.
        groups: name -> (neuron indices (n,), kind of controls -> neuron indices of each control group (m, n)).
        redrawn: name -> neuron indices of the group in each bootstrap draw.
        n_draws: draws for the tail's interval and goodness of fit.
        rng: draws them.

    Returns:
        (group, estimate) and (group, measure, draws) as :func:`spectrum_estimates` makes them, and the Hill plots of
        :func:`hill_plot_frame` after columns ``group`` and ``matrix``.
    """
    estimates, draws, plots = [], [], [pd.DataFrame({"group": [], "matrix": []})]
    for matrix, values in weights.items():
        rows = standard_rows(values)
        for group, (members, controls) in groups.items():
            spectra = group_spectra(rows, members, controls, redrawn[group])
            found, by_measure = spectrum_estimates(spectra, matrix, n_draws, rng)
            estimates += [(group, estimate) for estimate in found]
            draws += [(group, measure, drawn) for measure, drawn in by_measure.items()]
            plot = hill_plot_frame(spectra)
            plots.append(plot.assign(group=group, matrix=matrix)[["group", "matrix", *plot.columns]])
    return estimates, draws, pd.concat([plot for plot in plots if len(plot)] or plots[:1], ignore_index=True)
