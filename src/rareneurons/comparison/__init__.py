"""A run beside something else.

``paper``: beside the numbers known of the paper; ``choices``: beside itself with the authors' choices; ``runs``: beside
another run.
"""
