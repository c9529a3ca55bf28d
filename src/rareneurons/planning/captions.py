"""Captions: reStructuredText in which Jinja's expressions name ``snakemake.config``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined


def filled(source: str, config: Mapping[str, Any]) -> str:
    """A caption with the configuration's values in it.

    Args:
        source: the text of a caption.
        config: the configuration.

    Raises:
        jinja2.UndefinedError: it names a key that the configuration does not have.
    """
    environment = Environment(undefined=StrictUndefined)  # noqa: S701  it makes reStructuredText, not HTML
    return environment.from_string(source).render(snakemake={"config": config})


@dataclass(frozen=True)
class CaptionFile:
    """A job's own caption.

    Snakemake's report takes one caption per rule. Rules with a wildcard give it ``workflow/resources/caption.rst``,
    which asks the job's parameter ``caption``, this, for its text. The file is read when the report is made, so an
    edited caption draws no figure again.
    """

    file: str

    def text(self, config: Mapping[str, Any]) -> str:
        """The caption with the configuration's values in it."""
        return filled(Path(self.file).read_text(encoding="utf-8"), config)
