"""The workflow's numbers for a model and texts in memory, without files and without Snakemake.

``opening`` opens a model, ``texts`` chooses the rows, ``effects`` has the influence of every neuron, ``measurements``
measures any set of neurons, ``verdicts`` decides claims, ``drawing`` draws, ``storing`` writes; ``top_examples`` shows
what neurons do in which texts, ``sentence`` looks at one text, and ``auditing`` at the checkpoints of a run.
"""

from rareneurons.examples.tables import Examples
from rareneurons.inspection.auditing import RunAudit, audit
from rareneurons.inspection.drawing import figures
from rareneurons.inspection.effects import influence
from rareneurons.inspection.measurements import Measurements, joint, measure
from rareneurons.inspection.opening import OpenModel, load
from rareneurons.inspection.sentence import where
from rareneurons.inspection.sizes import Sizes
from rareneurons.inspection.storing import save
from rareneurons.inspection.top_examples import examples
from rareneurons.inspection.verdicts import claims

__all__ = [
    "Examples",
    "Measurements",
    "OpenModel",
    "RunAudit",
    "Sizes",
    "audit",
    "claims",
    "examples",
    "figures",
    "influence",
    "joint",
    "load",
    "measure",
    "save",
    "where",
]
