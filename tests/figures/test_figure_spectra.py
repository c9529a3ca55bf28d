"""Maps of WeightWatcher columns, and Hill plots."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, B, labelled

from rareneurons.figures.spectra import hill_plots, weightwatcher_map

pytestmark = pytest.mark.usefixtures("style")


def test_weightwatcher_map_keeps_matrices_without_alpha():
    table = pd.DataFrame(
        {
            "model": A,
            "step": [0, 8, 0, 8],
            "matrix": ["x.layers.0.w.weight"] * 2 + ["embed_in.weight"] * 2,
            "alpha": [2.0, 3.0, np.nan, np.nan],
            "ww_softrank": [1.0, 0.5, 0.9, 0.8],
        }
    )
    figure = labelled(weightwatcher_map(table, {"alpha": "alpha", "ww_softrank": "shuffled / own"}))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["0.w", "embed_in"]
    for axis, values in ((figure.axes[0], [2.0, 3.0]), (figure.axes[1], [1.0, 0.5])):
        assert [t.get_text() for t in axis.get_xticklabels()] == ["0", "8"]
        np.testing.assert_allclose(np.asarray(axis.collections[0].get_array()).reshape(2, 2)[0], values)


def plot_of(model, matrix, group, n):
    k = np.arange(1, n // 2 + 1)
    columns = {"exponent": 1 + k / 10, "ci_low": 0.9, "ci_high": 3.0}
    columns |= {"matched_mean": 2.0, "matched_low": 1.5, "matched_high": 2.5}
    marks = {"paper_k": k == 3, "stable": (k > 3) & (k < 8)}
    return pd.DataFrame({"model": model, "matrix": matrix, "group": group, "n": n, "k": k} | columns | marks)


def test_hill_plots_show_the_larger_group_of_each_model_and_matrix():
    plots = [
        plot_of(A, matrix, group, n) for matrix in ("w_out", "w_in") for group, n in (("plateau", 8), ("top_33", 33))
    ]
    plots.append(plot_of(B, "w_out", "plateau", 40))
    plots += [plot_of(A, "w_out", group, 60) for group in ("suppress_plateau", "final_top_33")]
    figure = labelled(hill_plots(pd.concat(plots)))
    assert [figure.axes[2].get_xlabel(), figure.axes[2].get_ylabel()] == ["k, eigenvalues in the tail", "Hill exponent"]
    assert figure.axes[0].get_title() == f"{A}\noutput weights, n = 33"
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert "top 33" in lines
    np.testing.assert_allclose(lines["top 33"].get_ydata(), 1 + np.arange(1, 17) / 10)
    assert lines["the paper's k"].get_xdata()[0] == 3
    assert lines["stable region"].get_xdata().tolist() == [4, 5, 6, 7]
    assert len(figure.axes[3].lines) == 0, "model b has no input weights here"
    nobody = hill_plots(plots[0].iloc[:0])
    assert "no group" in nobody.axes[0].get_title()


def test_weightwatcher_map_has_one_row_for_all_experts():
    names = [f"model.layers.{layer}.mlp.experts.{expert}.up_proj.weight" for layer in (0, 1) for expert in range(3)]
    table = pd.DataFrame({"model": A, "step": 0, "matrix": names, "alpha": [2.0, 3.0, 7.0, 1.0, 1.0, np.nan]})
    axis = weightwatcher_map(table, {"alpha": "alpha"}).axes[0]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["0.mlp.experts.up_proj", "1.mlp.experts.up_proj"]
    assert axis.collections[0].get_array().ravel().tolist() == [4.0, 1.0]
