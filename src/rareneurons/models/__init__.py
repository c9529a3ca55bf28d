"""Open checkpoints of any supported architecture, and train small ones.

``architectures`` is the one place that knows where things live inside a model; ``checkpoints`` opens and checks
a folder; ``weights`` decides what can be used of its weights (``rareneurons.model_folders`` decides that of its other
files); ``training`` makes GPT-NeoX models from scratch.
"""
