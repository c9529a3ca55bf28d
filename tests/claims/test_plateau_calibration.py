"""C1 and C2 on planted layers of shapes that played no part in choosing the rules: verdicts and intervals."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from claim_tables import BOUNDS, VIEW

from rareneurons.claims.plateau import decide_common_curve, decide_rare_curve
from rareneurons.influence.sums import InfluenceSums
from rareneurons.regimes.estimates import RegimeSettings, plateau_estimates
from rareneurons.tables import CheckpointName, measure_frame

SHAPES = {
    "lomax": lambda n, rng: rng.pareto(2.5, size=n),
    "student": lambda n, rng: np.abs(rng.standard_t(4, size=n)),
    "weibull": lambda n, rng: rng.weibull(0.6, size=n),
    "frechet": lambda n, rng: (-np.log(rng.random(n))) ** -0.5,
}
N, BLOCKS = 600, 40
PAIR = (VIEW.condition, VIEW.contrast)
SETTINGS = RegimeSettings((3.5, 5.5), 50, 79, BOUNDS.alpha, BOUNDS.flatness, BOUNDS.excess, 0.5, 0, (33,))
PARTIAL = 0.3  # exponent of a planted flat top over that without it, for intervals
Planted = tuple[str, int]  # kind and number of neurons


def planted_effects(shape: str, plateau: Planted, rng: np.random.Generator) -> np.ndarray:
    """Effects (N,) of neurons in any order, drawn from a shape and given a plateau."""
    effects, (kind, size) = np.sort(SHAPES[shape](N, rng))[::-1].copy(), plateau
    last = effects[size - 1]
    effects[:size] = {
        "flat": last,
        "partial": last * (effects[:size] / last) ** PARTIAL,
        "excess": 2 * effects[:size],
        "none": effects[:size],
    }[kind]
    return rng.permutation(effects)


def sums_of(effects: np.ndarray, rng: np.random.Generator) -> InfluenceSums:
    """Blocks of 25 rows with an error of 6 % of each neuron's mean."""
    n_rows = np.full(BLOCKS, 25)
    signed = n_rows[:, None] * effects * rng.normal(1, 0.06 * np.sqrt(BLOCKS), size=(BLOCKS, N))
    return InfluenceSums(np.arange(BLOCKS), n_rows, signed, np.abs(signed))


@lru_cache
def planted_runs(rare: Planted, common: Planted, draws: int = 100) -> list[pd.DataFrame]:
    """Regime tables of layers with a plateau on rare and on common rows, the shapes taking turns."""
    return list(_runs(rare, common, draws))


def _runs(rare: Planted, common: Planted, draws: int) -> Iterator[pd.DataFrame]:
    rng = np.random.default_rng(21)
    for number in range(draws):
        shape = list(SHAPES)[number % len(SHAPES)]
        effects = {name: planted_effects(shape, each, rng) for name, each in zip(PAIR, (rare, common), strict=True)}
        sums = {f"{name}/{split}": sums_of(effects[name], rng) for name in PAIR for split in ("discovery", "heldout")}
        yield measure_frame(CheckpointName("m", "step1"), plateau_estimates(sums, PAIR, SETTINGS, rng))


def verdicts(runs: list[pd.DataFrame]) -> np.ndarray:
    """C1 and C2 of each run (runs, 2)."""
    tables = [{"regimes": each} for each in runs]
    return np.array(
        [[rule(t, VIEW, BOUNDS).verdict for rule in (decide_rare_curve, decide_common_curve)] for t in tables]
    )


@pytest.mark.calibration
@pytest.mark.parametrize("plateau", [("flat", 10), ("partial", 33), ("excess", 33)])
def test_the_same_plateau_in_both_conditions_never_supports_c1_and_c2(plateau):
    found = verdicts(planted_runs(plateau, plateau))
    assert np.mean((found == "supported").all(1)) <= 0.05
    assert not (found[:, 0] == "contradicted").any(), "the power was not simulated"


@pytest.mark.calibration
@pytest.mark.parametrize("plateau", [("flat", 33), ("excess", 33)])
def test_a_plateau_on_rare_rows_alone_supports_c2_where_it_supports_c1(plateau):
    found = verdicts(planted_runs(plateau, ("none", 0), 40))
    rare = found[:, 0] == "supported"
    assert rare.mean() >= 0.3
    assert np.mean(found[rare, 1] == "supported") >= 0.8


@pytest.mark.calibration
@pytest.mark.parametrize(
    ("plateau", "measure", "part", "truth"),
    [(("partial", 33), "flatness", "flat", PARTIAL), (("excess", 33), "height_over_power_law", "excess", np.log(2))],
)
def test_intervals_hold_the_planted_number_and_the_difference_of_zero(plateau, measure, part, truth):
    """In 92 to 98 %: of 200 values, and of 100 differences within their own chance (two standard errors)."""
    rows = pd.concat(planted_runs(plateau, plateau))
    rows = rows[(rows["measure"] == measure) & (rows["part"] == part)]
    differences, values = (rows[rows["quantity"] == name] for name in ("difference", "value"))
    for mine, expected, slack in ((values, truth, 0.0), (differences, 0.0, 0.02)):
        held = ((mine["ci_low"] <= expected) & (expected <= mine["ci_high"])).mean()
        assert 0.92 - slack <= held <= 0.98 + slack
