"""Names and units of what joint ablation measures, for code that reads its tables without a model."""

DELTA_LOSS, DIVERGENCE, RANK_CHANGE, INTERACTION = "delta_loss", "kl_divergence", "ln_rank_change", "interaction"
CLEAN_LOSS, STANDARDISED = "clean_loss", "standardised_difference"
COMPARED = (DELTA_LOSS, DIVERGENCE)  # measures that control groups have, too
UNITS = {
    DELTA_LOSS: "nats",
    DIVERGENCE: "nats",
    RANK_CHANGE: "ln rank",
    INTERACTION: "nats",
    CLEAN_LOSS: "nats",
    STANDARDISED: "standard deviations",
}
WHOLE, MATCHED_ROWS = "", "matched_rows"  # parts: all rows; rows matched in clean loss and position
LESS_TYPES = "less_known_types"  # part: a group's neurons that are of no known type, and no others in their place
HALF = 0.5  # the p of the share of a group's effect that these have is that of this share
