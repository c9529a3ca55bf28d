"""Tables that verdicts are drawn from, with planted numbers."""

from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import norm

from rareneurons.claims import CLAIMS, Bounds, View, decide
from rareneurons.stats import NORMAL_95
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName, Estimate, measure_frame

VIEW = View("rare", "common")
BOUNDS = Bounds(
    flatness=0.5,
    excess=1.5,
    plateau_alpha=0.01,
    permutations=200,
    power=0.8,
    alpha=0.05,
    dimension_reduction=0.125,
    cluster_margin=0.05,
    routing_margin=0.5,
    specialization_margin=0.01,
    abrupt_width=0.69,
    hill_reduction=0.1,
    selectivity_margin=0.02,
    match_difference=0.25,
)


def row_of(claim, tables, view=VIEW, bounds=BOUNDS):
    """The row of one model's claim by its own rule: its p is adjusted for no other claim's."""
    rows = decide(tables, view, bounds, [each for each in CLAIMS if each.name == claim])
    return rows.set_index("claim").loc[claim]


def frame(model, step, condition, group, measure, part, value, p=0.04, quantity="value"):
    estimate = Estimate(measure, value, "unit", 5, 0.1, 0.9, p, part=part, quantity=quantity)
    return measure_frame(CheckpointName(model, f"step{step}"), [(condition, group, estimate)])


def compared(measure, value, n, interval, q, null, gap, p=None, reason="", **names):
    """A value against control groups (mean and central 95 % of 200), and its difference from their mean."""
    tested = {"null_mean": null[0], "null_low": null[1], "null_high": null[2], "null_n": 200}
    p = q / 2 if p is None else p
    return [
        Estimate(measure, value, "u", n, *interval, p, reason, q_value=q, **tested, **names),
        Estimate(measure, value - null[0], "u", n, *gap, quantity="difference", **names),
    ]


def dimension_table(
    group="plateau",
    model="a",
    step=16,
    value=0.49,
    null=(0.56, 0.53, 0.59),
    gap=(-0.1, -0.04),
    q=0.02,
    p=None,
    against="matched",
    shuffled=None,
):
    """The coordination rows that C3 reads: value, controls' mean and central 95 %, interval, p.

    ``shuffled``: what differs against the groups of shuffled labels; their p is 0.01 otherwise.
    """
    reason = "" if np.isfinite(value) else "2 neurons, at least 3 are needed"
    q = p if p is not None else q
    numbers = {"q": q, "null": null, "gap": gap}
    estimates = []
    for kind, own in ((against, numbers), ("shuffled", numbers | {"q": min(q, 0.01)} | (shuffled or {}))):
        both = own["null"], own["gap"], own["q"]
        estimates += compared("effective_dimension", value, 100, (0.4, 0.5), own["q"], *both, reason, against=kind)
    return measure_frame(CheckpointName(model, f"step{step}"), [("rare", group, each) for each in estimates])


def selectivity_table(models, group="top_33", difference=(0.3, 0.2, 0.4), **excess):
    """What C8 reads of a group at two steps: its excess over each kind of comparison, as (value, error)."""
    frames = []
    for model in models:
        for step, shift in ((2, 5.0), (16, 0.0)):
            found = [
                Estimate(
                    "delta_loss",
                    difference[0],
                    "nats",
                    90,
                    *difference[1:],
                    part="matched_rows",
                    quantity="difference",
                    against="matched",
                )
            ]
            for against, (value, error) in excess.items():
                interval = value - NORMAL_95 * error + shift, value + NORMAL_95 * error + shift
                p = 2 * norm.sf(abs(value + shift) / error)
                names = {"part": "matched_rows", "quantity": "excess", "against": against}
                found.append(Estimate("delta_loss", value + shift, "nats", 90, *interval, p, **names))
            frames.append(
                measure_frame(CheckpointName(model, f"step{step}"), [("rare-common", group, e) for e in found])
            )
    return pd.concat(frames)


