"""Separation against its nulls, and correlation matrices ordered by community."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, B, labelled, measures

from rareneurons.figures.organization import community_matrices, separation_by_step

pytestmark = pytest.mark.usefixtures("style")


def separation_table() -> pd.DataFrame:
    return pd.concat([measures("separation", against=null) for null in ("random", "matched", "rotation")])


def test_separation_has_a_panel_per_group_and_model_and_names_its_nulls():
    figure = labelled(separation_by_step(separation_table(), ("plateau", "top_33"), "rare"))
    assert [axis.get_title() for axis in figure.axes] == [f"{A}\nplateau", f"{B}\nplateau"]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(texts) == ["matched null", "plateau", "random null", "rotation null"]
    values = figure.axes[0].containers[0].lines[0].get_ydata().astype(float)
    np.testing.assert_allclose(values, [0.5, 0.51, 0.66])
    nulls = [line for line in figure.axes[0].lines if line.get_label().endswith(" null")]
    assert [line.get_label() for line in nulls] == ["rotation null", "matched null", "random null"]
    for line in nulls:
        np.testing.assert_allclose(line.get_ydata(), 0.4)


def community_arrays(group: str) -> dict[str, np.ndarray]:
    community = np.array([1, 0, 1, 0, 1])
    correlation = np.where(community[:, None] == community, 0.9, -0.2)
    return {
        f"{group}.correlation": correlation,
        f"{group}.community": community,
        f"{group}.matched_correlation": np.eye(5),
        f"{group}.matched_community": np.arange(5),
    }


def test_matrices_are_ordered_by_community_larger_first():
    pictures = {A: community_arrays("plateau"), B: community_arrays("top_33"), "c": {}}
    figure = labelled(community_matrices(pictures))
    shown = np.asarray(figure.axes[0].images[0].get_array().filled(np.nan))
    expected = np.full((5, 5), -0.2)
    expected[:3, :3] = expected[3:, 3:] = 0.9
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(shown, expected)
    assert [patch.get_width() for patch in figure.axes[0].patches] == [3, 2]
    titles = [axis.get_title() for axis in figure.axes[:4]]
    assert titles == [f"{A}\nplateau", f"{A}\nmatched control", f"{B}\ntop 33", f"{B}\nmatched control"]
    assert figure.axes[0].get_xlabel() == "5 neurons,\n2 communities"
    assert "not measured" in [text.get_text() for text in figure.axes[4].texts]
