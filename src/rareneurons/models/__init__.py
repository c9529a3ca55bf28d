"""Open checkpoints of any supported architecture, and train small ones.

``architectures`` is the one place that knows where things live inside a model; ``checkpoints`` opens and checks
a folder; ``training`` makes GPT-NeoX models from scratch.
"""
