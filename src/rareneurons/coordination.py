"""Do the neurons of a group act together? Dimension and similarity of activations and weights, against controls.

The similarities of all neurons are computed once; a control group is an index set into them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from rareneurons.stats import Alternative, against_controls, document_weights, percentile_interval
from rareneurons.tables import Estimate, last_checkpoints

SHARE_OF_VARIANCE = 0.95
SMALLEST_GROUP = 3
SUBSPACE = 3  # leading components whose subspaces are compared: as many as the smallest group has
ACTIVE = 1.0  # a neuron is active where it exceeds its mean by this many standard deviations
NULL_QUANTILE, NULL_DRAWS = 0.95, 200  # of parallel analysis
ROW_SHARES = (8, 4, 2)  # an eighth, a quarter, half of the rows
RESAMPLED_CONTROLS = 8  # controls that are bootstrapped together with the group
RANDOM = "random"  # the kind of controls of which one is the paper's "random neurons", and that group's name here
# Whom a group is compared with besides random neurons; neurons of the other sign have no neuron in common with it.
PARTNERS = {"plateau": "suppress_plateau", "fixed_plateau": "suppress_plateau", "suppress_plateau": "plateau"}

Controlled = Mapping[str, tuple[np.ndarray, Mapping[str, np.ndarray]]]


@dataclass(frozen=True)
class Measure:
    """Unit of a measure, and the tail that is extreme: what the claim says, either where it says nothing."""

    unit: str
    alternative: Alternative


MEASURES = {
    "effective_dimension": Measure("share of group size", "less"),
    "participation_ratio": Measure("share of group size", "less"),
    "parallel_components": Measure("components", "two-sided"),
    "mean_correlation": Measure("correlation", "greater"),
    "mean_abs_correlation": Measure("correlation", "greater"),
    "mean_cosine": Measure("cosine", "greater"),
    "coactivation": Measure("share of rows", "greater"),
}
BETWEEN = {
    "correlation": Measure("correlation", "two-sided"),
    "cosine": Measure("cosine", "two-sided"),
    "angle": Measure("degrees", "two-sided"),
}
ROW_MEASURES = ("effective_dimension", "participation_ratio", "mean_abs_correlation")
WEIGHT_MEASURES = ("effective_dimension", "participation_ratio", "mean_cosine")


@dataclass(frozen=True)
class Moments:
    """Weighted sums over rows of activations and of their activity, of one (n,) or more (..., n) sets of neurons.

    Attributes:
        n_rows: sum of the rows' weights.
        shift: (..., n) what was subtracted from the activations, so that their products keep their digits.
        total: (..., n) sums of the shifted activations.
        product: (..., n, n) sums of their products.
        active: (..., n) number of rows on which a neuron is active.
        together: (..., n, n) number of rows on which both are.
    """

    n_rows: float
    shift: np.ndarray
    total: np.ndarray
    product: np.ndarray
    active: np.ndarray
    together: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both sets of rows; the neurons and their shift must be the same."""
        return Moments(
            self.n_rows + other.n_rows,
            self.shift,
            self.total + other.total,
            self.product + other.product,
            self.active + other.active,
            self.together + other.together,
        )


@dataclass(frozen=True)
class Activity:
    """Activations of all neurons, float64 (..., T, n), less ``shift`` (..., n), and where they are active."""

    value: np.ndarray
    shift: np.ndarray
    active: np.ndarray

    def of(self, neurons: np.ndarray) -> "Activity":
        """Some neurons (n,), or a stack of as large groups (G, n)."""
        value, active = (np.moveaxis(array[:, neurons], 0, -2) for array in (self.value, self.active))
        return Activity(np.ascontiguousarray(value), self.shift[neurons], np.ascontiguousarray(active))

    def moments(self, rows: np.ndarray, weights: np.ndarray | None = None) -> Moments:
        """Moments of the rows with these indices, each counted ``weights`` times (once if not given)."""
        value, active = self.value[..., rows, :], self.active[..., rows, :]
        counted = np.ones(len(rows)) if weights is None else weights.astype(float)
        heavy, busy = value, active
        if weights is not None:
            heavy, busy = value * counted[:, None], active * counted[:, None].astype(active.dtype)
        return Moments(
            float(counted.sum()),
            self.shift,
            heavy.sum(-2),
            np.swapaxes(heavy, -1, -2) @ value,
            busy.sum(-2),
            np.swapaxes(busy, -1, -2) @ active,
        )


