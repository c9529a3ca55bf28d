"""Pages for readers: the report of a run, and an interactive page of a model's neurons.

Each page is one HTML text that contains everything it shows and loads nothing.
"""
