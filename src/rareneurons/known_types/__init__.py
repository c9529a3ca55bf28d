"""Which neurons of the last MLP are token-frequency or entropy neurons (Stolfo et al. 2024, arXiv 2406.16254)?

*Token-frequency neurons* act on the loss through the direction of the unigram distribution: they push the prediction
towards it or away from it. *Entropy neurons* have output weights of large norm in directions that the unembedding
hardly reads (its effective null space): they act through the norm's scale.

``weights``: what follows from weights alone, and what random directions reach; ``effects``: how much of a neuron's
effect passes through either mechanism; ``declared``: the rule; ``neurons``: the table of all neurons. Groups are chosen
with and without these neurons, so this comes before them.
"""
