"""Planted courses in training."""

import numpy as np
import pandas as pd

from rareneurons.dynamics.trends import measure_trends
from rareneurons.tables import CheckpointName, Estimate, measure_frame

STEPS = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 256])
RISING = np.arange(10) / 9
JUMP = (STEPS >= 16).astype(float)


def course_of(number, values, noise, rng, group="top_33", condition="rare", steps=STEPS) -> pd.DataFrame:
    """Trend, change and fitted rise of a planted series, whose documents scatter it by ``noise``.

    ``number``: measure, part, quantity and what it is compared with.
    """
    measured = np.asarray(values) + noise * rng.normal(size=len(steps))
    keys = dict(zip(("measure", "part", "quantity", "against"), number, strict=True))
    estimates = [(condition, group, Estimate(value=value, unit="u", n=33, **keys)) for value in measured]
    names = [f"step{step}" for step in steps]
    table = measure_frame(CheckpointName("a", "step0"), estimates).assign(checkpoint=names, step=steps)
    keys |= {"model": "a", "condition": condition, "group": group}
    draws = measured + noise * rng.normal(size=(100, len(steps)))
    rows = [keys | {"step": step, "draws": column} for step, column in zip(steps, draws.T, strict=True)]
    return measure_trends([table], pd.DataFrame(rows), 200, rng)
