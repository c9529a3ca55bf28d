"""Does attention route rare tokens to a group of neurons? Patterns, ablated heads, concentration and mediation."""
