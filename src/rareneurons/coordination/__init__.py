"""Do the neurons of a group act together? Dimension and similarity of activations and weights, with controls."""
