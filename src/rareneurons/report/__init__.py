"""Pages for readers: the report of a run, and an interactive page of a model's neurons.

The report is one HTML text that contains everything it shows and loads nothing. A page of neurons loads its data from
scripts beside it.
"""

from rareneurons.extras import needs_extra

with needs_extra("report"):
    import docutils  # noqa: F401
    import jinja2  # noqa: F401
    import plotly  # noqa: F401
