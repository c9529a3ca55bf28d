"""Regime groups and random controls."""

import numpy as np
import pandas as pd

from rareneurons import groups


def influence_frame(mean: np.ndarray, mean_abs: np.ndarray) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "layer": 5,
                "neuron": np.arange(len(mean)),
                "condition": condition,
                "split": split,
                "mean_delta_loss": mean * factor,
                "mean_abs_delta_loss": mean_abs,
            }
        )
        for condition, split, factor in [
            ("rare", "discovery", 1),
            ("rare", "heldout", -1),
            ("common", "discovery", -1),
        ]
    ]
    return pd.concat(parts).sample(frac=1, random_state=0)


def test_groups_come_from_the_discovery_rows_of_the_condition(rng):
    mean_abs = rng.permutation(np.linspace(1, 2, 400))
    mean = np.where(np.arange(400) % 4 == 0, -1, 1) * mean_abs
    frame = groups.groups_of_influence(influence_frame(mean, mean_abs), "rare", (3.5, 5.5), 7, rng)
    members = groups.members_by_group(frame)
    assert len(members["plateau"]) == 33
    assert len(members["power_law"]) == 244 - 33
    assert len(members["suppress_plateau"]) == 33
    boost = np.flatnonzero(mean > 0)
    expected = boost[np.argsort(-mean_abs[boost])]
    assert members["plateau"].tolist() == expected[:33].tolist()
    assert members["decay"].tolist() == expected[244:].tolist()
    assert frame["neuron"].dtype.kind == "i"
    assert set(frame["layer"]) == {5}


def test_controls_hold_no_plateau_neuron_and_have_the_group_s_size(rng):
    mean_abs = np.linspace(2, 1, 200)
    mean = np.where(np.arange(200) < 180, mean_abs, -mean_abs)
    frame = groups.groups_of_influence(influence_frame(mean, mean_abs), "rare", (3.0, 5.0), 25, rng)
    measured = groups.measured_groups(frame)
    assert set(measured) == {"plateau", "suppress_plateau"}
    chosen = set(measured["plateau"][0]) | set(measured["suppress_plateau"][0])
    for members, controls in measured.values():
        assert len(controls) == 25
        for control in controls:
            assert len(set(control)) == len(members)
            assert not set(control) & chosen


def test_tiny_groups_are_not_measured(rng):
    frame = groups.group_frame({"plateau": np.arange(2), "random_0000": np.arange(5, 7)}, 0, "rare")
    assert groups.measured_groups(frame) == {}


def test_regimes_without_neurons_are_left_out():
    found = groups.regime_groups(np.ones(5), np.arange(1.0, 6.0), (3.5, 5.5))
    assert list(found) == ["plateau"]
    assert found["plateau"].tolist() == [4, 3, 2, 1, 0]
