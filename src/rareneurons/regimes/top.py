"""The top neurons of a curve as one number: how flat they are, or how far above the power law.

The top is chosen on discovery documents and described on held-out ones. Two things vary: documents, and which neurons
a layer happens to have. A draw resamples the first; for the second, each cell's mean of k normalised spacings varies as
a gamma variable of shape k does, because spacings are independent and exponential (``local_exponent``). The rise of an
excess itself is no such spacing and does not vary.
"""

from dataclasses import dataclass

import numpy as np

from rareneurons.regimes.local_exponent import (
    LEAST_POWER_LAW,
    PLATEAU_RANKS,
    Baseline,
    Candidates,
    Cells,
    Reading,
    fit_candidates,
    is_better,
    shape_of_top,
)
from rareneurons.stats import moved_to

HALF_WINDOW = 0.4  # ln rank to either side of the end of an excess, in which it rises


@dataclass(frozen=True)
class ChosenTop:
    """A top that ends at the ln rank ``end``, and by how much it lowers the deviance of the curve that chose it."""

    reading: Reading
    end: float
    gain: float


def choose_top(found: Candidates, exponents: np.ndarray, reading: Reading, otherwise: float) -> ChosenTop:
    """The top of one reading that fits a curve best.

    Args:
        found: candidates with the curve's weights; of a curve on discovery documents.
        exponents: (H,) its local exponents.
        reading: of the plateau.
        otherwise: ln rank of the end where a curve without a plateau has the smaller information criterion. The best
            one all the same would be a chance fluctuation, which held-out documents of the same neurons repeat.
    """
    fits = fit_candidates(found, exponents[None])
    gain = float(fits.gain(reading)[0])
    if is_better(fits, reading, len(found.base.root))[0]:
        return ChosenTop(reading, float(found.cells.windows(reading).end[fits.place[reading][0]]), gain)
    return ChosenTop(reading, min(otherwise, float(np.log(PLATEAU_RANKS[1] * found.cells.n_neurons))), 0.0)


@dataclass(frozen=True)
class TopPlace:
    """The cells of a top in curves of some length: ``inside`` (G,) and the number of the decay's ``kink``."""

    reading: Reading
    inside: np.ndarray
    kink: int


def place_of(top: ChosenTop, base: Baseline, exponents: np.ndarray) -> TopPlace:
    """Where a top lies in a curve with the local exponents (H,), with the kink that fits best beside it."""
    places = base.cells
    inside = _window(top, places)
    last = places.ln_edge[int(np.flatnonzero(inside)[-1]) + 1]
    target = exponents[: len(base.root)] * base.root
    allowed = [k for k, place in enumerate(places.kink) if place == 0 or place >= last + LEAST_POWER_LAW]

    def misfit(kink: int) -> float:
        design = np.column_stack([places.terms[kink], inside]) * base.root[:, None]
        return float(np.square(target - design @ np.linalg.lstsq(design, target, rcond=None)[0]).sum())

    return TopPlace(top.reading, inside, min(allowed, key=misfit))


def _window(top: ChosenTop, places: Cells) -> np.ndarray:
    """Cells (G,) of a top, at least one: all before a flat top's end, those around the end of an excess."""
    middle = (places.ln_edge[1:] + places.ln_edge[:-1]) / 2
    inside = middle < top.end if top.reading == "flat" else np.abs(middle - top.end) < HALF_WINDOW
    inside[np.abs(middle - top.end).argmin()] |= not inside.any()
    return inside


def top_values(base: Baseline, exponents: np.ndarray, place: TopPlace) -> np.ndarray:
    """Of B curves (B, H): a flat top's exponent over the power law's, or the height of an excess, ln units; (B,)."""
    shape = shape_of_top(base, exponents, place.reading, place.inside, place.kink)
    return shape.exponent / shape.power_law if place.reading == "flat" else shape.height


def with_other_neurons(
    exponents: np.ndarray, expected: np.ndarray, count: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Local exponents (B, H) as they would be for other neurons of the same layer.

    Args:
        exponents: (B, H).
        expected: (H,) or (B, H) what each cell's exponents scatter about.
        count: (H,) spacings per cell.
        rng: draws the neurons.
    """
    return exponents + expected * (rng.standard_gamma(count, exponents.shape) / count - 1)


def drawn_top_values(
    base: Baseline, point: np.ndarray, drawn: np.ndarray, place: TopPlace, rng: np.random.Generator
) -> tuple[float, np.ndarray]:
    """A top's number in a curve with the local exponents (H,), and in draws (B, H) of documents and neurons, (B,)."""
    shape = shape_of_top(base, point[None], place.reading, place.inside, place.kink)
    expected, fitted = point.copy(), len(base.root)
    if place.reading == "excess":
        expected[:fitted][place.inside] = shape.smooth[0][place.inside]
    others = with_other_neurons(drawn, expected, base.cells.count, rng)
    value = float(top_values(base, point[None], place)[0])
    return value, moved_to(value, top_values(base, others, place))
