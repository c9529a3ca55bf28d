"""Distances between checkpoints, with findings."""

import numpy as np
import pandas as pd
import pytest
from pictures import A, B, labelled

from rareneurons.figures.audit import checkpoint_distances
from rareneurons.models.audit import AUDIT_COLUMNS

pytestmark = pytest.mark.usefixtures("style")


def rows(model: str, steps: list[int], findings: dict[int, str]) -> pd.DataFrame:
    frame = pd.DataFrame({"model": model, "step": steps}).reindex(columns=AUDIT_COLUMNS)
    frame["distance_to_last"] = np.linspace(1, 0, len(steps))
    frame["distance_to_previous"] = 0.2
    frame["finding"] = [findings.get(step, "ok") for step in steps]
    return frame


def test_models_with_steps_have_a_panel_and_findings_a_mark():
    several = rows(A, [0, 4, 16], {4: "outlier", 0: "duplicate"})
    audit = pd.concat([several, rows(B, [0, 8], {}), rows("c", [-1], {})])
    figure = labelled(checkpoint_distances(audit))
    first, second = figure.axes
    assert first.get_title() == f"{A}\nn = 3 checkpoints"
    np.testing.assert_allclose(first.lines[1].get_ydata(), [1, 0.5, 0])
    assert [mark.get_label() for mark in first.collections] == ["duplicate", "outlier"]
    np.testing.assert_allclose(first.collections[1].get_offsets(), [[4, 0.5]])
    assert not second.collections
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert texts == {"to the checkpoint before", "to the last checkpoint", "outlier", "duplicate"}
