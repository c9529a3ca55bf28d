"""Are the plateau neurons those of Stolfo et al. 2024 (arXiv 2406.16254): token-frequency and entropy neurons?

*Token-frequency neurons* act on the loss through the direction of the unigram distribution: they push the prediction
towards it or away from it. *Entropy neurons* have output weights of large norm in directions that the unembedding
hardly reads (its effective null space): they act through the norm's scale alone.

``properties``: both properties of every neuron; ``estimates``: their means over groups, against controls.
"""