def activity(activation: np.ndarray) -> Activity:
    """Activations (T, N) and where each neuron exceeds its mean over all T rows by ``ACTIVE`` standard deviations."""
    value = activation.astype(np.float64)
    shift = value.mean(0)
    value -= shift
    # Counts stay exact in float32 below 2^24 rows, at half the cost.
    return Activity(value, shift, (value > ACTIVE * value.std(0)).astype(np.float32))


@dataclass(frozen=True)
class Similarities:
    """Of pairs of neurons, each (..., n, n): Pearson correlation, cosine of uncentred activations, and coactivation.

    ``coactivation``: share of rows on which both are active, less the product of the shares of either, which is what
    independent neurons have. Correlations of a constant neuron are NaN.
    """

    correlation: np.ndarray
    cosine: np.ndarray
    coactivation: np.ndarray

    def within(self, groups: np.ndarray) -> "Similarities":
        """Of the neurons of each group (G, n): (G, n, n)."""
        return self.between(groups, groups)

    def between(self, groups: np.ndarray, others: np.ndarray) -> "Similarities":
        """Of neurons of each group (G, n) with others (G or 1, p): (G, n, p)."""
        place = groups[:, :, None], others[:, None, :]
        return Similarities(self.correlation[place], self.cosine[place], self.coactivation[place])


