"""Every number of a checkpoint's rank-influence curves, with document-bootstrap intervals and tests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from rareneurons.conventions import NOISE
from rareneurons.influence.sums import InfluenceSums, clustered_mean
from rareneurons.regimes.curve import SIGNS, STATISTICS, RankCurve, Sign, Statistic, rank_curve
from rareneurons.regimes.fixed import fixed_cuts, piecewise
from rareneurons.regimes.local_exponent import (
    LEAST_NEURONS,
    PLATEAU_RANKS,
    CurveFit,
    candidates_for,
    describe_fits,
    fit_curve,
)
from rareneurons.regimes.overlap import overlap_measures, overlap_p, top_overlap
from rareneurons.regimes.plateau import (
    departure_test,
    head_overlap,
    in_a_wider_layer,
    no_plateau_band,
    plateau_rule,
    power,
)
from rareneurons.stats import bootstrap_p, document_weights, percentile_interval
from rareneurons.tables import Estimate, draws_frame

UNITS: Mapping[str, str] = {
    "n_neurons": "neurons",
    "auto.n_regimes": "regimes",
    "auto.bic_two": "deviance",
    "auto.bic_three": "deviance",
    "test.flat_head": "deviance",
    "test.steep_head": "deviance",
    "test.plateau": "1 yes, 0 no",
    "test.power": "share of planted plateaus found",
    "overlap.influence_agreement": "rank correlation",
    "overlap.head_rank_fraction": "rank fraction",
    "head.influence_share": "share of the layer's influence",
}
UNITS_BY_ENDING: Mapping[str, str] = {
    "plateau_end": "ln rank",
    "decay_start": "ln rank",
    "head_departure": "ln nats",
    "exponent": "exponent",
    "share": "share of neurons",
    "flatness": "ratio of exponents",
}


def unit_of(measure: str) -> str:
    """Unit of a measure, by its name without the statistic."""
    endings = (unit for ending, unit in UNITS_BY_ENDING.items() if measure.endswith(ending))
    return UNITS.get(measure) or next(endings, "share of the top")


@dataclass(frozen=True)
class RegimeSettings:
    """What the estimates depend on.

    ``cuts``: the fixed cuts, ln rank; ``bootstrap``: draws of documents; ``null_curves``: simulated curves without a
    plateau; ``alpha``, ``flatness``, ``overlap``: bounds of :func:`plateau_rule`; ``power_draws``: planted plateaus a
    curve's power is estimated from, 0 for no estimate; ``tops``: sizes compared between conditions; ``power_wanted``:
    where the power is below this share, it is also simulated for more documents and neurons, until it is reached.
    """

    cuts: tuple[float, float]
    bootstrap: int
    null_curves: int
    alpha: float
    flatness: float
    overlap: float
    power_draws: int
    tops: tuple[int, ...]
    power_wanted: float = 0.0


def head_size(fit: CurveFit | None) -> int:
    """Neurons of the fitted plateau, 0 where there is none."""
    return 0 if fit is None or not np.isfinite(fit.plateau_end) else round(float(np.exp(fit.plateau_end)))


def fit_measures(fit: CurveFit, n_neurons: int) -> dict[str, float]:
    """Numbers of an automatic fit, the regimes' shares of the neurons among them."""
    measures = {name: float(value) for name, value in asdict(fit).items()}
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


@dataclass(frozen=True)
class _Means:
    """Means (N,) of a condition and split, and their standard errors."""

    mean: np.ndarray
    mean_abs: np.ndarray
    error: np.ndarray
    error_abs: np.ndarray

    def curve(self, sign: Sign, statistic: Statistic) -> RankCurve:
        return rank_curve(self.mean, self.mean_abs, sign, statistic)

    def influence(self, statistic: Statistic) -> np.ndarray:
        return self.mean_abs if statistic == "mean_abs" else np.abs(self.mean)

    def influence_share(self, head: np.ndarray, statistic: Statistic) -> float:
        """How much of the influence of all neurons of the layer is that of the head (n,)."""
        influence = self.influence(statistic)
        return float(influence[head].sum() / influence.sum())

    def relative_error(self, curve: RankCurve, statistic: Statistic) -> np.ndarray:
        error = self.error_abs if statistic == "mean_abs" else self.error
        return error[curve.neuron] / self.influence(statistic)[curve.neuron]


def _means(sums: InfluenceSums) -> _Means:
    mean, error = clustered_mean(sums.signed, sums.n_rows)
    mean_abs, error_abs = clustered_mean(sums.absolute, sums.n_rows)
    return _Means(mean, mean_abs, error, error_abs)


