"""Every number of a checkpoint's rank-influence curves, with document-bootstrap intervals and tests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from rareneurons.conventions import NOISE
from rareneurons.influence.sums import InfluenceSums
from rareneurons.regimes.curve import SIGNS, STATISTICS, RankCurve, Sign, Statistic
from rareneurons.regimes.fixed import fixed_cuts, piecewise
from rareneurons.regimes.local_exponent import (
    LEAST_NEURONS,
    READINGS,
    Candidates,
    CurveFit,
    Reading,
    candidates_for,
    describe_fits,
    fit_curve,
)
from rareneurons.regimes.means import MeanInfluence, drawn_means, mean_influence
from rareneurons.regimes.middle import decay_steepness, exponent_drift, middle_cells
from rareneurons.regimes.overlap import overlap_p, rank_fraction_elsewhere, top_overlap
from rareneurons.regimes.plateau import (
    PlateauBounds,
    declared_reading,
    departure_test,
    no_plateau_band,
    plateau_size,
    share_kept,
)
from rareneurons.regimes.power import MeasuredCurve, PlantedRuns, planted_runs
from rareneurons.regimes.top import ChosenTop, choose_top, drawn_top_values, place_of, with_other_neurons
from rareneurons.stats import bootstrap_p, document_weights, moved_to, percentile_interval, spearman
from rareneurons.tables import DIFFERENCE, VALUE, CheckpointName, Draws, Estimate, draws_frame

# Parts of the measures: the authors' fixed cuts, their piecewise form, the fit that chooses among candidates, the
# plateau test (the names of its two readings are parts too), the curve between plateau and decay, and the neurons
# before the first fixed cut on the first condition's discovery rows.
FIXED, AUTHORS, AUTO, TEST, MIDDLE, TOP = "fixed", "authors", "auto", "test", "middle", "top"
Number = tuple[str, str]  # measure and part
N_NEURONS: Number = ("n_neurons", "")
PLATEAU: Number = ("plateau", TEST)  # 1 where the test declares a plateau, else 0
POWER: Number = ("power", TEST)
FLATNESS: Number = ("flatness", AUTO)
# The number of each reading: of the top that discovery documents choose, on held-out documents.
OF_READING: Mapping[Reading, Number] = {"flat": ("flatness", "flat"), "excess": ("height_over_power_law", "excess")}
DRIFT: Number = ("exponent_drift", MIDDLE)  # 0 a power law, 1 a log-normal
DECAY: Number = ("decay_steepness", MIDDLE)
SHARE: Number = ("influence_share", TOP)
OF_CANDIDATES = (("bic_two", AUTO), ("bic_three", AUTO), ("n_regimes", AUTO))  # they order one curve's candidates
MORE = {"documents": (4, 16), "neurons": (2, 4, 8)}  # what power is simulated for, in this order, as multiples
UNITS: Mapping[str, str] = {
    "n_neurons": "neurons",
    "n_regimes": "regimes",
    "bic_two": "deviance",
    "bic_three": "deviance",
    "plateau_end": "ln rank",
    "decay_start": "ln rank",
    "plateau_exponent": "exponent",
    "power_law_exponent": "exponent",
    "decay_exponent": "exponent",
    "height_over_power_law": "ln nats",
    "flatness": "ratio of exponents",
    "plateau_share": "share of neurons",
    "power_law_share": "share of neurons",
    "decay_share": "share of neurons",
    "influence_share": "share of the layer's influence",
    "flat_top": "deviance",
    "excess": "deviance",
    "exponent_drift": "0 power law, 1 log-normal",
    "decay_steepness": "ratio of exponents",
    "steep_top": "deviance",
    "top_overlap": "share of the top",
    "plateau": "1 yes, 0 no",
    "power": "share of planted plateaus found",
    "overlap": "share of the top",
    "replication": "share of the top",
    "influence_agreement": "rank correlation",
    "top_rank_fraction": "rank fraction",
}


def top_part(size: int) -> str:
    """Part of the ``size`` most influential neurons."""
    return f"top_{size}"


def power_part(kind: str, times: int) -> str:
    """Part of the power that is simulated for ``times`` as many ``documents`` or ``neurons``."""
    return f"{kind}_{times}"


def planted_part(reading: Reading, size: int) -> str:
    """Part of the power to find a planted plateau of ``size`` neurons."""
    return f"{reading}_{size}"


def planted_powers(regimes: pd.DataFrame) -> dict[Reading, dict[int, float]]:
    """Power of one curve to find planted plateaus, by reading and number of neurons, from its rows of the table."""
    rows = regimes[(regimes["measure"] == POWER[0]) & (regimes["quantity"] == VALUE)]
    by_part = dict(zip(rows["part"], rows["value"], strict=True))
    found: dict[Reading, dict[int, float]] = {}
    for reading in READINGS:
        sizes = (part.removeprefix(f"{reading}_") for part in by_part if part.startswith(f"{reading}_"))
        found[reading] = {int(size): float(by_part[f"{reading}_{size}"]) for size in sizes}
    return found


def measure_of(statistic: Statistic, measure: str) -> str:
    """Name of a measure of a curve: as it is for the mean abs effect, with a prefix for the abs mean effect."""
    return measure if statistic == "mean_abs" else f"{statistic}_{measure}"


def curve_estimate(
    statistic: Statistic,
    number: Number,
    value: float,
    n: int,
    interval: tuple[float, float] = (float("nan"), float("nan")),
    p: float = float("nan"),
) -> Estimate:
    """One number of a curve with its unit, its 95 % interval and its p-value, as far as they are known."""
    measure, part = number
    return Estimate(measure_of(statistic, measure), value, UNITS[measure], n, *interval, p, part=part)


@dataclass(frozen=True)
class RegimeSettings:
    """What the estimates depend on.

    ``cuts``: the fixed cuts, ln rank; ``bootstrap``: draws of documents; ``null_curves``: simulated curves without a
    plateau; ``alpha``, ``flatness``, ``excess``, ``overlap``: bounds of a plateau (:class:`PlateauBounds`);
    ``power_draws``: planted plateaus of each kind a curve's power is estimated from, 0 for no estimate; ``tops``: sizes
    compared between conditions, and of planted plateaus; ``power_wanted``: where the power is below this share, it is
    also simulated for more documents and neurons, until it is reached.
    """

    cuts: tuple[float, float]
    bootstrap: int
    null_curves: int
    alpha: float
    flatness: float
    excess: float
    overlap: float
    power_draws: int
    tops: tuple[int, ...]
    power_wanted: float = 0.0

    @property
    def bounds(self) -> PlateauBounds:
        """Bounds of a plateau."""
        return PlateauBounds(self.alpha, self.flatness, self.excess, self.overlap)

    @property
    def deciding_size(self) -> int:
        """Neurons of the planted plateau whose power decides whether a negative result counts: the middle of tops."""
        return sorted(self.tops)[len(self.tops) // 2]


def fit_measures(fit: CurveFit, n_neurons: int) -> dict[str, float]:
    """Numbers of an automatic fit; the shares of the neurons in each regime are among them."""
    measures = {name: float(value) for name, value in asdict(fit).items() if name != "reading"}
    plateau = float(np.exp(fit.plateau_end)) / n_neurons
    before_decay = float(np.exp(fit.decay_start)) / n_neurons if np.isfinite(fit.decay_start) else 1.0
    return measures | {
        "flatness": fit.plateau_exponent / fit.power_law_exponent,
        "plateau_share": plateau,
        "power_law_share": before_decay - plateau,
        "decay_share": 1 - before_decay if np.isfinite(plateau) else float("nan"),
    }


def at_rank_fractions(ln_influence: np.ndarray, n_neurons: int) -> np.ndarray:
    """A sorted curve (n,) read at the rank fractions of a curve of ``n_neurons``, so that draws share their cells."""
    n = len(ln_influence)
    ln_rank = np.log(np.arange(1, n_neurons + 1)) + np.log(n / n_neurons)
    return np.interp(ln_rank, np.log(np.arange(1, n + 1)), ln_influence)


def _curve_measures(
    curve: RankCurve, fit: CurveFit | None, n_fitted: int, cuts: tuple[float, float]
) -> dict[Number, float]:
    measures = {N_NEURONS: float(len(curve.neuron))}
    measures |= {(name, FIXED): value for name, value in fixed_cuts(curve, cuts).items()}
    if fit is not None:
        measures |= {(name, AUTO): value for name, value in fit_measures(fit, n_fitted).items()}
    return measures


class FittedCurve(NamedTuple):
    """A held-out curve's candidates and fit, its local exponents (H,), and those of its draws (B, H)."""

    found: Candidates
    fit: CurveFit
    exponents: np.ndarray
    drawn: np.ndarray


