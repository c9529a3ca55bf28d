"""Effect of ablating each neuron: ``closed_form`` computes it, ``sums`` adds it up by document."""
