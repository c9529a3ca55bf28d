"""Named sets of last-MLP neurons: regimes of the discovery curve, top and selective neurons, and their controls.

Controls of a group are drawn at random, matched with its neurons, or chosen by the group's own rule after the labels of
the two conditions were exchanged within documents (``influence.label_shuffles``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
import pandas as pd

from rareneurons.conventions import MEASURED, SELECTIVE, TOP, TOP_SIZE, WITHOUT_TYPES
from rareneurons.influence.label_shuffles import LabelShuffles, excess_of_draws
from rareneurons.influence.sums import InfluenceSums
from rareneurons.matching import resembling_groups
from rareneurons.regimes.curve import SIGNS, RankCurve, Sign, rank_curve
from rareneurons.regimes.local_exponent import fit_curve
from rareneurons.regimes.plateau import plateau_size
from rareneurons.tables import FINAL_PREFIX, CheckpointName, Estimate, measure_frame

Value = TypeVar("Value")
ControlKind = Literal["random", "matched", "shuffled"]
CONTROL_KINDS: tuple[ControlKind, ...] = ("random", "matched", "shuffled")
MATCH_QUALITY = "standardised_difference"
PERMUTED = "permuted"  # begins the names of the groups behind the p of matched ones
CHOSEN_FOR = ("matched", PERMUTED, "shuffled")  # kinds of control groups that are drawn for one group
REGIMES = ("plateau", "power_law", "decay")
CONTROLLED = (*MEASURED, *WITHOUT_TYPES.values())  # groups that get controls
FIXED_PREFIX = "fixed_"
TOP_GROUPS = ("plateau", TOP, SELECTIVE)  # those whose neurons claims are about
SMALLEST_GROUP = 3


@dataclass(frozen=True)
class ControlledGroup:
    """A group of neurons with its control groups.

    ``members`` (n,): its neuron indices; ``controls``: kind -> neuron indices of each control group, (m, n). A group
    that is too small to be measured has no controls: (0, n). ``redrawn``: neuron indices of the group that would have
    been chosen in each bootstrap draw of discovery documents; empty where no documents were drawn. ``permuted``: groups
    (m, n) that are drawn like the matched ones, but from the group's own neurons too. If the group was chosen
    only for the matched quantities, it is one of these draws; p-values against matched groups come from them.
    """

    members: np.ndarray
    controls: Mapping[str, np.ndarray]
    redrawn: Sequence[np.ndarray] = ()
    permuted: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))

    @property
    def share_permuted(self) -> float:
        """Mean share of a permuted group's neurons that are the group's; NaN without permuted groups."""
        return float(np.isin(self.permuted, self.members).mean()) if self.permuted.size else float("nan")


ControlledGroups = Mapping[str, ControlledGroup]


def why_no_controls(kind: str) -> str:
    """Why a group has no controls of a kind."""
    return f"no {kind} controls" + ": too few other neurons" * (kind != "shuffled")


def group_name(sign: Sign, regime: str) -> str:
    """``plateau`` for boost neurons, ``suppress_plateau`` for suppressing neurons, and so on."""
    return regime if sign == "boost" else f"{sign}_{regime}"


def automatic_cuts(curve: RankCurve) -> tuple[float, float] | None:
    """Ln ranks that end the fitted plateau and power law; None where no fitted curve has a plateau.

    If no decay is detected, its start is set to infinity. The boundaries are those of the best curve with three
    regimes, whether or not the test finds a plateau (``regimes.plateau``).
    """
    fit = fit_curve(curve.ln_influence)
    if fit is None or plateau_size(fit) == 0:
        return None
    return float(np.log(plateau_size(fit) + 0.5)), fit.decay_start if np.isfinite(fit.decay_start) else np.inf


def regime_groups(mean: np.ndarray, mean_abs: np.ndarray, fixed_cuts: tuple[float, float]) -> dict[str, np.ndarray]:
    """Neurons of each regime of each sign, by automatic boundaries and (``fixed_...``) by fixed cuts, and the top ones.

    ``TOP``, the first ``TOP_SIZE`` boost neurons, takes the place of their ``fixed_plateau``. Regimes without neurons
    are left out, as are the automatic ones of a sign whose curve has no fitted plateau.

    Args:
        mean: (N,) mean dL on discovery rows, nats.
        mean_abs: (N,) mean abs dL on discovery rows, nats.
        fixed_cuts: ln ranks that end the plateau and the power law.

    Returns:
        Group name -> neuron indices (n,), from the most influential down.
    """
    groups: dict[str, np.ndarray] = {}
    curves = {sign: rank_curve(mean, mean_abs, sign) for sign in SIGNS}
    for sign, curve in curves.items():
        for prefix, cuts in (("", automatic_cuts(curve)), (FIXED_PREFIX, fixed_cuts)):
            if cuts is not None:
                regime = np.searchsorted(cuts, curve.ln_rank, side="right")
                named = {prefix + group_name(sign, name): curve.neuron[regime == k] for k, name in enumerate(REGIMES)}
                groups |= {name: members for name, members in named.items() if len(members)}
    groups.pop(FIXED_PREFIX + "plateau", None)
    top = curves["boost"].neuron[:TOP_SIZE]
    return groups | ({TOP: top} if len(top) else {})


def selective_neurons(excess: np.ndarray) -> np.ndarray:
    """The ``TOP_SIZE`` neurons (or all, if fewer) with the largest excess (N,), from the largest down.

    Neurons whose excess is not positive are never among them.
    """
    return by_falling_excess(excess)[:TOP_SIZE]


def by_falling_excess(excess: np.ndarray) -> np.ndarray:
    """Neurons with a positive excess (N,), from the largest down."""
    order = np.argsort(-excess, kind="stable")
    return order[excess[order] > 0]


def order_of_choice(group: str, mean: np.ndarray, mean_abs: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """Neurons in the order in which a measured group takes them, from mean and mean abs dL and the excess, each (N,).

    The selective group takes them by falling excess, every other one by falling mean abs dL of its sign.
    """
    if group in (SELECTIVE, WITHOUT_TYPES[SELECTIVE]):
        return by_falling_excess(excess)
    return rank_curve(mean, mean_abs, "suppress" if group.startswith("suppress_") else "boost").neuron


FEATURE_NAMES = ("activation_mean", "ln_activation_variance", "ln_output_norm", "ln_output_scale")


@dataclass(frozen=True)
class NeuronFeatures:
    """What controls are matched on, each (N,): activation mean and variance on discovery rows, output weights' norm.

    :meth:`standardised` takes logarithms of variance and norm, adds that of the product of standard deviation and norm
    (what a neuron typically adds to the residual stream), and gives every column unit variance over the layer.
    """

    activation_mean: np.ndarray
    activation_variance: np.ndarray
    output_norm: np.ndarray

    def standardised(self) -> np.ndarray:
        """Float64 (N, 4), in the order of ``FEATURE_NAMES``; a column that does not vary is zero."""
        ln_variance = np.log(np.maximum(self.activation_variance, 1e-30))
        ln_norm = np.log(np.maximum(self.output_norm, 1e-30))
        columns = np.column_stack([self.activation_mean, ln_variance, ln_norm, ln_variance / 2 + ln_norm])
        columns = columns.astype(np.float64)
        spread = columns.std(0)
        return (columns - columns.mean(0)) / np.where(spread > 0, spread, 1)


def neuron_features(activation: np.ndarray, output_weight: np.ndarray) -> NeuronFeatures:
    """Features from discovery activations (T, N) and output weights (N, d)."""
    values = activation.astype(np.float64)
    return NeuronFeatures(values.mean(0), values.var(0), np.linalg.norm(output_weight.astype(np.float64), axis=1))


def random_controls(candidates: np.ndarray, size: int, n_controls: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Random groups of ``size`` neurons (or all candidates, if fewer), without repeats within a group."""
    size = min(size, len(candidates))
    return [rng.choice(candidates, size=size, replace=False) for _ in range(n_controls)]


