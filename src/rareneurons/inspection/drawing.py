"""The figures that can be drawn of one checkpoint in memory."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rareneurons.conventions import MEASURED
from rareneurons.inspection.measurements import Measurements
from rareneurons.inspection.texts import PAIR

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDED = {
    "joint_doses": "joint",
    "coordination_rows": "coordination",
    "organization": "organization",
    "loss_by_frequency": "joint",
}


def figures(measured: Measurements, names: Sequence[str] = ()) -> Mapping[str, "Figure"]:
    """Draw what was measured, in the workflow's style.

    Args:
        measured: what :func:`measure` returned.
        names: names among ``NEEDED``; by default, all whose measure is there. Named neurons have no ``joint_doses``.

    Returns:
        Name -> matplotlib figure. A notebook shows it, ``figure.savefig`` writes it.

    Examples:
        >>> list(rareneurons.figures(found, ["loss_by_frequency"]))
        ['loss_by_frequency']
    """
    from rareneurons.figures import coordination, organization, style
    from rareneurons.figures import joint as drawn_joint

    style.apply_style()
    groups = measured.names or MEASURED
    draw = {
        "joint_doses": lambda: drawn_joint.dose_curves(measured.tables["joint"], PAIR),
        "coordination_rows": lambda: coordination.dimension_by_rows(measured.tables["coordination"], groups, PAIR[0]),
        "organization": lambda: organization.separation_by_step(measured.tables["organization"], groups, PAIR[0]),
        "loss_by_frequency": lambda: drawn_joint.loss_by_frequency(measured.products["loss_by_frequency"], PAIR),
    }
    if measured.names:
        del draw["joint_doses"]  # the order in which neurons are added is that of the influence, not of the user
    wanted = names or [name for name in draw if NEEDED[name] in measured.tables]
    return {name: draw[name]() for name in wanted}
