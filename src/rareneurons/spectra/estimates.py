"""Spectra of the groups' weight rows: measures with intervals, compared with control groups, and Hill plots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rareneurons.evidence import Evidence, Measured
from rareneurons.groups import CONTROL_KINDS, ControlledGroups, why_no_controls
from rareneurons.spectra.group import GroupSpectra, group_spectra
from rareneurons.spectra.hill_plots import hill_plot_frame
from rareneurons.spectra.measures import ALTERNATIVES, UNITS, spectrum_measures, standard_rows, why_no_number
from rareneurons.spectra.tails import power_law_tail, tail_goodness, tail_interval
from rareneurons.stats import (
    against_controls,
    against_permuted,
    frame_of_tests,
    log_scale_interval,
    moved_to,
    percentile_interval,
)
from rareneurons.tables import DIFFERENCE, RATIO, CheckpointName, Draws, Estimate, draws_frame

UNKNOWN = float("nan"), float("nan")
_, MATCHED, SHUFFLED = CONTROL_KINDS
COMPARED = (MATCHED, SHUFFLED)  # kinds of controls that differences are taken from


@dataclass(frozen=True)
class SpectraSettings:
    """How much is computed; ``spectra`` in the configuration has the same key.

    ``draws``: spectra drawn for the interval of a tail exponent, and for its goodness of fit.
    """

    draws: int


def neuron_weights(last_layer: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of the last MLP's neurons by matrix (``w_out``, ``w_in``, ...), each (N, d), one row per neuron.

    Args:
        last_layer: arrays as :meth:`LastLayer.arrays` names them.
    """
    inputs = {name.removeprefix("input/"): weight for name, weight in last_layer.items() if name.startswith("input/")}
    return {"w_out": last_layer["output_weight"]} | inputs


def spectra_estimates(
    evidence: Evidence, groups: ControlledGroups, settings: SpectraSettings, rng: np.random.Generator
) -> Measured:
    """Spectra of all groups in all weight matrices of the last MLP.

    Args:
        evidence: reads ``last_layer``.
        groups: intervals are over their ``redrawn`` groups.
        settings: how much is computed.
        rng: draws spectra.

    Returns:
        The table and draws of :func:`spectrum_estimates`, listed under the condition that neurons were chosen on. The
        product ``hill`` holds the Hill plots: identity, ``group``, ``matrix`` and the columns of
        :func:`hill_plot_frame`.
    """
    estimates: list[tuple[str, str, Estimate]] = []
    draws: list[tuple[str, str, Draws]] = []
    plots = []
    for matrix, weights in neuron_weights(evidence.last_layer).items():
        rows = standard_rows(weights)
        for name, group in groups.items():
            spectra = group_spectra(rows, group)
            found, drawn = spectrum_estimates(spectra, matrix, settings.draws, rng)
            estimates += [(evidence.chosen_on, name, each) for each in found]
            draws += [(evidence.chosen_on, name, each) for each in drawn]
            plots.append(hill_plot_frame(spectra).assign(group=name, matrix=matrix))
    checkpoint = evidence.checkpoint
    products = {"hill": _joined_plots(checkpoint, plots)}
    return Measured(frame_of_tests(checkpoint, estimates), draws_frame(checkpoint, draws), products)


