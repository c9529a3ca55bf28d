"""How often the plateau test finds a planted plateau, in curves like a measured one and through all its conditions."""

from dataclasses import dataclass

import numpy as np

from rareneurons.regimes.local_exponent import (
    LEAST_NEURONS,
    RANKS_USED,
    READINGS,
    SHAPES,
    Baseline,
    Candidates,
    Reading,
    Shape,
    baseline_for,
    candidates_for,
    describe_fits,
)
from rareneurons.regimes.plateau import (
    PlateauBounds,
    curves_without_plateau,
    declared_reading,
    departure_from,
    in_a_wider_layer,
    measured_order,
    null_gains,
    plateau_size,
    share_kept,
    sorted_curves,
)
from rareneurons.regimes.top import ChosenTop, choose_top, place_of, top_values
from rareneurons.stats import NORMAL_95

LEAST_NULL_CURVES = 400  # so that chance in them does not decide what is found
PLANTED_FACTOR = 2.0  # an excess: that many times the influence without it


@dataclass(frozen=True)
class MeasuredCurve:
    """A sorted curve: ``ln_influence`` (n,), and the relative standard error of the neuron at each rank (n,), on
    held-out (``error``) and on discovery documents (``discovery_error``).
    """

    ln_influence: np.ndarray
    error: np.ndarray
    discovery_error: np.ndarray

    def with_documents(self, times: int) -> "MeasuredCurve":
        """The curve as ``times`` as many documents would measure it."""
        root = np.sqrt(times)
        return MeasuredCurve(self.ln_influence, self.error / root, self.discovery_error / root)

    def in_a_wider_layer(self, times: int) -> "MeasuredCurve":
        """The curve of a layer with ``times`` as many neurons, see :func:`in_a_wider_layer`."""
        curve, error = in_a_wider_layer(self.ln_influence, self.error, times)
        return MeasuredCurve(curve, error, in_a_wider_layer(self.ln_influence, self.discovery_error, times)[1])


@dataclass(frozen=True)
class PlantedRuns:
    """B planted curves: ``found`` (B,), whether the test declares a plateau of the planted reading or of the other;
    ``difference`` (B,): number of the top (``top.top_values``) minus that of a curve of the contrast without a plateau.
    """

    found: np.ndarray
    difference: np.ndarray

    def share_found(self) -> float:
        """Power of the plateau test."""
        return float(self.found.mean())

    def share_different(self, margin: float) -> float:
        """Power of the comparison of two conditions: share of curves in which a plateau is declared, and the difference
        is at least a margin, with a 95 % interval on one side of zero. The interval is that of the runs' own spread.
        """
        toward = self.difference * np.sign(margin)
        clear = (toward >= abs(margin)) & (toward > NORMAL_95 * np.nanstd(toward, ddof=1))
        return float(np.mean(self.found & clear))


def planted(curves: np.ndarray, reading: Reading, size: int) -> np.ndarray:
    """Curves (B, n) whose first ``size`` neurons have a plateau: the influence of the last, or an excess."""
    if reading == "flat":
        return np.minimum(curves, curves[:, size - 1 : size])
    return np.concatenate([curves[:, :size] + np.log(PLANTED_FACTOR), curves[:, size:]], axis=1)


def planted_runs(
    curve: MeasuredCurve,
    contrast: MeasuredCurve | None,
    plateau: tuple[Reading, int],
    bounds: PlateauBounds,
    n_curves: int,
    rng: np.random.Generator,
) -> PlantedRuns | None:
    """Plant a plateau in curves like this one, measure them twice, and test them as measured curves are.

    Each planted curve is tested against curves without a plateau that are simulated from all planted curves together:
    as few as the p of ``bounds.alpha`` needs, and at least ``LEAST_NULL_CURVES``, since all are alike.

    Args:
        curve: what the curves are drawn like, without its plateau.
        contrast: likewise, of the condition that is to have none; None leaves the differences NaN.
        plateau: reading and number of neurons.
        bounds: of the plateau test.
        n_curves: planted curves.
        rng: draws everything.

    Returns:
        The runs; None for a curve too short to fit, or of which the plateau would be half.
    """
    n, (reading, size) = len(curve.ln_influence), plateau
    if n < LEAST_NEURONS or size >= RANKS_USED * n:
        return None
    none = np.zeros(n)
    curves = curves_without_plateau(candidates_for(curve.ln_influence), curve.ln_influence, none, n_curves, rng)
    truth = planted(curves, reading, size)
    heldout, discovery = (measured_order(truth, error, rng) for error in (curve.error, curve.discovery_error))
    fits = [candidates_for(each) for each in sorted_curves(heldout)]
    n_null = int(np.ceil(max(len(READINGS) / bounds.alpha, LEAST_NULL_CURVES) / n_curves))
    null = _pooled_gains(fits, sorted_curves(heldout), curve.error, n_null, rng)
    others = None if contrast is None else _contrast_curves(contrast, n_curves, rng)
    found = np.zeros(n_curves, dtype=bool)
    difference = np.full(n_curves, np.nan)
    for b, mine in enumerate(fits):
        order, chosen = np.argsort(-heldout[b]), np.argsort(-discovery[b])
        exponents = mine.cells.local_exponents(heldout[b][order])
        choosing = candidates_for(discovery[b][chosen])
        on_discovery = choosing.cells.local_exponents(discovery[b][chosen])
        overlap = share_kept(chosen[: plateau_size(describe_fits(choosing, on_discovery[None])[0])], order)
        found[b] = declared_reading(departure_from(mine, exponents, null), overlap, bounds) is not None
        if others is not None:
            top = choose_top(choosing, on_discovery, reading, np.log(size))
            difference[b] = _value(top, mine.base, heldout[b][order]) - _value(top, baseline_for(others[b]), others[b])
    return PlantedRuns(found, difference)


def _value(top: ChosenTop, base: Baseline, ln_influence: np.ndarray) -> float:
    """A top's number in one sorted curve (n,)."""
    exponents = base.cells.local_exponents(ln_influence)
    return float(top_values(base, exponents[None], place_of(top, base, exponents))[0])


def _pooled_gains(
    fits: list[Candidates], curves: np.ndarray, error: np.ndarray, n_null: int, rng: np.random.Generator
) -> dict[Shape, np.ndarray]:
    """Gains of ``n_null`` curves without a plateau from each of B curves, all together."""
    gains = [null_gains(found, curve, error, n_null, rng) for found, curve in zip(fits, curves, strict=True)]
    return {shape: np.concatenate([each[shape] for each in gains]) for shape in SHAPES}


def _contrast_curves(contrast: MeasuredCurve, n_curves: int, rng: np.random.Generator) -> np.ndarray | None:
    """Curves like the contrast's, without a plateau; None where it is too short to fit."""
    if len(contrast.ln_influence) < LEAST_NEURONS:
        return None
    found = candidates_for(contrast.ln_influence)
    return curves_without_plateau(found, contrast.ln_influence, contrast.error, n_curves, rng)