def fitted_curve(point: RankCurve, draws: Sequence[RankCurve]) -> FittedCurve | None:
    """The curve and its draws, all with the cells and weights of the curve; None for one too short to fit."""
    n_neurons = len(point.neuron)
    if n_neurons < LEAST_NEURONS:
        return None
    found = candidates_for(point.ln_influence)
    exponents = found.cells.local_exponents(point.ln_influence)
    same_length = np.stack([at_rank_fractions(draw.ln_influence, n_neurons) for draw in draws])
    fit = describe_fits(found, exponents[None])[0]
    return FittedCurve(found, fit, exponents, found.cells.local_exponents(same_length))


def _drawn_curve_measures(
    fitted: FittedCurve | None, n_neurons: int, draws: Sequence[RankCurve], cuts: tuple[float, float]
) -> list[dict[Number, float]]:
    """Measures of bootstrapped curves, by the reading of the curve they come from."""
    fits: list[CurveFit | None] = [None] * len(draws)
    if fitted is not None:
        fits = list(describe_fits(fitted.found, fitted.drawn, fitted.fit.reading))
    return [_curve_measures(draw, fit, n_neurons, cuts) for draw, fit in zip(draws, fits, strict=True)]


@dataclass(frozen=True)
class _Conditions:
    """Mean influence of every condition: on held-out documents, in each draw of these, and on discovery documents."""

    heldout: Mapping[str, MeanInfluence]
    drawn: Mapping[str, list[MeanInfluence]]
    discovery: Mapping[str, MeanInfluence]
    n_documents: int