def spectrum_estimates(
    spectra: GroupSpectra, matrix: str, n_draws: int, rng: np.random.Generator
) -> tuple[list[Estimate], list[Draws]]:
    """All measures of a group's spectrum in one matrix, compared with each kind of controls.

    Args:
        spectra: as :func:`group_spectra` returns them.
        matrix: name of the matrix, the estimates' ``part``.
        n_draws: spectra drawn for the interval of the tail exponent, and for its goodness of fit.
        rng: draws them.

    Returns:
        Estimates of the measures in ``UNITS`` with each kind of controls; ``n`` is the group's size. For matched and
        shuffled groups there is also the ``difference`` from their mean and, for exponents, the ``ratio``
        to it. Last comes ``tail_fit``: the distance between the spectrum and its fitted tail, with the p-value of "the
        tail is a power law". Intervals are over the groups that resampled documents choose, except that of
        ``tail_exponent``, which is over eigenvalues. Draws (B,), moved to the value, of the value and of what is
        compared with those means.
    """
    own = spectrum_measures(spectra.own[None], spectra.width)
    redrawn = spectrum_measures(spectra.redrawn, spectra.width)
    controls = {kind: spectrum_measures(drawn, spectra.width) for kind, drawn in spectra.controls.items()}
    permuted = spectrum_measures(spectra.permuted, spectra.width)
    fitted = bool(np.isfinite(own["tail_exponent"][0]))
    estimates: list[Estimate] = []
    draws: list[Draws] = []
    for measure, unit in UNITS.items():
        value = float(own[measure][0])
        reason = "" if np.isfinite(value) else spectra.reason or why_no_number(measure, spectra.own)
        values, (low, high) = _about(value, redrawn[measure], unit)
        around, ends = Draws(measure, values, part=matrix), np.array([low, high])
        if measure == "tail_exponent":
            low, high = tail_interval(spectra.own, n_draws, rng) if fitted else UNKNOWN
        estimate = Estimate(measure, value, unit, spectra.n, low, high, reason=reason, part=matrix)
        for kind, null in controls.items():
            tested = _tested(replace(estimate, against=kind), null[measure])
            if kind == MATCHED and len(spectra.permuted):
                tested = against_permuted(tested, permuted[measure], spectra.share_permuted, ALTERNATIVES[measure])
            estimates.append(tested)
            if kind in COMPARED and len(null[measure]):
                compared = _beside_their_mean(tested, around, ends)
                estimates += [each for each, _ in compared]
                draws += [drawn for _, drawn in compared]
        draws.append(around)
    estimate = Estimate("tail_fit", float("nan"), UNITS["mp_distance"], spectra.n, part=matrix)
    if not fitted:
        reason = spectra.reason or why_no_number("tail_exponent", spectra.own)
        return [*estimates, replace(estimate, reason=reason)], draws
    distance, p = float(power_law_tail(spectra.own[None])[2][0]), tail_goodness(spectra.own, n_draws, rng)
    return [*estimates, replace(estimate, value=distance, p_value=p)], draws


def _tested(estimate: Estimate, null: np.ndarray) -> Estimate:
    """The estimate, which keeps its interval, against the same measure of m control groups (m,)."""
    tested = against_controls(estimate, [], null, ALTERNATIVES[estimate.measure])
    no_controls = "" if len(null) else why_no_controls(estimate.against)
    return replace(tested, ci_low=estimate.ci_low, ci_high=estimate.ci_high, reason=estimate.reason or no_controls)


def _about(value: float, redrawn: np.ndarray, unit: str) -> tuple[np.ndarray, tuple[float, float]]:
    """Draws (B,) of a measure, moved to its value, and the interval.

    Redrawn groups hold neurons that are nearer to the boundary, so their mean is not the value. The spread of an
    exponent grows with it: exponents are moved on the logarithmic scale.
    """
    if unit == "exponent":
        return np.exp(moved_to(np.log(value), np.log(redrawn))), log_scale_interval(value, redrawn)
    moved = moved_to(value, redrawn)
    return moved, percentile_interval(moved)


def _beside_their_mean(tested: Estimate, around: Draws, ends: np.ndarray) -> list[tuple[Estimate, Draws]]:
    """Difference of a value from its controls' mean and, for an exponent, ratio to it, each with its draws.

    ``ends`` (2,): of the interval of the value.
    """
    mean, part, against = tested.null_mean, tested.part, tested.against
    compared = [(DIFFERENCE, tested.value - mean, ends - mean, around.values - mean, tested.unit)]
    if tested.unit == "exponent":
        compared.append((RATIO, tested.value / mean, ends / mean, around.values / mean, "ratio"))
    found = []
    for quantity, value, (low, high), drawn, unit in compared:
        estimate = Estimate(tested.measure, value, unit, tested.n, low, high, reason=tested.reason, part=part)
        estimate = replace(estimate, quantity=quantity, against=against)
        found.append((estimate, Draws(tested.measure, drawn, part=part, quantity=quantity, against=against)))
    return found


def _joined_plots(checkpoint: CheckpointName, plots: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table of all Hill plots; without any, it has only the columns that name them."""
    columns = ["group", "matrix"]
    known = [plot[[*columns, *plot.columns.difference(columns, sort=False)]] for plot in plots if len(plot)]
    joined = pd.concat(known, ignore_index=True) if known else pd.DataFrame({name: [] for name in columns})
    return checkpoint.labelled(joined)
