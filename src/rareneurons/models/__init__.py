"""Open checkpoints of any supported architecture, and train small ones.

``architectures`` is the one place that knows where things live inside a model; ``checkpoints`` opens and checks
a folder. What can be used is decided in one place each: of a folder's files in ``folders``, of its config.json in
``config_file``, of its weights in ``weights``. ``local_models`` and ``devices`` say before any job what cannot serve.
``training`` makes GPT-NeoX models from scratch and ``schedule`` says when they are saved.
"""
