"""Pages that people open: the report of a run, and a model's neurons to look around in.

Each is one HTML text that holds all it needs and loads nothing.
"""
