"""A model in memory, texts in memory: the same numbers as the workflow's, without files and without Snakemake.

``opening`` opens a model, ``texts`` chooses the rows, ``effects`` has the influence of every neuron, ``measurements``
measures any set of neurons, ``verdicts`` decides claims, ``drawing`` draws, ``storing`` writes; ``sentence`` looks at
one text, and ``auditing`` at the checkpoints of a run.
"""

from rareneurons.inspection.auditing import RunAudit, audit
from rareneurons.inspection.drawing import figures
from rareneurons.inspection.effects import influence
from rareneurons.inspection.measurements import Measurements, joint, measure
from rareneurons.inspection.opening import OpenModel, load
from rareneurons.inspection.sentence import where
from rareneurons.inspection.sizes import Sizes
from rareneurons.inspection.storing import save
from rareneurons.inspection.verdicts import claims

__all__ = [
    "Measurements",
    "OpenModel",
    "RunAudit",
    "Sizes",
    "audit",
    "claims",
    "figures",
    "influence",
    "joint",
    "load",
    "measure",
    "save",
    "where",
]
