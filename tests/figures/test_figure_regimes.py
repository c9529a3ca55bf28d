"""Rank-influence curves, regimes by step, threshold sweep, overlap, neuron types."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, B, labelled, measures

from rareneurons.figures import regimes as figures
from rareneurons.figures.measures import measure_by_step
from rareneurons.tables import CheckpointName

CONDITIONS = ["rare", "common"]

pytestmark = pytest.mark.usefixtures("style")


@pytest.fixture
def influence(rng):
    parts = []
    for model in (A, B):
        for step in (0, 16):
            for condition in ("rare", "common", "shuffled_rare"):
                mean_abs = rng.lognormal(-6, 1, 200)
                frame = pd.DataFrame({"mean_abs_delta_loss": mean_abs, "neuron": np.arange(200)})
                frame["mean_delta_loss"] = mean_abs * rng.choice([-1, 1], 200)
                frame["se_abs_delta_loss"] = mean_abs / 10
                parts.append(
                    frame.assign(
                        condition=condition, n_rows=50, n_documents=9, **CheckpointName(model, f"step{step}").columns()
                    )
                )
    return pd.concat(parts)


def regime_table(conditions=CONDITIONS) -> pd.DataFrame:
    numbers = (
        *(("power_law_exponent", "auto"), ("flatness", "auto"), ("plateau_end", "auto"), ("plateau", "test")),
        *(("flatness", "flat"), ("height_over_power_law", "excess"), ("plateau", "flat")),
    )
    table = pd.concat([measures(measure, ("boost",), conditions, part) for measure, part in numbers])
    declared = (table["measure"] == "plateau") & (table["condition"] == "rare")
    return table.assign(value=table["value"].where(~declared, 1.0))


def bands() -> pd.DataFrame:
    x = np.linspace(0, 4, 5)
    return pd.concat(
        [
            pd.DataFrame({"ln_rank": x, "ln_influence_low": -6 - x, "ln_influence_high": -5 - x}).assign(
                model=model, condition=condition, group="boost"
            )
            for model in (A, B)
            for condition in CONDITIONS
        ]
    )


def test_rank_influence_draws_curves_band_and_verdict(influence):
    last = influence[influence["step"] == 16]
    table = regime_table()
    figure = labelled(figures.rank_influence(last, table[table["step"] == 16], bands(), (3.5, 5.5), CONDITIONS))
    assert len(figure.axes) == 4
    axis = figure.axes[0]
    lines = {line.get_label(): line for line in axis.lines}
    part = last[(last["model"] == A) & (last["condition"] == "rare")]
    boost = part[part["mean_delta_loss"] > 0]["mean_abs_delta_loss"]
    np.testing.assert_allclose(lines["boost neurons, 95 % intervals"].get_ydata(), np.log(np.sort(boost)[::-1]))
    assert "shuffled labels" in lines
    assert f"{len(boost)} boost" in [text.get_text() for text in axis.texts]
    assert "plateau (flat top), p = 0.1" in axis.get_title()
    assert "50 rows, 9 documents" in axis.get_title()
    assert "no plateau" in figure.axes[1].get_title()
    assert "shuffled labels" not in {line.get_label() for line in figure.axes[1].lines}


def test_layers_that_were_not_fitted_are_drawn_all_the_same(influence):
    nothing = regime_table().iloc[:0]
    figure = figures.rank_influence(influence[influence["step"] == 16], nothing, bands().iloc[:0], (3.5, 5.5), ["rare"])
    assert "too few neurons to fit" in figure.axes[0].get_title()


def test_checkpoints_share_a_colour_bar(influence):
    figure = labelled(figures.rank_influence_by_checkpoint(influence, CONDITIONS))
    assert len(figure.axes) == 5
    assert len(figure.axes[0].lines) == 2


def test_a_release_without_steps_can_be_drawn(influence):
    release = influence[influence["step"] == 16].assign(step=-1, checkpoint="main")
    labelled(figures.rank_influence_by_checkpoint(release, CONDITIONS))
    table = measures()
    axis = measure_by_step(table[table["step"] == 0].assign(step=-1), ("d",), "d", ["plateau"], "rare").axes[0]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["main"]


def test_regimes_by_step_fills_the_markers_of_declared_plateaus():
    figure = labelled(figures.regimes_by_step(regime_table(), 0.5, 1.5, 0.01, CONDITIONS))
    assert len(figure.axes) == 10
    p_axis = figure.axes[8]
    filled = [len(line.get_xdata()) for line in p_axis.lines if line.get_markerfacecolor() == "#D55E00"]
    assert 3 in filled  # rare, all three steps
    assert p_axis.get_yscale() == "log"


def test_threshold_sweep_has_a_line_per_condition_and_says_what_was_found():
    table = regime_table(["rare", "tail", "shuffled_rare"])
    last = table[table["step"] == 16]
    figure = labelled(figures.threshold_sweep(last, ["rare", "tail", "shuffled_rare", "unfitted"], 0.5))
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels[0] == "rare\nplateau (flat top), p = 0.1"
    assert labels[1] == "tail\nno plateau, p = 0.1"
    assert labels[3] == "unfitted\ntoo few neurons"


def test_overlap_has_its_ceiling_beside_it():
    both = measures("overlap", ("boost",), ("rare-common",), "top_33")
    ceilings = measures("replication", ("boost",), CONDITIONS, "top_33")
    figure = labelled(figures.overlap_by_step(pd.concat([both, ceilings]), ("rare", "common"), 33))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "rare, discovery and held-out" in texts
    assert "rare and common, held-out" in texts
