"""Tables that figures are drawn from, and what every figure must have."""

import pandas as pd

from rareneurons.tables import CheckpointName, Estimate, measure_frame


def measures(name="d", groups=("plateau",), conditions=("rare",)):
    return pd.concat(
        [
            measure_frame(
                CheckpointName(model, f"step{step}"),
                [
                    (condition, group, estimate)
                    for condition in conditions
                    for group in groups
                    for estimate in (
                        Estimate(name, 0.5 + step / 100, "u", 9, 0.4, 0.8, 0.1),
                        Estimate(f"{name}.null_mean", 0.4, "u", 20, 0.3, 0.5),
                    )
                ],
            )
            for model in ("a", "b")
            for step in (0, 1, 16)
        ]
    )


def labelled(figure):
    for axis in figure.axes:
        assert axis.get_xlabel() or axis.get_ylabel()
    return figure
