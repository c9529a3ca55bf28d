"""Tables that verdicts are drawn from, with planted numbers."""

import numpy as np
import pandas as pd

from rareneurons.claims import Bounds
from rareneurons.tables import MEASURE_COLUMNS, CheckpointName, Estimate, measure_frame

BOUNDS = Bounds(
    condition="rare",
    contrast="common",
    flatness=0.5,
    plateau_alpha=0.01,
    permutations=200,
    power=0.8,
    alpha=0.05,
    dimension_reduction=0.125,
    modularity_margin=0.1,
    routing_margin=0.5,
    specialization_margin=0.05,
    abrupt_share=0.5,
    abrupt_factor=4,
    hill_reduction=0.1,
)


def frame(model, step, condition, group, measure, value, p=0.04):
    return measure_frame(
        CheckpointName(model, f"step{step}"), [(condition, group, Estimate(measure, value, "unit", 5, 0.1, 0.9, p))]
    )


def dimension_table(
    group="plateau", model="a", step=16, value=0.49, null=(0.56, 0.53, 0.59), gap=(-0.1, -0.04), q=0.02, p=None
):
    """The coordination rows that C3 reads: value, mean and central 95 % of matched groups, interval, adjusted p."""
    name, reason = "effective_dimension.matched", "" if np.isfinite(value) else "2 neurons, at least 3 are needed"
    estimates = [
        Estimate(name, value, "u", 100, 0.4, 0.5, q / 2 if p is None else p, reason),
        Estimate(f"{name}.null_mean", null[0], "u", 200, *null[1:]),
        Estimate(f"{name}.difference", value - null[0], "u", 100, *gap),
    ]
    table = measure_frame(CheckpointName(model, f"step{step}"), [("rare", group, each) for each in estimates])
    return table.assign(q_value=[q, np.nan, np.nan], reason=[reason, "", ""])


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
        for group, size in (("fixed_plateau", 33), ("plateau", 20))
        for neuron in range(size)
    ]
    return pd.DataFrame(rows, columns=["model", "checkpoint", "step", "group", "neuron"])


def tails_table(
    matrix="w_out", group="fixed_plateau", model="a", step=16, value=0.7, null=(1.0, 0.8, 1.3), gap=(-0.4, -0.2), q=0.01
):
    """The spectra rows that C7 reads: Hill's exponent, matched groups' mean and central 95 %, interval, adjusted p."""
    name, reason = f"hill.{matrix}.matched", "" if np.isfinite(value) else "1 of 33 neurons have constant weights"
    estimates = [
        Estimate(name, value, "exponent", 33, 0.6, 0.8, q / 2, reason),
        Estimate(f"{name}.null_mean", null[0], "exponent", 200, *null[1:]),
        Estimate(f"{name}.difference", value - null[0], "exponent", 33, *gap),
    ]
    table = measure_frame(CheckpointName(model, f"step{step}"), [("rare", group, each) for each in estimates])
    return table.assign(q_value=[q, np.nan, np.nan], reason=[reason, "", ""])


def clusters_table(models, value=0.3, low=0.25, high=0.35, null=0.2, q=0.02, group="plateau", reason=""):
    """Modularity and its matched controls at two steps; only the last one's numbers are those given."""
    frames = []
    for model in models:
        for step, shift in ((2, 0.5), (16, 0.0)):
            estimates = [
                Estimate("signed_modularity.matched", value + shift, "modularity", 5, low, high, q / 2),
                Estimate("signed_modularity.matched.null_mean", null + shift, "modularity", 99, null - 0.1, null + 0.1),
            ]
            named = [("rare", group, estimate) for estimate in estimates]
            frames.append(measure_frame(CheckpointName(model, f"step{step}"), named))
    return pd.concat(frames).assign(q_value=q, reason=reason)


def routing_table(models, value=0.01, low=-0.01, high=0.02, effect=0.1, heads=0, p=0.4, group="plateau", reason=""):
    """What C5 reads, at two steps; only the last one's numbers are those given."""
    frames = []
    for model in models:
        for step, shift in ((2, 5.0), (16, 0.0)):
            difference = [
                Estimate("largest_routing.mean.matched", value + shift, "sd", 300, low + shift, high + shift, p),
                Estimate("routing_heads.mean", heads + shift, "heads", 12),
                Estimate("selective_heads.mean", 3 + shift, "heads", 12),
            ]
            rare = [
                Estimate("head_effect.mean.matched", effect + shift, "sd", 200),
                Estimate("gini.mean.matched", 0.25, "share", 200, p_value=0.03),
                Estimate("gini.mean.matched.null_mean", 0.2, "share", 100),
                Estimate("largest_head_share.mean", 0.6, "share", 200),
            ]
            named = [("rare-common", group, each) for each in difference] + [("rare", group, each) for each in rare]
            frames.append(measure_frame(CheckpointName(model, f"step{step}"), named))
    return pd.concat(frames).assign(q_value=np.nan, reason=reason)


def tables_for(models, plateau=(0, 0), power=(0.9, 0.9)):
    """Every claim's number at two steps; ``plateau`` and ``power`` for rare and common at the last one."""
    flatness = [
        frame(model, step, condition, "boost", "mean_abs.auto.flatness", step / 10)
        for model in models
        for condition in ("rare", "common")
        for step in (2, 16)
    ]
    tests = [
        frame(model, 16, condition, "boost", f"mean_abs.test.{name}", value, 0.003 if value == 1 else 0.4)
        for model in models
        for name, values in (("plateau", plateau), ("power", power))
        for condition, value in zip(("rare", "common"), values, strict=True)
    ]
    steps = [(model, step) for model in models for step in (2, 16)]
    group = "plateau" if plateau[0] else "fixed_plateau"
    return {
        "regimes": pd.concat([*flatness, *tests]),
        "organization": clusters_table(models, group=group),
        "attention": routing_table(models, group=group),
        "coordination": pd.concat([dimension_table(group, model, step) for model, step in steps]),
        "dynamics": pd.DataFrame(columns=MEASURE_COLUMNS),
        "audit": audit_table(models),
        "groups": groups_table(models),
        "spectra": pd.concat([tails_table(group=group, model=model, step=step) for model, step in steps]),
    }
