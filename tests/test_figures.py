"""Figures show what the tables hold, label their axes, and are the same file twice."""

import io

import numpy as np
import pandas as pd
import pytest

from rareneurons import figures
from rareneurons.tables import CheckpointName, Estimate, measure_frame


@pytest.fixture(autouse=True)
def style():
    figures.apply_style()
    yield
    figures.plt.close("all")


@pytest.fixture
def influence(rng):
    parts = []
    for model in ("a", "b"):
        for step in (0, 8):
            for condition in ("rare", "common"):
                mean_abs = rng.lognormal(-6, 1, 200)
                frame = pd.DataFrame({"mean_abs_delta_loss": mean_abs, "neuron": np.arange(200)})
                frame["mean_delta_loss"] = mean_abs * rng.choice([-1, 1], 200)
                parts.append(
                    frame.assign(
                        condition=condition, n_rows=50, n_documents=9, **CheckpointName(model, f"step{step}").columns()
                    )
                )
    return pd.concat(parts)


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


def test_rank_influence_draws_every_curve(influence):
    figure = labelled(figures.rank_influence(influence[influence["step"] == 8], (3.5, 5.5)))
    assert len(figure.axes) == 4
    curve = figure.axes[0].lines[0]
    part = influence[(influence["model"] == "a") & (influence["step"] == 8) & (influence["condition"] == "rare")]
    boost = part[part["mean_delta_loss"] > 0]["mean_abs_delta_loss"]
    np.testing.assert_allclose(curve.get_ydata(), np.log(np.sort(boost)[::-1]))
    assert "50 rows, 9 documents" in figure.axes[0].get_title()


def test_checkpoints_share_a_colour_bar(influence):
    figure = labelled(figures.rank_influence_by_checkpoint(influence))
    assert len(figure.axes) == 5
    assert len(figure.axes[0].lines) == 2


def test_a_release_without_steps_can_be_drawn(influence):
    release = influence[influence["step"] == 8].assign(step=-1, checkpoint="main")
    labelled(figures.rank_influence_by_checkpoint(release))
    table = measures()
    axis = figures.measure_by_step(table[table["step"] == 0].assign(step=-1), "d", "d", ["plateau"], "rare").axes[0]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["main"]


def test_measure_by_step_shows_value_and_null():
    figure = labelled(figures.measure_by_step(measures(), "d", "d (u)", ["plateau"], "rare"))
    assert figure.axes[0].get_ylabel() == "d (u)"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(texts) == ["plateau", "random, size of plateau"]


def test_regimes_by_step():
    names = ("mean_abs.fixed.power_law_exponent", "mean_abs.fixed.head_departure")
    table = pd.concat([measures(name, ("boost",), ("rare", "common")) for name in names])
    assert len(labelled(figures.regimes_by_step(table)).axes) == 4


def test_head_map_greys_what_cannot_reach():
    table = measures("head_effect", conditions=("rare", "common"))
    table = table[table["step"] == 16].assign(layer=0, head=1)
    unreachable = table[table["measure"] == "head_effect"].assign(measure="structurally_zero", layer=1)
    figure = labelled(figures.head_map(pd.concat([table, unreachable]), "plateau"))
    grid = figure.axes[0].collections[0].get_array()
    assert grid.shape == (2, 2)
    assert grid.mask.sum() == 3


def test_weightwatcher_map_keeps_matrices_without_alpha():
    table = pd.DataFrame(
        {
            "model": "a",
            "step": [0, 8, 0, 8],
            "matrix": ["x.layers.0.w.weight"] * 2 + ["embed_in.weight"] * 2,
            "alpha": [2.0, 3.0, np.nan, np.nan],
        }
    )
    figure = figures.weightwatcher_map(table, "alpha", "alpha")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["0.w", "embed_in"]


def test_training_loss():
    logs = pd.DataFrame({"model": "a", "step": range(20), "loss": np.linspace(6, 4, 20)})
    figure = labelled(figures.training_loss(logs, 5.0, 400))
    assert [t.get_text() for t in figure.axes[0].texts] == ["ln V", "unigram entropy"]


@pytest.mark.parametrize("suffix", ["pdf", "png"])
def test_equal_figures_are_equal_files(suffix):
    files = []
    for _ in range(2):
        file = io.BytesIO()
        figures.save(figures.measure_by_step(measures(), "d", "d", ["plateau"], "rare"), file, suffix)
        files.append(file.getvalue())
    assert files[0] == files[1]
