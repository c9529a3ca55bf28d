"""All measures by training step: trends of all measures, and the history of the final top neurons."""
