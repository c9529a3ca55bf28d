"""Spectra of weights: tail and bulk of a group's weight rows, and WeightWatcher on every matrix of a checkpoint."""
