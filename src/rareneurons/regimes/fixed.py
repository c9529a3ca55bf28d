"""The authors' ways to draw the regimes: fixed cuts, and a piecewise form without a null.

Both return three regimes for any data. They are reported beside the fit that can find none
(``rareneurons.regimes.local_exponent``).
"""

import numpy as np

from rareneurons.regimes.curve import RankCurve

FIXED_MEASURES = ("plateau_exponent", "power_law_exponent", "decay_exponent", "height_over_power_law")


def band_line(curve: RankCurve, low: float, high: float) -> tuple[float, float]:
    """Slope and intercept of ln influence on ln rank over the ranks with ``low <= ln rank < high`` (least squares).

    NaN where fewer than three ranks lie in the band.
    """
    inside = (curve.ln_rank >= low) & (curve.ln_rank < high)
    if inside.sum() < 3:
        return float("nan"), float("nan")
    slope, intercept = np.polyfit(curve.ln_rank[inside], curve.ln_influence[inside], 1)
    return float(slope), float(intercept)


def fixed_cuts(curve: RankCurve, cuts: tuple[float, float]) -> dict[str, float]:
    """Exponents (negative slopes) of the three stretches between fixed cuts, and the height of the top.

    ``height_over_power_law`` is the mean height of the top neurons above the power law extended back to rank 1, in ln
    units, averaged evenly over ln rank.

    Args:
        curve: the curve.
        cuts: ln ranks that end the plateau and the power law (the authors': 3.5 and 5.5).

    Returns:
        Measure -> value, NaN where a stretch holds fewer than three neurons.
    """
    if len(curve.neuron) == 0:
        return dict.fromkeys(FIXED_MEASURES, float("nan"))
    first, second = cuts
    slope, intercept = band_line(curve, first, second)
    x = np.linspace(0, first, 49)
    height = np.interp(x, curve.ln_rank, curve.ln_influence) - (intercept + slope * x)
    top, decay = -band_line(curve, 0.0, first)[0], -band_line(curve, second, np.inf)[0]
    departure = float(np.trapezoid(height, x) / first)
    return dict(zip(FIXED_MEASURES, (top, -slope, decay, departure), strict=True))


N_PLACES = 32  # places searched for each boundary of the piecewise form
JUMP_PENALTY, DECAY_PENALTY = 1.0, 0.1
LEAST_RANK = 6


def piecewise(curve: RankCurve) -> dict[str, float]:
    """The authors' piecewise form: line, line, ``a + d ln(ln N - ln r)``, each by least squares.

    Boundaries minimise the Huber loss (threshold 1) of the residuals, plus the squared jumps at both, plus
    ``0.1 d^2``. They search by differential evolution from several starts; here all pairs of places on a grid are
    tried. At the last rank, where their third form is infinite, ``N + 1/2`` replaces N.

    Args:
        curve: the curve.

    Returns:
        ``plateau_end`` and ``decay_start`` (ln rank), ``plateau_exponent``, ``power_law_exponent``,
        ``plateau_share``, ``power_law_share``, ``decay_share`` (of the neurons); NaN for fewer than 50 neurons.
    """
    names = ("plateau_end", "decay_start", "plateau_exponent", "power_law_exponent")
    shares = ("plateau_share", "power_law_share", "decay_share")
    n = len(curve.neuron)
    if n < 50:
        return dict.fromkeys((*names, *shares), float("nan"))
    x, y = curve.ln_rank, curve.ln_influence
    decay_term = np.log(np.log(n + 0.5) - x)
    ends = np.unique(np.geomspace(LEAST_RANK, 0.4 * n, N_PLACES).astype(int))
    starts = np.unique(np.geomspace(2 * LEAST_RANK, n - 5, N_PLACES).astype(int))
    tops = {end: _line(x[:end], y[:end]) for end in ends}
    decays = {start: _line(decay_term[start:], y[start:]) for start in starts}
    best: tuple[float, tuple[float, ...]] = (np.inf, ())
    for end in ends:
        for start in starts[starts > end + 2]:
            middle = _line(x[end:start], y[end:start])
            jumps = [
                _at(tops[end], x[end]) - _at(middle, x[end]),
                _at(middle, x[start]) - _at(decays[start], decay_term[start]),
            ]
            loss = tops[end][2] + middle[2] + decays[start][2]
            loss += JUMP_PENALTY * sum(jump**2 for jump in jumps) + DECAY_PENALTY * decays[start][0] ** 2
            if loss < best[0]:
                best = loss, (end, start, -tops[end][0], -middle[0])
    end, start, *exponents = best[1]
    parts = np.diff([0, end, start, n]) / n
    return dict(zip(names, (np.log(end), np.log(start), *exponents), strict=True)) | dict(
        zip(shares, map(float, parts), strict=True)
    )


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Slope, intercept and Huber loss of a least-squares line."""
    centre = x - x.mean()
    slope = float(centre @ y / (centre @ centre))
    intercept = float(y.mean() - slope * x.mean())
    distance = np.abs(y - intercept - slope * x)
    return slope, intercept, float(np.where(distance <= 1, distance**2 / 2, distance - 0.5).sum())


def _at(line: tuple[float, float, float], x: float) -> float:
    return line[1] + line[0] * x