def _conditions(sums: Mapping[str, InfluenceSums], names: Iterable[str], weights: np.ndarray) -> _Conditions:
    heldout = {name: sums[f"{name}/heldout"] for name in names}
    return _Conditions(
        {name: mean_influence(found) for name, found in heldout.items()},
        {name: drawn_means(found, weights) for name, found in heldout.items()},
        {name: mean_influence(sums[f"{name}/discovery"]) for name in heldout},
        weights.shape[1],
    )


def _test_estimates(
    heldout: MeanInfluence,
    discovery: MeanInfluence,
    sign: Sign,
    statistic: Statistic,
    settings: RegimeSettings,
    n_documents: int,
    rng: np.random.Generator,
) -> list[Estimate]:
    """The plateau test of one held-out curve; none for a curve too short to fit."""
    curve, chosen = heldout.curve(sign, statistic), discovery.curve(sign, statistic)
    error = heldout.relative_error(curve, statistic)
    test = departure_test(curve.ln_influence, error, settings.null_curves, rng)
    if test is None:
        return []
    overlap = share_kept(chosen.neuron[: plateau_size(fit_curve(chosen.ln_influence))], curve.neuron)
    declared = declared_reading(test, overlap, settings.bounds)
    values: dict[Number, tuple[float, float]] = {
        ("flat_top", TEST): (test.gain["flat"], test.p_value["flat"]),
        ("excess", TEST): (test.gain["excess"], test.p_value["excess"]),
        ("steep_top", TEST): (test.gain["steep"], test.p_value["steep"]),
        ("top_overlap", TEST): (overlap, float("nan")),
        **{(PLATEAU[0], reading): (float(declared == reading), test.p_value[reading]) for reading in READINGS},
        PLATEAU: (float(declared is not None), test.p_of_both),
    }
    return [curve_estimate(statistic, number, value, n_documents, p=p) for number, (value, p) in values.items()]


def measured_curve(
    heldout: MeanInfluence, discovery: MeanInfluence, statistic: Statistic = "mean_abs"
) -> MeasuredCurve:
    """The held-out boost curve with the errors of both splits, relative to the influence.

    A mean effect may be near zero on discovery documents. Its error there is relative to the held-out influence.
    """
    curve = heldout.curve("boost", statistic)
    error = heldout.relative_error(curve, statistic)
    if statistic == "mean_abs":
        return MeasuredCurve(curve.ln_influence, error, discovery.relative_error(curve, statistic))
    return MeasuredCurve(curve.ln_influence, error, discovery.error[curve.neuron] / np.exp(curve.ln_influence))


