"""Shape of the rank-influence curve: regimes, whether there is a plateau at all, and who stands in its head."""