def shuffled_controls(
    groups: Mapping[str, np.ndarray], shuffles: LabelShuffles, left_out: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The groups chosen with shuffled labels by each measured group's own rule, as many neurons as it has.

    They may hold neurons of the group itself: those matter under any labels.

    Args:
        groups: name -> neurons; the measured ones are those in ``MEASURED`` and ``WITHOUT_TYPES``.
        shuffles: influence under shuffled labels.
        left_out: neurons that may not be chosen.

    Returns:
        ``shuffled_<group>_0000`` ... -> neuron indices, fewer where a labelling leaves fewer neurons of the sign.
    """
    given = shuffles.exchanged
    drawn = list(zip(given.mean, given.mean_abs, given.excess, strict=True))
    return {
        f"shuffled_{name}_{k:04d}": _without(order_of_choice(name, *under), left_out)[: len(groups[name])]
        for name in CONTROLLED
        if name in groups
        for k, under in enumerate(drawn)
    }


def _without(neurons: np.ndarray, left_out: np.ndarray | None) -> np.ndarray:
    """Neurons in their order, less those left out."""
    return neurons if left_out is None else neurons[~np.isin(neurons, left_out)]


def controls_of(
    groups: Mapping[str, np.ndarray], features: NeuronFeatures, n_controls: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Random, matched and permuted groups for the measured groups.

    Random and matched ones hold no neuron of any measured group, but for one case: those matched with the selective
    neurons may hold top neurons that are not selective.

    Args:
        groups: name -> neurons.
        features: of all neurons of the layer.
        n_controls: number of control groups of each kind.
        rng: draws the neurons.

    Returns:
        ``random_0000`` ... (as large as the largest measured group, in random order, so that the first k are a
        random group of k), ``matched_<group>_0000`` ... and, with neurons of the group itself,
        ``permuted_<group>_0000`` ... -> neuron indices.
    """
    measured = {name: groups[name] for name in MEASURED if name in groups}
    if not measured:
        return {}
    layer, standardised = np.arange(len(features.output_norm)), features.standardised()
    candidates = np.setdiff1d(layer, np.concatenate(list(measured.values())))
    largest = max(map(len, measured.values()))
    controls = {
        f"random_{k:04d}": control for k, control in enumerate(random_controls(candidates, largest, n_controls, rng))
    }
    return controls | _matched_controls(list(measured), measured, layer, standardised, n_controls, rng)


def _matched_controls(
    names: Sequence[str],
    measured: Mapping[str, np.ndarray],
    layer: np.ndarray,
    standardised: np.ndarray,
    n_controls: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Matched and permuted groups of each measured group named, drawn from the neurons ``layer``.

    They hold no neuron of any ``measured`` group, but for one case: see :func:`controls_of`.
    """
    controls: dict[str, np.ndarray] = {}
    selective, top = (SELECTIVE, WITHOUT_TYPES[SELECTIVE]), ("plateau", TOP, WITHOUT_TYPES[TOP])
    for name in names:
        members = measured[name]
        # Influential neurons without a preference are what selective ones are to be compared with.
        excluded = [own for other, own in measured.items() if name not in selective or other not in top]
        peers = np.setdiff1d(layer, np.concatenate(excluded))
        for kind, drawn in _resembling(members, peers, standardised, n_controls, rng).items():
            controls |= {f"{kind}_{name}_{k:04d}": control for k, control in enumerate(drawn)}
    return controls


def without_types(
    influence: tuple[np.ndarray, np.ndarray],
    shuffles: LabelShuffles,
    of_types: np.ndarray,
    groups: Mapping[str, np.ndarray],
    controls: Mapping[str, np.ndarray],
    features: NeuronFeatures,
    n_controls: int,
    rng: np.random.Generator,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The top and the selective group chosen among neurons of no known type, and their controls.

    The next neurons in the order of choice take the places of those left out, so that sizes stay equal. Controls of the
    kinds ``matched`` (with ``permuted``) and ``shuffled`` are drawn by the same rules, likewise among neurons of no
    known type. A layer without neurons of these types has the same groups and the same controls.

    Args:
        influence: mean and mean abs dL on discovery rows, (N,) each, nats.
        shuffles: the neurons' excess, and their influence under shuffled labels.
        of_types: the neurons that are left out.
        groups: the groups of all neurons.
        controls: their controls.
        features: of all neurons of the layer.
        n_controls: number of control groups of each kind.
        rng: draws the controls.

    Returns:
        Groups and controls, name -> neurons; the names are those of ``WITHOUT_TYPES``.
    """
    if not len(of_types):
        return _renamed(groups, controls)
    found = {
        new: chosen[:TOP_SIZE]
        for base, new in WITHOUT_TYPES.items()
        if len(chosen := _without(order_of_choice(base, *influence, shuffles.own_excess), of_types))
    }
    measured = {name: groups[name] for name in ("plateau", "suppress_plateau") if name in groups} | found
    layer = np.setdiff1d(np.arange(len(features.output_norm)), of_types)
    drawn = _matched_controls(list(found), measured, layer, features.standardised(), n_controls, rng)
    return found, drawn | shuffled_controls(found, shuffles, of_types)


def _renamed(
    groups: Mapping[str, np.ndarray], controls: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The top and the selective group and their controls under the names that they have without known types."""
    of_kinds = {f"{kind}_{base}": f"{kind}_{new}" for kind in CHOSEN_FOR for base, new in WITHOUT_TYPES.items()}
    found = {new: groups[base] for base, new in WITHOUT_TYPES.items() if base in groups}
    drawn = {}
    for key, control in controls.items():
        kind, _, number = key.rpartition("_")
        if kind in of_kinds:
            drawn[f"{of_kinds[kind]}_{number}"] = control
    return found, drawn


def _resembling(
    members: np.ndarray, peers: np.ndarray, standardised: np.ndarray, n_controls: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Matched and permuted groups (m, n) of members (n,), from other neurons ``peers``; none if these are too few."""
    if len(peers) < len(members):
        return {}
    pools = {"matched": peers, PERMUTED: np.union1d(peers, members)}
    return {
        kind: in_place_of(members, resembling_groups(members, pool, standardised, n_controls, rng), standardised)
        for kind, pool in pools.items()
    }


def named_groups(
    groups: Mapping[str, np.ndarray], features: NeuronFeatures, n_controls: int, rng: np.random.Generator
) -> dict[str, ControlledGroup]:
    """Sets of neurons that a user has named, each with random and matched controls.

    No rule chose them, so there are no groups chosen with shuffled labels. The controls of a set hold none of its
    neurons. A set of fewer than ``SMALLEST_GROUP`` neurons has none.

    Args:
        groups: name -> neurons (n,), distinct.
        features: of all neurons of the layer.
        n_controls: number of control groups of each kind.
        rng: draws the neurons.
    """
    layer, standardised = np.arange(len(features.output_norm)), features.standardised()
    found = {}
    for name, members in groups.items():
        peers = np.setdiff1d(layer, members)
        many = n_controls if SMALLEST_GROUP <= len(members) <= len(peers) else 0
        drawn = _resembling(members, peers, standardised, many, rng) if many else {}
        drawn["random"] = np.array(random_controls(peers, len(members), many, rng), dtype=np.int64)
        empty = np.empty((0, len(members)), dtype=np.int64)
        controls = {kind: drawn.get(kind, empty).reshape(-1, len(members)) for kind in ("random", "matched")}
        found[name] = ControlledGroup(members, controls, permuted=drawn.get(PERMUTED, empty))
    return found


def in_place_of(members: np.ndarray, drawn: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Control groups (m, n) in the order of the members (n,): the k-th loudest takes the k-th loudest member's place.

    ``features`` (N, F): standardised; the last one is the scale of what a neuron adds to the residual stream.
    """
    scale = features[:, -1]
    ordered = np.empty_like(drawn)
    by_scale = np.take_along_axis(drawn, np.argsort(-scale[drawn], axis=1, kind="stable"), axis=1)
    ordered[:, np.argsort(-scale[members], kind="stable")] = by_scale
    return ordered


def group_frame(groups: Mapping[str, np.ndarray], layer: int, condition: str) -> pd.DataFrame:
    """Long table ``condition, group, layer, neuron, rank``; rank 1 is a group's first neuron."""
    sizes = [len(members) for members in groups.values()]
    return pd.DataFrame(
        {
            "condition": condition,
            "group": np.repeat(np.asarray(list(groups), dtype=object), sizes),
            "layer": layer,
            "neuron": np.concatenate([np.empty(0, dtype=np.int64), *groups.values()]),
            "rank": np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(1, size + 1) for size in sizes)]),
        }
    )


def members_by_group(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Group name -> neuron indices, in the table's order."""
    return {str(name): part.to_numpy() for name, part in frame.groupby("group", sort=False)["neuron"]}


def members_of(frame: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Neurons of any of the named groups, ascending, int64 (n,); a group that the table lacks has none."""
    return np.unique(frame.loc[frame["group"].isin(names), "neuron"].to_numpy(dtype=np.int64))


def controlled_groups(
    groups: pd.DataFrame, controls: pd.DataFrame, names: Sequence[str] = MEASURED
) -> dict[str, ControlledGroup]:
    """The measured groups of a checkpoint, each with its controls.

    Args:
        groups: the regimes, as :func:`group_frame` returns them.
        controls: their controls, likewise.
        names: of the groups that are wanted.

    Returns:
        Name of each such group that the table has -> the group. Groups of fewer than ``SMALLEST_GROUP`` neurons have no
        controls, and control groups that are smaller than the group are left out. Groups without known types have no
        random controls.
    """
    members, drawn = members_by_group(groups), members_by_group(controls)
    by_prefix: dict[str, list[np.ndarray]] = {}
    for key, control in drawn.items():
        by_prefix.setdefault(key.rpartition("_")[0], []).append(control)
    found = {}
    for name in [name for name in names if name in members]:
        size = len(members[name])
        by_kind: dict[str, np.ndarray] = {}
        for kind in CHOSEN_FOR if name in WITHOUT_TYPES.values() else (*CONTROL_KINDS, PERMUTED):
            those = by_prefix.get("random" if kind == "random" else f"{kind}_{name}", [])
            mine = [control[:size] for control in those if len(control) >= size]
            by_kind[kind] = np.array(mine if size >= SMALLEST_GROUP else [], dtype=np.int64).reshape(-1, size)
        permuted = by_kind.pop(PERMUTED)
        found[name] = ControlledGroup(members[name], by_kind, permuted=permuted)
    return found


def tracked_backwards(groups: Mapping[str, Value]) -> dict[str, Value]:
    """The top groups of the last checkpoint under the names they have at all others: ``final_plateau``, ..."""
    return {f"{FINAL_PREFIX}{name}": value for name, value in groups.items() if name in TOP_GROUPS}


def redrawn_groups(
    members: Mapping[str, np.ndarray], discovery: tuple[InfluenceSums, InfluenceSums], weights: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """The neurons that a measured group would contain if other discovery documents had been drawn.

    A draw's group is chosen by the group's own rule and has its size. It is shorter only where the draw leaves fewer
    neurons of the sign.

    Args:
        members: name of each measured group -> its neurons.
        discovery: effects on discovery rows of both conditions, by the same blocks of documents.
        weights: (B, blocks) how often each block occurs in each draw.

    Returns:
        Name -> neuron indices of each draw's group.
    """
    rows = (weights @ discovery[0].n_rows)[:, None]
    means = weights @ discovery[0].signed / rows, weights @ discovery[0].absolute / rows
    drawn = list(zip(*means, excess_of_draws(*discovery, weights), strict=True))
    return {name: [order_of_choice(name, *draw)[: len(group)] for draw in drawn] for name, group in members.items()}


def with_redrawn(
    groups: ControlledGroups, discovery: tuple[InfluenceSums, InfluenceSums], weights: np.ndarray
) -> dict[str, ControlledGroup]:
    """The groups with ``redrawn`` filled in as :func:`redrawn_groups` does, from the sums that they were chosen on."""
    drawn = redrawn_groups({name: group.members for name, group in groups.items()}, discovery, weights)
    return {name: replace(group, redrawn=drawn[name]) for name, group in groups.items()}


def chosen_by_shuffled_labels(condition: str, groups: ControlledGroups) -> list[tuple[str, str, Estimate]]:
    """How much of each group is also chosen with shuffled labels: does the choice depend on the labels at all?

    ``chosen_again``: share of the group's neurons that are in a group of shuffled labels, averaged over these; the
    interval is their central 95 %, ``n`` their number.

    Args:
        condition: what neurons were chosen on.
        groups: with controls of the kind ``shuffled``; groups without any are left out.

    Returns:
        (condition, group, estimate).
    """
    found = []
    for name, group in groups.items():
        drawn = group.controls.get("shuffled", np.empty((0, 0)))
        if len(drawn):
            shares = np.isin(drawn, group.members).mean(1)
            low, high = np.quantile(shares, [0.025, 0.975])
            numbers = float(shares.mean()), "share of the group", len(drawn), float(low), float(high)
            found.append((condition, name, Estimate("chosen_again", *numbers, against="shuffled")))
    return found


def match_quality(
    condition: str, groups: pd.DataFrame, controls: pd.DataFrame, features: NeuronFeatures
) -> list[tuple[str, str, Estimate]]:
    """How alike each measured group and its controls are (:func:`likeness`), from tables as :func:`group_frame`."""
    return likeness(condition, controlled_groups(groups, controls, CONTROLLED), features)


def likeness(condition: str, groups: ControlledGroups, features: NeuronFeatures) -> list[tuple[str, str, Estimate]]:
    """How alike each measured group and its controls are, feature by feature.

    ``standardised_difference`` of a ``part`` (the feature) against a kind of controls: mean over the group minus
    mean over a control group, in standard deviations of the layer, averaged over the control groups (Stuart 2010: below
    0.1 is close, above 0.25 is not). The interval is the central 95 % of the control groups; ``n`` is their number.

    Args:
        condition: what neurons were chosen on.
        groups: the measured groups with their controls; none where no neuron has any influence.
        features: of all neurons of the layer.

    Returns:
        (condition, group, estimate).
    """
    standardised = features.standardised()
    found = []
    for kind in CONTROL_KINDS:
        for name, group in groups.items():
            drawn = group.controls.get(kind, ())
            if not len(drawn):
                continue
            gaps = standardised[group.members].mean(0) - standardised[drawn].mean(1)
            low, high = np.quantile(gaps, [0.025, 0.975], axis=0)
            for column, feature in enumerate(FEATURE_NAMES):
                numbers = float(gaps[:, column].mean()), "standard deviations", len(drawn), low[column], high[column]
                found.append((condition, name, Estimate(MATCH_QUALITY, *numbers, part=feature, against=kind)))
    return found


@dataclass(frozen=True)
class CheckpointGroups:
    """Groups of a checkpoint and their controls, each as :func:`group_frame` with the identity, and their match.

    ``match``: measure table of :func:`match_quality` and :func:`chosen_by_shuffled_labels`.
    """

    groups: pd.DataFrame
    controls: pd.DataFrame
    match: pd.DataFrame


def checkpoint_groups(
    checkpoint: CheckpointName,
    influence: pd.DataFrame,
    condition: str,
    fixed_cuts: tuple[float, float],
    features: NeuronFeatures,
    n_controls: int,
    rng: np.random.Generator,
    shuffles: LabelShuffles,
    of_types: np.ndarray | None = None,
) -> CheckpointGroups:
    """Groups and controls of one checkpoint, and how alike they are; arguments as :func:`groups_of_influence`."""
    groups, controls = groups_of_influence(
        influence, condition, fixed_cuts, features, n_controls, rng, shuffles, of_types
    )
    match = match_quality(condition, groups, controls, features)
    match += chosen_by_shuffled_labels(condition, controlled_groups(groups, controls, CONTROLLED))
    return CheckpointGroups(
        checkpoint.labelled(groups), checkpoint.labelled(controls), measure_frame(checkpoint, match)
    )


def groups_of_influence(
    influence: pd.DataFrame,
    condition: str,
    fixed_cuts: tuple[float, float],
    features: NeuronFeatures,
    n_controls: int,
    rng: np.random.Generator,
    shuffles: LabelShuffles | None = None,
    of_types: np.ndarray | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Groups and controls of one checkpoint, chosen on the discovery split.

    Args:
        influence: the checkpoint's influence table.
        condition: neurons are ranked by their influence on these rows.
        fixed_cuts: ln ranks.
        features: of all neurons of the layer.
        n_controls: number of control groups of each kind.
        rng: draws the controls.
        shuffles: the neurons' excess over the other condition, and their influence under shuffled labels. Without them
            there are no selective neurons, and no controls of shuffled labels.
        of_types: neurons of known types (``known_types``). Without them, or without ``shuffles``, there are no groups
            ``WITHOUT_TYPES``.

    Returns:
        Groups and controls, each as :func:`group_frame`.
    """
    chosen = influence[(influence["condition"] == condition) & (influence["split"] == "discovery")]
    chosen = chosen.sort_values("neuron")
    mean, mean_abs = chosen["mean_delta_loss"].to_numpy(), chosen["mean_abs_delta_loss"].to_numpy()
    groups = regime_groups(mean, mean_abs, fixed_cuts)
    if shuffles is not None and len(selective := selective_neurons(shuffles.own_excess)):
        groups[SELECTIVE] = selective
    controls = controls_of(groups, features, n_controls, rng)
    if shuffles is not None:
        controls |= shuffled_controls(groups, shuffles)
    if shuffles is not None and of_types is not None:
        others = without_types((mean, mean_abs), shuffles, of_types, groups, controls, features, n_controls, rng)
        groups, controls = groups | others[0], controls | others[1]
    layer = int(chosen["layer"].iloc[0])
    return group_frame(groups, layer, condition), group_frame(controls, layer, condition)
