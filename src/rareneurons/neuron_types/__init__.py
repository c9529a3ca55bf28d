"""Are the top neurons those of Stolfo et al. 2024 (arXiv 2406.16254): token-frequency and entropy neurons?

``known_types`` says what every neuron is; ``estimates`` averages that over groups and compares it with controls.
"""