def audit_table(models, **findings):
    """The audit's answer; ``findings`` of the first model by checkpoint."""
    rows = [(models[0], name, int(name[4:]), finding, True) for name, finding in findings.items()]
    rows += [(model, f"step{step}", step, "ok", False) for model in models for step in (2, 16)]
    return pd.DataFrame(rows, columns=["model", "checkpoint", "step", "finding", "left_out"])


def groups_table(models):
    """33 neurons before the fixed cut and 20 on the fitted plateau, at two steps."""
    rows = [
        (model, f"step{step}", step, group, neuron)
        for model in models
        for step in (2, 16)
        for group, size in (("top_33", 33), ("selective_33", 33), ("plateau", 20))
        for neuron in range(size)
    ]
    return pd.DataFrame(rows, columns=["model", "checkpoint", "step", "group", "neuron"])


def match_table(models, worst=0.2, groups=("plateau", "top_33", "selective_33")):
    """How well the matched groups of each group match: ``worst`` in ln variance, at two steps."""
    frames = []
    for model in models:
        for step in (2, 16):
            for feature, value in (("activation_mean", 0.1), ("ln_activation_variance", -worst)):
                one = Estimate("standardised_difference", value, "sd", 200, part=feature, against="matched")
                frames.append(
                    measure_frame(CheckpointName(model, f"step{step}"), [("rare", group, one) for group in groups])
                )
    return pd.concat(frames)


def tails_table(
    matrix="w_out",
    group="top_33",
    model="a",
    step=16,
    value=0.7,
    null=(1.0, 0.8, 1.3),
    gap=(-0.4, -0.2),
    q=0.01,
    shuffled=None,
):
    """The spectra rows that C7 reads: Hill's exponent, controls' mean and central 95 %, interval, p.

    ``shuffled``: what differs against the groups of shuffled labels.
    """
    reason = "" if np.isfinite(value) else "1 of 33 neurons have constant weights"
    numbers, estimates = {"q": q, "null": null, "gap": gap}, []
    for kind, own in (("matched", numbers), ("shuffled", numbers | (shuffled or {}))):
        names = {"part": matrix, "against": kind}
        both = own["null"], own["gap"], own["q"]
        estimates += compared("hill", value, 33, (0.6, 0.8), own["q"], *both, reason=reason, **names)
    return measure_frame(CheckpointName(model, f"step{step}"), [("rare", group, each) for each in estimates])


def clusters_table(
    models,
    value=0.3,
    null=(0.28, 0.24, 0.34),
    gap=(0.01, 0.03),
    p=0.3,
    power=0.9,
    factor=0.4,
    group="plateau",
    reason="",
):
    """What C4 reads, at two steps; only the last one's numbers are those given."""
    frames = []
    for model in models:
        for step, shift in ((2, 0.5), (16, 0.0)):
            tested = {"null_mean": null[0], "null_low": null[1], "null_high": null[2], "null_n": 199}
            matched = {"null_mean": 0.25, "null_n": 99}
            separation = ("separation", value + shift, "correlation", 500, 0.2, 0.4)
            excess = ("separation", value - null[0] + shift, "correlation", 500, *gap)
            found = [
                Estimate(*separation, p, reason, against="rotation", **tested),
                Estimate(*excess, quantity="difference", against="rotation"),
                Estimate(*separation, 0.2, against="matched", **matched),
                Estimate("division_power", power, "share of plants", 50),
                Estimate("planted_correlation", 0.3, "correlation", 50),
                Estimate("common_factor", factor, "share of the variance", 500),
            ]
            frames.append(
                measure_frame(CheckpointName(model, f"step{step}"), [("rare", group, each) for each in found])
            )
    return pd.concat(frames)


