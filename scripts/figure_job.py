"""What the figure scripts share: the style and both file formats."""

import pandas as pd
from job import atomic

from rareneurons.figures import style


def joined(files):
    """The Parquet tables below one another."""
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)


def draw(job, figure_of, *arguments):
    """Apply the style, make the figure, and write it as PDF and PNG."""
    style.apply_style()
    figure = figure_of(*arguments)
    for suffix in ("pdf", "png"):
        with atomic(getattr(job.output, suffix)) as partial:
            style.save(figure, partial, suffix)
