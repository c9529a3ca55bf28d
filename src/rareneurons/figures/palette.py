"""Colours of conditions, groups and verdicts, the same in figures and pages; all of Okabe & Ito's or Tol's palettes."""

CONDITION_COLOURS = {"rare": "#D55E00", "common": "#0072B2"}
GROUP_COLOURS = {
    "plateau": "#CC79A7",
    "power_law": "#009E73",
    "decay": "#E69F00",
    "top_33": "#56B4E9",
    "selective_33": "#332288",
    "suppress_plateau": "#882255",
    "suppress_power_law": "#117733",
    "suppress_decay": "#999933",
}
NULL_COLOUR = "#999999"
NULL_COLOURS = {"random": NULL_COLOUR, "matched": "#000000", "shuffled": "#AA4499", "rotation": "#44AA99"}
VERDICT_COLOURS = {"supported": "#99DDCC", "contradicted": "#F5B387", "undecided": "#E8E8E8"}  # below black text
UNKNOWN_COLOUR = "#000000"


def colour_of(condition: str) -> str:
    """Colour of a condition; conditions the palette does not know share one."""
    return CONDITION_COLOURS.get(condition, UNKNOWN_COLOUR)


def group_colour(group: str) -> str:
    """Colour of a group; a regime by the fixed cuts has its automatic twin's."""
    return GROUP_COLOURS.get(group) or GROUP_COLOURS.get(group.removeprefix("fixed_"), UNKNOWN_COLOUR)
