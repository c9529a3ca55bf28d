"""One measure of groups against training step."""

import io

import pytest
from pictures import labelled, measures

from rareneurons.figures.measures import measure_by_step
from rareneurons.figures.style import save
from rareneurons.tables import rows_of

NUMBER = ("d", "", "value", "random")
pytestmark = pytest.mark.usefixtures("style")


def test_measure_by_step_shows_value_and_null():
    figure = labelled(measure_by_step(measures(), NUMBER, "d (u)", ["plateau"], "rare"))
    assert figure.axes[0].get_ylabel() == "d (u)"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(texts) == ["plateau", "random, size of plateau"]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_one_interval_that_is_far_too_wide_does_not_hide_all_values(scale):
    table = measures()
    wide = table.assign(ci_high=1e6, null_high=2e6)
    axis = measure_by_step(wide, NUMBER, "d", ["plateau"], "rare", scale).axes[0]
    shown = rows_of(wide, *NUMBER)[["value", "null_mean"]].to_numpy()
    low, high = axis.get_ylim()
    assert axis.get_yscale() == scale
    assert low <= shown.min() < shown.max() < high < 100
    narrow = table.assign(
        ci_low=table["value"], ci_high=table["value"], null_low=table["null_mean"], null_high=table["null_mean"]
    )
    low, high = measure_by_step(narrow, NUMBER, "d", ["plateau"], "rare", scale).axes[0].get_ylim()
    assert high < 2 * shown.max(), "narrow intervals leave the scale as it was"


@pytest.mark.parametrize("suffix", ["pdf", "png"])
def test_equal_figures_are_equal_files(suffix):
    files = []
    for _ in range(2):
        file = io.BytesIO()
        save(measure_by_step(measures(), NUMBER, "d", ["plateau"], "rare"), file, suffix)
        files.append(file.getvalue())
    assert files[0] == files[1]
