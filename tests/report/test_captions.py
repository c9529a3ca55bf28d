"""Every figure of the graph has a caption that says n and intervals, or that there are none; all can be rendered."""

import re

import pytest
import yaml
from conftest import PROJECT

from rareneurons.planning.figures import FIGURES
from rareneurons.planning.tables import TABLES
from rareneurons.report.run_report import caption

CAPTIONS = PROJECT / "workflow/report"


def text_of(name: str) -> str:
    config = yaml.safe_load(config_text())
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", caption((CAPTIONS / f"{name}.rst").read_text(), config)))


@pytest.mark.parametrize("name", FIGURES)
def test_caption_says_n_and_intervals(name):
    text = text_of(name)
    assert re.search(r"\bn\b", text), "no n"
    assert re.search(r"95 %|[Ii]ntervals?\b", text), "no word of intervals"
    assert len(text.split()) > 25


@pytest.mark.parametrize("name", sorted(file.stem for file in CAPTIONS.glob("*.rst")))
def test_caption_is_rendered_whole(name):
    assert "{{" not in text_of(name)
    assert "system-message" not in caption((CAPTIONS / f"{name}.rst").read_text(), yaml.safe_load(config_text()))


def config_text() -> str:
    return (PROJECT / "config.yaml").read_text()


def test_every_caption_is_of_something():
    assert len(FIGURES) >= 21
    assert {file.stem for file in CAPTIONS.glob("*.rst")} <= {"workflow", "claims", *FIGURES, *TABLES}
