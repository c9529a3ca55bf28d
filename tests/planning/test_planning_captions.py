"""Captions get the configuration's values; a job's own caption is read when it is shown."""

import jinja2
import pytest
from conftest import PROJECT

from rareneurons.planning.captions import CaptionFile, filled


def test_configuration_is_filled_in():
    assert filled("Seed {{ snakemake.config['seed'] }}.", {"seed": 7}) == "Seed 7."


def test_unknown_key_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="nothing"):
        filled("{{ snakemake.config['nothing'] }}", {"seed": 7})


def test_caption_of_a_job_is_its_file_s_at_that_time(tmp_path):
    """As ``snakemake --report`` does it: through the caption that all jobs of such a rule share."""
    shared = jinja2.Environment().from_string((PROJECT / "workflow/resources/caption.rst").read_text())
    file = tmp_path / "caption.rst"
    caption = CaptionFile(str(file))
    for text, shown in (("first", "first"), ("{{ snakemake.config['seed'] }}", "7")):
        file.write_text(text)
        assert shared.render(snakemake={"params": {"caption": caption}, "config": {"seed": 7}}) == shown