def power_estimates(
    curve: MeasuredCurve,
    contrast: MeasuredCurve | None,
    settings: RegimeSettings,
    n_documents: int,
    rng: np.random.Generator,
) -> tuple[list[Estimate], list[Estimate]]:
    """Share of planted plateaus found in curves like this one, through all conditions of the test.

    Args:
        curve: the curve.
        contrast: that of the other condition; without it there is no power of the difference.
        settings: sizes, bounds, draws.
        n_documents: blocks of held-out documents.
        rng: draws the curves.

    Returns:
        ``power`` of each planted plateau (:func:`planted_part`); of the part ``test``, the smaller one of the two
        readings of ``deciding_size`` neurons; and while that is below ``power_wanted``, of the parts
        ``documents_<times>`` (errors shrink with the root of their number) and ``neurons_<times>``
        (:func:`in_a_wider_layer`). Where more documents reach it, neurons are not tried. A curve too short to fit has
        no power (NaN), however many documents there are. Then, by reading: the power of the difference between a
        condition with such a plateau and one without.
    """
    found: dict[str, float] = {}
    differences = []
    for reading in READINGS:
        for size in settings.tops:
            deciding = contrast if size == settings.deciding_size else None
            runs = planted_runs(curve, deciding, (reading, size), settings.bounds, settings.power_draws, rng)
            found[planted_part(reading, size)] = _share_found(runs, curve)
            if deciding is not None and runs is not None:
                share = runs.share_different(contrast_margin(reading, settings.flatness, settings.excess))
                differences.append(curve_estimate("mean_abs", (POWER[0], reading), share, n_documents))
    found[TEST] = min(found[planted_part(reading, settings.deciding_size)] for reading in READINGS)
    found |= _more_power(curve, found[TEST], settings, rng)
    return [
        curve_estimate("mean_abs", (POWER[0], part), each, n_documents) for part, each in found.items()
    ], differences


def _share_found(runs: PlantedRuns | None, curve: MeasuredCurve) -> float:
    """Power; 0 for a plateau that the layer has no room for, NaN for a curve too short to fit."""
    if runs is None:
        return float("nan") if len(curve.ln_influence) < LEAST_NEURONS else 0.0
    return runs.share_found()


def _more_power(
    curve: MeasuredCurve, power: float, settings: RegimeSettings, rng: np.random.Generator
) -> dict[str, float]:
    """Power with more documents, and if that is not enough with more neurons, until the wanted one is reached."""
    found: dict[str, float] = {}
    for kind, multiples in MORE.items():
        for times in multiples:
            if not power < settings.power_wanted:
                return found
            more = curve.with_documents(times) if kind == "documents" else curve.in_a_wider_layer(times)
            power = 1.0
            for reading in READINGS:
                plateau = reading, settings.deciding_size
                runs = planted_runs(more, None, plateau, settings.bounds, settings.power_draws, rng)
                power = min(power, _share_found(runs, more))
                if power < settings.power_wanted:
                    break  # the smaller one of both counts, and this one is too small already
            found[power_part(kind, times)] = power
    return found


def contrast_margin(reading: Reading, flatness: float, excess: float) -> float:
    """Smallest relevant difference between a condition with a plateau and one without.

    Half of what lies between no plateau and the bound of one: of the ratio of exponents, 1 and ``flatness``; of the
    height over the power law, ln units, 0 and ln ``excess``. Its sign is that of more of a plateau.
    """
    return (flatness - 1) / 2 if reading == "flat" else float(np.log(excess)) / 2


TRENDING: tuple[Number, ...] = (
    SHARE,
    ("power_law_exponent", FIXED),
    ("height_over_power_law", FIXED),
    ("power_law_exponent", AUTO),
    FLATNESS,
    ("height_over_power_law", AUTO),
    ("plateau_end", AUTO),
)