def _drawn_means(sums: InfluenceSums, weights: np.ndarray) -> list[_Means]:
    """Means of each bootstrap draw; their errors are left empty."""
    total = (weights @ sums.n_rows)[:, None]
    none = np.empty(0)
    return [
        _Means(mean, mean_abs, none, none)
        for mean, mean_abs in zip(weights @ sums.signed / total, weights @ sums.absolute / total, strict=True)
    ]


def _curve_measures(
    curve: RankCurve, fit: CurveFit | None, n_fitted: int, cuts: tuple[float, float]
) -> dict[str, float]:
    measures = {"n_neurons": float(len(curve.neuron))}
    measures |= {f"fixed.{name}": value for name, value in fixed_cuts(curve, cuts).items()}
    if fit is not None:
        measures |= {f"auto.{name}": value for name, value in fit_measures(fit, n_fitted).items()}
    return measures


def _drawn_curve_measures(
    point: RankCurve, draws: list[RankCurve], cuts: tuple[float, float]
) -> list[dict[str, float]]:
    """Measures of bootstrapped curves; all are fitted with the candidates and weights of the curve they come from."""
    n_neurons = len(point.neuron)
    fits: list[CurveFit | None] = [None] * len(draws)
    if n_neurons >= LEAST_NEURONS:
        found = candidates_for(point.ln_influence)
        same_length = np.stack([at_rank_fractions(draw.ln_influence, n_neurons) for draw in draws])
        fits = list(describe_fits(found, found.cells.local_exponents(same_length)))
    return [_curve_measures(draw, fit, n_neurons, cuts) for draw, fit in zip(draws, fits, strict=True)]


