"""Effect of ablating each neuron: closed form, re-run from the final norm, re-run of whole layers, sums by document."""
