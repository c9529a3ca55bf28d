"""What the figure scripts share: the style and both file formats."""

from job import atomic

from rareneurons import figures


def draw(job, figure_of, *arguments):
    """Apply the style, make the figure, and write it as PDF and PNG."""
    figures.apply_style()
    figure = figure_of(*arguments)
    for suffix in ("pdf", "png"):
        with atomic(getattr(job.output, suffix)) as partial:
            figures.save(figure, partial, suffix)
