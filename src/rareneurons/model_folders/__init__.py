"""What a model's folder holds, by its files' names and JSON alone: checkpoints, weights, configuration, tokenizer.

The plan of a run and the library both read folders through this package, so nothing large is imported here.
"""
