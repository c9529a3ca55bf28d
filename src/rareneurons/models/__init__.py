"""Open checkpoints of any supported architecture, and train small ones.

Only ``architectures`` knows where the parts of a model are; ``checkpoints`` opens and checks a folder; ``weights``
decides which of its weights can be used (``rareneurons.model_folders`` does so for its other files); ``training``
makes GPT-NeoX models from scratch.
"""