def routing_table(
    models, value=0.05, low=-0.2, high=0.3, heads=0, p=0.4, power=0.9, missed=(10, 0, 0.26), group="plateau", reason=""
):
    """What C5 reads, at two steps; only the last one's numbers are those given.

    Twelve of thirty heads were ablated; ``missed``: sampled heads, the share of them that routes, its upper bound.
    """
    frames = []
    for model in models:
        for step, shift in ((2, 0.4), (16, 0.0)):
            matched = {"part": "mean", "against": "matched"}
            difference = [
                Estimate("largest_routing_share", value + shift, "share", 300, low + shift, high + shift, p, **matched),
                Estimate("routing_heads", heads + shift, "heads", 12, part="mean"),
                Estimate("selective_heads", 3 + shift, "heads", 12, part="mean"),
                Estimate("routing_power", power - shift, "chance", 30, part="mean"),
            ]
            if missed:
                n, share, upper = missed
                difference.append(Estimate("missed_routing", share, "share of heads", n, 0, upper, part="mean"))
            rare = [
                Estimate("gini", 0.25, "share", 200, p_value=0.03, null_mean=0.2, null_n=100, **matched),
                Estimate("largest_head_share", 0.6, "share", 200, part="mean"),
            ]
            named = [("rare-common", group, each) for each in difference] + [("rare", group, each) for each in rare]
            frames.append(measure_frame(CheckpointName(model, f"step{step}"), named))
    return pd.concat(frames).assign(q_value=np.nan, reason=reason)


def reading_table(model, plateau, difference=None, reading="flat", power=0.7):
    """What both readings of a plateau say: by condition, and of the difference between them."""
    found, value = [], {(1, 0): -0.8, (0, 1): 0.8}.get(tuple(plateau), 0.0) if difference is None else difference
    for condition, declared in zip(("rare", "common"), plateau, strict=True):
        for each in ("flat", "excess"):
            yes = float(declared and each == reading)
            found.append((condition, Estimate("plateau", yes, "u", 5, p_value=0.0015 if yes else 0.2, part=each)))
    measure = {"flat": "flatness", "excess": "height_over_power_law"}[reading]
    numbers = {"part": reading, "quantity": "difference"}
    found.append(("rare-common", Estimate(measure, value, "u", 5, value - 0.1, value + 0.1, 0.01, **numbers)))
    found.append(("rare-common", Estimate("power", power, "u", 5, part=reading)))
    named = [(condition, "boost", estimate) for condition, estimate in found]
    return measure_frame(CheckpointName(model, "step16"), named)


def tables_for(models, plateau=(0, 0), power=(0.9, 0.9)):
    """Every claim's number at two steps; ``plateau`` and ``power`` for rare and common at the last one."""
    made = _tables_for(tuple(models), tuple(plateau), tuple(power))  # hundreds of tests begin with the same few
    return {name: table.copy() for name, table in made.items()}


@cache
def _tables_for(models, plateau, power):
    flatness = [
        frame(model, step, condition, "boost", "flatness", "flat", step / 10)
        for model in models
        for condition in ("rare", "common")
        for step in (2, 16)
    ]
    tests = [
        frame(model, 16, condition, "boost", name, "test", value, 0.003 if value == 1 else 0.4)
        for model in models
        for name, values in (("plateau", plateau), ("power", power))
        for condition, value in zip(("rare", "common"), values, strict=True)
    ]
    tests += [reading_table(model, plateau) for model in models]
    steps = [(model, step) for model in models for step in (2, 16)]
    group = "plateau" if plateau[0] else "top_33"
    return {
        "regimes": pd.concat([*flatness, *tests]),
        "organization": clusters_table(models, group=group),
        "attention": routing_table(models, group=group),
        "coordination": pd.concat([dimension_table(group, model, step) for model, step in steps]),
        "joint": selectivity_table(models, matched=(0.1, 0.01)),
        "dynamics": pd.DataFrame(columns=MEASURE_COLUMNS),
        "audit": audit_table(models),
        "groups": groups_table(models),
        "group_match": match_table(models),
        "neuron_types": pd.DataFrame(columns=MEASURE_COLUMNS),
        "spectra": pd.concat([tails_table(group=group, model=model, step=step) for model, step in steps]),
    }
