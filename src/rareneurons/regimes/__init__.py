"""Shape of the rank-influence curve: its regimes, whether it has a plateau at all, and which neurons are its top."""
