"""One measure of groups against training step."""

import io

import pytest
from pictures import labelled, measures

from rareneurons.figures.measures import measure_by_step
from rareneurons.figures.style import save

NUMBER = ("d", "", "value", "random")
pytestmark = pytest.mark.usefixtures("style")


def test_measure_by_step_shows_value_and_null():
    figure = labelled(measure_by_step(measures(), NUMBER, "d (u)", ["plateau"], "rare"))
    assert figure.axes[0].get_ylabel() == "d (u)"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(texts) == ["plateau", "random, size of plateau"]


@pytest.mark.parametrize("suffix", ["pdf", "png"])
def test_equal_figures_are_equal_files(suffix):
    files = []
    for _ in range(2):
        file = io.BytesIO()
        save(measure_by_step(measures(), NUMBER, "d", ["plateau"], "rare"), file, suffix)
        files.append(file.getvalue())
    assert files[0] == files[1]