def trending_draws(
    checkpoint: CheckpointName,
    sums: Mapping[str, InfluenceSums],
    pair: tuple[str, str],
    settings: RegimeSettings,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Bootstrap draws of what trends over training are about: held-out boost curves of the mean abs effect.

    Args:
        checkpoint: its name.
        sums: ``<condition>/<split>`` -> sums by block of documents.
        pair: two conditions.
        settings: cuts and number of draws.
        rng: draws the documents. Give every checkpoint a generator in the same state, so that a draw means the same
            documents at all of them.

    Returns:
        As :func:`draws_frame` makes it; the condition ``<first>-<second>`` has their difference.
    """
    weights = document_weights(len(sums[f"{pair[0]}/heldout"].n_rows), settings.bootstrap, rng)
    top = _chosen_top(mean_influence(sums[f"{pair[0]}/discovery"]), "boost", "mean_abs", settings)
    values: dict[tuple[str, Number], np.ndarray] = {}
    for name in pair:
        drawn = drawn_means(sums[f"{name}/heldout"], weights)
        point = mean_influence(sums[f"{name}/heldout"]).curve("boost", "mean_abs")
        curves = [means.curve("boost", "mean_abs") for means in drawn]
        draws = _drawn_curve_measures(fitted_curve(point, curves), len(point.neuron), curves, settings.cuts)
        for draw, means in zip(draws, drawn, strict=True):
            draw[SHARE] = means.influence_share(top, "mean_abs")
        for number in TRENDING:
            values[name, number] = np.array([draw.get(number, np.nan) for draw in draws])
    both = "-".join(pair)
    found = [
        (condition, "boost", Draws(measure, drawn, part=part)) for (condition, (measure, part)), drawn in values.items()
    ]
    for measure, part in TRENDING:
        gap = values[pair[0], (measure, part)] - values[pair[1], (measure, part)]
        found.append((both, "boost", Draws(measure, gap, part=part, quantity=DIFFERENCE)))
    return draws_frame(checkpoint, found)


def _chosen_top(discovery: MeanInfluence, sign: Sign, statistic: Statistic, settings: RegimeSettings) -> np.ndarray:
    """The first neurons of the discovery curve, up to the first fixed cut."""
    curve = discovery.curve(sign, statistic)
    return curve.neuron[curve.ln_rank < settings.cuts[0]]


def no_plateau_bands(
    sums: Mapping[str, InfluenceSums], pair: tuple[str, str], n_curves: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Where held-out curves of the mean abs effect would lie without a plateau, for both conditions and signs.

    Args:
        sums: ``<condition>/<split>`` -> sums by block of documents.
        pair: two conditions.
        n_curves: simulated curves.
        rng: draws them.

    Returns:
        Columns ``condition``, ``group`` (the sign), ``ln_rank``, ``ln_influence_low``, ``ln_influence_high`` (central
        95 %, ln nats); curves too short to fit have no rows.
    """
    numbers, parts = ["ln_rank", "ln_influence_low", "ln_influence_high"], []
    for name in pair:
        means = mean_influence(sums[f"{name}/heldout"])
        for sign in SIGNS:
            curve = means.curve(sign, "mean_abs")
            band = no_plateau_band(curve.ln_influence, means.relative_error(curve, "mean_abs"), n_curves, rng)
            if band is not None:
                columns = dict(zip(numbers, band, strict=True))
                parts.append(pd.DataFrame({"condition": name, "group": sign, **columns}))
    nothing = pd.DataFrame(columns=["condition", "group", *numbers]).astype(dict.fromkeys(numbers, float))
    return pd.concat(parts, ignore_index=True) if parts else nothing


def _with_intervals(
    values: Mapping[Number, float], draws: list[dict[Number, float]], statistic: Statistic, n_documents: int
) -> list[Estimate]:
    estimates = []
    for number, value in values.items():
        interval = percentile_interval(np.asarray([draw.get(number, np.nan) for draw in draws]))
        estimates.append(curve_estimate(statistic, number, value, n_documents, interval))
    return estimates


def _differences(
    values: list[Mapping[Number, float]],
    draws: list[list[dict[Number, float]]],
    statistic: Statistic,
    n_documents: int,
) -> list[Estimate]:
    """First minus second condition, the same documents drawn for both; p from the draws on either side of zero."""
    estimates = []
    for number in (values[0].keys() & values[1].keys()).difference(OF_CANDIDATES):
        differences = np.asarray([a.get(number, np.nan) - b.get(number, np.nan) for a, b in zip(*draws, strict=True)])
        tested = percentile_interval(differences), bootstrap_p(differences)
        found = curve_estimate(statistic, number, values[0][number] - values[1][number], n_documents, *tested)
        estimates.append(replace(found, quantity=DIFFERENCE))
    return sorted(estimates, key=lambda each: (not each.part, each.part, each.measure))  # a set has no order


def regime_estimates(
    sums: Mapping[str, InfluenceSums],
    pair: tuple[str, str],
    settings: RegimeSettings,
    rng: np.random.Generator,
    signs: Sequence[Sign] = SIGNS,
    statistics: Sequence[Statistic] = STATISTICS,
) -> Iterator[tuple[str, str, Estimate]]:
    """(condition, sign, estimate) of every condition, sign and statistic, on held-out documents.

    The part of a measure says where it comes from: ``fixed`` and ``authors`` (the authors' cuts and their piecewise
    form), ``auto`` (the fit that chooses among candidates), ``test`` (the plateau test), ``top`` (neurons before the
    first fixed cut on the first condition's discovery rows), ``top_<k>`` (the first k). Measures of the statistic
    ``abs_mean`` begin with it. Beside the conditions of ``sums`` there are ``<first>-<second>``, their differences and
    overlap, and ``noise``: neurons whose true effects are all zero, with the standard errors of the first condition.

    Args:
        sums: ``<condition>/<split>`` -> sums by block of documents; blocks are the same for all conditions of a split.
        pair: the condition that the claims are about, and its contrast.
        settings: bounds and numbers of draws.
        rng: draws documents and null curves.
        signs: whose curves.
        statistics: of which influence.
    """
    names = list(dict.fromkeys(name.split("/")[0] for name in sums))
    n_documents = len(sums[f"{names[0]}/heldout"].n_rows)
    found = _conditions(sums, names, document_weights(n_documents, settings.bootstrap, rng))
    for sign in signs:
        for statistic in statistics:
            yield from _statistic_estimates(found, pair, sign, statistic, settings, rng)
        if sign == "boost":
            yield from ((name, sign, estimate) for name, estimate in _powers(found, pair, settings, rng))
        noise = _noise(found.heldout[pair[0]], rng), _noise(found.discovery[pair[0]], rng)
        tests = _test_estimates(*noise, sign, "abs_mean", settings, n_documents, rng)
        yield from ((NOISE, sign, estimate) for estimate in tests)


def plateau_estimates(
    sums: Mapping[str, InfluenceSums],
    pair: tuple[str, str],
    settings: RegimeSettings,
    rng: np.random.Generator,
    statistic: Statistic = "mean_abs",
) -> Iterator[tuple[str, str, Estimate]]:
    """Those of :func:`regime_estimates` that decide C1 and C2: boost neurons, one statistic, two conditions.

    Arguments as there. Measures have the names that they have for the mean abs effect, whatever the statistic is.
    """
    plain = {measure_of(statistic, measure): measure for measure in UNITS}
    for name, estimate in _plateau_estimates(sums, pair, settings, rng, statistic):
        yield name, "boost", replace(estimate, measure=plain.get(estimate.measure, estimate.measure))


def _plateau_estimates(
    sums: Mapping[str, InfluenceSums],
    pair: tuple[str, str],
    settings: RegimeSettings,
    rng: np.random.Generator,
    statistic: Statistic,
) -> Iterator[tuple[str, Estimate]]:
    weights = document_weights(len(sums[f"{pair[0]}/heldout"].n_rows), settings.bootstrap, rng)
    found = _conditions(sums, pair, weights)
    fitted = {}
    for name, means in found.heldout.items():
        curve = means.curve("boost", statistic)
        fitted[name] = fitted_curve(curve, [draw.curve("boost", statistic) for draw in found.drawn[name]])
        yield name, curve_estimate(statistic, N_NEURONS, len(curve.neuron), found.n_documents)
        splits = means, found.discovery[name]
        for estimate in _test_estimates(*splits, "boost", statistic, settings, found.n_documents, rng):
            yield name, estimate
    yield from _tops(found, pair, fitted, "boost", statistic, settings, rng)
    yield from _powers(found, pair, settings, rng, statistic)


def _powers(
    found: _Conditions,
    pair: tuple[str, str],
    settings: RegimeSettings,
    rng: np.random.Generator,
    statistic: Statistic = "mean_abs",
) -> Iterator[tuple[str, Estimate]]:
    """Power of both conditions' tests and of their comparison; nothing without planted curves."""
    if not settings.power_draws:
        return
    curves = [measured_curve(found.heldout[name], found.discovery[name], statistic) for name in pair]
    for name, curve, contrast in zip(pair, curves, (curves[1], None), strict=True):
        estimates, of_difference = power_estimates(curve, contrast, settings, found.n_documents, rng)
        yield from ((name, estimate) for estimate in estimates)
        yield from (("-".join(pair), estimate) for estimate in of_difference)


def _statistic_estimates(
    found: _Conditions,
    pair: tuple[str, str],
    sign: Sign,
    statistic: Statistic,
    settings: RegimeSettings,
    rng: np.random.Generator,
) -> Iterator[tuple[str, str, Estimate]]:
    """The curves of one sign and statistic: each condition, then the pair compared."""
    n_documents, values, draws = found.n_documents, {}, {}
    fitted: dict[str, FittedCurve | None] = {}
    chosen = _chosen_top(found.discovery[pair[0]], sign, statistic, settings)
    for name, means in found.heldout.items():
        curve = means.curve(sign, statistic)
        curves = [draw.curve(sign, statistic) for draw in found.drawn[name]]
        fitted[name] = fitted_curve(curve, curves)
        mine = fitted[name]
        fit = None if mine is None else mine.fit
        values[name] = _curve_measures(curve, fit, len(curve.neuron), settings.cuts)
        values[name][SHARE] = means.influence_share(chosen, statistic)
        draws[name] = _drawn_curve_measures(mine, len(curve.neuron), curves, settings.cuts)
        for draw, resampled in zip(draws[name], found.drawn[name], strict=True):
            draw[SHARE] = resampled.influence_share(chosen, statistic)
        theirs = {(measure, AUTHORS): value for measure, value in piecewise(curve).items()}
        estimates = [
            *_with_intervals(values[name], draws[name], statistic, n_documents),
            *_with_intervals(theirs, [], statistic, n_documents),
            *_test_estimates(means, found.discovery[name], sign, statistic, settings, n_documents, rng),
            *_replication(means, found.discovery[name], sign, statistic, settings, n_documents),
            *_middle_estimates(mine, statistic, n_documents, rng),
        ]
        yield from ((name, sign, estimate) for estimate in estimates)
    yield from (
        (condition, sign, estimate)
        for condition, estimate in _tops(found, pair, fitted, sign, statistic, settings, rng)
    )
    compared = [
        *_differences([values[name] for name in pair], [draws[name] for name in pair], statistic, n_documents),
        *_overlaps(found, pair, _fitted_plateau(fitted[pair[0]]), sign, statistic, settings.tops),
    ]
    yield from (("-".join(pair), sign, estimate) for estimate in compared)


def _fitted_plateau(fitted: FittedCurve | None) -> int:
    return 0 if fitted is None else plateau_size(fitted.fit)


def _middle_estimates(
    fitted: FittedCurve | None, statistic: Statistic, n_documents: int, rng: np.random.Generator
) -> list[Estimate]:
    """Is the middle a power law, and how much steeper is the decay? Intervals over documents and neurons."""
    if fitted is None:
        return []
    places = fitted.found.cells
    middle = middle_cells(places, fitted.fit)
    drawn = with_other_neurons(fitted.drawn, fitted.exponents, places.count, rng)
    found = []
    for number, measured in ((DRIFT, exponent_drift), (DECAY, decay_steepness)):
        value = float(measured(places, fitted.exponents[None], middle)[0])
        draws = moved_to(value, measured(places, drawn, middle))
        p = bootstrap_p(draws) if number == DRIFT else float("nan")
        found.append(curve_estimate(statistic, number, value, n_documents, percentile_interval(draws), p))
    return found


def _tops(
    found: _Conditions,
    pair: tuple[str, str],
    fitted: Mapping[str, FittedCurve | None],
    sign: Sign,
    statistic: Statistic,
    settings: RegimeSettings,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Estimate]]:
    """The top of each reading on the pair's held-out rows and the difference; intervals over documents and neurons.

    Both conditions are described at one end, chosen on discovery documents of the condition that shows the more of
    such a top there: so it is neither condition's privilege to have its chance fluctuations chosen.
    """
    both, curves = "-".join(pair), [fitted[name] for name in pair]
    discovery = [found.discovery[name].curve(sign, statistic).ln_influence for name in pair]
    if any(curve is None for curve in curves) or min(map(len, discovery)) < LEAST_NEURONS:
        return
    choosing = [(each, each.cells.local_exponents(curve)) for curve in discovery for each in [candidates_for(curve)]]
    for reading in READINGS:
        tops = [choose_top(*each, reading, settings.cuts[0]) for each in choosing]
        top = max(tops, key=lambda each: each.gain)
        numbers = [_top_of(top, curve, rng) for curve in curves if curve is not None]
        for name, (value, draws) in zip(pair, numbers, strict=True):
            interval = percentile_interval(draws)
            yield name, curve_estimate(statistic, OF_READING[reading], value, found.n_documents, interval)
        gap, drawn = (first - second for first, second in zip(*numbers, strict=True))
        tested = percentile_interval(drawn), bootstrap_p(drawn)
        difference = curve_estimate(statistic, OF_READING[reading], gap, found.n_documents, *tested)
        yield both, replace(difference, quantity=DIFFERENCE)
        yield both, curve_estimate(statistic, ("plateau_end", reading), top.end, found.n_documents)


