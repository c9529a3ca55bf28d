"""Everything against training step: trends of all measures, and where the neurons of the final head came from."""
