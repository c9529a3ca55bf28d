"""A model's tables in the formats of other projects: a Hugging Face data set, and what Neuronpedia imports.

Everything is written into a folder. Nothing is uploaded.
"""