def _top_of(top: ChosenTop, curve: FittedCurve, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """A top's number in one curve, and its draws (B,) over documents and neurons."""
    base = curve.found.base
    place = place_of(top, base, curve.exponents)
    return drawn_top_values(base, curve.exponents, curve.drawn, place, rng)


def _noise(measured: MeanInfluence, rng: np.random.Generator) -> MeanInfluence:
    """Means that hold nothing but their standard errors; the mean abs effect has no such counterpart and is left."""
    drawn = measured.error * rng.standard_normal(len(measured.error))
    return MeanInfluence(drawn, measured.mean_abs, measured.error, measured.error_abs)


def _replication(
    heldout: MeanInfluence,
    discovery: MeanInfluence,
    sign: Sign,
    statistic: Statistic,
    settings: RegimeSettings,
    n_documents: int,
) -> list[Estimate]:
    """Overlap of one condition's tops on discovery and on held-out documents: what noise alone takes away."""
    found = top_overlap(discovery.curve(sign, statistic), heldout.curve(sign, statistic), settings.tops)
    return [
        curve_estimate(statistic, ("replication", top_part(size)), value, n_documents) for size, value in found.items()
    ]


def _overlaps(
    found: _Conditions,
    pair: tuple[str, str],
    n_plateau: int,
    sign: Sign,
    statistic: Statistic,
    tops: tuple[int, ...],
) -> list[Estimate]:
    """Overlap of two conditions; ``n_plateau`` is the size of the first one's fitted plateau."""

    def measured(first: MeanInfluence, second: MeanInfluence) -> dict[Number, float]:
        curves = first.curve(sign, statistic), second.curve(sign, statistic)
        influences = first.influence(statistic), second.influence(statistic)
        shared = top_overlap(*curves, tops)
        return {("overlap", top_part(size)): value for size, value in shared.items()} | {
            ("influence_agreement", ""): spearman(*influences),
            ("top_rank_fraction", ""): rank_fraction_elsewhere(curves[0].neuron[:n_plateau], influences[1]),
        }

    both = [found.heldout[name] for name in pair]
    values = measured(*both)
    draws = [measured(*drawn) for drawn in zip(*(found.drawn[name] for name in pair), strict=True)]
    n_neurons = len(both[0].mean)
    p_values = {top_part(k): overlap_p(values["overlap", top_part(k)], k, n_neurons) for k in tops}
    return [
        replace(each, p_value=p_values.get(each.part, float("nan")))
        for each in _with_intervals(values, draws, statistic, found.n_documents)
    ]