def _scaled(product: np.ndarray) -> np.ndarray:
    """Products of pairs over the root of either's own; NaN where that is zero but for rounding."""
    own = np.diagonal(product, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse = np.where(own > 0, 1 / np.sqrt(own), np.nan)
    return product * inverse[..., :, None] * inverse[..., None, :]


def _outer(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left[..., :, None] * right[..., None, :]


def similarities(moments: Moments) -> Similarities:
    """Similarities of all pairs of neurons from their moments."""
    n, total = moments.n_rows, moments.total
    covariance = moments.product - _outer(total, total) / n
    # A constant neuron leaves rounding noise, not zero.
    diagonal = np.einsum("...ii->...i", covariance)
    square = n * np.square(moments.shift) + np.einsum("...ii->...i", moments.product)
    diagonal[diagonal <= 1e-12 * square] = 0
    shifted = _outer(total, moments.shift)
    second = moments.product + shifted + np.swapaxes(shifted, -1, -2) + n * _outer(moments.shift, moments.shift)
    share = moments.active / n
    return Similarities(_scaled(covariance), _scaled(second), moments.together / n - _outer(share, share))


def independent_quantiles(n_rows: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """The 95 % quantile, component by component, of the eigenvalues of correlations of independent normal columns.

    Parallel analysis (Horn 1965; quantile: Glorfeld 1995). The cross products of T normal rows are drawn as they are
    distributed, by Bartlett's decomposition, so the cost does not depend on T.

    Args:
        n_rows: T, more than n.
        n: columns.
        rng: draws the columns.

    Returns:
        (n,) falling.
    """
    lower = np.tril(rng.normal(size=(NULL_DRAWS, n, n)), -1)
    own = np.sqrt(rng.chisquare(n_rows - 1 - np.arange(n), size=(NULL_DRAWS, n)))
    factor = lower + own[:, :, None] * np.eye(n)
    eigenvalues = np.linalg.eigvalsh(_scaled(factor @ np.swapaxes(factor, -1, -2)))[:, ::-1]
    return np.quantile(eigenvalues, NULL_QUANTILE, axis=0)


def _pair_mean(matrix: np.ndarray) -> np.ndarray:
    """Mean off the diagonal of each (..., n, n)."""
    n = matrix.shape[-1]
    return (matrix.sum((-2, -1)) - np.trace(matrix, axis1=-2, axis2=-1)) / (n * (n - 1))


def dimensions(correlation: np.ndarray) -> dict[str, np.ndarray]:
    """Dimension of each group (G,) from its correlations (G, n, n); NaN where one is NaN.

    ``effective_dimension``: fewest principal components of the standardised activations that hold 95 % of their
    variance, as a share of n (paper section 4). ``participation_ratio``: ``(sum l)^2 / sum l^2 / n``.
    ``eigenvalues``: (G, n), falling.
    """
    n = correlation.shape[-1]
    known = np.isfinite(correlation).all((1, 2))
    eigenvalues = np.full(correlation.shape[:2], np.nan)
    eigenvalues[known] = np.clip(np.linalg.eigvalsh(correlation[known])[:, ::-1], 0, None)
    share = np.cumsum(eigenvalues, axis=1) / eigenvalues.sum(1, keepdims=True)
    needed = 1.0 + (share < SHARE_OF_VARIANCE - 1e-12).sum(1)
    return {
        "effective_dimension": np.where(known, needed / n, np.nan),
        "participation_ratio": eigenvalues.sum(1) ** 2 / np.square(eigenvalues).sum(1) / n,
        "eigenvalues": eigenvalues,
    }


def group_measures(similar: Similarities, quantiles: np.ndarray) -> dict[str, np.ndarray]:
    """The ``MEASURES`` of each group (G,), NaN where a neuron is constant.

    Args:
        similar: of each group's neurons, (G, n, n).
        quantiles: (n,) as :func:`independent_quantiles` returns them: ``parallel_components`` counts the leading
            eigenvalues above them, up to the first that is not.
    """
    found = dimensions(similar.correlation)
    eigenvalues = found.pop("eigenvalues")
    known = np.isfinite(eigenvalues).all(1)
    found["parallel_components"] = np.cumprod(eigenvalues > quantiles, axis=1).sum(1).astype(float)
    found["mean_correlation"] = _pair_mean(similar.correlation)
    found["mean_abs_correlation"] = _pair_mean(np.abs(similar.correlation))
    found["mean_cosine"] = _pair_mean(similar.cosine)
    found["coactivation"] = _pair_mean(similar.coactivation)
    return {name: np.where(known, value, np.nan) for name, value in found.items()}


def _leading(correlation: np.ndarray) -> np.ndarray:
    """Coefficients (..., n, SUBSPACE) that make orthonormal leading components of standardised activations."""
    values, vectors = np.linalg.eigh(correlation)
    return vectors[..., -SUBSPACE:] / np.sqrt(np.maximum(values[..., -SUBSPACE:], 1e-12))[..., None, :]


def subspace_angles(own: np.ndarray, cross: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean principal angle (Bjorck & Golub 1973) of the leading components of groups and of another, degrees (G,).

    The components are directions in the space of rows; their inner products follow from correlations alone.

    Args:
        own: (G, n, n) correlations of each group.
        cross: (G, n, p) of each group with the other.
        other: (p, p) of the other, or one a group (G, p, p).

    Returns:
        0 (one subspace) to 90 (at right angles); NaN where a correlation is NaN.
    """
    angles = np.full(len(own), np.nan)
    known = np.isfinite(own).all((1, 2)) & np.isfinite(cross).all((1, 2)) & np.isfinite(other).all((-2, -1))
    if known.any():
        far = _leading(np.broadcast_to(other, (len(own), *other.shape[-2:]))[known])
        cosines = np.linalg.svd(np.swapaxes(_leading(own[known]), -1, -2) @ cross[known] @ far, compute_uv=False)
        angles[known] = np.degrees(np.arccos(np.clip(cosines, 0, 1))).mean(1)
    return angles


def between_measures(
    similar: Similarities, groups: np.ndarray, partner: str, other: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean correlation and cosine of each group (G, n) with another (p,), and the angle of their subspaces.

    Pairs of a neuron with itself are left out. There is no angle to random neurons, since controls share some with
    them.
    """
    cross = similar.between(groups, other[None])
    different = groups[:, :, None] != other[None, None]
    count = different.sum((1, 2))
    found = {}
    for kind, matrix in (("correlation", cross.correlation), ("cosine", cross.cosine)):
        total = np.where(different, matrix, 0).sum((1, 2))
        found[f"{kind}_with_{partner}"] = total / np.where(count, count, np.nan)
    if partner != RANDOM:
        own, far = similar.within(groups).correlation, similar.within(other[None]).correlation[0]
        found[f"angle_to_{partner}"] = subspace_angles(own, cross.correlation, far)
    return found


def why_unknown(activation: np.ndarray, members: np.ndarray) -> str:
    """Why a group's coordination cannot be told from these activations (T, N); empty where it can."""
    n_rows, n = len(activation), len(members)
    if n < SMALLEST_GROUP:
        return f"{n} neurons, at least {SMALLEST_GROUP} are needed"
    if n_rows <= n:
        return f"{n_rows} rows for {n} neurons, more rows than neurons are needed"
    mine = activation[:, members]
    n_constant = int((mine.max(0) == mine.min(0)).sum())
    return f"{n_constant} of {n} neurons are constant on these rows" if n_constant else ""


def measure_of(name: str) -> Measure:
    """Unit and tail of a measure within a group or between groups."""
    return MEASURES[name] if name in MEASURES else BETWEEN[name.split("_")[0]]


def _held_against(
    values: Mapping[str, float],
    draws: Mapping[str, np.ndarray],
    nulls: Mapping[str, Mapping[str, np.ndarray]],
    n_rows: int,
) -> list[Estimate]:
    """``<measure>.<kind>`` and its ``.null_mean`` for every measure and kind of controls."""
    found = []
    for name, value in values.items():
        measure = measure_of(name)
        for kind, null in nulls.items():
            reason = "" if len(null[name]) else f"no {kind} controls: too few other neurons"
            estimate = Estimate(f"{name}.{kind}", value, measure.unit, n_rows, reason=reason)
            found += against_controls(estimate, draws.get(name, []), null[name], measure.alternative)
    return found


def _unknown(names: Sequence[str], kinds: Sequence[str], n: int, reason: str) -> list[Estimate]:
    return [
        Estimate(f"{name}.{kind}", float("nan"), measure_of(name).unit, n, reason=reason)
        for name in names
        for kind in kinds
    ]


def _differences(
    values: Mapping[str, float],
    draws: Mapping[str, np.ndarray],
    null: Mapping[str, np.ndarray],
    kind: str,
    n_rows: int,
) -> list[Estimate]:
    """``<measure>.<kind>.difference``: the group less the mean of its controls, the same documents drawn for both.

    Fewer distinct rows lower a dimension, in the group and in its controls, so that the difference has a fair interval
    and the group's own has not. The mean over all controls moves as the first few do (``draws`` (B, 1 + few), the group
    in front).
    """
    found = []
    for name, value in values.items():
        difference = value - float(np.nanmean(null[name])) if np.isfinite(null[name]).any() else float("nan")
        few = null[name][: draws[name].shape[1] - 1]
        moved = draws[name][:, 0] - value - (draws[name][:, 1:] - few).mean(1)
        low, high = percentile_interval(difference + moved)
        found.append(Estimate(f"{name}.{kind}.difference", difference, measure_of(name).unit, n_rows, low, high))
    return found


@dataclass(frozen=True)
class _Rows:
    """The held-out rows of a condition: what is computed once, for all groups."""

    activity: Activity
    similar: Similarities
    by_share: Mapping[int, Similarities]
    documents: np.ndarray  # (T,) 0, 1, ...
    weights: np.ndarray  # (B, documents) of the bootstrap draws
    rng: np.random.Generator

    @property
    def n(self) -> int:
        return len(self.documents)

    def resampled(self, groups: np.ndarray) -> Sequence[Similarities]:
        """Similarities of groups (G, n) in each draw."""
        mine = self.activity.of(groups)
        found = []
        for weights in self.weights:
            counted = weights[self.documents]
            drawn = np.flatnonzero(counted)
            found.append(similarities(mine.moments(drawn, counted[drawn])))
        return found


def _rows(activation: np.ndarray, document: np.ndarray, n_draws: int, rng: np.random.Generator) -> _Rows:
    """Similarities of all rows and of nested random parts of them, all from one pass over the rows."""
    active = activity(activation)
    n_rows = len(activation)
    order = rng.permutation(n_rows)
    edges = [*sorted({n_rows // share for share in ROW_SHARES} - {0}), n_rows]
    by_share, moments = {}, active.moments(order[: edges[0]])
    for first, last in pairwise(edges):
        by_share[first] = similarities(moments)
        moments += active.moments(order[first:last])
    _, documents = np.unique(document, return_inverse=True)
    weights = document_weights(int(documents.max()) + 1, n_draws, rng)
    return _Rows(active, similarities(moments), by_share, documents, weights, rng)


def _within_estimates(
    rows: _Rows, members: np.ndarray, controls: Mapping[str, np.ndarray], quantiles: np.ndarray
) -> list[Estimate]:
    values = {k: float(v[0]) for k, v in group_measures(rows.similar.within(members[None]), quantiles).items()}
    nulls = {kind: group_measures(rows.similar.within(drawn), quantiles) for kind, drawn in controls.items()}
    matched = controls.get("matched", np.empty((0, len(members)), dtype=int))
    together = np.vstack([members[None], matched[:RESAMPLED_CONTROLS]])
    by_draw = [group_measures(similar, quantiles) for similar in rows.resampled(together)]
    draws = {name: np.array([draw[name] for draw in by_draw]) for name in values}
    found = _held_against(values, {name: draw[:, 0] for name, draw in draws.items()}, nulls, rows.n)
    return found + (_differences(values, draws, nulls["matched"], "matched", rows.n) if len(matched) else [])


def _row_estimates(
    rows: _Rows, members: np.ndarray, controls: Mapping[str, np.ndarray], quantiles: np.ndarray
) -> list[Estimate]:
    """``<measure>.rows_<n>.<kind>`` on parts of the rows: without interval and p, they only show what rows do."""
    found = []
    for n_rows, similar in rows.by_share.items():
        names = {name: f"{name}.rows_{n_rows}" for name in ROW_MEASURES}
        if n_rows <= len(members):
            reason = f"{n_rows} rows for {len(members)} neurons, more rows than neurons are needed"
            found += [
                Estimate(f"{name}.{kind}", float("nan"), MEASURES[key].unit, n_rows, reason=reason)
                for key, name in names.items()
                for kind in controls
            ]
            continue
        value = group_measures(similar.within(members[None]), quantiles)
        for kind, drawn in controls.items():
            null = group_measures(similar.within(drawn), quantiles)
            for key, name in names.items():
                mine = Estimate(f"{name}.{kind}", float(value[key][0]), MEASURES[key].unit, n_rows)
                completed, null_mean = against_controls(mine, [], null[key], MEASURES[key].alternative)
                found += [replace(completed, p_value=float("nan")), null_mean]
    return found


def _between_estimates(
    rows: _Rows, members: np.ndarray, controls: Mapping[str, np.ndarray], partner: str, other: np.ndarray
) -> list[Estimate]:
    def measured(similar: Similarities, groups: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
        return between_measures(similar, groups, partner, others)

    values = {name: float(value[0]) for name, value in measured(rows.similar, members[None], other).items()}
    nulls = {kind: measured(rows.similar, drawn, other) for kind, drawn in controls.items()}
    here = np.arange(len(members) + len(other))
    both = np.concatenate([members, other])
    by_draw = [
        measured(similar, here[None, : len(members)], here[len(members) :]) for similar in rows.resampled(both)
    ]
    draws = {name: np.array([draw[name][0] for draw in by_draw]) for name in values}
    return _held_against(values, draws, nulls, rows.n)


def _between_names(partner: str) -> list[str]:
    names = [f"correlation_with_{partner}", f"cosine_with_{partner}"]
    return names if partner == RANDOM else [*names, f"angle_to_{partner}"]


def _partners(group: str, groups: Controlled) -> dict[str, tuple[np.ndarray, Mapping[str, np.ndarray]]]:
    """Groups that a group is compared with -> (their neurons, the controls that take the group's place).

    The first random control is the partner ``random``; the others take the group's place beside it.
    """
    _, controls = groups[group]
    found = {}
    if PARTNERS.get(group) in groups:
        found[PARTNERS[group]] = groups[PARTNERS[group]][0], controls
    if len(controls.get(RANDOM, [])):
        rest = {kind: drawn[1:] if kind == RANDOM else drawn for kind, drawn in controls.items()}
        found[RANDOM] = controls[RANDOM][0], rest
    return found


def activation_coordination(
    activation: np.ndarray, document: np.ndarray, groups: Controlled, n_draws: int, rng: np.random.Generator
) -> list[tuple[str, Estimate]]:
    """Coordination of groups on held-out activations, with document-bootstrap intervals and empirical p.

    Args:
        activation: (T, N) held-out activations of all last-MLP neurons.
        document: (T,) document id of each row.
        groups: name -> (neuron indices (n,), kind of controls -> neuron indices of each control group (m, n)).
        n_draws: bootstrap draws.
        rng: draws the documents, the order of rows and the null of parallel analysis.

    Returns:
        (group, estimate): ``<measure>.<kind>`` (``n`` rows), ``<measure>.<kind>.null_mean`` with the central 95 % of the
        controls, ``<measure>.matched.difference``, and ``<measure>.rows_<n>.<kind>`` on parts of the rows. NaN with a
        reason where a group is too small, rows are too few or a neuron is constant.
    """
    rows = _rows(activation, document, n_draws, rng)
    quantiles: dict[int, np.ndarray] = {}
    found = []
    for group, (members, controls) in groups.items():
        partners = _partners(group, groups)
        reason, n = why_unknown(activation, members), len(members)
        if reason:
            names = [*MEASURES, *(name for partner in partners for name in _between_names(partner))]
            found += [(group, estimate) for estimate in _unknown(names, list(controls), rows.n, reason)]
            continue
        if n not in quantiles:
            quantiles[n] = independent_quantiles(rows.n, n, rng)
        estimates = _within_estimates(rows, members, controls, quantiles[n])
        estimates += _row_estimates(rows, members, controls, quantiles[n])
        for partner, (other, beside) in partners.items():
            reason = why_unknown(activation, other)
            if reason:
                estimates += _unknown(_between_names(partner), list(controls), rows.n, f"{partner}: {reason}")
            else:
                estimates += _between_estimates(rows, members, beside, partner, other)
        found += [(group, estimate) for estimate in estimates]
    return found


def weight_coordination(output_weight: np.ndarray, groups: Controlled) -> list[tuple[str, Estimate]]:
    """Dimension and mean cosine of groups' output weights, the twin of the same measures of activations.

    Args:
        output_weight: (N, d) rows of the last MLP's output projection; the d entries stand where rows stood.
        groups: as :func:`activation_coordination` takes them.

    Returns:
        (group, estimate): ``weight_<measure>.<kind>`` and ``.null_mean``, no interval. ``n`` is d.
    """
    entries = output_weight.T
    similar = similarities(activity(entries).moments(np.arange(len(entries))))

    def measured(drawn: np.ndarray) -> dict[str, np.ndarray]:
        within = similar.within(drawn)
        return {**dimensions(within.correlation), "mean_cosine": _pair_mean(within.cosine)}

    found = []
    for group, (members, controls) in groups.items():
        reason = why_unknown(entries, members)
        if reason:
            estimates = _unknown(WEIGHT_MEASURES, list(controls), len(entries), reason.replace(" rows", " dimensions"))
        else:
            mine = measured(members[None])
            values = {name: float(mine[name][0]) for name in WEIGHT_MEASURES}
            nulls = {kind: measured(drawn) for kind, drawn in controls.items()}
            estimates = _held_against(values, {}, nulls, len(entries))
        found += [(group, replace(each, measure=f"weight_{each.measure}")) for each in estimates]
    return found


def paper_table(coordination: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 1: groups by measures at each model's last checkpoint.

    Args:
        coordination: the measure's table over models and checkpoints.

    Returns:
        One row a model, condition, group and measure: value and interval, and for either kind of controls their mean,
        the empirical p and its adjusted value.
    """
    table = last_checkpoints(coordination)
    keys = ["model", "checkpoint", "condition", "group", "measure"]
    parts = table["measure"].str.extract(r"^(?P<name>[a-z_]+)\.(?P<kind>random|matched)(?P<null>\.null_mean)?$")
    table = table.assign(measure=parts["name"], kind=parts["kind"])
    values, nulls = table[parts["null"].isna() & parts["name"].notna()], table[parts["null"].notna()]
    wide = values.drop_duplicates(keys)[[*keys, "value", "ci_low", "ci_high", "n", "unit", "reason"]]
    for kind in ("random", "matched"):
        mean = nulls[nulls["kind"] == kind][[*keys, "value"]].rename(columns={"value": f"{kind}_mean"})
        tests = values[values["kind"] == kind][[*keys, "p_value", "q_value"]]
        tests = tests.rename(columns={"p_value": f"{kind}_p", "q_value": f"{kind}_q"})
        wide = wide.merge(mean, on=keys, how="left").merge(tests, on=keys, how="left")
    return wide
