"""A run compared with something else.

``paper``: the known numbers of the paper; ``choices``: the same run with the authors' choices; ``firmness``: the same
run with choices that ought not to matter; ``runs``: another run.
"""
