"""Effect of ablating each neuron: in closed form, by running the tail or whole layers again; sums by document."""