def _test_estimates(
    heldout: _Means,
    discovery: _Means,
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
    overlap = head_overlap(chosen.neuron[: head_size(fit_curve(chosen.ln_influence))], curve.neuron)
    found = plateau_rule(test, overlap, settings.alpha, settings.flatness, settings.overlap)
    values = {
        "test.flat_head": (test.flat_gain, test.flat_p),
        "test.steep_head": (test.steep_gain, test.steep_p),
        "test.head_overlap_share": (overlap, float("nan")),
        "test.plateau": (float(found), test.flat_p),
    }
    return [
        Estimate(f"{statistic}.{name}", value, unit_of(name), n_documents, p_value=p)
        for name, (value, p) in values.items()
    ]


MORE = {"documents": (4, 16), "neurons": (2, 4, 8)}  # what power is simulated for, in this order, as multiples


def power_estimates(
    heldout: _Means, settings: RegimeSettings, n_documents: int, rng: np.random.Generator
) -> list[Estimate]:
    """Share of planted plateaus found in curves like the boost curve of the mean abs effect.

    The planted plateau ends at the first fixed cut, or at the largest share of the neurons a plateau may have.

    Returns:
        ``mean_abs.test.power`` and, while it is below ``power_wanted``, ``.documents_<times>`` (errors shrink with the
        root of their number) and ``.neurons_<times>`` (:func:`in_a_wider_layer`). Where more documents reach it,
        neurons are not tried. A curve too short to fit has no power (NaN), however many documents there are.
    """
    curve = heldout.curve("boost", "mean_abs")
    measured = curve.ln_influence, heldout.relative_error(curve, "mean_abs")
    draws = settings.power_draws, int(np.ceil(1 / settings.alpha)) - 1  # as few null curves as a p of alpha needs

    def of(name: str, ln_influence: np.ndarray, error: np.ndarray) -> Estimate:
        n_plateau = max(int(min(np.exp(settings.cuts[0]), PLATEAU_RANKS[1] * len(ln_influence))), 1)
        found = power(ln_influence, error, n_plateau, (settings.alpha, settings.flatness), draws, rng)
        return Estimate(f"mean_abs.{name}", found, unit_of("test.power"), n_documents)

    estimates = [of("test.power", *measured)]
    for kind, multiples in MORE.items():
        for times in multiples:
            if not estimates[-1].value < settings.power_wanted:
                return estimates
            ln_influence, error = measured
            if kind == "documents":
                error = error / np.sqrt(times)
            else:
                ln_influence, error = in_a_wider_layer(ln_influence, error, times)
            estimates.append(of(f"test.power.{kind}_{times}", ln_influence, error))
    return estimates


SHARE = "head.influence_share"
TRENDING = (
    SHARE,
    "fixed.power_law_exponent",
    "fixed.head_departure",
    "auto.power_law_exponent",
    "auto.flatness",
    "auto.head_departure",
    "auto.plateau_end",
)


def trending_draws(
    sums: Mapping[str, InfluenceSums], pair: tuple[str, str], settings: RegimeSettings, rng: np.random.Generator
) -> pd.DataFrame:
    """Bootstrap draws of what trends over training are about: held-out boost curves of the mean abs effect.

    Args:
        sums: ``<condition>/<split>`` -> sums by block of documents.
        pair: two conditions.
        settings: cuts and number of draws.
        rng: draws the documents; give every checkpoint a generator in the same state, so that a draw means the same
            documents at all of them.

    Returns:
        As :func:`draws_frame` makes it; condition ``<first>-<second>`` is their difference.
    """
    weights = document_weights(len(sums[f"{pair[0]}/heldout"].n_rows), settings.bootstrap, rng)
    head = _chosen_head(_means(sums[f"{pair[0]}/discovery"]), "boost", "mean_abs", settings)
    values: dict[tuple[str, str], np.ndarray] = {}
    for name in pair:
        drawn = _drawn_means(sums[f"{name}/heldout"], weights)
        curves = [means.curve("boost", "mean_abs") for means in drawn]
        draws = _drawn_curve_measures(_means(sums[f"{name}/heldout"]).curve("boost", "mean_abs"), curves, settings.cuts)
        draws = [
            draw | {SHARE: means.influence_share(head, "mean_abs")} for draw, means in zip(draws, drawn, strict=True)
        ]
        for measure in TRENDING:
            values[name, measure] = np.array([draw.get(measure, np.nan) for draw in draws])
    for measure in TRENDING:
        values["-".join(pair), measure] = values[pair[0], measure] - values[pair[1], measure]
    return draws_frame(
        (condition, "boost", f"mean_abs.{measure}", drawn) for (condition, measure), drawn in values.items()
    )


def _chosen_head(discovery: _Means, sign: Sign, statistic: Statistic, settings: RegimeSettings) -> np.ndarray:
    """The first neurons, up to the first fixed cut, of the discovery curve."""
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
        means = _means(sums[f"{name}/heldout"])
        for sign in SIGNS:
            curve = means.curve(sign, "mean_abs")
            band = no_plateau_band(curve.ln_influence, means.relative_error(curve, "mean_abs"), n_curves, rng)
            if band is not None:
                columns = dict(zip(numbers, band, strict=True))
                parts.append(pd.DataFrame({"condition": name, "group": sign, **columns}))
    nothing = pd.DataFrame(columns=["condition", "group", *numbers]).astype(dict.fromkeys(numbers, float))
    return pd.concat(parts, ignore_index=True) if parts else nothing


def _with_intervals(
    values: Mapping[str, float], draws: list[dict[str, float]], prefix: str, n_documents: int
) -> list[Estimate]:
    estimates = []
    for name, value in values.items():
        low, high = percentile_interval(np.asarray([draw.get(name, np.nan) for draw in draws]))
        estimates.append(Estimate(f"{prefix}.{name}", value, unit_of(name), n_documents, low, high))
    return estimates


def _differences(
    values: list[Mapping[str, float]], draws: list[list[dict[str, float]]], prefix: str, n_documents: int
) -> list[Estimate]:
    """First minus second condition, the same documents drawn for both; p from the draws on either side of zero."""
    estimates = []
    for name in values[0].keys() & values[1].keys():
        if name in ("auto.bic_two", "auto.bic_three", "auto.n_regimes"):
            continue  # they order the candidates of one curve
        differences = np.asarray([a.get(name, np.nan) - b.get(name, np.nan) for a, b in zip(*draws, strict=True)])
        low, high = percentile_interval(differences)
        estimates.append(
            Estimate(
                f"{prefix}.{name}",
                values[0][name] - values[1][name],
                unit_of(name),
                n_documents,
                low,
                high,
                bootstrap_p(differences),
            )
        )
    return sorted(estimates, key=lambda estimate: estimate.measure)


def regime_estimates(
    sums: Mapping[str, InfluenceSums],
    pair: tuple[str, str],
    settings: RegimeSettings,
    rng: np.random.Generator,
    signs: Sequence[Sign] = SIGNS,
    statistics: Sequence[Statistic] = STATISTICS,
) -> Iterator[tuple[str, str, Estimate]]:
    """(condition, sign, estimate) of every condition, sign and statistic, on held-out documents.

    Measures are named ``<statistic>.<way>.<number>``: ``fixed`` and ``authors`` (the authors' cuts and their piecewise
    form), ``auto`` (the fit that chooses among candidates), ``test`` (the plateau test), ``overlap`` (with the other
    condition of ``pair``), ``head`` (neurons before the first fixed cut on the first condition's discovery rows).
    Beside the conditions of ``sums`` stand ``<first>-<second>``, their difference and overlap, and ``noise``: neurons
    whose true effects are all zero, with the standard errors of the first condition.

    Args:
        sums: ``<condition>/<split>`` -> sums by block of documents; blocks are the same for all conditions of a split.
        pair: the condition the claims are about, and the one it is held against.
        settings: bounds and numbers of draws.
        rng: draws documents and null curves.
        signs: whose curves.
        statistics: of which influence.
    """
    conditions = dict.fromkeys(name.split("/")[0] for name in sums)
    heldout = {name: sums[f"{name}/heldout"] for name in conditions}
    n_documents = len(next(iter(heldout.values())).n_rows)
    weights = document_weights(n_documents, settings.bootstrap, rng)
    means = {name: _means(found) for name, found in heldout.items()}
    discovery = {name: _means(sums[f"{name}/discovery"]) for name in conditions}
    drawn = {name: _drawn_means(found, weights) for name, found in heldout.items()}
    for sign in signs:
        for statistic in statistics:
            values, draws, heads = {}, {}, {}
            chosen = _chosen_head(discovery[pair[0]], sign, statistic, settings)
            for name in conditions:
                curve = means[name].curve(sign, statistic)
                fit = fit_curve(curve.ln_influence)
                values[name] = _curve_measures(curve, fit, len(curve.neuron), settings.cuts)
                heads[name] = head_size(fit)
                curves = [draw.curve(sign, statistic) for draw in drawn[name]]
                draws[name] = _drawn_curve_measures(curve, curves, settings.cuts)
                values[name][SHARE] = means[name].influence_share(chosen, statistic)
                for draw, resampled in zip(draws[name], drawn[name], strict=True):
                    draw[SHARE] = resampled.influence_share(chosen, statistic)
                theirs = {f"authors.{key}": value for key, value in piecewise(curve).items()}
                found = [
                    *_with_intervals(values[name], draws[name], statistic, n_documents),
                    *_with_intervals(theirs, [], statistic, n_documents),
                    *_test_estimates(means[name], discovery[name], sign, statistic, settings, n_documents, rng),
                    *_replication(means[name], discovery[name], sign, statistic, settings, n_documents),
                ]
                yield from ((name, sign, estimate) for estimate in found)
            both = "-".join(pair)
            compared = [
                *_differences([values[p] for p in pair], [draws[p] for p in pair], statistic, n_documents),
                *_overlaps(
                    [means[p] for p in pair],
                    [drawn[p] for p in pair],
                    heads[pair[0]],
                    sign,
                    statistic,
                    settings.tops,
                    n_documents,
                ),
            ]
            yield from ((both, sign, estimate) for estimate in compared)
        if sign == "boost" and settings.power_draws:
            for name in pair:
                estimates = power_estimates(means[name], settings, n_documents, rng)
                yield from ((name, sign, estimate) for estimate in estimates)
        noise = _noise(means[pair[0]], rng), _noise(discovery[pair[0]], rng)
        yield from (
            (NOISE, sign, estimate)
            for estimate in _test_estimates(*noise, sign, "abs_mean", settings, n_documents, rng)
        )


def _noise(measured: _Means, rng: np.random.Generator) -> _Means:
    """Means that hold nothing but their standard errors; the mean abs effect has no such counterpart and is left."""
    drawn = measured.error * rng.standard_normal(len(measured.error))
    return _Means(drawn, measured.mean_abs, measured.error, measured.error_abs)


def _replication(
    heldout: _Means, discovery: _Means, sign: Sign, statistic: Statistic, settings: RegimeSettings, n_documents: int
) -> list[Estimate]:
    """Overlap of the tops of one condition on discovery and on held-out documents: what noise alone takes away."""
    found = top_overlap(discovery.curve(sign, statistic), heldout.curve(sign, statistic), settings.tops)
    return [
        Estimate(f"{statistic}.replication.{name}", value, unit_of(name), n_documents) for name, value in found.items()
    ]


def _overlaps(
    means: list[_Means],
    drawn: list[list[_Means]],
    head: int,
    sign: Sign,
    statistic: Statistic,
    tops: tuple[int, ...],
    n_documents: int,
) -> list[Estimate]:
    """Overlap of two conditions; ``head`` is the size of the first one's head."""

    def measured(first: _Means, second: _Means) -> dict[str, float]:
        curves = first.curve(sign, statistic), second.curve(sign, statistic)
        influences = first.influence(statistic), second.influence(statistic)
        found = overlap_measures(curves, influences, tops, head)
        return {f"overlap.{name}": value for name, value in found.items()}

    values = measured(*means)
    draws = [measured(*both) for both in zip(*drawn, strict=True)]
    p_values = {
        f"{statistic}.overlap.top_{k}": overlap_p(values[f"overlap.top_{k}"], k, len(means[0].mean)) for k in tops
    }
    return [
        replace(found, p_value=p_values.get(found.measure, float("nan")))
        for found in _with_intervals(values, draws, statistic, n_documents)
    ]
